# SPDX-License-Identifier: Apache-2.0
"""`llava batch` with a real checkpoint: the same text as one by one, and a ledger that survives whatever ends a run."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
import time
from pathlib import Path

import pytest
from cli.lists import MODEL, records
from cli.programs import started


def test_the_same_text_as_one_by_one(llava, files, tiny, tmp_path):
    """Mixed lengths, stills and videos, frame counts, several media: batched greedy answers are the single ones."""
    jobs = [
        {"media": str(files / name), "question": question, **more}
        for name in ("h264.mp4", "still0.png", "vp9.webm", "still1.png", "rotated_90.mp4", "one_frame.mp4")
        for question, more in [
            ("Why?", {}),
            ("What happens in this video, and who is the man on the left? " * 3, {}),
            ("Why?", {"frames": 9}),
            ("Why?", {"system": "Be polite."}),
        ]
    ]
    jobs.append({"media": [str(files / "vp9.webm"), str(files / "still0.png")], "question": "Are they the same?"})
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


def test_jobs_carry_their_keys_and_bad_lines_are_records(llava, files, tiny, tmp_path):
    path = tmp_path / "jobs.csv"
    path.write_text(f"id,media,question,label\na,{files / 'vp9.webm'},Why?,x\nb,{files / 'vp9.webm'},,y\n")
    result = llava("batch", path, "-m", tiny, *MODEL)
    assert result.code == 1
    good, bad = sorted(records(result.out), key=lambda record: record["status"], reverse=True)
    assert (good["id"], good["label"], good["status"]) == ("a", "x", "ok")
    assert "line 3" in bad["error"]["message"]
    assert llava("batch", path, "-m", tiny, *MODEL, "--strict").code == 1


def test_conversations_are_answered_together_and_known_again_by_their_ranges(llava, files, tiny, tmp_path):
    video, still = str(files / "h264.mp4"), str(files / "still0.png")

    def job(number: int, **changes: object) -> dict:
        shown = [{"type": "text", "text": "What is it?"}, {"type": "image", "path": still}]
        asked = [{"type": "text", "text": "And this?"}, {"type": "video", "path": video, "end": 2} | changes]
        said = [{"role": "user", "content": shown}, {"role": "assistant", "content": "A slope."}]
        return {"id": number, "messages": [*said, {"role": "user", "content": asked}]}

    path, ledger = tmp_path / "jobs.jsonl", tmp_path / "answers.jsonl"
    jobs = [job(1), job(2, frames=2), job(3, start=1), {"id": 4, "media": video, "question": "Why?"}]
    path.write_text("".join(json.dumps(one) + "\n" for one in jobs))
    assert llava("batch", path, "-m", tiny, *MODEL, "-o", ledger).code == 0
    first = {record["id"]: record for record in records(ledger.read_text())}
    assert len({record["key"] for record in first.values()}) == 4
    assert [len(first[n]["media"][1]["frames"]) for n in (1, 2, 3)] == [4, 2, 4]
    chat = tmp_path / "chat.json"
    for n in (1, 2, 3):
        chat.write_text(json.dumps(first[n]["messages"]))
        alone = json.loads(llava("ask", "--conversation", chat, "-m", tiny, *MODEL, "--json").out)
        assert (alone["answer"], alone["usage"]) == (first[n]["answer"], first[n]["usage"])
    path.write_text("".join(json.dumps(one) + "\n" for one in [*jobs, job(5, start=1.5), {"messages": [7]}]))
    assert llava("batch", path, "-m", tiny, *MODEL, "-o", ledger).code == 1
    new = records(ledger.read_text())[4:]
    assert [(record["id"], record["status"]) for record in new if record["status"] == "ok"] == [(5, "ok")]
    (bad,) = (record for record in new if record["status"] == "error")
    assert (bad["error"]["code"], len(new)) == ("job", 2)
    assert bad["error"]["message"].endswith("line 6: messages: message 1: is not an object with 'role' and 'content'")


@pytest.fixture
def many(files, tmp_path) -> Path:
    """A list of 60 jobs, each of them new work."""
    path = tmp_path / "jobs.jsonl"
    names = ("h264.mp4", "vp9.webm", "still0.png", "empty.mp4")
    jobs = [{"id": n, "media": str(files / names[n % 4]), "question": f"Why {n}?"} for n in range(60)]
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


def test_text_that_is_no_text_costs_its_job(as_program, llava, files, tiny, tmp_path):
    media = str(files / "still0.png")
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
    assert (asked.returncode, asked.stdout) == (2, b"")  # said once, not for each of a hundred thousand files
    assert b"is not valid Unicode text" in asked.stderr


def test_raw_jobs_are_the_templated_ones_and_other_work(llava, files, tiny, tmp_path):
    """One list with both, under a system prompt that is for those only that a template is applied to."""
    clip = str(files / "h264.mp4")
    raw = {"question": "Be brief. USER: <video>\nWhy? ASSISTANT:", "raw": True}
    jobs, ledger = tmp_path / "jobs.jsonl", tmp_path / "ledger.jsonl"
    lines = [{"question": "Why?"}, raw, raw | {"system": "Be brief."}, {"question": "Why?", "raw": True}]
    jobs.write_text("".join(json.dumps({"id": n, "media": clip, **line}) + "\n" for n, line in enumerate(lines)))
    options = ("-m", tiny, *MODEL, "--system", "Be brief. ", "--prompt-ids", "-o", ledger)
    assert llava("batch", jobs, *options).code == 1
    found = {record["id"]: record for record in records(ledger.read_text())}
    templated, whole = found[0], found[1]
    assert templated["prompt_text"] == whole["prompt_text"] == raw["question"]
    assert templated["prompt_ids"] == whole["prompt_ids"]
    assert templated["answer_ids"] == whole["answer_ids"]
    assert (templated["answer"], whole["model"]["template"]) == (whole["answer"], "none")
    assert templated["key"] != whole["key"]
    assert "a raw prompt is the whole prompt" in found[2]["error"]["message"]
    assert "must have 1 <video>, but has no mark" in found[3]["error"]["message"]
    jobs.write_text(json.dumps({"id": 1, "media": clip, **raw}))
    assert "0 done, 0 failed, 1 skipped" in llava("batch", jobs, *options).err


def test_a_video_in_the_place_of_a_list_is_refused_with_what_was_meant(llava, files, tiny):
    result = llava("batch", files / "h264.mp4", "-m", tiny)
    assert (result.code, result.out) == (3, "")
    assert "is no text in UTF-8" in result.err
    assert f"llava caption {files / 'h264.mp4'}" in result.err
