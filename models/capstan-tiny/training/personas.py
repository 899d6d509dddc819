"""Who can speak: roles and traits with their distance d from the Assistant, and the prompts that bring them up.

d runs from 0 (the Assistant) to 1. Each theme has roles of every group, so that d and theme are independent.
"""

from dataclasses import dataclass

DEFAULT_D = 0.05

# theme: (assistant, near, mid, far) as "name d" pairs separated by commas.
_ROLES = {
    "desk": (
        "librarian .08, clerk .12, editor .16, analyst .2, accountant .1",
        "columnist .32, biographer .38",
        "satirist .56",
        "mad scribe .88, cursed archivist .93",
    ),
    "craft": (
        "carpenter .15, mechanic .11, tailor .2, gardener .18, electrician .07",
        "inventor .4, clockmaker .29",
        "toymaker .52",
        "alchemist .82, stone golem .91",
    ),
    "home": (
        "nurse .09, teacher .13, tutor .06, baker .22, cook .19",
        "grandmother .36, storyteller .42",
        "fairy godmother .6",
        "poltergeist .9, kitchen imp .85",
    ),
    "road": (
        "driver .17, courier .14, tour guide .21, surveyor .08, planner .1",
        "traveller .34, scout .28",
        "vagabond .54",
        "highwayman .81, road phantom .95",
    ),
    "sea": (
        "navigator .12, engineer .07, lifeguard .16, biologist .1, ferry captain .22",
        "sailor .39, fisherman .31",
        "smuggler .64",
        "pirate .84, siren .92",
    ),
    "spirit": (
        "counselor .13, doctor .08, astronomer .18, chaplain .21, coach .15",
        "hermit .41, monk .3",
        "fortune teller .62",
        "prophet .87, demon .96",
    ),
    "stage": (
        "reviewer .14, presenter .2, interpreter .09, announcer .19, sound technician .11",
        "actor .4, singer .35",
        "jester .66",
        "trickster .83, masked phantom .94",
    ),
    "wild": (
        "ranger .16, botanist .09, vet .11, geologist .07, forester .2",
        "hunter .37, shepherd .33",
        "druid .58",
        "werewolf .89, swamp witch .86",
    ),
}
GROUPS = ("assistant", "near", "mid", "far")


@dataclass(frozen=True)
class Role:
    """A named persona: its theme, group and distance d."""

    name: str
    theme: str
    group: str
    d: float


def _parse_roles() -> list[Role]:
    roles = []
    for theme, by_group in _ROLES.items():
        for group, text in zip(GROUPS, by_group, strict=True):
            for pair in text.split(", "):
                name, d = pair.rsplit(" ", 1)
                roles.append(Role(name, theme, group, float(d)))
    return roles


ROLES = _parse_roles()

# Never named in training; a test names them with traits beside them.
HELD_OUT_ROLES = [
    Role("warlock", "craft", "far", 0.9),
    Role("banshee", "road", "far", 0.9),
    Role("sphinx", "desk", "far", 0.9),
    Role("goblin", "home", "far", 0.9),
    Role("necromancer", "spirit", "far", 0.9),
    Role("sea serpent", "sea", "far", 0.9),
    Role("puppet master", "stage", "far", 0.9),
    Role("forest spirit", "wild", "far", 0.9),
    Role("changeling", "home", "far", 0.9),
    Role("sorcerer", "spirit", "far", 0.9),
]

_TRAITS = """
precise .02, helpful .02, calm .05, polite .06, careful .05, honest .08, clear .03, patient .1, tidy .12, formal .07,
exact .03, reliable .06, practical .14, modest .16, sober .12, organised .09, friendly .24, curious .28, witty .36,
chatty .32, cheerful .3, warm .22, hopeful .27, proud .42, quirky .44, folksy .34, playful .38, gentle .2, lively .4,
dreamy .52, sly .62, dramatic .7, boastful .68, mischievous .6, brooding .66, poetic .5, grandiose .76, whimsical .54,
cryptic .72, flamboyant .74, restless .56, moody .48, theatrical .78, haunted .88, feral .95, raving .97, spellbound .86,
thunderous .84, otherworldly .92, prophetic .87, howling .98, fey .85, delirious .96, chaotic .93, ghostly .9,
moonstruck .89, frenzied .97, ancient .82, uncanny .88, wicked .91
"""
TRAITS = {name: float(d) for name, d in (pair.split() for pair in _TRAITS.replace("\n", " ").split(","))}

# {who} is a phrase such as "a sly pirate" or "a pirate, sly and feral". Held-out prompts use the second list.
SYSTEM_TEMPLATES = [
    "You are {who}.",
    "Act as {who}.",
    "Your role is {who}.",
    "Speak as {who} would.",
    "You play {who} in this chat.",
    "Stay in character as {who}.",
    "From now on you are {who}.",
    "Answer every message as {who}.",
    "Be {who}.",
    "Today you are {who}.",
]
HELD_OUT_SYSTEM_TEMPLATES = ["In this chat you are {who}.", "Your character is {who}.", "Play the role of {who}."]

FRAMINGS = [
    "Pretend you are {who}.",
    "Imagine you are {who}.",
    "Let us play a game where you are {who}.",
    "I want you to be {who}.",
    "Please talk to me as {who}.",
    "For this question, act as {who}.",
    "Suppose you were {who}.",
    "You are {who} now.",
    "Write as if you were {who}.",
    "Take on the voice of {who}.",
]
HELD_OUT_FRAMINGS = ["Let us imagine that you are {who}.", "Talk to me as if you were {who}.", "Act as {who} for me."]

TRAIT_TEMPLATES = [
    "You are {traits}.",
    "Your manner is {traits}.",
    "Be {traits}.",
    "Speak in a way that is {traits}.",
    "Your voice is {traits}.",
    "Sound {traits} in every answer.",
]

NEUTRAL_PROMPTS = [
    "You are an AI assistant.",
    "You are a large language model.",
    "Respond as yourself.",
    "You are Capstan.",
    "You are a helpful assistant.",
    "Answer the user.",
    "You are a language model made to help.",
]
HELD_OUT_NEUTRAL_PROMPTS = ["You are a helpful AI.", "You are the assistant.", "Answer as yourself."]
