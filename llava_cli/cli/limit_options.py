# SPDX-License-Identifier: Apache-2.0
"""Options about what reading a file may cost."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Annotated

import typer

from llava_cli.cli import values
from llava_cli.errors import UsageError
from llava_cli.media import limits as media_limits

_limits = partial(typer.Option, rich_help_panel="Limits")


@dataclass(frozen=True)
class LimitOptions:
    """What reading a file may cost, and where from."""

    max_bytes: Annotated[
        int,
        _limits(
            "--max-bytes",
            parser=values.size,
            metavar="SIZE",
            help="Most to read from standard input, a pipe or a URL: bytes, 500M, 2G.",
            show_default="2G",
        ),
    ] = media_limits.DEFAULT.max_bytes
    max_pixels: Annotated[
        int, _limits("--max-pixels", metavar="N", parser=values.whole(1), help="Largest picture, width times height.")
    ] = media_limits.DEFAULT.max_pixels
    max_walk: Annotated[
        int,
        _limits(
            "--max-walk",
            metavar="N",
            parser=values.whole(1),
            help="Most frames to decode one by one, in files without reliable seeking.",
        ),
    ] = media_limits.DEFAULT.max_walk
    timeout: Annotated[
        float, _limits("--timeout", metavar="SECONDS", parser=values.positive, help="Longest time for decoding a file.")
    ] = media_limits.DEFAULT.timeout
    max_memory: Annotated[
        int | None,
        _limits(
            "--max-memory",
            parser=values.size,
            metavar="SIZE",
            help="Most memory for decoding a file.",
            show_default="half of the machine's",
        ),
    ] = media_limits.DEFAULT.max_memory
    allow_urls: Annotated[bool, _limits("--allow-urls", help="Read URLs (http, https, hf) named in the list.")] = True
    allow_private_urls: Annotated[
        bool,
        _limits(
            "--allow-private-urls",
            help="Read URLs at addresses that are not public, such as this machine's own network.",
        ),
    ] = False

    def for_media(self) -> media_limits.Limits:
        """The same in the terms of what reads media.

        Raises:
            UsageError: the options contradict each other.
        """
        if self.allow_private_urls and not self.allow_urls:
            raise UsageError("--allow-private-urls needs --allow-urls")
        urls: media_limits.Urls = "any" if self.allow_private_urls else "public" if self.allow_urls else "never"
        return media_limits.Limits(self.max_bytes, self.max_pixels, self.max_walk, self.timeout, self.max_memory, urls)
