# SPDX-License-Identifier: Apache-2.0
"""What man/llava-security.7 says of each threat, row by row. Each test repeats the one that it checks.

More of each is in the tests of the modules; here it is checked from the outside.
"""

from __future__ import annotations

import json
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from engine.remote import fault_server as faults
from media.rendering import remux
from media.spoiling import bad, spoilt, taken_over
from media.web_server import ANY, serving
from pictures import still
from PIL import Image
from promises import noted_in
from safetensors.numpy import load_file, save_file

from llava_cli.engine.remote.endpoint import Endpoint
from llava_cli.engine.remote.engine import RemoteLoader
from llava_cli.engine.types import Query
from llava_cli.errors import InputError, ModelError
from llava_cli.media import Clip, Sampling, View
from llava_cli.media.limits import Limits
from llava_cli.media.worker import parent
from llava_cli.media.worker.parent import Worker
from llava_cli.media.worker.pool import DecodePool
from llava_cli.media.worker.wire import DecoderBug
from llava_cli.models.messages import ask
from llava_cli.models.served import Served

Rendered = Callable[[str], Path]
PAGE = Path(__file__).parents[2] / "man" / "llava-security.7"
VIEW, ALL = View((48, 48), "crop", Sampling()), View((48, 48), "crop", Sampling(frames=1000))
CHECKED: list[str] = []
threat = noted_in(CHECKED)


def test_every_threat_is_checked_and_every_check_is_of_a_threat() -> None:
    table = PAGE.read_text().split(".TS\n")[1].split(".TE\n")[0]
    rows = re.findall(r"^T\{\n(.+?)\nT\}\tT\{\n(.+?)\nT\}\tT\{\n(.+?)\nT\}$", table, re.MULTILINE | re.DOTALL)
    assert [row[0].replace("\\-", "-") for row in rows] == CHECKED


def refused(path: str, message: str, limits: Limits = ANY) -> None:
    with Worker(limits) as worker, pytest.raises(InputError, match=message) as caught:
        worker.load(path, VIEW)
    assert "\n" not in str(caught.value)


@threat("A file takes over the process that decodes it.")
@pytest.mark.parametrize(
    "attempt",
    [
        "open('/etc/passwd')",
        "open('new', 'w')",
        "socket.create_connection(('127.0.0.1', 9))",
        "subprocess.run(['/bin/true'])",
        "os.kill(os.getppid(), 0)",
        "tell('a secret' if 'HF_TOKEN' in os.environ else 'PermissionError')",
    ],
)
def test_taken_over(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempt: str) -> None:
    """What the kernel has of it, `llava doctor` tells; tests/media/worker/test_confinement.py tries everything."""
    monkeypatch.setenv("HF_TOKEN", "secret")
    monkeypatch.chdir(tmp_path)
    taken_over(monkeypatch, attempt)
    with Worker() as worker:
        if not worker.confinement().seccomp and "tell" not in attempt:
            pytest.skip("this kernel has no seccomp, as llava doctor says")
        with pytest.raises(DecoderBug, match="PermissionError"):
            worker.load(rendered("h264"), VIEW)


@threat("A file crashes its decoder, makes it hang, or has it take all memory.")
@pytest.mark.parametrize(
    ("statement", "message"),
    [
        ("os.kill(os.getpid(), signal.SIGSEGV)", "crashed"),
        ("time.sleep(1000)", "--timeout"),
        ("hoard = bytearray(b'x' * (900 << 20)); time.sleep(1000)", "--max-memory"),
    ],
)
def test_crashes(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, statement: str, message: str
) -> None:
    spoilt(monkeypatch, statement)
    with Worker(Limits(timeout=5, max_memory=800 << 20)) as worker:
        with pytest.raises(InputError, match=message):
            worker.load(bad(rendered, tmp_path), VIEW)
        assert isinstance(worker.load(rendered("h264"), VIEW), Clip)


