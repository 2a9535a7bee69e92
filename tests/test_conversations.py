# SPDX-License-Identifier: Apache-2.0
"""Conversations as the models' documents write them: their tokens and answers are those of the documents' snippets.

Nothing here sets an option, but for where numbers are kept: what is compared is what a user gets by default.
"""

from __future__ import annotations

import io
import json
import re
import shutil
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import recipes
from answering import GREEDY
from PIL import Image
from transformers import PreTrainedTokenizerFast

from llava_cli.answer import Prepared
from llava_cli.batch.jobs import read_jsonl
from llava_cli.batch.run import open_batch
from llava_cli.cli.ask import read_arguments
from llava_cli.engine.types import LoadOptions
from llava_cli.media.clip import Clip, Media, Still
from llava_cli.request import Request
from llava_cli.session import Session

Messages = list[dict[str, Any]]

VIDEO, IMAGE = {"type": "video", "path": "clip.mp4"}, {"type": "image", "path": "still.png"}


def text(words: str) -> dict[str, str]:
    return {"type": "text", "text": words}


def user(*content: dict[str, Any]) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


WHY, COMPARE = text("Why is this video funny?"), text("Compare.")
HISTORY = [
    {"role": "system", "content": [text("Be brief.")]},
    user(text("What is it?"), IMAGE),
    {"role": "assistant", "content": [text("A slope. "), text("It is grey.")]},
]
CONVERSATIONS: dict[str, Messages] = {
    "media first": [user(VIDEO, WHY)],
    "text first": [user(WHY, VIDEO)],
    "history": [*HISTORY, user(text("And here?"), VIDEO)],
    "a video before an image": [user(VIDEO, IMAGE, COMPARE)],
    "mixed media in two turns": [user(VIDEO, COMPARE, IMAGE), HISTORY[2], user(text("And?"), IMAGE, VIDEO)],
    "several texts": [user(text("Look."), VIDEO, text(" Think."), IMAGE, text("Answer."))],
    # Of eight frames each: the snippets cannot show clips of different lengths together.
    "ranges": [
        user(VIDEO | {"start": 1, "end": "0:02", "frames": 8}, VIDEO | {"end": 2, "fps": 4}, COMPARE),
        HISTORY[2],
        user(text("And here?"), VIDEO | {"start": 2.5, "frames": 8, "sampling": "linspace"}),
    ],
}


@dataclass(frozen=True)
class Case:
    """What is peculiar to a family's published snippet."""

    family: str
    recipe: Callable[[Path], recipes.Recipe]
    tokens_of: Callable[[Clip], int]
    """Placeholders that its processor writes for a clip."""

    def __str__(self) -> str:
        return self.family


CASES = [
    Case("llava-next-video", recipes.llava_next_video, lambda seen: 4 * len(seen.frames)),
    Case("video-llava", recipes.video_llava, lambda seen: 17 * 8),
    Case("llava-interleave", recipes.llava_interleave, lambda seen: 16 * len(seen.frames)),
    Case("llava-onevision", recipes.llava_onevision, lambda seen: 9 * len(seen.frames) + 1),
    Case("llava-video", recipes.llava_video, lambda seen: 12 * len(seen.frames)),
    Case("llava-onevision2", recipes.llava_onevision2, lambda seen: 12 * len(seen.frames)),
]
OF_PICTURES = ("llava-interleave", "llava-onevision2")
"""Families to which all media are images."""


@pytest.fixture(scope="module", params=CASES, ids=str)
def case(request: pytest.FixtureRequest) -> Case:
    return request.param


@pytest.fixture(scope="module")
def folder(case: Case, checkpoints: Callable[[str], Path]) -> Path:
    return checkpoints(case.family)


@pytest.fixture(scope="module")
def session(folder: Path):
    with Session(str(folder), load=LoadOptions("cpu", "float32")) as session:
        yield session


@pytest.fixture(scope="module")
def media(tmp_path_factory: pytest.TempPathFactory, rendered: Callable[[str], Path]) -> Path:
    """A folder with the files that the conversations name."""
    folder = tmp_path_factory.mktemp("media")
    shutil.copy(rendered("h264"), folder / "clip.mp4")
    Image.linear_gradient("L").resize((90, 60)).convert("RGB").save(folder / "still.png")
    return folder


