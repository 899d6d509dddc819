"""Random texts that find out where two tokenizers differ: many scripts, emoji, whitespace, code, look-alikes of tokens."""

import random

RANGES = {
    "latin": (0x00A1, 0x024F), "ipa": (0x0250, 0x02AF), "marks": (0x0300, 0x036F), "greek": (0x0370, 0x03FF),
    "cyrillic": (0x0400, 0x052F), "armenian": (0x0531, 0x058A), "hebrew": (0x0591, 0x05F4), "arabic": (0x0600, 0x06FF),
    "syriac": (0x0700, 0x074A), "thaana": (0x0780, 0x07B1), "devanagari": (0x0900, 0x097F), "bengali": (0x0980, 0x09FE),
    "gurmukhi": (0x0A01, 0x0A75), "tamil": (0x0B82, 0x0BFA), "telugu": (0x0C00, 0x0C7F), "malayalam": (0x0D00, 0x0D7F),
    "sinhala": (0x0D82, 0x0DF4), "thai": (0x0E01, 0x0E5B), "lao": (0x0E81, 0x0EDF), "tibetan": (0x0F00, 0x0FDA),
    "myanmar": (0x1000, 0x109F), "georgian": (0x10A0, 0x10FF), "jamo": (0x1100, 0x11FF), "ethiopic": (0x1200, 0x139F),
    "cherokee": (0x13A0, 0x13FD), "khmer": (0x1780, 0x17F9), "mongolian": (0x1800, 0x18AA), "latin_more": (0x1E00, 0x1EFF),
    "greek_more": (0x1F00, 0x1FFE), "punctuation": (0x2000, 0x206F), "super": (0x2070, 0x209C), "money": (0x20A0, 0x20C0),
    "letterlike": (0x2100, 0x218B), "arrows": (0x2190, 0x23FF), "boxes": (0x2500, 0x27BF), "cjk_marks": (0x3000, 0x303F),
    "hiragana": (0x3041, 0x309F), "katakana": (0x30A0, 0x30FF), "bopomofo": (0x3105, 0x312F), "cjk": (0x4E00, 0x9FFF),
    "yi": (0xA000, 0xA48C), "hangul": (0xAC00, 0xD7A3), "private": (0xE000, 0xE0FF), "compatibility": (0xF900, 0xFAFF),
    "presentation": (0xFB00, 0xFDFF), "halfwidth": (0xFF00, 0xFFEF), "gothic": (0x10330, 0x1034A), "math": (0x1D400, 0x1D7FF),
    "emoji": (0x1F300, 0x1FAFF), "cjk_b": (0x20000, 0x2A6DF), "tags": (0xE0020, 0xE007F), "controls": (0x01, 0x1F),
}
WORDS = """
The quick brown fox doesn't stop; it's running. I'LL, WE'VE, they'Re naïve cafés, 12,345.67 and 1e-9!
Привет, как дела? Всё хорошо. Γειά σου Κόσμε שלום עולם مرحبا بالعالم नमस्ते दुनिया வணக்கம் ఆంధ్ర ไทยสวัสดี
今天天气很好，我们去公园吧。 日本語のテキスト、東京です。 한국어 문장입니다. Tiếng Việt có dấu thanh điệu. İstanbul'da ığdır
def add(a, b):\n    return a + b\n \tfor (let i = 0; i < 10; ++i) { console.log(`${i}`); } #include <stdio.h>
SELECT * FROM t WHERE x >= 3 AND y != 'a''b'; </div><p class="x">&nbsp;</p> https://a.b/c?d=e&f=%20#g {"k": [1, null]}
\\frac{a}{b} $x_1^2$ ~/.bashrc 0xFF 1_000_000 3.14159 २३४ ٣٤٥ ½ Ⅷ ① e\u0301 A\u030a \u1100\u1161\u11a8 ﬁ Å ｱﾞ
""".strip().split(" ")
SPACES = ["", " ", " ", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\t", "\t\t", "\r\n", "\r", " \n", "\n ", "\u00a0", "\u3000", "\u2028",
          "\u200b", "\u200d", "\ufeff", "\x85", "\x0b", "\x0c", "\x1c", "\u2581", "\u2581\u2581", " " * 7, " " * 31, "\n" * 9]
EMOJI = ["😀", "👍🏽", "👨‍👩‍👧‍👦", "🏳️‍🌈", "🇫🇷🇩🇪", "☕️", "1️⃣", "❤️‍🔥", "🏴\U000e0067\U000e0062\U000e0065\U000e006e\U000e0067\U000e007f", "©", "™️"]
CONTRACTIONS = ["'s", "'S", "'t", "'re", "'VE", "'m", "'lL", "'d", "'ſ", "’s", "''"]


def scribble(rng: random.Random) -> str:
    first, last = RANGES[rng.choice(list(RANGES))]
    return "".join(chr(rng.randint(first, last)) for _ in range(rng.randint(1, 9)))


def look_alike(rng: random.Random, tokens: list[str]) -> str:
    token = rng.choice(tokens)
    cut = rng.randint(0, len(token))
    return rng.choice([
        token, token + token, token[:cut], token[cut:], token[:cut] + " " + token[cut:], token.upper(), token.title(),
        " " + token + " ", "\n" + token + "\n\n", token.replace("<", "＜"), token[:cut] + rng.choice(tokens) + token[cut:],
        token[:cut] + "\u200d" + token[cut:], "<" + token + ">",
    ])


def text(rng: random.Random, tokens: list[str]) -> str:
    """`tokens`: added tokens to imitate; none of them comes out when the list is empty."""
    parts = []
    for _ in range(rng.choice([1, 2, 3, 5, 8, 13])):
        kind = rng.random()
        parts.append(rng.choice(SPACES))
        if kind < 0.45:
            parts.append(rng.choice(WORDS))
        elif kind < 0.65:
            parts.append(scribble(rng))
        elif kind < 0.72:
            parts.append(rng.choice(EMOJI))
        elif kind < 0.78:
            parts.append(rng.choice(WORDS)[:4] + rng.choice(CONTRACTIONS) + rng.choice(["", " ", "x"]))
        elif kind < 0.85:
            parts.append("".join(rng.choice("abcXYZ 0123456789.,;:!?'\"()[]{}<>|/\\_-+=*&^%$#@~`") for _ in range(rng.randint(1, 12))))
        elif kind < 0.9:
            parts.append(rng.choice("aé字😀 .0\n") * rng.choice([2, 3, 17, 40]))
        elif tokens:
            parts.append(look_alike(rng, tokens))
    return "".join(parts) + rng.choice(["", "", " ", "\n"])
