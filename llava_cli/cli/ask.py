# SPDX-License-Identifier: Apache-2.0
"""`llava ask`: a question about some media, and its answer."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llava_cli.cli import along, options
from llava_cli.cli.ask_windows import Wanted, ask_windows
from llava_cli.cli.endpoint_options import EndpointOptions
from llava_cli.cli.frames import check_sheet, save_sheet
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.mistakes import check_order, names_a_file
from llava_cli.cli.questions import read_questions
from llava_cli.cli.recording import check_file, keep
from llava_cli.cli.score_options import ScoreOptions, percentages
from llava_cli.cli.shape_options import ShapeOptions
from llava_cli.errors import InputError, LlavaError, UsageError
from llava_cli.models.messages import Medium, Message, all_media, open_places, read_chat, with_paths
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

  llava ask clip.mp4 "What is it about?" --every 1m

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
    windows: along.WindowOptions,
    scores: ScoreOptions,
    shape: ShapeOptions,
    device: options.DeviceOptions,
    endpoint: Annotated[EndpointOptions, Without("concurrency")],
    dry_run: options.DryRun = False,
    limits: Annotated[options.LimitOptions, Without("allow_urls")],
    json: options.Json = False,
    output: options.OutputFile = None,
    append: options.Append = False,
    format: along.Format = None,
    sheet: options.Sheet = None,
    time: options.Time = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Answer a question about videos and images."""
    from llava_cli.engine.kv_cache import KVCache
    from llava_cli.session import Session

    started = perf_counter()
    json, output = (True, None) if output == options.STDOUT else (json, output)
    if append and output is None:
        raise UsageError("--append needs --output FILE")
    for option, wanted in (("--prompt-ids", generation.prompt_ids), ("--logprobs", scores.logprobs is not None)):
        if wanted and not (json or output):
            raise UsageError(f"{option} is about the record: use it with --json or --output")
    questions, media, history = read_arguments(arguments or [], prompt, conversation)
    form, division = along.form_of(format, json), windows.division
    titles = form in ("chapters", "ffmetadata")
    if division and (dry_run or sheet is not None):
        raise UsageError("--dry-run and --sheet are about one part of a video: use --start and --end, not windows")
    if not division and (windows.wants_summary or form is not None):
        raise UsageError("--summary and --format are about the windows of a video: use --every or --scenes")
    known = model.plan() if dry_run else model.session()
    served = endpoint.session(model, device)
    if dry_run and served["endpoint"] is not None:
        raise UsageError("--dry-run cannot be used with --endpoint: only the server knows tokens and memory; "
                         "llava frames shows what would be sent")  # fmt: skip
    notes = (BY_SHAPE,) if known["dummy"] and not model.dummy else ()
    shared = Request(
        media=media, history=history, choice=frames.choice(), fit=frames.fit, generation=generation.generation(),
        notes=notes, context=() if division else windows.cues(frames.start, frames.end),
        constraint=shape.constraint(), **generation.wording(), **scores.asked(),
    )  # fmt: skip
    requests = [replace(shared, question=question) for question in questions]
    settings = known | device.session() | served | {"limits": limits.for_media()}
    records: list[dict[str, Any]] = []
    with (
        console(quiet, verbose) as out,
        requests[0].known_to_failures(),
        Session(**settings, progress=out.progress) as session,
        session.open_media() as files,
    ):
        check_file(output, append)
        check_sheet(sheet)
        if division:
            asked = windows.along(titles, summary=form is None, question=windows.summary_prompt)
            ask_windows(session, requests, Wanted(asked, form, json, output, append), out)
            return
        streamed = out.answers_to_terminal and not (json or output or dry_run or shared.constraint)
        cache = KVCache() if len(requests) > 1 else None
        for request in requests:
            with request.known_to_failures(), _behind(records):
                prepared = session.prepare(request, files, answering=not dry_run)
                if not records:  # what is shown, and known of the checkpoint, is the same of all
                    if sheet is not None:
                        save_sheet(prepared.media, sheet)
                    for note in notes:
                        log.warning("%s", note)
                if dry_run:
                    plan = session.plan(prepared)  # which may decide where the layers would lie
                    record = prepared.plan_record(session.loader.info, plan)
                else:
                    record = _answer(session.stream(prepared, files, cache), out, streamed)
                records.append(record)
                if output is None and not streamed:
                    out.write(_text(record, json))
                if time and "timing" in record:
                    log.info(time_text(record, perf_counter() - started))
        if output is not None:
            keep(output, append, *records)


@contextmanager
def _behind(records: Sequence[dict[str, Any]]) -> Iterator[None]:
    """Have a failure's record written behind those of the questions that were answered before."""
    try:
        yield
    except LlavaError as error:
        error.earlier = records
        raise


def _answer(stream: AnswerStream, out: Output, streamed: bool) -> dict[str, Any]:
    """The record of an answer, which is shown while it comes if that is wanted."""
    if streamed:
        out.write_pieces(stream)
    answer = stream.result()
    if answer.cut:
        log.warning(answer.cut)
    if answer.choices:
        log.info(percentages(answer.choices))
    return answer.record()


def _text(record: dict[str, Any], json: bool) -> str:
    """A record as it is printed."""
    if json:
        return to_json(record) + "\n"
    return f"{record['answer']}\n" if "answer" in record else plan_text(record)


def read_arguments(
    arguments: Sequence[str], prompts: Sequence[str] | None, chat: Path | None
) -> tuple[list[str | None], tuple[Medium, ...], tuple[Message, ...]]:
    """The questions, their media and what was said before.

    Raises:
        UsageError: the question or media are missing, or media are named that no one asks about.
        InputError: the conversation file is not in order.
    """
    if arguments.count("-") + list(prompts or ()).count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    asked = read_questions(prompts)
    if chat is None:
        paths, questions = split_arguments(arguments, asked)
        return list(questions), tuple(paths), ()
    messages = read_chat(chat)
    if not arguments and not asked and messages[-1].role != "user":
        raise InputError(f"{chat}: ends with a message of the {messages[-1].role}; a question must follow")
    try:
        media, follow = _following(messages, arguments, asked)
        history, rest = with_paths(messages, media)
    except UsageError as error:
        raise UsageError(f"{chat}: {error}") from error
    if not (rest or all_media(history)):
        raise InputError(f"{chat}: shows no video and no image")
    return follow, rest, history


def _following(
    messages: Sequence[Message], arguments: Sequence[str], asked: Sequence[str]
) -> tuple[Sequence[str], list[str | None]]:
    """The media and the questions that follow messages; those that end with the user's need no question."""
    asks, places = messages[-1].role == "user", open_places(messages)
    if asked:
        return arguments, [*asked]
    if asks and len(arguments) <= places:
        return arguments, [None]
    *media, question = arguments
    if not question.strip():
        raise UsageError("the question is empty")
    if asks and os.path.lexists(question):
        raise UsageError(f"media without a path: {places}, but media named for them: {len(arguments)}")
    return media, [question]


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
