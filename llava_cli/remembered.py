# SPDX-License-Identifier: Apache-2.0
"""What takes long to find out and stays as it is, remembered from run to run in the user's cache."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import Any

from llava_cli.atomic import make_folder, write_file
from llava_cli.errors import OutputError


def remembered(kind: str, about: Sequence[str | None], find_out: Callable[[], Any]) -> Any:
    """What was found out about something the first time, as JSON gives it back.

    Args:
        kind: names the folder that it is kept in.
        about: all that it depends on: versions of libraries among it.
        find_out: called where nothing is remembered. What it raises is raised.
    """
    from platformdirs import user_cache_path

    asked = json.dumps(about)
    file = user_cache_path("llava") / kind / f"{sha256(asked.encode()).hexdigest()[:16]}.json"
    with suppress(OSError, ValueError):
        kept = json.loads(file.read_bytes())
        if isinstance(kept, dict) and kept.get("about") == asked:
            return kept["known"]
    known = json.loads(json.dumps(find_out()))
    with suppress(OutputError):
        make_folder(file.parent)
        write_file(file, json.dumps({"about": asked, "known": known}).encode())
    return known
