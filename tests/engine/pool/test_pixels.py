# SPDX-License-Identifier: Apache-2.0
import gc
import weakref

from pictures import clip, still

from llava_cli.engine.pool.pixels import Pixels


def test_pixels_are_known_where_they_are_and_given_once_where_they_are_here():
    given = []
    pixels = Pixels(lambda media: given.append(media) or f"put {len(given)}")
    away, here = [clip(2, 4, 4), still(4, 4)], clip(1, 4, 4)
    pixels.keep(away, "there")
    assert [pixels.of(medium) for medium in away] == [("there", 0), ("there", 1)]
    assert [pixels.elsewhere(medium) for medium in (*away, here)] == [("there", 0), ("there", 1), None]
    assert pixels.of(here) == pixels.of(here) == ("put 1", 0)
    assert given == [[here]]
    assert pixels.elsewhere(here) is None


def test_a_reference_is_given_up_with_its_medium():
    class Reference:
        pass

    pixels, medium, reference = Pixels(list), clip(1, 4, 4), Reference()
    known = weakref.ref(reference)
    pixels.keep([medium], reference)
    del reference
    gc.collect()
    assert known() is not None
    del medium
    gc.collect()
    assert known() is None
