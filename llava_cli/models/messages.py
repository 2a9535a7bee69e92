# SPDX-License-Identifier: Apache-2.0
"""What is put to a model: turns of text, clips and stills; and conversation files, in the form of chat templates."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from llava_cli.errors import InputError
from llava_cli.media.clip import Clip, Media
from llava_cli.media.source import is_url, masked

Part = str | Media
Role = Literal["system", "user", "assistant"]
Modality = Literal["video", "image"]
"""What a medium is to a prompt: its marks and its chat template's parts are named so."""

_MARK = re.compile(r"<(video|image)>")


@dataclass(frozen=True)
class Turn:
    """One message of a conversation, its parts in order."""

    role: Role
    parts: tuple[Part, ...]
    inline: bool = False
    """The user placed the media inside the sentence: they stay exactly there, whatever the chat template prefers."""

    @property
    def media(self) -> tuple[Media, ...]:
        return tuple(part for part in self.parts if not isinstance(part, str))


@dataclass(frozen=True)
class Conversation:
    """A conversation that ends with the user's question."""

    turns: tuple[Turn, ...]

    @property
    def media(self) -> tuple[Media, ...]:
        """All media of the conversation, in order."""
        return tuple(medium for turn in self.turns for medium in turn.media)


def modality_of(medium: Media) -> Modality:
    """`video` for a clip, `image` for a still."""
    return "video" if isinstance(medium, Clip) else "image"


def ask(question: str, media: Sequence[Media], system: str | None = None) -> Conversation:
    """A single question about some media.

    Where the question holds as many `<video>` and `<image>` marks as there are media of that kind, they place them;
    otherwise media come first, in order, and such marks are plain text.
    """
    return with_system(Conversation((Turn("user", *_place(question.strip(), media)),)), system)


def with_system(asked: Conversation, system: str | None) -> Conversation:
    """The conversation under a system prompt, in the place of its own."""
    if system is None or not system.strip():
        return asked
    rest = tuple(turn for turn in asked.turns if turn.role != "system")
    return Conversation((Turn("system", (system.strip(),)), *rest))


def _place(question: str, media: Sequence[Media]) -> tuple[tuple[Part, ...], bool]:
    """The parts of a user's turn, and whether the user placed the media."""
    marks = _MARK.findall(question)
    if not marks or sorted(marks) != sorted(map(modality_of, media)):
        return (*media, question), False
    waiting = {key: iter([medium for medium in media if modality_of(medium) == key]) for key in get_args(Modality)}
    parts = [next(waiting[piece]) if i % 2 else piece for i, piece in enumerate(_MARK.split(question))]
    return tuple(part for part in parts if part != ""), True


@dataclass(frozen=True)
class MediaPath:
    """A file or a URL that a message shows."""

    modality: Modality
    path: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", masked(self.path))


@dataclass(frozen=True)
class Message:
    """A turn whose media are named, not read."""

    role: Role
    parts: tuple[str | MediaPath, ...]
    inline: bool = False
    """As in `Turn`."""

    @property
    def paths(self) -> tuple[str, ...]:
        return tuple(part.path for part in self.parts if isinstance(part, MediaPath))


def by_name(turns: Sequence[Turn]) -> tuple[Message, ...]:
    """The turns with the names of their media."""
    return tuple(Message(turn.role, tuple(map(_name, turn.parts)), turn.inline) for turn in turns)


def with_media(messages: Sequence[Message], shown: Mapping[str, Media]) -> tuple[Turn, ...]:
    """The messages with their media, which are given by name.

    Raises:
        InputError: a file is not of the kind that its message says.
    """
    return tuple(Turn(one.role, tuple(_shown(part, shown) for part in one.parts), one.inline) for one in messages)


def _name(part: Part) -> str | MediaPath:
    return part if isinstance(part, str) else MediaPath(modality_of(part), part.info.path)


def _shown(part: str | MediaPath, shown: Mapping[str, Media]) -> Part:
    if isinstance(part, str):
        return part
    medium = shown[part.path]
    if modality_of(medium) != part.modality:
        raise InputError(f"{part.path}: is a {modality_of(medium)}, but the conversation says {part.modality}")
    return medium


def read_chat(path: Path) -> list[Message]:
    """Read a conversation file. Media paths are relative to the file.

    Raises:
        InputError: it cannot be read, or a message is not in order; the message names which, and the key.
    """
    try:
        content = json.loads(path.read_text("utf-8"))
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise InputError(f"{path}: is not valid JSON: {error}") from error
    if not isinstance(content, list) or not content:
        raise InputError(f"{path}: is not a list of messages")
    messages = [_message(entry, path, f"{path}: message {number}") for number, entry in enumerate(content, 1)]
    for number, message in enumerate(messages[1:], 2):
        if message.role == "system":
            raise InputError(f"{path}: message {number}: 'role' is 'system', which only the first may be")
    return messages


def chat_text(messages: Sequence[Message], folder: Path) -> str:
    """A conversation as the content of a file that is to stand in `folder`, for `read_chat` to read.

    Raises:
        InputError: a medium came from standard input.
    """
    content = [{"role": one.role, "content": [_written(part, folder) for part in one.parts]} for one in messages]
    return json.dumps(content, indent=2) + "\n"


def _written(part: str | MediaPath, folder: Path) -> dict[str, str]:
    if isinstance(part, str):
        return {"type": "text", "text": part}
    if part.path == "-":
        raise InputError("a conversation about standard input cannot be saved: no file could be named in it")
    if is_url(part.path):
        return {"type": part.modality, "path": part.path}
    path, folder = Path(part.path).absolute(), folder.absolute()
    return {"type": part.modality, "path": str(path.relative_to(folder) if path.is_relative_to(folder) else path)}


def _message(entry: Any, path: Path, where: str) -> Message:
    if not isinstance(entry, dict):
        raise InputError(f"{where}: is not an object with 'role' and 'content'")
    role: Any = entry.get("role")
    content = entry.get("content")
    if role not in get_args(Role):
        raise InputError(f"{where}: 'role' must be one of {', '.join(get_args(Role))}, not {role!r}")
    if isinstance(content, str):
        content = [{"type": "text", "text": content}]
    if not isinstance(content, list) or not content:
        raise InputError(f"{where}: 'content' must be a text or a list of parts")
    parts = tuple(_part(part, path, f"{where}: part {number}") for number, part in enumerate(content, 1))
    if role != "user" and any(isinstance(part, MediaPath) for part in parts):
        raise InputError(f"{where}: only messages of the user may show media")
    return Message(role, parts)


def _part(part: Any, path: Path, where: str) -> str | MediaPath:
    modality: Any = part.get("type") if isinstance(part, dict) else None
    if modality == "text":
        if not isinstance(part.get("text"), str):
            raise InputError(f"{where}: 'text' is missing")
        return str(part["text"]).strip()
    if modality not in get_args(Modality):
        raise InputError(f"{where}: 'type' must be text, image or video, not {modality!r}")
    name = part.get("path", part.get(modality))
    if not isinstance(name, str) or not name:
        raise InputError(f"{where}: 'path' is missing: which {modality}?")
    return MediaPath(modality, name if is_url(name) else str(path.parent / name))
