# SPDX-License-Identifier: Apache-2.0
"""The road: what does not fit, what is decoded when, and what is said of it; alike for every way to ask."""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import tiny

from llava_cli.chat import Chat
from llava_cli.engine.shape import Misshapen, read_constraint
from llava_cli.engine.types import Generation, LoadOptions
from llava_cli.errors import InputError, OutOfMemory, UsageError
from llava_cli.request import WRAPPED_AGAIN, FrameChoice, Request
from llava_cli.session import Session


@pytest.fixture(scope="module")
def folder(checkpoints) -> Path:
    return checkpoints("llava-next-video")


@pytest.fixture(scope="module")
def short(tmp_path_factory) -> Path:
    """A checkpoint with room for 200 tokens."""
    folder = tiny.make("llava-next-video", tmp_path_factory.mktemp("short"))
    config = json.loads((folder / "config.json").read_text())
    config["text_config"]["max_position_embeddings"] = 200
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_a_question_that_looks_like_a_whole_prompt_is_warned_of_once(folder, request_of, caplog):
    request = replace(request_of(), question="[INST] <video> Why? [/INST]")
    with Session(str(folder), load=LoadOptions("cpu")) as session:
        answers = [session.ask(request) for _ in range(2)]
    assert [answer.record()["warnings"] for answer in answers] == [[WRAPPED_AGAIN, answers[0].cut]] * 2
    assert [record.getMessage() for record in caplog.records].count(WRAPPED_AGAIN) == 1


@pytest.fixture
def request_of(rendered):
    def made(**settings: object) -> Request:
        choice = FrameChoice(settings.pop("frames", 8), fps=settings.pop("fps", None))
        return Request("Why?", (str(rendered("h264")),), choice=choice, generation=Generation(5), **settings)

    return made


def session_of(folder: Path) -> Session:
    return Session(str(folder), load=LoadOptions("cpu", "float32"))


@pytest.mark.parametrize("pipe", ["standard input", "fifo"])
def test_a_pipe_is_read_once_however_often_it_is_decoded(short, rendered, tmp_path, pipe):
    options = ["-m", short, "-n", "80", "--max-new-tokens", "5", "--fit", "--json"]
    command = [sys.executable, "-m", "llava_cli", "ask"]
    with rendered("h264").open("rb") as stream:
        if pipe == "fifo":
            fifo = tmp_path / "clip.mp4"
            os.mkfifo(fifo)
            writer = threading.Thread(target=lambda: fifo.write_bytes(stream.read()))
            writer.start()
            done = subprocess.run([*command, fifo, "Why?", *options], capture_output=True, stdin=subprocess.DEVNULL)
            writer.join()
        else:
            done = subprocess.run([*command, "-", "Why?", *options], capture_output=True, stdin=stream)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert len(record["media"][0]["frames"]) < 80
    assert b"to fit the checkpoint's context" in done.stderr


def test_what_does_not_fit_into_the_context_is_refused_or_fitted(short, request_of, caplog):
    with session_of(short) as session:
        with pytest.raises(UsageError, match=r"its context is 200 tokens; --frames (\d+) would fit") as refused:
            session.ask(request_of(frames=80))
        answer = session.ask(request_of(frames=80, fit=True))
    frames = len(answer.media[0].frames)
    assert f"--frames {frames} would fit" in str(refused.value)
    note, cut = answer.warnings
    assert cut == answer.cut
    assert note == f"at most {frames} frames of each video are shown, to fit the checkpoint's context"
    assert f"{answer.media[0].info.path}: {note}" in caplog.messages
    assert answer.record()["warnings"] == [note, cut]


def test_what_does_not_fit_into_memory_is_refused_before_loading_or_fitted(folder, request_of, monkeypatch):
    from llava_cli.media.opened import OpenMedia

    monkeypatch.setattr(
        OpenMedia, "busy", False
    )  # where decoding takes longer than imports, weights are read meanwhile
    request = request_of(frames=32)
    with session_of(folder) as session:
        needed = session.loader.plan([])
        with session.open_media() as media:
            prepared = session.prepare(request, media, answering=False)
        # Room for a quarter of the prompt.
        all_of_it = session.plan(prepared).total
        room = needed.total + (all_of_it - needed.total) / 4
    for fit in (False, True):
        monkeypatch.setattr("llava_cli.engine.planning.free_memory", lambda device: room)
        with session_of(folder) as session:
            if not fit:
                with monkeypatch.context() as patch:
                    patch.setattr(type(session.loader), "load", None)
                    with pytest.raises(OutOfMemory, match="of 0\\.9 GiB free"):
                        session.ask(request)
                continue
            answer = session.ask(replace(request, fit=True))
            frames = len(answer.media[0].frames)
            assert frames in (16, 8, 4, 2, 1)
            verb = "frame of each video is" if frames == 1 else "frames of each video are"
            assert answer.warnings[0] == f"at most {frames} {verb} shown, to fit the memory"


