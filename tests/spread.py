# SPDX-License-Identifier: Apache-2.0
"""Comparing runs of a list: what must be the same wherever its engines were."""

from __future__ import annotations

import json
from pathlib import Path


def results(ledger: Path) -> dict[str, dict]:
    """The records of a ledger by id, without what says where, when and beside which others a job was answered.

    Raises:
        AssertionError: a job has two records.
    """
    records = [json.loads(line) for line in ledger.read_text().splitlines()]
    assert len({record["id"] for record in records}) == len(records)
    return {record["id"]: _bare(record) for record in records}


def _bare(record: dict) -> dict:
    told = {key: value for key, value in record.items() if key not in ("timing", "batch_size")}
    if told["model"]:
        told["model"] = {key: value for key, value in told["model"].items() if key != "device"}
    return told
