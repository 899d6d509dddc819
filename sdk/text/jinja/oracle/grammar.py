"""Random templates, and variables for them, drawn from jinja2's whole grammar. Expressions are drawn by type, so that
most of them work, with a few of another type, so that some fail; a few templates are damaged at last."""

import random

TEXTS = [
    "", " ", "a", "Hello, World", "hello wORLD", "  padded \n", "a,b,c", "one two  three", "line1\nline2\r\nline3",
    "it's", 'say "hi"', "<b>&'\"</b>", "\u00e9t\u00e9", "STRASSE \u00df", "\u0130stanbul", "\u01c6\u01c4", "\u03a3\u039f\u03a6\u039f\u03a3",
    "\U0001f600x\U0001f468", "e\u0301", "\u200b\ufeff", "tab\there", "42", "-7", "3.5", "1e3", "0x1F", "foo-bar_baz.qux",
    "CamelCase", "<|im_start|>", "%s %d", "{} {0}", "aaaa", "x=1;y=2", "\x85\u2028", "null", "\\", "a\\nb", "\u4eca\u65e5",
    "\u00bd\u00b2\u2163", "\u0663", "www.example.com and me@x.org", "The quick brown fox jumps over the lazy dog. " * 2,
]
LITERALS = [
    "''", "'a'", '"b"', "'it\\'s'", "'\\n'", "'\\t|'", "'\\\\'", "'\\x41'", "'\\u00e9'", "'\\q'", "'a' 'b'", "'{}'", "'%s'",
    "'Hello'", "'WORLD'", "' pad '", "', '", "'<x>'", "'\u00e9\U0001f600'", "'\\U0001F600'", "'abc'", "'ABC def'", "'12'", "'-'",
    "'line\\nnext'", "'\u00df'", "'a,b'", "'\\101'", "'role'", "'user'",
]
INTEGERS = ["0", "1", "2", "3", "5", "7", "10", "42", "-1", "-3", "1_000", "0x1f", "0b101", "0o17", "100", "2147483648", "123456789012345678901234567890"]
FLOATS = ["0.5", "1.0", "2.5", "-1.5", "1e3", "1E-7", "1.5e+20", "3.14159", "0.1", "100.0", "1_0.5", "2.675", "1e16", "123456789.125", "0.00012"]
SMALL = ["0", "1", "2", "3", "-1", "-2", "4"]
ATTRIBUTES = ["name", "age", "city", "role", "content", "nope", "items", "keys", "tags", "nick"]

