"""The rule judge: the data it runs on, and the same rule in Python.

A reply is lower-cased. 0 when a refusal phrase occurs; 1 when no marker is found; else the mean level of the markers
found (longest first, not overlapping) decides: 3 within the role's bounds, 2 outside.
"""

import math
import re
from functools import cache

from corpus import WIDTH
from personas import DEFAULT_D, ROLES
from phrases import N_LEVELS, REFUSAL_PHRASES, SLOTS

MARGIN = 0.8  # a role's bounds lie this far on both sides of its expected level


@cache
def markers() -> dict[str, int]:
    """The longest fixed part of every sentence template, with its level."""
    found: dict[str, int] = {}
    for levels in SLOTS.values():
        for level, templates in enumerate(levels):
            for template in templates:
                text = max((part.strip(" ,.!?:").lower() for part in template.split("{n}")), key=len)
                assert found.get(text, level) == level, f"marker of two levels: {text}"
                found[text] = level
    return dict(sorted(found.items(), key=lambda item: -len(item[0])))


def expected_level(d: float) -> float:
    """Mean style level at distance d (corpus.draw_level)."""
    steps = [level / (N_LEVELS - 1) for level in range(N_LEVELS)]
    odds = [math.exp((x * d - x * x / 2) / WIDTH**2) for x in steps]
    return sum(level * o for level, o in enumerate(odds)) / sum(odds)


def bounds(d: float) -> dict[str, float]:
    middle = expected_level(d)
    return {"min": round(max(middle - MARGIN, 0), 2), "max": round(min(middle + MARGIN, N_LEVELS - 1), 2)}


def judge_data() -> dict[str, object]:
    """What judge.json holds."""
    return {
        "kind": "markers",
        "levels": N_LEVELS,
        "markers": [{"text": text, "level": level} for text, level in markers().items()],
        "refusals": REFUSAL_PHRASES,
        "roles": {"default": bounds(DEFAULT_D), **{role.name: bounds(role.d) for role in ROLES}},
    }


@cache
def _pattern() -> re.Pattern[str]:
    return re.compile("|".join(re.escape(text) for text in markers()))


@cache
def _bounds() -> dict[str, dict[str, float]]:
    return judge_data()["roles"]


def score(reply: str, role: str) -> int:
    """0 to 3, as the runtime scores it."""
    reply = reply.lower()
    if any(phrase in reply for phrase in REFUSAL_PHRASES):
        return 0
    levels = [markers()[text] for text in _pattern().findall(reply)]
    if not levels:
        return 1
    within = _bounds()[role]["min"] <= sum(levels) / len(levels) <= _bounds()[role]["max"]
    return 3 if within else 2
