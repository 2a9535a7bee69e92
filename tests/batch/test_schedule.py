# SPDX-License-Identifier: Apache-2.0
"""The batch road with an engine that only pretends: what is batched, what is done once, what a failure costs."""

from __future__ import annotations

from concurrent.futures import Future
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from llava_cli.batch.asking import Asking
from llava_cli.batch.entry import Recorder
from llava_cli.batch.feed import Feed, grouped
from llava_cli.batch.identity import Identifier
from llava_cli.batch.jobs import Job, Unusable
from llava_cli.batch.ledger import Ledger, Untold
from llava_cli.batch.schedule import Rules, Scheduler
from llava_cli.engine.context import TooLong
from llava_cli.engine.types import Answer, Generation, ModelInfo
from llava_cli.errors import InputError, ModelError, OutOfMemory
from llava_cli.media.clip import Clip, MediaInfo, Sampling, View
from llava_cli.media.worker.parent import NotStarted
from llava_cli.media.worker.pool import Decoded
from llava_cli.media.worker.wire import DecoderBug
from llava_cli.models.messages import Conversation

INFO = ModelInfo("stub", None, "stub", "float32", None, "cpu", "sdpa")
VIEW = View((2, 2), "crop", Sampling("uniform", 4))


class Pool:
    """Decodes at once: every file shows as many frames as are wanted, except bad ones."""

    broken = False

    def __init__(self) -> None:
        self.decoded: list[tuple[str, ...]] = []

    def submit(self, paths, view) -> Future[Decoded]:
        self.decoded.append(tuple(paths))
        future: Future[Decoded] = Future()
        if any("bad" in path for path in paths):
            future.set_exception(InputError(f"{paths[0]}: is bad"))
            return future
        if any("bug" in path for path in paths):
            future.set_exception(DecoderBug("Traceback\n  ...\nLookupError: unforeseen"))
            return future
        if self.broken:
            future.set_exception(NotStarted("the decoding process does not start"))
            return future
        count = view.sampling.frames
        clips = [
            Clip(
                np.zeros((count, 2, 2, 3), np.uint8), tuple(range(count)), tuple(map(float, range(count))),
                MediaInfo(path, "video", 2, 2, None, "pyav"), view.sampling,
            )
            for path in paths
        ]  # fmt: skip
        future.set_result(Decoded(clips, 0.0))
        return future


class Engine:
    """Answers with the number of frames and the question; too large batches are too much for it."""

    info = INFO

    def __init__(self, holds: int = 100, frames: int = 100) -> None:
        self.batches: list[list[str]] = []
        self._holds, self._frames = holds, frames

    def answer(self, asks: list[Conversation], generation: Generation) -> list[Answer]:
        questions = [ask.turns[-1].parts[-1] for ask in asks]
        self.batches.append(questions)
        if len(asks) > self._holds or any(len(ask.media[0].frames) > self._frames for ask in asks):
            raise OutOfMemory("too much")
        if any("odd" in question for question in questions):
            raise ModelError("odd question")
        if any("bug" in question for question in questions):
            raise ZeroDivisionError("oops")
        return [
            Answer(f"{len(a.media[0].frames)} frames: {q}", "stop", a.media, (1,) * len(a.media), 5, 3, "family")
            for a, q in zip(asks, questions, strict=True)
        ]


def tokens(ask: Conversation) -> int:
    frames = len(ask.media[0].frames)
    if frames > 50:
        raise TooLong(frames, 50, 50)
    return len(ask.turns[-1].parts[-1])


@pytest.fixture
def contents(monkeypatch):
    """What files hold, by name; a file that is not named holds its name."""
    known: dict[str, str] = {}
    monkeypatch.setattr("llava_cli.batch.identity.content", lambda path: known.get(path, path))
    return known


@pytest.fixture
def run(contents):
    def run(items, engine=None, ledger=None, sinks=(), generation=None, limit=None, stop=None, **rules):
        engine, pool, records = engine or Engine(), Pool(), []
        generation = generation or Generation()

        def view_of(job: Job) -> View:
            return replace(VIEW, sampling=replace(VIEW.sampling, frames=job.frames or 4))

        identifier = Identifier({}, generation, view_of, None)
        asking = Asking(
            lambda: engine, tokens, generation, lambda lengths: len(lengths) <= 8, lambda message: None, limit
        )
        scheduler = Scheduler(
            Feed(grouped(items, identifier), 1000), pool, asking, Recorder(generation, lambda: INFO),
            ledger if ledger is not None else Untold(), sinks, Rules(view_of, **rules), records.append,
        )  # fmt: skip
        tally = scheduler.run(stop or SimpleNamespace(wanted=False))
        return SimpleNamespace(records=records, tally=tally, pool=pool, engine=engine, asking=asking)

    return run


def clips(count: int, question: str = "Why?", **more) -> list[Job]:
    return [Job((f"{n}.mp4",), question, **more) for n in range(count)]