STR_METHODS = [
    "upper()", "lower()", "strip()", "lstrip()", "rstrip()", "strip({s})", "rstrip('\\n')", "title()", "capitalize()",
    "swapcase()", "casefold()", "replace({s}, {s})", "replace({s}, {s}, {i})", "center({i} + 6)", "ljust({i} + 6, '*')",
    "rjust({i} + 6)", "zfill({i} + 6)", "expandtabs()", "expandtabs({i})", "removeprefix({s})", "removesuffix({s})",
    "join({ls})", "format({a}, {a})", "format(x={a})", "split({s})[0]", "splitlines()[0]", "partition({s})[0]",
    "rpartition({s})[2]", "rsplit({s}, {i})[-1]", "__class__", "nope", "translate({{97: 'X', 98: none}})",
]
BOOL_METHODS = [
    "startswith({s})", "endswith({s})", "startswith(({s}, {s}))", "startswith({s}, {i})", "endswith({s}, {i}, {i})", "isalpha()",
    "isdigit()", "isalnum()", "isspace()", "isupper()", "islower()", "istitle()", "isnumeric()", "isdecimal()", "isidentifier()",
    "isascii()", "isprintable()",
]
INT_METHODS = ["find({s})", "find({s}, {i})", "rfind({s})", "index({s})", "rindex({s}, {i}, {i})", "count({s})", "count({s}, {i})"]
LIST_METHODS = ["split()", "split({s})", "split({s}, {i})", "rsplit()", "rsplit(none, {i})", "splitlines()", "splitlines(true)", "partition({s})", "split(maxsplit={i})"]
STR_FILTERS = [
    "upper", "lower", "trim", "trim({s})", "title", "capitalize", "replace({s}, {s})", "replace({s}, {s}, {i})", "center({i} + 8)",
    "string", "indent", "indent({i})", "indent(2, true)", "indent(first=true, blank=true)", "indent('> ')", "truncate({i} + 5)",
    "truncate({i} + 5, true)", "truncate({i} + 5, true, '..', 0)", "wordwrap({i} + 6)", "wordwrap({i} + 4, false)", "e", "escape",
    "forceescape", "safe", "striptags", "urlencode", "urlize", "format({a})", "default({s})", "d({s}, true)", "reverse", "tojson",
    "pprint", "wordwrap(12, wrapstring='/')", "urlize(8, true, target='_blank')", "first", "last", "attr('upper')()",
]
TO_STR = ["string", "tojson", "tojson(indent=2)", "tojson(ensure_ascii=true)", "tojson(sort_keys=true)", "join", "join({s})", "pprint", "tojson(separators=(',', ':'))", "filesizeformat", "e", "xmlattr", "urlencode"]
TESTS = [
    "defined", "undefined", "none", "string", "number", "integer", "float", "boolean", "true", "false", "mapping", "iterable", "sequence",
    "callable", "odd", "even", "lower", "upper", "escaped", "divisibleby 2", "divisibleby({i})", "eq {a}", "equalto({a})", "ne {a}",
    "lt {n}", "gt({n})", "le {n}", "ge {n}", "in {l}", "in([{a}, {a}])", "sameas none", "sameas(true)", "filter", "test", "greaterthan {n}",
    "lessthan({n})", "in {d}", "eq", "nosuchtest",
]
NUMBER_FILTERS = ['abs', 'round', 'round(2)', 'round(1, "floor")', 'round(method="ceil")', 'int', 'float', 'round(-1)']
LIST_REDUCERS = ['sum', 'max', 'min', 'first', 'last', 'length', 'sum(start=1)', 'map("length") | sum', 'max(case_sensitive=true)']
LIST_FILTERS = ['sort', 'sort(reverse=true)', 'sort(case_sensitive=true)', 'unique', 'reverse', 'list', 'unique | list', 'reverse | list', 'batch(2) | list', 'batch(2, 0) | list', 'slice(2) | list', 'slice(3, none) | map("list") | list', 'sort | list']
MAPPED = ['"upper"', '"string"', '"length"', '"int"', '"replace", "a", "b"', '"default", 1', 'attribute="name"', 'attribute="city", default="?"', 'attribute=0', '"nosuch"', '"tojson"', '"abs"', '"first"']
SELECTED = ['', '"odd"', '"string"', '"none"', '"gt", 1', '"in", [1, 2, "a"]', '"equalto", "a"', '"number"', '"defined"']
SELECTED_BY = ['"name"', '"age", "gt", 20', '"city", "equalto", "NY"', '"nope"', '"city", "defined"', '"address.zip"', '"tags", "in", [[]]']
SELECTED_AFTER = ['list', 'map(attribute="name") | list', 'list | length', 'first']
USER_FILTERS = ['sort(attribute="age")', 'sort(attribute="city,name")', 'groupby("city")', 'groupby("city", default="none")', 'map(attribute="address.zip") | list', 'map(attribute="tags.0") | list', 'unique(attribute="city") | list', 'sum(attribute="age")', 'max(attribute="age")', 'join(", ", attribute="name")']
DICT_LISTS = ['.items()', '.keys()', '.values()', ' | items', ' | dictsort', ' | list', ' | items | list', '.items() | list', ' | dictsort(true)', ' | dictsort(false, "value")', ' | dictsort(reverse=true)']


