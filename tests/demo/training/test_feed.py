# SPDX-License-Identifier: Apache-2.0
"""What the stages are fed: batches that are the same again, drawn elsewhere, in their order."""

import torch
from transformers import PreTrainedTokenizerFast

from llava_cli.demo.training import follow
from llava_cli.demo.training.finetune import Clips
from llava_cli.demo.training.pretrain import Pictures


def same(one: object, other: object) -> bool:
    if isinstance(one, torch.Tensor):
        return torch.equal(one, other)
    if isinstance(one, dict):
        return one.keys() == other.keys() and all(same(one[key], other[key]) for key in one)
    return one == other if one is None else all(map(same, one, other))


def test_a_batch_depends_on_seed_and_step_alone(tokenizer: PreTrainedTokenizerFast) -> None:
    for batches, other in (
        (Pictures(0, 10), Pictures(1, 10)),
        (follow.Clips(0, 10), follow.Clips(1, 10)),
        (Clips(tokenizer, 0, 10), Clips(tokenizer, 1, 10)),
        (Clips(tokenizer, 0, 10, polish=True), Clips(tokenizer, 0, 10)),
    ):
        first = batches[3]
        assert same(first, batches[3])
        assert not same(first, batches[4])
        assert not same(first, other[3])
