# SPDX-License-Identifier: Apache-2.0
"""Small batches, and a small tokenizer."""

import pytest
from transformers import PreTrainedTokenizerFast

from llava_cli.demo.training import finetune, follow, pretrain
from llava_cli.demo.training.tokenizer import build_tokenizer


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
