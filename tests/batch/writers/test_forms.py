# SPDX-License-Identifier: Apache-2.0
"""What is written of the records about one file, in each form. More of those with times is in their own tests."""

from __future__ import annotations

import json

import pytest
from batch.writers.said import in_windows, of_all, summed_up

from llava_cli.batch.writers.forms import FORMS
from llava_cli.captions import Wording


def test_lines_are_the_captions_or_that_of_the_whole():
    assert FORMS["txt"].of([of_all("A.\nB."), of_all("C.")]) == "A.\nB.\nC.\n"
    assert FORMS["txt"].of(in_windows("A.", None, "C."), Wording("zz ", "!")) == "zz A.!\nzz C.!\n"
    assert FORMS["txt"].of([*in_windows("A.", "B."), summed_up("All.")]) == "All.\n"


def test_a_list_holds_the_records_as_they_are():
    records = in_windows("A.", None)
    assert json.loads(FORMS["json"].of(records, Wording("zz "))) == records


@pytest.mark.parametrize("name", ["srt", "vtt", "chapters", "ffmetadata"])
def test_of_what_has_no_time_nothing_is_written(name):
    assert FORMS[name].of([of_all("A.", "a.png", "image", None)]) == ""
    assert FORMS[name].of(in_windows(None)) == ""
    assert "A." in FORMS[name].of([of_all("A. B.")]) or "title=A" in FORMS[name].of([of_all("A. B.")])


def test_no_two_forms_would_write_the_same_file():
    assert len({form.suffix for form in FORMS.values()}) == len(FORMS)
