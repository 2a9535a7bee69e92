# SPDX-License-Identifier: Apache-2.0
"""What `llava doctor` looks at, one function for each matter. A check never raises: what fails is what it tells."""

from __future__ import annotations

import os
import platform
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from llava_cli import __version__
from llava_cli.engine.memory import GIB
from llava_cli.errors import LlavaError, first_line
from llava_cli.machine import available_memory, cores, memory_limit
from llava_cli.record import package_version
from llava_cli.words import counted

_LIBRARIES = ("torch", "transformers", "accelerate", "bitsandbytes", "av", "opencv-python-headless", "pillow")
_CODECS = ("h264", "hevc", "vp8", "vp9", "av1", "mpeg4", "mjpeg", "prores")
_NEEDED_ON_DISK = 15 * GIB


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Literal["ok", "note", "problem"]
    detail: str
    remedy: str | None = None


def look(ask_hub: bool) -> list[Check]:
    """Look at everything; the network only if asked to."""
    checks = [_versions(), *_devices(), _pyav(), _opencv(), _decoding(), _quantization(), _attention(), _cache()]
    return [*checks, _hub()] if ask_hub else checks


def _versions() -> Check:
    found = {name: package_version(name) for name in _LIBRARIES}
    listed = ", ".join(f"{name} {number or 'MISSING'}" for name, number in found.items())
    detail = f"llava {__version__}, Python {platform.python_version()}, {listed}"
    if None in found.values():
        return Check("versions", "problem", detail, "reinstall: pip install -c constraints.txt .")
    return Check("versions", "ok", detail)


def _devices() -> list[Check]:
    try:
        from llava_cli.engine import device
    except Exception as error:  # a broken driver can raise anything here
        return [Check("device", "problem", f"torch cannot be imported: {first_line(error)}", "reinstall torch")]
    memory = f"{available_memory() / GIB:.1f} of {memory_limit() / GIB:.1f} GiB memory free"
    found = [Check(name, "ok", detail) for name, detail in device.accelerators()]
    return [Check("cpu", "ok", f"{counted(cores(), 'core')}, {memory}"), *(found or [_no_gpu(device.CUDA_BUILD)])]


def _no_gpu(built_for: str | None) -> Check:
    if Path("/proc/driver/nvidia/version").exists():
        why = "this torch is built without CUDA" if built_for is None else "its driver may be too old for this torch"
        return Check("gpu", "problem", f"there is an NVIDIA driver, but torch sees no GPU: {why}",
                     "install the torch build from pytorch.org for your driver (see `nvidia-smi`)")  # fmt: skip
    return Check(
        "gpu",
        "note",
        "none found: models run on the CPU, where even the smallest takes a minute or more to begin",
        "--model interleave-0.5b with few --frames",
    )


def _pyav() -> Check:
    try:
        import av

        missing = [codec for codec in _CODECS if codec not in av.codecs_available]
    except Exception as error:
        return Check("PyAV", "problem", f"cannot be imported: {first_line(error)}", "pip install av")
    numbers = ".".join(map(str, av.library_versions.get("libavcodec", ())))
    detail = f"libavcodec {numbers} decodes {', '.join(c for c in _CODECS if c not in missing)}"
    if missing:
        return Check("PyAV", "note", f"{detail}; not {', '.join(missing)}", "pip install --force-reinstall av")
    return Check("PyAV", "ok", detail)


def _opencv() -> Check:
    try:
        import cv2
    except Exception as error:
        return Check("OpenCV", "note", f"cannot be imported: {first_line(error)}; it is the second decoder",
                     "pip install opencv-python-headless")  # fmt: skip
    return Check("OpenCV", "ok", f"{cv2.__version__}, the second decoder")


def _decoding() -> Check:
    from llava_cli.media.worker.parent import Worker

    try:
        with Worker() as worker:
            held = worker.confinement()
    except LlavaError as error:
        return Check("decoding", "problem", str(error), "see what it says on standard error")
    layers = {"no_new_privs": held.no_new_privileges, f"Landlock {held.landlock or ''}".strip(): held.landlock}
    layers["seccomp"] = held.seccomp
    detail = f"in a process of its own, confined by {', '.join(name for name, on in layers.items() if on) or 'nothing'}"
    missing = [name for name, on in layers.items() if not on]
    if missing:
        return Check("decoding", "note", f"{detail}; without {', '.join(missing)}",
                     "only Linux has these, Landlock since 5.13: decode files that you do not trust there")  # fmt: skip
    return Check("decoding", "ok", detail)


def _quantization() -> Check:
    try:
        import bitsandbytes
    except Exception as error:
        return Check("--4bit, --8bit", "problem", f"bitsandbytes cannot be imported: {first_line(error)}",
                     "pip install bitsandbytes")  # fmt: skip
    return Check("--4bit, --8bit", "ok", f"bitsandbytes {bitsandbytes.__version__}")


def _attention() -> Check:
    try:
        from llava_cli.engine.device import has_flash_attention

        flash = ", flash_attention_2" if has_flash_attention() else ""
    except Exception as error:
        return Check("--attention", "problem", f"transformers cannot be imported: {first_line(error)}",
                     "pip install transformers")  # fmt: skip
    return Check("--attention", "ok", f"sdpa, eager{flash}")


def _cache() -> Check:
    from llava_cli.models.cache import cache_folder, cached_sizes

    folder, sizes = cache_folder(), cached_sizes()
    there = next(parent for parent in (folder, *folder.parents) if parent.exists())
    free = shutil.disk_usage(there).free
    detail = (
        f"{folder}: {counted(len(sizes), 'checkpoint')}, {sum(sizes.values()) / GIB:.1f} GiB; {free / GIB:.1f} GiB free"
    )
    if not os.access(there, os.W_OK):
        return Check("cache", "problem", f"{detail}; it is not writable", "set HF_HOME to a writable folder")
    if free < _NEEDED_ON_DISK:
        return Check("cache", "note", detail, "a 7B checkpoint takes 14 GB: set HF_HOME to a larger disk")
    return Check("cache", "ok", detail)


def _hub() -> Check:
    from huggingface_hub import HfApi, constants

    if constants.HF_HUB_OFFLINE:
        return Check("hub", "note", "HF_HUB_OFFLINE is set: nothing can be downloaded", "unset HF_HUB_OFFLINE")
    try:
        HfApi().model_info("llava-hf/LLaVA-NeXT-Video-7B-hf", timeout=10)
    except Exception as error:  # whatever the network can do wrong
        return Check("hub", "problem", f"{constants.ENDPOINT} cannot be reached: {first_line(error)}",
                     "check the network and proxies, or set HF_ENDPOINT to a mirror")  # fmt: skip
    return Check("hub", "ok", f"{constants.ENDPOINT} answers")
