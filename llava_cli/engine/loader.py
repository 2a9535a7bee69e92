# SPDX-License-Identifier: Apache-2.0
"""From a checkpoint's files to an engine; what can be known without reading the weights is known first."""

from __future__ import annotations

import shutil
import tempfile
import time
import warnings
import weakref
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from logging import getLogger
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from llava_cli.engine.context import fitting_prompt
from llava_cli.engine.device import choose_dtype, chosen_devices, has_flash_attention
from llava_cli.engine.device_map import DISK
from llava_cli.engine.dummy import random_weights
from llava_cli.engine.local import LocalEngine
from llava_cli.engine.memory import MemoryPlan, is_out_of_memory, out_of_memory_as
from llava_cli.engine.placement import Room
from llava_cli.engine.planning import Planner
from llava_cli.engine.types import Dtype, LoadOptions, ModelInfo, Quantization
from llava_cli.engine.weights import link_weights, open_weights
from llava_cli.errors import ModelError, OutOfMemory, UsageError, first_line
from llava_cli.models.family import Family
from llava_cli.models.messages import Conversation
from llava_cli.models.prompt import PLACEHOLDER_TEXT, Prompt
from llava_cli.models.rendering import parent as rendering
from llava_cli.models.tokenizer import load_tokenizer
from llava_cli.progress import Progress, no_progress

if TYPE_CHECKING:
    from transformers import PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

    from llava_cli.engine.pool.seam import Terms

_QUANTIZED_NAMES: dict[Quantization | None, str | None] = {None: None, "4bit": "nf4", "8bit": "int8"}


