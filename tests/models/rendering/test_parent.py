# SPDX-License-Identifier: Apache-2.0
"""Templates are rendered elsewhere, for so long and in so much memory; whatever they do, the next one is rendered."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from llava_cli.models.rendering import parent
from llava_cli.models.rendering.parent import NotStarted, Renderer, TemplateFailed, TooCostly

ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
DOUBLING = "{% set ns = namespace(x='abcdefgh') %}{% for i in range(60) %}{% set ns.x = ns.x + ns.x %}{% endfor %}"


@pytest.fixture
def renderer() -> Iterator[Renderer]:
    own = Renderer()
    yield own
    own.close()


def test_one_process_renders_all(renderer):
    assert renderer.ask("{{ a }}", {"a": "\ue000é\ud83d"}) == "\ue000é\ud83d"
    process = renderer._process
    assert renderer.ask("{{ a.b }}{{ c }}", {"a": {"b": 1}, "c": None}) == "1None"
    assert renderer.ask("{{ nothing.here }}", None) == "", "only compiled"
    assert renderer._process is process


@pytest.mark.parametrize(
    ("template", "told"),
    [
        (ENDLESS, "takes more than 1 seconds"),
        ("{{ 9 ** (9 ** 9) }}", "takes more than 1 seconds|too much memory"),
        ("{{ 'a' * 10000000000 }}", "takes too much memory"),
        ("{{ 'a' * 20000000 }}", "writes more than"),
        (DOUBLING, "takes too much memory|takes more than"),
        ("{% macro f(x) %}{{ f(x) }}{% endmacro %}{{ f(1) }}", "too much memory|takes more than"),
        ("{{ " + "(" * 5000 + "1" + ")" * 5000 + " }}", "too much memory"),
        ("x" * 2_000_000, "has more than 1048576 characters"),
    ],
)
def test_a_template_that_takes_too_much_is_ended_and_the_next_is_rendered(renderer, monkeypatch, template, told):
    monkeypatch.setattr(parent, "SECONDS", 1.0)
    renderer.ask("", {})
    with pytest.raises(TooCostly, match=told):
        renderer.ask(template, {})
    assert renderer.ask("{{ a }}", {"a": "b"}) == "b"


def test_a_template_that_took_too_much_is_not_tried_again(renderer, monkeypatch):
    monkeypatch.setattr(parent, "SECONDS", 1.0)
    with pytest.raises(TooCostly):
        renderer.ask(ENDLESS, {})
    monkeypatch.setattr(renderer, "_asked", None)
    with pytest.raises(TooCostly, match="takes more than 1 seconds"):
        renderer.ask(ENDLESS, {"a": 1})


def test_a_process_that_dies_costs_one_template(renderer, monkeypatch):
    renderer.ask("", {})
    renderer._process.kill()
    renderer._process.wait()
    assert renderer.ask("{{ 1 }}", {}) == "1"
    answered = parent._line
    monkeypatch.setattr(parent, "_line", lambda process, seconds: process.kill() or answered(process, seconds))
    with pytest.raises(TooCostly, match="crashes"):  # it must not be done before it is killed
        renderer.ask("{% for i in range(9999) %}{% for j in range(9999) %}{% endfor %}{% endfor %}", {})


@pytest.mark.parametrize(
    ("template", "line", "told"),
    [
        ("\n\n{{ raise_exception('no') }}", 3, "^no$"),
        ("\n{% if %}", 2, "Expected an expression"),
        ("{{ x }}{% break %}", None, "'break' outside loop"),
        ("{{ raise_exception('x' * 1000000) }}", 1, "^x{300}$"),
    ],
)
def test_a_template_that_fails_is_told_with_its_line(renderer, template, line, told):
    with pytest.raises(TemplateFailed, match=told) as failure:
        renderer.ask(template, {})
    assert (failure.value.line, type(failure.value)) == (line, TemplateFailed)


def test_the_process_is_told_no_secrets(renderer, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "secret")
    spoil(
        monkeypatch,
        "import os; from llava_cli.models.rendering.environment import _environment as e; "
        "e().globals['seen'] = lambda: sorted(os.environ); ",
    )
    assert "HF_TOKEN" not in renderer.ask("{{ seen() }}", {})


@pytest.mark.parametrize(
    "attempt",
    ["open('/etc/passwd')", "open('/tmp/llava-written', 'w')", "__import__('socket').socket()",
     "__import__('subprocess').run(['true'])", "__import__('http.client')"],
)  # fmt: skip
def test_the_process_can_open_nothing(renderer, monkeypatch, attempt):
    """Should a template find its way out of Jinja's sandbox."""
    spoil(
        monkeypatch,
        "import socket, subprocess; from llava_cli.models.rendering.environment import _environment as e; "
        f"e().globals['escape'] = lambda: {attempt}; ",
    )
    with pytest.raises(TemplateFailed, match=r"Too many open files|No module named"):
        renderer.ask("{{ escape() }}", {})


def test_no_process_is_told(renderer, monkeypatch):
    monkeypatch.setattr(parent, "_PROGRAM", "raise SystemExit")
    with pytest.raises(NotStarted, match="does not start"):
        renderer.ask("", {})
    monkeypatch.setattr("sys.executable", "/nowhere/python")
    with pytest.raises(NotStarted, match="No such file"):
        renderer.ask("", {})


def test_threads_share_it(renderer):
    said: dict[int, str] = {}
    threads = [
        threading.Thread(target=lambda n=n: said.update({n: renderer.ask("{{ n }}" * 100, {"n": n})})) for n in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert said == {n: str(n) * 100 for n in range(8)}


def test_it_ends_with_its_parent(renderer):
    renderer.ask("", {})
    process = renderer._process
    process.stdin.close()
    assert process.wait(timeout=20) == 0


def spoil(monkeypatch: pytest.MonkeyPatch, statements: str) -> None:
    """Have the process run something before it serves."""
    before, after = parent._PROGRAM.split("from llava_cli")
    monkeypatch.setattr(parent, "_PROGRAM", f"{before}{statements}from llava_cli{after}")
