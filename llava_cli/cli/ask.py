# SPDX-License-Identifier: Apache-2.0
"""`llava ask`: a question about some media, and its answer."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence
from typing import Annotated

import typer

from llava_cli.cli import options, steps
from llava_cli.errors import LlavaError, UsageError
from llava_cli.models import conversation
from llava_cli.models.checkpoint import DEFAULT
from llava_cli.output import Output, check_writable, guarded_stdout, write_file
from llava_cli.record import answer_record, error_record, to_json

EXAMPLES = """
Examples:

  llava ask video.mp4 "why is this funny?"

  llava ask before.jpg after.jpg "What changed?"

  curl -s https://example.org/clip.mp4 | llava ask - "What happens?" --json | jq -r .answer
"""

Arguments = Annotated[
    list[str],
    typer.Argument(
        metavar="MEDIA... QUESTION",
        help="Videos and images ('-' for standard input), then the question. <video> and <image> in the question "
        "place the media.",
        show_default=False,
    ),
]
Prompt = Annotated[
    str | None,
    typer.Option("--prompt", "-p", metavar="TEXT", help="The question; then all arguments are media."),
]


def ask(
    arguments: Arguments,
    prompt: Prompt = None,
    model: options.Model = DEFAULT,
    revision: options.Revision = None,
    frames: options.Frames = None,
    fps: options.Fps = None,
    sampling: options.SamplingPolicy = None,
    start: options.Start = None,
    end: options.End = None,
    exact_pixels: options.ExactPixels = False,
    system: options.System = None,
    max_new_tokens: options.MaxNewTokens = 256,
    temperature: options.Temperature = None,
    top_p: options.TopP = None,
    seed: options.Seed = None,
    device: options.Device = "auto",
    dtype: options.Dtype = "auto",
    attention: options.Attention = "sdpa",
    four_bit: options.FourBit = False,
    json: options.Json = False,
    output: options.OutputFile = None,
    quiet: options.Quiet = False,
) -> None:
    """Answer a question about videos and images."""
    paths, question = split_arguments(arguments, prompt)
    generation = options.generation(max_new_tokens, temperature, top_p, seed)
    machine = options.load_options(device, dtype, attention, four_bit)
    with guarded_stdout() as stdout:
        out = Output(stdout, quiet)
        try:
            check_writable(output)
            family = steps.open_family(model, revision, out)
            view = steps.chosen_view(family.view, sampling, frames, fps, start, end, exact_pixels)
            started = time.perf_counter()
            media = steps.load_all(paths, view, out)
            decode_s = time.perf_counter() - started
            engine = steps.load_engine(family, machine, out)
            streamed = out.answers_to_terminal and not (json or output)
            asked = conversation.ask(question, media, system)
            answer = engine.answer([asked], generation, out.write if streamed else None)[0]
        except LlavaError as error:
            if json:
                out.write(to_json(error_record(question, paths, error, generation)) + "\n")
            raise
        for warning in answer.warnings:
            out.say(f"llava: {warning}")
        record = answer_record(question, media, answer, engine.info, generation, decode_s)
        if output is not None:
            write_file(output, to_json(record).encode() + b"\n")
        elif json:
            out.write(to_json(record) + "\n")
        else:
            out.write("\n" if streamed else answer.text + "\n")


def split_arguments(arguments: Sequence[str], prompt: str | None) -> tuple[list[str], str]:
    """The media and the question of a command line.

    Raises:
        UsageError: one of them is missing.
    """
    paths, question = (list(arguments), prompt) if prompt is not None else (list(arguments[:-1]), arguments[-1])
    if not paths:
        hint = "the question" if os.path.lexists(arguments[-1]) else "the video or image it is about"
        raise UsageError(f'{arguments[-1]}: {hint} is missing; try: llava ask video.mp4 "why is this funny?"')
    if not question.strip():
        raise UsageError("the question is empty")
    if paths.count("-") > 1:
        raise UsageError("standard input (-) can be read only once")
    return paths, question
