# SPDX-License-Identifier: Apache-2.0
"""What the hub's library raises is told in one line, as an error of who asked."""

from __future__ import annotations

import pytest
from huggingface_hub import errors

from llava_cli.errors import InputError, ModelError
from llava_cli.hub import asking_hub


@pytest.mark.parametrize(
    ("offline", "why"),
    [
        (False, "the hub cannot be reached; check the network"),
        (True, "HF_HUB_OFFLINE is set, so that nothing is downloaded; unset it"),
    ],
)
def test_the_error_is_of_the_kind_that_was_asked_for_and_names_what_else_may_be_done(monkeypatch, offline, why):
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", offline)
    message = rf"^a/b: not in the local cache, and {why}, or go home$"
    with pytest.raises(ModelError, match=message) as raised, asking_hub(ModelError, "a/b", None, ", or go home"):
        raise errors.LocalEntryNotFoundError("no\nsuch entry")
    assert raised.value.code == "offline"


@pytest.mark.parametrize("error", [RuntimeError("one\ntwo"), OSError(28, "one"), errors.HFValidationError("one")])
def test_whatever_it_is_is_one_line(error: Exception):
    message = r"^x: the hub does not give it: (\[Errno 28\] )?one$"
    with pytest.raises(InputError, match=message) as raised, asking_hub(InputError, "x", None):
        raise error
    assert raised.value.__cause__ is error


def test_our_own_errors_pass():
    with pytest.raises(InputError, match=r"^mine$"), asking_hub(ModelError, "x", None):
        raise InputError("mine")
