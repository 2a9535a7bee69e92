# SPDX-License-Identifier: Apache-2.0
"""Mutates media and reads what comes of it, in a process of its own: `python fuzzing.py FOLDER NUMBER...`.

Before each input it writes down which one it is, so that whoever started it knows what a crash or a hang was over.
"""

from __future__ import annotations

import json
import random
import sys
import traceback
from itertools import pairwise
from pathlib import Path

from media.linear import NotCompared, wrong

from llava_cli.errors import InputError
from llava_cli.media import Clip, Sampling, View, load_media
from llava_cli.media.limits import Limits

LIMITS = Limits(max_pixels=1 << 22, max_walk=3000)


def truncate(data: bytearray, luck: random.Random) -> bytearray:
    return data[: luck.randrange(len(data)) + 1]


def flip(data: bytearray, luck: random.Random) -> bytearray:
    for _ in range(luck.choice((1, 3, 10, 100, 1000))):
        data[luck.randrange(len(data))] ^= 1 << luck.randrange(8)
    return data


def overwrite(data: bytearray, luck: random.Random) -> bytearray:
    """Numbers that parsers trip over, mostly in the headers."""
    for _ in range(luck.choice((1, 2, 8))):
        place = luck.randrange(min(len(data), luck.choice((64, 1024, len(data)))))
        number = luck.choice((0, 1, 0x7F, 0x80, 0xFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, luck.getrandbits(32)))
        data[place : place + 4] = number.to_bytes(4, luck.choice(("big", "little")))
    return data


def splice(data: bytearray, luck: random.Random) -> bytearray:
    """A piece is moved, repeated or left out."""
    start = luck.randrange(len(data))
    piece = data[start : start + luck.randrange(len(data)) + 1]
    if luck.random() < 0.5:
        del data[start : start + len(piece)]
    if luck.random() < 0.7:
        place = luck.randrange(len(data) + 1)
        data[place:place] = piece
    return data or bytearray(b"\0")


CHANGES = (truncate, flip, flip, overwrite, overwrite, splice)


def mutated(seeds: list[Path], number: int) -> tuple[str, bytes]:
    """Return the name and the bytes of one input; the same for the same number."""
    luck = random.Random(number)
    seed = luck.choice(seeds)
    data = bytearray(seed.read_bytes())
    if luck.random() < 0.1:  # the head of one file on the body of another
        other = luck.choice(seeds).read_bytes()
        data = data[: luck.randrange(1, len(data))] + other[luck.randrange(len(other)) :]
    for _ in range(luck.choice((1, 1, 1, 2, 3))):
        data = luck.choice(CHANGES)(data, luck)
    return seed.name, bytes(data)


RIGHT = ("media", "error", "not compared")
"""What may come of an input."""


def outcome(path: Path, number: int) -> str:
    """Read one input: one of RIGHT, or what is wrong with what came of it."""
    luck = random.Random(-number)
    policy = luck.choice((Sampling("uniform", 4), Sampling("linspace", 16), Sampling("fps", 8, 2.0)))
    view = View((32, 32), luck.choice(("crop", "squash", "full")), policy)
    try:
        return read(path, view, threads=luck.choice((1, 2)))
    except NotCompared:
        return "not compared"
    except BaseException:
        return f"unforeseen: {traceback.format_exc()}"


def read(path: Path, view: View, threads: int) -> str:
    try:
        media = load_media(path, view, limits=LIMITS, threads=threads)
    except InputError as error:
        if not str(error).startswith(str(path)) or "\n" in str(error):
            return f"unclear error: {error}"
        refused = "--max-" not in str(error) and wrong(path, view, None, LIMITS)
        return f"wrong error: {error}" if refused else "error"
    info = media.info
    if not (info.width > 0 and info.height > 0 and info.path == str(path)):
        return f"no receipt: {info}"
    if isinstance(media, Clip):
        rising = all(a < b for places in (media.indices, media.times) for a, b in pairwise(places))
        if not rising or media.times[0] < 0 or len(media.frames) > view.sampling.frames:
            return f"wrong frames: {media.indices} {media.times}"
    return wrong(path, view, media, LIMITS) or "media"


def main(folder: Path, numbers: list[int]) -> None:
    seeds = sorted(path for path in folder.iterdir() if not path.name.startswith("input"))
    path = folder / f"input-{numbers[0]}"
    for number in numbers:
        name, data = mutated(seeds, number)
        path.write_bytes(data)
        print(json.dumps({"number": number, "seed": name}), flush=True)
        print(json.dumps(outcome(path, number)), flush=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), [int(number) for number in sys.argv[2:]])
