# SPDX-License-Identifier: Apache-2.0
"""`llava caption` and `llava batch` with a real checkpoint: the same text as one by one, and a true ledger."""

from __future__ import annotations

import csv
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import suppress
from pathlib import Path

import pytest
from PIL import Image

MODEL = ("--dtype", "float32", "--max-new-tokens", "12", "-n", "4")


@pytest.fixture(scope="session")
def folder(tmp_path_factory, rendered) -> Path:
    """Videos and stills of several shapes, and two files that are neither."""
    folder = tmp_path_factory.mktemp("media")
    for name in ("h264", "vp9", "rotated_90", "one_frame"):
        shutil.copy(rendered(name), folder)
    for number, size in enumerate([(90, 60), (60, 200)]):
        Image.linear_gradient("L").rotate(90 * number).resize(size).convert("RGB").save(folder / f"still{number}.png")
    (folder / "empty.mp4").touch()
    (folder / "corrupt.mp4").write_bytes(b"\0\0\0\x20ftypisom" + b"\0" * 2000)
    return folder


def records(text: str) -> list[dict]:
    return [json.loads(line) for line in text.splitlines()]


def by_job(found: list[dict]) -> dict:
    jobs = {(record["media"][0]["path"], record["question"]): record for record in found}
    assert len(jobs) == len(found)
    return jobs


def test_one_record_for_each_file_and_question_and_exit_code_1_for_failures(llava, folder, tiny):
    result = llava("caption", folder, "-m", tiny, *MODEL, "-p", "Why?", "-p", "Who is it?")
    assert result.code == 1
    jobs = by_job(records(result.out))
    assert {Path(path).name for path, _ in jobs} == set(os.listdir(folder))
    assert len(jobs) == 16
    failed = {Path(path).name for (path, _), record in jobs.items() if record["status"] == "error"}
    assert failed == {"empty.mp4", "corrupt.mp4"}
    assert "12 done, 4 failed, 0 skipped" in result.err
    assert "busy" in result.err
    quiet = llava("caption", folder, "-m", tiny, *MODEL, "-p", "Why?", "-q")
    assert quiet.err == "llava: 2 failed\n"


def test_without_failures_the_exit_code_is_0_and_the_question_is_the_kinds(llava, folder, tiny):
    result = llava("caption", folder / "still0.png", folder / "vp9.webm", "-m", tiny, *MODEL)
    assert result.code == 0
    assert {record["question"] for record in records(result.out)} == {
        "Describe this video in detail.", "Describe this image in detail."
    }  # fmt: skip


def test_the_same_text_as_one_by_one(llava, folder, tiny, tmp_path):
    """Mixed lengths, stills and videos, frame counts, several media: batched greedy answers are the single ones."""
    jobs = [
        {"media": str(folder / name), "question": question, **more}
        for name in ("h264.mp4", "still0.png", "vp9.webm", "still1.png", "rotated_90.mp4", "one_frame.mp4")
        for question, more in [
            ("Why?", {}),
            ("What happens in this video, and who is the man on the left? " * 3, {}),
            ("Why?", {"frames": 9}),
            ("Why?", {"system": "Be polite."}),
        ]
    ]
    jobs.append({"media": [str(folder / "vp9.webm"), str(folder / "still0.png")], "question": "Are they the same?"})
    path = tmp_path / "jobs.jsonl"
    path.write_text("".join(json.dumps({"id": n, **job}) + "\n" for n, job in enumerate(jobs)))
    options = ("-m", tiny, "--dtype", "float32", "--max-new-tokens", "24", "-n", "4")
    batched = {record["id"]: record for record in records(llava("batch", path, *options).out)}
    single = {record["id"]: record for record in records(llava("batch", path, *options, "--batch-size", "1").out)}
    assert max(record["batch_size"] for record in batched.values()) > 2
    assert {record["batch_size"] for record in single.values()} == {1}
    for n, job in enumerate(jobs):
        assert batched[n]["status"] == "ok"
        assert batched[n]["answer"] == single[n]["answer"], job
        assert batched[n]["usage"] == single[n]["usage"]
    assert len({record["answer"] for record in single.values()}) > 15  # the comparison can tell answers apart
    for n in (0, 1, 2, 12):  # and these are what `ask` says
        job = jobs[n]
        asked = llava("ask", job["media"], job["question"], *options[:-1], str(job.get("frames", 4)), "--json")
        assert json.loads(asked.out)["answer"] == batched[n]["answer"]


