# SPDX-License-Identifier: Apache-2.0
"""What was said along the time of a video, as all formats with times take it."""

from __future__ import annotations

from batch.writers.said import in_windows, of_all, said, summed_up

from llava_cli.batch.writers.track import caption_of, file_of, span_of, track_of
from llava_cli.captions import Wording
from llava_cli.cues import Cue


def test_a_cue_is_what_all_answers_about_a_window_say_in_the_order_of_time():
    one, two = in_windows("A.", "C\nD.")
    track = track_of([two, one, said("B.", 1, 2, 0.0, 10.0, question="Who?")])
    assert track.cues == (Cue(0.0, 10.0, "A. B."), Cue(10.0, 20.0, "C D."))
    assert track.path == "clip.mp4"


def test_titles_and_summaries_are_no_cues_and_failures_say_nothing():
    records = [*in_windows("A.", None), said("Title", title=True, question="t"), summed_up("All.")]
    track = track_of(records)
    assert (track.cues, track.titles) == ((Cue(0.0, 10.0, "A."),), (Cue(0.0, 10.0, "Title"),))
    assert (track.summaries, track.texts) == (("All.",), ("A.",))


def test_what_was_asked_of_a_whole_video_is_one_cue_and_of_an_image_none():
    assert track_of([of_all("A.")]).cues == (Cue(0.0, 12.0, "A."),)
    part = of_all("A.")
    part["media"][0]["sampling"] = {"start": 2.0, "end": 5.0}
    assert span_of(part) == (2.0, 5.0)
    image = of_all("A.", "a.png", "image", None)
    assert (track_of([image]).cues, track_of([image]).texts) == ((), ("A.",))


def test_captions_are_worded_as_this_run_says_or_else_as_the_record_holds_them():
    record = {**of_all("The video shows a cat. It sleeps."), "caption": {"text": "A cat.", "changes": ["clean"]}}
    assert caption_of(record, Wording(prefix="zz ")) == "zz A cat."
    assert caption_of(record, Wording(max_sentences=1)) == "The video shows a cat."


def test_a_summary_is_about_its_video_though_it_was_shown_none():
    assert file_of(summed_up("All.", "b.mp4")) == "b.mp4"
    assert file_of({"media": []}) is None
