# SPDX-License-Identifier: Apache-2.0
"""`llava doctor`: tells what is there, what is wrong, and what to do."""

from __future__ import annotations


def test_everything_is_told(report):
    code, checks = report("--no-self-test")
    assert code == 0
    assert set(checks) >= {
        "versions",
        "cpu",
        "PyAV",
        "OpenCV",
        "--4bit, --8bit",
        "--attention",
        "cache",
        "configuration",
    }
    assert "h264" in checks["PyAV"]["detail"]
    assert "hub" not in checks  # the network is asked only when the user asks
