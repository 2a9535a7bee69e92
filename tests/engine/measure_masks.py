# SPDX-License-Identifier: Apache-2.0
"""What answers of a shape cost more than free ones, for each token: `python tests/engine/measure_masks.py TOKENIZER…`.

Each argument is a folder with a tokenizer.json; without one it is the demo checkpoint's. The model is left out: what is
measured, in processor time, is finding the tokens that may follow, taking the others out of logits on the CPU, and
following the one that was chosen.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from pathlib import Path

import torch

from llava_cli.demo import CHECKPOINT
from llava_cli.engine.constrain import Vocabulary
from llava_cli.engine.masks import Masks
from llava_cli.engine.shape import read_constraint
from llava_cli.models.tokenizer import load_tokenizer

SCHEMA = "people int, dog bool, colours [str], what str"
ANSWER = {
    "people": 12,
    "dog": True,
    "colours": ["red", "dark green", "blue"],
    "what": "Two people walk along the beach with a dog; the sun sets behind them.",
}


def main(folders: list[Path]) -> None:
    torch.set_num_threads(1)
    shape = read_constraint(SCHEMA)
    for folder in folders:
        tokenizer = load_tokenizer(folder)
        began = time.thread_time()
        vocabulary = Vocabulary(tokenizer, folder.name)
        table = time.thread_time()
        vocabulary.matcher(shape)
        compiled = time.thread_time()
        print(
            f"{len(tokenizer)} tokens: table {1e3 * (table - began):.1f} ms, schema {1e3 * (compiled - table):.1f} ms"
        )
        ids = tokenizer(json.dumps(ANSWER, separators=(",", ":")), add_special_tokens=False).input_ids
        for rows in (1, 8, 32):
            masks = Masks(vocabulary, [shape] * rows, frozenset({tokenizer.eos_token_id or 0}))
            logits, places = torch.randn(rows, len(tokenizer)), list(range(rows))
            spent = []
            for token in ids:
                began = time.thread_time()
                masks(logits, places)
                masks.take(dict.fromkeys(places, token))
                spent.append(1e6 * (time.thread_time() - began))
            typical, most = statistics.median(spent), max(spent)
            print(f"  {rows} together: {typical:.0f} microseconds a token, at most {most:.0f}, of {len(ids)} tokens")


if __name__ == "__main__":
    main([Path(name) for name in sys.argv[1:]] or [CHECKPOINT])
