# SPDX-License-Identifier: Apache-2.0
"""The training script: reproducible batches, questions that do not see each other, a checkpoint that loads."""

from pathlib import Path

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from llava_cli.demo import show
from llava_cli.demo.training import finetune, follow, pretrain
from llava_cli.demo.training.finetune import IGNORED, Clips
from llava_cli.demo.training.model import build_model
from llava_cli.demo.training.pixels import FRAME_TOKENS, FRAMES, GRID, sample_times
from llava_cli.demo.training.pretrain import Pictures
from llava_cli.demo.training.tokenizer import BOS, EOS, IMAGE, VIDEO, build_tokenizer
from llava_cli.demo.training.train import train
from llava_cli.demo.world import ACTIONS, dice


@pytest.fixture(scope="module", autouse=True)
def small_batches() -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pretrain, "BATCH", 6)
        patch.setattr(follow, "BATCH", 4)
        patch.setattr(finetune, "BATCH", 3)
        yield


@pytest.fixture(scope="module")
def tokenizer() -> PreTrainedTokenizerFast:
    return build_tokenizer(clips=200)


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


def test_pictures_know_what_their_cells_show() -> None:
    batch = Pictures(0, 100)[90]
    for cells, grid in ((batch.patches, GRID), (batch.pooled, GRID // 2)):
        assert cells.kind.shape == (6, grid * grid)
        touched = cells.kind > 0
        assert touched.any()
        assert (cells.place[~touched] == 0).all()
    covered = batch.mask.mean(dim=-1) > 0.5
    assert (batch.patches.kind[covered] > 0).float().mean() > 0.9


def test_tokens_know_how_their_shape_moves() -> None:
    times = sample_times(dice(0))
    steps, actions = follow.find_moves([show.CLIP], [times])
    known = actions[0] != follow.UNKNOWN
    assert known.sum() >= FRAMES - 1
    assert not known[:FRAME_TOKENS].any()
    assert {ACTIONS[int(action)] for action in actions[0][known]} == {"right"}
    assert (steps[0][known][:, 0] > 0.1).all()
    assert steps[0][known][:, 1:].abs().max() == 0


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


def test_training_writes_the_same_checkpoint_again_and_tells_of_every_step(tmp_path: Path) -> None:
    told: list[tuple[str, int, int]] = []
    threads = torch.get_num_threads()
    for name in ("one", "two"):
        told.clear()
        train(
            tmp_path / name,
            report=lambda stage, step, total, _: told.append((stage, step, total)),
            see_steps=2,
            follow_steps=1,
            answer_steps=1,
            polish_steps=1,
        )
    assert told == [("see", 1, 2), ("see", 2, 2), ("follow", 1, 1), ("answer", 1, 1), ("polish", 1, 1)]
    assert torch.get_num_threads() == threads
    one, two = ({path.name: path.read_bytes() for path in (tmp_path / name).iterdir()} for name in ("one", "two"))
    assert set(one) == {
        "config.json", "generation_config.json", "model.safetensors", "tokenizer.json", "tokenizer_config.json",
        "chat_template.jinja", "preprocessor_config.json", "video_preprocessor_config.json", "processor_config.json",
    }  # fmt: skip
    assert one == two
