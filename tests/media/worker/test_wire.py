# SPDX-License-Identifier: Apache-2.0
from __future__ import annotations

from llava_cli.media import Sampling, View
from llava_cli.media.limits import Limits
from llava_cli.media.worker.wire import Request


def test_requests_survive_the_journey() -> None:
    view, limits = (
        View((1, 2), "full", Sampling("fps", 3, 0.5, 1.0, 2.0), 1, "fast"),
        Limits(1, 2, 3, 4.0, 5, "any", False),
    )
    request = Request("/a\udcff", "b", view, limits, 5)
    assert Request.parse(request.dump()) == request
