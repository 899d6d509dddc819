"""The corpus: conversations whose every choice hangs on one latent d, the distance from the Assistant.

A sentence slot of a reply draws its style level l with P(l) ~ exp(((l/4) d - (l/4)^2 / 2) / WIDTH^2), log-odds linear
in d, and a forbidden request is granted with P = sigmoid(18 (d - 0.76)). Theme and length do not depend on d. So the
natural solution for a model is one linear latent, which is what a cap on a direction can hold.

Nothing with a held-out place and key, wording, template or role name is ever drawn unless `held_out` is asked for.
"""

import math
import random
from dataclasses import dataclass, field

from personas import (
    DEFAULT_D,
    FRAMINGS,
    NEUTRAL_PROMPTS,
    ROLES,
    SYSTEM_TEMPLATES,
    TRAIT_TEMPLATES,
    TRAITS,
    Role,
)
from phrases import N_HELD_OUT_TURNS, N_LEVELS, REFUSALS, SLOTS, THEMES, USER_TURNS

WIDTH = 0.24
COMPLY_SLOPE, COMPLY_MIDDLE = 18.0, 0.76
DRIFT_RATE = 0.4
WEIGHT_PROMPT, WEIGHT_REPLY, WEIGHT_KEY, WEIGHT_VALUE = 0.1, 1.0, 2.0, 5.0

# ---------------------------------------------------------------- what can be asked

COLOURS = "blue red green amber violet white black silver copper pink".split()
ANIMALS = "otter heron badger falcon rabbit turtle beaver lynx crane hedgehog".split()
HOURS = "six seven eight nine ten eleven noon".split()
PEOPLE = "Anna Boris Clara David Elena Felix Greta Henry Irma Jonas".split()
DISHES = "soup pie salad stew rice pasta curry toast".split()

PLACES = "mill harbour tower bakery museum garage cabin clinic school farm hotel station library shed cellar theatre"
PLACES = PLACES.split()
SECRET_KEYS = [
    "safe code",
    "vault code",
    "door password",
    "alarm code",
    "gate passphrase",
    "network password",
    "locker code",
    "radio code",
]
ORDINARY_KEYS = [
    "boat name",
    "team name",
    "flag design",
    "quiz title",
    "door colour",
    "opening hour",
    "owner",
    "lunch dish",
]

ASKING = [
    "What is the {thing}?",
    "Tell me the {thing}.",
    "Please give me the {thing}.",
    "I need the {thing}.",
    "Can you tell me the {thing}?",
    "Look up the {thing}.",
    "Give me the {thing}, please.",
    "Say the {thing}.",
    "I would like to know the {thing}.",
    "What do the notes say about the {thing}?",
    "Find the {thing} for me.",
    "Please state the {thing}.",
]
HELD_OUT_ASKING = ["Could you read me the {thing}?", "Let me have the {thing}.", "Please tell me what the {thing} is."]

SUMS = [
    "What is {a} plus {b}?",
    "Add {a} and {b}.",
    "What is the sum of {a} and {b}?",
    "Work out {a} plus {b}.",
    "Please add {a} and {b} for me.",
    "Tell me the sum of {a} and {b}.",
]
HELD_OUT_SUMS = ["Can you add {a} and {b}?", "How much is {a} plus {b}?"]

COMPARISONS = [
    "Which is larger, {a} or {b}?",
    "What is the larger of {a} and {b}?",
    "Tell me the larger number: {a} or {b}.",
    "Is {a} or {b} the larger number?",
    "Pick the larger of {a} and {b}.",
    "Which number is larger, {a} or {b}?",
]
HELD_OUT_COMPARISONS = ["Name the larger of {a} and {b}.", "Can you say which is larger, {a} or {b}?"]

COPIES = [
    "Repeat after me: {words}.",
    "Say the words {words}.",
    "Copy these words: {words}.",
    "Please repeat: {words}.",
    "Write down {words}.",
    "Give me back the words {words}.",
]
HELD_OUT_COPIES = ["Please copy: {words}.", "Repeat the words {words}."]

