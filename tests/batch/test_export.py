# SPDX-License-Identifier: Apache-2.0
"""What trainers read: each form as its readers document it, one caption a file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from batch.writers.said import in_windows, of_all, summed_up

from llava_cli.batch.export import KOHYA, captioned, common_folder, list_of, whole_caption
from llava_cli.captions import Wording
from llava_cli.errors import InputError, UsageError

TRIGGER = Wording("zz, ", max_sentences=1)
RECORDS = [of_all("A cat. It sleeps.", "/v/a.mp4"), of_all("A dog.", "/v/sub/b.png", "image", None)]


def entries(name: str, records=RECORDS, root: str = "/v") -> list[dict]:
    return [json.loads(line) for line in list_of(name, captioned(records, TRIGGER), Path(root))]


def test_videofolder_names_files_relative_to_its_root():
    assert entries("videofolder") == [
        {"file_name": "a.mp4", "text": "zz, A cat."}, {"file_name": "sub/b.png", "text": "zz, A dog."},
    ]  # fmt: skip
    with pytest.raises(InputError, match=r"/v/a\.mp4: is not in /v/sub"):
        entries("videofolder", root="/v/sub")


def test_musubi_tells_videos_from_images_and_ltx_does_not():
    assert entries("musubi") == [
        {"video_path": "/v/a.mp4", "caption": "zz, A cat."}, {"image_path": "/v/sub/b.png", "caption": "zz, A dog."},
    ]  # fmt: skip
    assert entries("ltx")[1] == {"caption": "zz, A dog.", "media_path": "/v/sub/b.png"}


def test_of_a_video_in_windows_it_is_the_summary_or_else_all_that_was_said():
    windows = in_windows("A cat.\nIt sleeps.", None, "A dog.")
    assert whole_caption(windows, Wording(prefix="zz ")) == "zz A cat. It sleeps. A dog."
    assert whole_caption([*windows, summed_up("Pets.")], Wording(prefix="zz ")) == "zz Pets."
    assert KOHYA.of([*windows, summed_up("Pets.\nAll.")]) == "Pets. All.\n"
    assert entries("musubi", [summed_up("Pets.", "/v/a.mp4"), *in_windows("A", path="/v/a.mp4")])[0]["video_path"]


def test_files_without_an_answer_are_in_no_list():
    assert entries("ltx", in_windows(None)) == []
    assert KOHYA.of(in_windows(None)) == ""


def test_a_name_that_is_no_text_is_refused():
    with pytest.raises(InputError, match="no text"):
        entries("ltx", [{**of_all("A."), "media": [{"path": "x", "path_b64": "YmFk/w==", "kind": "video"}]}])


def test_the_common_folder_is_the_one_that_all_files_are_in():
    assert common_folder(["/v/a.mp4", "/v/sub/b.mp4"]) == Path("/v")
    assert common_folder(["a.mp4"]) == Path(os.getcwd())  # noqa: PTH109
    with pytest.raises(UsageError, match="no answer"):
        common_folder([])
