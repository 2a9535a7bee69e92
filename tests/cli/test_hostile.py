# SPDX-License-Identifier: Apache-2.0
"""What a user sees of limits, crashes and URLs: an exit code, and one line that says what to do."""

from __future__ import annotations

import io
import json
import stat

import pytest
from media.spoiling import bad, spoilt
from media.web_server import serving

COMMANDS = {"ask": ["Why?"], "chat": [], "frames": [], "caption": []}
"""The commands that read files within limits, and what each takes besides the file."""
SOME_FAILED = {"caption"}
"""Commands that tell failures in records, and go on."""


def code(command: str) -> int:
    """The exit code where the only file cannot be read."""
    return 1 if command in SOME_FAILED else 3


def test_a_decoder_that_crashes_is_exit_code_3(llava, rendered, tiny, tmp_path, monkeypatch):
    spoilt(monkeypatch, "os.kill(os.getpid(), signal.SIGSEGV)")
    path = bad(rendered, tmp_path)
    result = llava("ask", path, "Why?", "-m", tiny, "--json")
    assert result.code == 3
    assert result.err == f"llava: the decoder crashed on {path} (SIGSEGV): it is damaged, or hostile\n"
    record = json.loads(result.out)
    assert (record["status"], record["error"]["code"]) == ("error", "decoder_crashed")


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("statement", "option", "value", "message"),
    [
        ("time.sleep(1000)", "--timeout", "0.5", "not decoded within 0.5 seconds; --timeout allows more"),
        (
            "hoard = bytearray(b'x' * (600 << 20)); time.sleep(1000)", "--max-memory", "500M",
            "takes more memory to decode than is allowed; --max-memory allows more",
        ),
    ],
)  # fmt: skip
def test_a_decoder_that_takes_too_much_is_ended(
    llava, rendered, tiny, tmp_path, monkeypatch, command, statement, option, value, message
):
    spoilt(monkeypatch, statement)
    result = llava(command, bad(rendered, tmp_path), *COMMANDS[command], "-m", tiny, option, value)
    assert result.code == code(command)
    assert message in result.err


@pytest.mark.parametrize("command", COMMANDS)
@pytest.mark.parametrize(
    ("name", "option", "value"), [("h264", "--max-pixels", "3071"), ("annex_b", "--max-walk", "59")]
)
def test_a_limit_is_named_with_its_option(llava, rendered, tiny, command, name, option, value):
    result = llava(command, rendered(name), *COMMANDS[command], "-m", tiny, option, value)
    assert result.code == code(command)
    assert value in result.err
    assert f"{option} allows more" in result.err


@pytest.mark.parametrize("command", ["ask", "frames"])
def test_the_limit_on_standard_input(as_program, rendered, tiny, command):
    with rendered("h264").open("rb") as stream:
        done = as_program(command, "-", *COMMANDS[command], "-m", tiny, "--max-bytes", "1K", stdin=stream)
    assert done.returncode == 3
    assert b"standard input gives more than 1024 bytes; --max-bytes allows more" in done.stderr


