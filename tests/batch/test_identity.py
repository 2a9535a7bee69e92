# SPDX-License-Identifier: Apache-2.0
"""What is the same work: contents and settings, and nothing else."""

from __future__ import annotations

import json
import os
import shutil
from dataclasses import dataclass, replace

import pytest

from llava_cli.batch.identity import (
    checkpoint_identity,
    content,
    default_id,
    identity,
    line_key,
    settings_of,
    work_key,
)
from llava_cli.batch.jobs import Job, Unusable
from llava_cli.captions import Wording
from llava_cli.cues import Cue
from llava_cli.engine.device_map import parse_device_map
from llava_cli.engine.types import Constraint, Generation, LoadOptions
from llava_cli.errors import InputError
from llava_cli.media.clip import NativeSizes, Sampling, View
from llava_cli.media.named import Excerpt
from llava_cli.media.windows import Window
from llava_cli.models.checkpoint import Checkpoint
from llava_cli.models.messages import MediaPath, Message
from llava_cli.preface import Summary
from llava_cli.request import FrameChoice, Request


def test_names_and_dates_change_nothing_but_every_byte_of_a_small_file_does(tmp_path):
    a, b = tmp_path / "a", tmp_path / "b"
    a.write_bytes(os.urandom(100_000))
    shutil.copyfile(a, b)
    os.utime(b, (1, 1))
    assert content(str(a)) == content(str(b))
    data = bytearray(a.read_bytes())
    data[50_000] ^= 1
    b.write_bytes(data)
    assert content(str(a)) != content(str(b))


@pytest.mark.parametrize("place", [0, 1_000_000, -1])
def test_the_ends_of_a_large_file_count_and_so_does_its_length(tmp_path, place):
    path = tmp_path / "large"
    data = bytearray(8 << 20)
    path.write_bytes(data)
    before = content(str(path))
    data[place] ^= 1
    path.write_bytes(data)
    assert content(str(path)) != before
    path.write_bytes(bytes((8 << 20) + 1))
    assert content(str(path)) != before


def test_large_files_are_not_read_whole(tmp_path):
    path = tmp_path / "sparse"
    with path.open("wb") as file:
        file.truncate(1 << 40)
    assert len(content(str(path))) == 64


def test_a_file_that_appears_is_new_work(tmp_path):
    path = tmp_path / "late.mp4"
    missing = content(str(path))
    assert missing != content(str(tmp_path / "other.mp4"))
    path.write_bytes(b"x")
    assert content(str(path)) != missing


