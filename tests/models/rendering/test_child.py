# SPDX-License-Identifier: Apache-2.0
"""What the process that renders says to requests, line by line, and what it is made of."""

from __future__ import annotations

import json
import subprocess
import sys

from llava_cli.models.rendering.parent import _PROGRAM, READY


def said_to(*requests: dict[str, object], before: str = "") -> list[bytes]:
    lines = "".join(json.dumps({"seconds": 10, "variables": {}} | request) + "\n" for request in requests)
    program = [sys.executable, "-I", "-c", before + _PROGRAM, *sys.path]
    return subprocess.run(
        program, input=lines.encode(), capture_output=True, check=True, timeout=120
    ).stdout.splitlines()


def test_it_answers_each_request_with_a_line():
    ready, *answers = said_to(
        {"template": "{{ a }}\n{{ a }}", "variables": {"a": "é"}},
        {"template": "{{ a }}", "variables": None},
        {"template": "\n{{ a.b.c }}"},
        {"template": "{% if %}"},
        {"template": "{{ 'a' * 2000000000 }}"},
    )
    assert ready + b"\n" == READY
    whole, compiled, failed, broken, costly = map(json.loads, answers)
    assert (whole, compiled) == ({"text": "é\né"}, {"text": ""})
    assert (failed["line"], "costly" in failed) == (2, False)
    assert (broken["line"], broken["error"][:8]) == (1, "Expected")
    assert costly["costly"]


def test_it_imports_nothing_heavy():
    """It is started by each program, and what it does not know nobody can misuse."""
    heavy = ("torch", "transformers", "numpy", "PIL", "av", "huggingface_hub", "tokenizers")
    show = (
        "import sys; from llava_cli.models.rendering.environment import _environment as e; "
        f"e().globals['seen'] = lambda: [name for name in {heavy} if name in sys.modules]; "
    )
    path = "import sys; sys.path[:] = sys.argv[1:]; "
    assert json.loads(said_to({"template": "{{ seen() }}"}, before=path + show)[1]) == {"text": "[]"}


def test_a_request_that_outlives_its_parent_is_ended_by_the_system():
    endless = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
    line = json.dumps({"template": endless, "variables": {}, "seconds": 0}) + "\n"
    program = [sys.executable, "-I", "-c", _PROGRAM, *sys.path]
    done = subprocess.run(program, input=line.encode(), capture_output=True, timeout=120)
    assert done.returncode < 0
