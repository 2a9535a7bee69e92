# SPDX-License-Identifier: Apache-2.0
"""What is said of how a list went."""

from __future__ import annotations

from llava_cli.batch.tally import Tally


def test_the_summary_counts_everything():
    tally = Tally(done=3, failed=1, skipped=5, elsewhere=2, engine_s=0.5)
    assert tally.seen == 11
    assert tally.summary().startswith("3 done, 1 failed, 5 skipped, 2 left to other processes; ")
    assert "a second, the engine busy " in tally.summary()
    assert "a second, each of 3 engines busy " in Tally(done=3, engine_s=0.5, engines=3).summary()
    assert Tally(skipped=5).summary() == "0 done, 0 failed, 5 skipped; nothing to do"


def test_earlier_failures_count_until_they_are_made_good():
    assert Tally(done=3, skipped=1).failures(ledger=True) is None
    assert Tally(failed=2).failures(ledger=False) == "2 failed"
    assert Tally(skipped_failures=2).failures(ledger=True) == "0 failed, 2 before; --retry-failed tries them again"


def test_the_bar_s_remark_is_short():
    tally = Tally(failed=1, skipped=2, current="folder/" * 20 + "clip.mp4")
    assert tally.remark().startswith("1 failed  2 skipped  ")
    assert tally.remark().endswith("folder/clip.mp4")
    assert len(tally.remark()) < 90


def test_answers_that_were_cut_off_are_counted():
    assert Tally(done=3).cuts() is None
    assert Tally(done=3, cut=1).cuts() == "1 answer was cut off; --max-new-tokens allows longer ones"
    assert Tally(done=3, cut=2).cuts() == "2 answers were cut off; --max-new-tokens allows longer ones"
