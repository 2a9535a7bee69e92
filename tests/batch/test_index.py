# SPDX-License-Identifier: Apache-2.0
"""Records by identity and by key, without memory."""

from __future__ import annotations

import tracemalloc

from llava_cli.batch.index import Index, LedgerEntry

KEY = "0f" * 32


def test_the_last_record_of_an_identity_counts():
    index = Index()
    assert index.find(b"x") is None
    index.add(b"x", KEY, LedgerEntry(10, False))
    assert index.find(b"x") == LedgerEntry(10, False)
    index.add(b"x", KEY, LedgerEntry(20, True))
    assert index.find(b"x") == LedgerEntry(20, True)
    index.close()


def test_only_answers_are_found_by_key():
    index = Index()
    index.add(b"x", KEY, LedgerEntry(10, False))
    assert index.done(KEY) is None
    index.add(b"y", KEY, LedgerEntry(20, True))
    assert index.done(KEY) == 20
    index.add(b"z", KEY, LedgerEntry(-1, True))  # which stands nowhere
    assert index.done(KEY) == 20
    index.close()


def test_many_entries_are_not_held_in_memory():
    index = Index()
    tracemalloc.start()
    for number in range(20_000):
        index.add(number.to_bytes(16), f"{number:064x}", LedgerEntry(number, True))
    assert tracemalloc.get_traced_memory()[1] < 500_000
    tracemalloc.stop()
    assert index.find((19_999).to_bytes(16)) == LedgerEntry(19_999, True)
    index.close()
