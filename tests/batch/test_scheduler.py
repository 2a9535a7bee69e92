# SPDX-License-Identifier: Apache-2.0
"""The batch road with an engine that only pretends: what is done once, what a failure costs, when it ends."""

from __future__ import annotations

import io
import json
import os
from types import SimpleNamespace

import pytest
from batch.engines import Several
from batch.stub import Engine, StubSession, clips, run

from llava_cli.batch.jobs import Job, Unusable, items_of, read_jsonl
from llava_cli.batch.ledger import Ledger
from llava_cli.batch.task import Task
from llava_cli.errors import InputError, ModelError, OutOfMemory, OutputError
from llava_cli.media.worker.parent import NotStarted


def test_questions_about_one_file_are_decoded_once_and_asked_together():
    items = [Job((path,), q) for path in ("a.mp4", "b.mp4") for q in ("Who?", "What is it?", "Why?")]
    done = run(items)
    assert done.pool.decoded == [("a.mp4",), ("b.mp4",)]
    assert done.engine.batches == [["Who?", "What is it?", "Why?"]] * 2


def test_a_bad_file_and_a_bad_line_are_one_record_each():
    items = [
        *clips(2),
        Job(("bad.mp4",), "Why?"),
        Unusable(7, "{", InputError("list, line 7: is not valid JSON")),
        *clips(3),
    ]
    done = run(items)
    failed = [record for record in done.records if record["status"] == "error"]
    assert [record["error"]["message"] for record in failed] == ["list, line 7: is not valid JSON", "bad.mp4: is bad"]
    assert (done.tally.done, done.tally.failed, done.tally.skipped) == (3, 2, 2)


def test_strict_stops_at_the_first_failure():
    done = run([Job(("bad.mp4",), "Why?"), *clips(500)], strict=True, window=4)
    assert done.tally.failed == 1
    assert done.tally.done < 10


def test_memory_that_runs_out_for_one_is_an_error_or_fewer_frames():
    refused = run(clips(1, frames=40), Engine(frames=10))
    assert refused.records[0]["error"]["code"] == "out_of_memory"
    fitted = run(clips(1, frames=40), Engine(frames=10), fit=True)
    assert fitted.records[0]["answer"] == "10 frames: Why?"
    assert fitted.records[0]["warnings"] == ["at most 10 frames of each video are shown, to fit the memory"]
    hopeless = run(clips(1, frames=40), Engine(frames=0), fit=True)
    assert hopeless.records[0]["error"]["code"] == "out_of_memory"


def test_a_context_that_is_too_short():
    items = [*clips(1, frames=80), Job(("other.mp4",), "Why?")]
    refused = run(items)
    assert (refused.tally.done, refused.tally.failed) == (1, 1)
    fitted = run(items, fit=True)
    assert {record["answer"] for record in fitted.records} == {"50 frames: Why?", "4 frames: Why?"}


class RecordingWriter:
    per_job = False

    def __init__(self, needs_media: bool) -> None:
        self.needs_media = needs_media
        self.got: list = []

    def put(self, records, media) -> None:
        self.got.append(([(record["question"], new) for record, new in records], [m.info.path for m in media]))

    def close(self) -> None:
        pass

    discard = close


@pytest.mark.parametrize("needs_media", [True, False])
def test_writers_get_whole_groups_also_of_earlier_runs(tmp_path, needs_media):
    ledger = Ledger(tmp_path / "ledger")
    run([Job(("a.mp4",), "Who?"), Job(("b.mp4",), "Who?")], ledger=ledger)
    writer = RecordingWriter(needs_media)
    items = [Job((path,), q) for path in ("a.mp4", "b.mp4", "c.mp4") for q in ("Who?", "Why?")][:-3]
    done = run([*items, Job(("b.mp4",), "Who?")][:4], ledger=ledger, writers=[writer])
    assert (["a.mp4"] in [media for _, media in writer.got]) is True
    assert ([("Who?", False), ("Why?", True)], ["a.mp4"]) in writer.got
    assert ([("Who?", False)], ["b.mp4"] if needs_media else []) in writer.got
    assert done.engine.batches == [["Why?"]]


def test_stopping_leaves_the_rest_of_the_list():
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


