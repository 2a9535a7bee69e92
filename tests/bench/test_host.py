# SPDX-License-Identifier: Apache-2.0
"""A figure says which machine it is from."""

from __future__ import annotations

from llava_cli.bench import host
from llava_cli.machine import cores
from llava_cli.record import package_version


def programs(folder, monkeypatch, **said):
    """Programs that print a text each, and nothing else on the search path."""
    for name, text in said.items():
        path = folder / name.replace("_", "-")
        path.write_text(f"#!/bin/sh\necho '{text}'\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", str(folder))


def test_cores_memory_and_versions_are_those_of_here(tmp_path, monkeypatch):
    programs(tmp_path, monkeypatch)
    found = host.describe(("av", "no-such-library"))
    assert (found.cores, found.gpus) == (cores(), ())
    assert found.memory_gib > 0
    assert found.versions["av"] == package_version("av")
    assert not {"no-such-library", "ffmpeg"} & found.versions.keys()
    assert f"{cores()} core" in str(found)
    assert "no GPU" in str(found)
    assert f"av {package_version('av')}" in str(found)


def test_gpus_and_ffmpeg_are_named_as_their_programs_name_them(tmp_path, monkeypatch):
    gpus = "NVIDIA H100, 81559 MiB, 550.1\nNVIDIA L4, 23034 MiB, 550.1"
    programs(tmp_path, monkeypatch, nvidia_smi=gpus, ffmpeg="ffmpeg version 5.1.9 Copyright")
    found = host.describe(("av",))
    assert found.gpus == ("NVIDIA H100, 81559 MiB, driver 550.1", "NVIDIA L4, 23034 MiB, driver 550.1")
    assert found.versions["ffmpeg"] == "5.1.9"
    assert "NVIDIA L4" in str(found)


def test_a_driver_s_program_that_fails_is_no_gpu(tmp_path, monkeypatch):
    path = tmp_path / "nvidia-smi"
    path.write_text("#!/bin/sh\necho 'could not communicate with the driver'\nexit 9\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert host.describe(()).gpus == ()


def test_the_processor_s_name(tmp_path):
    file = tmp_path / "cpuinfo"
    file.write_text("processor\t: 0\nmodel name\t: Some CPU 9000\nmodel name\t: Some CPU 9000\n")
    assert host._cpu(file) == "Some CPU 9000"
    assert host._cpu(tmp_path / "none")
