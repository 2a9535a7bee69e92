# SPDX-License-Identifier: Apache-2.0
"""What is not done again: in the ledger, in hand, listed twice, or the same under another name."""

from __future__ import annotations

from types import SimpleNamespace

from batch.stub import Engine, clips, run

from llava_cli.batch.jobs import Job
from llava_cli.batch.ledger import Ledger


def test_what_is_listed_twice_is_answered_once(contents):
    contents.update({"copy.mp4": "same", "0.mp4": "same"})
    done = run([*clips(2), *clips(2), Job(("copy.mp4",), "Why?", extra={"label": 1}), Job(("0.mp4",), "Why?", id="x")])
    assert sum(map(len, done.engine.batches)) == 2
    assert done.tally.skipped == 2
    by_path = {(record["media"][0]["path"], str(record["id"])[:1] == "x"): record for record in done.records}
    assert len(done.records) == len(by_path) == 4
    copy = by_path["copy.mp4", False]
    assert copy["answer"] == by_path["0.mp4", False]["answer"]
    assert (copy["same_as"], copy["label"]) == (by_path["0.mp4", False]["id"], 1)


def test_copies_of_what_fails_fail_under_their_own_names(contents):
    contents.update({"bad1.mp4": "same", "bad2.mp4": "same"})
    done = run([Job(("bad1.mp4",), "Why?"), Job(("bad2.mp4",), "Why?")])
    assert [record["error"]["message"] for record in done.records] == ["bad1.mp4: is bad", "bad2.mp4: is bad"]


def test_a_second_run_goes_on_and_renamed_files_keep_their_answers(contents, tmp_path):
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


def test_copies_are_answers_too_under_their_own_names(contents):
    contents.update({"b.mp4": "a.mp4"})
    first, copy = run([Job(("a.mp4",), "Why?"), Job(("b.mp4",), "Why?", id=7)]).results
    assert (copy.answer.text, copy.answer.job) == (first.answer.text, copy.job)
    assert copy.answer.record()["media"][0]["path"] == "b.mp4"
    assert first.answer.record()["media"][0]["path"] == "a.mp4"


def test_what_another_process_has_in_hand_is_left_to_it(contents, tmp_path):
    other, ours = Ledger(tmp_path / "ledger"), Ledger(tmp_path / "ledger")
    claimed = []
    claim = other.claim
    other.claim = lambda identities: claimed.append(identities) or claim(identities)

    class Waiting(Engine):
        def answer(self, batch):
            nested.append(run(clips(3), ledger=ours))
            return super().answer(batch)

    nested: list[SimpleNamespace] = []
    done = run(clips(3), Waiting(), ledger=other)
    assert (done.tally.done, nested[0].tally.done, nested[0].tally.elsewhere) == (3, 0, 3)
    assert nested[0].pool.decoded == []
    assert run(clips(3), ledger=ours).tally.skipped == 3