def test_decoded_pictures_that_wait_are_bounded(monkeypatch):
    """4 frames of 2 x 2 pixels are 48 bytes: no more groups are in work than that gives room for."""
    monkeypatch.setattr("llava_cli.batch.scheduler.HELD_BYTES", 48 * 5)
    most = []

    class Watching(Engine):
        def answer(self, batch):
            most.append(len(batch))
            return super().answer(batch)

    engine = Watching()
    assert run(clips(60), engine, window=50).tally.done == 60
    assert max(most[8:]) <= 5


def test_each_result_comes_when_its_record_is_in_the_ledger(tmp_path):
    path = tmp_path / "ledger"
    ledger = Ledger(path)

    written = []
    append = ledger.append
    ledger.append = lambda record: (append(record), written.append(record))
    done = run(clips(3), ledger=ledger)
    assert [result.record for result in done.results] == written
    assert [result.answer.text for result in done.results] == ["4 frames: Why?"] * 3
    assert path.read_bytes().count(b"\n") == 3


@pytest.mark.parametrize(("name", "code", "message"), [
    ("bug.mp4", "decoder", "bug.mp4: cannot be decoded: LookupError: unforeseen"),
    ("a.mp4", "bug", "this is a bug in llava: LookupError: no such token; details in LOG"),
])  # fmt: skip
def test_what_nobody_foresaw_costs_one_job(name, code, message, logs):
    question = "untokenizable" if code == "bug" else "Why?"
    done = run([*clips(2), Job((name,), question), *clips(5)[2:]])
    (failed,) = [result for result in done.results if result.error is not None]
    message = message.replace("LOG", str(next(logs.iterdir()) if logs.exists() else ""))
    assert (failed.job.media, failed.record["error"]) == ((name,), {"code": code, "message": message})
    assert done.tally.done == 5


BAD_TEXTS = [
    {"question": "Wh\udcff?"},
    {"system": "\ud800"},
    {"note": {"\ud83d": 1}},
    {"note": ["\ud83d"]},
    {"\udcff": 1},
]


@pytest.mark.parametrize("more", BAD_TEXTS)
def test_a_text_that_is_no_text_costs_one_job(more):
    jobs = [{"media": f"{n}.mp4", "question": "Why?", "id": f"id-{n}"} for n in range(3)]
    done = run(items_of([jobs[0], jobs[1] | more, jobs[2]]))
    failed = {record["id"]: record["error"] for record in done.records if record["status"] == "error"}
    assert set(failed) == {"id-1"}
    assert failed["id-1"]["code"] == "job"
    assert "jobs, line 2: " in failed["id-1"]["message"]
    assert "is not valid Unicode text" in failed["id-1"]["message"]
    assert done.tally.done == 2
    assert done.pool.decoded == [("0.mp4",), ("2.mp4",)]


@pytest.mark.parametrize("place", ["request", "answered", "copied"])
def test_a_bug_on_the_way_of_one_job_costs_that_job(monkeypatch, tmp_path, place):
    """While its work is named, while its record is made, while an earlier answer is taken over."""
    of = Job if place == "request" else Task
    made = getattr(of, place)

    def broken(self, *arguments):
        if "1.mp4" in (self.media if of is Job else self.request.media):
            raise KeyError("oops")
        return made(self, *arguments)

    ledger = Ledger(tmp_path / "ledger")
    if place == "copied":
        run([Job((f"{n}.mp4",), "Why?", id="before") for n in range(3)], ledger=ledger)
    monkeypatch.setattr(of, place, broken)
    done = run(clips(3), ledger=ledger)
    assert [r["error"]["code"] for r in done.records if r["status"] == "error"] == ["bug"]
    assert done.tally.done == 2
    ledger.close()


class FailingWriter:
    """Cannot write what is about the second file."""

    needs_media = False

    def __init__(self, error: Exception, per_job: bool) -> None:
        self.error, self.per_job = error, per_job

    def put(self, records, media) -> None:
        if records[0][0]["media"][0]["path"] == "1.mp4":
            raise self.error

    def close(self) -> None:
        pass

    discard = close


