# SPDX-License-Identifier: Apache-2.0
"""Where a server is, and how it is spoken to: what the user decides of it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import urlsplit

from llava_cli.errors import UsageError
from llava_cli.texts import masked

Send = Literal["auto", "frames", "images", "file"]
"""How a video goes to a server. `auto` finds out whether it takes frames, or else images."""

KEY = "OPENAI_API_KEY"
"""The variable that holds the key; there is no other way to give one."""

_LONGEST_SHOWN = 60


@dataclass(frozen=True)
class Endpoint:
    """A server that speaks OpenAI's protocol.

    Raises:
        UsageError: its address, or a number, makes no sense.
    """

    url: str
    """Up to the version, as `http://HOST:8000/v1`."""
    family: str | None = None
    """Whose way to see videos is used: a short name, a family, a folder; None goes by the model's name."""
    send: Send = "auto"
    jpeg: int | None = None
    """The quality of pictures sent as JPEG; None sends PNG, which loses nothing."""
    times: bool = False
    """Say in the text at which time each frame is."""
    concurrency: int = 8
    """The most requests at once."""
    timeout_s: float = 600.0
    """For an answer, trying again included."""
    retries: int = 5

    def __post_init__(self) -> None:
        object.__setattr__(self, "url", checked_url(self.url))
        if self.send not in ("auto", "frames", "images", "file"):
            raise UsageError(f"send is {self.send!r}; it must be auto, frames, images or file")
        if self.jpeg is not None and not 1 <= self.jpeg <= 100:
            raise UsageError(f"jpeg is {self.jpeg}; it must be a quality from 1 to 100")
        if self.concurrency < 1 or self.retries < 0 or not self.timeout_s > 0:
            raise UsageError("concurrency must be at least 1, retries at least 0, and the timeout more than 0 seconds")

    @property
    def identity(self) -> dict[str, Any]:
        """What of it can change an answer. How videos go is taken as it was asked for: to find out takes a request."""
        return {"endpoint": self.url, "send": self.send, "jpeg": self.jpeg, "times": self.times}

    def sent(self, way: Send) -> str:
        """How pictures go, in words: a record's `model.sent`."""
        if way == "file":
            return way
        kind = "PNG" if self.jpeg is None else f"JPEG {self.jpeg}"
        return f"{way} ({kind}{', with times' if self.times else ''})"


def checked_url(text: str) -> str:
    """The address of a server, without a slash at its end.

    Raises:
        UsageError: it is none, or holds what must not be told: records have it.
    """
    url = text.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        sound = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        sound = False
    if not sound or re.search(r"[\s\x00-\x20\x7f]", url) or not url.isascii():
        shown = re.sub(".*@", "***@", text, flags=re.DOTALL)
        cut = shown if len(shown) <= _LONGEST_SHOWN else f"{shown[:_LONGEST_SHOWN]}…"
        raise UsageError(f"{cut!a} is no server's address; one looks like http://HOST:8000/v1")
    if "@" in parts.netloc or parts.query or parts.fragment:
        raise UsageError(
            f"{masked(url).partition('?')[0].partition('#')[0]}: a server's address has no user name, password or "
            f"query here, because records hold it; {KEY} holds the key"
        )
    return url
