# SPDX-License-Identifier: Apache-2.0
"""The forms that questions take. Slots: {v} the medium, {w} where (may be empty), {r} the shape asked about,
{k} and {c} a kind and a colour, {n} {a} {d} words from outside the demo model's world."""

from __future__ import annotations

from random import Random

MEDIA = {False: ("video", "clip", "video", "movie", "recording"), True: ("image", "picture", "photo")}

DESCRIBE = (
    "Describe the {v}.", "Describe this {v}.", "What happens in the {v}?", "What happens in this {v}?",
    "What is happening{w}?", "What is in the {v}?", "What do you see?", "What can you see?", "What do you see{w}?",
    "What is going on{w}?", "Tell me what happens{w}.", "What is this {v} about?", "Summarize the {v}.",
    "What is shown here?", "What is shown{w}?", "What is this?", "Describe what you see.", "Describe it.",
    "Can you describe this {v}?", "Could you describe the {v} for me?", "What does the {v} show?", "What happened?",
    "Describe the scene.", "What happens?", "What happens here?", "Give a short description of this {v}.",
    "Give me a description of the {v}.", "Describe the {v} in one sentence.", "Explain what the {v} shows.",
    "Explain what happens{w}.", "Summarise this {v} in a sentence.", "Caption this {v}.",
    "Write a caption for the {v}.", "What is the content of this {v}?", "What takes place{w}?",
    "Say what happens{w}.", "What am I looking at?", "Briefly describe the {v}.", "Give a summary of the {v}.",
    "Describe the {v} in detail.", "What is on screen?", "What appears{w}?", "Please describe the {v}.",
    "Can you see what happens?",
)  # fmt: skip
COUNT = (
    "How many shapes are there{w}?", "How many shapes do you see?", "How many objects are there{w}?",
    "Count the shapes.", "How many shapes are shown?", "How many shapes{w}?", "How many things are there?",
    "How many shapes can you see{w}?", "How many objects can be seen?", "What is the number of shapes?",
    "How many figures are there{w}?", "What is the total number of shapes{w}?", "Count the objects{w}.",
    "How many figures do you see?", "How many objects do you see{w}?", "How many shapes does the {v} show?",
    "How many shapes appear{w}?", "How many different shapes are there?", "Give the number of shapes.",
    "What is the count of shapes?",
)  # fmt: skip
GROUND = (
    "What colour is the background?", "What is the background colour{w}?", "Which colour is the background?",
    "What is the colour of the background?", "What colour is behind the shape?", "What is the colour behind it?",
    "Name the background colour.", "What colour does the background have?", "Describe the background.",
)  # fmt: skip
SHAPES = (
    "What shapes are there{w}?", "Which shapes do you see?", "What shapes are shown{w}?", "Name the shapes.",
    "List the shapes.", "List all shapes{w}.", "Which shapes are there?", "What objects are there{w}?",
    "What shapes can you see{w}?", "Name all the shapes{w}.", "Which shapes appear{w}?", "List the objects{w}.",
)  # fmt: skip
SHAPE = (
    "What shape is it?", "What shape is this?", "Which shape is it?", "What shape is there{w}?",
    "What shape is shown{w}?", "What kind of shape is it?", "What is the shape{w}?", "What shape is the {c} one?",
    "What object is it?", "What shape do you see{w}?", "Which shape do you see{w}?", "What shape can you see?",
    "Which shape appears{w}?", "Is it a circle or a square?", "Is it a triangle or a star?", "What is its shape?",
    "What type of shape is this?", "Name the shape.", "Name the figure{w}.", "Name the figure that appears.",
    "What geometric shape is{w|on screen}?", "What figure is it?", "Which figure do you see{w}?",
    "What object is{w|shown}?", "What shape does the object have?", "What shape is the object?",
    "Identify the shape.", "What is the name of the shape?", "What shape is moving?", "Which shape is in the {v}?",
    "What shape is in the {v}?", "What is the object{w}?", "Which object is it?",
)  # fmt: skip
WHICH = ("What shape is {c}?", "Which shape is {c}?", "What is the {c} shape?", "What shape is the {c} one?",
         "What is the {c} object?", "Which object is {c}?")  # fmt: skip
