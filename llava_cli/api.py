# SPDX-License-Identifier: Apache-2.0
"""The door for Python users: the same road as the commands, with keyword arguments for options."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack

from llava_cli.answer import Answer, AnswerStream
from llava_cli.batch.jobs import Job, items_of
from llava_cli.batch.task import Failure
from llava_cli.chat import Chat
from llava_cli.engine.device_map import parse_device_map
from llava_cli.engine.remote.endpoint import Endpoint, Send
from llava_cli.engine.scores import Normalize
from llava_cli.engine.shape import read_constraint
from llava_cli.engine.types import Attention, Dtype, Generation, LoadOptions, ModelInfo, Quantization
from llava_cli.errors import UsageError
from llava_cli.media.clip import Clip, Policy, Positions, Sampling, Still, View
from llava_cli.media.limits import Limits
from llava_cli.media.sampling import parse_duration, parse_time
from llava_cli.media.worker.parent import Worker
from llava_cli.models.checkpoint import DEFAULT
from llava_cli.models.user_template import read_template
from llava_cli.progress import Progress, no_progress
from llava_cli.request import FrameChoice, Request
from llava_cli.session import Session

MediaName = str | os.PathLike[str]
Time = float | str
"""Seconds, or a text such as "1:30"."""

LIMITS = Limits(urls="public")


class CommonOptions(TypedDict, total=False):
    """`Options` but for `choices`."""

    frames: int | None
    """At most so many of each video; the checkpoint's own number by default."""
    fps: float | None
    """Frames a second, instead of a number of frames."""
    sampling: Policy | None
    start: Time | None
    end: Time | None
    fast_pixels: bool
    """Scale frames inside the decoder, instead of to the bytes that the checkpoint's authors did."""
    max_frame_pixels: int | None
    """The largest frames, for checkpoints that see frames in sizes of their own."""
    video_positions: Positions | None
    """What the vision tower is told of a frame's time: `index`, its number in the video, or `zero`, nothing."""
    fit: bool
    """Show fewer frames where all of them do not fit into the context or the memory."""
    system: str | None
    raw: bool
    """The question is the whole prompt, with `<video>` and `<image>` where the media go: no chat template."""
    template: str | os.PathLike[str] | None
    """A chat template (Jinja) in the place of the checkpoint's: its text, or a file that holds it."""
    schema: str | os.PathLike[str] | Mapping[str, Any] | None
    """A JSON schema that the answer fits: an object, its text, in short ("people int, dog bool, colours [str]"), or a
    file that holds one. `Answer.parsed` is what the answer says then."""
    regex: str | None
    """A regular expression that the whole answer fits."""
    grammar: str | os.PathLike[str] | None
    """A grammar (Lark) that the answer fits: its text, or a file that holds it."""
    prompt_ids: bool
    """Have `Answer.record()` hold the prompt and the token ids of prompt and answer."""
    normalize: Normalize
    """Compare choices by the sum of their tokens' log-probabilities (`none`), or by the mean (`tokens`)."""
    logprobs: int | None
    """Have `Answer.tokens` say how likely each token was, and so many of the likeliest in its place."""
    max_new_tokens: int
    temperature: float | None
    top_p: float | None
    seed: int | None


class Options(CommonOptions, total=False):
    """How media are shown and how the model answers: the options of `llava ask`. What is left out is as there."""

    choices: Sequence[str] | None
    """Answer with the likeliest of these, each as the whole answer; nothing is generated."""


