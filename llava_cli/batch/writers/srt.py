# SPDX-License-Identifier: Apache-2.0
"""SRT, to be read from a screen: two lines of at most 42 characters, at most 17 characters a second and 7 seconds.

What is said of a window is split at its sentences, and these at words where they are too long. What cannot be read in
the window's time is left out, from the end.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from itertools import accumulate, pairwise

from llava_cli.batch.writers.track import Track
from llava_cli.batch.writers.vtt import stamp
from llava_cli.captions import sentences
from llava_cli.cues import Cue

LINE, LINES = 42, 2
SPEED = 17
"""Characters a second."""
LONGEST_S = 7.0


def subtitles(track: Track) -> str:
    """The captions of a video."""
    cues = [part for cue in apart(track.cues) for part in split(cue)]
    return "".join(
        f"{number}\n{stamp(cue.start, ',')} --> {stamp(cue.end, ',')}\n{cue.text}\n\n"
        for number, cue in enumerate(cues, 1)
    )


def apart(cues: tuple[Cue, ...]) -> Iterator[Cue]:
    """Cues none of which goes on into the next one, as overlapping windows do."""
    for cue, following in pairwise([*cues, None]):
        if cue is not None:
            yield cue if following is None else Cue(cue.start, max(cue.start, min(cue.end, following.start)), cue.text)


def split(cue: Cue) -> list[Cue]:
    """A window's cue in parts that can be read one after the other, each of one or two lines."""
    room = cue.end - cue.start
    texts = _that_fit(list(_parts(cue.text)), room)
    needed = [_seconds(text) for text in texts]
    spare = (room - sum(needed)) / max(1, len(texts))
    starts = accumulate([cue.start, *(seconds + spare for seconds in needed)])
    return [
        Cue(start, start + min(LONGEST_S, seconds + spare), text)
        for start, seconds, text in zip(starts, needed, texts, strict=False)
    ]


def _parts(text: str) -> Iterator[str]:
    """Each sentence in pieces of two lines, none of which holds words of two sentences."""
    for sentence in sentences(text):
        lines = textwrap.wrap(sentence.replace("-->", "->"), LINE)
        for begin in range(0, len(lines), LINES):
            yield _balanced(" ".join(lines[begin : begin + LINES]))


def _balanced(text: str) -> str:
    """A text of at most two lines, about equally long."""
    best = textwrap.wrap(text, LINE)
    for width in range(LINE - 1, len(text) // LINES - 1, -1):
        narrower = textwrap.wrap(text, width, break_long_words=False) if width > 0 else []
        if len(narrower) != len(best) or max(map(len, narrower), default=0) > LINE:
            break
        best = narrower
    return "\n".join(best)


def _that_fit(texts: list[str], room: float) -> list[str]:
    """As many from the first as can be read in so many seconds; of a first one that cannot, as many words as can."""
    while len(texts) > 1 and sum(map(_seconds, texts)) > room:
        texts = texts[:-1]
    if not texts or _seconds(texts[0]) <= room:
        return texts
    cut = textwrap.shorten(" ".join(texts[0].split()), max(1, int(room * SPEED)), placeholder="\N{HORIZONTAL ELLIPSIS}")
    return [_balanced(cut)] if cut.strip("\N{HORIZONTAL ELLIPSIS}") else []


def _seconds(text: str) -> float:
    """How long it takes to read."""
    return len(text.replace("\n", " ")) / SPEED
