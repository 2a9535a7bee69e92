# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from media.rendering import remux

from llava_cli.errors import ExitCode, InputError
from llava_cli.media import Sampling, View, load_media
from llava_cli.media.limits import Limits
from llava_cli.media.opening import open_source
from llava_cli.media.source import Source

Rendered = Callable[[str], Path]
Stdin = Callable[[bytes], None]
VIEW = View((48, 48), "crop", Sampling())


@pytest.fixture
def stdin(monkeypatch: pytest.MonkeyPatch) -> Iterator[Stdin]:
    """Have standard input give some bytes."""
    with ExitStack() as opened:

        def give(data: bytes) -> None:
            reading, writing = os.pipe()
            os.write(writing, data)
            os.close(writing)
            monkeypatch.setattr(sys, "stdin", opened.enter_context(os.fdopen(reading)))

        yield give


def fails(path: str | bytes | Path, message: str) -> None:
    with pytest.raises(InputError, match=message) as caught, open_source(path):
        raise AssertionError("opened")
    assert caught.value.exit_code is ExitCode.INPUT
    assert "\n" not in str(caught.value)


def test_a_regular_file_is_used_where_it_lies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "http:x.webm").write_bytes(b"x")
    monkeypatch.chdir(tmp_path)
    with open_source("http:x.webm") as source:
        assert source == Source(str(tmp_path / "http:x.webm"), "http:x.webm")
        with source.open() as file:
            assert file.read() == b"x"


def test_what_cannot_be_opened(tmp_path: Path) -> None:
    (tmp_path / "empty.mp4").touch()
    fails(tmp_path / "none.mp4", "none.mp4: no such file")
    fails(tmp_path, "is a folder; name the files in it")
    fails(tmp_path / "empty.mp4", "is empty")
    fails(tmp_path / "empty.mp4" / "x", "cannot be opened")
    fails("a\0b", "cannot be opened")
    fails("", "the name of a file is empty")
    fails("/dev/zero", "is not a regular file")
    fails("x" * 5000, "cannot be opened")


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read(tmp_path: Path) -> None:
    (tmp_path / "secret.mp4").write_bytes(b"x")
    (tmp_path / "secret.mp4").chmod(0)
    fails(tmp_path / "secret.mp4", "may not be read; check its permissions")


def test_standard_input_becomes_a_file_that_goes_away(stdin: Stdin) -> None:
    stdin(b"abc" * 1000)
    with open_source("-") as source:
        assert source.name == "-"
        assert Path(source.path).read_bytes() == b"abc" * 1000
        path = Path(source.path)
    assert not path.exists()


def test_standard_input_goes_away_after_an_error(stdin: Stdin) -> None:
    stdin(b"abc")
    opened = open_source("-")
    path = Path(opened.__enter__().path)
    assert path.exists()
    assert not opened.__exit__(KeyboardInterrupt, KeyboardInterrupt(), None)
    assert not path.exists()


def test_standard_input_has_a_limit(stdin: Stdin) -> None:
    stdin(b"abcd")
    with open_source("-", Limits(max_bytes=4)):
        pass
    stdin(b"abcde")
    with pytest.raises(InputError, match="gives more than 4 bytes; --max-bytes"), open_source("-", Limits(max_bytes=4)):
        pass


def test_no_standard_input(stdin: Stdin, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(b"")
    fails("-", "standard input is empty")
    monkeypatch.setattr(sys, "stdin", None)
    fails("-", "standard input is closed")


def test_a_full_disk_is_said(stdin: Stdin, monkeypatch: pytest.MonkeyPatch) -> None:
    stdin(b"abc")
    monkeypatch.setattr(tempfile, "NamedTemporaryFile", lambda **_: open("/dev/full", "wb"))  # noqa: PTH123, SIM115
    fails("-", "standard input cannot be copied to .*: No space left on device")


def test_a_pipe_is_copied(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.mp4"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(b"moov",))
    writer.start()
    with open_source(pipe) as source:
        assert source.name == str(pipe)
        assert Path(source.path).read_bytes() == b"moov"
    writer.join()


def test_only_slashes_make_a_url(rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    remux(rendered("h264"), tmp_path / "http:x.mp4", lambda i, data: data)
    assert load_media("http:x.mp4", VIEW).info.path == "http:x.mp4"
    with pytest.raises(InputError, match="no such file; of URLs, http, https and hf are read"):
        load_media("ftp://x/y.mp4", VIEW)


def test_what_is_read_once_can_be_decoded_often(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_bytes, args=(rendered("h264").read_bytes(),))
    writer.start()
    with rendered("h264").open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        for name in ("-", str(pipe)):
            with open_source(name) as source:
                infos = [load_media(source, VIEW).info for _ in range(2)]
                with open_source(source, Limits(pipes=False)) as again:
                    assert again is source
                assert Path(source.path).exists(), "it is its first opener's to close"
            assert {info.path for info in infos} == {name}
    writer.join()


def test_who_waits_for_standard_input_does_not_keep_the_program_from_ending() -> None:
    code = (
        "import threading, time; from llava_cli.media.opening import open_source\n"
        "threading.Thread(target=open_source('-').__enter__, daemon=True).start(); time.sleep(0.3)\n"
    )
    command = [sys.executable, "-c", code]
    reading, writing = os.pipe()
    with os.fdopen(reading), os.fdopen(writing):
        done = subprocess.run(command, stdin=reading, capture_output=True, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
