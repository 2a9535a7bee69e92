# SPDX-License-Identifier: Apache-2.0
"""What a decoding process that hostile bytes have taken over can still do: nothing that the kernel can refuse it."""

from __future__ import annotations

import errno
import os
import platform
import struct
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from media.spoiling import taken_over

from llava_cli.media import Clip, Sampling, View
from llava_cli.media.limits import Limits
from llava_cli.media.worker import confinement
from llava_cli.media.worker.confinement import CLONE_THREAD, FILES, MACHINES, NETWORK, OTHERS
from llava_cli.media.worker.parent import Worker
from llava_cli.media.worker.wire import DecoderBug

Rendered = Callable[[str], Path]
VIEW = View((48, 48), "crop", Sampling())
BPF = OTHERS["bpf"][platform.machine() == "aarch64"]
FILE_ATTEMPTS = {
    "read a file": "open('/etc/passwd')",
    "read the model's memory": "open(f'/proc/{os.getppid()}/mem', 'rb')",
    "open the file again": "open('/proc/self/fd/' + str(media.held), 'rb')",
    "write a file": "open('written', 'w')",
    "write a file without a name": "os.open('/tmp', os.O_TMPFILE | os.O_RDWR)",
    "make a folder": "os.mkdir('made')",
    "remove a file": "os.unlink(os.environ.get('LANG', '') + 'x')",
    "change rights": "os.chmod('.', 0o777)",
    "read a file in a thread": "concurrent.futures.ThreadPoolExecutor().submit(open, '/etc/passwd').result()",
}
SYSTEM_ATTEMPTS = {
    "connect": "socket.create_connection(('127.0.0.1', 9))",
    "send to a socket of this machine": "socket.socket(socket.AF_UNIX)",
    "start a program": "subprocess.run(['/bin/true'])",
    "become a program": "os.execv('/bin/true', ['true'])",
    "start a process": "os._exit(0) if os.fork() == 0 else None",
    "end the parent": "os.kill(os.getppid(), 0)",
    "end all": "os.kill(-1, 0)",
    "look into the parent": "os.pidfd_open(os.getppid())",
    "trace": "refused(lambda: libc.ptrace(2, os.getppid(), 0, 0))",
    "leave a namespace": "refused(lambda: libc.unshare(0x10000000))",
    "load a program into the kernel": f"refused(lambda: libc.syscall(ctypes.c_long({BPF}), 0, None, 0))",
    "reach another's limits": "resource.prlimit(os.getppid(), resource.RLIMIT_CPU)",
}


@pytest.mark.parametrize("attempt", FILE_ATTEMPTS | SYSTEM_ATTEMPTS)
def test_what_was_taken_over_is_refused(
    rendered: Rendered, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, attempt: str
) -> None:
    """Where the kernel has what it takes; else `llava doctor` says so, which asks the same process the same."""
    taken_over(monkeypatch, (FILE_ATTEMPTS | SYSTEM_ATTEMPTS)[attempt])
    monkeypatch.chdir(tmp_path)
    with Worker(Limits(timeout=60)) as worker:
        held = worker.confinement()
        if held.seccomp or (held.landlock and attempt in FILE_ATTEMPTS):
            with pytest.raises(DecoderBug, match="PermissionError"):
                worker.load(rendered("h264"), VIEW)
        else:
            from llava_cli.cli.checks import _decoding

            assert "; without " in _decoding().detail
    assert not list(tmp_path.iterdir())


