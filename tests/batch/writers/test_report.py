# SPDX-License-Identifier: Apache-2.0
"""Tables and reports are there whole or not at all, and what models say is text in them."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest
from batch.stub import NASTY, RECORD, VIEW, clip
from PIL import Image

from llava_cli.batch.writers.report import Report
from llava_cli.batch.writers.table import CsvFile


@pytest.mark.parametrize("kind", [CsvFile, Report])
def test_nothing_is_there_before_it_is_closed_or_after_it_failed(tmp_path, kind):
    path = tmp_path / "out"
    path.write_text("before")
    writer = kind(path)
    writer.put([(RECORD, True)], [])
    writer.discard()
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path]
    writer = kind(path)
    writer.close()
    writer.discard()
    assert path.read_text() != "before"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_model_says_is_text(tmp_path):
    writer = Report(tmp_path / "r.html")
    error = {"id": NASTY, "status": "error", "media": [], "question": NASTY, "error": {"message": NASTY}}
    for record in (RECORD, error):
        writer.put([(record, True)], [])
    writer.put([(RECORD, True)], [clip(NASTY + '" onload="x', VIEW)])
    writer.close()
    page = (tmp_path / "r.html").read_text()
    assert page.count("<script>") == 1  # the page's own
    assert "&lt;script&gt;alert" in page
    assert '" onload' not in page
    assert page.index('<dd class="error">') < page.index("<dd>")  # failures first


MODEL = {
    "checkpoint": "someone/tiny",
    "family": "llava-video",
    "dtype": "float32",
    "quantization": None,
    "device": "cpu",
}


def test_its_heading_says_who_answered_when_and_how_it_went(tmp_path):
    writer = Report(tmp_path / "r.html")
    error = {"id": 1, "status": "error", "media": [], "question": "Why?", "error": {"message": "is bad"}}
    writer.put([(RECORD | {"model": MODEL}, True), (RECORD | {"model": MODEL}, True)], [])
    writer.put([(error, True)], [])
    writer.put([(RECORD | {"model": MODEL | {"checkpoint": NASTY, "quantization": "nf4"}}, False)], [])
    writer.close()
    page = (tmp_path / "r.html").read_text()
    heading = page[page.index("<h1>") : page.index("<header>")]
    assert "3 answered, 1 failed" in heading
    assert "3 scenes" in heading
    assert "someone/tiny, llava-video, float32, cpu" in heading
    assert "llava-video, nf4, cpu" in heading
    assert "&lt;script&gt;" in heading
    assert re.search(r"\d{4}-\d\d-\d\d \d\d:\d\d", heading)


def test_times_and_warnings_can_be_read_and_searched(tmp_path):
    writer, shown = Report(tmp_path / "r.html"), clip("odd.mp4", VIEW)
    media = [{"path": "odd.mp4", "warnings": ["is odd"]}]
    told = RECORD | {"media": media, "warnings": ["at most 4 frames of each video are shown"]}
    writer.put([(told, True), (told, True)], [shown])
    writer.close()
    page = (tmp_path / "r.html").read_text()
    assert "2x2 video, 4 frames: 0:00.000, 0:01.000, 0:02.000, 0:03.000" in page
    assert page.count("is odd") == page.count("at most 4 frames of each video") == 1


def test_every_frame_is_there_small_with_its_place_and_time(tmp_path):
    writer, shown = Report(tmp_path / "r.html"), clip("a.mp4", VIEW)
    large = type(shown)(np.full((8, 300, 400, 3), 200, np.uint8), tuple(range(8)), (0.0,) * 8, shown.info)
    writer.put([(RECORD, True)], [large])
    writer.close()
    (data,) = re.findall(r'src="data:image/jpeg;base64,([^"]+)"', (tmp_path / "r.html").read_text())
    picture = np.asarray(Image.open(io.BytesIO(base64.b64decode(data))).convert("L"))
    assert picture.shape[1] < 1000
    assert 0.6 < (picture > 150).mean() < 0.9  # 8 frames, each above a dark strip
