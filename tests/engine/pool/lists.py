# SPDX-License-Identifier: Apache-2.0
"""Lists of clips, answered by whatever engines a session has, and what must be the same of all of them."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

from llava_cli.batch.jobs import Job
from llava_cli.batch.run import open_batch
from llava_cli.batch.tally import Tally
from llava_cli.batch.writers import Outputs
from llava_cli.demo.draw import render_clip
from llava_cli.demo.world import dice, sample_clip
from llava_cli.engine.types import Generation
from llava_cli.request import Request
from llava_cli.session import Session

DEFAULTS = Request(question="What colour is it?", generation=Generation(max_new_tokens=16))


def drawn(folder: Path, count: int) -> list[Path]:
    """So many clips in a folder, which the demo checkpoint knows what to say about."""
    paths = [folder / f"{number:05}.mp4" for number in range(count)]
    for number, path in enumerate(paths):
        render_clip(sample_clip(dice("list", number)), path)
    return paths


def answered(
    session: Session,
    paths: Sequence[Path],
    ledger: Path,
    at: int | None = None,
    then: Callable[[], object] = lambda: None,
    **outputs: Path,
) -> Tally:
    """Ask the question about each file; after so many records something happens."""
    jobs = [Job((str(path),), None) for path in paths]
    with open_batch(session, lambda: jobs, DEFAULTS, Outputs(ledger, **outputs), batch_size=4) as batch:
        for number, _ in enumerate(batch.results(), 1):
            if number == at:
                then()
        return batch.tally


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
