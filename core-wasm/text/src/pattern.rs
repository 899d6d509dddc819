//! Regular expressions as Oniguruma reads them in its Ruby syntax, which is what Python's build of the crate has.
//! WebAssembly has `fancy-regex` instead, with Rust's syntax; where the two read a pattern differently it is rewritten:
//!
//! | in a pattern | Oniguruma | Rust |
//! |---|---|---|
//! | `^` `$` | of every line, none behind a last line end | of the text |
//! | `(?m)` | `.` matches line ends | `^` and `$` are of every line |
//! | `x{1,3}+` | one or more times `x{1,3}` | possessive |
//! | `x{3}?` | `x{3}` or nothing | lazy |
//! | `\w` `\b` | without joiners (U+200C, U+200D); outside classes with `²³¹¼½¾` | the other way round |
//! | `[[:alpha:]]` | Unicode's | ASCII's |
//! | `\p{^L}` | what is no letter | not read |
//! | `[a--]` `[~~]` | ranges and characters | set operations |

use tokenizers::Offsets;
use tokenizers::tokenizer::pattern::Pattern;

use capstan_tables::{Result, bad, show};

use crate::engine::Engine;
use crate::words::Words;

/// A pattern. Its searches report what goes wrong; the crate's own type for patterns would end them in silence.
pub struct Search {
    /// As it stands in the file.
    pattern: String,
    by: By,
}

enum By {
    Words(Words),
    Text(String),
    Engine(Engine),
}

pub fn compile(pattern: &str) -> Result<Search> {
    let by = match Words::read(pattern) {
        Some(words) => By::Words(words),
        None => {
            let engine = Engine::new(Rewriter::new(pattern).run());
            let wrong = |error| bad("a pattern that Oniguruma takes", format!("{} ({error})", show(pattern)));
            By::Engine(engine.map_err(wrong)?)
        }
    };
    Ok(Search { pattern: pattern.into(), by })
}

/// A text to find as it is; an empty one is found between all characters.
pub fn literal(text: &str) -> Result<Search> {
    if text.is_empty() {
        return compile("");
    }
    Ok(Search { pattern: text.into(), by: By::Text(text.into()) })
}

impl Pattern for &Search {
    fn find_matches(&self, inside: &str) -> tokenizers::Result<Vec<(Offsets, bool)>> {
        let found = match &self.by {
            By::Words(words) => return Ok(words.find(inside)),
            By::Text(text) => inside.match_indices(text).map(|(at, _)| (at, at + text.len())).collect(),
            By::Engine(engine) => engine.find(inside).map_err(|error| {
                let need = format!("a text that the pattern {} gets through in time", show(&self.pattern));
                bad(need, error)
            })?,
        };
        Ok(with_rests(found, inside.len()))
    }
}

/// Matches, and what is between them.
fn with_rests(matches: Vec<Offsets>, length: usize) -> Vec<(Offsets, bool)> {
    if length == 0 {
        return vec![((0, 0), false)];
    }
    let mut found = Vec::with_capacity(2 * matches.len() + 1);
    let mut done = 0;
    for (start, end) in matches {
        found.extend((done < start).then_some(((done, start), false)));
        found.push(((start, end), true));
        done = end;
    }
    found.extend((done < length).then_some(((done, length), false)));
    found
}

/// What Oniguruma takes for characters of words: inside a class, and elsewhere.
const WORD: &str = r"\p{Alphabetic}\p{M}\p{Nd}\p{Pc}";
const WORD_ALONE: &str = r"[\p{Alphabetic}\p{M}\p{Nd}\p{Pc}²³¹¼½¾]";
/// The start of a line: not behind a line end that ends the text.
const LINE_START: &str = r"(?:\A|^(?!\z))";

/// Names in `[[:name:]]`, and what stands for them inside a class.
const POSIX: [(&str, &str); 14] = [
    ("alnum", r"\p{Alphabetic}\p{Nd}"),
    ("alpha", r"\p{Alphabetic}"),
    ("ascii", r"\x00-\x7F"),
    ("blank", r"\t\p{Zs}"),
    ("cntrl", r"\p{Cc}"),
    ("digit", r"\p{Nd}"),
    ("graph", r"[^\p{Cc}\p{Cn}\p{Cs}\p{Z}]"),
    ("lower", r"\p{Lowercase}"),
    ("print", r"[^\p{Cc}\p{Cn}\p{Cs}\p{Zl}\p{Zp}]"),
    ("punct", r"\p{P}\p{S}"),
    ("space", r"\s"),
    ("upper", r"\p{Uppercase}"),
    ("word", WORD),
    ("xdigit", r"0-9A-Fa-f"),
];

struct Rewriter<'a> {
    rest: &'a str,
    out: String,
    /// Where the groups that are open start in `out`.
    groups: Vec<usize>,
    /// Where what a quantifier would repeat starts in `out`.
    atom: Option<usize>,
}

impl<'a> Rewriter<'a> {
    fn new(pattern: &'a str) -> Self {
        let out = String::with_capacity(2 * pattern.len());
        Rewriter { rest: pattern, out, groups: Vec::new(), atom: None }
    }