class Loader:
    """A checkpoint that is about to be loaded: where to, in which numbers, and whether it fits.

    Raises (the constructor):
        UsageError: the machine has no such device, or it lacks a package.
        ModelError: the checkpoint is incomplete or damaged.
    """

    def __init__(self, family: Family, options: LoadOptions, elsewhere: Terms | None = None) -> None:
        """`elsewhere`: what engines in other processes run in, for which this one only makes prompts and plans."""
        self.family = family
        self.options = options
        rendering.start()  # while the model is built
        rooms = elsewhere.rooms if elsewhere else ()
        limits = {room.device: None for room in rooms} or chosen_devices(options)
        self.device = next(iter(limits))
        """The one, or of several the one where all lies that is no layer of the language model."""
        if options.attention == "flash_attention_2" and not (elsewhere or has_flash_attention()):
            raise UsageError("--attention flash_attention_2: needs a CUDA GPU and the flash-attn package; try sdpa")
        wanted = cast(Dtype, elsewhere.info.dtype) if elsewhere else options.dtype
        self.dtype = choose_dtype(wanted, self.device, family, self.parameters)
        self.skeleton.to(self.dtype)
        self._planner = Planner(
            family, options, self.skeleton, limits, self.quantization, self.modules_to_not_convert, rooms
        )
        if (options.quantization or family.quantization.values) and not all(r.computes for r in self.rooms):
            raise UsageError(
                "--device-map: quantized layers cannot lie on the CPU beside a GPU, nor on disk (bitsandbytes has no "
                "way to bring them back); name GPUs only, or load the checkpoint in 16 bit"
            )

    @property
    def rooms(self) -> tuple[Room, ...]:
        """Its devices, and what may be used of each."""
        return self._planner.rooms

    @cached_property
    def tokenizer(self) -> PreTrainedTokenizerBase:
        """The checkpoint's tokenizer, which keeps placeholders apart."""
        from transformers import AddedToken

        tokenizer = load_tokenizer(self.family.checkpoint.tokenizer_folder)
        missing = [token for token in PLACEHOLDER_TEXT.values() if token not in tokenizer.get_added_vocab()]
        added = [AddedToken(token, special=True, normalized=False) for token in missing]
        tokenizer.add_tokens(added, special_tokens=True)
        return tokenizer

    @cached_property
    def model_config(self) -> PretrainedConfig:
        """What the model is built from."""
        with self._damaged_config_told():
            return self.family.model_config()

    @property
    def info(self) -> ModelInfo:
        """What will answer."""
        return ModelInfo(
            checkpoint=self.family.checkpoint.name,
            revision=self.family.checkpoint.revision,
            family=self.family.name,
            dtype=str(self.dtype).removeprefix("torch."),
            quantization=_QUANTIZED_NAMES[self.quantization],
            device=self.device,
            attention=self.options.attention,
            dummy=self.family.checkpoint.dummy,
            rope_scaling=_rope_scaling(self.family.checkpoint.rope_factor),
            device_map=self._planner.layers if len(self.rooms) > 1 else None,
        )

    @property
    def quantization(self) -> Quantization | None:
        """How the weights are quantized: as the files already are, or else as was asked for."""
        own = self.family.quantization
        if not own.values:
            return self.options.quantization
        return "4bit" if own.flag("load_in_4bit", False) else "8bit" if own.flag("load_in_8bit", False) else None

    @property
    def modules_to_not_convert(self) -> tuple[str, ...]:
        """The modules that stay as they are when the rest is quantized."""
        if own := self.family.quantization.texts("llm_int8_skip_modules"):
            return own
        return ("lm_head",) if self.options.quantize_all else self.family.modules_to_not_convert

    @cached_property
    def skeleton(self) -> PreTrainedModel:
        """The model without weights: what it would take can be counted on it."""
        import torch

        with self._damaged_config_told(), torch.device("meta"):
            return self.family.model_class()._from_config(self.model_config)

    @property
    def parameters(self) -> int:
        """How many weights the model has."""
        return sum(weight.numel() for weight in self.skeleton.parameters())

    def prompt(self, conversation: Conversation, new_tokens: int) -> Prompt:
        """The prompt for a conversation, made sure that it and an answer of so many tokens fit into the context.

        Raises:
            TooLong: they do not.
            UsageError, ModelError: see `Family.prompt`; or it has tokens that the model does not.
        """
        prompt = fitting_prompt(self.family, self.tokenizer, conversation, new_tokens)
        rows = len(self.skeleton.get_input_embeddings().weight)
        if (largest := max(prompt.text_ids)) >= rows:
            token = self.tokenizer.convert_ids_to_tokens(largest)
            raise ModelError(
                f"{self.family.checkpoint.name}: its tokenizer gives {token!r} the id {largest}, but its config.json "
                f"has only {rows} tokens: these files do not belong together"
            )
        return prompt

    @contextmanager
    def _damaged_config_told(self) -> Iterator[None]:
        try:
            yield
        except ModelError:
            raise
        except Exception as error:  # the library checks field by field, with exceptions of many kinds
            told = " ".join(str(error).split()) or type(error).__name__
            raise ModelError(f"{self.family.checkpoint.name}: damaged config.json: {told}") from error

    def plan(self, prompts: Sequence[tuple[int, int]], patches: int | None = None) -> MemoryPlan:
        """The memory that a batch of prompts takes, each given as (tokens, new tokens).

        The first that fit decide where the layers will lie.

        Args:
            patches: so many go through the vision tower together (`Family.vision_patches`); by default those of the
                usual video.
        """
        return self._planner.plan(prompts, patches)

    def plan_quantized(
        self, prompts: Sequence[tuple[int, int]], quantization: Quantization | None, patches: int | None = None
    ) -> MemoryPlan:
        """The memory that it would take if the weights were quantized so."""
        return self._planner.plan_quantized(prompts, quantization, patches)

    def check_memory(self, prompts: Sequence[tuple[int, int]], patches: int | None = None) -> None:
        """Refuse what will not fit, before minutes of loading. As `plan`.

        Raises:
            OutOfMemory: it does not; the message says what would.
        """
        needed = self.plan(prompts, patches)
        if not needed.fits():
            where = "" if needed.devices else f" on {self.device}"
            remedy = self._planner.remedy(prompts, patches)
            raise OutOfMemory(f"{self.family.checkpoint.name} needs {needed}{where}; {remedy}")

    def close(self) -> None:
        """Nothing is held that would have to be given back."""

    def load(self, progress: Progress = no_progress) -> LocalEngine:
        """Read the weights.

        Args:
            progress: told how far an answer is: encoding, prefill, tokens.

        Raises:
            ModelError: they are missing or damaged.
            OutOfMemory: they do not fit.
        """
        from transformers.utils import logging

        started = time.perf_counter()
        logging.disable_progress_bar()  # whoever called shows that it takes a while
        getLogger("accelerate").setLevel("ERROR")  # it warns of layers elsewhere, which were asked for
        name = self.family.checkpoint.name
        self._planner.decide()
        devices = ", ".join(room.device for room in self.rooms)
        with out_of_memory_as(f"{name} does not fit into the memory of {devices}; try --4bit"):
            model = self._model()
        return LocalEngine(self.family, self.tokenizer, model, self.info, time.perf_counter() - started, progress)

    def _model(self) -> PreTrainedModel:
        # Layers on disk are read when they are needed, through links to the weights; it goes with the model.
        on_disk = any(room.device == DISK for room in self.rooms)
        folder = Path(tempfile.mkdtemp(prefix="llava-")) if on_disk else None
        try:
            model = self._read(folder)
        except BaseException:
            if folder is not None:
                shutil.rmtree(folder, ignore_errors=True)
            raise
        if folder is not None:
            weakref.finalize(model, shutil.rmtree, folder, ignore_errors=True)
        if said := self.family.checkpoint.generation:
            model.generation_config.eos_token_id = said.ids("eos_token_id")
        if self.quantization == "4bit":
            _keep_from_packing(model)
        return model.eval()

    def _read(self, folder: Path | None) -> PreTrainedModel:
        name = self.family.checkpoint.name
        try:
            with warnings.catch_warnings(), self._weights(folder) as weights:
                # Of weights that belong to no module of their own; they are where the map says all the same.
                warnings.filterwarnings("ignore", message="The following device_map keys do not match any submodules")
                model, report = self.family.model_class().from_pretrained(
                    **weights,
                    config=self.model_config,
                    dtype=self.dtype,
                    device_map=self._planner.device_map,
                    offload_folder=folder,
                    attn_implementation=self.options.attention,
                    quantization_config=self._quantization_config(),
                    use_safetensors=True,
                    local_files_only=True,
                    trust_remote_code=False,
                    output_loading_info=True,
                    ignore_mismatched_sizes=True,  # told below, by name
                )
        except Exception as error:  # the safetensors library raises bare Exceptions for damaged files
            if is_out_of_memory(error) or isinstance(error, ModelError):
                raise
            raise ModelError(f"{name}: cannot be loaded: {first_line(error)}") from error
        # Weights that were not in the files are random: such a model must not answer.
        wrong = sorted([*report["missing_keys"], *(key for key, *_ in report["mismatched_keys"])])
        if wrong:
            raise ModelError(f"{name}: {len(wrong)} weights are missing or of the wrong shape, e.g. {wrong[0]}")
        return model

    @contextmanager
    def _weights(self, folder: Path | None) -> Iterator[dict[str, Any]]:
        """Where the weights come from, as arguments of `from_pretrained`; by links in a folder where there is one."""
        checkpoint, named = self.family.checkpoint, {"key_mapping": self.family.key_mapping}
        if checkpoint.dummy:
            yield {"pretrained_model_name_or_path": None, "state_dict": random_weights(self.skeleton)}
        elif folder is not None:
            link_weights(checkpoint.weights(), folder)
            yield {"pretrained_model_name_or_path": folder, **named}
        else:
            with open_weights(checkpoint.weights()) as weights:
                yield {"pretrained_model_name_or_path": None, "state_dict": weights, **named}

    def _quantization_config(self) -> Any:
        from transformers import BitsAndBytesConfig

        if self.family.quantization.values:
            return None  # the files say it themselves
        match self.options.quantization:
            case "4bit":
                return BitsAndBytesConfig(
                    load_in_4bit=True,
                    bnb_4bit_quant_type="nf4",
                    bnb_4bit_use_double_quant=True,
                    bnb_4bit_compute_dtype=self.dtype,
                    llm_int8_skip_modules=list(self.modules_to_not_convert),
                )
            case "8bit":
                return BitsAndBytesConfig(load_in_8bit=True, llm_int8_skip_modules=list(self.modules_to_not_convert))
        return None


def _rope_scaling(factor: float | None) -> str | None:
    return None if factor is None else f"linear:{factor:g}"


def load(family: Family, options: LoadOptions) -> LocalEngine:
    """Load a checkpoint whose files are on this machine (see `Checkpoint.fetch`). Raises as `Loader` does."""
    return Loader(family, options).load()


def _keep_from_packing(model: PreTrainedModel) -> None:
    """Spare layers of odd sizes the fast 4-bit arithmetic of some CPUs, which takes whole blocks only, and fails."""
    from bitsandbytes.nn.modules import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit) and (module.in_features % 64 or module.out_features % 32):
            module.support_avx512bf16_for_cpu = False
