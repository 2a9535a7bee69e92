# SPDX-License-Identifier: Apache-2.0
"""What happens when: windows and scenes of a video whose truth is known, and the files that tell of them."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path

import av
import pytest
import webvtt
from cli.lists import records
from cli.programs import started
from cli.worlds import QUESTION, SECONDS, TRUE, write

DEMO = ("-m", "demo", "-p", QUESTION)
TIMES = [(SECONDS * n, SECONDS * (n + 1)) for n in range(len(TRUE))]


@pytest.fixture(scope="session")
def world(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("world") / "clip.mp4"
    write(path)
    return path


@pytest.fixture
def clip(world, tmp_path, monkeypatch) -> Path:
    shutil.copy(world, tmp_path)
    monkeypatch.chdir(tmp_path)
    return Path("clip.mp4")


def told(found: list[dict]) -> list[tuple[float, float, str]]:
    """When, and what."""
    windows = sorted((record for record in found if "window" in record), key=lambda one: one["window"]["number"])
    return [(one["window"]["start"], one["window"]["end"], one["answer"]) for one in windows]


TRUTH = [(*span, answer) for span, answer in zip(TIMES, TRUE, strict=True)]


def test_each_window_s_answer_is_true_and_shows_its_own_frames_only(llava, clip):
    found = records(llava("caption", clip, *DEMO, "--every", "3s").out)
    assert told(found) == TRUTH
    for record in found:
        times = [frame["time"] for frame in record["media"][0]["frames"]]
        assert len(times) == 8
        assert all(record["window"]["start"] <= at < record["window"]["end"] for at in times)


@pytest.mark.parametrize("slow", [False, True])
def test_scenes_are_found_at_the_cuts_and_their_answers_are_true(llava, tmp_path, slow):
    """Also where the frame rate changes with the scene."""
    write(tmp_path / "clip.mp4", slow=slow)
    found = told(records(llava("caption", tmp_path / "clip.mp4", *DEMO, "--scenes").out))
    assert [answer for *_, answer in found] == list(TRUE)
    assert [span for start, end, _ in found for span in (start, end)] == pytest.approx(
        [at for span in TIMES for at in span], abs=0.05
    )


def test_a_list_says_it_for_each_job_and_goes_on_by_window(llava, clip):
    jobs = [{"id": "a", "media": "clip.mp4", "question": QUESTION, "every": "3s"}, {"id": "b", "media": "clip.mp4"}]
    Path("jobs.jsonl").write_text("".join(json.dumps(job) + "\n" for job in jobs))
    run = ("batch", "jobs.jsonl", *DEMO, "-o", "out.jsonl")
    assert llava(*run).code == 0
    lines = Path("out.jsonl").read_text().splitlines(keepends=True)
    assert sorted(json.loads(line)["id"] for line in lines) == ["a#1", "a#2", "a#3", "b"]
    Path("out.jsonl").write_text("".join(line for line in lines if json.loads(line)["id"] != "a#2"))
    assert "1 done, 0 failed, 3 skipped" in llava(*run).err
    assert told(records(Path("out.jsonl").read_text())) == TRUTH


@pytest.mark.slow
def test_killed_in_the_middle_it_goes_on_by_window(llava, tmp_path):
    write(tmp_path / "clip.mp4", scenes=6)
    ledger = tmp_path / "out.jsonl"
    run = ("caption", tmp_path / "clip.mp4", *DEMO, "--every", "1s", "-o", ledger, "--batch-size", "1", "-q")
    process = started(*run)
    while (not ledger.exists() or ledger.read_bytes().count(b"\n") < 5) and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()
    before = [record["id"] for record in map(json.loads, ledger.read_text().splitlines())]
    assert 5 <= len(before) < 18
    assert llava(*run).code == 0
    after = records(ledger.read_text())
    assert [record["id"] for record in after[: len(before)]] == before
    assert sorted(record["window"]["number"] for record in after) == list(range(1, 19))


def test_subtitles_are_read_by_others(llava, clip):
    """By webvtt-py, and by FFmpeg."""
    assert llava("caption", clip, *DEMO, "--every", "3s", "--format", "srt", "-o", "clip.srt").out == ""
    cues = list(webvtt.from_srt("clip.srt"))
    assert [(one.start_in_seconds, one.end_in_seconds, one.text.replace("\n", " ")) for one in cues] == TRUTH
    with av.open("clip.srt") as container:
        assert container.streams.subtitles[0].codec_context.name in ("srt", "subrip")
        packets = [packet for packet in container.demux(subtitles=0) if packet.size]
        spans = [(packet.pts, packet.pts + packet.duration) for packet in packets]
        assert [
            (float(a * p.time_base), float(b * p.time_base)) for (a, b), p in zip(spans, packets, strict=True)
        ] == TIMES


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")
def test_ffmpeg_puts_them_into_the_video(llava, clip):
    llava("caption", clip, *DEMO, "--every", "3s", "--format", "srt", "-o", "clip.srt")
    copy = "ffmpeg -v error -i clip.mp4 -i clip.srt -map 0 -map 1 -c copy -c:s mov_text both.mp4"
    assert subprocess.run(copy.split(), stdin=subprocess.DEVNULL).returncode == 0
    with av.open("both.mp4") as both:
        shown = [float(packet.pts * packet.time_base) for packet in both.demux(subtitles=0) if packet.size > 2]
    assert shown == pytest.approx([start for start, _ in TIMES], abs=0.01)


def test_sidecars_hold_all_windows_of_a_video(llava, clip):
    llava("caption", clip, *DEMO, "--every", "3s", "-o", "out.jsonl", "--sidecar", "vtt", "--prefix", "zz, ")
    cues = list(webvtt.read("clip.vtt"))
    assert [(one.start_in_seconds, one.end_in_seconds, one.text) for one in cues] == [
        (start, end, f"zz, {answer}") for start, end, answer in TRUTH
    ]
    assert [record["answer"] for record in records(Path("out.jsonl").read_text())] == list(TRUE)  # raw
    again = llava("caption", clip, *DEMO, "--every", "3s", "-o", "out.jsonl", "--sidecar", "txt")
    assert "0 done, 0 failed, 3 skipped" in again.err
    assert Path("clip.txt").read_text() == "".join(f"{answer}\n" for answer in TRUE)


def test_formats_go_to_standard_output_too(llava, clip):
    run = ("caption", clip, *DEMO, "--every", "3s")
    assert [cue.text for cue in webvtt.from_buffer(io.StringIO(llava(*run, "--format", "vtt").out))] == list(TRUE)
    assert llava(*run, "--format", "txt").out.splitlines() == list(TRUE)
    rows = llava(*run, "--format", "csv").out.splitlines()
    assert rows[0] == "id,status,media,question,answer,error,start,end"
    assert rows[2].endswith(f",{QUESTION},{TRUE[1]},,3.0,6.0")
    assert llava(*run, "--format", "srt", "--json").code == 2


def test_no_ledger_is_lost_to_a_text(llava, clip):
    run = ("caption", clip, *DEMO, "--every", "3s", "-o", "out.jsonl")
    assert llava(*run).code == 0
    before = Path("out.jsonl").read_bytes()
    assert llava(*run, "--format", "srt").code == 6
    assert Path("out.jsonl").read_bytes() == before


def test_chapters_ask_each_window_for_a_title(llava, clip):
    result = llava("caption", clip, *DEMO, "--every", "3s", "-o", "out.jsonl", "--sidecar", "ffmetadata")
    assert "6 done" in result.err
    assert sum(record.get("title", False) for record in records(Path("out.jsonl").read_text())) == 3
    with av.open("clip.ffmetadata", format="ffmetadata") as container:
        assert [(one["start"], one["end"]) for one in container.chapters()] == [(0, 9000)]


def test_a_summary_is_asked_of_all_windows_and_links_them(llava, clip):
    found = records(llava("caption", clip, *DEMO, "--every", "3s", "--summary", "--prompt-ids").out)
    whole = next(record for record in found if "summary" in record)
    assert set(whole["summary"]["windows"]) == {record["id"] for record in found if "window" in record}
    for start, end, answer in TRUTH:
        assert f"[0:0{start:.3f} - 0:0{end:.3f}] {answer}" in whole["prompt_text"]
    assert whole["usage"]["visual_tokens"] == 0


def test_subtitles_of_a_window_stand_before_its_question(llava, clip):
    Path("subs.srt").write_text("1\n00:00:01,000 --> 00:00:02,000\nLook!\n\n2\n00:00:07,000 --> 00:00:08,000\nWhy?\n")
    found = records(llava("caption", clip, *DEMO, "--every", "3s", "--context", "subs.srt", "--prompt-ids").out)
    found.sort(key=lambda record: record["window"]["number"])
    assert [[cue["text"] for cue in record.get("context", ())] for record in found] == [["Look!"], [], ["Why?"]]
    assert "These are the subtitles of what is shown:\n[0:01.000 - 0:02.000] Look!\n" in found[0]["prompt_text"]
    assert "subtitles" not in found[1]["prompt_text"]
    assert llava("caption", clip, *DEMO, "--context", "none.srt").code == 1


def test_captions_are_cut_at_sentences_and_the_record_says_so(llava, clip):
    run = ("caption", clip, "-m", "demo", "-p", "Why is it funny?", "-o", "out.jsonl", "--sidecar", "txt")
    llava(*run, "--max-sentences", "1", "--prefix", "zz, ")
    (record,) = records(Path("out.jsonl").read_text())
    assert record["caption"] == {"text": "I only know simple moving shapes.", "changes": ["sentences"]}
    assert record["answer"].startswith(record["caption"]["text"] + " ")
    assert Path("clip.txt").read_text() == "zz, I only know simple moving shapes.\n"


@pytest.mark.parametrize(
    ("options", "why"),
    [
        (("--every", "3s", "--scenes"), "--every and --scenes cannot be used together"),
        (("--every", "soon"), "--every"),
        (("--overlap", "2s"), "--overlap must be shorter than --every"),
        (("--summary",), "--summary is about windows"),
        (("--every", "3s", "--format", "mp3"), "--format"),
    ],
)
def test_what_makes_no_sense_is_refused(llava, clip, options, why):
    result = llava("caption", clip, *DEMO, *options)
    assert (result.code, why in result.err) == (2, True)


def test_scenes_without_their_library_say_what_installs_it(llava, clip, monkeypatch):
    monkeypatch.setitem(sys.modules, "scenedetect", None)
    result = llava("caption", clip, *DEMO, "--scenes")
    assert result.code == 2
    assert "pip install 'llava-cli[scenes]'" in result.err


def test_frames_shows_scenes_with_their_times(llava, clip):
    run = ("frames", clip, "-m", "demo", "--scenes")
    (record,) = records(llava(*run, "--json").out)
    assert [(one["start"], one["end"]) for one in record["windows"]] == TIMES
    assert [[frame["time"] for frame in one["frames"]] for one in record["windows"]] == [[s] for s, _ in TIMES]
    result = llava(*run, "--sheet", "sheet.png", "--dir", "frames")
    assert "3 windows" in result.out
    assert Path("sheet.png").exists()
    assert len(list(Path("frames").iterdir())) == 3
