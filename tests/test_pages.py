# SPDX-License-Identifier: Apache-2.0
"""Man pages and completions: as the commands are now, accepted by the programs that read them, and in the wheel."""

from __future__ import annotations

import ast
import os
import pty
import re
import shutil
import subprocess
import sys
import time
import tomllib
from pathlib import Path
from typing import Any

import pytest
from answers import MODEL, answered, completion
from batch.stub import run

from llava_cli.answer import Answer, Prepared
from llava_cli.batch.jobs import items_of
from llava_cli.captions import Wording
from llava_cli.cues import Cue
from llava_cli.engine.scores import ScoredChoice, ScoredToken
from llava_cli.engine.types import SHAPES, Constraint, Query
from llava_cli.errors import InputError
from llava_cli.media.windows import Window
from llava_cli.models.messages import Message, ask
from llava_cli.models.prompt import Prompt
from llava_cli.preface import Summary
from llava_cli.record import answer_record, error_record
from llava_cli.request import Request
from man import make
from man.record import ERROR_CODES, KEYS, LIST_KEYS

GENERATED = (".1", ".5", ".bash", ".fish", "")
ROOT = Path(__file__).parents[1]
PAGES = sorted(path for path in (ROOT / "man").iterdir() if re.fullmatch(r"\.[1-8]", path.suffix))


def needs(program: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(shutil.which(program) is None, reason=f"{program} is not installed")


@pytest.mark.parametrize(("folder", "made"), [("man", make.pages), ("completions", make.completions)])
def test_they_are_not_stale(folder, made):
    kept = {
        path.name: path.read_text("utf-8")
        for path in (ROOT / folder).iterdir()
        if path.is_file() and (path.suffix in GENERATED or path.name == "llava-scale.7")
    }
    assert kept == made(), "run: python -m man.make"


def test_all_of_them_go_where_shells_and_man_look():
    shared = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["hatch"]["build"]["targets"]["wheel"]
    assert shared["shared-data"] == {
        "completions/llava.bash": "share/bash-completion/completions/llava",
        "completions/_llava": "share/zsh/site-functions/_llava",
        "completions/llava.fish": "share/fish/vendor_completions.d/llava.fish",
    } | {f"man/{page.name}": f"share/man/man{page.suffix[1:]}/{page.name}" for page in PAGES}


@needs("groff")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_groff_has_nothing_to_say_about_a_page(page):
    """It ends with 0 even when it warns."""
    done = subprocess.run(["groff", "-man", "-Tutf8", "-ww", "-z", page], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@needs("lexgrog")
@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_apropos_finds_a_page(page):
    done = subprocess.run(["lexgrog", page], capture_output=True, text=True)
    assert f'"{page.stem} - ' in done.stdout


@needs("man")
@needs("groff")
def test_a_page_as_it_is_read():
    done = subprocess.run(
        ["man", "-l", ROOT / "man" / "llava-ask.1"],
        capture_output=True,
        text=True,
        env=os.environ | {"MANWIDTH": "200"},
    )
    plain = subprocess.run(["col", "-b"], input=done.stdout, capture_output=True, text=True).stdout
    assert 'llava ask video.mp4 "why is this funny?"' in plain
    assert "--max-new-tokens N" in plain
    assert "'uniform' takes frames at i * total / N" in plain


def test_the_record_s_page_tells_every_key():
    """Records of answers, of failures and of lists, one of them with a history."""
    history = (Message("user", ("Hello",)),)
    name = b"bad\xff".decode("utf-8", "surrogateescape")
    error = error_record(InputError("no such file"), Request("Why?", history=history).asked(), [name])
    job = {"media": "a.mp4", "question": "Why?", "answer": "of the list", "label": "x"}
    listed = run(items_of([job, job | {"id": 2}, {"media": "bad.mp4", "question": "Why?"}, {"media": []}])).records
    prompt = Prompt([1, 1, 2], (), (), 0, "Why?", "user")
    done = completion(
        media=(), visual_tokens=(), ids=(5,), tokens=(ScoredToken(5, " a", -0.5, (ScoredToken(5, " a", -0.5),)),)
    )
    whole = answer_record(Request("Why?", logprobs=1).asked(), [], done, MODEL, 0.5, prompt=prompt)
    chosen = answered(choices=(ScoredChoice("yes", 1.0, -0.5, 2),), asked={"choices": ("yes", "no")})
    told = {key for key, _ in (*KEYS, *LIST_KEYS)} - {"(others)"}
    along = along_the_time()
    shapes = [answered(asked={"constraint": Constraint(kind, "x")}) for kind in SHAPES]
    parsed = answer_record(Request("Why?").asked(), [], done, MODEL, 0.5, parsed={"parsed": 7})
    found = set().union(*map(keys, [answered(), error, whole, parsed, chosen, *shapes, *listed, along])) | {
        "memory",
        "model.device_map",
        "model.worker",
        "model.endpoint",
        "model.server",
        "model.sent",
    }
    assert found - {"model", "media", "label"} == told  # null or empty in an error; the list's own
    assert {key for record in listed for key in record} >= {key for key, _ in LIST_KEYS} - {"(others)"}


def along_the_time() -> dict[str, Any]:
    """A record with all that may be said of windows, though no record says all of it."""
    cue = Cue(0.0, 1.0, "Hello")
    request = Request(
        "Why?", window=Window(1, 2, 0.0, 5.0), title=True, context=(cue,), summary=Summary("a.mp4", (cue,), ("1",)),
        retry_loops=True, wording=Wording(max_sentences=1),
    )  # fmt: skip
    done = completion(media=(), visual_tokens=(), text="on and on " * 20)
    return Answer(Prepared(request, (), Query(ask("Why?", [])), 0.0), done, MODEL).record()


def test_the_record_s_page_tells_every_code_of_an_error():
    assert {code for code, _ in ERROR_CODES} == codes_of_errors()


def codes_of_errors() -> set[str]:
    """Those that the program's source gives to errors: as a class's own, or to a single one."""
    found = set()
    for path in (ROOT / "llava_cli").rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_bytes())):
            given = [node] if isinstance(node, ast.keyword) and node.arg == "code" else []
            if isinstance(node, ast.ClassDef):
                given = [one for one in node.body if isinstance(one, ast.Assign) and one.targets[0].id == "code"]
            found |= {one.value.value for one in given if isinstance(one.value, ast.Constant)}
    return found - {"error"}  # the base class's, which nothing is raised as