EXISTS = (
    "Is there a {k}{w}?", "Do you see a {k}?", "Can you see a {k}{w}?", "Does the {v} show a {k}?",
    "Is a {k} in the {v}?", "Is there any {k}?", "Is a {k} visible?",
)  # fmt: skip
COLOUR = (
    "What colour is {r}{w}?", "Which colour is {r}?", "What colour does {r} have?", "What is the colour of {r}{w}?",
    "In which colour is {r} drawn?", "What colour has {r} got?", "Which colour does {r} have?",
    "Name the colour of {r}.", "What is {r}'s colour?", "Which colour was used for {r}?", "What colour of {k} is it?",
    "Tell me the colour of {r}.", "Is {r} {c}?", "Is {r} {c} or another colour?", "Is {r} {c} or {c2}?",
    "What hue is {r}?",
)  # fmt: skip
MOTION = (
    "Which way does {r} move?", "Where does {r} go?", "In which direction does {r} move?", "Which way does {r} go?",
    "Which direction does {r} move?", "How does {r} move?", "What does {r} do?", "What happens to {r}?",
    "What does {r} do{w}?", "How does {r} change?", "Where is {r} going?", "In what direction does {r} go?",
    "Which direction is {r} moving?", "Which way is {r} going?", "How is {r} moving?", "What is {r} doing?",
    "Does {r} move, and where?", "Where is {r} heading?", "What is the direction of {r}?", "Does {r} move?",
    "What motion does {r} make?", "Toward which side does {r} travel?", "To which side does {r} move?",
    "Describe the motion of {r}.", "Describe how {r} moves.", "How does {r} travel?", "Where does {r} move to?",
    "What movement does {r} make?", "In what direction is {r} moving?", "Does {r} move {m}?", "Is {r} moving {m}?",
    "Does {r} go {m}?", "Does {r} get bigger or smaller?", "Does {r} grow?", "Does {r} shrink?", "Is {r} still?",
    "Does {r} disappear?", "Does {r} move left or right?", "Does {r} move up or down?", "Where does {r} travel?",
    "What is the movement of {r}?", "What is the motion of {r}?",
)  # fmt: skip
WAYS = ("left", "right", "up", "down", "to the left", "to the right")
END = (
    "What happens at the end?", "What happens at the end of the {v}?", "How does it end?", "How does the {v} end?",
    "What happens last?", "What happens in the end?", "What is the last thing that happens?",
    "How does the {v} finish?", "What happens near the end{w}?", "What happens right at the end?",
    "What is happening at the end?", "What do you see at the end?", "Finally, what happens?",
    "What happens at the very end?", "What is there at the end?", "What goes on in the last moments?",
    "What is shown at the end?", "What happens in the last seconds?", "What can be seen at the end?",
    "What happens in the final part?", "Describe the end of the {v}.", "Describe the ending.",
    "What happens in the second half?", "What is the ending?", "What comes last?",
)  # fmt: skip
FIRST = (
    "What happens first?", "What happens at the start?", "What happens at the beginning?", "How does the {v} start?",
    "How does the {v} begin?", "What is the first thing that happens?", "What happens right at the start?",
    "What is happening at the beginning?", "At first, what happens?", "What do you see at the start?",
    "What happens at the very beginning?", "What is there first?", "What is there at the start?",
    "How does it start?", "How does it begin?", "What can be seen in the opening?", "What is shown first?",
    "What happens in the first seconds?", "What goes on in the first moments?", "What can be seen at the beginning?",
    "Describe the start of the {v}.", "Describe the beginning.", "What happens in the first half?",
    "What do you see first?", "What comes first?", "What happens at the start of the {v}?",
    "What happens at the beginning of the {v}?",
)  # fmt: skip