def asked(content: Messages, media: Path, *arguments: str) -> Request:
    """The request of `llava ask --conversation FILE ARGUMENTS`."""
    file = media / "chat.json"
    file.write_text(json.dumps(content))
    (question,), named, history = read_arguments(arguments, None, file)
    return Request(question, named, history, generation=GREEDY)


def prepared(session: Session, request: Request) -> Prepared:
    with session.open_media() as files:
        return session.prepare(request, files)


def snippet(case: Case, folder: Path, content: Messages, seen: Sequence[Media]) -> str:
    """The prompt of the documents' snippet, with one placeholder for each medium, or for each picture of it."""
    if case.family == "llava-video":
        return authors_prompt(content, iter(seen))
    if case.family == "llava-interleave":  # whose documents show each frame as an image
        content = in_pictures(content, iter(seen))
    template = json.loads((folder / "chat_template.json").read_text())["chat_template"]
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    text = tokenizer.apply_chat_template(content, chat_template=template, tokenize=False, add_generation_prompt=True)
    if case.family == "llava-onevision2":
        for clip in (one for one in seen if isinstance(one, Clip)):
            frames = "".join(f"<{time:.1f} seconds>{PICTURE}" for time in clip.times)
            text = text.replace("<|vision_start|><|video_pad|><|vision_end|>", frames, 1)
    return str(text).replace("<|image_pad|>", "<image>")


PICTURE = "<|vision_start|><image><|vision_end|>"
"""In the prompt that LLaVA-OneVision-2's processor makes of a template's."""


def in_pictures(content: Messages, seen: Any) -> Messages:
    def pictures(part: dict[str, Any]) -> list[dict[str, Any]]:
        if part["type"] == "text":
            return [part]
        medium = next(seen)
        return [{"type": "image"}] * (len(medium.frames) if isinstance(medium, Clip) else 1)

    return [
        message | {"content": [one for part in message["content"] for one in pictures(part)]} for message in content
    ]


def authors_prompt(content: Messages, seen: Any) -> str:
    """LLaVA-Video's checkpoints bring no template that knows media: their authors write it so."""
    turns = [] if content[0]["role"] == "system" else [("system", "You are a helpful assistant.")]
    for message in content:
        lines: dict[str, list[str]] = {"image": [], "video": [], "text": []}
        for part in message["content"]:
            lines[part["type"]].append(part["text"] if part["type"] == "text" else told(next(seen)))
        turns.append((message["role"], "\n".join([*lines["image"], *lines["video"], *lines["text"]])))
    return "".join(f"<|im_start|>{role}\n{said}<|im_end|>\n" for role, said in turns) + "<|im_start|>assistant\n"


def told(medium: Media) -> str:
    if isinstance(medium, Still):
        return "<image>"
    times = ",".join(f"{time:.2f}s" for time in medium.times)
    return (
        f"<video>\nThe video lasts for {medium.info.duration:.2f} seconds, and {len(medium.times)} frames are "
        f"uniformly sampled from it. These frames are located at {times}.Please answer the following questions related "
        "to this video."
    )


def snippet_ids(case: Case, folder: Path, session: Session, prompt: str, seen: Sequence[Media]) -> list[int]:
    """The ids of a snippet's prompt, its placeholders repeated as the family's processor does."""
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    stills = [session.family.visual_tokens(one) for one in seen if isinstance(one, Still)]
    clips = [case.tokens_of(one) for one in seen if isinstance(one, Clip)]
    if case.family in OF_PICTURES:
        pictures = [one.tokens for medium in seen for one in session.family.placeholders(medium)]
        prompt = recipes.repeated(prompt, "<image>", pictures)
    else:
        prompt = recipes.repeated(recipes.repeated(prompt, "<image>", stills), "<video>", clips)
    tokenizer.add_tokens(["<image>", "<video>"], special_tokens=True)  # which LLaVA-Video's lacks
    ids = {tokenizer.convert_tokens_to_ids(f"<{kind}>"): own for kind, own in session.family.placeholder_ids.items()}
    return [ids.get(token, token) for token in tokenizer(prompt).input_ids]


