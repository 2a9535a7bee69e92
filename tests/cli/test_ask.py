# SPDX-License-Identifier: Apache-2.0
"""`llava ask`: an answer on stdout, one line on stderr for what is wrong, and a record that says what was seen."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from llava_cli.cli.ask import read_arguments, split_arguments
from llava_cli.errors import UsageError
from llava_cli.media.worker import process
from llava_cli.media.worker.pool import DecodePool
from llava_cli.words import visible


def test_the_answer_and_nothing_else_is_on_stdout(llava, rendered, tiny):
    result = llava("ask", rendered("h264"), "Why is this funny?", "-m", tiny, "--max-new-tokens", "8", "-n", "8")
    assert result.code == 0
    assert result.out.endswith("\n")
    assert len(result.out) > 2
    plain = llava("ask", rendered("h264"), "Why is this funny?", "-m", tiny, "--max-new-tokens", "8", "-n", "8", "-q")
    assert (plain.out, plain.err) == (result.out, "")


def test_the_record_says_what_was_seen(llava, rendered, picture, tiny):
    path = rendered("h264")
    result = llava(
        "ask", path, picture, "Why?", "-m", tiny, "--json", "--frames", "4", "--start", "1", "--end", "0:03",
        "--max-new-tokens", "5", "--system", "Be brief.",
    )  # fmt: skip
    record = json.loads(result.out)
    assert result.out.count("\n") == 1
    video, still = record["media"]
    assert (video["path"], video["kind"], video["decoder"]) == (str(path), "video", "pyav")
    assert [frame["index"] for frame in video["frames"]] == [25, 37, 50, 62]
    assert (still["kind"], still["width"], still["height"]) == ("image", 90, 60)
    assert record["usage"]["visual_tokens"] == video["visual_tokens"] + still["visual_tokens"]
    assert record["usage"]["prompt_tokens"] > record["usage"]["visual_tokens"]
    assert record["usage"]["completion_tokens"] == 5
    assert record["generation"]["do_sample"] is False
    assert record["model"]["family"] == "llava-next-video"


def test_json_and_text_hold_the_same_answer(llava, picture, tiny):
    text = llava("ask", picture, "Why?", "-m", tiny, "--max-new-tokens", "9")
    record = llava("ask", picture, "Why?", "-m", tiny, "--max-new-tokens", "9", "--json")
    assert json.loads(record.out)["answer"] == text.out.rstrip("\n")


def test_an_answer_is_chosen_and_the_record_says_how_likely_each_was(llava, picture, tiny):
    options = ("-m", tiny, "--choices", "a baby,no", "--choice", "B, or C")
    plain = llava("ask", picture, "Why?", *options)
    record = json.loads(llava("ask", picture, "Why?", *options, "--json").out)
    assert plain.out == record["answer"] + "\n"
    assert [choice["text"] for choice in record["choices"]] == ["a baby", "no", "B, or C"]
    assert sum(choice["probability"] for choice in record["choices"]) == pytest.approx(1, abs=1e-4)
    best = max(record["choices"], key=lambda choice: choice["probability"])
    assert (best["text"], record["normalize"]) == (record["answer"], "none")
    assert f"{best['text']} {best['probability']:.1%}"[:-1] in plain.err
    other = json.loads(llava("ask", picture, "Why?", *options, "--normalize", "tokens", "--json").out)
    assert other["normalize"] == "tokens"
    assert [c["logprob"] for c in other["choices"]] == [c["logprob"] for c in record["choices"]]


def test_how_likely_each_token_was(llava, picture, tiny):
    options = ("-m", tiny, "--max-new-tokens", "5", "--json")
    plain = json.loads(llava("ask", picture, "Why?", *options).out)
    record = json.loads(llava("ask", picture, "Why?", *options, "--logprobs", "2").out)
    assert len(record["answer_tokens"]) == 5
    assert all(len(token["best"]) == 2 for token in record["answer_tokens"])
    assert record["answer_tokens"][0]["best"][0]["logprob"] == record["answer_tokens"][0]["logprob"]  # greedy
    assert (plain["answer"], plain["confidence"]) == (record["answer"], record["confidence"])
    assert "answer_tokens" not in plain
    assert plain["id"] != record["id"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (("--choices", "yes"), "choices are at least two"),
        (("--choices", "yes,,no"), "a choice is empty"),
        (("--choices", "yes,no", "--choice", "no"), "'no' is there twice"),
        (("--choices", "yes,no", "--logprobs", "1", "--json"), "generated answer"),
        (("--normalize", "tokens"), "--normalize is about how choices are compared: it needs --choices"),
        (("--logprobs", "1"), "--logprobs is about the record: use it with --json or --output"),
        (("--logprobs", "101", "--json"), "from 0 to 100"),
    ],
)
def test_scores_that_make_no_sense(llava, picture, tiny, options, said):
    result = llava("ask", picture, "Why?", "-m", tiny, *options)
    assert result.code == 2
    assert said in result.err


def test_a_sampled_answer_can_be_repeated_from_its_record(llava, picture, tiny):
    options = ("-m", tiny, "--max-new-tokens", "9", "--json", "--temperature", "1.4")
    first = json.loads(llava("ask", picture, "Why?", *options).out)
    seed = first["generation"]["seed"]
    assert seed is not None
    again = json.loads(llava("ask", picture, "Why?", *options, "--seed", str(seed)).out)
    assert again["answer"] == first["answer"]


def test_a_file_gets_the_record_instead_of_stdout(llava, picture, tiny, tmp_path):
    target = tmp_path / "answer.json"
    result = llava("ask", picture, "Why?", "-m", tiny, "--max-new-tokens", "3", "-o", target)
    assert (result.code, result.out) == (0, "")
    assert json.loads(target.read_text())["status"] == "ok"


def test_a_file_that_cannot_be_written_is_found_out_before_loading(llava, picture, tiny, tmp_path):
    result = llava("ask", picture, "Why?", "-m", tiny, "-o", tmp_path / "missing" / "answer.json")
    assert result.code == 6
    assert "its folder does not exist" in result.err


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "no such file"),
        (b"", "empty"),
        (b"hello, this is no video\n" * 50, ""),
        (b"ffconcat version 1.0\nfile other.mp4\n", ""),
        (b"\x00\x00\x00\x20ftypisom" + b"\x00" * 2000, ""),
    ],
)
@pytest.mark.parametrize("as_json", [False, True])
def test_a_file_that_shows_nothing_is_exit_code_3_and_one_line(llava, tiny, tmp_path, content, message, as_json):
    path = tmp_path / "clip.mp4"
    if content is not None:
        path.write_bytes(content)
    result = llava("ask", path, "Why?", "-m", tiny, *(["--json"] if as_json else []))
    assert result.code == 3
    assert result.err.count("\n") == 1
    assert str(path) in result.err
    assert message in result.err
    if as_json:
        record = json.loads(result.out)
        assert (record["status"], record["error"]["code"]) == ("error", "input")
        assert "answer" not in record
    else:
        assert result.out == ""


def test_a_video_without_frames_gets_no_answer(llava, tiny, rendered, tmp_path):
    whole = rendered("h264").read_bytes()
    cut = tmp_path / "cut.mp4"
    cut.write_bytes(whole[: len(whole) // 3])
    result = llava("ask", cut, "Why?", "-m", tiny)
    assert (result.code, result.out) == (3, "")


@pytest.mark.parametrize(
    ("arguments", "prompt", "message"),
    [
        (["clip.mp4"], None, "is missing"),
        (["Why?"], None, "is missing"),
        (["clip.mp4", "  "], None, "the question is empty"),
        (["clip.mp4"], [""], "the question is empty"),
        (["-", "-", "Why?"], None, "only once"),
        (["-"], ["-"], "only once"),
        (["clip.mp4", "-"], None, "the question is missing"),
    ],
)
def test_incomplete_command_lines(arguments, prompt, message):
    with pytest.raises(UsageError, match=message):
        read_arguments(arguments, prompt, None)


def test_the_question_may_come_as_an_option():
    assert split_arguments(["a.mp4", "b.mp4"], ["Why?"]) == (["a.mp4", "b.mp4"], ["Why?"])
    assert split_arguments(["a.mp4", "b.mp4", "Why?"]) == (["a.mp4", "b.mp4"], ["Why?"])


def test_an_unknown_device_says_what_to_do(llava, picture, tiny):
    result = llava("ask", picture, "Why?", "-m", tiny, "--device", "cuda:99")
    assert result.code == 2
    assert "--device cpu" in result.err


def test_flash_attention_without_its_package_says_what_to_do(llava, picture, tiny):
    result = llava("ask", picture, "Why?", "-m", tiny, "--attention", "flash_attention_2")
    assert result.code == 2
    assert "try sdpa" in result.err


def test_a_missing_checkpoint_is_exit_code_4(llava, picture):
    result = llava("ask", picture, "Why?", "-m", "no-such-checkpoint")
    assert result.code == 4
    assert result.err.count("\n") == 1


def test_the_second_decoder_is_said_and_recorded(llava, rendered, tiny, monkeypatch):
    broken = "import av\ndef broken(*_, **__): raise av.error.InvalidDataError(1, 'made to fail')\nav.open = broken\n"
    before, after = process.PROGRAM.split("from llava_cli.media.worker.child")
    monkeypatch.setattr(process, "PROGRAM", f"{before}\n{broken}from llava_cli.media.worker.child{after}")
    result = llava("ask", rendered("h264"), "Why?", "-m", tiny, "--json", "-n", "4", "--max-new-tokens", "2")
    assert result.code == 0, result.err
    assert "OpenCV" in result.err
    media = json.loads(result.out)["media"][0]
    assert media["decoder"] == "opencv"
    assert [frame["index"] for frame in media["frames"]] == [0, 25, 50, 75]
    assert any("OpenCV" in warning for warning in media["warnings"])


def test_standard_input_is_a_file_like_any_other(llava, as_program, rendered, tiny):
    path = rendered("h264")
    options = ("Why?", "-m", tiny, "--max-new-tokens", "6", "-n", "4", "-q")
    with path.open("rb") as stream:
        piped = as_program("ask", "-", *options, stdin=stream)
    named = llava("ask", path, *options)
    assert named.code == piped.returncode == 0
    assert piped.stdout.decode() == named.out
    assert len(named.out) > 1


def test_a_name_of_any_bytes_is_just_a_file(as_program, picture, tiny, tmp_path):
    name = os.fsencode(tmp_path) + b"/-x\xff\n:http:a.png"
    with open(name, "wb") as file:  # noqa: PTH123 (bytes)
        file.write(picture.read_bytes())
    done = as_program("ask", name, "Why?", "-m", tiny, "--json", "--max-new-tokens", "2")
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["media"][0]["kind"] == "image"


def test_a_reader_that_has_gone_ends_it_quietly(picture, tiny):
    command = [sys.executable, "-m", "llava_cli", "ask", picture, "Why?", "-m", tiny, "-q"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL)
    process.stdout.close()
    errors = process.stderr.read()
    process.stderr.close()
    assert process.wait(60) != 0
    assert errors == b""


def test_a_full_disk_is_exit_code_6(picture, tiny):
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "llava_cli", "ask", picture, "Why?", "-m", tiny, "-q"],
            stdout=full, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, timeout=60,
        )  # fmt: skip
    assert done.returncode == 6
    assert done.stderr.decode() == "llava: stdout: cannot be written: the disk is full\n"


def test_on_a_terminal_the_answer_streams_and_ends_the_same(picture, tiny, llava):
    """A terminal gets the same text, in pieces, control characters made visible, and a newline at the end."""
    import pty

    options = ["ask", str(picture), "Why?", "-m", str(tiny), "--max-new-tokens", "24", "-q"]
    master, slave = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "llava_cli", *options],
        stdout=slave, stderr=subprocess.DEVNULL, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    os.close(slave)
    shown = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(master)
    assert process.wait(60) == 0
    piped = llava(*options).out
    assert shown.decode().replace("\r\n", "\n") == visible(piped)


def test_a_conversation_from_a_file(llava, rendered, picture, tiny, tmp_path):
    """History with a system prompt; a question on the command line follows it."""
    chat = tmp_path / "chat.json"
    messages = [
        {"role": "system", "content": "Be polite."},
        {"role": "user", "content": [{"type": "image", "path": str(picture)}, {"type": "text", "text": "What is it?"}]},
        {"role": "assistant", "content": "A gradient."},
        {
            "role": "user",
            "content": [{"type": "video", "path": str(rendered("h264"))}, {"type": "text", "text": "Why?"}],
        },
    ]
    chat.write_text(json.dumps(messages))
    options = ("-m", tiny, "--json", "-n", "4", "--max-new-tokens", "5")
    whole = json.loads(llava("ask", "--conversation", chat, *options).out)
    assert (whole["status"], whole["question"]) == ("ok", "Why?")
    assert [medium["kind"] for medium in whole["media"]] == ["image", "video"]
    chat.write_text(json.dumps(messages[:3]))
    followed = json.loads(llava("ask", "--conversation", chat, rendered("h264"), "Why?", *options).out)
    assert followed["usage"] == whole["usage"]
    assert followed["answer"] == whole["answer"]
    alone = json.loads(llava("ask", rendered("h264"), "Why?", *options).out)
    assert alone["usage"]["prompt_tokens"] < whole["usage"]["prompt_tokens"]


# As the documents of the models write them: what is shown is named elsewhere.
DOCUMENTS = [
    {
        "role": "user",
        "content": [{"type": "text", "text": "Compare."}, {"type": "video", "end": 2}, {"type": "image"}],
    }
]
REPLY = {"role": "assistant", "content": [{"type": "text", "text": "They differ."}]}


@pytest.fixture
def documents(tmp_path) -> Path:
    chat = tmp_path / "chat.json"
    chat.write_text(json.dumps(DOCUMENTS))
    return chat


def test_media_without_a_path_are_those_of_the_command_line(llava, rendered, picture, tiny, documents):
    options = ("-m", tiny, "--json", "-n", "4", "--max-new-tokens", "5")
    video = str(rendered("h264"))
    whole = json.loads(llava("ask", "--conversation", documents, video, picture, *options).out)
    assert (whole["status"], whole["question"], whole["model"]["template"]) == ("ok", "Compare.", "checkpoint")
    assert [medium["path"] for medium in whole["media"]] == [video, str(picture)]
    assert whole["media"][0]["sampling"]["end"] == 2
    assert whole["messages"][0]["content"][1:] == [
        {"type": "video", "path": video, "end": 2}, {"type": "image", "path": str(picture)},
    ]  # fmt: skip
    assert whole["media"][0]["visual_tokens"] == 16
    planned = json.loads(llava("ask", "--conversation", documents, video, picture, *options, "--dry-run").out)
    assert [medium["path"] for medium in planned["media"]] == [video, str(picture)]
    assert (planned["messages"], planned["usage"]["prompt_tokens"]) == (
        whole["messages"], whole["usage"]["prompt_tokens"],
    )  # fmt: skip
    documents.write_text(json.dumps([*DOCUMENTS, REPLY]))
    followed = json.loads(llava("ask", "--conversation", documents, video, picture, video, "And?", *options).out)
    assert (followed["question"], len(followed["media"])) == ("And?", 3)
    assert len(followed["messages"]) == 2


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["a.mp4"], 2, "chat.json: media without a path: 2, but media named for them: 1"),
        (["a.mp4", "b.png", "{here}"], 2, "chat.json: media without a path: 2, but media named for them: 3"),
        ([], 2, "chat.json: media without a path: 2, but media named for them: 0"),
        (["a.mp4", "-p", "Why?"], 2, "chat.json: media without a path: 2, but media named for them: 1"),
        (["a.mp4", "b.png", " "], 2, "chat.json: the question is empty"),
        (["{picture}", "{picture}"], 3, "is an image, but the conversation says video"),
    ],
)
def test_media_that_do_not_fit_a_conversation_are_one_line(llava, picture, tiny, documents, arguments, code, message):
    named = [argument.format(here=documents, picture=picture) for argument in arguments]
    result = llava("ask", "--conversation", documents, *named, "-m", tiny)
    assert result.code == code
    assert result.err.count("\n") == 1
    assert message in result.err


@pytest.mark.parametrize(
    ("messages", "message"),
    [
        ([{"role": "user", "content": "Hello"}], "shows no video"),
        ([{"role": "user", "content": "Hello"}, {"role": "assistant", "content": "Hi"}], "a question must follow"),
    ],
)
def test_a_conversation_that_cannot_be_answered(llava, tiny, tmp_path, messages, message):
    chat = tmp_path / "chat.json"
    chat.write_text(json.dumps(messages))
    result = llava("ask", "--conversation", chat, "-m", tiny)
    assert result.code == 3
    assert message in result.err


def test_a_dry_run_reads_no_weights(llava, rendered, tiny, tmp_path):
    import shutil

    copy = shutil.copytree(tiny, tmp_path / "copy")
    (copy / "model.safetensors").write_bytes(b"no weights")
    result = llava("ask", rendered("h264"), "Why?", "-m", copy, "-n", "4", "--dry-run")
    assert result.code == 0
    assert "4 frames of 56x56, 16 visual tokens" in result.out
    record = json.loads(llava("ask", rendered("h264"), "Why?", "-m", copy, "-n", "4", "--dry-run", "--json").out)
    assert record["status"] == "planned"
    assert set(record["memory"]) == {"weights", "cache", "activations", "free", "fixed", "total"}
    assert "answer" not in record


def test_a_dry_run_shows_what_each_device_would_hold(llava, rendered, monkeypatch):
    monkeypatch.setattr("torch.cuda.device_count", lambda: 2)
    monkeypatch.setattr("llava_cli.engine.planning.free_memory", lambda device: 10 << 30)
    asked = ("ask", rendered("h264"), "Why?", "-m", "next-video-7b", "--dummy-weights", "--dtype", "bfloat16",
             "-n", "4", "--dry-run", "--device-map")  # fmt: skip
    lines = llava(*asked, "auto").out.splitlines()
    assert lines[0] == "next-video-7b: llava-next-video, bfloat16 on cuda:0"
    first, last = (re.search(r"layers (\d+)-(\d+): (.*)", line).groups() for line in lines[1:3])
    assert (first[0], int(first[1]) + 1, last[1]) == ("0", int(last[0]), "31")
    assert (first[2], last[2]) == ("cuda:0", "cuda:1")
    assert [line.partition(": ")[0] for line in lines[5:8]] == ["memory of cuda:0", "memory of cuda:1", "memory in all"]
    record = json.loads(llava(*asked, "auto", "--json").out)
    devices = record["memory"]["devices"]
    assert list(devices) == list(record["model"]["device_map"]) == ["cuda:0", "cuda:1"]
    assert record["memory"]["total"] == pytest.approx(sum(sizes["total"] for sizes in devices.values()), abs=2)
    assert "this does not fit" in llava(*asked, "auto=3G").out


def test_layers_on_disk_answer_the_same_and_the_record_says_where_they_lie(llava, picture, tiny, monkeypatch):
    asked = ("ask", picture, "Why?", "-m", tiny, "--dtype", "float32", "--json")
    one = json.loads(llava(*asked, "--device", "cpu").out)
    several = json.loads(llava(*asked, "--device-map", "cpu,disk").out)
    assert several["answer"] == one["answer"]
    assert "device_map" not in one["model"]
    assert (several["model"]["device"], several["model"]["device_map"]) == ("cpu", {"cpu": "0-1"})
    monkeypatch.setenv("LLAVA_DEVICE_MAP", "cpu=1M,disk")
    refused = json.loads(llava(*asked).out)
    assert refused["error"]["code"] == "out_of_memory"
    assert "of 0.0 GiB free on cpu; choose a smaller checkpoint" in refused["error"]["message"]


def test_a_device_and_a_device_map_are_one_too_many(llava, picture, tiny):
    result = llava("ask", picture, "Why?", "-m", tiny, "--device", "cpu", "--device-map", "cpu,disk")
    assert result.code == 2
    assert "--device and --device-map cannot be used together" in result.err


def test_too_many_frames_are_named_or_fitted(llava, rendered, tiny, tmp_path):
    import shutil

    short = shutil.copytree(tiny, tmp_path / "short")
    config = json.loads((short / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 200
    (short / "config.json").write_text(json.dumps(config))
    options = ("-m", short, "-n", "80", "--max-new-tokens", "5", "--json")
    refused = llava("ask", rendered("h264"), "Why?", *options)
    assert refused.code == 2
    error = json.loads(refused.out)["error"]
    assert error["code"] == "context"
    fitted = json.loads(llava("ask", rendered("h264"), "Why?", *options, "--fit").out)
    frames = len(fitted["media"][0]["frames"])
    assert f"--frames {frames} would fit" in error["message"]
    assert fitted["usage"]["prompt_tokens"] + 5 <= 200
    assert str(frames) in fitted["warnings"][0]


@pytest.mark.parametrize(
    "options", [("--4bit", "--8bit"), ("--quantize-all",), ("--rope-scaling", "yarn:2"), ("--rope-scaling", "linear:x")]
)
def test_options_that_contradict(llava, picture, tiny, options):
    assert llava("ask", picture, "Why?", "-m", tiny, *options).code == 2


WHOLE = "USER: <video>\nWhy? ASSISTANT:"


def test_a_raw_prompt_is_asked_as_it_is_and_the_record_can_tell_all_of_it(llava, rendered, tiny):
    options = ("-m", tiny, "-n", "4", "--max-new-tokens", "5", "--json", "--prompt-ids")
    raw = json.loads(llava("ask", rendered("h264"), WHOLE, "--raw", *options).out)
    asked = json.loads(llava("ask", rendered("h264"), "Why?", *options).out)
    assert (raw["question"], raw["prompt_text"], asked["prompt_text"]) == (WHOLE,) * 3
    assert (raw["model"]["template"], asked["model"]["template"]) == ("none", "checkpoint")
    for key in ("answer", "usage", "prompt_ids", "answer_ids"):
        assert raw[key] == asked[key]
    assert raw["warnings"] == asked["warnings"]
    assert "cut off" in "".join(raw["warnings"])
    assert sum(count for _, count in raw["prompt_ids"]) == raw["usage"]["prompt_tokens"]
    assert max(count for _, count in raw["prompt_ids"]) == raw["usage"]["visual_tokens"]
    assert len(raw["answer_ids"]) == 5
    assert raw["id"] != asked["id"]


def test_a_whole_prompt_that_will_be_wrapped_again_is_warned_of(llava, rendered, tiny):
    result = llava("ask", rendered("h264"), WHOLE, "-m", tiny, "-n", "4", "--max-new-tokens", "2", "--json")
    warning, cut = json.loads(result.out)["warnings"]
    assert "--raw" in warning
    assert "cut off" in cut
    assert result.err.count(warning) == 1


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (("Why?", "--raw"), "must have 1 <video>, but has no mark"),
        ((WHOLE, "--raw", "--system", "Be brief."), "a raw prompt is the whole prompt"),
        ((WHOLE, "--raw", "--template", "{{ messages }}"), "a raw prompt is the whole prompt"),
        (("Why?", "--template", "{{ a }}\n{% if %}"), "line 2: "),
        (("Why?", "--template", "nowhere.jinja"), "nowhere.jinja: no such file"),
        (("Why?", "--template", "{{ messages[0].role }}"), "does not show every text"),
        (("Why?", "--prompt-ids"), "--json"),
    ],
)
def test_prompts_that_make_no_sense(llava, rendered, tiny, options, told):
    result = llava("ask", rendered("h264"), *options, "-m", tiny, "-n", "4", "--dry-run")
    assert (result.code, result.out) == (2, "")
    assert told in result.err


def test_a_template_of_the_user_s_own(llava, rendered, tiny, tmp_path):
    options = (
        "ask",
        rendered("h264"),
        "Why?",
        "-m",
        tiny,
        "-n",
        "4",
        "--max-new-tokens",
        "5",
        "--json",
        "--prompt-ids",
    )
    own = json.loads(llava(*options).out)
    given = json.loads(llava(*options, "--template", tiny / "chat_template.json").out)
    assert given["template_sha256"]
    assert (own["model"].pop("template"), given["model"].pop("template")) == ("checkpoint", "user")
    for key in ("answer", "usage", "prompt_text", "prompt_ids", "answer_ids", "model"):
        assert given[key] == own[key]
    mine = tmp_path / "mine.jinja"
    mine.write_text(
        "{% for m in messages %}Q:{% for p in m.content %}{{ p.text or '<video>' }}{% endfor %}{% endfor %}"
    )
    assert json.loads(llava(*options, "--template", mine).out)["prompt_text"] == "Q:<video>Why?"


def test_the_prompt_is_shown_by_a_dry_run_and_told_in_detail(llava, rendered, tiny):
    options = ("ask", rendered("h264"), "Why?\x1b[2J", "-m", tiny, "-n", "4", "--max-new-tokens", "2")
    shown = llava(*options, "--dry-run")
    assert "\n  USER: <video>\n  Why?" in shown.out
    planned = json.loads(llava(*options, "--dry-run", "--json").out)
    assert planned["prompt_text"] == "USER: <video>\nWhy?\x1b[2J ASSISTANT:"
    assert "prompt_ids" not in planned
    told = llava(*options, "-v")
    assert '"USER: <video>\\nWhy?\\u001b[2J ASSISTANT:"' in told.err
    assert "\x1b" not in told.err


@pytest.mark.parametrize("name", ["interleave-0.5b", "next-video-7b", "video-llava-7b", "llava-video-7b"])
def test_a_dry_run_of_a_released_checkpoint_needs_no_download(llava, rendered, monkeypatch, tmp_path, name):
    import huggingface_hub.constants

    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_CACHE", str(tmp_path))
    monkeypatch.setattr("huggingface_hub.snapshot_download", None)
    result = llava("ask", rendered("h264"), "Why?", "-m", name, "--dry-run", "--json")
    assert result.code == 0, result.err
    record = json.loads(result.out)
    assert (record["status"], record["model"]["checkpoint"], record["model"]["dummy"]) == ("planned", name, True)
    assert "its published shape" in record["warnings"][0]
    assert record["warnings"][0] in result.err
    assert record["memory"]["total"] > 1 << 30


def test_several_questions_are_answered_in_order_and_the_media_decoded_once(
    llava, rendered, tiny, tmp_path, monkeypatch
):
    decoded = []
    submit = DecodePool.submit
    monkeypatch.setattr(DecodePool, "submit", lambda self, media: decoded.append(media) or submit(self, media))
    options = ("-m", tiny, "-n", "4", "--max-new-tokens", "6", "--dtype", "float32")
    asked = (rendered("h264"), "-p", "Why?", "-p", "What colour?", *options)
    result = llava("ask", *asked, "--json")
    assert len(decoded) == 1
    answers = [json.loads(line) for line in result.out.splitlines()]
    assert [answer["question"] for answer in answers] == ["Why?", "What colour?"]
    alone = [llava("ask", rendered("h264"), question, *options).out for question in ("Why?", "What colour?")]
    assert [f"{answer['answer']}\n" for answer in answers] == alone
    assert llava("ask", *asked).out == "".join(alone)
    assert llava("ask", *asked, "-o", tmp_path / "both.jsonl").out == ""
    lines = (tmp_path / "both.jsonl").read_text().splitlines()
    assert [json.loads(line)["answer"] for line in lines] == [answer["answer"] for answer in answers]


def test_a_failure_names_the_question_that_failed(llava, rendered, tiny):
    failing = "Why? " * 9000
    result = llava(
        "ask", rendered("one_frame"), "-p", "Why?", "-p", failing, "-m", tiny, "--max-new-tokens", "2", "--json"
    )
    assert result.code == 2
    first, second = map(json.loads, result.out.splitlines())
    assert (first["status"], first["question"]) == ("ok", "Why?")
    assert (second["status"], second["question"]) == ("error", failing)


@pytest.mark.parametrize("append", [(), ("--append",)])
def test_a_file_keeps_the_answers_that_came_before_a_failure(llava, rendered, tiny, tmp_path, append):
    path, options = tmp_path / "out.jsonl", ("-m", tiny, "--max-new-tokens", "2")
    result = llava("ask", rendered("one_frame"), "-p", "Why?", "-p", "Why? " * 9000, *options, "-o", path, *append)
    assert (result.code, result.out) == (2, "")
    assert [json.loads(line)["status"] for line in path.read_text().splitlines()] == ["ok", "error"]
    again = ("ask", rendered("one_frame"), "-p", "Who?", "-p", "Where?", *options, "-o", path)
    assert llava(*again).code == 6  # it has several records now
    assert llava(*again, "--append").code == 0
    assert len(path.read_text().splitlines()) == 4


def test_output_to_standard_output_has_the_record_of_a_failure_too(llava, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = llava("ask", "none.mp4", "Why?", "-m", tiny, "-o", "-")
    assert (result.code, json.loads(result.out)["status"]) == (3, "error")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("question", [b"Wh\xff?", b"@q.txt", b"-"])
def test_every_question_is_unicode(as_program, picture, tiny, tmp_path, monkeypatch, question):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "q.txt").write_bytes(b"Wh\xff?")
    with (tmp_path / "q.txt").open("rb") as stream:
        done = as_program("ask", picture, "-p", "Why?", "-p", question, "-m", tiny, stdin=stream)
    assert (done.returncode, done.stdout) == (2 if question.startswith(b"W") else 3, b"")
    assert done.stderr.count(b"\n") == 1


def test_a_question_comes_from_a_file_or_a_pipe(llava, as_program, picture, tiny, tmp_path):
    (tmp_path / "question.txt").write_text("Why?\n")
    options = ("-m", tiny, "--max-new-tokens", "2", "--json")
    assert json.loads(llava("ask", picture, "-p", f"@{tmp_path}/question.txt", *options).out)["question"] == "Why?"
    with (tmp_path / "question.txt").open("rb") as stream:
        assert json.loads(as_program("ask", picture, "-p", "-", *options, stdin=stream).stdout)["question"] == "Why?"


def test_output_to_standard_output_prints_the_record(llava, picture, tiny, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = llava("ask", picture, "Why?", "-m", tiny, "--max-new-tokens", "2", "-o", "-")
    assert json.loads(result.out)["status"] == "ok"
    assert list(tmp_path.iterdir()) == []


def test_a_cut_answer_is_said_once_and_stands_in_the_record(llava, picture, tiny):
    options = ("ask", picture, "Why?", "-m", tiny, "--max-new-tokens", "3")
    cut = "the answer was cut off after 3 tokens; --max-new-tokens allows longer ones"
    assert llava(*options).err.count(f"llava: {cut}\n") == 1
    recorded = llava(*options, "--json", "-q")
    assert (json.loads(recorded.out)["warnings"], recorded.err) == ([cut], "")


def test_a_folder_that_looks_like_markup_is_an_ordinary_one(llava, rendered, tiny, tmp_path):
    folder = tmp_path / "dir["
    folder.mkdir()
    for command in (["ask", "-p", "Why?"], ["caption"], ["frames"]):
        path = shutil.copytree(rendered("one_frame").parent, folder / "x].mp4", dirs_exist_ok=True)
        result = llava(*command, path / rendered("one_frame").name, "-m", tiny)
        assert result.code == 0, result.err