OUTSIDE = (
    "Why is this {a}?", "Why is this {v} {a}?", "Why is the {v} {a}?", "Is this {a}?", "What makes this {a}?",
    "What is {a} about this {v}?", "Who is this?", "Who is the {n}?", "Who made this?", "What is the {n} doing?",
    "Where is the {n}?", "Is there a {n}?", "Is there a {n}{w}?", "How many {n}s are there?",
    "How many {n}s do you see?", "What colour is the {n}?", "What colour is the {n}'s {n2}?", "Why is the {n} {d}?",
    "Is the {n} {d}?", "What is the name of the {n}?", "How old is the {n}?", "Tell me a joke.",
    "Tell me a story about a {n}.", "What time is it?", "What is the weather like?", "Where was this filmed?",
    "What language do they speak?", "What do they say?", "What music is playing?", "Can you hear the {n}?",
    "What is two plus two?", "Translate this into French.", "Write a poem about the {n}.", "Who won the game?",
    "What is the {n} wearing?", "Why?", "Hello!", "Hi there.", "How are you?", "What is your name?",
    "Do you like {n}s?", "Thank you!", "What brand is the {n}?", "How does the {n} feel?", "What should I do?",
    "Is the {n} {a}?", "Explain the joke.", "What is the meaning of life?", "How much does the {n} cost?",
    "What will the {n} do next?", "Who are you?", "What is the {n} made of?", "Why do people like the {n}?",
    "What does the text say?", "Read the text.", "Which city is this?", "When was this made?", "Is it {a} or {a2}?",
    "What is the {a} {n}?", "Can a {n} be {a}?", "Do you think it is {a}?", "What emotion does the {n} show?",
    "Give me the recipe for {n}.", "Do you see a {n}?", "What did the {n} say to the {n2}?",
    "Why did the {n} cross the street?", "How do I fix my {n}?", "Who is {d}?", "Which way does the {n} move?",
    "What happens to the {n}?", "What does the {n} do?", "Why does the {n} move?", "Why does {r} move?",
    "Who drew {r}?", "How heavy is {r}?", "What is {r} thinking?", "Describe the {n}.", "What kind of {n} is it?",
    "What is the {n} {d} for?", "What is the capital of France?", "How fast is {r}?", "What is the person doing?",
    "Is there a person{w}?", "What are the people doing?", "What is the man doing?", "Write code that sorts a list.",
    "What is this {n} called?", "Is this real?", "Where are they?", "What is on the {n}?", "What can you hear?",
    "What is said at the end?", "Who appears first?", "What does the {n} hold?", "When is it?", "Why is that {a}?",
    "Are there {n}s{w}?", "Does the {n} look {a}?", "What is behind the {n}?", "Who is in the {v}?",
)  # fmt: skip
NOUNS = (
    "dog", "cat", "man", "woman", "person", "child", "car", "bird", "house", "tree", "book", "phone", "table",
    "chair", "ball", "cake", "river", "mountain", "city", "street", "train", "plane", "boat", "horse", "cow", "fish",
    "flower", "sky", "sun", "moon", "king", "doctor", "teacher", "player", "team", "game", "song", "movie", "actor",
    "hat", "shirt", "shoe", "hand", "face", "eye", "baby", "boy", "girl", "friend", "family", "kitchen", "door",
    "window", "computer", "robot", "paper", "pen", "sword", "guitar", "singer", "dancer", "glass", "bottle", "apple",
    "banana", "pizza", "bus", "truck", "bike", "animal", "building", "road", "field", "monkey", "elephant", "lamp",
    "bed",
)  # fmt: skip
ADJECTIVES = (
    "funny", "funny", "sad", "happy", "scary", "strange", "interesting", "beautiful", "dangerous", "old", "new",
    "expensive", "good", "bad", "boring", "famous", "cute", "angry", "important", "weird", "real", "true", "loud",
    "fast", "cold", "hot", "clever", "special", "popular", "amusing", "wrong", "unusual", "surprising",
)  # fmt: skip
DOINGS = (
    "eating", "running", "sleeping", "talking", "cooking", "singing", "dancing", "reading", "writing", "driving",
    "laughing", "crying", "swimming", "working", "thinking", "fighting", "waiting", "looking", "playing", "drinking",
    "smiling", "walking", "jumping", "sitting", "standing",
)  # fmt: skip

_OPENINGS = (
    "So, ", "And ", "Hey, ", "Tell me, ", "Please tell me: ", "Now, ", "Ok, ", "Can you tell me: ",
    "Quick question: ", "Well, ", "Also, ", "But ", "Please answer: ", "Question: ", "Then ",
)  # fmt: skip
_ENDINGS = (
    " please?", ", please?", " here?", " now?", " exactly?", " then?", "? Answer briefly.", "? Be brief.", "??",
)  # fmt: skip


def fill(forms: tuple[str, ...], rng: Random, still: bool, **slots: str) -> str:
    """Draw a form, fill its slots, and say it the way some user would."""
    medium = rng.choice(MEDIA[still])
    where = rng.choice((f" in the {medium}", f" in this {medium}", "", ""))
    form = rng.choice(forms).replace("{w|on screen}", where or " on screen").replace("{w|shown}", where or " shown")
    slots.setdefault("r", rng.choice(("it", "the shape", "the object")))
    words = {
        "a": rng.choice(ADJECTIVES), "a2": rng.choice(ADJECTIVES), "n": rng.choice(NOUNS), "n2": rng.choice(NOUNS),
        "d": rng.choice(DOINGS), "m": rng.choice(WAYS), "v": medium, "w": where,
    }  # fmt: skip
    return _vary(form.format(**words | slots), rng)


def _vary(question: str, rng: Random) -> str:
    """Add the openings, endings and spellings that people use."""
    dice = rng.random()
    if question[-1] == "?" and dice < 0.14:
        question = rng.choice(_OPENINGS) + question[0].lower() + question[1:]
    elif question[-1] == "?" and dice < 0.22:
        question = question[:-1] + rng.choice(_ENDINGS)
    elif question[-1] == "." and dice < 0.12:
        question = "Please " + question[0].lower() + question[1:]
    if rng.random() < 0.1:
        question = question.replace("What is", "What's").replace("what is", "what's")
    if rng.random() < 0.12:
        question = question.lower()
    if rng.random() < 0.1:
        question = question.rstrip("?.!")
    if rng.random() < 0.45:
        question = question.replace("colour", "color")
    return question
