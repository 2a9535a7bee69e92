# SPDX-License-Identifier: Apache-2.0
"""`llava ask`: a question about some media, and its answer."""

from __future__ import annotations

from pathlib import Path
from time import perf_counter
from typing import TYPE_CHECKING, Annotated, Any

import typer

from llava_cli.atomic import write_file
from llava_cli.cli import options, steps
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.request import Request, read_request
from llava_cli.errors import LlavaError
from llava_cli.media.worker.parent import Worker
from llava_cli.output import AnswerWriter, Output, check_writable, guarded_stdout
from llava_cli.record import answer_record, plan_record, plan_text, time_text, to_json

if TYPE_CHECKING:
    from llava_cli.engine.types import Generation, LoadOptions

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
    choice: options.ModelOptions,
    showing: options.FrameOptions,
    answering: options.GenerationOptions,
    machine: options.DeviceOptions,
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
    request = read_request(arguments or [], prompt, conversation, answering.system)
    generation, loading = answering.generation(), machine.load_options()
    with guarded_stdout() as stdout, Worker(limits.for_media()) as worker:
        out = Output(stdout, quiet, verbose)
        try:
            check_writable(output)
            check_writable(sheet)
            streamed = out.answers_to_terminal and not (json or output)
            writer = AnswerWriter(out) if streamed else None
            record = _answered(request, choice, showing, worker, generation, loading, dry_run, out, writer, sheet)
        except LlavaError as error:
            error.known = {"question": request.question, "paths": request.paths, "generation": generation}
            raise
        if output is not None:
            write_file(output, to_json(record).encode() + b"\n")
        elif json:
            out.write(to_json(record) + "\n")
        elif dry_run:
            out.write(plan_text(record))
        else:
            out.write("\n" if streamed else f"{record['answer']}\n")
        if time and "timing" in record:
            out.say(time_text(record))


def _answered(
    request: Request,
    choice: options.ModelOptions,
    showing: options.FrameOptions,
    worker: Worker,
    generation: Generation,
    loading: LoadOptions,
    dry_run: bool,
    out: Output,
    writer: AnswerWriter | None,
    sheet: Path | None,
) -> dict[str, Any]:
    """The record of the answer, or of what it would take."""
    family = steps.open_family(choice, out)
    started = perf_counter()
    asked = request.build(showing.of(family.view), out, worker)
    decode_s = perf_counter() - started
    loader = steps.open_loader(family, loading, out)
    asked, prompt, warnings = steps.fitted(
        loader, asked, showing, lambda view: request.build(view, out, worker), generation.max_new_tokens, out
    )
    out.detail(f"llava: {len(prompt.ids)} prompt tokens, {sum(prompt.visual_tokens)} of them visual")
    if sheet is not None:
        steps.save_sheet(asked.media, sheet, out)
    needed = [(len(prompt.ids), generation.max_new_tokens)]
    if dry_run:
        return plan_record(request.question, prompt, loader.info, generation, loader.plan(needed), warnings)
    loader.check_memory(needed)
    engine = steps.load_engine(loader, out)
    answer = engine.answer([asked], generation, writer)[0]
    if writer is not None:
        writer.end()
    return answer_record(request.question, asked.media, answer, engine.info, generation, decode_s, warnings)
