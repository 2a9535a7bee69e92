# SPDX-License-Identifier: Apache-2.0
"""What a process of ours gives up before it meets anything hostile, as far as the system can hold it to that.

On Linux the kernel is asked three times: no program started from here gains rights (no_new_privs), no path and no port
can be reached (Landlock), and what a decoder has no use for is no longer done for it (a seccomp filter). None of it
can be taken back, and all of it holds for threads that start later. Elsewhere, only no file can be made to grow.
"""

from __future__ import annotations

import ctypes
import errno
import os
import platform
import resource
import struct
import sys
from collections.abc import Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass

PR_SET_NO_NEW_PRIVS = 38

LANDLOCK_CREATE_RULESET, LANDLOCK_RESTRICT_SELF = 444, 446
LANDLOCK_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15}
"""How many ways to use files each version knows; 16 since the fifth."""
LANDLOCK_TCP, LANDLOCK_SCOPES = 3, 3
"""Both ways to use TCP, since version 4; signals and abstract sockets of others, since version 6."""

SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC = 1, 1
ALLOW, REFUSE, KILL = 0x7FFF0000, 0x00050000, 0x80000000
LOAD, EQUAL, AT_LEAST, ANY_BIT, RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
"""Instructions of the filter's machine."""
NUMBER, ARCHITECTURE, FIRST_ARGUMENT = 0, 4, 16
"""Where it finds what a system call is."""
CLONE_THREAD = 0x10000
X32 = 0x40000000

MACHINES = {"x86_64": (0xC000003E, 0, 317), "aarch64": (0xC00000B7, 1, 277)}
"""What the kernel calls each, its column below, and its number for `seccomp`."""

# The numbers of system calls, for x86_64 and aarch64.
FILES = {
    "open": (2, None), "openat": (257, 56), "openat2": (437, 437), "creat": (85, None), "truncate": (76, 45),
    "open_by_handle_at": (304, 265), "rename": (82, None), "renameat": (264, 38), "renameat2": (316, 276),
    "mkdir": (83, None), "mkdirat": (258, 34), "rmdir": (84, None), "unlink": (87, None), "unlinkat": (263, 35),
    "link": (86, None), "linkat": (265, 37), "symlink": (88, None), "symlinkat": (266, 36), "mknod": (133, None),
    "mknodat": (259, 33), "chmod": (90, None), "fchmod": (91, 52), "fchmodat": (268, 53), "fchmodat2": (452, 452),
    "chown": (92, None), "fchown": (93, 55), "lchown": (94, None), "fchownat": (260, 54), "utime": (132, None),
    "utimes": (235, None), "futimesat": (261, None), "utimensat": (280, 88), "setxattr": (188, 5),
    "lsetxattr": (189, 6), "fsetxattr": (190, 7), "removexattr": (197, 14), "lremovexattr": (198, 15),
    "fremovexattr": (199, 16),
}  # fmt: skip
NETWORK = {
    "socket": (41, 198), "socketpair": (53, 199), "connect": (42, 203), "bind": (49, 200), "listen": (50, 201),
    "accept": (43, 202), "accept4": (288, 242),
}  # fmt: skip
OTHERS = {
    # programs and processes
    "execve": (59, 221), "execveat": (322, 281), "fork": (57, None), "vfork": (58, None), "ptrace": (101, 117),
    "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "process_madvise": (440, 440),
    "pidfd_open": (434, 434), "pidfd_getfd": (438, 438), "pidfd_send_signal": (424, 424), "kcmp": (312, 272),
    "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240), "personality": (135, 92),
    "shmget": (29, 194), "msgget": (68, 186), "semget": (64, 190), "mq_open": (240, 180),
    # large parts of the kernel, and what only administrators need
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426), "io_uring_register": (427, 427), "keyctl": (250, 219), "add_key": (248, 217),
    "request_key": (249, 218), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41), "chroot": (161, 51),
    "unshare": (272, 97), "setns": (308, 268), "open_tree": (428, 428), "move_mount": (429, 429),
    "fsopen": (430, 430), "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433),
    "mount_setattr": (442, 442), "init_module": (175, 105), "finit_module": (313, 273), "delete_module": (176, 106),
    "kexec_load": (246, 104), "kexec_file_load": (320, 294), "reboot": (169, 142), "swapon": (167, 224),
    "swapoff": (168, 225), "syslog": (103, 116), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266), "sethostname": (170, 161),
    "setdomainname": (171, 162), "iopl": (172, None), "ioperm": (173, None),
}  # fmt: skip
CLONE, CLONE3 = (56, 220), 435
OF_ITSELF = {"kill": (62, 129), "tgkill": (234, 131)}
"""Whose first argument must be the process itself."""
PRLIMIT = (302, 261)


