# SPDX-License-Identifier: Apache-2.0
"""llava-scale(7): what a thousand, a million and a thousand million clips take, computed from a few rates.

What was measured, and what is calculated from published figures only, stands apart, here and on the page.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

# Measured on two cores of an AMD EPYC without a GPU, which were busy with other work too: processor time is told.
DECODE_S = 32 * 0.083
"""Core-seconds for a clip: `python tests/media/measure_pixels.py`, 1080p H.264 of a minute, 32 frames, exact pixels."""
RECORD_S = 0.0013
"""Core-seconds of the driver for a record: `python tests/batch/measure_driver.py`."""
FSYNC_S = 0.0022
"""Seconds of an fsync on that machine's disk, on average."""
RECORD_BYTES = 3300
"""Of a record with 32 frames and an answer of 200 tokens."""
REREAD_S = 23e-6
"""Core-seconds to read a record of the ledger again when a list is gone on with."""

CLIP_BYTES = 15e6
"""Assumed: a minute of 1080p at 2 Mbit/s."""
ANSWER_TOKENS = 200
"""Assumed."""
PROMPT_TEXT = 60
"""Tokens of a prompt beside its frames: assumed."""
COMPUTE_SHARE, MEMORY_SHARE = 0.4, 0.6
"""Assumed: how much of its published figures a GPU does."""
BATCH = 16


@dataclass(frozen=True)
class Gpu:
    """By its data sheet: dense 16-bit FLOP a second, and bytes a second."""

    name: str
    flops: float
    bandwidth: float


@dataclass(frozen=True)
class Model:
    """By its published configuration."""

    name: str
    parameters: float
    """Of the language model."""
    cache: float
    """Bytes of keys and values of a token, in 16 bit."""
    frames: int
    tokens: int
    """Of a frame in the prompt."""
    vision: float
    """Parameters of the vision tower."""
    patches: int
    """That it sees of a frame."""

    @property
    def prompt(self) -> int:
        """Tokens of a prompt about one clip."""
        return self.frames * self.tokens + PROMPT_TEXT

    def prefill(self, gpu: Gpu) -> float:
        """GPU-seconds to encode a clip and read its prompt."""
        needed = 2 * self.parameters * self.prompt + 2 * self.vision * self.frames * self.patches
        return needed / (COMPUTE_SHARE * gpu.flops)

    def answering(self, gpu: Gpu) -> float:
        """GPU-seconds to generate the answer: all weights are read for each token of a batch, and its own cache."""
        read = 2 * self.parameters / BATCH + self.cache * (self.prompt + ANSWER_TOKENS)
        return ANSWER_TOKENS * read / (MEMORY_SHARE * gpu.bandwidth)

    def seconds(self, gpu: Gpu) -> float:
        """GPU-seconds of a question about one clip."""
        return self.prefill(gpu) + self.answering(gpu)


H100 = Gpu("H100 SXM", 989e12, 3.35e12)
GPUS = (H100, Gpu("A100 80GB", 312e12, 2.04e12), Gpu("L40S", 362e12, 0.864e12))
DEFAULT = Model("next-video-7b", 6.74e9, 2 * 32 * 4096 * 2, 32, 144, 0.30e9, 577)
MODELS = (DEFAULT, Model("onevision-7b", 7.6e9, 2 * 28 * 512 * 2, 32, 196, 0.41e9, 729))

SIZES = (("10^3 in an hour", 1e3, 3600.0), ("10^6 in a day", 1e6, 86400.0), ("10^9 in 30 days", 1e9, 30 * 86400.0))


def drivers_rate() -> float:
    """Records that one driver writes in a second, one after the other."""
    return 1 / (RECORD_S + FSYNC_S)


def rows() -> list[tuple[str, ...]]:
    """What each size takes: cores, GPUs, drivers, network, ledger."""
    return [
        (
            name,
            _whole(count * DECODE_S / seconds),
            _whole(count * DEFAULT.seconds(H100) / seconds),
            _whole(count / seconds / drivers_rate()),
            _size(count * CLIP_BYTES / seconds) + "/s",
            _size(count * RECORD_BYTES),
        )
        for name, count, seconds in SIZES
    ]


def _whole(number: float) -> str:
    return f"{max(1, math.ceil(number)):,}"