@pytest.mark.parametrize(
    ("error", "code"), [(OutputError("1.txt: cannot be written"), "output"), (ValueError("oops"), "bug")]
)
def test_what_cannot_be_written_beside_a_file_is_that_job_s_failure(tmp_path, error, code):
    ledger = Ledger(tmp_path / "ledger")
    done = run(clips(3), ledger=ledger, writers=[FailingWriter(error, per_job=True)])
    assert (done.tally.done, done.tally.failed) == (2, 1)
    records = [json.loads(line) for line in (tmp_path / "ledger").read_text().splitlines()]
    assert [r["status"] for r in records if r["media"][0]["path"] == "1.mp4"] == ["ok", "error"]
    last = [r for r in records if r["status"] == "error"]
    assert [(r["error"]["code"], r["question"], "answer" in r) for r in last] == [(code, "Why?", False)]
    ledger.close()
    # A run that tries it again has its answer already.
    again = Ledger(tmp_path / "ledger", retry_failed=True)
    done = run(clips(3), ledger=again)
    assert (done.tally.done, done.tally.failed, done.engine.batches) == (1, 0, [])
    again.close()


def test_a_table_that_cannot_be_written_ends_the_run():
    with pytest.raises(OutputError):
        run(clips(3), writers=[FailingWriter(OutputError("t.csv: the disk is full"), per_job=False)])
    assert run(clips(3), writers=[FailingWriter(ValueError("oops"), per_job=False)]).tally.failed == 1


