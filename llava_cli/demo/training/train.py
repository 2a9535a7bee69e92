# SPDX-License-Identifier: Apache-2.0
"""Train the demo checkpoint from nothing, stage by stage, and write it in the hub's layout."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, LlavaNextVideoForConditionalGeneration, PreTrainedTokenizerFast

from llava_cli.atomic import make_folder
from llava_cli.demo.training.feed import Report
from llava_cli.demo.training.finetune import finetune, polish
from llava_cli.demo.training.follow import follow
from llava_cli.demo.training.model import build_model
from llava_cli.demo.training.pixels import DEVIATION, FRAMES, MEAN, PATCH, PINPOINTS, SIDE
from llava_cli.demo.training.pretrain import pretrain
from llava_cli.demo.training.tokenizer import BOS, EOS, IMAGE, PAD, SPECIAL, VIDEO, build_tokenizer
from llava_cli.errors import UsageError

SEE_STEPS = 1200
FOLLOW_STEPS = 500
ANSWER_STEPS = 1700
POLISH_STEPS = 400


def train(
    out: Path,
    seed: int = 0,
    report: Report | None = None,
    *,
    see_steps: int = SEE_STEPS,
    follow_steps: int = FOLLOW_STEPS,
    answer_steps: int = ANSWER_STEPS,
    polish_steps: int = POLISH_STEPS,
) -> None:
    """Write a checkpoint to `out`, the same one every time for a seed on one kind of machine.

    `report` is called after every step with the stage ("see", "follow", "answer", "polish"), the step, how many there
    are, and a figure.

    Raises:
        UsageError: this torch is too old.
        OutputError: `out` cannot be made.
    """
    if not hasattr(torch.optim, "Muon"):
        raise UsageError(
            f"training needs torch 2.9 or newer, for its optimizer Muon; this is torch {torch.__version__}"
        )
    report = report or (lambda stage, step, total, message: None)
    make_folder(out)
    # One thread learns while another process draws: two threads that share two cores with it are far slower.
    os.environ["OMP_WAIT_POLICY"] = "passive"
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        torch.manual_seed(seed)
        tokenizer = build_tokenizer(seed)
        model = build_model().train()
        pretrain(model, seed, see_steps, report)
        head = follow(model, tokenizer, seed, follow_steps, report)
        finetune(model, tokenizer, head, seed, answer_steps, report)
        # From weights as they would be saved, so that polishing can also start from a checkpoint.
        polish(model.half().float(), tokenizer, seed, polish_steps, report)
        save(model, tokenizer, out)
    finally:
        torch.set_num_threads(threads)


def save(model: LlavaNextVideoForConditionalGeneration, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write the checkpoint in the layout that hub checkpoints have, in half precision."""
    model.generation_config = GenerationConfig(
        bos_token_id=BOS, eos_token_id=EOS, pad_token_id=PAD, max_new_tokens=64, do_sample=False
    )
    model.train(False).half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    for name, content in _settings().items():
        (out / f"{name}.json").write_text(json.dumps(content, indent=2) + "\n")


def _settings() -> dict[str, dict[str, Any]]:
    """Return what the checkpoint's files say about its pixels, by the names that the hub gives those files."""
    frames = {
        "crop_size": {"height": SIDE, "width": SIDE},
        "do_center_crop": True,
        "do_convert_rgb": True,
        "do_normalize": True,
        "do_rescale": True,
        "do_resize": True,
        "image_mean": list(MEAN),
        "image_std": list(DEVIATION),
        "processor_class": "LlavaNextVideoProcessor",
        "resample": 3,
        "rescale_factor": 1 / 255,
        "size": {"shortest_edge": SIDE},
    }
    stills = {
        "do_pad": True,
        "image_grid_pinpoints": [list(pinpoint) for pinpoint in PINPOINTS],
        "image_processor_type": "LlavaNextImageProcessor",
    }
    processor = {
        "image_token": SPECIAL[IMAGE],
        "num_additional_image_tokens": 1,
        "patch_size": PATCH,
        "processor_class": "LlavaNextVideoProcessor",
        "video_token": SPECIAL[VIDEO],
        "vision_feature_select_strategy": "default",
    }
    return {
        "preprocessor_config": frames | stills,
        "video_preprocessor_config": frames
        | {"num_frames": FRAMES, "video_processor_type": "LlavaNextVideoVideoProcessor"},
        "processor_config": processor,
    }
