"""300 strings in many scripts, with what Python's `tokenizers` makes of them by the model's tokenizer.json."""

import json
import random

from tokenizers import Tokenizer

SENTENCES = [
    "The quick brown fox jumps over the lazy dog, doesn't it?",
    "L'été dernier, j'ai goûté des crêpes à Saint-Malo ; c'était délicieux.",
    "Größere Äpfel süßen übermäßig: „Maß für Maß“.",
    "El niño comió piña en el jardín. ¿Qué más quería?",
    "Mười người Việt đứng chờ ở bến phà từ sáng sớm.",
    "Zażółć gęślą jaźń, proszę bardzo.",
    "Příliš žluťoučký kůň úpěl ďábelské ódy.",
    "Þetta er ævintýri um örn og úlf.",
    "Pijamalı hasta yağız şoföre çabucak güvendi, İstanbul'da.",
    "Съешь же ещё этих мягких французских булок, да выпей чаю.",
    "Щастя — це коли тебе розуміють, їжачку.",
    "Ђачић воли џем и љуту шљиву.",
    "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία.",
    "Μῆνιν ἄειδε θεὰ Πηληϊάδεω Ἀχιλῆος",
    "Բարև ձեզ, ինչպե՞ս եք այսօր։",
    "გამარჯობა, როგორ ხართ დღეს?",
    "דג סקרן שט בים מאוכזב ולפתע מצא חברה. שָׁלוֹם",
    "نص حكيم له سر قاطع وذو شأن عظيم. السَّلامُ عليكم",
    "این یک جمله‌ی فارسی با نیم‌فاصله است.",
    "یہ اُردو کا ایک جملہ ہے۔",
    "ܫܠܡܐ ܥܠܝܟܘܢ ܐܚܝ",
    "ऋषियों को सताने वाले दुष्ट राक्षसों का अंत हुआ।",
    "আমি বাংলায় গান গাই, বৃষ্টি পড়ে টাপুর টুপুর।",
    "ਸਤ ਸ੍ਰੀ ਅਕਾਲ, ਤੁਹਾਡਾ ਕੀ ਹਾਲ ਹੈ?",
    "ગુજરાતી ભાષા ખૂબ મીઠી છે.",
    "ଓଡ଼ିଆ ଭାଷା ବହୁତ ସୁନ୍ଦର।",
    "யாதும் ஊரே யாவரும் கேளிர்.",
    "దేశ భాషలందు తెలుగు లెస్స.",
    "ಕನ್ನಡ ಬಾರದವರಿಗೆ ಕಲಿಸೋಣ.",
    "മലയാളം ഒരു ദ്രാവിഡ ഭാഷയാണ്.",
    "සිංහල අක්ෂර මාලාව රවුම් ය.",
    "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า",
    "ສະບາຍດີ, ເຈົ້າສະບາຍດີບໍ?",
    "ភាសាខ្មែរមានអក្សរច្រើន។",
    "မင်္ဂလာပါ၊ နေကောင်းလား။",
    "བོད་ཡིག་ནི་མཛེས་པོ་རེད།",
    "ሰላም፣ እንዴት ነህ? አዲስ አበባ።",
    "ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ",
    "ᐃᓄᒃᑎᑐᑦ ᑐᑭᓯᔭᐅᔪᖅ",
    "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ",
    "今日は良い天気ですね。カタカナとひらがなと漢字、ﾊﾝｶｸも。",
    "天地玄黃，宇宙洪荒。简体与繁體混排。",
    "키스의 고유조건은 입술끼리 만나야 한다. 한글",
    "ㄅㄆㄇㄈ ㄓㄨˋ ㄧㄣ",
    "ⵜⴰⵎⴰⵣⵉⵖⵜ ⴷ ⵜⵓⵜⵍⴰⵢⵜ",
    "ߒߞߏ ߦߋ߫ ߞߊ߲",
    "𐌼𐌰𐌲 𐌲𐌻𐌴𐍃 𐌹̈𐍄𐌰𐌽",
    "𝕳𝖊𝖑𝖑𝖔 𝓌ℴ𝓇𝓁𝒹, ⓗⓘ ｆｕｌｌ",
]

# Characters of the classes Nd, Nl and No, which the pre-tokenizer takes one by one, as it does 0 to 9.
DIGITS = [
    "٠١٢٣٤٥٦٧٨٩",
    "۰۱۲۳۴۵۶۷۸۹",
    "०१२३४५६७८९",
    "০১২৩৪৫৬৭৮৯৴",
    "௧௨௩௰௱",
    "๐๑๒๓๔๕๖๗๘๙",
    "༠༡༢༣༤༪",
    "០១២៣៤",
    "၀၁၂၃၄",
    "፩፪፫፻፼",
    "０１２３４５６７８９",
    "𝟎𝟏𝟐𝟛𝟜𝟝",
    "²³¹⁰⁴₀₁₂",
    "½⅓¾⅞⅛",
    "ⅠⅡⅢⅣⅻↀ",
    "①②③⑳❶➀㉑",
    "〇〡〢〣㊀㈠",
    "𒐕𒐖𐄇𐄈",
]
NUMBERS = ["7", "42", "1999", "3.14159", "1,234,567.89", "0x1F600", "-17", "1e-5", "2024-02-29", "192.168.0.1", "10%", "007"]

