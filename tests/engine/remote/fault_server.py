# SPDX-License-Identifier: Apache-2.0
"""A small server on this machine that speaks OpenAI's protocol, with the habits, good and bad, that servers have.

It answers with the number of pictures that it has seen, and counts tokens: one for each word, 16 for each picture.
"""

from __future__ import annotations

import base64
import io
import json
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from PIL import Image

TOKENS = 16
"""That each picture takes."""
TEMPLATE = 5
"""Tokens of a prompt besides its words and pictures."""
USAGE = {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}


@dataclass
class Server:
    """How it behaves; what it was asked."""

    url: str = ""
    sees: set[str] = field(default_factory=lambda: {"image", "video"})
    """Parts of other kinds are dropped without a word."""
    rejects: dict[str, int] = field(default_factory=dict)
    """Kinds of parts, and fields of the request, that are answered with this status."""
    most_frames: int = 32
    """Of a video; the rest is dropped without a word, unless the request says that all count."""
    most_pictures: int = 1000
    """Those after them are dropped without a word."""
    faults: list[Callable[[Handler], None]] = field(default_factory=list)
    """What is done in the place of the answers to the next questions, one each; those of one token are no questions."""
    models: list[dict[str, Any]] | int = field(default_factory=lambda: [{"id": "tiny", "owned_by": "vllm"}])
    """What it lists, or the status that it answers with."""
    says: str = ""
    """Before the number of pictures."""
    usage: Callable[[dict[str, Any]], Any] = lambda usage: usage
    piece_s: float = 0.0
    """What it waits before each piece of an answer."""
    most_at_once: int = 0
    """Questions, so far."""
    now: int = 0
    asked: list[dict[str, Any]] = field(default_factory=list)
    """The bodies of questions, probes left out."""
    probes: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    gone: bool = False
    given_up: threading.Event = field(default_factory=threading.Event)
    """Somebody has gone before the answer was whole."""


class Handler(BaseHTTPRequestHandler):
    """One request."""

    protocol_version = "HTTP/1.1"
    site: Server
    body: dict[str, Any]

    def log_message(self, *_: object) -> None:
        pass

    def version_string(self) -> str:
        return "faulty/1.0"

    def do_GET(self) -> None:
        self.site.headers.append({name.lower(): value for name, value in self.headers.items()})
        if isinstance(self.site.models, int):
            self.say({"error": {"message": "no list here"}}, self.site.models)
        else:
            self.say({"object": "list", "data": self.site.models})

    def do_POST(self) -> None:
        self.site.headers.append({name.lower(): value for name, value in self.headers.items()})
        self.body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if self.site.gone:
            self.close_connection = True
            return
        question = self.body["max_tokens"] > 1
        (self.site.asked if question else self.site.probes).append(self.body)
        self.site.now += question
        self.site.most_at_once = max(self.site.most_at_once, self.site.now)
        try:
            if question and self.site.faults:
                self.site.faults.pop(0)(self)
            else:
                self.answer()
        except (BrokenPipeError, ConnectionResetError):
            self.site.given_up.set()
            self.close_connection = True
        finally:
            self.site.now -= question

    def answer(self) -> None:
        """As a server does that is in order."""
        parts = [part for message in self.body["messages"] for part in listed(message["content"])]
        kinds = {part["type"].removesuffix("_url") for part in parts}
        for name, status in self.site.rejects.items():
            if name in kinds or name in self.body:
                self.say({"error": {"message": f"{name} is not allowed", "code": status}}, status)
                return
        known = [name for name in self.site.models if isinstance(name, dict)] if self.site.models else []
        if known and self.body["model"] not in [one["id"] for one in known]:
            self.say({"error": {"message": f"The model `{self.body['model']}` does not exist."}}, 404)
            return
        pictures = self.pictures(parts)
        words = sum(len(part["text"].split()) for part in parts if part["type"] == "text")
        text = f"{self.site.says}{pictures} pictures"[: self.body["max_tokens"] * 8]
        self.reply(text, {"prompt_tokens": TEMPLATE + words + TOKENS * pictures, "completion_tokens": 2})

    def pictures(self, parts: list[dict[str, Any]]) -> int:
        count = 0
        for part in parts:
            if part["type"] == "image_url" and "image" in self.site.sees:
                opened(part["image_url"]["url"].partition(",")[2])
                count += 1
            elif part["type"] == "video_url" and "video" in self.site.sees:
                kind, _, data = part["video_url"]["url"].partition(",")
                said = self.body.get("media_io_kwargs", {}).get("video", {}).get("num_frames")
                frames = data.split(",") if kind == "data:video/jpeg;base64" else ["file"] * 3
                frames = frames if said == -1 else frames[: self.site.most_frames]
                count += len([opened(frame) for frame in frames])
        return min(count, self.site.most_pictures)

    def reply(self, text: str, usage: dict[str, Any]) -> None:
        told = {"usage": self.site.usage(usage | {"total_tokens": sum(usage.values())})}
        if not self.body.get("stream"):
            message = {"role": "assistant", "content": text}
            self.say(completion([{"index": 0, "message": message, "finish_reason": "stop"}], **told))
            return
        self.begin_stream()
        for piece in text.replace(" ", " \0").split("\0"):
            time.sleep(self.site.piece_s)
            self.piece(piece)
        self.event(chunk([{"index": 0, "delta": {}, "finish_reason": "stop"}]))
        if self.body.get("stream_options", {}).get("include_usage"):
            self.event(chunk([], **told))
        self.wfile.write(b"data: [DONE]\n\n")

    def say(self, content: Any, status: int = 200, kind: str = "application/json", **headers: str) -> None:
        data = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(data)

    def begin_stream(self) -> None:
        """A stream that ends with the connection."""
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Connection", "close")
        self.end_headers()
        self.close_connection = True

    def piece(self, text: str) -> None:
        self.event(chunk([{"index": 0, "delta": {"content": text}, "finish_reason": None}]))

    def event(self, content: Any) -> None:
        self.wfile.write(b"data: " + json.dumps(content).encode() + b"\n\n")
        self.wfile.flush()


