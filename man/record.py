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
    (
        "id",
        "text: a hash of all that was asked, of the model, and of the names and pixels of what was shown: records with "
        "the same id are about the same work; null if the question is not known. A job of a list has its own id",
    ),
    ("status", "ok, planned or error"),
    ("question", "text: the question; null if a failure came before it was known"),
    ("system", "text: the system prompt; or null"),
    ("messages", "what was said before, in the form of the file that llava ask --conversation reads"),
    (
        "choice",
        "how frames were to be chosen: frames, fps, sampling, start, end, exact_pixels; null leaves it to the model",
    ),
    ("fit", "whether fewer frames might be shown"),
    ("answer", "text: the answer; only if status is ok"),
    ("finish_reason", "stop: the model ended it; length: --max-new-tokens did"),
    ("error.code", "what kind of failure: see below"),
    ("error.message", "text: the message on stderr"),
    ("model.checkpoint", "as it was named, a short name as its hub id"),
    ("model.revision", "the commit on the hub; null for a folder"),
    ("model.family", "which family read it"),
    ("model.dtype", "float32, bfloat16 or float16"),
    ("model.quantization", "nf4, int8 or null"),
    ("model.device", "where it ran"),
    ("model.attention", "which implementation"),
    ("model.dummy", "true: random weights, the answer means nothing"),
    ("model.rope_scaling", "linear:FACTOR where positions are stretched; or null"),
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
    ("warnings", "texts: what was changed of what was asked for"),
    ("versions", "of llava_cli, transformers, torch and av"),
]
"""Each key by its path, and what it holds."""

ERROR_CODES = [
    ("usage", "the command line or an option makes no sense"),
    ("context", "prompt and answer are longer than the model's context"),
    ("input", "a file cannot be read, or shows nothing"),
    ("decoder", "a file cannot be decoded, for a reason that nobody foresaw"),
    ("decoder_crashed", "a file ended the process that decoded it"),
    ("decoder_start", "no process for decoding could be started"),
    ("timeout", "decoding took longer than --timeout"),
    ("memory", "decoding took more memory than --max-memory"),
    ("changed", "a file was changed while it was read; the next run takes it as it is then"),
    ("job", "a line of a list is no job; the message has its number"),
    ("model", "the checkpoint cannot be found or used"),
    ("not_found", "it is not on the hub, or private"),
    ("gated", "its terms have to be accepted first"),
    ("offline", "the hub cannot be reached"),
    ("out_of_memory", "too little memory"),
    ("output", "a result cannot be written, such as a sidecar"),
    ("bug", "a bug in llava; the message has the path of a log"),
]
"""Each code of an error, and what it says; a test compares them with the program's."""

LIST_KEYS = [
    ("key", "text: the same for the same work; see below"),
    ("batch_size", "number: how many questions were answered together; only if status is ok"),
    ("same_as", "the id of the record whose answer this one repeats, where the same work had been done"),
    ("job", "what the list says of a job under a name that is a record's key"),
    ("(others)", "what else the list says of a job, under its own names"),
]
"""Keys that records of lists have besides."""

LEDGER_ABOUT = [
    "llava caption --output FILE and llava batch --output FILE append records to a file, one a line: the ledger. "
    "llava ask --output FILE --append appends to one. A ledger promises:",
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