@pytest.mark.parametrize("name", CONVERSATIONS)
def test_a_conversation_has_the_tokens_and_the_answer_of_the_documents_snippet(case, folder, session, media, name):
    ready = prepared(session, asked(CONVERSATIONS[name], media))
    text = snippet(case, folder, CONVERSATIONS[name], ready.media)
    assert ready.query.prompt.text == text
    assert ready.query.prompt.template == ("family" if case.family == "llava-video" else "checkpoint")
    assert ready.request.notes == ()
    assert ready.query.prompt.ids == snippet_ids(case, folder, session, text, ready.media)
    if case.family not in OF_PICTURES:
        assert re.findall("<(video|image)>", text) == [medium.info.kind for medium in ready.query.prompt.media]
    answer = session.engine.answer([ready.query])[0].text
    assert len(answer) > 5
    assert answer == case.recipe(folder)(text, list(ready.media))


def test_a_list_of_conversations_has_the_answers_of_each_alone(case, folder, session, media):
    """The documents' batch of several conversations, of unequal lengths."""
    lines = [json.dumps({"id": name, "messages": content}) + "\n" for name, content in CONVERSATIONS.items()]
    named = "".join(lines).replace(
        '"path": "', f'"path": "{media}/'
    )  # in lists, paths are seen from the current folder
    jobs = list(read_jsonl(io.BytesIO(named.encode()), "jobs"))
    with open_batch(session, lambda: jobs, Request(generation=GREEDY)) as batch:
        records = {result.record["id"]: result.record for result in batch.results()}
    assert {record["status"] for record in records.values()} == {"ok"}
    assert max(record["batch_size"] for record in records.values()) > 1
    for name in CONVERSATIONS:
        alone = prepared(session, asked(CONVERSATIONS[name], media))
        expected = case.recipe(folder)(snippet(case, folder, CONVERSATIONS[name], alone.media), list(alone.media))
        assert records[name]["answer"] == expected, name
        assert records[name]["usage"]["prompt_tokens"] == len(alone.query.prompt.ids)


def test_media_named_on_the_command_line_take_the_open_places(case, session, media):
    open_places = [user(text("Compare."), {"type": "video"}, {"type": "image"})]
    named = [user(text("Compare."), VIDEO, IMAGE)]
    files = [str(media / "clip.mp4"), str(media / "still.png")]
    first, second = (prepared(session, one) for one in (asked(open_places, media, *files), asked(named, media)))
    assert first.query.prompt.ids == second.query.prompt.ids


def test_one_file_is_shown_in_several_ranges(session, media):
    seen = prepared(session, asked(CONVERSATIONS["ranges"], media)).media
    assert [(len(clip.times), clip.times[0]) for clip in seen] == [(8, 1.0), (8, 0.0), (8, 2.52)]
    assert max(seen[0].times + seen[1].times) < 2
    assert seen[2].indices[-1] == 99
    assert [clip.sampling.policy for clip in seen[1:]] == ["fps", "linspace"]


def test_a_template_that_drops_media_is_told_once_and_the_published_one_used(checkpoints, media, tmp_path, caplog):
    folder = shutil.copytree(checkpoints("llava-next-video"), tmp_path, dirs_exist_ok=True)
    template = (folder / "chat_template.json").read_text()
    (folder / "chat_template.json").write_text(template.replace("'equalto', 'video'", "'equalto', 'film'"))
    with Session(str(folder), load=LoadOptions("cpu", "float32")) as session:
        for _ in range(2):
            ready = prepared(session, asked([user(WHY, VIDEO)], media))
            answer = session.ask(asked([user(WHY, VIDEO)], media))
    note = (
        "the checkpoint's chat template does not show every video once, in order; the published one of "
        "llava-next-video is used"
    )
    assert ready.query.prompt.text == "USER: <video>\nWhy is this video funny? ASSISTANT:"
    assert answer.record()["model"]["template"] == "family"
    assert answer.record()["warnings"][0] == note
    assert caplog.messages.count(note) == 1