def load(
    checkpoint: str | os.PathLike[str] = DEFAULT,
    *,
    revision: str | None = None,
    device: str = "auto",
    dtype: Dtype = "auto",
    attention: Attention = "sdpa",
    quantization: Quantization | None = None,
    quantize_all: bool = False,
    device_map: str | None = None,
    rope_factor: float | None = None,
    keep: float | str | None = None,
    limits: Limits = LIMITS,
    workers: int = 1,
    progress: Progress = no_progress,
) -> Model:
    """Open a checkpoint; its weights are read when the first question needs them.

    Args:
        checkpoint: `demo`, a short name (see `llava models`), a hub id, or a local folder.
        device: `auto`, `cpu`, `cuda`, `cuda:1`, `mps` …
        device_map: several devices, in the place of `device`: `auto` for all GPUs, `0,1`, or `0=20G,cpu,disk` with
            how much of each may be used. Layers on the CPU beside GPUs, or on disk, are brought to the first device
            each time they run.
        quantization: `4bit` or `8bit`, of the language model's layers; with `quantize_all` of the vision tower's too.
        rope_factor: stretch positions linearly, so that prompts may be so many times as long as in training.
        keep: have a worker load the checkpoint, which other programs and commands share, until it has been idle for so
            many seconds, or for a time such as "5m".
        limits: what reading one file may cost. URLs at public addresses are read by default.
        workers: how many processes decode media.
        progress: called with a stage, how much of it is done, and how much there is.

    Raises:
        ModelError: there is no such checkpoint, or no family knows it.
        UsageError: the device map, or the time to keep it, makes no sense.
    """
    layers = None if device_map is None else parse_device_map(device_map)
    options = LoadOptions(device, dtype, attention, quantization, quantize_all, layers)
    session = Session(
        os.fspath(checkpoint),
        revision=revision,
        rope_factor=rope_factor,
        load=options,
        keep_s=(parse_duration(keep) if isinstance(keep, str) else keep) or None,
        limits=limits,
        workers=workers,
        progress=progress,
    )
    return Model(session)


def connect(
    url: str,
    model: str,
    *,
    family: str | os.PathLike[str] | None = None,
    send: Send = "auto",
    jpeg: int | None = None,
    times: bool = False,
    concurrency: int = Endpoint.concurrency,
    timeout: float = Endpoint.timeout_s,
    retries: int = Endpoint.retries,
    limits: Limits = LIMITS,
    workers: int = 1,
    progress: Progress = no_progress,
) -> Model:
    """A model that a server has, which speaks OpenAI's protocol; it is asked when the first question comes.

    Frames are chosen and read here. The server's key is in the environment, as OPENAI_API_KEY. Of `Options`, `raw`,
    `template`, `prompt_ids` and `fit` are about prompts made here, and cannot be used.

    Args:
        url: such as http://HOST:8000/v1.
        model: the server's name for it; a short name stands for its hub id.
        family: a short name, a family or a folder whose way to see videos is used, where `model` does not tell it.
        send: how a video goes to the server: `frames`, `images`, `file`, or `auto` to find out.
        jpeg: the quality of pictures sent as JPEG; they are sent as PNG otherwise, which loses nothing.
        times: tell the model at which time each frame is.
        concurrency: how many questions of `map` are asked at the same time.
        timeout: seconds for an answer, tries included.
        retries: how often a question is asked again where the server is busy or fails.

    Raises:
        UsageError: the address or a number makes no sense.
        ModelError: there is no such family.
    """
    like = None if family is None else os.fspath(family)
    endpoint = Endpoint(url, like, send, jpeg, times, concurrency, timeout, retries)
    return Model(Session(model, endpoint=endpoint, limits=limits, workers=workers, progress=progress))


def frames(
    media: MediaName,
    count: int = 8,
    *,
    fps: float | None = None,
    sampling: Policy = "uniform",
    start: Time | None = None,
    end: Time | None = None,
    size: tuple[int, int] | None = None,
    limits: Limits = LIMITS,
) -> Clip | Still:
    """The frames of a video, exactly those that decoding all of it would give; or an image. Needs no torch.

    Args:
        count: how many, at most.
        fps: frames a second, in the place of `sampling`.
        size: (height, width) to scale frames to, with Pillow; without it they keep every pixel.

    Raises:
        InputError: the file cannot be read.
        UsageError: the numbers make no sense.
    """
    chosen = Sampling("fps" if fps is not None else sampling, count, fps, _seconds(start), _seconds(end))
    with Worker(limits) as worker:
        return worker.load(os.fspath(media), View(size or (0, 0), "squash" if size else "full", chosen))


