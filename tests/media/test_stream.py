# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

import errno
import io
import os
from pathlib import Path

import av
import pytest

from llava_cli.media.errors import MediaError
from llava_cli.media.stream import FileBytes, Stream


@pytest.fixture
def content(tmp_path: Path) -> FileBytes:
    (tmp_path / "x").write_bytes(bytes(range(100)))
    return FileBytes(os.open(tmp_path / "x", os.O_RDONLY))


def test_streams_of_the_same_bytes_do_not_move_one_another(content: FileBytes) -> None:
    one, two = Stream(content), Stream(content)
    assert one.read(3) == b"\0\1\2"
    assert two.seek(-2, os.SEEK_END) == 98
    assert one.seek(2, os.SEEK_CUR) == 5
    assert (one.read(1), two.read(10), two.read(10), one.tell()) == (b"\5", b"bc", b"", 6)


def test_before_the_start_is_no_place_and_no_exception(content: FileBytes) -> None:
    stream = Stream(content)
    stream.seek(7)
    assert stream.seek(-8, os.SEEK_CUR) == -errno.EINVAL
    assert stream.tell() == 7


def test_closing_tells_once(content: FileBytes) -> None:
    told: list[None] = []
    stream = Stream(content, lambda: told.append(None))
    stream.close()
    stream.close()
    assert len(told) == 1


class Broken:
    size = 1000

    def read_into(self, buffer: memoryview, offset: int) -> int:
        raise MediaError(f"refused at {offset}")


def test_what_fails_is_told_by_the_decoder_once_and_printed_nowhere(capfd: pytest.CaptureFixture[str]) -> None:
    stream = Stream(Broken())
    with pytest.raises(MediaError, match="refused at 0"):
        av.open(stream)
    assert stream.read(1) == b""
    with pytest.raises(MediaError), io.BufferedReader(Stream(Broken())) as buffered:
        buffered.read(1)
    assert capfd.readouterr() == ("", "")
