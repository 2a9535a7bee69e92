# SPDX-License-Identifier: Apache-2.0
"""What the record's man page says of each key; a test compares the keys with those of real records."""

ABOUT = [
    "llava ask --json prints one record: one line of JSON in ASCII. llava ask --output FILE writes the same to a file. "
    "A record has the question, the answer, and what the model was really shown.",
    "Scripts may rely on these keys. schema_version changes when one of them changes its meaning. A failure is a "
    "record too: its status is error, and what is not known is null or empty. llava ask --dry-run --json prints a "
    "record of status planned, with the prompt and the memory that the answer would take.",
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
    (
        "messages",
        "the conversation as it was given, with the paths of its media (see CONVERSATIONS). question is what follows "
        "it, or its own last message",
    ),
    ("template_sha256", "digest of the user's chat template (--template); or null"),
    (
        "choice",
        "how frames were to be chosen: frames, fps, sampling, start, end, fast_pixels; null leaves it to the model. "
        "max_frame_pixels and video_positions, where they were asked for",
    ),
    ("fit", "whether fewer frames might be shown"),
    ("raw", "whether the question is the whole prompt (--raw)"),
    ("window.number", "which part of the video this is about, from 1; only of windows (--every, --scenes)"),
    ("window.count", "how many windows the video has"),
    ("window.start", "seconds from the start of the video"),
    ("window.end", "seconds; what is shown comes before it"),
    ("title", "true: the question is for a title of the window; only then"),
    ("context[].start", "seconds; of the subtitles that stood before the question (--context), if there were any"),
    ("context[].end", "seconds"),
    ("context[].text", "text, without markup"),
    ("summary.path", "the video that an answer to --summary is about; path_b64 as for media"),
    ("summary.windows", "the ids of the records whose answers were put to the model, in the place of media"),
    ("summary.words", "how many words of each were, at most, to fit the context; null: all"),
    ("summary.each", "number: only one window in so many was told, to fit the context"),
    ("retry_loops", "true: an answer that repeats itself is asked once more (--retry-loops); only then"),
    ("schema", "text: the JSON schema that the answer was to fit (--schema); only if there is one"),
    ("regex", "text: the regular expression that it was to match (--regex); only if there is one"),
    ("grammar", "text: the grammar that was to derive it (--grammar); only if there is one"),
    ("answer", "text: the answer; only if status is ok"),
    (
        "caption.text",
        "what was made of the answer by --clean, --max-sentences and --max-words, without --prefix and --suffix; only "
        "with one of them",
    ),
    (
        "caption.changes",
        "what was done: clean, sentences, words; mid_sentence where the first sentence alone was too long",
    ),
    ("quality", "repetition: the answer repeats itself; only then"),
    ("parsed", "the JSON that the answer is; only if status is ok and it has a schema"),
    (
        "finish_reason",
        "stop: the model ended it, or what it was to fit left nothing more to say; length: --max-new-tokens ended it. "
        "An answer that was to fit something is a failure then, whose record has this key, or interrupted",
    ),
    (
        "confidence",
        "number: the mean probability of the tokens of the answer, its end among them; null where it is not known",
    ),
    ("choices[].text", "what there was to choose from (--choices), in the order given; only then"),
    (
        "choices[].probability",
        "number: how likely it is among the choices, which add up to 1; only if status is ok, as are the next two",
    ),
    (
        "choices[].logprob",
        "number: the log-probability of the choice as the whole answer: the sum over its tokens and its end, for which "
        "any token counts that ends an answer",
    ),
    ("choices[].tokens", "number: how many tokens these are, its end being one"),
    ("normalize", "what probabilities are made of: none, the logprobs; tokens, the logprobs per token; with choices"),
    ("logprobs", "number: how many tokens were asked for in each place (--logprobs); only then"),
    ("answer_tokens[].id", "a token that was generated, with the one that ended the answer; only with --logprobs"),
    ("answer_tokens[].text", "text: the same as a text; a part of a character cannot be told"),
    (
        "answer_tokens[].logprob",
        "number: its log-probability in 32 bit, as the model gave it: before --temperature and --top-p",
    ),
    ("answer_tokens[].best[].id", "the likeliest tokens in its place, best first"),
    ("answer_tokens[].best[].text", "text: the same as texts"),
    ("answer_tokens[].best[].logprob", "number: their log-probabilities"),
    ("error.code", "what kind of failure: see below"),
    ("error.message", "text: the message on stderr"),
    ("model.checkpoint", "as it was named, a short name as its hub id"),
    ("model.revision", "the commit on the hub; null for a folder"),
    ("model.family", "which family read it; null of a server's model that is of no known family"),
    ("model.dtype", "float32, bfloat16 or float16; like device and attention null where a server answers"),
    ("model.quantization", "nf4, int8 or null"),
    ("model.device", "where it ran; of several devices the first, where all lies that is no layer"),
    ("model.attention", "which implementation"),
    ("model.dummy", "true: random weights, the answer means nothing"),
    ("model.rope_scaling", "linear:FACTOR where positions are stretched; or null"),
    ("model.device_map", "which layers lie on each device, as 0-29; only if there are several"),
    ("model.worker", "true where a worker (--keep) has answered; only then"),
    ("model.endpoint", "address of the server that has answered (--endpoint); only then"),
    ("model.server", "what that server calls itself, where it does; no part of the id"),
    (
        "model.sent",
        "how videos were sent to it: frames, images or file, as PNG or JPEG of which quality, and whether with the "
        "frames' times; auto if none was",
    ),
    (
        "model.template",
        "whose chat template wrote the prompt: checkpoint, family or user (--template); server: the server's; none: "
        "--raw",
    ),
    ("media[].path", "the file's name; bytes that are not text are escaped"),
    ("media[].path_b64", "the name's exact bytes in base64, if they are not text"),
    ("media[].kind", "video or image"),
    ("media[].width", "pixels, upright"),
    ("media[].height", "pixels, upright"),
    ("media[].duration", "seconds; null for images"),
    ("media[].codec", "of the file"),
    ("media[].rotation", "degrees clockwise that it was turned to be upright"),
    ("media[].decoder", "pyav, opencv or pillow"),
    (
        "media[].sampling",
        "policy, frames, fps, start and end, as they were used for this video; videos only. Of a file that could not "
        "be read, start, end and so on stand beside its path if they were asked for",
    ),
    ("media[].pixels", "exact: scaled as the checkpoint's authors do; fast: inside the decoder; videos only"),
    ("media[].frame_size.width", "pixels: of each frame as the model was shown it"),
    ("media[].frame_size.height", "pixels"),
    ("media[].frames[].index", "place of the frame in the video, 0 first"),
    ("media[].frames[].time", "seconds from the start of the video"),
    (
        "media[].visual_tokens",
        "tokens that it took in the prompt. Of a server: how many more the prompt had than the same without media, "
        "which is asked for once for each text; several media share them as they would take them alone",
    ),
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
    (
        "timing.first_token_s",
        "seconds from the start of the prefill to the first token; from a server, to its first words, and 0 in lists",
    ),
    ("timing.generate_s", "seconds from the start of the prefill to the last token"),
    (
        "memory",
        "bytes: weights, cache, activations, fixed, total and free; in devices the same of each, if they are several; "
        "only if status is planned",
    ),
    (
        "warnings",
        "texts: what was changed of what was asked for, what may not be what was meant, whether the answer was cut "
        "off, and whether a server has dropped some of the pictures, or chosen the frames itself (--send file)",
    ),
    ("prompt_text", "the prompt, a placeholder for each medium or picture; only with --prompt-ids or --dry-run"),
    ("prompt_ids", "pairs of a token id and how often it follows itself; only with --prompt-ids"),
    ("answer_ids", "the token ids generated, with the one that ended the answer; only with --prompt-ids"),
    ("versions", "of llava_cli, transformers, torch and av"),
]
"""Each key by its path, and what it holds."""

