# SPDX-License-Identifier: Apache-2.0
"""The door for Python users: README's example on the demo checkpoint, and what importing it costs."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

import llava_cli as llava
from llava_cli.demo.show import write_clip, write_still

README = Path(__file__).parents[1] / "README.md"


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("media")
    write_clip(folder / "video.mp4")
    for name in ("before.jpg", "after.jpg"):
        write_still(folder / name)
    return folder


@pytest.fixture(scope="module")
def model():
    with llava.load("demo") as model:
        yield model


def test_the_public_names_are_these_and_all_of_them_are_there():
    assert llava.__all__ == sorted([
        "Answer", "AnswerStream", "Chat", "Clip", "ExitCode", "Failure", "InputError", "Job", "Limits", "LlavaError",
        "Model", "ModelError", "OutOfMemory", "OutputError", "Still", "UsageError", "__version__", "connect", "frames",
        "load",
    ])  # fmt: skip
    assert all(getattr(llava, name) is not None for name in llava.__all__)
    assert dir(llava) == llava.__all__
    with pytest.raises(AttributeError, match="no attribute 'lode'"):
        llava.lode  # noqa: B018


@pytest.mark.parametrize("statement", ["import llava_cli", "from llava_cli import UsageError, Limits"])
def test_importing_it_imports_nothing_heavy(statement):
    heavy = ["torch", "transformers", "av", "cv2", "numpy", "PIL", "typer", "rich", "huggingface_hub", "jinja2"]
    program = f"{statement}\nimport sys\nprint(sorted(set({heavy!r}) & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_readme_s_example_runs(folder, monkeypatch, capfd):
    (example,) = re.findall(r"```python\n(import llava_cli as llava\n.*?)```", README.read_text(), re.DOTALL)
    monkeypatch.chdir(folder)
    capfd.readouterr()
    exec(compile(example.replace('"onevision-7b", quantization="4bit"', '"demo"'), "README.md", "exec"), {})
    out, err = capfd.readouterr()
    assert "red circle" in out
    assert err == ""


def test_an_answer_says_all_there_is_to_know(model, folder):
    answer = model.ask("What colour is it?", folder / "video.mp4", frames=6, start="0:01", seed=None)
    assert (answer.text, str(answer)) == ("The circle is red.",) * 2
    assert (answer.finish_reason, answer.warnings) == ("stop", ())
    assert len(answer.media[0].times) == 6
    assert min(answer.media[0].times) >= 1
    assert 0 < answer.visual_tokens < answer.prompt_tokens


def test_a_choice_is_made_by_likelihood_one_by_one_and_in_lists(model, folder):
    path, choices = folder / "video.mp4", ["The circle is blue.", "The circle is red."]
    answer = model.choose("What colour is it?", path, choices=choices, normalize="tokens")
    assert answer.text == "The circle is red."
    assert [choice.text for choice in answer.choices] == choices
    assert answer.choices[1].probability == max(choice.probability for choice in answer.choices) > 0.8
    assert answer.confidence > 0.9
    assert answer.record()["normalize"] == "tokens"
    (mapped,) = model.map([{"media": path, "question": "What colour is it?", "choices": choices}], normalize="tokens")
    assert mapped.record()["choices"] == answer.record()["choices"]
    told = model.ask("What colour is it?", path, logprobs=1)
    assert [token.id for token in told.tokens] == [token.best[0].id for token in told.tokens]
    with pytest.raises(llava.UsageError, match="at least two"):
        model.choose("Why?", path, choices="yes,no")


def test_a_device_map_is_the_option_s(folder):
    with llava.load("demo", device_map="cpu=8G,disk") as model:
        assert model.info.device_map == {"cpu": "0-3"}
        assert model.ask("What colour is it?", folder / "video.mp4", frames=6).text == "The circle is red."
    with pytest.raises(llava.UsageError, match="'gpu' is no device map"):
        llava.load("demo", device_map="gpu")


def test_a_record_is_the_command_line_s(model, folder):
    path = folder / "video.mp4"
    record = model.ask("What happens?", path, frames=4, max_new_tokens=9).record()
    command = [sys.executable, "-m", "llava_cli", "ask", path, "What happens?", "-m", "demo", "-n", "4", "--json"]
    done = subprocess.run([*command, "--max-new-tokens", "9"], capture_output=True, check=True)
    other = json.loads(done.stdout)
    assert record.keys() == other.keys()
    del record["timing"], other["timing"]
    assert record == other


def test_prompts_can_be_written_and_seen(model, folder):
    path = folder / "video.mp4"
    plain = model.ask("What colour is it?", path, prompt_ids=True)
    raw = model.ask(plain.prompt_text, path, raw=True, prompt_ids=True)
    given = model.ask("What colour is it?", path, template=model._session.family.template, prompt_ids=True)
    for answer in (raw, given):
        assert (answer.text, answer.prompt_text) == (plain.text, plain.prompt_text)
        for key in ("prompt_text", "prompt_ids", "answer_ids"):
            assert answer.record()[key] == plain.record()[key]
    jobs = [{"media": path, "question": plain.prompt_text, "raw": True}]
    (mapped,) = model.map(jobs, system="Be brief.", prompt_ids=True)
    assert mapped.record()["prompt_ids"] == plain.record()["prompt_ids"]


def test_pieces_join_to_the_answer(model, folder):
    stream = model.stream("What happens?", folder / "video.mp4")
    pieces = list(stream)
    assert len(pieces) > 2
    assert "".join(pieces) == stream.answer.text == model.ask("What happens?", folder / "video.mp4").text


def test_a_stream_may_be_given_up(model, folder):
    with model.stream("What happens?", folder / "video.mp4") as stream:
        next(stream)
    assert stream.answer is None
    assert model.ask("What happens?", folder / "video.mp4").text


def test_frames_need_no_torch(folder):
    program = (
        "import sys, llava_cli as llava\n"
        f"clip = llava.frames({str(folder / 'video.mp4')!r}, count=3, size=(20, 30))\n"
        "print(clip.frames.shape, clip.indices, 'torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "(3, 20, 30, 3) (0, 24, 48) False\n"


def test_errors_are_the_commands_and_nothing_is_printed(model, folder, capfd):
    cases = [
        (llava.InputError, 3, lambda: model.ask("Why?", folder / "none.mp4")),
        (llava.UsageError, 2, lambda: model.ask(" ", folder / "video.mp4")),
        (llava.UsageError, 2, lambda: model.ask("Why?", folder / "video.mp4", frames=0)),
        (llava.UsageError, 2, lambda: model.ask("Why? " * 3000, folder / "video.mp4")),
        (llava.UsageError, 2, lambda: model.ask("Why?", folder / "video.mp4", start="soon")),
        (llava.UsageError, 2, lambda: model.ask("Why?", folder / "video.mp4", raw=True)),
        (llava.UsageError, 2, lambda: model.ask("<video>", folder / "video.mp4", raw=True, system="Be brief.")),
        (llava.UsageError, 2, lambda: model.ask("Why?", folder / "video.mp4", template="{% if %}")),
        (llava.UsageError, 2, lambda: model.map([], raw=True, template="{{ messages }}").__next__()),
        (llava.UsageError, 2, lambda: model.chat(folder / "video.mp4", raw=True)),
        (llava.UsageError, 2, lambda: model.ask("Why?", folder / "video.mp4", sampling="random")),
        (llava.UsageError, 2, lambda: model.ask("Why?", folder / "video.mp4", max_new_tokens=0)),
        (llava.UsageError, 2, lambda: model.ask("Why?", folder / "video.mp4", temperature=float("nan"))),
        (llava.ModelError, 4, lambda: llava.load(folder)),
        (llava.InputError, 3, lambda: llava.frames(folder / "none.mp4")),
    ]
    for kind, code, fails in cases:
        with pytest.raises(kind) as raised:
            fails()
        assert raised.value.exit_code == code
    assert capfd.readouterr() == ("", "")


def test_progress_is_told_stage_by_stage(folder):
    told: list[tuple[str, int, int]] = []
    with llava.load("demo", progress=lambda *stage: told.append(stage)) as model:
        model.ask("What happens?", folder / "video.mp4")
    stages = [stage for stage, count, _ in told if count == 0]
    assert stages[0] == "starting"
    assert f"reading {folder / 'video.mp4'}" in stages
    assert "loading demo" in stages
    assert all((stage, total, total) in told for stage, _, total in told)


def test_a_kept_checkpoint_answers_from_its_worker(folder):
    with llava.load("demo", keep="1m") as model:
        answer = model.ask("What colour is it?", folder / "video.mp4")
        assert answer.record()["model"]["worker"] is True
    with llava.load("demo") as model:
        assert str(model.ask("What colour is it?", folder / "video.mp4")) == str(answer)
    with pytest.raises(llava.UsageError, match="5m"):
        llava.load("demo", keep="soon")


def test_an_answer_may_have_a_shape(model, folder, tmp_path):
    path = folder / "video.mp4"
    (tmp_path / "colour.lark").write_text('start: "The " /[a-z]+/ " is " /[a-z]+/ "."')
    assert model.ask("What colour is it?", path, grammar=tmp_path / "colour.lark").text == "The circle is red."
    assert model.ask("What colour is it?", path, regex="[A-Z][a-z ]+[.]").text == "The circle is red."
    colours = {"properties": {"colour": {"enum": ["red", "blue"]}}, "required": ["colour"], "type": "object"}
    answer = model.ask("What colour is it?", path, schema=colours | {"additionalProperties": False})
    assert answer.parsed == answer.record()["parsed"] == {"colour": "red"}
    assert model.ask("What colour is it?", path).parsed is None
    jobs = [{"media": path, "question": "What colour is it?", **shape} for shape in ({"regex": "red|blue"}, {})]
    answers = {answer.job.constraint is None: answer.text for answer in model.map(jobs, schema="moves bool")}
    assert answers.keys() == {True, False}
    assert answers[False] == "red"
    assert json.loads(answers[True])["moves"] in (True, False)
    with pytest.raises(llava.LlavaError) as cut:
        model.ask("What happens?", path, regex="[A-Za-z ]+[.]", max_new_tokens=3)
    assert (cut.value.code, cut.value.exit_code) == ("cut", 1)
    with pytest.raises(llava.UsageError, match=r"^the schema: Invalid type: x"):
        model.ask("Why?", path, schema={"type": "x"})
