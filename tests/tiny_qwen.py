# SPDX-License-Identifier: Apache-2.0
"""Tiny checkpoints around a Qwen2 language model, in the hub's file layout, made on the fly and deterministic."""

from __future__ import annotations

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

CORPUS = [
    "<|im_start|>system\nYou are a helpful assistant.\nuser\nWhy is this video funny?\nassistant\nA baby wears glasses.",
    "The video lasts for 9.72 seconds, and 64 frames are uniformly sampled from it. These frames are located at 0.00s.",
    "What happens in the video? Describe the picture. How many shapes are there? It is red, green and blue.",
]
# As the language model's own, in its order; then what the makers of multimodal checkpoints added.
CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
MEDIA = ["<image>", "<video>"]
VOCABULARY = 320
"""Size of the tokenizer with all control tokens."""
_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def qwen_tokenizer(media_tokens: bool = True) -> PreTrainedTokenizerFast:
    """A tokenizer with Qwen2's pipeline: bytes as letters, no first token; control tokens after the vocabulary.

    Args:
        media_tokens: whether `<image>` and `<video>` are tokens; in the original authors' checkpoints they are not.
    """
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(CONTROL + MEDIA),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    control = CONTROL + MEDIA if media_tokens else CONTROL
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in control])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
