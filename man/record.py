# SPDX-License-Identifier: Apache-2.0
"""What the record's man page says of each key; a test compares the keys with those of real records."""

ABOUT = [
    "llava ask --json prints one record: one line of JSON in ASCII. llava ask --output FILE writes the same to a file. "
    "A record has the question, the answer, and what the model was really shown.",
    "Scripts may rely on these keys. schema_version changes when one of them changes its meaning. A failure is a "
    "record too: its status is error, and what is not known is null or empty. llava ask --dry-run --json prints a "
    "record of status planned, with the memory that the answer would take.",
]

KEYS = [
    ("schema_version", "number: 1"),
    ("id", "text: the same for the same question, media names, model and settings; null if the question is not known"),
    ("status", "ok, planned or error"),
    ("question", "text: the question; null if a failure came before it was known"),
    ("answer", "text: the answer; only if status is ok"),
    ("finish_reason", "stop: the model ended it; length: --max-new-tokens did"),
    ("error.code", "usage, context, input, model, not_found, gated, offline, out_of_memory, output"),
    ("error.message", "text: the message on stderr"),
    ("model.checkpoint", "as it was named, a short name as its hub id"),
    ("model.revision", "the commit on the hub; null for a folder"),
    ("model.family", "which family read it"),
    ("model.dtype", "float32, bfloat16 or float16"),
    ("model.quantization", "nf4, int8 or null"),
    ("model.device", "where it ran"),
    ("model.attention", "which implementation"),
    ("model.dummy", "true: random weights, the answer means nothing"),
    ("model.template", "whose chat template wrote the prompt: checkpoint or family"),
    ("media[].path", "the file's name; bytes that are not text are escaped"),
    ("media[].path_b64", "the name's exact bytes in base64, if they are not text"),
    ("media[].kind", "video or image"),
    ("media[].width", "pixels, upright"),
    ("media[].height", "pixels, upright"),
    ("media[].duration", "seconds; null for images"),
    ("media[].codec", "of the file"),
    ("media[].rotation", "degrees clockwise that it was turned to be upright"),
    ("media[].decoder", "pyav, opencv or pillow"),
    ("media[].sampling", "policy, frames, fps, start and end, as they were used; videos only"),
    ("media[].frames[].index", "place of the frame in the video, 0 first"),
    ("media[].frames[].time", "seconds from the start of the video"),
    ("media[].visual_tokens", "tokens that it took in the prompt"),
    ("media[].warnings", "texts: what was odd about it"),
    ("generation.max_new_tokens", "the longest answer"),
    ("generation.do_sample", "whether it was sampled"),
    ("generation.temperature", "number or null"),
    ("generation.top_p", "number or null"),
    ("generation.seed", "repeats the sample; or null"),
    ("usage.prompt_tokens", "number: all tokens of the prompt"),
    ("usage.visual_tokens", "number: those of them that stand for media"),
    ("usage.completion_tokens", "number: tokens of the answer"),
    ("timing.load_s", "seconds for loading"),
    ("timing.decode_s", "seconds for reading the media"),
    ("timing.encode_s", "seconds in the vision tower"),
    ("timing.first_token_s", "seconds from the start of the prefill to the first token"),
    ("timing.generate_s", "seconds from the start of the prefill to the last token"),
    ("memory", "bytes: weights, cache, activations, fixed, total and free; only if status is planned"),
    ("warnings", "texts: what was changed of what was asked for, and whether the answer was cut off"),
    ("versions", "of llava_cli, transformers, torch and av"),
]
"""Each key by its path, and what it holds."""

LEDGER_ABOUT = [
    "llava caption --output FILE and llava batch --output FILE append records to a file, one a line: the ledger. Its "
    "records have more keys: key, which is the same for the same work; batch_size, how many questions were answered "
    "together; system, the system prompt; same_as, the id of the record whose answer this one repeats; what the list "
    "says of a job beside its own keys, and in job what would take the place of a record's key. A ledger promises:",
]

LEDGER = [
    "A record is on the disk before its job counts as done: what a kill or a power cut can lose is only what "
    "was in hand.",
    "Records are only ever appended; half a line that a crash has left is cut off before the next is written.",
    "A file that is not a ledger is not touched.",
    "The same command again does what is missing: there is one record for each job, however often it was stopped.",
    "Work is known by the contents of its files and by its settings: renamed and copied files keep their "
    "answers, a changed setting is new work.",
    "Several processes may work on one list and one ledger: none begins what another has in hand, and what a "
    "killed one had in hand is free again.",
    "A full disk ends the run, and leaves whole records.",
    "--retry-failed tries failed jobs again, --force all jobs; a later answer counts more than an earlier failure.",
]
"""What the file that llava caption and llava batch write records to promises; see tests/batch/test_contract.py."""
