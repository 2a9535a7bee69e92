# SPDX-License-Identifier: Apache-2.0
"""`llava ask`: a question about some media, and its answer."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llava_cli.atomic import check_writable, write_file
from llava_cli.cli import options
from llava_cli.cli.frames import save_sheet
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.mistakes import check_order, names_a_file
from llava_cli.cli.questions import read_questions
from llava_cli.errors import InputError, UsageError
from llava_cli.models.messages import Message, read_chat
from llava_cli.output import Output, console
from llava_cli.record import plan_text, time_text, to_json
from llava_cli.request import Request

if TYPE_CHECKING:
    from llava_cli.answer import AnswerStream

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
    list[str] | None,
    typer.Option(
        "--prompt",
        "-p",
        metavar="TEXT",
        help="The question, @FILE or '-' to read it from; repeatable. All arguments are media then.",
    ),
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
    from llava_cli.engine.kv_cache import KVCache
    from llava_cli.session import Session

    started = perf_counter()
    questions, media, history = read_arguments(arguments or [], prompt, conversation)
    requests = [
        Request(text, media, history, generation.system, frames.choice(), frames.fit, generation.generation())
        for text in questions
    ]
    settings = model.session() | {"load": device.load_options(), "limits": limits.for_media()}
    json, output = (True, None) if output == options.STDOUT else (json, output)
    records: list[dict[str, Any]] = []
    with (
        console(quiet, verbose) as out,
        requests[0].known_to_failures(),
        Session(**settings, progress=out.progress) as session,
        session.open_media() as files,
    ):
        check_writable(output)
        check_writable(sheet)
        streamed = out.answers_to_terminal and not (json or output or dry_run)
        cache = KVCache() if len(requests) > 1 else None
        for request in requests:
            with request.known_to_failures():
                prepared = session.prepare(request, files, answering=not dry_run)
                if sheet is not None and not records:
                    save_sheet(prepared.media, sheet)
                if dry_run:
                    record = prepared.plan_record(session.loader.info, session.plan(prepared))
                else:
                    record = _answer(session.stream(prepared, files, cache), out, streamed)
                records.append(record)
                if output is None and not streamed:
                    out.write(_text(record, json))
                if time and "timing" in record:
                    log.info(time_text(record, perf_counter() - started))
        if output is not None:
            write_file(output, "".join(_text(record, True) for record in records).encode())


def _answer(stream: AnswerStream, out: Output, streamed: bool) -> dict[str, Any]:
    """The record of an answer, which is shown while it comes if that is wanted."""
    if streamed:
        out.write_pieces(stream)
    answer = stream.result()
    if answer.cut:
        log.warning(answer.cut)
    return answer.record()


def _text(record: dict[str, Any], json: bool) -> str:
    """A record as it is printed."""
    if json:
        return to_json(record) + "\n"
    return f"{record['answer']}\n" if "answer" in record else plan_text(record)


def read_arguments(
    arguments: Sequence[str], prompts: Sequence[str] | None, chat: Path | None
) -> tuple[list[str | None], tuple[str, ...], tuple[Message, ...]]:
    """The questions, their media and what was said before.

    Raises:
        UsageError: the question or the media are missing.
        InputError: the conversation file is not in order.
    """
    if arguments.count("-") + list(prompts or ()).count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    asked = read_questions(prompts)
    if chat is None:
        paths, questions = split_arguments(arguments, asked)
        return list(questions), tuple(paths), ()
    history = read_chat(chat)
    media = tuple(arguments if asked else arguments[:-1])
    if not arguments and not asked and history[-1].role != "user":
        raise InputError(f"{chat}: ends with a message of the {history[-1].role}; a question must follow")
    if not (media or any(message.paths for message in history)):
        raise InputError(f"{chat}: shows no video and no image")
    return [*asked] or [arguments[-1] if arguments else None], media, tuple(history)


def split_arguments(arguments: Sequence[str], questions: Sequence[str] = ()) -> tuple[list[str], list[str]]:
    """The media and the questions of a command line; without `questions` its last argument is one.

    Raises:
        UsageError: one of them is missing, or in the other's place.
    """
    example = 'llava ask video.mp4 "why is this funny?"'
    if not arguments:
        raise UsageError(f"a video or an image is missing; try: {example}")
    if questions:
        return list(arguments), list(questions)
    *paths, question = arguments
    if not paths:
        missing = "the question" if names_a_file(question) else "the video or image it is about"
        raise UsageError(f"{question}: {missing} is missing; try: {example}")
    if not question.strip():
        raise UsageError("the question is empty")
    check_order(paths, question)
    return paths, [question]
