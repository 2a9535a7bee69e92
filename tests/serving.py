# SPDX-License-Identifier: Apache-2.0
"""`transformers serve` as a program of its own."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.error import URLError
from urllib.request import ProxyHandler, build_opener

_START_S = 120.0
_PROCESSOR = {
    "processor_class": "LlavaProcessor", "patch_size": 14, "vision_feature_select_strategy": "full",
    "num_additional_image_tokens": 0, "image_token": "<image>",
}  # fmt: skip
"""What released checkpoints of this family have too, and llava has no need of."""


@dataclass(frozen=True)
class TransformersServer:
    """Where it is, and what it has."""

    url: str
    model: str
    """Its folder, which is the server's name for it too."""


@contextmanager
def transformers(checkpoint: Path) -> Iterator[TransformersServer]:
    """Serve a copy of an interleave checkpoint, which samples unless it is told not to."""
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "tiny"
        shutil.copytree(checkpoint, folder)
        (folder / "processor_config.json").write_text(json.dumps(_PROCESSOR))
        generation = json.loads((folder / "generation_config.json").read_text())
        (folder / "generation_config.json").write_text(json.dumps(generation | {"do_sample": True}))
        port = _free_port()
        program = "import sys; from transformers.cli.transformers import main; sys.exit(main())"
        arguments = ["serve", folder, "--host", "127.0.0.1", "--port", port, "--device", "cpu", "--dtype", "float32"]
        command = [sys.executable, "-c", program, *map(str, arguments)]
        environment = os.environ | {"HF_HOME": home, "HF_HUB_OFFLINE": "1"}
        with (Path(home) / "log").open("wb") as log:
            server = subprocess.Popen(command, env=environment, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        try:
            _wait(f"http://127.0.0.1:{port}/health", server, Path(home) / "log")
            yield TransformersServer(f"http://127.0.0.1:{port}/v1", str(folder))
        finally:
            server.terminate()
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _wait(url: str, server: subprocess.Popen[bytes], log: Path) -> None:
    open_url = build_opener(ProxyHandler({})).open
    end = time.monotonic() + _START_S
    while time.monotonic() < end and server.poll() is None:
        try:
            with open_url(url, timeout=5):
                return
        except (URLError, OSError):
            time.sleep(0.2)
    raise RuntimeError(f"transformers serve does not start: {log.read_text()[-2000:]}")
