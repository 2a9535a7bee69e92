# SPDX-License-Identifier: Apache-2.0
"""Checkpoints that mean harm: an error of one line, exit code 4 or 5, in bounded time, and nothing of theirs is run."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import socket
import struct
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from pictures import clip, still
from safetensors.torch import load_file, save_file

from llava_cli.engine.loader import Loader
from llava_cli.engine.types import Generation, LoadOptions, Query
from llava_cli.errors import ExitCode, LlavaError, ModelError, OutOfMemory
from llava_cli.models import settings
from llava_cli.models.checkpoint import open_checkpoint
from llava_cli.models.messages import ask
from llava_cli.models.registry import family_of
from llava_cli.models.rendering import parent as rendering

FAMILIES = ["llava-next-video", "video-llava", "llava-interleave", "llava-onevision", "llava-video", "llava-onevision2"]
SECONDS = 20
"""No hostile checkpoint may keep a machine busy for longer; a tiny one that is in order takes half a second."""
CASES = 30
Change = Callable[[Path], object]


class Canary:
    """Whoever unpickles it is told on."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return os.mkdir, (str(self.file),)


@pytest.fixture
def canary(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder that a pickle or a module of code makes where it is run."""
    place = tmp_path_factory.mktemp("canary") / "sings"
    yield place
    assert not place.exists(), "code of the checkpoint has run"


@pytest.fixture(autouse=True)
def no_network(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    asked: list[object] = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, address: asked.append(address))
    monkeypatch.setattr(socket, "getaddrinfo", lambda *about, **more: asked.append(about) or [])
    yield
    assert asked == []


def answer_of(folder: Path) -> str:
    """The whole road, from the folder to an answer about a clip and a still."""
    family = family_of(open_checkpoint(str(folder)))
    loader = Loader(family, LoadOptions(device="cpu", dtype="float32"))
    shown = [clip(min(family.view.sampling.frames, 4), *family.view.size), still(48, 64)]
    asked, generation = ask("Why is this funny, and what happens then?", shown), Generation(max_new_tokens=3)
    prompt = loader.prompt(asked, 3)
    loader.check_memory([(len(prompt.ids), 3)])
    return loader.load().answer([Query(asked, generation, prompt)])[0].text


def failure_of(folder: Path) -> LlavaError | None:
    """What the user is told; None where there is an answer. Any other exception is a bug."""
    started = time.monotonic()
    failure = None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            answer_of(folder)
        except LlavaError as error:
            failure = error
    assert time.monotonic() - started < SECONDS
    assert failure is None or "\n" not in str(failure)
    return failure


@pytest.fixture
def copied(checkpoints: Callable[[str], Path], tmp_path: Path) -> Callable[[str], Path]:
    """Return a function that copies a family's tiny checkpoint into a folder of its own."""

    def copy(family: str = "llava-next-video") -> Path:
        folder = tmp_path / "checkpoint"
        shutil.rmtree(folder, ignore_errors=True)
        return Path(shutil.copytree(checkpoints(family), folder))

    return copy


def said(folder: Path, filename: str, path: str, value: object) -> None:
    """Have a JSON file of the folder say something at a path."""
    file = folder / filename
    content = json.loads(file.read_text()) if file.exists() else {}
    *parts, key = path.split(".")
    place = content
    for part in parts:
        place = place.setdefault(part, {})
    place[key] = value
    file.write_text(json.dumps(content))


def index(folder: Path, *names: str) -> None:
    (folder / "model.safetensors").rename(folder / "whole.safetensors")
    said(folder, "model.safetensors.index.json", "weight_map", {f"w{i}": name for i, name in enumerate(names)})


def weights(change: Callable[[dict[str, torch.Tensor]], object]) -> Change:
    def changed(folder: Path) -> None:
        known = load_file(folder / "model.safetensors")
        change(known)
        save_file(known, folder / "model.safetensors", {"format": "pt"})

    return changed


def filled(number: float, part: str = "") -> Change:
    return weights(lambda known: [known[name].fill_(number) for name in known if part in name])


def test_the_checkpoints_answer_as_they_are(copied):
    for family in FAMILIES:
        assert failure_of(copied(family)) is None


NUMBERS = [-1, 0, 1, 2, 3, 7, 13, 100, 10**6, 10**9, 10**18, 10**400, 0.5, 1e308]
VALUES = [*NUMBERS, "x", "", [], {}, [[]], True, None, [1] * 100, "full", {"rope_type": "yarn"}]
FIELDS = [
    *settings._WHOLE, *(f"text_config.{key}" for key in settings._TEXT),
    *(f"vision_config.{key}" for key in settings._VISION),
    *(f"text_config.rope_scaling.{key}" for key in settings._ROPE),
]  # fmt: skip


@pytest.mark.parametrize("family", FAMILIES)
def test_no_field_of_the_config_is_a_crash(copied, family):
    """A few of all there are, others for each family; more by LLAVA_FUZZ."""
    rng = random.Random(family)
    cases = [(field, value) for field in FIELDS for value in VALUES]
    folder = copied(family)
    plain = (folder / "config.json").read_text()
    for field, value in rng.sample(cases, int(os.environ.get("LLAVA_FUZZ", CASES))):
        said(folder, "config.json", field, value)
        failure = failure_of(folder)
        (folder / "config.json").write_text(plain)
        if failure is not None and failure.code != "context":  # a short context is no harm
            assert failure.exit_code in (ExitCode.MODEL, ExitCode.OUT_OF_MEMORY), (field, value, failure)


@pytest.mark.parametrize(
    ("field", "value"),
    [("vision_feature_layer", 0), ("text_config.num_attention_heads", 64), ("text_config.num_key_value_heads", 3),
     ("text_config.pad_token_id", 10**6), ("vision_config.patch_size", 55), ("vision_config.num_attention_heads", 5)],
)  # fmt: skip
def test_parts_that_do_not_fit_are_told(copied, field, value):
    folder = copied()
    said(folder, "config.json", field, value)
    failure = failure_of(folder)
    assert isinstance(failure, ModelError), failure


def test_a_model_of_terabytes_is_refused_before_it_is_made(copied):
    folder = copied()
    for key, value in {"hidden_size": 1 << 17, "num_hidden_layers": 512, "intermediate_size": 1 << 19}.items():
        said(folder, "config.json", f"text_config.{key}", value)
    assert isinstance(failure_of(folder), OutOfMemory)


@pytest.mark.parametrize(
    ("filename", "path", "value"),
    [
        ("video_preprocessor_config.json", "num_frames", 10**9),
        ("video_preprocessor_config.json", "num_frames", 0),
        ("preprocessor_config.json", "image_std", [0, 0, 0]),
        ("preprocessor_config.json", "image_std", [float("nan")] * 3),
        ("preprocessor_config.json", "image_mean", [float("inf")] * 3),
        ("preprocessor_config.json", "resample", 10**9),
        ("processor_config.json", "chat_template", "{{ 'a' * 10000000000 }}"),
        ("generation_config.json", "eos_token_id", "x"),
        ("tokenizer_config.json", "bos_token", 7),
    ],
)
def test_other_files_that_make_no_sense_are_told(copied, filename, path, value):
    folder = copied()
    (folder / "chat_template.json").unlink()
    said(folder, filename, path, value)
    assert isinstance(failure_of(folder), ModelError)


@pytest.mark.parametrize("name", ["config.json", "tokenizer_config.json", "preprocessor_config.json", "tokenizer.json"])
@pytest.mark.parametrize(
    "spoil",
    [
        lambda file: file.symlink_to("/dev/zero"),
        lambda file: file.symlink_to("/etc/passwd"),
        lambda file: file.symlink_to(file.name),
        lambda file: os.mkfifo(file),
        lambda file: file.mkdir(),
        lambda file: file.write_bytes(b"[" * 1_000_000),
        lambda file: file.write_bytes(b'{"a":' * 100_000),
        lambda file: file.touch() or os.truncate(file, 1 << 30),
    ],
)
def test_what_is_no_plain_file_of_a_sane_size_is_not_read(copied, name, spoil):
    folder = copied()
    (folder / name).unlink()
    spoil(folder / name)
    assert isinstance(failure_of(folder), ModelError)


@pytest.mark.parametrize("name", ["weights.bin", "pytorch_model.bin", "../outside.safetensors", "sub/weights.bin"])
def test_an_index_opens_no_pickle(copied, canary, name):
    folder = copied()
    (folder / name).parent.mkdir(exist_ok=True)
    torch.save(Canary(canary), folder / name)
    index(folder, "whole.safetensors", name)
    failure = failure_of(folder)
    assert isinstance(failure, ModelError)
    assert "only *.safetensors files of the same folder are read" in str(failure)


def test_a_pickle_under_the_name_of_safetensors_is_damaged(copied, canary):
    folder = copied()
    (folder / "model.safetensors").write_bytes(pickle.dumps(Canary(canary)) * 20)
    assert "cannot be loaded" in str(failure_of(folder))


def test_nothing_else_in_the_folder_is_looked_at(copied, canary):
    """Adapters, other weights, code, other templates: what the library would follow, where it is given a folder."""
    folder = copied()
    expected = answer_of(folder)
    code = f"import os\nos.mkdir({str(canary)!r})\n"
    for name in ("modeling_evil.py", "custom_generate/generate.py", "tokenization_evil.py", "__init__.py"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(code)
    for name in ("pytorch_model.bin", "adapter_model.bin", "training_args.bin", "model.bin"):
        torch.save(Canary(canary), folder / name)
    adapter = {"base_model_name_or_path": "owner/evil", "peft_type": "LORA", "auto_mapping": {"x": "y"}, "r": 8}
    (folder / "adapter_config.json").write_text(json.dumps(adapter))
    said(folder, "pytorch_model.bin.index.json", "weight_map", {"a": "pytorch_model.bin"})
    said(folder, "model.safetensors.index.json", "weight_map", {"a": "pytorch_model.bin"})
    (folder / ".metadata").write_bytes(pickle.dumps(Canary(canary)))  # of a distributed checkpoint
    (folder / "additional_chat_templates").mkdir()
    (folder / "additional_chat_templates" / "x.jinja").write_text("{{ 1 }}")
    for filename in ("config.json", "tokenizer_config.json", "processor_config.json", "preprocessor_config.json"):
        said(folder, filename, "auto_map", {"AutoModel": "modeling_evil.Evil", "AutoTokenizer": ["t.Evil", None]})
    for key in ("custom_generate", "cache_implementation", "compile_config", "watermarking_config", "do_sample"):
        said(folder, "generation_config.json", key, "owner/evil")
    for part in ("", "text_config.", "vision_config."):
        for key in ("attn_implementation", "_attn_implementation", "_experts_implementation"):
            said(folder, "config.json", part + key, "owner/evil")
        said(folder, "config.json", f"{part}use_kernels", True)
        said(folder, "config.json", f"{part}transformers_weights", "pytorch_model.bin")
    assert answer_of(folder) == expected


def cut(folder: Path) -> None:
    file = folder / "model.safetensors"
    os.truncate(file, file.stat().st_size // 2)


def elsewhere(folder: Path) -> None:
    (folder / "model.safetensors").rename(folder.parent / "outside.safetensors")
    (folder / "model.safetensors").symlink_to("../outside.safetensors")


def lying(folder: Path) -> None:
    text = json.dumps({"a": {"dtype": "F32", "shape": [2**40], "data_offsets": [0, 2**42]}}).encode()
    (folder / "model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text)


@pytest.mark.parametrize(
    "spoil",
    [
        cut, elsewhere, lying,
        lambda folder: os.truncate(folder / "model.safetensors", 0),
        lambda folder: (folder / "model.safetensors").unlink(),
        lambda folder: index(folder, "whole.safetensors", "lost.safetensors"),
        weights(lambda known: known.pop(next(name for name in known if "up_proj" in name))),
        weights(lambda known: known.update({name: known[name][:1].clone() for name in known if "up_proj" in name})),
    ],
)  # fmt: skip
def test_weights_that_are_damaged_or_elsewhere_are_told(copied, spoil):
    folder = copied()
    spoil(folder)
    assert isinstance(failure_of(folder), ModelError)


@pytest.mark.parametrize(
    "spoil", [filled(float("nan")), filled(float("nan"), "lm_head"), filled(0.0), filled(0.0, "lm_head"),
              filled(float("inf"), "up_proj"), filled(3e38)],
)  # fmt: skip
@pytest.mark.parametrize("family", ["llava-next-video", "llava-onevision"])
def test_weights_that_make_no_sense_give_no_answer(copied, family, spoil):
    folder = copied(family)
    spoil(folder)
    failure = failure_of(folder)
    assert isinstance(failure, ModelError)
    assert failure.code == "senseless"


TEMPLATES = {
    "endless": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "long": "{{ 'a' * 10000000000 }}",
    "deep": "{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}",
    "nested": "{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}",
    "number": "{{ 9 ** (9 ** 9) }}",
    "large": "x" * 2_000_000,
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_template_that_takes_too_much_is_told(copied, monkeypatch, template):
    monkeypatch.setattr(rendering, "SECONDS", 2.0)
    folder = copied()
    said(folder, "chat_template.json", "chat_template", TEMPLATES[template])
    failure = failure_of(folder)
    assert isinstance(failure, ModelError)
    assert "its chat template" in str(failure)
    assert "--template has another used" in str(failure)


def test_a_tokenizer_that_panics_is_told(copied, capfd):
    folder = copied()
    slow = {"type": "Split", "pattern": {"Regex": r"((\w|\W)+)+\d$"}, "behavior": "Isolated", "invert": False}
    said(folder, "tokenizer.json", "pre_tokenizer", slow)
    failure = failure_of(folder)
    assert isinstance(failure, ModelError)
    assert "tokenizer" in str(failure)
    assert "panicked" not in capfd.readouterr().err
