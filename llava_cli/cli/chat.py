# SPDX-License-Identifier: Apache-2.0
"""`llava chat`: a conversation about media, at a prompt or line by line from a pipe."""

from __future__ import annotations

import os
import shlex
import signal
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Annotated

import typer

from llava_cli.atomic import write_file
from llava_cli.cli import options, steps
from llava_cli.cli.conversing import Talk, reply
from llava_cli.cli.grouping import Without
from llava_cli.cli.prompting import questions
from llava_cli.errors import LlavaError, OutputError, UsageError
from llava_cli.media.worker.parent import Worker
from llava_cli.models.messages import chat_text
from llava_cli.output import AnswerWriter, Output, complain, guarded_stdout

if TYPE_CHECKING:
    from llava_cli.engine.local import LocalEngine
    from llava_cli.engine.types import Answer, Generation
    from llava_cli.media.clip import View

EXAMPLES = """
Examples:

  llava chat clip.mp4

  llava chat before.jpg after.jpg --system "Be brief."

  printf 'What happens?\\nWhy?\\n/save talk.json\\n' | llava chat clip.mp4
"""

HELP = """\
/add FILE      show another video or image with the next question
/frames [PNG]  list what the model is shown; save it as a contact sheet
/system TEXT   set the system prompt; without a text, remove it
/undo          remove the last question and its answer
/save FILE     save the conversation, for `llava ask --conversation FILE`
/stats         what each turn cost: tokens computed, tokens reused, time
/help          show this list
/quit          leave, as Ctrl-D does; Ctrl-C stops an answer
"""

MediaFiles = Annotated[list[str] | None, typer.Argument(metavar="[MEDIA...]", help="Videos and images.")]


def chat(
    media: MediaFiles = None,
    *,
    choice: Annotated[options.ModelOptions, Without("dummy")],
    showing: Annotated[options.FrameOptions, Without("fit")],
    answering: options.GenerationOptions,
    machine: options.DeviceOptions,
    limits: Annotated[options.LimitOptions, Without("allow_urls")],
    verbose: options.Verbose = False,
    quiet: options.Quiet = False,
) -> None:
    """Talk about videos and images.

    The model reads them once, and each question costs only its own tokens. Type /help at the prompt for its
    commands. Ctrl-C stops an answer, Ctrl-D leaves. Questions can also come from a pipe, one per line.
    """
    if media and "-" in media:
        raise UsageError("standard input holds the questions here; name the media as files")
    generation, loading = answering.generation(), machine.load_options()
    with guarded_stdout() as stdout, Worker(limits.for_media()) as worker:
        out = Output(stdout, quiet, verbose)
        family = steps.open_family(choice, out)
        view = showing.of(family.view)
        shown = steps.load_all(media or [], view, out, worker)
        loader = steps.open_loader(family, loading, out)
        engine = steps.load_engine(loader, out)
        conversation = Talk(waiting=shown, system=answering.system)
        failed = Chat(engine, view, generation, conversation, worker, out).run()
    if failed is not None:
        raise typer.Exit(failed)


class Chat:
    """One conversation at the prompt."""

    def __init__(
        self,
        engine: LocalEngine,
        view: View,
        generation: Generation,
        conversation: Talk,
        worker: Worker,
        out: Output,
    ) -> None:
        self.engine = engine
        self.worker = worker
        self.view = view
        self.generation = generation
        self.conversation = conversation
        self.out = out
        self.commands: dict[str, Callable[[str], None]] = {
            "/add": self.add,
            "/frames": self.frames,
            "/system": self.set_system,
            "/undo": self.undo,
            "/save": self.save,
            "/stats": lambda _: self.out.write(self.conversation.stats()),
            "/help": lambda _: self.out.write(HELP),
        }

    def run(self) -> int | None:
        """Answer until the questions end; from a pipe, the exit code of the first that failed."""
        interactive = sys.stdin.isatty()
        failed: int | None = None
        if interactive:
            self.out.say(f"{self.engine.info.checkpoint} is ready; /help lists commands, Ctrl-D leaves")
        for line in questions(sorted([*self.commands, "/quit"]), interactive):
            if line == "/quit":
                break
            try:
                self.take(line)
            except LlavaError as error:
                complain(f"llava: {error}")
                failed = failed or int(error.exit_code)
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
        writer = AnswerWriter(self.out)
        answer: Answer | None = None
        try:
            with _interruptible() as stopped:
                answer = reply(self.engine, self.conversation, question, self.generation, writer, stopped)
        except KeyboardInterrupt:
            self.out.say("llava: the question was given up")
        finally:
            writer.end()
            if answer is not None or writer.used:
                self.out.write("\n")
        if answer is not None and answer.finish_reason == "interrupted":
            self.out.say("llava: stopped; /undo takes it back")

    def add(self, argument: str) -> None:
        """Show another file with the next question."""
        self.conversation.waiting += steps.load_all(
            [_one_name(argument, "/add FILE")], self.view, self.out, self.worker
        )
        self.out.say("llava: it is shown with your next question")

    def frames(self, argument: str) -> None:
        """Say what the model is shown, and save it if a name is given."""
        from llava_cli.cli.frames import summary

        media = self.conversation.media
        if not media:
            raise UsageError("no video and no image yet; /add FILE shows one")
        for medium in media:
            self.out.write(summary(medium, self.engine.family.visual_tokens(medium), self.engine.family.name))
        if argument:
            steps.save_sheet(media, Path(_one_name(argument, "/frames FILE.png")), self.out)

    def set_system(self, argument: str) -> None:
        """Change the system prompt, with which every prompt begins: the next answer runs all of it again."""
        self.conversation.system = argument or None

    def undo(self, argument: str) -> None:
        """Take back a question and its answer."""
        if not self.conversation.undo():
            raise UsageError("nothing to take back")

    def save(self, argument: str) -> None:
        """Write the conversation."""
        path = Path(_one_name(argument, "/save FILE"))
        if not self.conversation.turns:
            raise UsageError("nothing was said yet")
        if not path.parent.is_dir():
            raise OutputError(f"{path}: its folder does not exist")
        write_file(path, chat_text(self.conversation.all_turns(), path.parent).encode())
        self.out.say(f'llava: {path}: go on with: llava ask --conversation {shlex.quote(str(path))} "…"')


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