def test_pipes_and_folders_are_not_opened(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    assert content(str(tmp_path / "pipe")).startswith("no file")
    assert content(str(tmp_path)).startswith("no file")
    assert content("with\0nul").startswith("unreadable")


BASE = {"checkpoint": {"files": 1}, "generation": Generation(), "system": None, "template": None}


def key(job: Job, contents=("c",), sampling=None, pixels="exact", resample=3, **changes: object) -> str:
    settings = BASE | changes
    request = job.request(Request(system=settings["system"], template=settings["template"]))
    choice = request.choice
    view = View((56, 56), "crop", sampling or Sampling(start=choice.start, frames=choice.frames or 8), resample, pixels)
    return work_key(settings_of(settings["checkpoint"], settings["generation"]), view, request, contents)


def test_each_setting_counts():
    job = Job(("a.mp4",), "Why?")
    keys = [
        key(job),
        key(job, contents=("d",)),
        key(Job(("a.mp4",), "Who?")),
        key(Job(("a.mp4",), None)),
        key(Job(("a.mp4",), "Why?", system="Be brief.")),
        key(Job(("a.mp4",), "Why?", start=1.0)),
        key(Job(("a.mp4",), "Why?", frames=4)),
        key(Job(("a.mp4",), "Why?", raw=True)),
        key(Job(("a.mp4",), " Why?\n", raw=True)),
        key(job, template="{{ messages }}"),
        key(job, template="{{ messages }} "),
        key(job, sampling=Sampling("linspace")),
        key(job, pixels="fast"),
        key(job, resample=1),
        key(job, checkpoint={"files": 2}),
        key(job, generation=Generation(max_new_tokens=8)),
        key(job, generation=Generation(temperature=0.5)),
    ]
    assert len(set(keys)) == len(keys)


def test_sizes_and_positions_of_frames_count():
    def known(**shown: object) -> str:
        return work_key({}, replace(FAMILY_VIEW, **shown), Request("Why?", ("a",)), ["c"])

    sizes = NativeSizes(28, 3136, 153_664)
    keys = [known(), known(positions="index"), known(sizes=sizes), known(sizes=replace(sizes, most=4_000_000))]
    assert len(set(keys)) == len(keys)


def test_what_was_said_before_counts_by_its_words_and_its_files_contents_but_not_by_their_names():
    def known(words: str, path: str, content: str) -> str:
        history = (Message("user", (MediaPath("image", path), words)), Message("assistant", ("A dog.",)))
        return work_key({}, FAMILY_VIEW, Request("Why?", ("b.mp4",), history), [content, "c"])

    assert known("What?", "a.png", "1") == known("What?", "moved/a.png", "1")
    assert len({known("What?", "a.png", "1"), known("Who?", "a.png", "1"), known("What?", "a.png", "2")}) == 3


def test_a_field_that_requests_get_later_counts_where_it_is_used_and_only_there(monkeypatch):
    """Ledgers of versions that did not know it stay true, and no answer to another question is taken for this one's."""

    @dataclass(frozen=True)
    class Later(Request):
        tone: str = "plain"

    before = work_key({}, FAMILY_VIEW, Request("Why?", ("a",)), ["c"])
    monkeypatch.setattr("llava_cli.batch.identity._UNSAID", Later().asked())
    assert work_key({}, FAMILY_VIEW, Later("Why?", ("a",)), ["c"]) == before
    assert work_key({}, FAMILY_VIEW, Later("Why?", ("a",), tone="shrill"), ["c"]) != before


def test_choices_and_log_probabilities_are_other_work_and_change_no_other():
    def known(**asked: object) -> str:
        return work_key({}, FAMILY_VIEW, Request("Why?", ("a",), **asked), ["c"])

    asked = [
        {}, {"choices": ("yes", "no")}, {"choices": ("no", "yes")}, {"choices": ("yes", "no"), "normalize": "tokens"},
        {"logprobs": 0}, {"logprobs": 3},
    ]  # fmt: skip
    assert len({known(**one) for one in asked}) == len(asked)
    assert known(normalize="tokens") == known()  # nothing to normalize


def test_whether_fewer_frames_may_be_shown_is_no_part_of_the_work():
    """A list is run again with --fit for the sake of its failures."""
    assert len({work_key({}, FAMILY_VIEW, Request("Why?", ("a",), fit=fit), ["c"]) for fit in (False, True)}) == 1


def test_ranges_and_messages_count():
    def shown(*media: MediaPath, text: str = "Why?", role: str = "user", inline: bool = False) -> Job:
        return Job((), messages=(Message(role, (*media, text), inline),))

    video = MediaPath("video", "a.mp4")
    part = replace(video, excerpt=Excerpt(start=0.0))
    keys = [
        key(Job(("a.mp4",), "Why?")),
        key(Job((replace(part, modality=None),), "Why?")),
        key(Job((replace(part, excerpt=Excerpt(end=2.0)),), "Why?")),
        key(Job((replace(part, excerpt=Excerpt(frames=8)),), "Why?")),
        key(shown(video)),
        key(shown(part)),
        key(shown(replace(video, modality="image"))),
        key(shown(video, text="Who?")),
        key(shown(video, inline=True)),
        key(replace(shown(video, role="assistant"), question="Why?")),
        key(replace(shown(video), question="Why?")),
    ]
    assert len(set(keys)) == len(keys)
    assert key(shown(video)) == key(shown(replace(video, path="b.mp4")))


def test_names_ids_and_other_keys_do_not_count():
    job = Job(("a.mp4",), "Why?")
    assert key(job) == key(Job(("b.mp4",), " Why?\n", id="7", extra={"label": 1}))
    assert key(job, system="Be brief.") == key(Job(("a.mp4",), "Why?", system="Be brief."))
    assert key(job) == key(Job(("a.mp4",), "Why?", raw=False))


def test_a_local_checkpoint_is_known_by_its_files(tmp_path):
    one, two = tmp_path / "one", tmp_path / "two"
    one.mkdir()
    (one / "config.json").write_text("{}")
    (one / "model.safetensors").write_bytes(b"weights")
    shutil.copytree(one, two)
    options = LoadOptions()

    def known(folder, options=options, rope=None):
        return checkpoint_identity(Checkpoint(str(folder), folder, {}), options, rope)

    assert known(one) == known(two)
    assert known(one) != known(one, LoadOptions(quantization="4bit"))
    assert known(one) != known(one, rope=2.0)
    assert known(one) == known(one, LoadOptions(device="cuda:1", attention="eager"))
    assert known(one) == known(one, LoadOptions(device_map=parse_device_map("auto,cpu")))
    (two / "model.safetensors").write_bytes(b"weighty")
    assert known(one) != known(two)


def test_a_url_is_known_by_its_text_and_its_server_is_not_asked(monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", None)
    one, two = content("https://example.org/a.mp4"), content("https://example.org/b.mp4")
    assert one == content("https://example.org/a.mp4")
    assert one != two
    assert one != content("./https://example.org/a.mp4")


def test_a_file_on_the_hub_is_known_by_its_text_where_nothing_may_be_asked(monkeypatch):
    monkeypatch.setattr("socket.getaddrinfo", None)
    assert content("hf://datasets/a/b/c.mp4").startswith("url:")


FAMILY_VIEW = View((336, 336), "crop", Sampling("uniform", 8))
WHY = Job(("a.mp4",), "Why?")
AS_EVER = Request(choice=FrameChoice(fast_pixels=True))
"""What nobody had to ask for in those versions."""
ALL_OPTIONS = {
    "defaults": Request(
        system="Be kind.", choice=FrameChoice(4, None, "linspace", 2.0, 3.0, fast_pixels=False), fit=True,
        generation=Generation(32, 0.5, 0.9),
    ),
    "options": LoadOptions("cpu", "float32", "eager", "4bit", True),
    "rope_factor": 2.0,
}  # fmt: skip


@pytest.mark.parametrize(
    ("job", "settings", "work", "id", "record"),
    [
        (WHY, {}, "9c747067de503f365823d43d7baed45ba207b95912d534a624003739f7d2862a", "8f13ce12c737b62c",
         "5fe17765c5566de42e3e00afd5c9b4d0"),
        (Job(("a.mp4",)), {}, "be1d03b9f2bccf5ff95f4ed3ebbc0d97c7d6936b21593a1594918b63cfef9d31", "caad0705413f98c7",
         "f23abc12a7e12fecad00fbe124d76369"),
        (Job(("a.mp4", "b.png"), "Why?", 7, "Be brief.", 1.5, 90.0, 16, {"x": 1}), {},
         "37d99d5f5f4c7507b913c60d266370248387f8f1a88fd710b83b61e159305cde", "52ef7f30e6a91eeb",
         "e9f81bc2e868ec6817dd799309bcce51"),
        (WHY, ALL_OPTIONS, "dd809d7068dbaaaf4ac8b064ac095e950ae662586df7dc72ffcef28f6fb1527f", "bebf095700db1400",
         "f5f3395ba3e35e51da99bb12d5bfcb4c"),
        (WHY, {"defaults": replace(AS_EVER, generation=Generation(temperature=0.5, seed=3))},
         "7620b5e11095c0bfccccae394147fe4e58d62d7a886dfd9536776d4acbf470bf", "dad3886b99fdadfe",
         "fc72ddba113dafc8c7fe68fc5863ee55"),
    ],
    ids=["plain", "description", "job", "options", "seed"],
)  # fmt: skip
def test_ledgers_of_earlier_versions_are_understood(tmp_path, job, settings, work, id, record):
    """Written down from the first version that had ledgers: a change would do all of everybody's work again."""
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    defaults, options = settings.get("defaults", AS_EVER), settings.get("options", LoadOptions())
    known = checkpoint_identity(Checkpoint("x", tmp_path, {}), options, settings.get("rope_factor"))
    request = job.request(defaults)
    contents = ["c0ffee", "beef"][: len(job.media)]
    view = request.choice.of(FAMILY_VIEW, 64)
    key = work_key(settings_of(known, defaults.generation), view, request, contents)
    assert (key, default_id(key, ["a.mp4"]), identity(key, default_id(key, ["a.mp4"]), ["a.mp4"]).hex()) == (
        work, id, record,
    )  # fmt: skip


def test_a_line_s_key_is_of_its_place_and_text():
    key = line_key(Unusable(7, "{", InputError("list, line 7: is not valid JSON")))
    assert key == "8a2d0ffbc1edf2efa2c047403d209f5190633093b9c7226e1a0244a227935ba3"


def key_of(request: Request) -> str:
    return work_key({}, FAMILY_VIEW, request, ["c"] * len(request.names))


def test_a_window_is_the_same_work_as_its_range_and_what_is_new_only_changes_what_asks_for_it():
    plain = Request("Why?", ("a.mp4",), choice=FrameChoice(start=0.0, end=30.0))
    key = key_of(plain)
    assert key_of(replace(plain, window=Window(1, 4, 0.0, 30.0))) == key
    assert key_of(replace(plain, wording=Wording(max_words=3))) == key
    others = [
        replace(plain, context=(Cue(0.0, 1.0, "Hello"),)),
        replace(plain, context=(Cue(0.0, 1.0, "Bye"),)),
        replace(plain, retry_loops=True),
    ]
    assert len({key, *map(key_of, others)}) == 4


def test_a_summary_is_known_by_what_was_said_of_the_windows():
    def summary(text: str, *ids: str) -> str:
        return key_of(Request("Why?", summary=Summary("a.mp4", (Cue(0.0, 5.0, text),), ids)))

    assert summary("A.", "x") == summary("A.", "y") != summary("B.", "x")


def test_records_of_requests_without_anything_new_have_no_new_keys():
    asked = Request("Why?", ("a.mp4",)).asked()
    assert list(asked) == [
        "question", "system", "messages", "template_sha256", "choice", "fit", "raw", "generation",
    ]  # fmt: skip


def test_a_shape_is_other_work_and_so_is_another_order_of_its_keys():
    """Work without one has the key that it always had."""
    view, request = View((2, 2), "crop", Sampling("uniform", 4)), Request("Why?", ("a.mp4",))
    shapes = [None, Constraint("regex", "a"), Constraint("grammar", "a")]
    shapes += [
        Constraint("schema", json.dumps({"properties": keys})) for keys in ({"a": {}, "b": {}}, {"b": {}, "a": {}})
    ]
    keys = [work_key({}, view, replace(request, constraint=shape), ["0"]) for shape in shapes]
    assert len(set(keys)) == 5
    assert keys[0] == "c46cb59fc8d88cc893e9e64df2e8299b8f1224a49c7d3fe7d028b2ba1d76ad4b"
