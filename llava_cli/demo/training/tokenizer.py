# SPDX-License-Identifier: Apache-2.0
"""The demo checkpoint's tokenizer: a small byte-level BPE, learnt from the grammar."""

from __future__ import annotations

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from llava_cli.demo.training.questions import ask
from llava_cli.demo.training.scenes import sample_scene
from llava_cli.demo.world import dice, sample_clip

PAD, BOS, EOS, VIDEO, IMAGE = range(5)
SPECIAL = ("<pad>", "<s>", "</s>", "<video>", "<image>")
VOCABULARY = 576
PREFIX = "USER: "
CHAT_TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'user' %}{{ 'USER: ' }}"
    "{% elif message['role'] == 'assistant' %}{{ 'ASSISTANT: ' }}{% endif %}"
    "{% if message['content'] is string %}{{ message['content'] }}"
    "{% else %}"
    "{% for content in message['content'] %}"
    "{% if content['type'] in ('image', 'video') %}{{ '<' + content['type'] + '>\n' }}{% endif %}"
    "{% endfor %}"
    "{% for content in message['content'] if content['type'] == 'text' %}{{ content['text'] }}{% endfor %}"
    "{% endif %}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% else %}{{ ' ' }}{% endif %}"
    "{% endfor %}"
    "{% if add_generation_prompt %}{{ 'ASSISTANT:' }}{% endif %}"
)
"""The Vicuna form, media first. A system message is its bare text and a space."""


def question_form(question: str) -> str:
    """Return what follows the visual tokens in a prompt."""
    return f"\n{question} ASSISTANT:"


def follow_up_form(question: str) -> str:
    """Return how a later question of the same conversation stands in a prompt."""
    return f"USER: {question} ASSISTANT:"


def answer_form(answer: str) -> str:
    """Return what the model writes, end token included."""
    return f" {answer}</s>"


def build_tokenizer(seed: int = 0, clips: int = 5000) -> PreTrainedTokenizerFast:
    """Learn the tokenizer from the questions and answers of many clips."""
    rng = dice(seed, "tokenizer")
    corpus = []
    for index in range(clips):
        still = index % 5 == 0
        spec = sample_scene(rng) if index % 10 == 0 else sample_clip(rng, still=still)
        for _, question, answer in ask(spec, rng, still):
            corpus.append(PREFIX + question_form(question) + f" {answer}")
    bpe = Tokenizer(models.BPE())
    bpe.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    bpe.decoder = decoders.ByteLevel()
    bpe.train_from_iterator(
        corpus,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=list(SPECIAL),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    bpe.post_processor = processors.TemplateProcessing(single="<s> $A", pair="<s> $A $B", special_tokens=[("<s>", BOS)])
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=bpe,
        bos_token=SPECIAL[BOS],
        eos_token=SPECIAL[EOS],
        pad_token=SPECIAL[PAD],
        extra_special_tokens={"video_token": SPECIAL[VIDEO], "image_token": SPECIAL[IMAGE]},
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
