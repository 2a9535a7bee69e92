# SPDX-License-Identifier: Apache-2.0
"""Loading a checkpoint: which device, which numbers, which attention."""

from __future__ import annotations

import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from llava_cli.engine.engine import ModelInfo
from llava_cli.engine.local import LocalEngine
from llava_cli.engine.memory import is_out_of_memory, out_of_memory_as
from llava_cli.engine.options import Attention, Dtype, LoadOptions
from llava_cli.errors import ModelError, UsageError
from llava_cli.models.family import Family
from llava_cli.models.prompt import PLACEHOLDER

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

# On the CPU float32 is exact and fast, as long as it leaves memory for the rest of the machine.
_CPU_SHARE = 0.6


def load(family: Family, options: LoadOptions) -> LocalEngine:
    """Load a checkpoint whose files are on this machine (see `Checkpoint.fetch`).

    Raises:
        ModelError: the checkpoint is incomplete or damaged.
        UsageError: the machine has no such device.
        OutOfMemory: it does not fit.
    """
    started = time.perf_counter()
    checkpoint = family.checkpoint
    checkpoint.check_weights()
    import torch
    from transformers.utils import logging

    logging.disable_progress_bar()  # whoever called shows that it takes a while

    device = _device(options.device)
    dtype = _dtype(options.dtype, device, checkpoint.folder)
    tokenizer = _tokenizer(checkpoint.folder)
    with out_of_memory_as(f"{checkpoint.name} does not fit into the memory of {device}; try --4bit"):
        model = _model(family, options, device, dtype)
    info = ModelInfo(
        checkpoint=checkpoint.name,
        revision=checkpoint.revision,
        family=family.name,
        dtype=str(dtype).removeprefix("torch."),
        quantization="nf4" if options.quantization else None,
        device=str(torch.device(device)),
        attention=options.attention,
    )
    return LocalEngine(family, tokenizer, model, info, load_s=time.perf_counter() - started)


def _device(wanted: str) -> str:
    import torch

    if wanted == "auto":
        if torch.cuda.is_available():
            return "cuda:0"
        return "mps" if torch.backends.mps.is_available() else "cpu"
    try:
        device = torch.device(wanted)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError, NotImplementedError) as error:
        line = str(error).partition("\n")[0]
        raise UsageError(f"--device {wanted}: not on this machine ({line}); try --device cpu") from error
    return "cuda:0" if wanted == "cuda" else wanted


def _dtype(wanted: Dtype, device: str, folder: Path) -> torch.dtype:
    import torch

    if wanted != "auto":
        return {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}[wanted]
    if device.startswith("cuda"):
        return torch.bfloat16 if torch.cuda.is_bf16_supported(including_emulation=False) else torch.float16
    if device == "mps":
        return torch.float16
    import psutil  # of accelerate

    # Released weights are in 16 bit: float32 takes twice their size.
    needed = 2 * sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    return torch.float32 if needed < _CPU_SHARE * psutil.virtual_memory().available else torch.bfloat16


def _tokenizer(folder: Path) -> PreTrainedTokenizerBase:
    from transformers import AddedToken, PreTrainedTokenizerFast

    if not (folder / "tokenizer.json").is_file():
        raise ModelError(f"{folder}: has no tokenizer.json")
    try:
        # This class keeps the file's own pipeline; the model-specific ones rebuild it and differ in spaces.
        tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    except Exception as error:  # the tokenizers library raises bare Exceptions for damaged files
        raise ModelError(f"{folder / 'tokenizer.json'}: cannot be read: {error}") from error
    missing = [token for token in PLACEHOLDER.values() if token not in tokenizer.get_added_vocab()]
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in missing], special_tokens=True)
    return tokenizer


def _model(family: Family, options: LoadOptions, device: str, dtype: torch.dtype) -> PreTrainedModel:
    _check_attention(options.attention)
    folder = family.checkpoint.folder
    try:
        model, report = family.model_class().from_pretrained(
            folder,
            config=family.model_config(),
            key_mapping=family.key_mapping,
            dtype=dtype,
            device_map={"": device},
            attn_implementation=options.attention,
            quantization_config=_quantization(family, dtype) if options.quantization else None,
            use_safetensors=True,
            local_files_only=True,
            trust_remote_code=False,
            output_loading_info=True,
        )
    except Exception as error:  # the safetensors library raises bare Exceptions for damaged files
        if is_out_of_memory(error):
            raise
        raise ModelError(f"{family.checkpoint.name}: cannot be loaded: {_first_line(error)}") from error
    _check_weights(family, report)
    return model.eval()


def _check_weights(family: Family, report: dict[str, Any]) -> None:
    """Weights that were not in the files are random: such a model must not answer."""
    wrong = [*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])]
    if wrong:
        raise ModelError(
            f"{family.checkpoint.name}: {len(wrong)} weights are missing or of the wrong shape, e.g. {sorted(wrong)[0]}"
        )


def _check_attention(attention: Attention) -> None:
    from transformers.utils import is_flash_attn_2_available

    if attention == "flash_attention_2" and not is_flash_attn_2_available():
        raise UsageError("--attention flash_attention_2: needs a CUDA GPU and the flash-attn package; try sdpa")


def _quantization(family: Family, dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    return BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
        llm_int8_skip_modules=list(family.unquantized),
    )


def _first_line(error: BaseException) -> str:
    return str(error).strip().partition("\n")[0] or type(error).__name__