def test_a_ledger_is_continued_and_a_changed_setting_is_new_work(llava, folder, tiny, tmp_path):
    ledger = tmp_path / "out.jsonl"
    options = (folder, "-m", tiny, *MODEL, "-o", ledger)
    first = llava("caption", *options, "--limit", "3")
    assert (first.out, len(records(ledger.read_text()))) == ("", 3)
    assert llava("caption", *options).code == 1
    whole = ledger.read_text()
    assert len(by_job(records(whole))) == 8
    again = llava("caption", *options)
    assert again.code == 1  # two have failed, if not in this run
    assert "0 failed, 2 before; --retry-failed" in again.err
    assert ledger.read_text() == whole
    assert "0 done, 0 failed, 8 skipped" in again.err
    assert "2 failed" in llava("caption", *options, "--retry-failed").err
    assert "1 done, 0 failed" in llava("caption", folder / "vp9.webm", "-m", tiny, *MODEL[:-1], "5", "-o", ledger).err
    assert "1 done, 0 failed" in llava("caption", folder / "vp9.webm", "-m", tiny, *MODEL, "-o", ledger, "--force").err
    assert ledger.read_text().startswith(whole)


def test_lists_of_names_of_any_bytes(as_program, folder, tiny, tmp_path):
    odd = [os.fsencode(tmp_path) + name for name in (b"/-x\xff\n.mp4", b"/a b'\".mp4", b"/http:x.mp4")]
    for name in odd:
        shutil.copy(folder / "vp9.webm", name)
    listed = b"".join(name + b"\0" for name in [*odd, odd[0], os.fsencode(tmp_path) + b"/missing.mp4"])
    result = as_program("caption", "-0", "--files-from", "-", "-m", tiny, *MODEL, stdin=None, input=listed)
    assert result.returncode == 1, result.stderr
    found = records(result.stdout.decode())
    assert [record["status"] for record in found].count("ok") == 3
    assert len({record["answer"] for record in found if record["status"] == "ok"}) == 1
    assert len(found) == 4
    assert any("path_b64" in record["media"][0] for record in found)
    assert b"3 done, 1 failed, 1 skipped" in result.stderr