def test_a_file_that_is_replaced_before_it_is_decoded_gets_no_answer_under_the_old_name(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    session = StubSession()
    submit = session.pool.submit

    def replaced(views):
        (tmp_path / "new").write_bytes(b"two")
        (tmp_path / "new").replace(path)
        return submit(views)

    session.pool.submit = replaced
    (record,) = run([Job((str(path),), "Why?")], session=session).records
    assert (record["status"], record["error"]["code"]) == ("error", "changed")
    assert "was changed while it was read" in record["error"]["message"]
    session.pool.submit = submit
    (again,) = run([Job((str(path),), "Why?")], session=session).records
    assert (again["status"], again["key"] != record["key"]) == ("ok", True)


def test_a_file_that_is_only_touched_is_the_same(tmp_path):
    path = tmp_path / "a.mp4"
    path.write_bytes(b"one")
    session = StubSession()
    submit = session.pool.submit
    session.pool.submit = lambda views: os.utime(path, (1, 1)) or submit(views)
    assert run([Job((str(path),), "Why?")], session=session).tally.done == 1


def test_whatever_a_list_holds_each_line_has_one_record_and_the_ledger_is_json(tmp_path):
    """Lines of a list with a value of the wrong kind, or a text that is none, at every place of it."""
    good = {"id": "7", "media": "a.mp4", "question": "Why?", "system": "Be brief.", "start": 1, "note": {"a": ["b"]}}
    bad = ["\ud83d", "\udcff", "a\0b", "", 10**4200, -1, 1.5, True, None, [], {}, ["\ud83d"], {"\ud83d": 1}, "\x1b[31m"]
    lines = [json.dumps(good | {key: value}).encode() for key in [*good, "\ud83d", "answer", "key"] for value in bad]
    nested = b'{"media": "a.mp4", "question": "Why?", "note": ' + b"[" * 900 + b"]" * 900 + b"}"
    raw = [b'{"media": "a.mp4", "question": "Wh\xff"}', b"\xff", b"{", b"null", b"[1]", nested, b'{"media": NaN}']
    listed = b"\n".join([*lines, *raw, json.dumps(good | {"id": "last"}).encode()])
    ledger = Ledger(tmp_path / "ledger")
    done = run(read_jsonl(io.BytesIO(listed), "list"), ledger=ledger)
    written = (tmp_path / "ledger").read_bytes().decode("ascii").splitlines()
    assert len(written) == len(done.records)
    assert done.tally.done + done.tally.failed + done.tally.skipped == len(lines) + len(raw) + 1
    for line in written:
        record = json.loads(line)
        json.dumps(record, ensure_ascii=False).encode()  # no half of a pair
        assert "bug" not in record.get("error", {}).get("code", "")
    assert json.loads(written[-1])["status"] in ("ok", "error")
    assert {"last"} <= {json.loads(line)["id"] for line in written if json.loads(line)["status"] == "ok"}
    ledger.close()


def test_where_no_decoder_starts_the_run_ends():
    """It is not the files' fault: not each of a hundred thousand is to be called broken."""
    with pytest.raises(NotStarted, match="does not start"):
        run([Job(("machine.mp4",), "Why?")])


def test_a_checkpoint_that_does_not_fit_ends_the_run():
    session = StubSession()
    session.free = -1.0
    with pytest.raises(OutOfMemory):
        run(clips(3), session=session)


def test_what_the_plan_refuses_is_an_error_or_shows_fewer_frames():
    class Small(StubSession):
        """With room for 10 frames."""

        def _prompt(self, ask, new_tokens):
            prompt = super()._prompt(ask, new_tokens)
            prompt.ids[:] = [0] * len(ask.media[0].frames)
            return prompt

        def _check(self, prompts, patches=None):
            if any(tokens > 10 for tokens, _ in prompts):
                raise OutOfMemory("it does not fit")

    items = [*clips(1, frames=40), Job(("other.mp4",), "Why?")]
    refused = run(items, session=Small())
    assert [record["error"]["code"] for record in refused.records if "error" in record] == ["out_of_memory"]
    assert refused.tally.done == 1
    assert refused.engine.batches == [["Why?"]]
    fitted = run(items, session=Small(), fit=True)
    assert {record["answer"] for record in fitted.records} == {"10 frames: Why?", "4 frames: Why?"}


def test_what_is_decoded_again_counts():
    (record,) = run(clips(1, frames=40), Engine(frames=10), fit=True).records
    assert record["timing"]["decode_s"] == 1.5  # with 40, 20 and 10 frames


def test_where_everything_is_done_nothing_is_loaded(contents, tmp_path):
    ledger = Ledger(tmp_path / "ledger")
    run(clips(5), ledger=ledger)
    session = StubSession()
    del session.loader, session.engine
    session.pool = None
    assert run(clips(5), ledger=ledger, session=session).tally.skipped == 5


@pytest.mark.parametrize("fresh", [0, 1])
def test_an_endless_list_of_repeats_can_be_stopped_and_does_not_keep_others_waiting(fresh):
    stop = SimpleNamespace(wanted=False)

    def endless():
        yield from clips(1)
        for number in range(100_000):
            if number == 5000:
                stop.wanted = True
            yield Job((f"{number % 2}.mp4" if fresh else "0.mp4",), "Why?")

    done = run(endless(), stop=stop, window=8)
    assert done.tally.skipped < 10_000
    assert done.tally.done == 1 + fresh  # before it was stopped


def test_stopping_finishes_what_every_engine_has_in_hand_and_hands_out_nothing_more():
    session, stop = StubSession(), SimpleNamespace(wanted=False)
    session.engines = engines = Several(3, lazy=True)
    submit = engines.submit

    def submit_and_stop(batch):
        stop.wanted = len(engines.handed_out) == 2
        return submit(batch)

    engines.submit = submit_and_stop
    done = run(clips(500), session=session, stop=stop, window=8)
    assert len(engines.handed_out) == 3
    assert done.tally.done == sum(map(len, engines.handed_out))


def test_strict_does_not_wait_for_other_engines():
    session = StubSession()
    session.engines = Several(2)
    done = run([Job(("0.mp4",), "odd?"), *clips(500)], session=session, strict=True, window=4, limit=1)
    assert done.tally.failed == 1
    assert done.tally.done < 10


def test_where_no_engine_is_left_the_run_ends():
    session = StubSession()
    session.engines = Several(2, lazy=True, gone=ModelError("no engine is left"))
    with pytest.raises(ModelError, match="no engine is left"):
        run(clips(500), session=session)


@pytest.mark.parametrize(("size", "least", "most"), [(1, 1, 8), (4, 9, 32)])
def test_as_much_is_decoded_ahead_as_the_engines_need(size, least, most):
    session, waiting = StubSession(), []
    session.engines = engines = Several(size, lazy=True)
    submit = engines.submit

    def noted(batch):
        waiting.append(len(session.pool.decoded) - sum(map(len, engines.handed_out)))
        return submit(batch)

    engines.submit = noted
    run(clips(200), session=session, window=8)
    assert least <= max(waiting) <= most
