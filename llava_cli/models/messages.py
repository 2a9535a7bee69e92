# SPDX-License-Identifier: Apache-2.0
"""What is put to a model: turns of text, clips and stills; and conversation files, in the form of chat templates."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeVar, get_args

from llava_cli.errors import InputError, UsageError
from llava_cli.media.clip import Clip, Media
from llava_cli.media.named import WHOLE, Excerpt, excerpt_of, is_address, path_of
from llava_cli.texts import is_text, masked

Part = str | Media
Role = Literal["system", "user", "assistant"]
Modality = Literal["video", "image"]
"""What a medium is to a prompt: its marks and its chat template's parts are named so."""

_MARK = re.compile(r"<(video|image)>")
_Placed = TypeVar("_Placed")


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
    template: str | None = None
    """The user's own chat template (Jinja), in the place of the checkpoint's."""
    raw: bool = False
    """Its one turn holds media, and a text that is the whole prompt: see `raw`."""

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


def raw(prompt: str, media: Sequence[Media]) -> Conversation:
    """A prompt that the user wrote as a whole, to the last space: no template is applied, its marks place the media."""
    return Conversation((Turn("user", (*media, prompt), inline=True),), raw=True)


def with_system(asked: Conversation, system: str | None) -> Conversation:
    """The conversation under a system prompt, in the place of its own."""
    if system is None or not system.strip():
        return asked
    rest = tuple(turn for turn in asked.turns if turn.role != "system")
    return replace(asked, turns=(Turn("system", (system.strip(),)), *rest))


def _place(question: str, media: Sequence[Media]) -> tuple[tuple[Part, ...], bool]:
    """The parts of a user's turn, and whether the user placed the media."""
    parts = placed(question, [(modality_of(medium), medium) for medium in media]) if media else None
    if parts is None:
        return (*media, question), False
    return tuple(part for part in parts if part != ""), True


def placed(text: str, things: Sequence[tuple[Modality, _Placed]]) -> list[str | _Placed] | None:
    """A text with things in the place of its `<video>` and `<image>` marks, those of a kind in their order.

    None where it does not have as many marks of each kind as there are things.
    """
    pieces = _MARK.split(text)
    if sorted(pieces[1::2]) != sorted(modality for modality, _ in things):
        return None
    waiting = {key: iter([thing for modality, thing in things if modality == key]) for key in get_args(Modality)}
    return [next(waiting[piece]) if i % 2 else piece for i, piece in enumerate(pieces)]


def count_marks(text: str) -> Counter[Modality]:
    """How many `<video>` and `<image>` marks a text has."""
    return Counter(_MARK.findall(text))


@dataclass(frozen=True)
class MediaPath:
    """A file or a URL that is shown."""

    modality: Modality | None
    """None takes it for what it is."""
    path: str
    """Empty where a message leaves open which medium it shows: see `with_paths`."""
    excerpt: Excerpt = WHOLE

    def __post_init__(self) -> None:
        object.__setattr__(self, "path", masked(self.path))


Medium = str | MediaPath
"""A medium by its name, or with what else is said of it."""


def media_path(name: Medium) -> MediaPath:
    """A medium of which no more than a name need be said."""
    return MediaPath(None, name) if isinstance(name, str) else name


def without_userinfo(medium: Medium) -> Medium:
    """The medium, its name without the user name and password that a URL may hold."""
    return masked(medium) if isinstance(medium, str) else medium


def shortest(medium: MediaPath) -> Medium:
    """A medium's name alone, where all of it is shown."""
    return medium.path if medium.excerpt == WHOLE else medium


@dataclass(frozen=True)
class Message:
    """A turn whose media are named, not read."""

    role: Role
    parts: tuple[str | MediaPath, ...]
    inline: bool = False
    """As in `Turn`."""

    @property
    def media(self) -> tuple[MediaPath, ...]:
        return tuple(part for part in self.parts if isinstance(part, MediaPath))

    @property
    def texts(self) -> tuple[str, ...]:
        return tuple(part for part in self.parts if isinstance(part, str))

    def changed(self, change: Callable[[MediaPath], MediaPath]) -> Message:
        """The message with its media changed."""
        return replace(self, parts=tuple(part if isinstance(part, str) else change(part) for part in self.parts))


def all_media(messages: Sequence[Message]) -> tuple[MediaPath, ...]:
    """All media of some messages, in order."""
    return tuple(medium for message in messages for medium in message.media)


def open_places(messages: Sequence[Message]) -> int:
    """How many media of some messages are without a path."""
    return sum(not medium.path for medium in all_media(messages))


def by_name(turns: Sequence[Turn], names: Mapping[int, MediaPath]) -> tuple[Message, ...]:
    """The turns with their media by name; `names` has those by the identity of what was read."""

    def named(part: Part) -> str | MediaPath:
        return part if isinstance(part, str) else replace(names[id(part)], modality=modality_of(part))

    return tuple(Message(turn.role, tuple(map(named, turn.parts)), turn.inline) for turn in turns)