def test_jobs_carry_their_keys_and_bad_lines_are_records(llava, folder, tiny, tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text(f"id,media,question,label\na,{folder / 'vp9.webm'},Why?,x\nb,{folder / 'vp9.webm'},,y\n")
    result = llava("batch", path, "-m", tiny, *MODEL)
    assert result.code == 1
    good, bad = sorted(records(result.out), key=lambda record: record["status"], reverse=True)
    assert (good["id"], good["label"], good["status"]) == ("a", "x", "ok")
    assert "line 3" in bad["error"]["message"]
    assert llava("batch", path, "-m", tiny, *MODEL, "--strict").code == 1


def test_sidecars_tables_and_a_report(llava, folder, tiny, tmp_path):
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    for name in ("a/x.webm", "b/x.webm", "b/x.mp4", "b/y.mp4"):
        shutil.copy(folder / ("vp9.webm" if name.endswith("webm") else "rotated_90.mp4"), tmp_path / name)
    (tmp_path / "b" / "bad.mp4").touch()
    out = tmp_path / "out"
    common = ("caption", "-r", tmp_path / "a", tmp_path / "b", "-m", tiny, *MODEL, "-o", tmp_path / "ledger.jsonl")
    outputs = ("--csv", tmp_path / "t.csv", "--report", tmp_path / "r.html", "--sidecar", "txt")
    assert llava(*common, *outputs, "--output-dir", out).code == 1
    answers = {
        record["media"][0]["path"]: record.get("answer") for record in records((tmp_path / "ledger.jsonl").read_text())
    }
    below = out / str(tmp_path).lstrip("/")
    for name, sidecar in [("a/x.webm", "a/x.txt"), ("b/x.webm", "b/x.webm.txt"), ("b/x.mp4", "b/x.mp4.txt")]:
        assert (below / sidecar).read_text() == answers[str(tmp_path / name)] + "\n"
    assert not (below / "b" / "bad.txt").exists()
    with (tmp_path / "t.csv").open(newline="") as file:
        rows = {row["media"]: row for row in csv.DictReader(file)}
    assert {path: row["answer"] or None for path, row in rows.items()} == answers
    page = (tmp_path / "r.html").read_text()
    assert page.count("<section>") == 5
    assert page.index("bad.mp4: is empty") < page.index("<img")  # failures first
    assert page.count("data:image/jpeg") == 4
    assert "http" not in page.replace("http-equiv", "")
    # A second run has nothing to ask, and writes the same.
    (tmp_path / "r.html").unlink()
    assert llava(*common, *outputs[:4]).code == 1
    assert (tmp_path / "r.html").read_text().count("data:image/jpeg") == 4
    assert "0 done, 0 failed, 5 skipped" in llava(*common, "--sidecar", "json").err
    assert json.loads((tmp_path / "b" / "y.json").read_text())[0]["answer"] == answers[str(tmp_path / "b" / "y.mp4")]


@pytest.mark.parametrize(
    "arguments",
    [
        ("caption",), ("caption", "-"), ("caption", "a.mp4", "-0"), ("caption", "a.mp4", "-p", " "),
        ("caption", "a.mp4", "--shard", "0/3"), ("caption", "a.mp4", "--shard", "4/3"),
        ("caption", "a", "--limit", "0"),
        ("caption", "a.mp4", "--batch-size", "0"), ("caption", "a.mp4", "--batch-size", "many"),
        ("caption", "a.mp4", "--output-dir", "b"), ("batch",), ("batch", "a.jsonl", "-p", ""),
    ],
)  # fmt: skip
def test_command_lines_that_make_no_sense(llava, arguments):
    result = llava(*arguments)
    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err


def test_lists_and_ledgers_that_cannot_be_opened(llava, tiny, folder, tmp_path):
    assert llava("batch", tmp_path / "missing.jsonl", "-m", tiny).code == 3
    assert llava("caption", "--files-from", tmp_path / "missing", "-m", tiny).code == 3
    notes = tmp_path / "notes.txt"
    notes.write_text("mine\n")
    assert llava("caption", folder, "-m", tiny, "-o", notes).code == 6
    assert notes.read_text() == "mine\n"
    assert llava("caption", folder, "-m", tiny, "-o", tmp_path / "missing" / "ledger").code == 6


def started(*arguments: str | Path, **options) -> subprocess.Popen:
    command = [sys.executable, "-m", "llava_cli", *map(str, arguments)]
    return subprocess.Popen(command, env=os.environ | {"OMP_NUM_THREADS": "1"}, **options)


@pytest.fixture
def many(folder, tmp_path) -> Path:
    """A list of 60 jobs, each of them new work."""
    path = tmp_path / "jobs.jsonl"
    names = ("h264.mp4", "vp9.webm", "still0.png", "empty.mp4")
    jobs = [{"id": n, "media": str(folder / names[n % 4]), "question": f"Why {n}?"} for n in range(60)]
    path.write_text("".join(json.dumps(job) + "\n" for job in jobs))
    return path


LONG = ("--dtype", "float32", "--max-new-tokens", "200", "-n", "4", "--batch-size", "4", "-q")


def lines_in(path: Path) -> int:
    return path.read_bytes().count(b"\n") if path.exists() else 0


def wait_for(condition, process: subprocess.Popen) -> None:
    while not condition() and process.poll() is None:
        time.sleep(0.02)


@pytest.mark.slow
def test_killed_at_any_moment_and_restarted_every_job_is_there_once(llava, many, tiny, tmp_path):
    ledger = tmp_path / "killed.jsonl"
    for kill_at in (1, 10, 11, 30):
        process = started("batch", many, "-m", tiny, *LONG, "-o", ledger)
        wait_for(lambda at=kill_at: lines_in(ledger) >= at, process)
        process.kill()
        process.wait()
        assert lines_in(ledger) < 60  # it was killed in the middle
    assert started("batch", many, "-m", tiny, *LONG, "-o", ledger).wait() == 1
    assert llava("batch", many, "-m", tiny, *LONG, "-o", tmp_path / "whole.jsonl").code == 1
    killed, whole = (records((tmp_path / name).read_text()) for name in ("killed.jsonl", "whole.jsonl"))
    assert sorted(record["id"] for record in killed) == list(range(60))
    kept = ("status", "answer", "key", "question", "usage", "error")

    def told(found: list[dict]) -> dict:
        return {record["id"]: {key: record.get(key) for key in kept} for record in found}

    assert told(killed) == told(whole)


@pytest.mark.slow
def test_two_processes_on_one_list(many, tiny, tmp_path):
    ledger = tmp_path / "shared.jsonl"
    both = [started("batch", many, "-m", tiny, *LONG, "-o", ledger, stderr=subprocess.DEVNULL) for _ in range(2)]
    assert {process.wait() for process in both} <= {0, 1}
    assert sorted(record["id"] for record in records(ledger.read_text())) == list(range(60))


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_finishes_what_is_in_hand(many, tiny, tmp_path, number, code):
    ledger = tmp_path / "stopped.jsonl"
    process = started("batch", many, "-m", tiny, *LONG[:-1], "-o", ledger, stderr=subprocess.PIPE)
    wait_for(lambda: lines_in(ledger) >= 1, process)
    process.send_signal(number)
    error = process.communicate()[1].decode()
    assert process.returncode == code
    assert "stopping after what is in hand" in error
    assert "done" in error
    assert 0 < lines_in(ledger) < 60
    assert ledger.read_bytes().endswith(b"\n")


@pytest.mark.slow
def test_a_full_disk_is_exit_code_6_and_the_ledger_is_intact(many, tiny, tmp_path):
    ledger = tmp_path / "full.jsonl"

    def small_disk() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (5_000, resource.RLIM_INFINITY))

    process = started("batch", many, "-m", tiny, *LONG, "-o", ledger, preexec_fn=small_disk, stderr=subprocess.PIPE)
    error = process.communicate()[1].decode()
    assert process.returncode == 6, error
    assert error.count("\n") == 1
    assert "intact" in error
    found = records(ledger.read_text())
    assert 0 < len(found) < 60
    assert started("batch", many, "-m", tiny, *LONG, "-o", ledger).wait() == 1
    assert sorted(record["id"] for record in records(ledger.read_text())) == list(range(60))


