# SPDX-License-Identifier: Apache-2.0
"""Media and checkpoints for the tests: made once in a session, in the session's own folder. The project holds none."""

from __future__ import annotations

import functools
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from serving import TransformersServer

# Before torch is imported, here or in a program that a test starts: models this small are slower on several threads.
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def no_settings_of_whoever_runs_the_tests(monkeypatch: pytest.MonkeyPatch) -> None:
    """Variables of the tests' own among them, which commands would refuse as unknown."""
    for name in [name for name in os.environ if name.startswith("LLAVA_")]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session", autouse=True)
def workers_of_the_tests_alone() -> Iterator[None]:
    """Commands with --keep find no worker of whoever runs the tests, and leave none."""
    from llava_cli.engine.warm.manage import stop, workers

    with pytest.MonkeyPatch.context() as patch:
        folder = tempfile.mkdtemp(prefix="llava-")  # short: sockets stand in it
        patch.setenv("XDG_RUNTIME_DIR", folder)
        yield
        for worker in workers():
            stop(worker)
    shutil.rmtree(folder)


@pytest.fixture(scope="session", autouse=True)
def cache_of_the_tests_alone(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def rendered(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from the name of a spec in media/rendering.py to its video, rendered on first use."""
    from media.rendering import SPECS, render

    folder = tmp_path_factory.mktemp("rendered")

    def path_of(name: str) -> Path:
        path = folder / (name + SPECS[name].suffix)
        if not path.exists():
            render(SPECS[name], path)
        return path

    return path_of


@pytest.fixture(scope="session")
def transformers_server(checkpoints: Callable[[str], Path]) -> Iterator[TransformersServer]:
    """A server that nobody here wrote, on this machine, with a tiny interleave checkpoint."""
    import serving

    with serving.transformers(checkpoints("llava-interleave")) as server:
        yield server


@pytest.fixture(scope="session")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Return a function from a family's name to its tiny checkpoint, made on first use."""
    import tiny

    @functools.cache
    def folder_of(family: str) -> Path:
        return tiny.make(family, tmp_path_factory.mktemp(family))

    return folder_of
