# SPDX-License-Identifier: Apache-2.0
"""Options that the commands for many files share."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.batch.writers.forms import FormName
from llava_cli.cli import options, values
from llava_cli.cli.help import COMMON
from llava_cli.errors import UsageError

if TYPE_CHECKING:
    from llava_cli.engine.pool.seam import Spread

_LIST = "List"
_BATCH = "Batches"
_OUTPUT = "Output"

LIMITS = options.LimitOptions(allow_urls=False)
"""Lists may come from anyone."""


@dataclass(frozen=True)
class ListOptions:
    """Which jobs of a list are done."""

    limit: Annotated[
        int | None,
        typer.Option("--limit", metavar="N", parser=values.whole(1), help="Stop after N jobs.", rich_help_panel=_LIST),
    ] = None
    shard: Annotated[
        values.Part | None,
        typer.Option(
            "--shard",
            parser=values.part,
            metavar="I/N",
            help="Do only part I of N. Which jobs are in a part depends on the files' names alone.",
            rich_help_panel=_LIST,
        ),
    ] = None


@dataclass(frozen=True)
class BatchOptions:
    """How the work is done."""

    batch_size: Annotated[
        int | None,
        typer.Option(
            "--batch-size",
            parser=values.batch_size,
            metavar="auto|N",
            help="Answer at most N questions at once; auto: as many as fit into memory.",
            show_default="auto",
            rich_help_panel=_BATCH,
        ),
    ] = None
    workers: Annotated[
        int | None,
        typer.Option(
            "--workers",
            metavar="N",
            parser=values.whole(1, 256),
            help="Number of decoding processes.",
            show_default="by the number of cores",
            rich_help_panel=_BATCH,
        ),
    ] = None
    strict: Annotated[bool, typer.Option("--strict", help="Stop at the first failure.", rich_help_panel=_BATCH)] = False


@dataclass(frozen=True)
class EngineOptions:
    """Where the engines are, when they are several."""

    gpus: Annotated[
        str | None,
        typer.Option(
            "--gpus",
            metavar="all|0,1",
            help="Run an engine on each of these GPUs, decoding once for all; cpu,cpu: two on the CPU.",
            rich_help_panel=_BATCH,
        ),
    ] = None
    ray: Annotated[
        str | None,
        typer.Option(
            "--ray",
            metavar="auto|ADDRESS",
            help="Run engines and decoding on the nodes of this Ray cluster.",
            rich_help_panel=_BATCH,
        ),
    ] = None
    gpus_per_engine: Annotated[
        float | None,
        typer.Option(
            "--gpus-per-engine",
            metavar="N",
            parser=values.positive,
            help="With --ray: GPUs that each engine takes; two share one at 0.5.",
            show_default="1, or none on nodes without",
            rich_help_panel=_BATCH,
        ),
    ] = None

    def spread(self, device: options.DeviceOptions) -> Spread | None:
        """The places of the engines; None is this process alone.

        Raises:
            UsageError: the options contradict each other, or make no sense.
        """
        chosen = "--gpus" if self.gpus is not None else "--ray"
        if self.gpus is not None and self.ray is not None:
            raise UsageError("--gpus and --ray cannot be used together; --ray takes all GPUs of its cluster")
        if self.gpus_per_engine is not None and self.ray is None:
            raise UsageError("--gpus-per-engine needs --ray")
        if self.gpus is None and self.ray is None:
            return None
        if device.keep:
            raise UsageError(f"{chosen} and --keep cannot be used together; these engines end with the list")
        if self.gpus is not None:
            if device.device != "auto" or device.device_map is not None:
                raise UsageError("--gpus names all devices; leave --device and --device-map out")
            from llava_cli.engine.pool.gpus import parse_gpus

            return parse_gpus(self.gpus)
        if device.device not in ("auto", "cpu"):
            raise UsageError("--ray chooses the GPUs; leave --device out, or say --device cpu to use none")
        from llava_cli.engine.pool.cluster import RayCluster

        return RayCluster(self.ray or "auto", self.gpus_per_engine)


@dataclass(frozen=True)
class OutputOptions:
    """Where records go, and which are made anew."""

    ledger: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Append records to FILE, and skip the jobs it has already.",
            rich_help_panel=_OUTPUT,
        ),
        COMMON,
    ] = None
    retry_failed: Annotated[
        bool, typer.Option("--retry-failed", help="Retry failed jobs.", rich_help_panel=_OUTPUT)
    ] = False
    force: Annotated[
        bool, typer.Option("--force", help="Do all jobs again, whatever the output file has.", rich_help_panel=_OUTPUT)
    ] = False
    sidecar: Annotated[
        FormName | None,
        typer.Option(
            "--sidecar",
            metavar="FORMAT",
            parser=values.one_of(FormName),
            help="Also write txt, json, srt, vtt, chapters or ffmetadata beside files.",
            rich_help_panel=_OUTPUT,
        ),
        COMMON,
    ] = None
    output_dir: Annotated[
        Path | None,
        typer.Option(
            "--output-dir", metavar="DIR", help="Write sidecars here instead of next to the files.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None  # fmt: skip
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Let sidecars replace files that others have written.", rich_help_panel=_OUTPUT
        ),
    ] = False
    csv: Annotated[
        Path | None,
        typer.Option(
            "--csv",
            metavar="FILE",
            parser=values.file,
            help="Also write the records as a table.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="FILE",
            parser=values.file,
            help="Also write an HTML page with the frames shown.",
            rich_help_panel=_OUTPUT,
        ),
    ] = None