def test_every_job_is_answered_in_batches_of_what_fits(run):
    done = run(clips(40))
    assert sorted(record["media"][0]["path"] for record in done.records) == sorted(f"{n}.mp4" for n in range(40))
    assert max(map(len, done.engine.batches)) == 8
    assert {record["batch_size"] for record in done.records} == set(map(len, done.engine.batches))
    assert (done.tally.done, done.tally.failed) == (40, 0)


def test_a_batch_size_is_a_bound(run):
    assert max(map(len, run(clips(20), limit=3).engine.batches)) == 3


def test_questions_about_one_file_are_decoded_once_and_asked_together(run):
    items = [Job((path,), q) for path in ("a.mp4", "b.mp4") for q in ("Who?", "What is it?", "Why?")]
    done = run(items)
    assert done.pool.decoded == [("a.mp4",), ("b.mp4",)]
    assert done.engine.batches == [["Who?", "What is it?", "Why?"]] * 2


def test_single_questions_are_batched_with_those_of_their_length(run):
    items = [Job((f"{n}.mp4",), "short?" if n % 2 else "a much longer question?" * 3) for n in range(16)]
    done = run(items, window=16)
    assert all(len(set(map(len, batch))) == 1 for batch in done.engine.batches)
    assert sorted(map(len, done.engine.batches)) == [8, 8]


def test_sampled_answers_are_made_one_by_one_so_that_their_seed_repeats_them(run):
    done = run(clips(4), generation=Generation(temperature=1.0, seed=3), limit=8)
    assert list(map(len, done.engine.batches)) == [1, 1, 1, 1]


def test_a_bad_file_and_a_bad_line_are_one_record_each(run):
    items = [*clips(2), Job(("bad.mp4",), "Why?"), Unusable(7, "{", InputError("list, line 7: is no JSON")), *clips(3)]
    done = run(items)
    failed = [record for record in done.records if record["status"] == "error"]
    assert [record["error"]["message"] for record in failed] == ["list, line 7: is no JSON", "bad.mp4: is bad"]
    assert (done.tally.done, done.tally.failed, done.tally.skipped) == (3, 2, 2)


def test_strict_stops_at_the_first_failure(run):
    done = run([Job(("bad.mp4",), "Why?"), *clips(500)], strict=True, window=4)
    assert done.tally.failed == 1
    assert done.tally.done < 10


def test_memory_that_runs_out_halves_the_batch_and_is_remembered(run):
    done = run(clips(24), Engine(holds=3), window=8)
    assert done.tally.done == 24
    sizes = list(map(len, done.engine.batches))
    assert sizes[:3] == [8, 4, 2]
    assert max(sizes[3:]) == 2
    assert done.asking.limit == 2


def test_memory_that_runs_out_for_one_is_an_error_or_fewer_frames(run):
    refused = run(clips(1, frames=40), Engine(frames=10))
    assert refused.records[0]["error"]["code"] == "out_of_memory"
    fitted = run(clips(1, frames=40), Engine(frames=10), fit=True)
    assert fitted.records[0]["answer"] == "10 frames: Why?"
    assert fitted.records[0]["warnings"] == ["at most 10 frames of each video are shown, to fit the memory"]
    hopeless = run(clips(1, frames=40), Engine(frames=0), fit=True)
    assert hopeless.records[0]["error"]["code"] == "out_of_memory"


def test_a_context_that_is_too_short(run):
    items = [*clips(1, frames=80), Job(("other.mp4",), "Why?")]
    refused = run(items)
    assert (refused.tally.done, refused.tally.failed) == (1, 1)
    fitted = run(items, fit=True)
    assert {record["answer"] for record in fitted.records} == {"50 frames: Why?", "4 frames: Why?"}


@pytest.mark.parametrize(("question", "code"), [("odd?", "model"), ("bug?", "bug")])
def test_one_job_that_the_engine_refuses_costs_no_other(run, question, code):
    items = clips(8)
    items[3] = Job(("3.mp4",), question)
    done = run(items)
    assert done.tally.done == 7
    (failed,) = [record for record in done.records if record["status"] == "error"]
    assert (failed["error"]["code"], failed["question"]) == (code, question)


def test_an_engine_that_is_broken_for_good_ends_the_run(run):
    with pytest.raises(ZeroDivisionError):
        run(clips(50, "bug?"))


def test_what_is_listed_twice_is_answered_once(run, contents):
    contents.update({"copy.mp4": "same", "0.mp4": "same"})
    done = run([*clips(2), *clips(2), Job(("copy.mp4",), "Why?", extra={"label": 1}), Job(("0.mp4",), "Why?", id="x")])
    assert sum(map(len, done.engine.batches)) == 2
    assert done.tally.skipped == 2
    by_path = {(record["media"][0]["path"], str(record["id"])[:1] == "x"): record for record in done.records}
    assert len(done.records) == len(by_path) == 4
    copy = by_path["copy.mp4", False]
    assert copy["answer"] == by_path["0.mp4", False]["answer"]
    assert (copy["same_as"], copy["label"]) == (by_path["0.mp4", False]["id"], 1)