def listed(content: Any) -> list[dict[str, Any]]:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def opened(data: str) -> tuple[str | None, tuple[int, int]]:
    """The format and size of a picture, which must be whole."""
    if data == "file":
        return None, (0, 0)
    with Image.open(io.BytesIO(base64.b64decode(data, validate=True))) as picture:
        picture.load()
        return picture.format, picture.size


def completion(choices: list[Any], **more: Any) -> dict[str, Any]:
    return {"id": "1", "object": "chat.completion", "created": 1, "model": "tiny", "choices": choices, **more}


def chunk(choices: list[Any], **more: Any) -> dict[str, Any]:
    return completion(choices, **more) | {"object": "chat.completion.chunk"}


class _Quiet(ThreadingHTTPServer):
    def handle_error(self, *_: object) -> None:
        """Who has asked may have gone."""
        if not isinstance(sys.exc_info()[1], OSError):
            traceback.print_exc()


@contextmanager
def serving() -> Iterator[Server]:
    """Serve on this machine."""
    site = Server()
    server = _Quiet(("127.0.0.1", 0), type("Bound", (Handler,), {"site": site}))
    server.daemon_threads = True
    site.url = f"http://127.0.0.1:{server.server_address[1]}/v1"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield site
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def busy(handler: Handler) -> None:
    handler.say({"error": {"message": "too many requests"}}, 429, Retry_After="0.05")


def fails(handler: Handler) -> None:
    handler.say({"error": {"message": "oops"}}, 500, Retry_After="0.05")


def leaves(handler: Handler) -> None:
    """Answers, and is gone for everybody who comes after."""
    handler.answer()
    handler.site.gone = handler.close_connection = True
    handler.server.shutdown()
    handler.server.server_close()


def hangs_up(handler: Handler) -> None:
    handler.close_connection = True


def cut(handler: Handler) -> None:
    """Breaks off in the middle of a stream."""
    handler.begin_stream()
    handler.piece("1 ")


def cut_before(handler: Handler) -> None:
    """Breaks off before the first word."""
    handler.begin_stream()


def drips(handler: Handler) -> None:
    """Sends something all the time, and never an end."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", "1000000")
    handler.end_headers()
    while True:
        handler.wfile.write(b" ")
        handler.wfile.flush()
        time.sleep(0.02)


def drips_events(handler: Handler) -> None:
    """The same of a stream."""
    handler.begin_stream()
    while True:
        handler.wfile.write(b": not yet\n\n")
        handler.wfile.flush()
        time.sleep(0.02)


def html(handler: Handler) -> None:
    handler.say(b"<html><body>Log in</body></html>", kind="text/html")


def plain(handler: Handler) -> None:
    """A sound answer of the wrong type."""
    handler.say(b"3 pictures", kind="text/plain")


def long_line(handler: Handler) -> None:
    """10 MB in one line."""
    if handler.body.get("stream"):
        handler.begin_stream()
        handler.piece("x" * 10_000_000)
        return
    message = {"role": "assistant", "content": "x" * 10_000_000}
    handler.say(completion([{"index": 0, "message": message, "finish_reason": "stop"}], usage=USAGE))


def endless(handler: Handler) -> None:
    """A body without an end, as fast as it is read."""
    handler.send_response(200)
    handler.send_header("Content-Type", "text/event-stream" if handler.body.get("stream") else "application/json")
    handler.send_header("Connection", "close")
    handler.end_headers()
    handler.close_connection = True
    while True:
        handler.wfile.write(b" " * (1 << 20))


def unfinished(handler: Handler) -> None:
    message = {"role": "assistant", "content": "I"}
    handler.say(completion([{"index": 0, "message": message, "finish_reason": "content_filter"}], usage=USAGE))


def wordless(handler: Handler) -> None:
    message = {"role": "assistant", "content": None, "reasoning_content": "Let me see"}
    handler.say(completion([{"index": 0, "message": message, "finish_reason": "stop"}], usage=USAGE))


def no_choices(handler: Handler) -> None:
    handler.say(completion([], usage=USAGE))


def no_json(handler: Handler) -> None:
    handler.say(b'{"choices": [', kind="application/json")


def other_json(handler: Handler) -> None:
    handler.say([1, {"choices": 3}])


def moved(handler: Handler) -> None:
    """Sends the question elsewhere."""
    handler.say({}, 307, Location="http://127.0.0.1:9/v1/chat/completions")


def repeats_key(handler: Handler) -> None:
    key = handler.headers["Authorization"].removeprefix("Bearer ")
    handler.say({"error": {"message": f"Incorrect API key provided: {key}"}}, 401)