def with_media(messages: Sequence[Message], media: Iterable[Media]) -> tuple[Turn, ...]:
    """The messages with their media, which are given in order.

    Raises:
        InputError: a file is not of the kind that its message says.
    """
    waiting = iter(media)

    def shown(part: str | MediaPath) -> Part:
        if isinstance(part, str):
            return part
        medium = next(waiting)
        kind = modality_of(medium)
        if part.modality not in (kind, None):
            article = "an" if kind == "image" else "a"
            raise InputError(f"{part.path}: is {article} {kind}, but the conversation says {part.modality}")
        return medium

    return tuple(Turn(one.role, tuple(map(shown, one.parts)), one.inline) for one in messages)


def with_paths(messages: Sequence[Message], media: Sequence[Medium]) -> tuple[tuple[Message, ...], tuple[Medium, ...]]:
    """The messages, with given media where they leave open which, in order; and those media that are left over.

    Raises:
        UsageError: there are too few.
    """
    places = open_places(messages)
    if places > len(media):
        raise UsageError(f"media without a path: {places}, but media named for them: {len(media)}")
    waiting = iter(map(media_path, media))

    def filled(medium: MediaPath) -> MediaPath:
        if medium.path:
            return medium
        given = next(waiting)
        return replace(medium, path=given.path, excerpt=medium.excerpt.over(given.excerpt))

    return tuple(message.changed(filled) for message in messages), tuple(media[places:])


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
    return read_messages(content, str(path), lambda name: name if is_address(name) else str(path.parent / name))


def read_messages(content: Any, where: str, locate: Callable[[str], str]) -> list[Message]:
    """The messages of a conversation in the form of chat templates.

    Args:
        content: as it was read from JSON.
        where: what errors begin with.
        locate: where a path of it leads to.

    Raises:
        InputError: a message is not in order; the error names which, and the key.
    """
    if not isinstance(content, list) or not content:
        raise InputError(f"{where}: is not a list of messages")
    messages = [_message(entry, f"{where}: message {number}", locate) for number, entry in enumerate(content, 1)]
    for number, message in enumerate(messages[1:], 2):
        if message.role == "system":
            raise InputError(f"{where}: message {number}: 'role' is 'system', which only the first may be")
    return messages


def written(messages: Sequence[Message], entry: Callable[[str], Mapping[str, str]]) -> list[dict[str, Any]]:
    """Messages as JSON has them, for `read_messages` to read; `entry` writes the path of a medium."""

    def part(one: str | MediaPath) -> dict[str, Any]:
        if isinstance(one, str):
            return {"type": "text", "text": one}
        return {"type": one.modality, **entry(one.path), **one.excerpt.said}

    placed = {True: {"inline": True}, False: {}}
    return [{"role": one.role, "content": list(map(part, one.parts)), **placed[one.inline]} for one in messages]


def chat_text(messages: Sequence[Message], folder: Path) -> str:
    """A conversation as the content of a file that is to stand in `folder`, for `read_chat` to read.

    Raises:
        InputError: a medium came from standard input.
    """
    return json.dumps(written(messages, lambda path: {"path": _seen_from(folder.absolute(), path)}), indent=2) + "\n"


def _seen_from(folder: Path, name: str) -> str:
    if name == "-":
        raise InputError("a conversation about standard input cannot be saved: no file could be named in it")
    if is_address(name):
        return name
    path = Path(name).absolute()
    return str(path.relative_to(folder) if path.is_relative_to(folder) else path)


def _message(entry: Any, where: str, locate: Callable[[str], str]) -> Message:
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
    parts = tuple(_part(part, f"{where}: part {number}", locate) for number, part in enumerate(content, 1))
    if role != "user" and any(isinstance(part, MediaPath) for part in parts):
        raise InputError(f"{where}: only messages of the user may show media")
    inline = entry.get("inline", False)
    if not isinstance(inline, bool):
        raise InputError(f"{where}: 'inline' must be true or false")
    return Message(role, parts, inline)


def _part(part: Any, where: str, locate: Callable[[str], str]) -> str | MediaPath:
    kind: Any = part.get("type") if isinstance(part, dict) else None
    if kind == "text":
        if not isinstance(part.get("text"), str):
            raise InputError(f"{where}: 'text' is missing")
        if not is_text(part["text"]):
            raise InputError(f"{where}: 'text' is not valid Unicode text")
        return str(part["text"])
    modality: Any = kind.removesuffix("_url") if isinstance(kind, str) else kind
    if modality not in get_args(Modality):
        raise InputError(f"{where}: 'type' must be text, image or video, not {kind!r}")
    try:
        return MediaPath(modality, _located(part, modality, locate), excerpt_of(part))
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def _located(part: Mapping[str, Any], modality: Modality, locate: Callable[[str], str]) -> str:
    """Where the medium of a part is; nothing where that is left open."""
    said = [part[key] for key in ("path", "url", modality, f"{modality}_url") if part.get(key) is not None]
    name = path_of(part) if "path_b64" in part else said[0] if said else ""
    if isinstance(name, Mapping):
        name = name.get("url")
    if not isinstance(name, str) or (said and not name):
        raise InputError(f"'path' must name one file or URL: which {modality}?")
    if name.startswith("data:"):
        raise InputError("data: URLs are not read; name a file")
    return locate(name) if name else ""