def keys(value: Any, path: str = "") -> set[str]:
    """The paths of all keys; some are told with those that they are below."""
    if path in ("media[].sampling", "memory", "versions", "choice", "messages", "job") or not isinstance(
        value, dict | list
    ):
        return {path}
    if isinstance(value, list):
        below = [keys(entry, f"{path}[]") for entry in value]
        return set().union(*below) if below and isinstance(value[0], dict) else {path}
    below = [keys(entry, f"{path}.{key}" if path else key) for key, entry in value.items()]
    return set().union(*below)


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> str:
    """A PATH on which `llava` is this program."""
    folder = tmp_path_factory.mktemp("bin")
    program = folder / "llava"
    program.write_text(f'#!/bin/sh\nPYTHONPATH="{ROOT}" exec "{sys.executable}" -m llava_cli "$@"\n')
    program.chmod(0o755)
    return f"{folder}{os.pathsep}{os.environ['PATH']}"


@pytest.mark.parametrize(("shell", "script"), [("bash", "llava.bash"), ("zsh", "_llava"), ("fish", "llava.fish")])
def test_shells_parse_the_scripts(shell, script):
    if shutil.which(shell) is None:
        pytest.skip(f"{shell} is not installed")
    done = subprocess.run([shell, "-n", ROOT / "completions" / script], capture_output=True, text=True)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


CASES = [
    (["fra"], {"frames"}),
    (["models", ""], {"show", "pull"}),
    (["ask", "--max-n"], {"--max-new-tokens"}),
    (["ask", "--model", "onevision-0"], {"onevision-0.5b"}),
    (["ask", "--device", "cp"], {"cpu"}),
]
JOINED = ["ask", "--model=onevision-0"]
"""An option and its value in one word: bash completes the value, fish the word."""


@needs("bash")
@pytest.mark.parametrize(("words", "offered"), [*CASES, (JOINED, {"onevision-0.5b"})])
def test_bash_completes(path, words, offered):
    typed = " ".join(["llava", *words])
    program = (
        f"source completions/llava.bash; COMP_LINE='{typed} beyond'; COMP_POINT={len(typed)}; "
        '_llava_completion llava; printf "%s\\n" "${COMPREPLY[@]}"'
    )
    done = subprocess.run(
        ["bash", "--norc", "-c", program], cwd=ROOT, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )
    assert set(done.stdout.split()) == offered
    assert done.stderr == ""


@needs("fish")
@pytest.mark.parametrize(("words", "offered"), [*CASES, (JOINED, {"--model=onevision-0.5b"})])
def test_fish_completes(path, words, offered, tmp_path):
    program = f"source completions/llava.fish; complete -C '{' '.join(['llava', *words])}'"
    done = subprocess.run(
        ["fish", "--no-config", "-c", program],
        cwd=ROOT, env=os.environ | {"PATH": path, "HOME": str(tmp_path)}, capture_output=True, text=True,
    )  # fmt: skip
    assert {line.split("\t")[0] for line in done.stdout.splitlines()} == offered


@needs("zsh")
def test_zsh_completes_at_the_first_tab_and_the_next(path, tmp_path):
    """As installed: a file on fpath that is loaded when it is first needed."""
    site = tmp_path / "site-functions"
    site.mkdir()
    shutil.copy(ROOT / "completions" / "_llava", site)
    master, slave = pty.openpty()
    shell = subprocess.Popen(
        ["zsh", "-f", "-i"], stdin=slave, stdout=slave, stderr=slave, start_new_session=True, cwd=tmp_path,
        env=os.environ | {"PATH": path, "TERM": "dumb", "PS1": "ready> ", "HOME": str(tmp_path)},
    )  # fmt: skip
    os.close(slave)
    os.set_blocking(master, False)
    try:
        os.write(master, f"fpath=({site} $fpath); autoload -Uz compinit; compinit -u -D; echo st''arted\n".encode())
        wait_for(master, "started")
        for typed, completed in (
            ("fra\t", "llava frames"),
            ("doc\t", "llava doctor"),
            ("ask --model=onevision-0\t", "--model=onevision-0.5b"),
            ("ask --device cp\t", "--device cpu"),
            ("ask --s\t\t", "-- 'uniform' takes frames"),
        ):
            os.write(master, f"llava {typed}".encode())
            wait_for(master, completed)
            os.write(master, b"\x15")  # Ctrl-U: an empty line again
    finally:
        shell.kill()
        shell.wait()
        os.close(master)


def wait_for(terminal: int, words: str) -> None:
    shown = ""
    for _ in range(600):
        try:
            shown += os.read(terminal, 65536).decode(errors="replace")
        except BlockingIOError:
            time.sleep(0.05)
        if words in shown:
            return
    raise AssertionError(f"no {words!r} in {shown!r}")