@threat("A small file claims a large picture.")
def test_claims(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    Image.new("1", (4096, 4096)).save(path)
    assert path.stat().st_size < 10_000
    refused(str(path), "--max-pixels", Limits(max_pixels=4096 * 4096 - 1))
    pool = DecodePool(1, Limits(max_memory=500 << 20))
    try:
        with pytest.raises(InputError, match="--max-memory"):
            pool.submit([(str(path), VIEW)] * 11).result(60)
    finally:
        pool.close()


@threat("A playlist or a script is named like a video.")
@pytest.mark.parametrize("text", ["ffconcat version 1.0\nfile {0}\n", "#EXTM3U\n#EXTINF:1,\n{0}\n"])
def test_playlists(rendered: Rendered, tmp_path: Path, text: str) -> None:
    (tmp_path / "x.mp4").write_text(text.format(rendered("h264").name))
    (tmp_path / rendered("h264").name).write_bytes(rendered("h264").read_bytes())
    refused(str(tmp_path / "x.mp4"), "no video or image")


@threat("A damaged picture passes for a whole one.")
@pytest.mark.parametrize("kind", ["video", "jpeg"])
def test_damage(rendered: Rendered, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "x.mp4"
    if kind == "video":
        remux(rendered("h264"), path, lambda i, data: b"\0\0\0\1\x09" + b"\xff" * 20 if 30 <= i < 36 else data)
    else:
        luck = np.random.default_rng(0)
        Image.fromarray(luck.integers(0, 256, (96, 96, 3), np.uint8)).save(path, "JPEG")
        data = bytearray(path.read_bytes())
        data[len(data) // 2 : len(data) // 2 + 200] = luck.bytes(200).replace(b"\xff", b"")
        path.write_bytes(data)
    with Worker() as worker:
        assert any("damaged" in warning for warning in worker.load(path, ALL).info.warnings)


@threat("A URL leads into the network that this machine is in.")
def test_private_addresses(rendered: Rendered) -> None:
    with serving() as site:
        url = site.add("/clip", rendered("h264"))
        refused(url, "no public address; --allow-private-urls", Limits(urls="public"))
        assert not site.requests


@threat("A server lies, never ends, or changes the file on the way.")
def test_servers_that_lie(rendered: Rendered) -> None:
    with serving() as site:
        url = site.add("/clip", rendered("mkv"))
        refused(url, "--max-bytes", Limits(urls="any", max_bytes=1000))
        site.raw = b"\x1b]52;c;aGk=\x07"
        refused(url, "what its server says is not HTTP$")
        site.raw, site.on_request = None, lambda: time.sleep(2)
        refused(url, "--timeout", Limits(urls="any", timeout=0.5))


@threat("A server attacks the process that downloads.")
def test_downloads(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "secret")
    patch = (
        "import os, llava_cli.media.worker.fetcher as f; lend = f.lend\n"
        "attempts = os.fork, lambda: os.kill(os.getppid(), 0), lambda: os.environ['HF_TOKEN']\n"
        "def spoilt(*rest):\n"
        " for attempt in attempts:\n"
        "  try: attempt()\n"
        "  except (PermissionError, KeyError): continue\n"
        "  os._exit(1)\n"
        " lend(*rest)\n"
        "f.lend = spoilt\n"
    )
    before, after = parent.FETCHER.split("from llava_cli.media.worker.fetcher")
    monkeypatch.setattr(parent, "FETCHER", f"{before}\n{patch}\nfrom llava_cli.media.worker.fetcher{after}")
    with serving() as site, Worker(ANY) as worker:
        if not worker.confinement().seccomp:
            pytest.skip("this kernel has no seccomp, as llava doctor says")
        assert isinstance(worker.load(site.add("/clip", rendered("h264")), VIEW), Clip)


@threat("A list of files names URLs, pipes or devices.")
@pytest.mark.parametrize("name", ["https://example.org/x.mp4", "/dev/zero", "/dev/stdin"])
def test_lists(name: str) -> None:
    refused(name, "--allow-urls|not a regular file|is a pipe|is empty", Limits(pipes=False))


@threat("A URL holds a user name or a password.")
@pytest.mark.parametrize("command", ["ask", "caption", "batch", "frames"])
def test_passwords(llava: Callable[..., object], tmp_path: Path, command: str) -> None:
    url, ledger, report = "https://user:secret@127.0.0.1:1/x.mp4", tmp_path / "out.jsonl", tmp_path / "out.html"
    jobs = tmp_path / "jobs.jsonl"
    jobs.write_text(json.dumps({"media": url, "question": "Why?"}) + "\n")
    model, lists = ("--model", "demo"), ("-o", str(ledger), "--report", str(report))
    arguments = {
        "ask": ("ask", url, "Why?", "--json", *model),
        "caption": ("caption", url, "--allow-urls", *lists, *model),
        "batch": ("batch", str(jobs), "--allow-urls", *lists, *model),
        "frames": ("frames", url, "--json", *model),
    }[command]
    done = llava(*arguments)
    said = f"{done.out}{done.err}"  # type: ignore[attr-defined]
    written = "".join(path.read_text() for path in (ledger, report) if path.exists())
    assert "never sent" in said + written
    assert "***@127.0.0.1" in said + written
    assert "secret" not in said + written


def copied(tiny: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny, tmp_path / "checkpoint"))


@threat("A checkpoint brings code, pickles, or links to other files.")
@pytest.mark.parametrize("name", ["weights.bin", "../weights.safetensors", "linked.safetensors"])
def test_other_files(llava, tiny: Path, picture: Path, tmp_path: Path, name: str) -> None:
    """More are in tests/models/test_hostile.py, with a pickle that would tell that it ran."""
    folder = copied(tiny, tmp_path)
    shutil.move(folder / "model.safetensors", tmp_path / "weights.safetensors")
    (folder / "weights.bin").write_bytes(b"no pickle is opened")
    (folder / "linked.safetensors").symlink_to(tmp_path / "weights.safetensors")
    (folder / "model.safetensors.index.json").write_text(json.dumps({"weight_map": {"a": name}}))
    result = llava("ask", picture, "Why?", "-m", folder)
    assert (result.code, result.out, result.err.count("\n")) == (4, "", 1)


@threat("A checkpoint's settings ask for terabytes, or for more code from a hub.")
def test_settings(llava, tiny: Path, picture: Path, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path)
    config = json.loads((folder / "config.json").read_text())
    more = {"attn_implementation": "owner/kernel", "auto_map": {"AutoModel": "owner/code--model.Model"}}
    (folder / "config.json").write_text(json.dumps(config | more))
    question = ("ask", picture, "Why?", "-m", folder, "--max-new-tokens", "2", "-q")
    assert llava(*question).out == llava("ask", picture, "Why?", "-m", tiny, "--max-new-tokens", "2", "-q").out
    for key, value in {"num_hidden_layers": 10**9, "intermediate_size": 10**12}.items():
        huge = config | {"text_config": config["text_config"] | {key: value}}
        (folder / "config.json").write_text(json.dumps(huge))
        result = llava(*question)
        assert (result.code, result.out, result.err.count("\n")) == (4, "", 1)


@threat("A chat template never ends, or grows without bound.")
def test_templates(llava, tiny: Path, picture: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("llava_cli.models.rendering.parent.SECONDS", 2.0)
    result = llava("ask", picture, "Why?", "-m", tiny, "--template", "{{ 'a' * 9000000000 }}", "-q")
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)


@threat("A checkpoint's weights make no sense.")
def test_weights(llava, tiny: Path, picture: Path, tmp_path: Path) -> None:
    folder = copied(tiny, tmp_path)
    weights = {name: np.zeros_like(weight) for name, weight in load_file(folder / "model.safetensors").items()}
    save_file(weights, folder / "model.safetensors", {"format": "pt"})
    result = llava("ask", picture, "Why?", "-m", folder, "-q")
    assert (result.code, result.out, result.err.count("\n")) == (4, "", 1)


@threat(
    "A server that answers (\\fB--endpoint\\fR) sees nothing, talks nonsense, never ends, or sends questions elsewhere."
)
@pytest.mark.parametrize(
    ("fault", "message"),
    [
        (None, "has dropped the media"),
        (faults.html, "is no answer"),
        (faults.drips, "no whole answer within 0.5 seconds"),
        (faults.endless, "larger than 64 MiB"),
        (faults.moved, "HTTP 307"),
        (faults.repeats_key, r"provided: \*\*\*;"),
    ],
)
def test_servers_that_answer(monkeypatch: pytest.MonkeyPatch, fault, message: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    with faults.serving() as server:
        server.faults = [fault] if fault else []
        server.sees = {"image"} if fault else set()
        loader = RemoteLoader(
            Served("tiny"), Endpoint(server.url, retries=0, timeout_s=60 if fault is faults.endless else 0.5)
        )
        try:
            with pytest.raises(ModelError, match=message) as raised:
                loader.load().answer([Query(ask("Why?", [still(9, 7)]))])
        finally:
            loader.close()
    assert "sk-very-secret" not in str(raised.value)