def test_a_reader_that_leaves_ends_the_run_quietly(many, tiny):
    process = started("batch", many, "-m", tiny, *LONG, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    first = process.stdout.readline()
    process.stdout.close()
    error = process.stderr.read()
    process.stderr.close()
    assert process.wait() == 1
    assert json.loads(first)["schema_version"] == 1
    assert b"Traceback" not in error


def test_shards_share_a_list_out(llava, folder, tiny):
    paths = []
    for number in (1, 2, 3):
        result = llava("caption", folder, "-m", tiny, *MODEL, "-p", "Why?", "--shard", f"{number}/3")
        paths += [Path(record["media"][0]["path"]).name for record in records(result.out)]
    assert sorted(paths) == sorted(os.listdir(folder))


def test_where_everything_is_done_no_library_of_the_model_is_imported(as_program, llava, folder, tiny, tmp_path):
    options = ("caption", folder / "still0.png", "-m", tiny, *MODEL, "-o", tmp_path / "out.jsonl")
    assert llava(*options).code == 0
    program = "import sys; from llava_cli.cli.app import _run; _run(); print('torch' in sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", program, *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stderr.endswith("0 done, 0 failed, 1 skipped; nothing to do\nFalse\n")


def test_text_that_is_no_text_costs_its_job(as_program, llava, folder, tiny, tmp_path):
    media = str(folder / "still0.png")
    jobs = [{"media": media, "question": "Why?"}, {"media": media, "question": "\ud800?"}]
    jobs += [{"media": media, "question": "Why?", "system": "\udcff"}, {"media": "\ud800", "question": "Why?"}]
    path = tmp_path / "jobs.jsonl"
    path.write_bytes("".join(json.dumps({"id": n, **job}) + "\n" for n, job in enumerate(jobs)).encode())
    with path.open("ab") as file:
        file.write(b'{"id": 4, "media": "%s", "question": "\xff?"}\n' % os.fsencode(media))
        file.write(b'{"id": 5, "media": "%s", "question": "Who?"}\n' % os.fsencode(media))
    result = llava("batch", path, "-m", tiny, *MODEL)
    assert result.code == 1
    found = {record["id"]: record["status"] for record in records(result.out)}
    assert len(found) == 6
    assert {id for id, status in found.items() if status == "ok"} == {0, 5}
    asked = as_program("caption", media, "-p", b"Wh\xff?", "-p", "Why?", "-m", tiny, *MODEL)
    assert sorted(record["status"] for record in records(asked.stdout.decode())) == ["error", "ok"]
    assert asked.returncode == 1


@pytest.mark.slow
def test_ctrl_c_ends_a_list_that_only_repeats_itself(folder, tiny):
    reading, writing = os.pipe()
    command = ("caption", "--files-from", "-", "-m", tiny, *MODEL, "-p", "Why?")
    process = started(*command, stdin=reading, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    os.close(reading)
    line = os.fsencode(folder / "still0.png") + b"\n"

    def feed() -> None:
        with suppress(BrokenPipeError):
            while True:
                os.write(writing, line * 100)

    threading.Thread(target=feed, daemon=True).start()
    assert json.loads(process.stdout.readline())["status"] == "ok"  # though the list has no end
    process.send_signal(signal.SIGINT)
    error = process.communicate(timeout=60)[1].decode()
    assert process.returncode == 130
    assert "1 done" in error