def test_what_it_was_handed_it_can_read(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    taken_over(monkeypatch, "media.stream().read(1)")
    with Worker() as worker:
        assert isinstance(worker.load(rendered("h264"), VIEW), Clip)


def test_it_inherits_no_secrets_and_no_open_files(rendered: Rendered, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    taken_over(monkeypatch, "tell(f'{sorted(os.environ)} {opened}')")
    with rendered("h264").open(), Worker() as worker, pytest.raises(DecoderBug) as told:
        worker.load(rendered("h264"), VIEW)
    assert "LC_CTYPE" in str(told.value) or "OMP_NUM_THREADS" in str(told.value)
    assert "TOKEN" not in str(told.value)
    assert "SECRET" not in str(told.value)
    assert "h264" not in str(told.value)


LAYERS = {
    "landlock": ("c._no_new_privileges(); assert c._landlock()", {"open('/etc/passwd')", "open('new', 'w')"}),
    "seccomp": (
        "c._no_new_privileges(); assert c._filtered({**c.FILES, **c.NETWORK, **c.OTHERS})",
        {"open('/etc/passwd')", "open('new', 'w')", "socket.socket()", "os.fork()"},
    ),
    "downloads": ("c.confine_downloads()", {"os.fork()", "os.kill(os.getppid(), 0)"}),
}


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_holds_without_the_others(tmp_path: Path, layer: str) -> None:
    confine, refused = LAYERS[layer]
    if layer != "downloads" and not getattr(_held(), layer):
        pytest.skip(f"this kernel has no {layer}")
    if not _held().seccomp:
        pytest.skip("this kernel has no seccomp")
    program = (
        f"import os, socket, sys; import llava_cli.media.worker.confinement as c; {confine}\n"
        "for attempt in sys.argv[1:]:\n"
        " try: eval(attempt); print('done')\n"
        " except PermissionError: print('refused')\n"
        "print('over', flush=True); os._exit(0)\n"
    )
    attempts = ["open('/etc/passwd')", "open('new', 'w')", "socket.socket()", "os.kill(os.getppid(), 0)", "os.fork()"]
    attempts = [attempt for attempt in attempts if layer != "landlock" or "fork" not in attempt]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-W", "ignore", "-c", program, *attempts]
    done = subprocess.run(command, capture_output=True, text=True, cwd=tmp_path, env=environment, check=False)
    *outcomes, over = done.stdout.split()
    assert (over, done.stderr) == ("over", "")
    found = {attempt for attempt, outcome in zip(attempts, outcomes, strict=True) if outcome == "refused"}
    assert found >= refused
    assert layer != "downloads" or "socket.socket()" not in found


def _held() -> confinement.Confinement:
    with Worker() as worker:
        return worker.confinement()


def outcome(machine: str, number: int, argument: int = 0, architecture: int | None = None) -> int:
    """What the filter makes of a system call: its own machine, in a few lines."""
    steps = list(confinement._steps(machine, {**FILES, **NETWORK, **OTHERS}))
    known = {0: number, 4: MACHINES[machine][0] if architecture is None else architecture, 16: argument & 0xFFFFFFFF}
    place = register = 0
    while True:
        code, then, otherwise, operand = steps[place]
        place += 1
        match code:
            case confinement.RETURN:
                return operand
            case confinement.LOAD:
                register = known[operand]
            case _:
                holds = {
                    confinement.EQUAL: register == operand,
                    confinement.AT_LEAST: register >= operand,
                    confinement.ANY_BIT: bool(register & operand),
                }[code]
                place += then if holds else otherwise


@pytest.mark.parametrize("machine", MACHINES)
def test_the_filter_of_each_machine(machine: str) -> None:
    column, refused = MACHINES[machine][1], confinement.REFUSE | errno.EACCES
    for name, numbers in {**FILES, **NETWORK, **OTHERS}.items():
        if (number := numbers[column]) is not None:
            assert outcome(machine, number) == refused, name
    read_write_mmap_futex_exit = {"x86_64": (0, 1, 9, 202, 231), "aarch64": (63, 64, 222, 98, 94)}[machine]
    for number in read_write_mmap_futex_exit:
        assert outcome(machine, number) == confinement.ALLOW
    clone = confinement.CLONE[column]
    assert outcome(machine, clone, CLONE_THREAD | 0xF00) == confinement.ALLOW
    assert outcome(machine, clone, 17) == refused
    assert outcome(machine, confinement.CLONE3) == confinement.REFUSE | errno.ENOSYS
    for numbers in confinement.OF_ITSELF.values():
        assert outcome(machine, numbers[column], os.getpid()) == confinement.ALLOW
        assert outcome(machine, numbers[column], os.getppid()) == refused
        assert outcome(machine, numbers[column], -1) == refused
    for process, allowed in ((0, True), (os.getpid(), True), (os.getppid(), False)):
        assert (outcome(machine, confinement.PRLIMIT[column], process) == confinement.ALLOW) is allowed
    assert outcome(machine, 0, architecture=0x40000003) == confinement.KILL, "another machine's calls"
    if machine == "x86_64":
        assert outcome(machine, confinement.X32 | 1) == refused


def test_a_machine_that_is_not_known_has_no_filter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "riscv64")
    assert not confinement._filtered(OTHERS)


@pytest.mark.parametrize("version", [0, 1, 3, 4, 6, 9])
def test_landlock_is_asked_for_what_its_version_knows(monkeypatch: pytest.MonkeyPatch, version: int) -> None:
    asked: list[tuple[object, ...]] = []

    def system(number: int, *arguments: object) -> int:
        asked.append((number, *arguments))
        if arguments[0] is None:
            return version or -1
        return os.open(os.devnull, os.O_RDONLY) if number == confinement.LANDLOCK_CREATE_RULESET else 0

    monkeypatch.setattr(confinement, "_system", system)
    assert confinement._landlock() == version
    if version:
        files, network, scopes = struct.unpack("=3Q", asked[1][1])  # type: ignore[arg-type]
        assert files == {1: 0x1FFF, 3: 0x7FFF, 4: 0x7FFF, 6: 0xFFFF, 9: 0xFFFF}[version]
        assert (network, scopes) == (3 * (version >= 4), 3 * (version >= 6))
