# SPDX-License-Identifier: Apache-2.0
"""Tokenizers with the pipelines of the released ones: Llama's and Qwen2's."""

from __future__ import annotations

import json

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)
from transformers import PreTrainedTokenizerFast

LLAMA_CORPUS = [
    "USER: \nWhy is this video funny? ASSISTANT: A baby wears glasses and reads a book.",
    "What happens in the video? The circle moves to the right, then it stops. How many shapes are there?",
    "Describe the picture. There are three people in a room. It is red, green and blue. </video> [INST] <|im_start|>",
]
LLAMA_CONTROL = ["<unk>", "<s>", "</s>", "<video>", "<image>", "<pad>", "<|im_start|>", "<|im_end|>"]
VIDEO, IMAGE = 3, 4
"""The placeholders' ids in Llama's tokenizer."""

QWEN_CORPUS = [
    "<|im_start|>system\nYou are a helpful assistant.\nuser\nWhy is this video funny?\nassistant\nA baby wears glasses",
    "The video lasts for 9.72 seconds, and 64 frames are uniformly sampled from it. These frames are located at 0.00s.",
    "What happens in the video? Describe the picture. How many shapes are there? It is red, green and blue.",
]
# As the language model's own, in its order; then what the makers of multimodal checkpoints added.
QWEN_CONTROL = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
QWEN_MEDIA = ["<image>", "<video>"]
QWEN_VOCABULARY = 320
"""Size of Qwen's tokenizer with all control tokens."""
QWEN_WORDS = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)


def llama_tokenizer() -> PreTrainedTokenizerFast:
    """A tokenizer with Llama's pipeline: a space before the text, spaces as letters, bytes for the rest."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True, fuse_unk=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tokenizer.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    byte_tokens = [f"<0x{i:02X}>" for i in range(256)]
    trainer = trainers.BpeTrainer(
        vocab_size=520, special_tokens=[*LLAMA_CONTROL, *byte_tokens], show_progress=False, max_token_length=6
    )
    tokenizer.train_from_iterator(LLAMA_CORPUS, trainer)
    # The trainer makes all of them special; the bytes are ordinary vocabulary.
    rebuilt = json.loads(tokenizer.to_str())
    rebuilt["added_tokens"] = [t for t in rebuilt["added_tokens"] if t["content"] in LLAMA_CONTROL]
    tokenizer = Tokenizer.from_str(json.dumps(rebuilt))
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in LLAMA_CONTROL])
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>", unk_token="<unk>", pad_token="<pad>"
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
            pre_tokenizers.Split(Regex(QWEN_WORDS), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=QWEN_VOCABULARY - len(QWEN_CONTROL + QWEN_MEDIA),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(QWEN_CORPUS, trainer)
    control = QWEN_CONTROL + QWEN_MEDIA if media_tokens else QWEN_CONTROL
    tokenizer.add_special_tokens([AddedToken(text, special=True, normalized=False) for text in control])
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>", pad_token="<|endoftext|>")
