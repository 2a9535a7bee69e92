# SPDX-License-Identifier: Apache-2.0
"""The first signal asks, the second does not."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

import pytest

from llava_cli.batch.stop import deferred_signals
from llava_cli.errors import Terminated


@pytest.mark.parametrize(("number", "error"), [(signal.SIGINT, KeyboardInterrupt), (signal.SIGTERM, Terminated)])
def test_the_first_signal_only_asks(number, error):
    before = signal.getsignal(number)
    said = []
    with deferred_signals(lambda: said.append("stopping")) as stop:
        assert not stop.wanted
        stop.check()
        os.kill(os.getpid(), number)
        assert stop.wanted
        assert said == ["stopping"]
        with pytest.raises(error):
            stop.check()
    assert signal.getsignal(number) is before


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_the_second_ends_at_once(number, code):
    program = (
        "import os, signal, sys, time; from llava_cli.batch.stop import deferred_signals\n"
        "with deferred_signals(lambda: None):\n"
        "    os.kill(os.getpid(), signal.SIGTERM); os.kill(os.getpid(), int(sys.argv[1])); time.sleep(30)\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(int(number))], timeout=20).returncode == code


def test_the_notice_goes_out_though_stderr_is_in_the_middle_of_a_write():
    """A handler that wrote through the same buffer would raise: buffers are not to be entered twice."""
    program = (
        "import os, signal, sys; from llava_cli.batch.stop import deferred_signals\n"
        "with deferred_signals() as stop:\n"
        "    sys.stderr.write('half a line, ')\n"
        "    os.kill(os.getpid(), signal.SIGINT); assert stop.wanted\n"
        "    sys.stderr = None\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20)
    assert (done.returncode, done.stderr.count(b"stopping after what is in hand")) == (0, 1)


def test_the_notice_goes_out_while_a_library_is_kept_silent():
    program = (
        "import os, signal; from llava_cli.batch.stop import deferred_signals\n"
        "with deferred_signals() as stop:\n"
        "    os.dup2(os.open(os.devnull, os.O_WRONLY), 2)\n"
        "    os.kill(os.getpid(), signal.SIGINT); assert stop.wanted\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, timeout=20)
    assert (done.returncode, done.stderr.count(b"stopping after what is in hand")) == (0, 1)