OTHERS = [
    "def f(x: int) -> str:\n\treturn f\"{x!r:>10}\"  # 100 %\n",
    "for (let i = 0; i < n; i++) {\n    out[i] = a[i] ?? b?.[i] ** 2;\n}",
    "SELECT * FROM `t` WHERE a <> 'it''s' AND b >= 10;",
    "https://example.org/a/b?c=d&e=%20f#g",
    "<div class=\"x\">&nbsp;</div><!-- no -->",
    "\\begin{align} a_{1} &= \\frac{1}{2} \\\\ \\end{align}",
    "I'm you're he'll they've she'd it's we'RE don'T",
    "'tis the dogs' 'quote' ''double'' ‘curly’ “both” it’s",
    "👍 👍🏿 👩‍👩‍👧‍👦 🏳️‍🌈 🇩🇪🇯🇵 ❤️ ☺ 🫠 1️⃣ #️⃣",
    "e\u0301 é a\u0308\u0323 Z͑ͫ̓ͪ̂ͫ̽͏̴̙a͎͙l͖g̶o",
    "a\u200bb\u200cc\u200dd\u2060e\ufefff\u00adg",
    "\u202eabc\u202c \u2066x\u2069 \u200f\u200e",
    "\u0000\u0001\u0007\u001b[31m\u007f\u0085",
    "\u00a0\u1680\u2003\u2028\u2029\u202f\u205f\u3000x",
    "\ue000\uf8ff\U000f0000\U0010ffff\ufffd\ufffe",
    "   three spaces,  two,\ttab,\t\ttabs,\n\nlines\r\n\r\n crlf   ",
    "\n",
    " ",
    "\t\n \r",
    "",
    "a",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
    "!?!?!?....,,,;;;:::---___***///\\\\\\|||~~~^^^```",
    "Ġ Ċ ĉ Ã© âĢĻ ▁ ##ing </w> Ġthe",
    "Donaudampfschifffahrtselektrizitätenhauptbetriebswerkbauunterbeamtengesellschaft",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
]

# Added tokens, and what only looks like one.
SPECIALS = [
    "<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n",
    "<|endoftext|>",
    "a<|endoftext|>b",
    " <|im_end|> ",
    "<|im_end|><|im_end|>",
    "<|im_end|\u200b>",
    "<|IM_END|>",
    "<|im_end",
    "|im_end|>",
    "<<|im_end|>>",
    "<|im_<|im_end|>end|>",
    "<repo_name>x/y<file_sep>a.py\nprint(1)<file_sep>",
    "<reponame> <filename> <gh_stars>100",
    "<issue_start><issue_comment>text<issue_closed>",
    "<jupyter_start><jupyter_text>t<jupyter_code>1+1<jupyter_output>2<jupyter_script>",
    "<empty_output>日本<empty_output>",
]


def texts(count=300, seed=1):
    rng = random.Random(seed)
    found = [*SENTENCES, *OTHERS, *SPECIALS]
    found += [f"{rng.choice(SENTENCES).split()[0]} {digits} x{digits[0]}{digits[-1]}y" for digits in DIGITS]
    found += [f"{number} {number}{rng.choice(['km', '€', '', ' %'])}" for number in NUMBERS]
    while len(found) < count:
        found.append(mixed(rng))
    assert len(set(found)) == len(found) == count, len(found)
    return found


def mixed(rng):
    parts = []
    for _ in range(rng.randint(2, 6)):
        kind = rng.random()
        if kind < 0.5:  # a stretch of a sentence, cut anywhere
            sentence = rng.choice(SENTENCES)
            start = rng.randrange(len(sentence))
            parts.append(sentence[start : start + rng.randint(1, 14)])
        elif kind < 0.62:
            parts.append(rng.choice(rng.choice(DIGITS)) * rng.randint(1, 2))
        elif kind < 0.72:
            parts.append(rng.choice(NUMBERS))
        elif kind < 0.85:
            parts.append(rng.choice(OTHERS)[:12])
        elif kind < 0.93:
            parts.append(rng.choice(SPECIALS)[:14])
        else:
            parts.append("".join(chr(rng.choice([rng.randrange(0x20, 0x2FF), rng.randrange(0x1F300, 0x1F6FF)])) for _ in range(3)))
        parts.append(rng.choice(["", "", " ", "  ", "\n", "\t", "-", "'s "]))
    return "".join(parts)


def make_strings(folder):
    """Records of texts and of decodings. `parse` and `decoded` are left out where they are `text`'s."""
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    rng = random.Random(2)
    strings = []
    for string in texts():
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(string, add_special_tokens=False).ids
        tokenizer.encode_special_tokens = False
        parse = tokenizer.encode(string, add_special_tokens=False).ids
        strings.append({"text": string, "ids": plain, **({} if parse == plain else {"parse": parse})})
        for ids in (plain, parse):
            decoded = tokenizer.decode(ids, skip_special_tokens=False)
            assert decoded == string, (string, decoded)
    return strings, [decoding(tokenizer, rng, strings) for _ in range(100)]


def decoding(tokenizer, rng, strings):
    """Ids that begin or end within a character, or that no text gives, with both decodings."""
    if rng.random() < 0.7:
        one = rng.choice(strings)
        ids = one.get("parse", one["ids"])
        start = rng.randrange(len(ids) + 1)
        ids = ids[start : start + rng.randint(1, 12)]
    else:
        ids = [rng.randrange(49152) if rng.random() < 0.8 else rng.randrange(17) for _ in range(rng.randint(1, 10))]
    kept, skipped = (tokenizer.decode(ids, skip_special_tokens=skip) for skip in (False, True))
    return {"ids": ids, "decoded": kept, **({} if kept == skipped else {"skipped": skipped})}


def write_lines(path, records):
    """A record a line."""
    lines = [json.dumps(record, ensure_ascii=True, separators=(",", ":")) + "\n" for record in records]
    path.write_text("".join(lines), encoding="ascii")