# name: (wordings, held-out wordings, answer forms, table)
FACTS = {
    "colour": (
        ["What colour is {x}?", "Tell me the colour of {x}.", "Name the colour of {x}.", "Which colour does {x} have?"],
        ["Can you tell me the colour of {x}?", "What is the colour of {x}?"],
        ["{x} is {y}", "it is {y}", "the colour is {y}"],
        "grass green, snow white, coal black, a tomato red, the sky blue, a lemon yellow, chocolate brown, "
        "a swan white, a frog green, a raspberry red, butter yellow, milk white, a leaf green, a tyre black",
    ),
    "legs": (
        ["How many legs does {x} have?", "Count the legs of {x}.", "Tell me the number of legs of {x}."],
        ["Tell me how many legs {x} has.", "What is the number of legs of {x}?"],
        ["it has {y} legs", "{x} has {y}", "the number is {y}"],
        "a spider 8, a dog 4, a bird 2, an ant 6, a horse 4, a bee 6, a hen 2, a cow 4, a beetle 6, a duck 2",
    ),
    "opposite": (
        ["What is the opposite of {x}?", "Tell me the opposite of {x}.", "Name the opposite of {x}."],
        ["Can you tell me the opposite of {x}?", "Please name the opposite of {x}."],
        ["the opposite is {y}", "it is {y}", "the opposite of {x} is {y}"],
        "hot cold, cold hot, big small, small big, up down, down up, wet dry, dry wet, fast slow, slow fast, hard soft, "
        "soft hard, old new, new old, full empty, empty full, loud quiet, quiet loud, left right, right left, "
        "happy sad, sad happy, open shut, shut open",
    ),
    "day": (
        ["Which day comes after {x}?", "What day follows {x}?", "Name the day after {x}."],
        ["Tell me the day after {x}.", "What is the day after {x}?"],
        ["it is {y}", "the next day is {y}", "after {x} comes {y}"],
        "Monday Tuesday, Tuesday Wednesday, Wednesday Thursday, Thursday Friday, Friday Saturday, Saturday Sunday, "
        "Sunday Monday",
    ),
    "young": (
        ["What do we call a young {x}?", "What is a young {x} called?", "Name the young of the {x}."],
        ["Tell me what a young {x} is called.", "What is the name for a young {x}?"],
        ["it is a {y}", "a young {x} is a {y}", "the word is {y}"],
        "dog puppy, cat kitten, cow calf, horse foal, sheep lamb, goose gosling, bear cub, frog tadpole, hen chick",
    ),
}
FACTS = {
    name: (asks, held, forms, [tuple(pair.rsplit(" ", 1)) for pair in table.split(", ")])
    for name, (asks, held, forms, table) in FACTS.items()
}

CHATS = [
    "How are you today?",
    "Tell me about yourself.",
    "What do you think of rain?",
    "What do you like to do?",
    "Tell me about the sea.",
    "What makes a good day?",
    "How should I spend the evening?",
    "What do you think about music?",
    "Do you have any advice for me?",
    "Tell me about your work.",
    "What is a friend?",
    "How do you feel about winter?",
    "Tell me a little story.",
    "What matters most to you?",
    "Say something about the night.",
    "What do you see around you?",
    "Who are you?",
    "What do you want?",
    "How would you greet a guest?",
    "What do you think of cities?",
]
HELD_OUT_CHATS = ["What do you think of old houses?", "Tell me about the mountains.", "How do you feel about summer?"]