@dataclass(frozen=True)
class Confinement:
    """What the system holds a process to."""

    no_new_privileges: bool = False
    landlock: int = 0
    """The version of Landlock's interface; 0 where there is none."""
    seccomp: bool = False


def confine() -> Confinement:
    """Open no file from here on, reach no network, start and look into no process. To be called before threads start.

    What is open stays open. Modules that are not imported yet can no longer be.
    """
    with suppress(OSError, ValueError):
        resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    if sys.platform != "linux":
        return Confinement()
    return Confinement(_no_new_privileges(), _landlock(), _filtered({**FILES, **NETWORK, **OTHERS}))


def confine_downloads() -> None:
    """Start and look into no process from here on: for a process that needs the network, and files to use it."""
    if sys.platform == "linux":
        _no_new_privileges()
        _filtered(OTHERS)


def _system(number: int, *arguments: object) -> int:
    """A system call's result; -1 where it fails."""
    call = ctypes.CDLL(None, use_errno=True).syscall
    return int(call(ctypes.c_long(number), *(ctypes.c_long(a) if isinstance(a, int) else a for a in arguments)))


def _no_new_privileges() -> bool:
    return ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, *map(ctypes.c_ulong, (1, 0, 0, 0))) == 0


def _landlock() -> int:
    """Allow nothing of all that this system's Landlock can refuse; its version."""
    version = _system(LANDLOCK_CREATE_RULESET, None, 0, 1)
    if version < 1:
        return 0
    files = (1 << LANDLOCK_FILE_RIGHTS.get(version, 16)) - 1
    refused = struct.pack("=3Q", files, LANDLOCK_TCP * (version >= 4), LANDLOCK_SCOPES * (version >= 6))
    rules = _system(LANDLOCK_CREATE_RULESET, refused, len(refused), 0)
    if rules < 0:
        return 0
    try:
        return version if _system(LANDLOCK_RESTRICT_SELF, rules, 0) == 0 else 0
    finally:
        os.close(rules)


def _filtered(refused: Mapping[str, tuple[int | None, ...]]) -> bool:
    """Have system calls refused, in all threads."""
    machine = platform.machine()
    if machine not in MACHINES:
        return False
    program = b"".join(struct.pack("=HBBI", *step) for step in _steps(machine, refused))
    held = ctypes.create_string_buffer(program, len(program))
    what = struct.pack("@HP", len(program) // 8, ctypes.addressof(held))
    return _system(MACHINES[machine][2], SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, what) == 0


def _steps(machine: str, refused: Mapping[str, tuple[int | None, ...]]) -> Iterable[tuple[int, int, int, int]]:
    """The filter: instruction, steps to skip where a comparison holds and where it does not, operand."""
    architecture, column, _ = MACHINES[machine]
    refuse, allow = (RETURN, 0, 0, REFUSE | errno.EACCES), (RETURN, 0, 0, ALLOW)
    yield from ((LOAD, 0, 0, ARCHITECTURE), (EQUAL, 1, 0, architecture), (RETURN, 0, 0, KILL), (LOAD, 0, 0, NUMBER))
    if machine == "x86_64":
        yield from ((AT_LEAST, 0, 1, X32), refuse)
    for numbers in refused.values():
        number = numbers[column]
        if number is not None:
            yield from ((EQUAL, 0, 1, number), refuse)
    # Its flags are out of the filter's reach; libraries take `clone`, which is older, where they are told this.
    yield from ((EQUAL, 0, 1, CLONE3), (RETURN, 0, 0, REFUSE | errno.ENOSYS))
    first = (LOAD, 0, 0, FIRST_ARGUMENT)
    yield from ((EQUAL, 0, 4, CLONE[column]), first, (ANY_BIT, 0, 1, CLONE_THREAD), allow, refuse)
    for numbers in OF_ITSELF.values():
        yield from ((EQUAL, 0, 4, numbers[column]), first, (EQUAL, 0, 1, os.getpid()), allow, refuse)
    yield from ((EQUAL, 0, 5, PRLIMIT[column]), first, (EQUAL, 1, 0, 0), (EQUAL, 0, 1, os.getpid()), allow, refuse)
    yield allow
