# SPDX-License-Identifier: Apache-2.0
"""Files of a data set on the hub are media wherever files are, and lists ask for them only where they may."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from media.hub_server import Hub, serving_hub, used_here

from llava_cli.batch.writers.sidecar import place


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Hub]:
    with serving_hub() as hub, used_here(hub, tmp_path / "cache"):
        yield hub


def test_by_the_environment_alone(as_program, rendered, tmp_path, monkeypatch):
    """HF_ENDPOINT, HF_HOME and HF_HUB_OFFLINE work as everywhere."""
    monkeypatch.setenv("HF_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("HF_HUB_CACHE", raising=False)
    monkeypatch.setenv("HF_HUB_OFFLINE", "0")
    with serving_hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        name = hub.add("clips/h264.mp4", rendered("h264"))
        done = as_program("frames", name, "-m", "demo", "-n", "4", "--json")
        assert done.returncode == 0, done.stderr
        record = json.loads(done.stdout)
        assert record["path"] == name
        assert len(record["frames"]) == 4
        assert f"llava: {name}: downloading 0.0 MB\n" in done.stderr.decode()
        missing = as_program("frames", hub.add("x.mp4", b"").replace("x.mp4", "y.mp4"), "-m", "demo")
        assert (missing.returncode, missing.stdout) == (3, b"")
        assert missing.stderr.decode().splitlines()[-1].endswith("the hub has no such file there")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    again = as_program("frames", name, "-m", "demo", "-n", "4", "--json")
    assert (again.returncode, again.stdout, again.stderr) == (0, done.stdout, b"")
    offline = as_program("ask", name.replace("h264", "other"), "Why?", "-m", "demo", "--json")
    assert offline.returncode == 3
    error = json.loads(offline.stdout)["error"]
    assert error["code"] == "offline"
    assert "HF_HUB_OFFLINE" in error["message"]


@pytest.mark.parametrize("command", ["caption", "batch"])
def test_a_list_asks_the_hub_where_it_is_allowed_and_once(llava, hub, rendered, tiny, tmp_path, command):
    ledger, job = tmp_path / "ledger.jsonl", tmp_path / "list"
    run = [command, *(["--files-from"] if command == "caption" else []), job, "-p", "Why?", "-m", tiny]
    run += ["-o", ledger, "--max-new-tokens", "2", "-n", "4"]
    names = [hub.add("h264.mp4", rendered("h264"))]

    def write() -> None:
        job.write_text(
            "".join(f"{name}\n" if command == "caption" else json.dumps({"media": name}) + "\n" for name in names)
        )

    write()
    refused = llava(*run)
    assert refused.code == 1
    assert f"{names[0]}: is a URL; --allow-urls has lists read them" in refused.err
    assert not hub.requests
    ledger.unlink()
    assert llava(*run, "--allow-urls").code == 0
    record = json.loads(ledger.read_text())
    assert (record["status"], record["media"][0]["path"]) == ("ok", names[0])
    names.append(hub.add("a copy.mp4", rendered("h264")))
    write()
    assert llava(*run, "--allow-urls").code == 0
    assert json.loads(ledger.read_text().splitlines()[1])["same_as"] == record["id"]
    assert hub.downloads == ["h264.mp4"]
    hub.add("h264.mp4", rendered("vp9"))
    assert llava(*run, "--allow-urls").code == 0
    assert hub.downloads == ["h264.mp4"] * 2


def test_in_a_conversation_and_from_python(llava, hub, rendered, tiny, tmp_path):
    import llava_cli

    name = hub.add("h264.mp4", rendered("h264"))
    chat = tmp_path / "chat.json"
    parts = [{"type": "video", "path": name}, {"type": "text", "text": "Why?"}]
    chat.write_text(json.dumps([{"role": "user", "content": parts}]))
    asked = llava("ask", "--conversation", chat, "-m", tiny, "--json", "-n", "4", "--max-new-tokens", "2")
    assert json.loads(asked.out)["media"][0]["path"] == name
    assert llava_cli.frames(name, 4).info.path == name
    limited = llava("frames", hub.add("large.mp4", b"x" * 1000), "-m", tiny, "--max-bytes", "999")
    assert limited.code == 3
    assert "is 1000 bytes long, and 999 may be downloaded; --max-bytes allows more" in limited.err


def test_its_sidecar_is_named_after_it():
    found = place("hf://datasets/someone/clips@v1/a/x.mp4", "txt", Path("out"))
    assert found == Path("out/datasets/someone/clips@v1/a/x.mp4.txt")


def test_no_token_reaches_the_process_that_decodes(hub, rendered, monkeypatch):
    """It is given the file on disk."""
    from llava_cli.media import Sampling, View
    from llava_cli.media.limits import Limits
    from llava_cli.media.worker import parent

    asked = []
    lend = parent.Worker._lent
    monkeypatch.setattr(parent.Worker, "_lent", lambda *args: asked.append(args[2]) or lend(*args))
    name = hub.add("h264.mp4", rendered("h264"))
    with parent.Worker(Limits(urls="public")) as worker:
        worker.load(name, View((48, 48), "crop", Sampling(frames=2)))
    request = json.loads(asked[0])
    assert request["name"] == name
    assert Path(request["path"]).is_absolute()
    assert Path(request["path"]).read_bytes() == rendered("h264").read_bytes()
