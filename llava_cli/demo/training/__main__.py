# SPDX-License-Identifier: Apache-2.0
"""Train the demo checkpoint again, from nothing: `python -m llava_cli.demo.training DIR`, in a checkout."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from llava_cli.demo.training.train import train
from llava_cli.errors import LlavaError


def main() -> None:
    """Train into the folder that the command line names; progress goes to stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m llava_cli.demo.training",
        description="Train the demo checkpoint again, from nothing: about 50 minutes on two cores.",
    )
    parser.add_argument("folder", metavar="DIR", type=Path, help="where the checkpoint is written")
    folder = parser.parse_args().folder
    try:
        train(folder, report=_tell)
    except LlavaError as error:
        sys.exit(f"llava: {error}")
    sys.stderr.write(f'try it: llava ask CLIP "What happens?" --model {folder}\n')


def _tell(stage: str, step: int, total: int, figure: str) -> None:
    """A line now and then."""
    if step % 50 == 0 or step == total:
        sys.stderr.write(f"{stage} {step}/{total}  {figure}\n")


if __name__ == "__main__":
    main()
