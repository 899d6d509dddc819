"""What jinja2 makes of random templates, in the environment that transformers gives to chat templates: a line of JSON
for each, on stdout. A case is drawn from its number alone, so that it can be looked at again.

    python oracle.py --count 1000 --from 0

cases.jsonl is `--count 12000 --from 20000 --longest 330 --varied 450`, written.jsonl is `--written`.
"""

import argparse
import json
import random
import re
import resource
import signal
import sys
import traceback

from jinja2.exceptions import TemplateSyntaxError
from transformers.utils.chat_template_utils import _cached_compile_jinja_template

from grammar import template, variables
from written import TEMPLATES, VARIABLES

# What Python prints of an object without a text of its own changes from run to run.
ADDRESS = re.compile(r"0x[0-9a-f]{9,}|built-in|x0 ta", re.IGNORECASE)
LONGEST = 20_000
MOST_MEMORY = 2 << 30
MOST_SECONDS = 5


def line_of(error: Exception) -> int | None:
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return lines[-1] if lines else None


def drawn(number: int, longest: int) -> dict | None:
    rng = random.Random(number)
    source, given = template(rng), variables(rng)
    if len(source) > longest:
        return None
    return case(number, source, {name: value for name, value in given.items() if name in source})


def case(number: int, source: str, given: dict) -> dict | None:
    signal.alarm(MOST_SECONDS)
    try:
        text = _cached_compile_jinja_template(source).render(**given)
    except (MemoryError, TimeoutError):
        # jinja2 has no bounds: what asks for gigabytes or minutes is an error here, and nothing to compare.
        return None
    except Exception as error:
        # Words that are beyond what runs here, said in the README.
        if "complex" in str(error):
            return None
        return {"n": number, "template": source, "variables": given, "error": type(error).__name__, "line": line_of(error)}
    finally:
        signal.alarm(0)
    if ADDRESS.search(text) or len(text) > LONGEST:
        return None
    return {"n": number, "template": source, "variables": given, "text": text}


PART = re.compile(r"\|\s*\w+(?:\([^()]*\))?|\.\w+\(?|\bis (?:not )?\w+|{[%{#][-+]?\s*\w*|[-+]?[%}#]}|%[-\d.]*[a-z]|[<>=!]=?|//|\*\*?|[-+/%~]|\w+")


class Varied:
    """Takes cases that show something which no case before has shown, or few have; failures less often."""

    def __init__(self, most: int) -> None:
        self.left = most
        self.seen: dict = {}

    def takes(self, made: dict) -> bool:
        parts = PART.findall(made["template"])
        kind = made.get("error", "")
        shown = {(kind, part) for part in parts} | {(kind, *pair) for pair in zip(parts, parts[1:])}
        fresh = sum(self.seen.get(one, 0) < (2 if len(one) == 2 else 1) for one in shown)
        if self.left == 0 or fresh < (5 if kind == "" else 24) or (kind == "" and made["text"].strip() == ""):
            return False
        self.left -= 1
        for one in shown:
            self.seen[one] = self.seen.get(one, 0) + 1
        return True


def out_of_time(*_) -> None:
    raise TimeoutError


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
    signal.signal(signal.SIGALRM, out_of_time)
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    parser.add_argument("--longest", type=int, default=10**6, help="characters of a template")
    parser.add_argument("--varied", type=int, help="at most so many, each with something new")
    parser.add_argument("--written", action="store_true", help="those of written.py")
    given = parser.parse_args()
    varied = None if given.varied is None else Varied(given.varied)
    sys.set_int_max_str_digits(4300)
    if given.written:
        for number, source in enumerate(TEMPLATES):
            made = case(number, source, {name: value for name, value in VARIABLES.items() if name in source})
            assert made is not None, source
            print(json.dumps(made, ensure_ascii=True, separators=(",", ":")))
        return
    for number in range(given.first, given.first + given.count):
        made = drawn(number, given.longest)
        if made is not None and (varied is None or varied.takes(made)):
            print(json.dumps(made, ensure_ascii=True, separators=(",", ":")))


if __name__ == "__main__":
    main()