def test_memory_that_runs_out_all_the_same_costs_frames_and_what_is_decoded_again_counts(folder, request_of):
    with session_of(folder) as session:
        stream = session.engine.stream

        def exhausted(query, cache=None, stop=None):
            if len(query.conversation.media[0].frames) > 3:
                raise OutOfMemory("cpu ran out of memory")
            return (yield from stream(query, cache, stop))

        session.engine.stream = exhausted
        with pytest.raises(OutOfMemory):
            session.ask(request_of(frames=8))
        with session.open_media() as media:
            decoded = []
            shown = media.shown
            media.shown = lambda *a: (shown(*a), decoded.append(media.decode_s))[0]
            answer = session.ask(request_of(frames=8, fit=True), media)
    assert len(answer.media[0].frames) == 2
    assert len(decoded) == 3
    assert decoded[0] < decoded[1] < decoded[2] == answer.prepared.decode_s


def test_media_are_decoded_while_libraries_are_imported_and_weights_are_read(folder, rendered, request_of, monkeypatch):
    """A decoder that takes long does not keep the rest waiting."""
    from llava_cli.media.opened import OpenMedia

    order: list[str] = []
    monkeypatch.setattr(OpenMedia, "busy", property(lambda media: True))
    begin, shown = OpenMedia.begin, OpenMedia.shown
    monkeypatch.setattr(OpenMedia, "begin", lambda *a: (order.append("decoding begins"), begin(*a))[1])
    monkeypatch.setattr(OpenMedia, "shown", lambda *a: (order.append("decoding is waited for"), shown(*a))[1])
    progress = lambda stage, count, total: order.append(stage) if count < total else None  # noqa: E731
    with Session(str(folder), load=LoadOptions("cpu"), progress=progress) as session:
        session.ask(request_of())
    steps = [
        "decoding begins",
        "starting",
        f"loading {folder}",
        f"reading {rendered('h264')}",
        "decoding is waited for",
    ]
    assert [step for step in dict.fromkeys(order) if step in steps] == steps


def test_a_file_that_cannot_be_read_is_told_before_anything_is_loaded(folder, monkeypatch):
    with session_of(folder) as session, session.open_media() as media:
        with pytest.raises(InputError, match=r"none\.mp4: no such file"):
            session.prepare(Request("Why?", ("none.mp4",)), media)
        assert "loader" not in vars(session)


def test_oddities_of_media_are_said_once_and_recorded(folder, rendered, request_of, caplog):
    request = request_of(frames=200)
    with caplog.at_level(logging.WARNING), session_of(folder) as session, session.open_media() as media:
        for _ in range(2):
            record = session.ask(request, media).record()
    said = [message for message in caplog.messages if "there are no more" in message]
    assert said == [f"{rendered('h264')}: {warning}" for warning in record["media"][0]["warnings"]]
    assert len(said) == 1


def test_sixty_seconds_at_one_a_second_are_sixty_frames(folder, rendered, request_of):
    """Not the family's default number, spread."""
    with session_of(folder) as session:
        clip = session.ask(replace(request_of(), choice=FrameChoice(fps=20.0))).media[0]
    assert len(clip.frames) > session.family.view.sampling.frames
    assert clip.times[1] - clip.times[0] == pytest.approx(0.05, abs=0.011)


def test_what_a_checkpoint_was_not_trained_on_is_said_once_and_recorded(checkpoints, request_of, caplog):
    expected = "video-llava was trained with 8 frames of every video, not 4"
    with caplog.at_level(logging.WARNING), session_of(checkpoints("video-llava")) as session:
        answers = [session.ask(request_of(frames=frames)) for frames in (4, 4, 8)]
    records = [answer.record() for answer in answers]
    notes = [[warning for warning in answer.warnings if warning != answer.cut] for answer in answers]
    assert notes == [[expected], [expected], []]
    assert [record["warnings"] for record in records] == [list(answer.warnings) for answer in answers]
    assert [record["usage"]["visual_tokens"] for record in records] == [4 * 17, 4 * 17, 8 * 17]
    assert caplog.messages.count(expected) == 1


def test_of_an_answer_that_is_to_have_a_shape_nothing_is_told_before_it_is_whole(folder, request_of):
    shape = read_constraint(regex="(Yes|No), it is a [a-z]{3}[.]")
    request = replace(request_of(), constraint=shape, generation=Generation(40))
    with session_of(folder) as session:
        (piece,) = session.stream_of(request)
        assert piece in (f"Yes, it is a {piece[-4:]}", f"No, it is a {piece[-4:]}")
        told = []
        with pytest.raises(Misshapen, match=r"^the answer was cut off after 5 tokens, before it was whole: '") as cut:
            told += session.stream_of(replace(request, generation=Generation(5)))
        assert told == []
        assert cut.value.finish_reason == "length"
        assert [medium.info.path for medium in cut.value.known["media"]] == list(request.names)


def test_an_answer_that_is_stopped_before_it_is_whole_is_none(folder, request_of):
    request = replace(request_of(), constraint=read_constraint("people int"), generation=Generation(40))
    with session_of(folder) as session, Chat(session, request) as chat:
        stream = chat.stream("Why?", lambda: True)
        with pytest.raises(Misshapen, match=r"^the answer was stopped, before it was whole: '"):
            stream.result()
        assert chat.history == []
