# SPDX-License-Identifier: Apache-2.0
"""`llava chat`: a conversation about media, at a prompt or line by line from a pipe."""

from __future__ import annotations

import logging
import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.cli import options
from llava_cli.cli.endpoint_options import EndpointOptions
from llava_cli.cli.frames import save_sheet, summary
from llava_cli.cli.grouping import Without
from llava_cli.cli.help import COMMON
from llava_cli.cli.prompting import questions
from llava_cli.cli.score_options import ScoreOptions, percentages
from llava_cli.cli.shape_options import ShapeOptions
from llava_cli.cli.tables import table
from llava_cli.errors import LlavaError, UsageError
from llava_cli.output import Output, console
from llava_cli.record import to_json
from llava_cli.request import Request
from llava_cli.stdin import stdin_is_terminal

if TYPE_CHECKING:
    from llava_cli.answer import Answer
    from llava_cli.chat import Chat
    from llava_cli.session import Session

log = logging.getLogger(__name__)

EXAMPLES = """
Examples:

  llava chat clip.mp4

  llava chat before.jpg after.jpg --system "Be brief."

  printf 'What happens?\\nWhy?\\n/save talk.json\\n' | llava chat clip.mp4
"""

HELP = """\
/add FILE      show another video or image with the next question
/drop [FILE]   do not show it after all: the last added, or the one named
/frames [PNG]  list what the model is shown; save it as a contact sheet
/system TEXT   set the system prompt; without a text, remove it
/choices A,B   answer with the likeliest of these, until /choices without any
/undo          remove the last question and its answer
/save FILE     save the conversation, for `llava ask --conversation FILE`
/stats         what each turn cost: tokens computed, tokens cached, time
/help          show this list
/quit          leave, as exit, quit and Ctrl-D do; Ctrl-C stops an answer
"""

LEAVING = ("/quit", "/exit", "quit", "exit")

MediaFiles = Annotated[list[str] | None, typer.Argument(metavar="[MEDIA...]", help="Videos and images.")]