    fn run(mut self) -> String {
        while let Some(first) = self.rest.chars().next() {
            match first {
                '\\' => {
                    self.atom = Some(self.out.len());
                    self.escape(false);
                }
                '[' => {
                    self.atom = Some(self.out.len());
                    self.class();
                }
                '^' => {
                    self.atom = Some(self.out.len());
                    self.swap(1, LINE_START);
                }
                '(' => self.open(),
                ')' => {
                    self.atom = self.groups.pop();
                    self.take(1);
                }
                '|' => {
                    self.atom = None;
                    self.take(1);
                }
                '*' | '+' | '?' | '{' => self.quantifier(),
                _ => {
                    self.atom = Some(self.out.len());
                    self.take(first.len_utf8());
                }
            }
        }
        self.out
    }

    fn take(&mut self, bytes: usize) {
        let (taken, rest) = self.rest.split_at(bytes);
        self.out.push_str(taken);
        self.rest = rest;
    }

    /// Takes the pattern's next bytes and puts something else in their place.
    fn swap(&mut self, bytes: usize, other: &str) {
        self.rest = &self.rest[bytes..];
        self.out.push_str(other);
    }

    fn escape(&mut self, in_class: bool) {
        let character = self.rest[1..].chars().next();
        match (character, in_class) {
            (Some('<' | '>'), false) => self.swap(1, ""),
            (Some('w'), false) => self.swap(2, WORD_ALONE),
            (Some('W'), false) => self.swap(2, &WORD_ALONE.replacen('[', "[^", 1)),
            (Some('w'), true) => self.swap(2, WORD),
            (Some('W'), true) => self.swap(2, &format!("[^{WORD}]")),
            (Some('b'), false) => self.swap(2, &boundary(["(?<=W)(?!W)", "(?<!W)(?=W)"])),
            (Some('B'), false) => self.swap(2, &boundary(["(?<=W)(?=W)", "(?<!W)(?!W)"])),
            (Some('p'), _) if self.rest[2..].starts_with("{^") => self.swap(4, r"\P{"),
            (Some('P'), _) if self.rest[2..].starts_with("{^") => self.swap(4, r"\p{"),
            // With its braces, whose content is no quantifier.
            (Some('p' | 'P' | 'x' | 'u' | 'k' | 'g'), _)
                if matches!(self.rest.as_bytes().get(2), Some(b'{')) =>
            {
                let end = self.rest.find('}').map_or(self.rest.len(), |end| end + 1);
                self.take(end);
            }
            (character, _) => self.take(1 + character.map_or(0, char::len_utf8)),
        }
    }

    /// `(`, with the options of `(?mix-mix:` and `(?mix-mix)`.
    fn open(&mut self) {
        let start = self.out.len();
        let options = self.rest.strip_prefix("(?").map_or("", |rest| {
            let end = rest.find(|c: char| !matches!(c, 'i' | 'm' | 'x' | '-')).unwrap_or(rest.len());
            if matches!(rest.as_bytes().get(end), Some(b':' | b')')) { &rest[..end] } else { "" }
        });
        let closes = self.rest.as_bytes().get(2 + options.len()) == Some(&b')') && !options.is_empty();
        if options.is_empty() {
            self.take(1);
            if self.rest.starts_with('?') {
                self.take(1);
            }
        } else {
            self.swap(2 + options.len(), &format!("(?{}", options.replace('m', "s")));
        }
        if closes {
            self.take(1);
            self.atom = None;
        } else {
            self.groups.push(start);
            self.atom = None;
        }
    }

    /// A quantifier with its `?` or `+`.
    fn quantifier(&mut self) {
        let Some((bytes, is_fixed)) = interval(self.rest) else {
            // One of `*`, `+`, `?`: as in Rust. A brace that is none is a character.
            let is_brace = self.rest.starts_with('{');
            if is_brace {
                self.atom = Some(self.out.len());
            }
            self.take(1);
            if !is_brace && self.rest.starts_with(['?', '+']) {
                self.take(1);
            }
            return;
        };
        self.take(bytes);
        let again = self.rest.starts_with('+') || (is_fixed && self.rest.starts_with('?'));
        match self.atom {
            Some(atom) if again => {
                self.out.insert_str(atom, "(?:");
                self.out.push(')');
            }
            _ => {}
        }
        if self.rest.starts_with(['?', '+']) {
            self.take(1);
        }
    }

    /// A class, with the classes in it.
    fn class(&mut self) {
        self.take(1);
        if self.rest.starts_with('^') {
            self.take(1);
        }
        let mut is_first = true;
        // Whether a range may begin with what was read last, and whether one ends with what comes.
        let (mut begins, mut ends) = (false, false);
        while let Some(first) = self.rest.chars().next() {
            match first {
                ']' if !is_first => {
                    self.take(1);
                    return;
                }
                '[' => {
                    if !self.posix() {
                        self.class();
                    }
                }
                '\\' => self.escape(true),
                '-' if begins => {
                    self.take(1);
                    (begins, ends) = (false, true);
                    continue;
                }
                '-' => self.swap(1, r"\-"),
                '~' if self.rest.starts_with("~~") || self.out.ends_with('~') => self.swap(1, r"\~"),
                _ => self.take(first.len_utf8()),
            }
            (is_first, begins, ends) = (false, !ends && first != '[', false);
        }
    }