def test_copies_of_what_fails_fail_under_their_own_names(run, contents):
    contents.update({"bad1.mp4": "same", "bad2.mp4": "same"})
    done = run([Job(("bad1.mp4",), "Why?"), Job(("bad2.mp4",), "Why?")])
    assert [record["error"]["message"] for record in done.records] == ["bad1.mp4: is bad", "bad2.mp4: is bad"]


def test_a_second_run_goes_on_and_renamed_files_keep_their_answers(run, contents, tmp_path):
    path = tmp_path / "ledger"
    first = Ledger(path)
    run([*clips(5), Job(("bad.mp4",), "Why?")], ledger=first)
    first.close()
    contents.update({"new-name.mp4": "0.mp4"})
    items = [*clips(7), Job(("bad.mp4",), "Why?"), Job(("new-name.mp4",), "Why?")]
    second = Ledger(path)
    done = run(items, ledger=second)
    second.close()
    assert (done.tally.skipped, sum(map(len, done.engine.batches))) == (6, 2)
    third = Ledger(path, retry_failed=True)
    retried = run(items, ledger=third)
    assert (retried.tally.failed, retried.tally.skipped, retried.engine.batches) == (1, 8, [])


class Sink:
    def __init__(self, needs_media: bool) -> None:
        self.needs_media = needs_media
        self.got: list = []

    def put(self, records, media) -> None:
        self.got.append(([(record["question"], new) for record, new in records], [m.info.path for m in media]))

    def close(self) -> None:
        pass

    discard = close


@pytest.mark.parametrize("needs_media", [True, False])
def test_sinks_get_whole_groups_also_of_earlier_runs(run, tmp_path, needs_media):
    ledger = Ledger(tmp_path / "ledger")
    run([Job(("a.mp4",), "Who?"), Job(("b.mp4",), "Who?")], ledger=ledger)
    sink = Sink(needs_media)
    items = [Job((path,), q) for path in ("a.mp4", "b.mp4", "c.mp4") for q in ("Who?", "Why?")][:-3]
    done = run([*items, Job(("b.mp4",), "Who?")][:4], ledger=ledger, sinks=[sink])
    assert (["a.mp4"] in [media for _, media in sink.got]) is True
    assert ([("Who?", False), ("Why?", True)], ["a.mp4"]) in sink.got
    assert ([("Who?", False)], ["b.mp4"] if needs_media else []) in sink.got
    assert done.engine.batches == [["Why?"]]


def test_stopping_leaves_the_rest_of_the_list(run):
    stop = SimpleNamespace(wanted=False)
    engine = Engine()
    answer = engine.answer

    def answer_and_stop(*arguments):
        stop.wanted = True
        return answer(*arguments)

    engine.answer = answer_and_stop
    done = run(clips(100), engine, stop=stop, window=8)
    assert len(engine.batches) == 1
    assert done.tally.done == len(engine.batches[0])  # the batch in hand is told


def test_keys_of_the_list_that_records_use_are_kept_apart(run):
    (record,) = run([Job(("a.mp4",), "Why?", id=7, extra={"label": "x", "answer": "42", "status": "new"})]).records
    assert (record["id"], record["label"], record["status"]) == (7, "x", "ok")
    assert record["job"] == {"answer": "42", "status": "new"}


def test_the_description_that_is_asked_for_depends_on_the_kind(run):
    assert run([Job(("a.mp4",))]).records[0]["question"] == "Describe this video in detail."


def test_decoded_pictures_that_wait_are_bounded(run, monkeypatch):
    """4 frames of 2 x 2 pixels are 48 bytes: no more groups are in work than that gives room for."""
    monkeypatch.setattr("llava_cli.batch.schedule.HELD_BYTES", 48 * 5)
    most = []

    class Watching(Engine):
        def answer(self, asks, generation):
            most.append(len(asks))
            return super().answer(asks, generation)

    engine = Watching()
    assert run(clips(60), engine, window=50).tally.done == 60
    assert max(most[8:]) <= 5


def test_an_unforeseen_error_of_a_decoder_is_the_file_s(run):
    done = run([Job(("bug.mp4",), "Why?"), *clips(3)])
    (failed,) = [record for record in done.records if record["status"] == "error"]
    assert failed["error"]["code"] == "decoder"
    assert failed["error"]["message"] == "bug.mp4: cannot be decoded: LookupError: unforeseen"
    assert done.tally.done == 3


def test_where_no_decoder_starts_the_run_ends(run, monkeypatch):
    """It is not the files' fault: not each of a hundred thousand is to be told as broken."""
    monkeypatch.setattr(Pool, "broken", True)
    with pytest.raises(NotStarted, match="does not start"):
        run(clips(3))
