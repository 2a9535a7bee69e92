# SPDX-License-Identifier: Apache-2.0
"""Captions: where sentences end, what is cut, and what is said of it."""

from __future__ import annotations

import pytest

from llava_cli.captions import Caption, Wording, sentences, without_opening
from llava_cli.errors import UsageError

TEXT = "A man walks in. He sits down at a table. Then he eats."


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (TEXT, ["A man walks in.", "He sits down at a table.", "Then he eats."]),
        ('He says "Go!" Then he left?', ['He says "Go!"', "Then he left?"]),
        ("Mr. A. Smith has 3.5 cats, e.g. Tom. Fine", ["Mr. A. Smith has 3.5 cats, e.g. Tom.", "Fine"]),
        ("one\ntwo\n\nthree", ["one", "two", "three"]),
        ("\u4ed6\u6765\u4e86\u3002\u4ed6\u8d70\u4e86\u3002", ["\u4ed6\u6765\u4e86\u3002", "\u4ed6\u8d70\u4e86\u3002"]),
        ("", []),
    ],
)
def test_sentences(text, parts):
    assert sentences(text) == parts


@pytest.mark.parametrize(
    ("text", "rest"),
    [
        ("The video shows a man.", "A man."),
        ("In this video, we can see a dog.", "A dog."),
        ("This short clip features that there are cats.", "There are cats."),
        ("The image depicts \u00e9clairs.", "\u00c9clairs."),
        ("The video begins with a wide shot.", "A wide shot."),
        ("The video.", "The video."),
        ("A man shows the video.", "A man shows the video."),
        ("The videographer shows a man.", "The videographer shows a man."),
    ],
)
def test_openings_are_dropped_where_something_is_left(text, rest):
    assert without_opening(text) == rest


def test_nothing_is_changed_unless_it_is_asked_for():
    assert Wording().of("  The video shows x.\n") == Caption("  The video shows x.\n")
    assert Wording(prefix="zz, ").changes_nothing
    assert not Wording(clean=True).changes_nothing


@pytest.mark.parametrize(
    ("wording", "text", "changes"),
    [
        (Wording(max_sentences=2), "A man walks in. He sits down at a table.", ("sentences",)),
        (Wording(max_words=9), "A man walks in. He sits down at a table."[:15], ("words",)),
        (Wording(max_words=10), "A man walks in. He sits down at a table.", ("words",)),
        (Wording(max_words=3), "A man walks", ("mid_sentence",)),
        (Wording(max_words=100, max_sentences=3), TEXT, ()),
        (Wording(max_sentences=2, max_words=4), "A man walks in.", ("sentences", "words")),
    ],
)
def test_captions_end_where_a_sentence_does(wording, text, changes):
    assert wording.of(TEXT) == Caption(text, changes)


def test_what_was_cleaned_is_said_and_what_stands_around_is_added_last():
    wording = Wording("zz, ", " end", max_sentences=1, clean=True)
    made = wording.of("The video shows a cat. It sleeps.")
    assert made.entry() == {"text": "A cat.", "changes": ["clean", "sentences"]}
    assert wording.around(made.text) == "zz, A cat. end"


def test_no_caption_is_of_no_words():
    with pytest.raises(UsageError):
        Wording(max_words=-1)
