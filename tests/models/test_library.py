# SPDX-License-Identifier: Apache-2.0
"""What a config.json leaves out is what the library's classes, which build the model, take for it."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
from transformers import (
    CLIPVisionConfig,
    LlamaConfig,
    LlavaNextVideoConfig,
    LlavaOnevisionConfig,
    MistralConfig,
    Qwen2Config,
    SiglipVisionConfig,
)

from llava_cli.errors import ModelError
from llava_cli.models import library

CONTEXTS = {"llama": LlamaConfig, "mistral": MistralConfig, "qwen2": Qwen2Config}


@pytest.mark.parametrize("text", CONTEXTS)
def test_parts_have_the_defaults_of_their_own_classes(text):
    known = library.defaults({"model_type": "llava_next_video", "text_config": {"model_type": text}})
    assert known["text_config"]["max_position_embeddings"] == CONTEXTS[text]().max_position_embeddings
    assert known["vision_config"]["image_size"] == CLIPVisionConfig().image_size
    assert known["spatial_pool_stride"] == LlavaNextVideoConfig().spatial_pool_stride


def test_parts_of_no_kind_are_of_the_checkpoint_s_usual_kinds():
    known = library.defaults({"model_type": "llava_onevision", "text_config": {"model_type": None}})
    assert known["text_config"]["max_position_embeddings"] == Qwen2Config().max_position_embeddings
    assert known["vision_config"]["patch_size"] == SiglipVisionConfig().patch_size
    assert known["image_grid_pinpoints"] == LlavaOnevisionConfig().image_grid_pinpoints


def test_the_class_that_was_never_released_has_the_defaults_of_the_one_that_it_was_drafted_from():
    draft, released = (library.defaults({"model_type": f"llava_next_video{end}"}) for end in ("2", ""))
    assert draft == released


@pytest.mark.parametrize(
    "config", [{}, {"model_type": "x"}, {"model_type": "llava", "text_config": {"model_type": "x"}}]
)
def test_what_the_library_does_not_know_is_an_error(config):
    with pytest.raises(ModelError, match="transformers knows no"):
        library.defaults(config)


def test_what_the_library_said_once_is_known_without_importing_it(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    library._defaults.cache_clear()
    config = {"model_type": "llava_onevision", "text_config": {"model_type": "qwen2"}}
    said = library.defaults(config)
    script = (
        "import json, sys\n"
        "from llava_cli.models import library\n"
        f"print(json.dumps(library.defaults({config!r})))\n"
        "assert 'transformers' not in sys.modules"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == said


def test_another_version_of_the_library_is_asked_again(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    asked = []
    monkeypatch.setattr(library, "_asked", lambda *kind: asked.append(kind) or {"x": 1})
    for version in ("1", "1", "2"):
        library._defaults.cache_clear()
        monkeypatch.setattr(library, "_version", lambda version=version: version)
        assert library.defaults({"model_type": "llava"}) == {"x": 1}
    library._defaults.cache_clear()
    assert len(asked) == 2


def test_without_the_library_that_is_told(tmp_path):
    script = (
        "import sys; sys.modules['transformers'] = None\n"
        "from llava_cli.errors import ModelError\n"
        "from llava_cli.models import library\n"
        "try: library.defaults({'model_type': 'llava'})\n"
        "except ModelError as error: print(error)"
    )
    alone = os.environ | {"XDG_CACHE_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, env=alone)
    assert "transformers, which cannot be imported" in done.stdout