def _size(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000:
            return f"{count:.3g} {unit}"
        count /= 1000
    return f"{count:.3g} TB"


def _table(rows: list[tuple[str, ...]]) -> list[str]:
    layout = " ".join(["l", *("r" for _ in rows[0][1:])])
    return [".TS", f"{layout}.", *("\t".join(row) for row in rows), ".TE"]


def page() -> str:
    """The whole page."""
    head = ("clips", "cores", "GPUs", "drivers", "read", "ledger")
    rates = [("", *(f"{model.name}" for model in MODELS))]
    rates += [(gpu.name, *(f"{1 / model.seconds(gpu):.1f}" for model in MODELS)) for gpu in GPUS]
    lines = [
        HEAD,
        *_table([head, *rows()]),
        AFTER_TABLE,
        *_table(rates),
        REST.format(
            decode=f"{DECODE_S:.1f}", record=f"{RECORD_S * 1000:.1f}", fsync=f"{FSYNC_S * 1000:.1f}",
            rate=f"{drivers_rate():.0f}", record_bytes=f"{RECORD_BYTES:,}", reread=f"{REREAD_S * 1e6:.0f}",
            clip=_size(CLIP_BYTES), answer=ANSWER_TOKENS, text=PROMPT_TEXT, batch=BATCH,
            compute=f"{COMPUTE_SHARE:.0%}", memory=f"{MEMORY_SHARE:.0%}", gpu=H100.name, prompt=f"{DEFAULT.prompt:,}",
            seconds=f"{DEFAULT.seconds(H100):.2f}", prefill=f"{DEFAULT.prefill(H100):.2f}",
            answering=f"{DEFAULT.answering(H100):.2f}", again=f"{1e9 * REREAD_S / 3600:.0f}",
            cores=math.ceil(8 * DECODE_S / DEFAULT.seconds(H100)),
            pixels=_size(32 * 336 * 336 * 3),
        ),
    ]  # fmt: skip
    return "\n".join(lines).replace("\n\n", "\n") + "\n"


HEAD = r"""'\" t
.\" SPDX-License-Identifier: Apache-2.0
.\" Made by man/scale.py: python \-m man.make
.TH LLAVA-SCALE 7 "" "llava" "Miscellaneous Information"
.SH NAME
llava-scale \- what a thousand, a million and a thousand million clips take
.SH DESCRIPTION
.BR llava\-caption (1)
and
.BR llava\-batch (1)
answer lists of any length with one engine, with one on each GPU of a machine, or on the nodes of a cluster.
Records, ledgers and the way to go on are the same everywhere:
a list may be begun on one machine and ended on a hundred.
This page says what lists take, and what to use for which.
.SH WHAT IT TAKES
One question about each clip, a minute of 1080p of which 32 frames are shown."""

AFTER_TABLE = r""".PP
Cores decode; GPUs are H100s that answer with
.BR next\-video\-7b ;
drivers are the processes that write records, each into a ledger of its own; read is what comes from disks or the
network; ledger is the size of all records.
Cores, drivers and the ledger follow from what was measured on a machine without a GPU; GPUs are only calculated from
published figures, and no GPU was there to check them on.
.PP
Questions a second on one GPU, calculated in the same way:"""

REST = r""".SH FORMULAS
.nf
cores   = clips * d / seconds
GPUs    = clips * g / seconds
drivers = clips * (t + w) / seconds
read    = clips * bytes / seconds

g = (2 P T + 2 V F p) / (c * FLOPS) + A * (2 P / B + k (T + A)) / (m * BANDWIDTH)
.fi
.SS Measured
On two cores of an AMD EPYC, without a GPU, while they had other work too; processor time is told, not time of day.
.TP
d = {decode} s
a core's time to decode 32 frames of a minute of 1080p H.264 with a keyframe every 10 seconds, with exact pixels, by
.I python tests/media/measure_pixels.py
.TP
t = {record} ms
the driver's time for a record, by
.IR "python tests/batch/measure_driver.py" :
the list, the hand-out to two engines that only pretend, and the ledger
.TP
w = {fsync} ms
an fsync, of which each record has one: on the disk of that machine {rate} records a second were the most for one driver
.TP
{record_bytes} bytes
a record with 32 frames and such an answer; when a list is gone on with, its ledger is read again, in {reread}
microseconds a record
.SS Calculated
P is the number of parameters of the language model, V that of the vision tower, T the tokens of a prompt, F its
frames, p the patches of a frame, k the bytes of keys and values of a token: all of these are the checkpoints'
published configurations.
FLOPS and BANDWIDTH are from the GPUs' data sheets (16 bit, dense).
.SS Assumed
A = {answer} tokens an answer, {text} of text in a prompt, B = {batch} questions a batch, {clip} a clip,
c = {compute} and m = {memory} of what the data sheets say.
To measure your own: a list of a hundred clips says at its end how many were done in a second, and how busy the engine
was.
Where it was busy less than nine tenths of the time, decoding is too slow for it: more cores, or
.BR \-\-fast\-pixels .
.SH WHAT LIMITS IT
.TP
10^3
Nothing: loading the checkpoint takes longer than many answers.
.TP
10^6
The GPUs: of {seconds} seconds of a {gpu} for a clip, {prefill} are prefill, and {answering} the answer, for each token
of which the keys and values of {prompt} tokens are read again.
Fewer
.B \-\-frames
and shorter answers
.RB ( \-\-max\-new\-tokens )
are cheaper in proportion; several questions about a clip share its decoding, encoding and most of its prefill.
Decoding comes next: 8 such GPUs need {cores} cores.
.TP
10^9
The GPUs first, and then what a single process did for all: the network that clips come by, the fsync of each record,
and reading the ledger again, {again} hours for so many records in one.
So the list is divided: each part has its own driver and its own ledger.
The network between nodes carries {pixels} of pixels a clip where it is decoded on another node than it is answered on.
.SH WHAT TO USE
.TP
One process
A GPU, or none, and up to some ten thousand clips:
.B llava caption \-r videos/ \-o captions.jsonl
.TP
.B \-\-gpus all
Several GPUs in one machine: an engine process for each, one pool of decoding processes
.RB ( \-\-workers
of them), one ledger, one progress bar.
An engine that dies costs what it had in hand, which is asked again, each question alone; a question over which three
engines have died is an error record, and a fresh engine takes each dead one's place.
.B \-\-gpus cpu,cpu
is the same on a machine without GPUs.
For a checkpoint that is larger than one GPU there is
.BR \-\-device\-map .
.TP
.B \-\-shard I/N
Several machines without anything between them, as an array of Slurm: each does its part of the list, by the files'
names alone, into its own ledger; with
.B \-\-gpus all
on all of its GPUs.
This is what to divide a very long list with, whatever answers each part.
On a disk that carries locks, several processes may also share one list and one ledger without dividing anything.
.TP
.B \-\-ray auto
Machines that are a Ray cluster already: an engine for each GPU
.RB ( \-\-gpus\-per\-engine
of them; in a cluster without GPUs, one for each node), decoding on all nodes, and the driver on one of them, which
hands out and writes.
Nodes that join are used; nodes that leave are not waited for, and cost what they had in hand.
A driver that was killed is started again with the same command.
.TP
An endpoint
A server that runs already, and batches by itself; frames are still decoded where
.B llava
runs.
.SH RAY
.BR "pip install \(aqllava\-cli[ray]\(aq" ,
in the same version on every node, and
.B llava
is run on a machine of the cluster; one that has no GPU joins it with
.BR "ray start \-\-address=HEAD:6379 \-\-num\-cpus=0" .
It uses the nodes that there are, and asks for no more: where a cluster grows by itself, have it keep as many as the
list needs.
.PP
Files are read by the nodes, under the names that the list gives them, seen from the driver's current folder.
A node that cannot see a file is named once, and is given no more files; where none can see them, the driver decodes.
URLs are read by the nodes, under the same rules as everywhere
.RB ( \-\-allow\-urls ).
A checkpoint in a local folder must be on a disk that all nodes have; one from the hub is downloaded by each node, in
the revision that the driver has found.
.PP
A batch that was in hand when an engine died is asked again by another, so that work may be done twice, but each job has
one record: only the driver writes.
No engine is restarted by Ray itself.
Usage statistics are not sent
.RB ( RAY_USAGE_STATS_ENABLED=0 ).
Whoever can reach a Ray cluster's ports can run programs on it: keep them inside.
.SH SEE ALSO
.BR llava\-caption (1),
.BR llava\-batch (1),
.BR llava\-record (5)"""
