# SPDX-License-Identifier: Apache-2.0
"""Stage C: many questions in one row, which do not see each other."""

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from llava_cli.demo.training import finetune
from llava_cli.demo.training.finetune import IGNORED, Clips
from llava_cli.demo.training.model import build_model
from llava_cli.demo.training.pixels import FRAME_TOKENS, FRAMES
from llava_cli.demo.training.tokenizer import BOS, EOS, IMAGE, VIDEO


@pytest.mark.parametrize(("step", "placeholder"), [(0, VIDEO), (finetune.STILL_EVERY - 1, IMAGE)])
def test_a_question_in_a_pack_is_computed_as_if_alone(
    tokenizer: PreTrainedTokenizerFast, step: int, placeholder: int
) -> None:
    torch.manual_seed(0)
    model = build_model().train(False)
    inputs, labels, _ = Clips(tokenizer, 0, 10)[step]
    with torch.no_grad():
        packed = model(**inputs).logits
        row = 1
        visual = (inputs["input_ids"][row] == placeholder).nonzero()[:, 0]
        start = int(visual[-1]) + 1
        for begin, end in segments(inputs, row, start)[:4]:
            alone = {key: value[row : row + 1] for key, value in inputs.items() if "pixel" in key or "sizes" in key}
            ids = torch.cat([inputs["input_ids"][row, :start], inputs["input_ids"][row, begin:end]])[None]
            logits = model(input_ids=ids, **alone).logits[0, start:]
            torch.testing.assert_close(packed[row, begin:end], logits, atol=2e-4, rtol=1e-3)
            answer = labels[row, begin:end][labels[row, begin:end] != IGNORED]
            assert int(answer[-1]) == EOS
    assert int(inputs["input_ids"][row, 0]) == BOS
    assert placeholder == IMAGE or len(visual) == FRAMES * FRAME_TOKENS


def segments(inputs: dict[str, torch.Tensor], row: int, start: int) -> list[tuple[int, int]]:
    """Begin and end of every conversation: where positions start over."""
    position = inputs["position_ids"][row].tolist()
    begins = [index for index in range(start, len(position)) if position[index] == start]
    length = max(index + 1 for index in range(start, len(position)) if position[index])
    return list(zip(begins, [*begins[1:], length], strict=True))
