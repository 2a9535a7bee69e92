# SPDX-License-Identifier: Apache-2.0
"""Values of options: what makes sense is read, and what makes none is a usage error that says what would."""

from __future__ import annotations

import pytest


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
