# SPDX-License-Identifier: Apache-2.0
"""Options about a server that answers in the place of a checkpoint on this machine."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import partial
from typing import Annotated, Any

import typer

from llava_cli.cli import options, values
from llava_cli.engine.remote.endpoint import Endpoint, Send
from llava_cli.errors import UsageError

_endpoint = partial(typer.Option, rich_help_panel="Endpoint")

ELSEWHERE = {
    "revision": "--revision",
    "rope_factor": "--rope-scaling",
    "dummy": "--dummy-weights",
    "device": "--device",
    "device_map": "--device-map",
    "dtype": "--dtype",
    "attention": "--attention",
    "four_bit": "--4bit",
    "eight_bit": "--8bit",
    "quantize_all": "--quantize-all",
    "keep": "--keep",
}
"""What a server decides when it is started, by the names of fields."""


@dataclass(frozen=True)
class EndpointOptions:
    """Where a server is, and how it is spoken to."""

    endpoint: Annotated[
        str | None,
        _endpoint(
            "--endpoint",
            metavar="URL",
            parser=values.endpoint,
            help="Have an OpenAI-compatible server answer, such as http://HOST:8000/v1; --model is its name for the "
            "model, and OPENAI_API_KEY holds its key.",
        ),
    ] = None
    family: Annotated[
        str | None,
        _endpoint(
            "--family",
            metavar="NAME",
            help="Show videos as this short name, family or folder wants them.",
            show_default="by --model, or 8 frames",
        ),
    ] = None
    send: Annotated[
        Send,
        _endpoint(
            "--send",
            metavar="auto|frames|images|file",
            parser=values.one_of(Send),
            help="How a video goes to the server: as frames, as images, as the file, or as it turns out to take them.",
        ),
    ] = "auto"
    jpeg: Annotated[
        int | None,
        _endpoint(
            "--jpeg",
            metavar="Q",
            parser=values.whole(1, 100),
            help="Send pictures as JPEG of quality Q instead of PNG, which loses nothing.",
        ),
    ] = None
    times: Annotated[bool, _endpoint("--times/--no-times", help="Tell the model at which time each frame is.")] = False
    concurrency: Annotated[
        int,
        _endpoint("--concurrency", metavar="N", parser=values.whole(1, 4096), help="Ask N questions at the same time."),
    ] = Endpoint.concurrency
    timeout_s: Annotated[
        float,
        _endpoint("--endpoint-timeout", metavar="SECONDS", parser=values.positive, help="Longest time for an answer."),
    ] = Endpoint.timeout_s
    retries: Annotated[
        int,
        _endpoint(
            "--retries",
            metavar="N",
            parser=values.whole(0, 100),
            help="Ask again up to N times where the server is busy, fails, or breaks the connection off.",
        ),
    ] = Endpoint.retries

    def session(self, *groups: options.ModelOptions | options.DeviceOptions) -> dict[str, Any]:
        """The same as arguments of a session.

        Args:
            groups: options that a server leaves no room for.

        Raises:
            UsageError: such an option is used with a server, or one of these without.
        """
        given = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "endpoint"}
        if self.endpoint is None:
            changed = [name for name, value in given.items() if value != getattr(EndpointOptions(), name)]
            if changed:
                raise UsageError(f"{_flag(changed[0])} needs --endpoint")
            return {"endpoint": None}
        for group in groups:
            for name, flag in ELSEWHERE.items():
                if hasattr(group, name) and getattr(group, name) != getattr(type(group)(), name):
                    raise UsageError(f"{flag} cannot be used with --endpoint: the server decides it when it starts")
        return {"endpoint": Endpoint(self.endpoint, **given)}


def _flag(name: str) -> str:
    return "--endpoint-timeout" if name == "timeout_s" else f"--{name}"