    /// `[:name:]` or `[:^name:]` inside a class.
    fn posix(&mut self) -> bool {
        let Some(rest) = self.rest.strip_prefix("[:") else { return false };
        let Some((name, _)) = rest.split_once(":]") else { return false };
        let positive = name.strip_prefix('^').unwrap_or(name);
        let Some((_, class)) = POSIX.iter().find(|(known, _)| *known == positive) else { return false };
        let negated = if name.starts_with('^') { "^" } else { "" };
        self.swap(name.len() + 4, &format!("[{negated}{class}]"));
        true
    }
}

/// One of two ways to stand between characters, `W` being one of words.
fn boundary(ways: [&str; 2]) -> String {
    format!("(?:{})", ways.join("|")).replace('W', WORD_ALONE)
}

/// Length of `{n}`, `{n,}`, `{,m}` or `{n,m}` at the start of `rest`, and whether it is `{n}`.
fn interval(rest: &str) -> Option<(usize, bool)> {
    let inner = &rest.strip_prefix('{')?[..rest.find('}')?.checked_sub(1)?];
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let (low, high) = inner.split_once(',').unwrap_or((inner, inner));
    let fits = is_number(low) && is_number(high) && !(low.is_empty() && high.is_empty());
    fits.then_some((inner.len() + 2, !inner.contains(',')))
}

#[cfg(test)]
mod tests {
    use super::*;
    use fancy_regex::Regex;

    fn rewritten(pattern: &str) -> String {
        Rewriter::new(pattern).run()
    }

    fn parts<'t>(search: &Search, text: &'t str) -> Vec<(&'t str, bool)> {
        search
            .find_matches(text)
            .unwrap()
            .into_iter()
            .map(|((start, end), is)| (&text[start..end], is))
            .collect()
    }

    fn matches<'t>(pattern: &str, text: &'t str) -> Vec<&'t str> {
        parts(&compile(pattern).unwrap(), text)
            .into_iter()
            .filter_map(|(part, is)| is.then_some(part))
            .collect()
    }

    #[test]
    fn published_patterns_stay_as_they_are() {
        for pattern in [
            r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
            r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re)?|\p{N}{1,3}",
            r##"[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"##,
            r"(?<!\n)a(?=b)(?<name>c)\k<name>(?>d)",
            r"[一-龥ࠀ-一가-퟿]+|\s?\p{L}+",
        ] {
            assert_eq!(rewritten(pattern), pattern);
            compile(pattern).unwrap();
        }
    }

    #[test]
    fn texts_are_found_as_they_are() {
        for (text, inside) in
            [("a", "aba"), (".*", "a.*b"), ("aa", "aaaaa"), ("é", "éaé"), ("b", ""), ("ab", "c")]
        {
            let regex = Regex::new(&fancy_regex::escape(text)).unwrap();
            assert_eq!(
                (&literal(text).unwrap()).find_matches(inside).unwrap(),
                (&regex).find_matches(inside).unwrap()
            );
        }
        assert_eq!(parts(&literal("").unwrap(), "ab").len(), 5);
    }

    #[test]
    fn lines_have_ends() {
        assert_eq!(matches(r"\s+$", "a  \nb \n"), ["  ", " \n"]);
        assert_eq!(matches(r"^.|^$", "a\nb\n"), ["a", "b"]);
        assert_eq!(matches(r"(?m:a.b)|a", "a\nb a"), ["a\nb", "a"]);
        assert_eq!(rewritten(r"(?im-x)a(?-m:b)"), r"(?is-x)a(?-s:b)");
    }

    #[test]
    fn intervals_are_repeated() {
        assert_eq!(rewritten(r"\p{N}{1,3}+"), r"(?:\p{N}{1,3})+");
        assert_eq!(rewritten(r"a(b[c]){2}?d"), r"a(?:(b[c]){2})?d");
        assert_eq!(rewritten(r"a{2,3}?b++c{x}+{,2}"), r"a{2,3}?b++c{x}+{,2}");
        assert_eq!(matches(r"\d{1,3}+", "1234567"), ["1234567"]);
    }

    #[test]
    fn classes_are_unicodes() {
        assert_eq!(matches(r"[[:alpha:]_]+|[[:^space:]]", "été_1"), ["été_", "1"]);
        assert_eq!(matches(r"\w+", "a\u{200d}b½"), ["a", "b½"]);
        assert_eq!(matches(r"1\b.|\p{^L}", "1½1 "), ["1", "½", "1 "]);
        assert_eq!(matches(r"[^\W\d]+", "ab1_½"), ["ab", "_"]);
        assert_eq!(matches(r"[+--]+", "+,-."), ["+,-"]);
        assert_eq!(matches(r"[~~a]+", "a~b"), ["a~"]);
    }
}
