# SPDX-License-Identifier: Apache-2.0
"""Values of options: what makes sense is read, and what makes none is a usage error that says what would."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import pytest
import typer

from llava_cli.cli import values
from llava_cli.engine.device_map import DeviceMap


@pytest.mark.parametrize(
    "options",
    [
        ("--frames", "0"), ("--frames", "-1"), ("--frames", "1000000000"), ("--frames", "nan"), ("--fps", "0"),
        ("--fps", "nan"), ("--fps", "inf"), ("--start", "soon"), ("--start", "nan"), ("--temperature", "nan"),
        ("--temperature", "-1"), ("--top-p", "0"), ("--top-p", "1.5"), ("--max-new-tokens", "0"), ("--seed", "-1"),
        ("--dtype", "int3"), ("--no-such-option",),
    ],
)  # fmt: skip
def test_values_that_make_no_sense_are_usage_errors(llava, picture, tiny, options):
    result = llava("ask", picture, "Why?", "-m", tiny, *options)
    assert (result.code, result.out) == (2, "")
    assert "Traceback" not in result.err


@pytest.mark.parametrize(
    ("read", "value", "found"),
    [
        (values.whole(1), "12", 12),
        (values.whole(0, 9), 9, 9),
        (values.positive, "0.5", 0.5),
        (values.at_least_0, 0, 0.0),
        (values.probability, "1", 1.0),
        (values.one_of(Literal["txt", "json"]), "json", "json"),
        (values.seconds, "1:30", 90.0),
        (values.seconds, 2.5, 2.5),
        (values.size, "2G", 2 << 30),
        (values.size, 4096, 4096),
        (values.rope_factor, "linear:1.5", 1.5),
        (values.batch_size, "auto", 0),
        (values.batch_size, "64", 64),
        (values.part, "2/3", values.Part(2, 3)),
        (values.device_map, "auto,cpu=4G", DeviceMap("auto,cpu=4G", (("auto", None), ("cpu", 4 << 30)))),
        (values.device_map, 1, DeviceMap("1", (("cuda:1", None),))),
        (values.file, "./-", Path("./-")),
    ],
)
def test_values_are_read_as_text_and_from_the_configuration(read: Callable[[Any], Any], value: Any, found: Any):
    assert read(value) == found


@pytest.mark.parametrize(
    ("read", "value", "message"),
    [
        (values.whole(1), "many", "must be a whole number of at least 1, not 'many'"),
        (values.whole(0, 9), 10, "must be a whole number from 0 to 9, not '10'"),
        (values.whole(1), True, "must be a whole number of at least 1, not 'True'"),
        (values.positive, 0, "must be a number above 0, not '0'"),
        (values.at_least_0, "inf", "must be a number of at least 0, not 'inf'"),
        (values.probability, "1.5", "must be a number above 0 and at most 1, not '1.5'"),
        (values.one_of(Literal["txt", "json"]), "xml", "must be txt or json, not 'xml'"),
        (values.seconds, "soon", "soon"),
        (values.size, "many", "must be bytes, or like 500M or 2G, not 'many'"),
        (values.rope_factor, "yarn:2", "must be linear:FACTOR with a factor from 1 to 64, not 'yarn:2'"),
        (values.rope_factor, "linear:nan", "must be linear:FACTOR with a factor from 1 to 64, not 'linear:nan'"),
        (values.batch_size, "0", "must be auto or a whole number from 1 to 4096, not '0'"),
        (values.device_map, "gpu", "'gpu' is no device map; write auto, 0,1, auto,cpu or 0=20G,cpu=60G,disk"),
        (values.part, "4/3", "must be I/N with I from 1 to N, not '4/3'"),
        (values.whole(1), "9" * 5000, f"not '{'9' * 40}…'"),
        (values.whole(0, 2**63 - 1), "-1", "must be a whole number from 0 to 2^63 - 1, not '-1'"),
        (values.device, "cuda:x", "must be auto, cpu, cuda, cuda:N or mps, not 'cuda:x'"),
        (values.file, "-", "must be a file; to write one of this name: ./-"),
    ],
)
def test_what_makes_no_sense_is_told_with_what_would(read: Callable[[Any], Any], value: Any, message: str):
    with pytest.raises(typer.BadParameter) as raised:
        read(value)
    assert message in raised.value.message


def test_devices_are_offered_and_checked_by_name():
    assert values.device_names("c")[0] == "cpu"
    assert {"auto", "cpu"} <= set(values.device_names(""))
    assert [values.device(name) for name in ("auto", "cpu", "cuda", "cuda:1", "mps")]


def test_names_of_checkpoints_are_offered():
    assert values.model_names("onevision-0") == ["onevision-0.5b"]
    assert "demo" in values.model_names("")
