# SPDX-License-Identifier: Apache-2.0
"""Ledgers that tests leave open, as processes do that are killed, have their databases closed."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from llava_cli.batch.index import Index


@pytest.fixture(autouse=True)
def indexes_are_closed(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    opened: list[Index] = []
    create = Index.__init__

    def noted(index: Index) -> None:
        create(index)
        opened.append(index)

    monkeypatch.setattr(Index, "__init__", noted)
    yield
    for index in opened:
        index.close()
