# SPDX-License-Identifier: Apache-2.0
"""`llava ask`: a question about some media, and its answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from llava_cli.atomic import check_writable, write_file
from llava_cli.cli import options
from llava_cli.cli.frames import save_sheet
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.errors import InputError, UsageError
from llava_cli.models.messages import Message, read_chat
from llava_cli.output import console
from llava_cli.record import plan_text, time_text, to_json
from llava_cli.request import Request

log = logging.getLogger(__name__)

EXAMPLES = """
Examples:

  llava ask video.mp4 "why is this funny?"

  llava ask before.jpg after.jpg "What changed?"

  llava ask clip.mp4 "What happens?" --start 1:30 --end 2:00 --frames 16

  llava ask clip.mp4 "What happens?" --sheet frames.png --time

  curl -s https://example.org/clip.mp4 | llava ask - "What happens?" --json | jq -r .answer
"""

Arguments = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="MEDIA... QUESTION",
        help="Videos and images (files, URLs, '-' for standard input), then the question. <video> and <image> in "
        "the question place the media.",
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option("--prompt", "-p", metavar="TEXT", help="The question; all arguments are media then."),
    COMMON,
]
Conversation = Annotated[
    Path | None,
    typer.Option(
        "--conversation",
        metavar="FILE",
        help="Continue this conversation: a JSON list of messages with role and content (text, image, video).",
    ),
]


def ask(
    arguments: Arguments = None,
    prompt: Prompt = None,
    conversation: Conversation = None,
    *,
    model: options.ModelOptions,
    frames: options.FrameOptions,
    generation: options.GenerationOptions,
    device: options.DeviceOptions,
    dry_run: options.DryRun = False,
    limits: Annotated[options.LimitOptions, Without("allow_urls")],
    json: options.Json = False,
    output: options.OutputFile = None,
    sheet: options.Sheet = None,
    time: options.Time = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Answer a question about videos and images."""
    from llava_cli.session import Session

    started = perf_counter()
    question, media, history = read_arguments(arguments or [], prompt, conversation)
    request = Request(question, media, history, generation.system, frames.choice(), frames.fit, generation.generation())
    settings = model.session() | device.session() | {"limits": limits.for_media()}
    with (
        console(quiet, verbose) as out,
        request.known_to_failures(),
        Session(**settings, progress=out.progress) as session,
        session.open_media() as files,
    ):
        check_writable(output)
        check_writable(sheet)
        prepared = session.prepare(request, files, answering=not dry_run)
        if sheet is not None:
            save_sheet(prepared.media, sheet)
        if dry_run:
            record = prepared.plan_record(session.loader.info, session.plan(prepared))
        else:
            stream = session.stream(prepared, files)
            streamed = out.answers_to_terminal and not (json or output)
            if streamed:
                out.write_pieces(stream)
            record = stream.result().record()
        if output is not None:
            write_file(output, to_json(record).encode() + b"\n")
        elif json:
            out.write(to_json(record) + "\n")
        elif dry_run:
            out.write(plan_text(record))
        elif not streamed:
            out.write(f"{record['answer']}\n")
        if time and "timing" in record:
            log.info(time_text(record, perf_counter() - started))


def read_arguments(
    arguments: Sequence[str], prompt: str | None, chat: Path | None
) -> tuple[str | None, tuple[str, ...], tuple[Message, ...]]:
    """The question, its media and what was said before.

    Raises:
        UsageError: the question or the media are missing.
        InputError: the conversation file is not in order.
    """
    if chat is None:
        paths, question = split_arguments(arguments, prompt)
        return question, tuple(paths), ()
    history = read_chat(chat)
    media = tuple(arguments if prompt is not None else arguments[:-1])
    if not arguments and prompt is None and history[-1].role != "user":
        raise InputError(f"{chat}: ends with a message of the {history[-1].role}; a question must follow")
    if not (media or any(message.paths for message in history)):
        raise InputError(f"{chat}: shows no video and no image")
    return prompt or (arguments[-1] if arguments else None), media, tuple(history)


def split_arguments(arguments: Sequence[str], prompt: str | None) -> tuple[list[str], str]:
    """The media and the question of a command line.

    Raises:
        UsageError: one of them is missing.
    """
    example = 'llava ask video.mp4 "why is this funny?"'
    if not arguments:
        raise UsageError(f"a video or an image is missing; try: {example}")
    paths, question = (list(arguments), prompt) if prompt is not None else (list(arguments[:-1]), arguments[-1])
    if not paths:
        missing = "the question" if os.path.lexists(arguments[-1]) else "the video or image it is about"
        raise UsageError(f"{arguments[-1]}: {missing} is missing; try: {example}")
    if not question.strip():
        raise UsageError("the question is empty")
    if paths.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    return paths, question