def chat(
    media: MediaFiles = None,
    *,
    model: Annotated[options.ModelOptions, Without("dummy")],
    frames: options.FrameOptions,
    generation: Annotated[options.GenerationOptions, Without("raw", "prompt_ids")],
    scores: Annotated[ScoreOptions, Without("logprobs")],
    shape: ShapeOptions,
    device: options.DeviceOptions,
    endpoint: Annotated[EndpointOptions, Without("concurrency")],
    limits: Annotated[options.LimitOptions, Without("allow_urls")],
    json: Annotated[
        bool, typer.Option("--json", help="Print each answer as one line of JSON.", rich_help_panel="Output"), COMMON
    ] = False,
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Talk about videos and images.

    The model reads them once, and each question costs only its own tokens. Type /help at the prompt for its
    commands. Ctrl-C stops an answer, Ctrl-D leaves. Questions can also come from a pipe, one per line.
    """
    from llava_cli.chat import Chat
    from llava_cli.session import Session

    if media and "-" in media:
        raise UsageError("standard input holds the questions here; name the media as files")
    if sys.stdin is None:
        raise UsageError("standard input is closed, and questions come from it; ask a single one with llava ask")
    request = Request(
        None, tuple(media or ()), choice=frames.choice(), fit=frames.fit, generation=generation.generation(),
        constraint=shape.constraint(), **generation.wording(), **scores.asked(choices_to_come=True),
    )  # fmt: skip
    settings = model.session() | device.session() | endpoint.session(model, device) | {"limits": limits.for_media()}
    with (
        console(quiet, verbose) as out,
        Session(**settings, progress=out.progress) as session,
        Chat(session, request) as conversation,
    ):
        conversation.prepare()
        failed = Prompt(conversation, session, out, json).run()
    if failed is not None:
        raise typer.Exit(failed)


class Prompt:
    """What is typed at the prompt, or comes line by line from a pipe."""

    def __init__(self, chat: Chat, session: Session, out: Output, json: bool = False) -> None:
        """`json`: answers and failures are records, and stdout holds nothing else."""
        self.chat, self.session, self.out, self.json = chat, session, out, json
        self.commands: dict[str, Callable[[str], None]] = {
            "/add": self.add,
            "/frames": self.frames,
            "/system": self.set_system,
            "/choices": self.set_choices,
            "/drop": self.drop,
            "/undo": self.undo,
            "/save": self.save,
            "/stats": lambda _: self.show(stats(self.chat.answers)),
            "/help": lambda _: self.show(HELP),
        }

    def run(self) -> int | None:
        """Answer until the questions end; from a pipe, the exit code of the first that failed."""
        interactive = stdin_is_terminal()
        failed: int | None = None
        if interactive:
            log.info("%s is ready; /help lists commands, Ctrl-D leaves", self.session.engine.info.checkpoint)
        for line in questions(sorted([*self.commands, "/quit"]), interactive):
            if line in LEAVING:
                break
            try:
                self.take(line)
            except LlavaError as error:
                log.error("%s", error)
                failed = failed or int(error.exit_code)
                if self.json:
                    self.out.write(to_json(self.chat.failure(error)) + "\n")
        return None if interactive else failed

    def take(self, line: str) -> None:
        """A line of the user's: a command, or a question."""
        name, _, argument = line.partition(" ")
        if name in self.commands:
            self.commands[name](argument.strip())
        elif name.startswith("/") and name.count("/") == 1:
            raise UsageError(f"{name}: no such command; /help lists them")
        else:
            self.answer(line)

    def answer(self, question: str) -> None:
        """Answer a question as it comes; Ctrl-C stops the answer, a second one gives it up at once."""
        try:
            with _interruptible() as stopped:
                stream = self.chat.stream(question, stopped)
                if self.json:
                    self.out.write(to_json(stream.result().record()) + "\n")
                else:
                    self.out.write_pieces(stream)
        except KeyboardInterrupt:
            log.info("question cancelled")
            return
        answer = stream.result()
        if answer.finish_reason == "interrupted":
            log.info("stopped; /undo removes it")
        if answer.cut:
            log.warning(answer.cut)
        if answer.choices:
            log.info(percentages(answer.choices))

    def show(self, text: str) -> None:
        """Something for people that is no answer."""
        if self.json:
            for line in text.splitlines():
                log.info("%s", line)
        else:
            self.out.write(text)

    def add(self, argument: str) -> None:
        """Show another file with the next question."""
        self.chat.add(_one_name(argument, "/add FILE"))
        log.info("it is shown with your next question; /drop takes it back")

    def drop(self, argument: str) -> None:
        """Do not show a file after all."""
        log.info("%s: is not shown", self.chat.drop(_one_name(argument, "/drop FILE") if argument else None))

    def undo(self, _: str) -> None:
        """Take back the last question."""
        log.info("removed: %s", self.chat.undo())
        if self.chat.waiting:
            log.info("shown with your next question: %s", ", ".join(self.chat.waiting_names))

    def frames(self, argument: str) -> None:
        """Say what the model is shown, and save it if a name is given."""
        media, family = self.chat.media, self.session.family
        if not media:
            raise UsageError("no video and no image yet; /add FILE shows one")
        for medium in media:
            self.show(summary(medium, family.visual_tokens(medium), family.name))
        if argument:
            save_sheet(media, Path(_one_name(argument, "/frames FILE.png")))

    def set_system(self, argument: str) -> None:
        """Change the system prompt, with which every prompt begins: the next answer runs all of it again."""
        self.chat.system = argument or None
        log.info("the system prompt is: %s" if argument else "there is no system prompt now%s", argument)

    def set_choices(self, argument: str) -> None:
        """Have the next answers chosen from these."""
        self.chat.choices = argument.split(",") if argument else None
        log.info("answers are chosen from: %s" if argument else "answers are no longer chosen%s", argument)

    def save(self, argument: str) -> None:
        """Write the conversation."""
        path = Path(_one_name(argument, "/save FILE"))
        self.chat.save(path)
        log.info('%s: continue with: llava ask --conversation %s "…"', path, shlex.quote(str(path)))


def stats(answers: Sequence[Answer]) -> str:
    """What each answer cost: tokens of the prompt that were run, those that were cached, and time."""
    rows: list[tuple[str, ...]] = [("turn", "prompt", "cached", "run", "answer", "encode", "first", "all")]
    for number, answer in enumerate(answers, 1):
        done = answer.completion
        run = done.prompt_tokens - done.cached_tokens
        counts = map(str, (number, done.prompt_tokens, done.cached_tokens, run, done.completion_tokens))
        times = (done.timing.encode_s, done.timing.first_token_s, done.timing.generate_s)
        rows.append((*counts, *(f"{seconds:.2f} s" for seconds in times)))
    return table(rows)


def _one_name(argument: str, usage: str) -> str:
    """The one file name that a command takes, with or without quotes; ~ is the home folder."""
    with suppress(ValueError):
        words = shlex.split(argument)
        if len(words) == 1:
            argument = words[0]
    if not argument:
        raise UsageError(f"a name is missing: {usage}")
    return os.path.expanduser(argument)  # noqa: PTH111 - Path has no way to leave a name that is not of a user


@contextmanager
def _interruptible() -> Iterator[Callable[[], bool]]:
    """Whether Ctrl-C was pressed; a second one raises KeyboardInterrupt."""
    pressed = False

    def press(number: int, frame: FrameType | None) -> None:
        nonlocal pressed
        if pressed:
            raise KeyboardInterrupt
        pressed = True

    before = signal.signal(signal.SIGINT, press)
    try:
        yield lambda: pressed
    finally:
        signal.signal(signal.SIGINT, before)