class Model:
    """A checkpoint that answers. Close it, or use it in a `with` statement."""

    def __init__(self, session: Session) -> None:
        self._session = session

    @property
    def info(self) -> ModelInfo:
        """What answers: checkpoint, family, dtype, device …"""
        return self._session.loader.info

    def ask(self, question: str, *media: MediaName, **options: Unpack[Options]) -> Answer:
        """Answer a question about videos and images.

        Args:
            media: files, URLs, or "-" for standard input. `<video>` and `<image>` in the question place them.
            options: see `Options`.

        Raises:
            InputError: a file cannot be read.
            UsageError, OutOfMemory: it does not fit into the context or the memory.
            ModelError: the checkpoint cannot be loaded.
            LlavaError: the answer was cut off before it had the shape that it was to have (its `code` is "cut").
        """
        return self._session.ask(make_request(question, media, **options))

    def choose(
        self, question: str, *media: MediaName, choices: Sequence[str], **options: Unpack[CommonOptions]
    ) -> Answer:
        """Answer with the likeliest of some choices; the answer's `choices` say how likely each is.

        Args:
            choices: two or more different texts, each of which is scored as the whole answer.

        Raises:
            LlavaError: as `ask` does.
        """
        return self._session.ask(make_request(question, media, choices=choices, **options))

    def stream(self, question: str, *media: MediaName, **options: Unpack[Options]) -> AnswerStream:
        """Answer as `ask` does, piece by piece; the stream's `answer` is there once they have ended."""
        return self._session.stream_of(make_request(question, media, **options))

    def chat(self, *media: MediaName, **options: Unpack[Options]) -> Chat:
        """A conversation about media. Options are those of `ask`; they are for all of its questions."""
        return Chat(self._session, make_request(None, media, **options))

    def map(
        self, jobs: Iterable[Job | Mapping[str, Any]], *, question: str | None = None, **options: Unpack[Options]
    ) -> Iterator[Answer | Failure]:
        """Answer many jobs, in batches, in the order of completion.

        A job that cannot be answered gives a `Failure` and costs no other one. Each result's `job` says which it
        belongs to; a job that is given twice is answered once.

        Args:
            jobs: each with its media and question; as mappings, the keys are those of a line for `llava batch`.
            question: for jobs that ask none.
            options: those of `ask`, for jobs that do not say it themselves.

        Raises:
            ModelError, OutOfMemory: the checkpoint cannot be loaded.
        """
        from llava_cli.batch.run import open_batch

        defaults = make_request(question, **options)
        with open_batch(self._session, lambda: items_of(jobs, question), defaults) as batch:
            for result in batch.results():
                if result.answer is not None:
                    yield result.answer
                elif result.error is not None:
                    yield Failure(result.job, result.error, result.record)

    def close(self) -> None:
        """End the processes that decode."""
        self._session.close()

    def __enter__(self) -> Model:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def make_request(
    question: str | None,
    media: Iterable[MediaName] = (),
    *,
    frames: int | None = None,
    fps: float | None = None,
    sampling: Policy | None = None,
    start: Time | None = None,
    end: Time | None = None,
    fast_pixels: bool = False,
    max_frame_pixels: int | None = None,
    video_positions: Positions | None = None,
    fit: bool = False,
    system: str | None = None,
    raw: bool = False,
    template: str | os.PathLike[str] | None = None,
    schema: str | os.PathLike[str] | Mapping[str, Any] | None = None,
    regex: str | None = None,
    grammar: str | os.PathLike[str] | None = None,
    prompt_ids: bool = False,
    choices: Sequence[str] | None = None,
    normalize: Normalize = "none",
    logprobs: int | None = None,
    max_new_tokens: int = 256,
    temperature: float | None = None,
    top_p: float | None = None,
    seed: int | None = None,
) -> Request:
    """A request from a user's words and options; see `Options`.

    Raises:
        UsageError: they contradict each other, or make no sense.
    """
    if question is not None and not question.strip():
        raise UsageError("the question is empty")
    return Request(
        question=question,
        media=tuple(os.fspath(name) for name in media),
        system=system,
        choice=FrameChoice(
            frames, fps, sampling, _seconds(start), _seconds(end), fast_pixels, max_frame_pixels, video_positions
        ),
        fit=fit,
        generation=Generation(max_new_tokens, temperature, top_p, seed).seeded(),
        raw=raw,
        template=None if template is None else read_template(template),
        prompt_ids=prompt_ids,
        choices=None if choices is None else (choices,) if isinstance(choices, str) else tuple(choices),
        normalize=normalize,
        logprobs=logprobs,
        constraint=read_constraint(schema, regex, grammar),
    )


def _seconds(time: Time | None) -> float | None:
    return parse_time(time) if isinstance(time, str) else time
