# SPDX-License-Identifier: Apache-2.0
"""`llava ask`: a question about some media, and its answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer

from llava_cli.cli import options, values
from llava_cli.cli.frames import check_sheet, save_sheet
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.recording import check_file, keep
from llava_cli.errors import InputError, UsageError
from llava_cli.models.messages import Medium, Message, all_media, open_places, read_chat, with_paths
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

  curl -s https://example.org/clip.mp4 | llava ask - "What happens?" --json | jq -r '.answer // empty'
"""

BY_SHAPE = (
    "the checkpoint is not on this machine: this is of its published shape, and the words of the question are counted "
    "with another tokenizer"
)

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
    typer.Option(
        "--prompt", "-p", metavar="TEXT", parser=values.text, help="The question; all arguments are media then."
    ),
    COMMON,
]
Conversation = Annotated[
    Path | None,
    typer.Option(
        "--conversation",
        metavar="FILE",
        help="Ask or continue this conversation: a JSON list of messages as the models' documents write them. Media "
        "without a path in it are those that the command line names. See llava-record(5).",
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
    append: options.Append = False,
    sheet: options.Sheet = None,
    time: options.Time = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Answer a question about videos and images."""
    from llava_cli.session import Session

    started = perf_counter()
    if append and output is None:
        raise UsageError("--append needs --output")
    question, media, history = read_arguments(arguments or [], prompt, conversation)
    request = Request(
        question, media, history, choice=frames.choice(), fit=frames.fit, generation=generation.generation(),
        **generation.wording(),
    )  # fmt: skip
    if request.prompt_ids and not (json or output):
        raise UsageError("--prompt-ids is about the record: use it with --json or --output")
    known = model.plan() if dry_run else model.session()
    if known["dummy"] and not model.dummy:
        request = replace(request, notes=(BY_SHAPE,))
    settings = known | device.session() | {"limits": limits.for_media()}
    with (
        console(quiet, verbose) as out,
        request.known_to_failures(),
        Session(**settings, progress=out.progress) as session,
        session.open_media() as files,
    ):
        check_file(output, append)
        check_sheet(sheet)
        prepared = session.prepare(request, files, answering=not dry_run)
        if sheet is not None:
            save_sheet(prepared.media, sheet)
        if dry_run:
            for note in request.notes:
                log.warning("%s", note)
            plan = session.plan(prepared)  # which may decide where the layers would lie
            record = prepared.plan_record(session.loader.info, plan)
        else:
            stream = session.stream(prepared, files)
            streamed = out.answers_to_terminal and not (json or output)
            if streamed:
                out.write_pieces(stream)
            record = stream.result().record()
        if output is not None:
            keep(output, append, record)
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
) -> tuple[str | None, tuple[Medium, ...], tuple[Message, ...]]:
    """The question, its media and what was said before.

    Raises:
        UsageError: the question or media are missing, or media are named that no one asks about.
        InputError: the conversation file is not in order.
    """
    if chat is None:
        paths, question = split_arguments(arguments, prompt)
        return question, tuple(paths), ()
    messages = read_chat(chat)
    if not arguments and prompt is None and messages[-1].role != "user":
        raise InputError(f"{chat}: ends with a message of the {messages[-1].role}; a question must follow")
    try:
        media, follows = _following(messages, arguments, prompt)
        history, rest = with_paths(messages, media)
    except UsageError as error:
        raise UsageError(f"{chat}: {error}") from error
    if not (rest or all_media(history)):
        raise InputError(f"{chat}: shows no video and no image")
    return follows, rest, history


def _following(
    messages: Sequence[Message], arguments: Sequence[str], prompt: str | None
) -> tuple[Sequence[str], str | None]:
    """The media and the question that follow messages; those that end with the user's need no question."""
    asks, places = messages[-1].role == "user", open_places(messages)
    if prompt is None and asks and len(arguments) <= places:
        return arguments, None
    media, question = (arguments, prompt) if prompt is not None else (arguments[:-1], arguments[-1])
    if not question.strip():
        raise UsageError("the question is empty")
    if prompt is None and asks and os.path.lexists(question):
        raise UsageError(f"media without a path: {places}, but media named for them: {len(arguments)}")
    return media, question


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
