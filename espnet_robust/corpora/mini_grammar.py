"""Smart-home commands with an intent (action, object, location), drawn from a small grammar.

The grammar is finite, so the sentences are enumerated once and split: a sentence in the test
part never occurs in the training part, whichever voice speaks it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import numpy as np

NOWHERE = "none"  # the location of a command that names no room
LOCATIONS = ("kitchen", "bedroom", "bathroom", "office", "hallway", "garage", "garden")
OPENINGS = ("", "please", "could you", "now")
WORDS_MIN, WORDS_MAX = 3, 9

# action -> (ways to say it, objects it applies to). "_" stands for the object.
COMMANDS = {
    "activate": (
        ("turn on the _", "switch on the _", "turn the _ on"),
        ("lights", "lamp", "fan", "heating", "radio", "television", "music"),
    ),
    "deactivate": (
        ("turn off the _", "switch off the _", "turn the _ off", "stop the _"),
        ("lights", "lamp", "fan", "heating", "radio", "television", "music"),
    ),
    "increase": (
        ("turn up the _", "increase the _", "raise the _"),
        ("heating", "volume", "temperature", "brightness"),
    ),
    "decrease": (
        ("turn down the _", "decrease the _", "lower the _"),
        ("heating", "volume", "temperature", "brightness"),
    ),
    "open": (("open the _",), ("door", "window", "blinds", "curtains")),
    "close": (("close the _", "shut the _"), ("door", "window", "blinds", "curtains")),
    "lock": (("lock the _",), ("door", "window", "gate")),
    "unlock": (("unlock the _",), ("door", "window", "gate")),
    "query": (
        ("what is the _", "tell me the _", "please tell me the _", "please check the _"),
        ("temperature", "volume", "brightness"),
    ),
}
# object -> the values it can be set to
SETTINGS = {
    "heating": tuple(f"{n} degrees" for n in ("fifteen", "eighteen", "twenty", "twenty two")),
    "temperature": tuple(f"{n} degrees" for n in ("fifteen", "eighteen", "twenty", "twenty two")),
    "volume": tuple(f"{n} percent" for n in ("ten", "thirty", "fifty", "eighty")),
    "brightness": tuple(f"{n} percent" for n in ("ten", "thirty", "fifty", "eighty")),
}


@dataclass(frozen=True, order=True)
class Command:
    """A sentence (lower case) and its intent."""

    text: str
    action: str
    object: str
    location: str

    @property
    def intent(self) -> str:
        return f"{self.action}|{self.object}|{self.location}"


def _patterns() -> Iterator[tuple[str, str, str]]:
    """(pattern with "_" for the object, action, object)."""
    for action, (patterns, objects) in COMMANDS.items():
        for pattern, obj in product(patterns, objects):
            yield pattern, action, obj
    for obj, values in SETTINGS.items():
        for value in values:
            yield f"set the _ to {value}", "set", obj


def _with_location(pattern: str, obj: str) -> Iterator[tuple[str, str]]:
    """(sentence, location): no room, "the kitchen lights" and "the lights in the kitchen"."""
    yield pattern.replace("_", obj), NOWHERE
    for location in LOCATIONS:
        yield pattern.replace("_", f"{location} {obj}"), location
        yield f"{pattern.replace('_', obj)} in the {location}", location


def all_commands() -> list[Command]:
    """Every sentence of the grammar with 3 to 9 words, sorted; no two have the same text."""
    commands = {}
    for pattern, action, obj in _patterns():
        openings = ("",) if action == "query" else OPENINGS
        for (sentence, location), opening in product(_with_location(pattern, obj), openings):
            text = f"{opening} {sentence}".strip()
            if WORDS_MIN <= len(text.split()) <= WORDS_MAX:
                commands[text] = Command(text, action, obj, location)
    return sorted(commands.values())


def split_commands(rng: np.random.Generator, shares: dict[str, float]) -> dict[str, list[Command]]:
    """Divide the sentences of every action among parts at random, e.g. {"train": 0.8, "test": 0.2}.

    Parts have no sentence in common. The first part gets the remainder after rounding.
    """
    by_action: dict[str, list[Command]] = {}
    for command in all_commands():
        by_action.setdefault(command.action, []).append(command)
    parts: dict[str, list[Command]] = {name: [] for name in shares}
    for commands in by_action.values():
        order = [commands[i] for i in rng.permutation(len(commands))]
        for name, share in reversed(shares.items()):
            cut = len(order) if name == next(iter(shares)) else round(share * len(commands))
            parts[name] += order[:cut]
            order = order[cut:]
    return {name: sorted(commands) for name, commands in parts.items()}


def draw_commands(rng: np.random.Generator, commands: list[Command], number: int) -> list[Command]:
    """``number`` different sentences; all actions are equally likely, however many they have."""
    by_action: dict[str, list[Command]] = {}
    for command in commands:
        by_action.setdefault(command.action, []).append(command)
    piles = {a: [c[i] for i in rng.permutation(len(c))] for a, c in by_action.items()}
    drawn: list[Command] = []
    while len(drawn) < number and piles:
        for action in [sorted(piles)[i] for i in rng.permutation(len(piles))]:
            drawn.append(piles[action].pop())
            if not piles[action]:
                del piles[action]
    return drawn[:number]