@pytest.mark.parametrize(
    "options",
    [
        ("--max-bytes", "0"), ("--max-bytes", "-1"), ("--max-bytes", "many"), ("--max-bytes", "1e9"),
        ("--max-pixels", "0"), ("--max-pixels", "nan"), ("--max-walk", "-1"), ("--timeout", "0"), ("--timeout", "nan"),
        ("--timeout", "inf"), ("--timeout", "-1"), ("--max-memory", "0"), ("--max-memory", "half"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("command", COMMANDS)
def test_limits_that_make_no_sense_are_usage_errors(llava, rendered, tiny, command, options):
    result = llava(command, rendered("h264"), *COMMANDS[command], "-m", tiny, *options)
    assert (result.code, result.out) == (2, "")


def test_a_url_is_media_where_its_address_may_be_read(llava, rendered, tiny):
    with serving() as site:
        url = site.add("/clip.mp4", rendered("h264"))
        options = ("Why?", "-m", tiny, "--json", "-n", "4", "--max-new-tokens", "2")
        refused = llava("ask", url, *options)
        assert refused.code == 3
        assert "is no public address; --allow-private-urls allows that" in refused.err
        assert not site.requests
        record = json.loads(llava("ask", url, *options, "--allow-private-urls").out)
    assert record["media"][0]["path"] == url
    assert [frame["index"] for frame in record["media"][0]["frames"]] == [0, 25, 50, 75]


@pytest.mark.parametrize("command", ["chat", "frames"])
def test_other_commands_read_urls_alike(llava, rendered, tiny, monkeypatch, command):
    monkeypatch.setattr("sys.stdin", io.StringIO("/frames\n"))
    with serving() as site:
        url = site.add("/clip.mp4", rendered("h264"))
        options = (url, "-m", tiny, "-n", "4")
        refused = llava(command, *options)
        assert refused.code == 3
        assert "is no public address; --allow-private-urls allows that" in refused.err
        assert not site.requests
        allowed = llava(command, *options, "--allow-private-urls")
    assert allowed.code == 0, allowed.err
    assert [line.split()[0] for line in allowed.out.splitlines()[-4:]] == ["0", "25", "50", "75"]


def test_a_url_in_a_conversation_is_read_only_where_its_address_may_be(llava, rendered, tiny, tmp_path):
    """A conversation file may come from anyone."""
    chat = tmp_path / "chat.json"
    with serving() as site:
        url = site.add("/clip.mp4", rendered("h264"))
        parts = [{"type": "video", "path": url}, {"type": "text", "text": "Why?"}]
        chat.write_text(json.dumps([{"role": "user", "content": parts}]))
        options = ("--conversation", chat, "-m", tiny, "--json", "-n", "4", "--max-new-tokens", "2")
        refused = llava("ask", *options)
        assert refused.code == 3
        assert f"{url}: is not read" in refused.err
        assert not site.requests
        record = json.loads(llava("ask", *options, "--allow-private-urls").out)
    assert record["media"][0]["path"] == url


@pytest.mark.parametrize("command", ["caption", "batch"])
def test_a_list_has_urls_read_only_where_that_is_allowed(llava, rendered, tiny, tmp_path, command):
    ledger, job = tmp_path / "ledger.jsonl", tmp_path / "list"
    run = [command, *(["--files-from"] if command == "caption" else []), job, "-p", "Why?", "-m", tiny]
    run += ["-o", ledger, "--max-new-tokens", "2", "-n", "4"]
    with serving() as site:
        url = site.add("/clip.mp4", rendered("h264"))
        job.write_text(f"{url}\n" if command == "caption" else json.dumps({"media": url}) + "\n")
        refused = llava(*run)
        assert refused.code == 1
        assert f"{url}: is a URL; --allow-urls has lists read them" in refused.err
        refused = llava(*run, "--retry-failed", "--allow-urls")
        assert refused.code == 1
        assert "is no public address; --allow-private-urls allows that" in refused.err
        assert not site.requests
        assert llava(*run, "--retry-failed", "--allow-urls", "--allow-private-urls").code == 0
        asked = len(site.requests)
        assert asked
        assert llava(*run, "--allow-urls", "--allow-private-urls").code == 0
        assert len(site.requests) == asked, "what is done is not asked for again"
    record = json.loads(ledger.read_text().splitlines()[-1])
    assert (record["status"], record["media"][0]["path"]) == ("ok", url)
    assert [frame["index"] for frame in record["media"][0]["frames"]] == [0, 25, 50, 75]


def test_private_urls_in_lists_need_both_options(llava, rendered, tiny):
    result = llava("caption", rendered("h264"), "-m", tiny, "--allow-private-urls")
    assert (result.code, result.out) == (2, "")
    assert "--allow-private-urls needs --allow-urls" in result.err


def test_sidecars_of_urls_stay_in_their_folder(llava, rendered, tiny, tmp_path, monkeypatch):
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    with serving() as site:
        host = site.url.removeprefix("http://").replace(":", "%3A")
        urls = [site.add(path, rendered("h264")) for path in ("/a/clip.mp4", "/../../../b.mp4", "/..%2f..%2fc.mp4")]
        options = ["--allow-urls", "--allow-private-urls", "-m", tiny, "--max-new-tokens", "2", "--sidecar", "txt"]
        assert llava("caption", *urls, *options, "--output-dir", "out").code == 0
    found = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if path.is_file()}
    names = ["a/clip.mp4.txt", "%2E./%2E./%2E./b.mp4.txt", "%2E.%252f..%252fc.mp4.txt"]
    assert found == {f"here/out/{host}/{name}" for name in names}


def test_a_warning_about_a_file_carries_no_control_sequences(llava, tiny, tmp_path):
    path = tmp_path / "x\x1b]52;c;aGk=\x07\x9b31m.mp4"
    path.write_bytes(b"x" * 100)
    result = llava("ask", path, "Why?", "-m", tiny)
    assert result.code == 3
    assert not any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in result.err.rstrip("\n"))


@pytest.mark.parametrize("options", [("a\udcff",), ("Why?", "--system", "\ud83d")])
def test_a_text_that_is_no_text_is_one_line(llava, rendered, tiny, options):
    result = llava("ask", rendered("h264"), *options, "-m", tiny, "--json")
    assert result.code == 2
    assert "is not valid Unicode text" in result.err
    assert json.loads(result.out)["error"]["code"] == "usage"


def test_a_chat_without_standard_input_is_one_line(llava, rendered, tiny, monkeypatch):
    monkeypatch.setattr("sys.stdin", None)
    result = llava("chat", rendered("h264"), "-m", tiny)
    assert (result.code, result.out) == (2, "")
    assert "standard input is closed" in result.err


def test_folders_of_our_own_are_private(llava, rendered, tiny, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))

    def explode(**_: object) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr("llava_cli.session.open_family", explode)
    assert llava("ask", rendered("h264"), "Why?", "-m", tiny).code == 70
    assert stat.S_IMODE((tmp_path / "state" / "llava").stat().st_mode) == 0o700
