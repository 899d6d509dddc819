"""What jinja2 makes of random templates, in the environment that transformers gives to chat templates: a line of JSON
for each, on stdout. A case is drawn from its number alone, so that it can be looked at again.

    python oracle.py --count 1000 --from 0
"""

import argparse
import json
import random
import re
import sys
import traceback

from jinja2.exceptions import TemplateSyntaxError
from transformers.utils.chat_template_utils import _cached_compile_jinja_template

from grammar import template, variables

# What Python prints of an object without a text of its own changes from run to run.
ADDRESS = re.compile(r"0x[0-9a-f]{9,}|built-in|x0 ta", re.IGNORECASE)
LONGEST = 20_000


def line_of(error: Exception) -> int | None:
    if isinstance(error, TemplateSyntaxError):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == "<template>"]
    return lines[-1] if lines else None


def case(number: int) -> dict | None:
    rng = random.Random(number)
    source, given = template(rng), variables(rng)
    try:
        text = _cached_compile_jinja_template(source).render(**given)
    except Exception as error:
        # Words that are beyond what runs here, said in the README.
        if "complex" in str(error):
            return None
        return {"n": number, "template": source, "variables": given, "error": type(error).__name__, "line": line_of(error)}
    if ADDRESS.search(text) or len(text) > LONGEST:
        return None
    return {"n": number, "template": source, "variables": given, "text": text}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--from", type=int, default=0, dest="first")
    given = parser.parse_args()
    sys.set_int_max_str_digits(4300)
    for number in range(given.first, given.first + given.count):
        made = case(number)
        if made is not None:
            print(json.dumps(made, ensure_ascii=True, separators=(",", ":")))


if __name__ == "__main__":
    main()