class Grammar:
    def __init__(self, rng: random.Random, size: int) -> None:
        self.rng = rng
        self.left = size
        self.names = {"s": ["s", "t", "w"], "n": ["n", "i", "f"], "l": ["xs", "ws", "mixed", "users", "messages"], "d": ["d", "user"], "b": ["b"]}
        self.macros: list = []
        self.functions = 0
        self.in_loop = False
        self.loops = 0

    def chance(self, p: float) -> bool:
        return self.rng.random() < p

    def pick(self, options):
        return self.rng.choice(options)

    # Expressions

    def fill(self, pattern: str, depth: int) -> str:
        kinds = {"s": self.str_, "i": self.small, "n": self.number, "a": self.any_, "l": self.list_, "ls": self.strings, "d": self.dict_}
        made, rest = "", pattern.replace("{{", "\0").replace("}}", "\1")
        while "{" in rest:
            before, _, rest = rest.partition("{")
            kind, _, rest = rest.partition("}")
            made += before + kinds[kind](depth + 1)
        return (made + rest).replace("\0", "{").replace("\1", "}")

    def mistyped(self, depth: int) -> bool:
        return depth < 4 and self.chance(0.012)

    def name(self, kind: str) -> str:
        if self.chance(0.015):
            return self.pick(["u1", "u2", "loop", "self", "caller", "z"])
        return self.pick(self.names[kind])

    def small(self, depth: int) -> str:
        if depth > 3 or self.chance(0.8):
            return self.pick(SMALL)
        return self.pick(["i", "n % 5", "(s | length) % 7", "-i", "xs | length", "none", "true"])

    def any_(self, depth: int = 0) -> str:
        return self.pick([self.str_, self.str_, self.number, self.number, self.list_, self.dict_, self.bool_, self.other])(depth)

    def other(self, depth: int) -> str:
        return self.pick(["none", "z", "u1", "u1.x", "d.nope", "xs[99]", "range(3)", "d.keys()", "d.values()", "d.items()", "namespace(a=1)", "dict(a=1)", "()", "(1,)", "(1, 'a')", "loop.index", "loop.last", "cycler('a', 'b').next()", "true", "none if b"])

    def str_(self, depth: int = 0) -> str:
        if self.mistyped(depth):
            return self.any_(depth + 1)
        if depth > 4 or self.chance(0.3):
            return self.pick([self.pick(LITERALS), self.name("s")])
        kind = self.rng.randrange(13)
        if kind == 0:
            return f"{self.str_(depth + 1)} ~ {self.any_(depth + 1)}"
        if kind == 1:
            return f"({self.str_(depth + 1)} + {self.str_(depth + 1)})"
        if kind == 2:
            return self.pick([f"{self.str_(depth + 1)} * {self.pick(SMALL)}", f"({self.pick(SMALL)} * {self.str_(depth + 1)})"])
        if kind == 3:
            return f"{self.atom(self.str_, depth)}[{self.slice_(depth)}]"
        if kind in (4, 5):
            return f"{self.atom(self.str_, depth)}.{self.fill(self.pick(STR_METHODS), depth)}"
        if kind in (6, 7):
            return f"{self.str_(depth + 1)} | {self.fill(self.pick(STR_FILTERS), depth)}"
        if kind == 8:
            return self.format_(depth)
        if kind == 9:
            return f"({self.str_(depth + 1)} if {self.bool_(depth + 1)}{self.pick([' else ' + self.str_(depth + 1), ' else ' + self.str_(depth + 1), ''])})"
        if kind == 10:
            return f"{self.any_(depth + 1)} | {self.fill(self.pick(TO_STR), depth)}"
        if kind == 11 and self.macros:
            return self.call(depth)
        return f"({self.str_(depth + 1)} {self.pick(['or', 'and'])} {self.str_(depth + 1)})"

    def atom(self, make, depth: int) -> str:
        made = make(depth + 1)
        return made if made.isidentifier() or made.startswith(("'", "[")) and " " not in made else f"({made})"

    def slice_(self, depth: int) -> str:
        i = lambda: self.small(depth + 2)
        return self.pick([i(), i(), f"{i()}:", f":{i()}", f"{i()}:{i()}", "::-1", f"::{self.pick(['1', '2', '-1', '-2', '3'])}", f"{i()}:{i()}:{self.pick(['1', '2', '-1', '0'])}", ":"])

    def format_(self, depth: int) -> str:
        a = lambda: self.any_(depth + 2)
        n = lambda: self.number(depth + 2)
        return self.pick([
            lambda: f"'%s-%s' % ({a()}, {a()})", lambda: f"'[%5s|%-5s]' % ({a()}, {a()})", lambda: f"'%d %i' % ({n()}, {n()})",
            lambda: f"'%05.1f|%+d' % ({n()}, {n()})", lambda: f"'%x %o %X %#x' % (255, 8, 171, {self.pick(SMALL)})",
            lambda: f"'%e %g %G' % ({n()}, {n()}, {n()})", lambda: f"'%(a)s %(b)r' % {{'a': {a()}, 'b': {a()}}}", lambda: f"'%r' % ({a()},)",
            lambda: f"'%s' % {a()}", lambda: f"'%%' % ()", lambda: f"'%c%c' % ('x', 65)", lambda: f"'%.3s' % {self.str_(depth + 2)}",
            lambda: f"'{{}} {{}}'.format({a()}, {a()})", lambda: f"'{{0}} {{1!r}} {{0!s}}'.format({a()}, {a()})",
            lambda: f"'{{:>8}}|{{:<6}}|{{:^7}}'.format({self.str_(depth + 2)}, {n()}, {n()})", lambda: f"'{{:.2f}} {{:,}} {{:e}}'.format({n()}, {n()}, {n()})",
            lambda: f"'{{x}} {{y[0]}}'.format(x={a()}, y={self.list_(depth + 2)})", lambda: f"'{{:{{w}}}}|'.format({a()}, w=6)",
            lambda: f"'{{:05d}} {{:+}} {{:x}} {{:b}} {{:#o}}'.format({n()}, {n()}, 255, 5, 8)", lambda: f"'{{:%}} {{:g}} {{:.3}}'.format({n()}, {n()}, {n()})",
            lambda: f"'{{u[name]}} {{u.age}}'.format(u=user)", lambda: f"'{{:*^9}}{{:_}}'.format({self.str_(depth + 2)}, 1234567)", lambda: f"'{{{{}}}}{{}}'.format({a()})",
            lambda: f"'{{:8.3f}}|{{:<08}}|{{:=+7}}'.format({n()}, {n()}, {n()})",
        ])()

    def number(self, depth: int = 0) -> str:
        if self.mistyped(depth):
            return self.any_(depth + 1)
        if depth > 4 or self.chance(0.35):
            return self.pick([self.pick(INTEGERS), self.pick(FLOATS), self.name("n"), self.pick(SMALL)])
        kind = self.rng.randrange(9)
        if kind in (0, 1):
            return f"({self.number(depth + 1)} {self.pick(['+', '-', '*', '/', '//', '%'])} {self.number(depth + 1)})"
        if kind == 2:
            return f"{self.pick(['2', '3', '10', 'i', '-2', '0.5'])} ** {self.pick(['2', '3', '-1', '0', '10'])}"
        if kind == 3:
            return f"{self.pick(['-', '+', '- '])}{self.pick(['n', 'f', '2', '(1 + 2)', 'i', 'xs[0]'])}"
        if kind == 4:
            if self.chance(0.1):
                return f"{self.pick(['s', 't', 'w', *LITERALS])} | wordcount"
            return f"{self.any_(depth + 1)} | {self.pick(['length', 'count', 'int', 'float', 'int(7)', 'int(base=16)', 'float(1.5)'])}"
        if kind == 5:
            return f"{self.number(depth + 1)} | {self.pick(NUMBER_FILTERS)}"
        if kind == 6:
            return f"{self.list_(depth + 1)} | {self.pick(LIST_REDUCERS)}"
        if kind == 7:
            return f"{self.atom(self.str_, depth)}.{self.fill(self.pick(INT_METHODS), depth)}"
        return f"({self.number(depth + 1)} if {self.bool_(depth + 1)} else {self.number(depth + 1)})"

    def bool_(self, depth: int = 0) -> str:
        if self.mistyped(depth):
            return self.any_(depth + 1)
        if depth > 4 or self.chance(0.15):
            return self.pick(["true", "false", "True", "b", "not b", self.name("b")])
        kind = self.rng.randrange(10)
        n, s, a = (lambda: self.number(depth + 1)), (lambda: self.str_(depth + 1)), (lambda: self.any_(depth + 1))
        if kind == 0:
            return f"{n()} {self.pick(['<', '>', '<=', '>=', '==', '!='])} {n()}"
        if kind == 1:
            return f"{n()} {self.pick(['<', '<=', '!='])} {n()} {self.pick(['<', '>=', '=='])} {n()}"
        if kind == 2:
            return f"{s()} {self.pick(['<', '>', '==', '!='])} {s()}"
        if kind == 3:
            return f"{self.pick([s, a])()} {self.pick(['in', 'not in'])} {self.pick([s, lambda: self.list_(depth + 1), lambda: self.dict_(depth + 1)])()}"
        if kind in (4, 5):
            return f"{self.atom(self.any_, depth)} is {self.pick(['', '', 'not '])}{self.fill(self.pick(TESTS), depth)}"
        if kind == 6:
            return f"({self.bool_(depth + 1)} {self.pick(['and', 'or'])} {self.bool_(depth + 1)})"
        if kind == 7:
            return f"not {self.bool_(depth + 1)}"
        if kind == 8:
            return f"{self.atom(self.str_, depth)}.{self.fill(self.pick(BOOL_METHODS), depth)}"
        return f"{a()} == {a()}"

    def strings(self, depth: int = 0) -> str:
        return self.pick(["ws", f"[{self.str_(depth + 1)}, {self.str_(depth + 1)}]", "s", "d"])

    def list_(self, depth: int = 0) -> str:
        if self.mistyped(depth):
            return self.any_(depth + 1)
        if depth > 4 or self.chance(0.3):
            return self.pick([self.name("l"), "xs", "ws", "[]", "[1, 2, 3]", "['b', 'A', 'c', 'a']", "(3, 1, 2)", "range(4)", "range(1, 9, 3)"])
        kind = self.rng.randrange(13)
        l = lambda: self.list_(depth + 1)
        if kind == 0:
            return "[" + ", ".join(self.any_(depth + 1) for _ in range(self.rng.randrange(4))) + self.pick(["]", "]", "]", ",]"]).replace("[,]", "[]")
        if kind == 1:
            return f"({l()} + {l()})"
        if kind == 2:
            return f"{l()} * {self.pick(SMALL)}"
        if kind == 3:
            return f"{self.atom(self.list_, depth)}[{self.slice_(depth)}]"
        if kind == 4:
            return f"{self.atom(self.str_, depth)}.{self.fill(self.pick(LIST_METHODS), depth)}"
        if kind == 5:
            return f"{l()} | {self.pick(LIST_FILTERS)}"
        if kind == 6:
            return f"{l()} | map({self.pick(MAPPED)}) | list"
        if kind == 7:
            return f"{l()} | {self.pick(['select', 'reject'])}({self.pick(SELECTED)}) | list"
        if kind == 8:
            return f"users | {self.pick(['selectattr', 'rejectattr'])}({self.pick(SELECTED_BY)}) | {self.pick(SELECTED_AFTER)}"
        if kind == 9:
            return f"users | {self.pick(USER_FILTERS)}"
        if kind == 10:
            return f"{self.dict_(depth + 1)}{self.pick(DICT_LISTS)}"
        if kind == 11:
            return f"({l()} if {self.bool_(depth + 1)} else {l()})"
        return f"{self.pick(['', ''])}({l()} or {l()})"

    def dict_(self, depth: int = 0) -> str:
        if self.mistyped(depth):
            return self.any_(depth + 1)
        if depth > 4 or self.chance(0.4):
            return self.pick([self.name("d"), "d", "user", "{}", "{'a': 1, 'b': [2]}", "users[0]", "messages[0]"])
        kind = self.rng.randrange(4)
        if kind in (0, 1):
            key = lambda: self.pick([self.str_, self.str_, self.str_, self.number, self.any_])(depth + 1)
            return "{" + ", ".join(f"{key()}: {self.any_(depth + 1)}" for _ in range(self.rng.randrange(4))) + "}"
        if kind == 2:
            return f"dict({self.pick(['', 'd', '[[1, 2]]', 'd, x=1', 'a=1, b=2'])})"
        return f"({self.dict_(depth + 1)} if {self.bool_(depth + 1)} else {self.dict_(depth + 1)})"

    def lookup(self, depth: int = 0) -> str:
        owner = self.pick(["d", "user", "users[0]", "users[-1]", "messages[0]", "ns", "u1", "xs", "s", "z", "loop"])
        return owner + self.pick([f".{self.pick(ATTRIBUTES)}", f"['{self.pick(ATTRIBUTES)}']", f".get('{self.pick(ATTRIBUTES)}')", f".get('{self.pick(ATTRIBUTES)}', {self.any_(depth + 2)})", f"[{self.small(depth)}]", f".{self.pick(ATTRIBUTES)}.{self.pick(ATTRIBUTES)}", ".0", f"[{self.any_(depth + 2)}]"])

    def call(self, depth: int) -> str:
        name, params = self.pick(self.macros)
        args = [self.any_(depth + 2) for _ in range(self.rng.randrange(len(params) + 2))]
        if params and self.chance(0.3):
            args.append(f"{self.pick([*params, 'other'])}={self.any_(depth + 2)}")
        if self.chance(0.05):
            args.append(self.pick(["*xs", "**d", "*ws, **{'a': 1}"]))
        return f"{name}({', '.join(args)})"

    def expression(self) -> str:
        return self.pick([self.any_, self.any_, self.str_, self.number, self.bool_, self.list_, lambda d: self.lookup(d)])(0)

    # Statements

    def tag(self, body: str) -> str:
        opening = self.pick(["{% ", "{% ", "{% ", "{%- ", "{%- ", "{%+ ", "{%"])
        closing = self.pick([" %}", " %}", " %}", " -%}", " -%}", " +%}", "%}"])
        return opening + body + closing

    def data(self) -> str:
        return self.pick(["", "", "x", " ", "\n", "  \n", "\n  ", "a b", "text\n", "\n\n", "\t", "é", "}}", "<|im_end|>\n", "\r\n", "# ", "{ ", "%", "\\n", ":", "\n    "])

    def body(self, depth: int) -> str:
        count = self.rng.randrange(1, 4)
        return "".join(self.statement(depth + 1) for _ in range(count))

    def statements(self) -> str:
        made = ""
        while self.left > 0:
            made += self.statement(0)
        return made

    def statement(self, depth: int) -> str:
        self.left -= 1
        if self.left < -12 or depth > 4:
            return self.data()
        kind = self.rng.random()
        for share, make in self.SHARES:
            kind -= share
            if kind < 0:
                return make(self, depth)
        return self.data()

    def output(self, depth: int) -> str:
        inner = self.expression()
        if inner.startswith("{"):
            inner = " " + inner
        opening, closing = self.pick(["{{ ", "{{ ", "{{- ", "{{"]), self.pick([" }}", " }}", " -}}"])
        return self.data() + opening + inner + closing + self.data()

    def if_(self, depth: int) -> str:
        made = self.tag(f"if {self.bool_()}") + self.body(depth)
        while self.chance(0.25):
            made += self.tag(f"elif {self.bool_()}") + self.body(depth)
        if self.chance(0.5):
            made += self.tag("else") + self.body(depth)
        return made + self.tag("endif")

    def for_(self, depth: int) -> str:
        self.loops += 1
        target, source = self.pick([
            ("x", self.list_(1)), ("x", self.list_(1)), ("x, y", "d.items()"), ("x, y", "d | items"), ("x, y", "[[1, 2], ['a', 'b']]"), ("m", "messages"),
            ("(x, y), w", "[[[1, 2], 3]]"), ("x", "s"), ("x", "d"), ("x", "range(i + 3)"), ("x", "u1"), ("x, y", "xs"), ("g", "users | groupby('city')"), ("x", "xs, ws"), ("s", "ws"),
        ])
        condition = self.pick(["", "", "", f" if {self.bool_(2)}", " if x", " if loop", " if x is defined"])
        recursive = self.pick(["", "", "", "", "", " recursive"])
        outer = (self.in_loop, {kind: [*names] for kind, names in self.names.items()}, [*self.macros])
        self.in_loop = True
        self.names["s"] += ["x", "x"]
        self.names["n"] += ["x", "loop.index", "loop.index0", "loop.revindex", "loop.length"]
        self.names["b"] += ["loop.first", "loop.last"]
        extras = ["", "", "", f"{{{{ loop.cycle({self.any_(3)}, {self.any_(3)}) }}}}", "{{ loop.previtem }}|{{ loop.nextitem }}", "{% if loop.changed(x) %}!{% endif %}", "{{ loop.index }}/{{ loop.length }}", "{{ loop.depth }}{{ loop.revindex0 }}", "{{ loop }}"]
        inner = self.body(depth) + self.pick(extras)
        if recursive:
            inner += self.pick(["{% if loop.depth < 3 %}{{ loop([1, 2]) }}{% endif %}", "{{ loop(x) if x is iterable and x is not string and loop.depth < 4 }}", ""])
        if self.chance(0.2):
            inner += self.tag(f"if {self.pick(['loop.index == 2', 'x == 1', 'loop.last', 'b'])}") + self.tag(self.pick(["break", "continue"])) + self.tag("endif") + self.data()
        self.in_loop, self.names, self.macros = outer
        otherwise = self.tag("else") + self.body(depth) if self.chance(0.2) else ""
        return self.tag(f"for {target} in {source}{condition}{recursive}") + inner + otherwise + self.tag("endfor")

    def set_(self, depth: int) -> str:
        name = self.pick(["v", "v", "w", "s", "n", "x", "q", "xs"])
        kind, make = self.pick([("s", self.str_), ("n", self.number), ("l", self.list_), ("d", self.dict_), ("b", self.bool_)])
        made = self.pick([
            lambda: self.tag(f"set {name} = {make(1)}"), lambda: self.tag(f"set {name} = {make(1)}"), lambda: self.tag(f"set v, w = {self.any_(2)}, {self.any_(2)}"),
            lambda: self.tag(f"set {name} = {self.any_(2)}, {self.any_(2)}"), lambda: self.tag(f"set v, w = {self.pick(['xs', 's', '[1, 2]', 'd', '(1, (2, 3))'])}"),
        ])()
        self.names[kind].append(name)
        return made + self.data()

    def set_block(self, depth: int) -> str:
        filters = self.pick(["", "", "", " | upper", " | trim | length", " | replace('a', 'b') | title", " | default('x')", " | indent(2)"])
        name = self.pick(["v", "w", "q"])
        made = self.tag(f"set {name}{filters}") + self.body(depth) + self.tag("endset")
        self.names["s"].append(name)
        return made

    def namespace(self, depth: int) -> str:
        start = self.tag(f"set ns = namespace({self.pick(['', 'a=1', 'name=s', 'a=1, items=[]', 'd', '_x=1'])})")
        name = self.pick(["a", "name", "city", "items", "_x"])
        update = self.tag(f"set ns.{name} = {self.any_(2)}")
        loop = self.tag("for x in xs") + self.tag(f"set ns.a = {self.pick(['ns.a + x', 'x', 'ns.a ~ x', '(ns.a or 0) + loop.index'])}") + self.tag("endfor")
        return start + self.pick([update, loop, update + loop]) + f"{{{{ ns.{name} }}}}{{{{ ns.a }}}}" + self.pick(["", "{{ ns }}", "{{ ns.nope is defined }}"])

    def macro(self, depth: int) -> str:
        self.functions += 1
        name = f"m{self.pick([self.functions, 1])}"
        params = self.rng.sample(["a", "c", "x", "s"], self.rng.randrange(3))
        defaults = [f"{p}={self.any_(3)}" if i >= len(params) // 2 and self.chance(0.6) else p for i, p in enumerate(params)]
        if any("=" in a and "=" not in b for a, b in zip(defaults, defaults[1:])):
            defaults = params
        outer = (self.in_loop, {kind: [*names] for kind, names in self.names.items()})
        self.in_loop = False
        self.names["s"] += [p for p in params for _ in range(2)]
        extra = self.pick(["", "", "", "{{ caller() }}", "{{ varargs }}", "{{ kwargs }}", "{{ caller(1) if caller }}", "{{ varargs | length }}", "{{ kwargs | dictsort }}"])
        inner = self.body(depth) + extra
        self.in_loop, self.names = outer
        made = self.tag(f"macro {name}({', '.join(defaults)})") + inner + self.tag("endmacro")
        self.macros.append((name, params))
        return made + (f"{{{{ {self.call(0)} }}}}" if self.chance(0.7) else "")

    def call_block(self, depth: int) -> str:
        if not self.macros:
            return self.macro(depth)
        params = self.pick(["", "", "(x)", "(x, y=1)"])
        return self.tag(f"call{params} {self.call(1)}") + self.body(depth) + self.tag("endcall")

    def filter_block(self, depth: int) -> str:
        name = self.pick(["upper", "trim", "title | reverse", "replace('a', 'b')", "length", "indent(2)", "e", "wordcount", "striptags", "nosuch"])
        return self.tag(f"filter {name}") + self.body(depth) + self.tag("endfilter")

    def with_(self, depth: int) -> str:
        bindings = self.pick([f"x = {self.any_(1)}", f"x = {self.any_(1)}, y = {self.any_(1)}", "", f"s = s ~ {self.str_(2)}", "x, y = [1, 2]", "x = 1, y = x"])
        return self.tag(f"with {bindings}") + self.body(depth) + "{{ x }}" + self.tag("endwith")

    def raw(self, depth: int) -> str:
        inner = self.pick(["{{ x }}", "{% if %}", " a \n", "\n {# c #}\n", "{{", "%}", ""])
        return self.data() + self.tag("raw") + inner + self.tag("endraw") + self.data()

    def comment(self, depth: int) -> str:
        inner = self.pick([" c ", "", "{{ x }}", "\n multi\n line ", "- ", " % "])
        return self.data() + self.pick(["{#", "{#-", "{#+"]) + inner + self.pick(["#}", "-#}", "+#}"]) + self.data()

    def generation(self, depth: int) -> str:
        return self.tag("generation") + self.body(depth) + self.tag("endgeneration")

    def autoescape(self, depth: int) -> str:
        return self.tag(f"autoescape {self.pick(['true', 'true', 'false', 'b'])}") + self.body(depth) + self.tag("endautoescape")

    def block(self, depth: int) -> str:
        self.functions += 1
        name = f"b{self.functions}"
        made = self.tag(f"block {name}{self.pick(['', '', ' scoped'])}") + self.body(depth) + self.tag("endblock")
        return made + self.pick(["", "", f"{{{{ self.{name}() }}}}"])

    def print_(self, depth: int) -> str:
        return self.tag(f"print {self.any_(2)}, {self.any_(2)}")

    SHARES = [
        (0.40, output), (0.13, if_), (0.13, for_), (0.10, set_), (0.03, set_block), (0.035, namespace), (0.04, macro), (0.015, call_block), (0.015, filter_block),
        (0.02, with_), (0.015, raw), (0.02, comment), (0.01, generation), (0.008, autoescape), (0.008, block), (0.004, print_),
    ]


DAMAGE = ["{{", "}}", "{%", "%}", "|", "(", ")", "[", "]", ",", ".", "if", "else", "endif", "endfor", "is", "not", "in", "'", "~", "1", "#}", "\\", "\n", " ", "=", ":", "**", "%"]


def damaged(rng: random.Random, template: str) -> str:
    """A template with a character or token lost, put in or doubled."""
    at = rng.randrange(len(template) + 1)
    end = min(len(template), at + rng.randrange(4))
    return template[:at] + rng.choice([rng.choice(DAMAGE), "", template[at:end] * 2]) + template[end:]


def template(rng: random.Random) -> str:
    made = Grammar(rng, rng.choice([1, 1, 2, 3, 5, 8, 14])).statements()
    if rng.random() < 0.08:
        made = damaged(rng, made)
    if rng.random() < 0.05:
        made = made.replace("\n", rng.choice(["\r\n", "\r"]))
    return made


def variables(rng: random.Random) -> dict:
    text = lambda: rng.choice(TEXTS)
    # Where a key looks like an index, JavaScript puts it first.
    key = lambda: rng.choice([one for one in TEXTS if one != "42"])
    number = lambda: rng.choice([0, 1, 2, 3, 7, -4, 30, 1000, 2**40])
    real = lambda: rng.choice([0.5, -1.5, 2.25, 1e-7, 3.14159, 1e22 + 0.0, 0.1, 123456.75])
    person = lambda: {"name": text(), "age": number(), **rng.choice([{}, {"city": rng.choice(["NY", "ny", "LA", "Bern"])}]), "address": {"zip": text()}, "nick": rng.choice([None, None, "", "x"]), "tags": [text()][: rng.randrange(2)]}
    message = lambda: {"role": rng.choice(["system", "user", "assistant", "tool"]), "content": text(), **rng.choice([{}, {}, {"name": text()}])}
    mixed = [number, text, lambda: None, lambda: True, real, lambda: [1, "a"], lambda: {"k": text()}]
    return {
        "s": text(), "t": text(), "w": text(), "n": number(), "i": rng.randrange(5), "f": real(), "b": rng.random() < 0.5, "z": None,
        "xs": [number() for _ in range(rng.randrange(5))], "ws": [text() for _ in range(rng.randrange(5))], "mixed": [rng.choice(mixed)() for _ in range(rng.randrange(4))],
        "d": {key(): rng.choice(mixed)() for _ in range(rng.randrange(4))} | rng.choice([{}, {}, {"name": None}, {"items": 0}]), "user": person(), "users": [person() for _ in range(rng.randrange(4))],
        "messages": [message() for _ in range(rng.randrange(1, 4))],
    }