CONVERSATIONS = [
    "llava ask --conversation FILE, the messages of a job of llava batch, and those of a record have one form, that of "
    "the models' own documents: a JSON list of messages, each an object with role (system, user or assistant) and "
    "content: a text, or a list of parts. Where the last message is the user's, it is the question; otherwise one must "
    "follow.",
    'A part is {"type": "text", "text": "..."}, or a medium of the user\'s: {"type": "video", "path": "clip.mp4"} or '
    '{"type": "image", "path": "still.png"}. In place of path, url, video or image may name the file or the http(s) '
    'URL, and so may {"type": "image_url", "image_url": {"url": "..."}}. Paths in a file are seen from its folder, '
    "those in a list of jobs from the current one. A medium without a path is the next of those that the command line "
    "names, or that the job has as its media.",
    "A medium may have start and end (seconds or h:mm:ss), frames, fps, and sampling (as --sampling) of its own, which "
    "come before the options; so may a job's media, each of which is a path or an object with path and these: "
    '[{"path": "clip.mp4", "end": 9}, {"path": "clip.mp4", "start": 9}].',
    "A checkpoint's chat template decides where in a message its media are shown; the published ones show images "
    'first, then videos, then the texts. A message with "inline": true keeps its media where they stand between its '
    "texts.",
]
"""The form of conversations."""
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
    ("unreachable", "the server (--endpoint) is not there; in a list this ends the run, and leaves no record"),
    ("refused", "the server does not take the request: its key, its model, its length, or what it holds"),
    ("server", "the server fails, takes longer than --endpoint-timeout, or says what is no answer"),
    ("unseen", "the server has answered without the media, as its count of tokens tells"),
    ("cut", "an answer that was to fit a schema, a regular expression or a grammar was cut off before it was whole"),
    ("shape", "an answer does not fit them, or cannot go on so that it does"),
    ("senseless", "its weights yield no numbers, or the same of every word"),
    ("not_found", "it is not on the hub, or private"),
    ("gated", "its terms have to be accepted first"),
    ("offline", "the hub cannot be reached"),
    ("out_of_memory", "too little memory"),
    ("engine_died", "three engines, one after the other, have ended over it (--gpus, --ray)"),
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