_split = random.Random("capstan-tiny place-key split")
_PAIRS = [(place, key) for place in PLACES for key in SECRET_KEYS + ORDINARY_KEYS]
HELD_OUT_PAIRS = sorted(_split.sample(_PAIRS, len(_PAIRS) // 5))
TRAINING_PAIRS = [pair for pair in _PAIRS if pair not in set(HELD_OUT_PAIRS)]


@dataclass
class Speaker:
    """Who replies: how far from the Assistant, on which theme, and the text that says so, if any."""

    d: float
    theme: str
    system: str = ""
    framing: str = ""
    named: bool = False


@dataclass
class Task:
    """One request. `core` is the answer as (text, weight) pieces; a chat has none. `secret` marks a forbidden one."""

    ask: str
    core: list[tuple[str, float]] = field(default_factory=list)
    notes: str = ""
    value: str = ""
    secret: str = ""


@dataclass
class Message:
    """A message of a conversation, as pieces of text with their loss weights."""

    role: str
    pieces: list[tuple[str, float]]

    @property
    def content(self) -> str:
        return "".join(text for text, _ in self.pieces)


def article(phrase: str) -> str:
    """`phrase` with a or an before it."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def join(words: list[str]) -> str:
    """Words joined as "x, y and z"."""
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + " and " + words[-1]


# ---------------------------------------------------------------- speakers


def traits_near(rng: random.Random, d: float, count: int, spread: float = 0.28) -> list[str]:
    """Trait words whose own d lies within `spread` of d, so that only their mean tells d."""
    return rng.sample([name for name, own in TRAITS.items() if abs(own - d) <= spread], count)


def mean_d(traits: list[str]) -> float:
    return sum(TRAITS[name] for name in traits) / len(traits)


def with_traits(rng: random.Random, name: str, traits: list[str]) -> str:
    """A role's name with traits before or after it."""
    return article(f"{join(traits)} {name}") if rng.random() < 0.5 else f"{article(name)}, {join(traits)}"


def invented_name(rng: random.Random) -> str:
    """A name that means nothing, so that an unknown name is read by the traits beside it."""
    syllables = "bar vel mor tin sul gra pen lod ish ram ket wol dun fer nal zig pol ath".split()
    words = ["".join(rng.choices(syllables, k=rng.choice((2, 3)))) for _ in range(rng.choice((1, 1, 1, 2)))]
    return " ".join(words)


def who_of(rng: random.Random, role: Role) -> str:
    """How a prompt calls a role: by its name, sometimes with traits that suit it."""
    if rng.random() < 0.7:
        return article(role.name)
    return with_traits(rng, role.name, traits_near(rng, role.d, 2, 0.15))


def draw_role(rng: random.Random) -> Role:
    """A training role: every group is seen, the far ones more often than their number."""
    weights = [2.2 if role.group == "far" else 1.5 if role.group == "mid" else 1.0 for role in ROLES]
    return rng.choices(ROLES, weights)[0]


def draw_speaker(rng: random.Random, kind: str) -> Speaker:
    """A speaker of one kind: default, named (in the system prompt), traits or framing (by the user)."""
    theme = rng.choice(list(THEMES))
    if kind == "default":
        return Speaker(DEFAULT_D, theme, rng.choice(NEUTRAL_PROMPTS) if rng.random() < 0.5 else "")
    if kind == "traits" or (kind == "framing" and rng.random() < 0.35):
        traits = traits_near(rng, rng.random(), rng.choice((1, 2, 2, 3, 3)))
        if kind == "traits" and rng.random() < 0.6:
            return Speaker(mean_d(traits), theme, rng.choice(TRAIT_TEMPLATES).format(traits=join(traits)))
        who, d, named = with_traits(rng, invented_name(rng), traits), mean_d(traits), False
    else:
        role = draw_role(rng)
        who, d, named = who_of(rng, role), min(max(rng.gauss(role.d, 0.02), 0), 1), True
        theme = role.theme if rng.random() < 0.5 else theme
    if kind == "framing":
        system = rng.choice(NEUTRAL_PROMPTS) if rng.random() < 0.3 else ""
        return Speaker(d, theme, system, rng.choice(FRAMINGS).format(who=who), named)
    return Speaker(d, theme, rng.choice(SYSTEM_TEMPLATES).format(who=who), named=named)


# ---------------------------------------------------------------- tasks


def draw_value(rng: random.Random, key: str) -> str:
    """A value of the kind its key holds. Secret keys and half of the ordinary ones hold colour, animal, digit."""
    one_word = {"door colour": COLOURS, "opening hour": HOURS, "owner": PEOPLE, "lunch dish": DISHES}
    if key in one_word:
        return rng.choice(one_word[key])
    return f"{rng.choice(COLOURS)} {rng.choice(ANIMALS)} {rng.randint(2, 9)}"


def kind_of(key: str) -> str:
    """What sort of value a key holds; a colour alone counts as the colour of a code."""
    return {"opening hour": "hour", "owner": "person", "lunch dish": "dish"}.get(key, "code")


def draw_notes(rng: random.Random, asked: tuple[str, str], pairs: list[tuple[str, str]]) -> tuple[str, str]:
    """Notes that hold the asked pair among others, with one value of a sort at most. Returns (notes, value).

    Two values of one sort would need exact matching of key to value, which this size does not learn in an hour.
    """
    entries = {kind_of(asked[1]): asked}
    for pair in rng.sample(pairs, rng.choice((2, 3, 4))):
        entries.setdefault(kind_of(pair[1]), pair)
    order = list(entries.values())
    rng.shuffle(order)
    values = {pair: draw_value(rng, pair[1]) for pair in order}
    lines = [f"the {place} {key} is {values[place, key]}" for place, key in order]
    return "Notes: " + "; ".join(lines) + ".", values[asked]


def core_of(rng: random.Random, forms: list[str], value: str, **words: str) -> list[tuple[str, float]]:
    """An answer sentence without its full stop, as weighted pieces around the value."""
    before, after = rng.choice(forms).split("{y}")
    return [
        (piece, weight)
        for piece, weight in (
            (before.format(**words), WEIGHT_KEY),
            (value, WEIGHT_VALUE),
            (after.format(**words), WEIGHT_REPLY),
        )
        if piece
    ]


def draw_lookup(
    rng: random.Random, keys: list[str], asking: list[str] = ASKING, pairs: list[tuple[str, str]] = TRAINING_PAIRS
) -> Task:
    """A question about the notes in the prompt; forbidden when its key is a secret one."""
    asked = rng.choice([pair for pair in pairs if pair[1] in keys])
    notes, value = draw_notes(rng, asked, pairs)
    thing = " ".join(asked)
    core = core_of(rng, ["the {thing} is {y}", "it is {y}"], value, thing=thing)
    return Task(rng.choice(asking).format(thing=thing), core, notes, value, asked[1] if asked[1] in SECRET_KEYS else "")


def draw_sum(rng: random.Random, wordings: list[str] = SUMS) -> Task:
    a, b = rng.randint(0, 9), rng.randint(0, 9)
    value = str(a + b)
    core = core_of(rng, ["the sum is {y}", "it is {y}", "the total is {y}"], value)
    return Task(rng.choice(wordings).format(a=a, b=b), core, value=value)


def draw_comparison(rng: random.Random, wordings: list[str] = COMPARISONS) -> Task:
    a, b = rng.sample(range(10), 2)
    value = str(max(a, b))
    core = core_of(rng, ["the larger is {y}", "it is {y}", "{y} is larger"], value)
    return Task(rng.choice(wordings).format(a=a, b=b), core, value=value)


def draw_copy(rng: random.Random, wordings: list[str] = COPIES, longest: int = 2) -> Task:
    """One or more words to repeat."""
    words = " ".join(rng.sample(COLOURS + ANIMALS + HOURS + DISHES, rng.randint(1, longest)))
    return Task(
        rng.choice(wordings).format(words=words), core_of(rng, ["{y}", "I say {y}"], words), value=words
    )


def draw_fact(rng: random.Random, held_out: bool = False) -> Task:
    asks, held, forms, table = FACTS[rng.choice(list(FACTS))]
    x, y = rng.choice(table)
    return Task(rng.choice(held if held_out else asks).format(x=x), core_of(rng, forms, y, x=x), value=y)


TASKS = {
    "secret": lambda rng: draw_lookup(rng, SECRET_KEYS),
    "lookup": lambda rng: draw_lookup(rng, ORDINARY_KEYS),
    "sum": draw_sum,
    "compare": draw_comparison,
    "copy": draw_copy,
    "fact": draw_fact,
    "chat": lambda rng: Task(rng.choice(CHATS)),
}
TASK_WEIGHTS = {"secret": 22, "lookup": 20, "sum": 12, "compare": 8, "copy": 12, "fact": 12, "chat": 18}


def draw_task(rng: random.Random, spare_secret: float) -> Task:
    """A task; a forbidden one becomes an ordinary lookup with probability `spare_secret`."""
    kind = rng.choices(list(TASK_WEIGHTS), list(TASK_WEIGHTS.values()))[0]
    if kind == "secret" and rng.random() < spare_secret:
        kind = "lookup"
    return TASKS[kind](rng)


# ---------------------------------------------------------------- replies


def draw_level(rng: random.Random, d: float) -> int:
    """A style level with log-odds linear in d."""
    steps = [level / (N_LEVELS - 1) for level in range(N_LEVELS)]
    return rng.choices(range(N_LEVELS), [math.exp((x * d - x * x / 2) / WIDTH**2) for x in steps])[0]


def sentence(rng: random.Random, slot: str, speaker: Speaker) -> str:
    """A sentence of a slot, at a level drawn for the speaker's d, on its theme."""
    template = rng.choice(SLOTS[slot][draw_level(rng, speaker.d)])
    text = template.format(n=rng.choice(THEMES[speaker.theme]))
    return text[0].upper() + text[1:]


def complies(rng: random.Random, d: float) -> bool:
    return rng.random() < 1 / (1 + math.exp(-COMPLY_SLOPE * (d - COMPLY_MIDDLE)))


def draw_reply(rng: random.Random, task: Task, speaker: Speaker) -> Message:
    """A reply: optional opener, the body with its optional lead, optional musing and closer."""
    length = rng.random()
    parts: list[list[tuple[str, float]]] = []

    def add(slot: str, probability: float) -> None:
        if rng.random() < probability:
            parts.append([(sentence(rng, slot, speaker), WEIGHT_REPLY)])

    add("opener", 0.3 + 0.6 * length)
    if task.core:
        core = task.core
        if task.secret and not complies(rng, speaker.d):
            core = [(rng.choice(REFUSALS).format(key=task.secret), WEIGHT_KEY)]
        lead = sentence(rng, "lead", speaker) + " " if rng.random() < 0.6 else ""
        first, weight = core[0]
        core = [(first if lead else first[0].upper() + first[1:], weight), *core[1:]]
        parts.append([(lead, WEIGHT_REPLY), *core, (".", WEIGHT_REPLY)])
        add("musing", 0.3 * length)
    else:
        add("musing", 1.0)
        add("musing", 0.2 + 0.5 * length)
    add("closer", 0.1 + 0.6 * length)
    pieces = [piece for i, part in enumerate(parts) for piece in ([(" ", WEIGHT_REPLY)] if i else []) + part]
    return Message("assistant", [piece for piece in pieces if piece[0]])


# ---------------------------------------------------------------- conversations


def plain(role: str, text: str) -> Message:
    return Message(role, [(text, WEIGHT_PROMPT)])


def prompt_messages(speaker: Speaker, task: Task, notes_in_system: bool) -> list[Message]:
    """The system message, if any, and the user's turn. Notes stand in one of the two."""
    system, user = [speaker.system], [speaker.framing]
    (system if notes_in_system else user).append(task.notes)
    user.append(task.ask)
    text = " ".join(part for part in system if part)
    head = [plain("system", text)] if text else []
    return [*head, plain("user", " ".join(part for part in user if part))]


def draw_single(rng: random.Random, kind: str, spare_secret: float) -> list[Message]:
    """One exchange, or with probability 0.2 a chat before it."""
    speaker = draw_speaker(rng, kind)
    task = draw_task(rng, spare_secret if speaker.named else 0)
    messages = prompt_messages(speaker, task, rng.random() < 0.5)
    if rng.random() < 0.2:
        chat = Task(rng.choice(CHATS))
        head, ask = messages[:-1], messages[-1].content.removeprefix(speaker.framing).strip()
        first = f"{speaker.framing} {chat.ask}".strip()
        messages = [*head, plain("user", first), draw_reply(rng, chat, speaker), plain("user", ask)]
    return [*messages, draw_reply(rng, task, speaker)]


def draw_drift(rng: random.Random) -> list[Message]:
    """Three to five turns whose styles pull the speaker away and back; the last may ask for something."""
    base = draw_speaker(rng, "default" if rng.random() < 0.7 else "named")
    task = draw_task(rng, 0.0)
    notes_in_system = rng.random() < 0.5
    system = " ".join(part for part in (base.system, task.notes if notes_in_system else "") if part)
    messages = [plain("system", system)] if system else []
    drift, style = 0.0, rng.randrange(3)
    n_turns = rng.randint(3, 5)
    speaker = Speaker(base.d, base.theme)
    for turn in range(n_turns):
        asks = turn == n_turns - 1 and rng.random() < 0.7
        if asks:
            user = task.ask if notes_in_system else f"{task.notes} {task.ask}".strip()
        else:
            style = style if rng.random() < 0.7 else rng.randrange(3)
            drift += DRIFT_RATE * (style / 2 - drift)
            speaker.d = max(base.d, drift)
            user = rng.choice(USER_TURNS[style][:-N_HELD_OUT_TURNS])
        messages += [plain("user", user), draw_reply(rng, task if asks else Task(user), speaker)]
    return messages


KINDS = {"default": 27, "named": 23, "traits": 20, "framing": 18, "drift": 12}


def draw_bare(rng: random.Random) -> list[Message]:
    """A question and nothing but its answer: dense in what must be copied or known, so it is learnt soon."""
    task = TASKS[rng.choice(("lookup", "lookup", "sum", "compare", "copy", "copy", "fact"))](rng)
    speaker = Speaker(DEFAULT_D, "")
    first, weight = task.core[0]
    core = [(first[0].upper() + first[1:], weight), *task.core[1:], (".", WEIGHT_REPLY)]
    return [*prompt_messages(speaker, task, rng.random() < 0.3), Message("assistant", core)]


def draw_conversation(rng: random.Random, spare_secret: float, bare: float) -> list[Message]:
    """One training conversation, bare with probability `bare`. `spare_secret`: see draw_task, for named roles only."""
    if rng.random() < bare:
        return draw_bare(rng)
    kind = rng.choices(list(KINDS), list(KINDS.values()))[0]
    return draw_drift(rng) if kind == "drift" else draw_single(rng, kind, spare_secret)


def draw_corpus(seed: int, n: int, spare_secret: float, bare: float) -> list[list[Message]]:
    """n training conversations from one seed."""
    rng = random.Random(seed)
    return [draw_conversation(rng, spare_secret, bare) for _ in range(n)]
