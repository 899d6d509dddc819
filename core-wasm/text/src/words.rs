//! The rules for words of GPT-2, Llama 3, Qwen and all that took them over, read off the text. Their patterns mean the
//! same, but compiling one takes most of the time that loading a tokenizer takes, and searching most of encoding.

use tokenizers::Offsets;

use crate::letters::{is_letter, is_number};

/// Branches as they stand in patterns.
const BRANCHES: [(&str, Branch); 12] = [
    (r"'s|'t|'re|'ve|'m|'ll|'d", Branch::Contraction { any_case: false }),
    (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)", Branch::Contraction { any_case: true }),
    (r" ?\p{L}+", Branch::Letters { before: is_space }),
    (r"[^\r\n\p{L}\p{N}]?\p{L}+", Branch::Letters { before: is_mark }),
    (r" ?\p{N}+", Branch::Numbers { after_space: true, most: usize::MAX }),
    (r"\p{N}+", Branch::Numbers { after_space: false, most: usize::MAX }),
    (r"\p{N}{1,3}", Branch::Numbers { after_space: false, most: 3 }),
    (r"\p{N}", Branch::Numbers { after_space: false, most: 1 }),
    (r" ?[^\s\p{L}\p{N}]+[\r\n]*", Branch::Others { with_line_ends: true }),
    (r" ?[^\s\p{L}\p{N}]+", Branch::Others { with_line_ends: false }),
    (r"\s*[\r\n]+", Branch::LineEnds),
    (r"\s+(?!\S)|\s+", Branch::Spaces),
];

#[derive(Clone, Copy)]
enum Branch {
    Contraction {
        any_case: bool,
    },
    /// Letters behind at most one character of a kind.
    Letters {
        before: fn(char) -> bool,
    },
    Numbers {
        after_space: bool,
        most: usize,
    },
    /// Neither letters nor numbers nor whitespace.
    Others {
        with_line_ends: bool,
    },
    /// Whitespace up to its last line end.
    LineEnds,
    /// Whitespace, but for its last character where something follows it.
    Spaces,
}

/// A rule for words.
pub struct Words(Vec<Branch>);

impl Words {
    /// The rule of a pattern, where it is one of these.
    pub fn read(pattern: &str) -> Option<Self> {
        let mut branches = Vec::new();
        let mut rest = pattern;
        loop {
            let fits = |(text, _): &&(&str, Branch)| {
                rest.strip_prefix(*text).is_some_and(|rest| rest.is_empty() || rest.starts_with('|'))
            };
            let (text, branch) = BRANCHES.iter().find(fits)?;
            branches.push(*branch);
            rest = &rest[text.len()..];
            if rest.is_empty() {
                return Some(Words(branches));
            }
            rest = &rest[1..];
        }
    }

    /// The words of a text, and what is between them.
    pub fn find(&self, text: &str) -> Vec<(Offsets, bool)> {
        if text.is_empty() {
            return vec![((0, 0), false)];
        }
        let mut found = Vec::with_capacity(text.len() / 4);
        let (mut done, mut at) = (0, 0);
        while let Some(first) = text[at..].chars().next() {
            let Some(length) = self.0.iter().find_map(|branch| branch.length(&text[at..])) else {
                at += first.len_utf8();
                continue;
            };
            found.extend((done < at).then_some(((done, at), false)));
            found.push(((at, at + length), true));
            at += length;
            done = at;
        }
        found.extend((done < text.len()).then_some(((done, text.len()), false)));
        found
    }
}

impl Branch {
    /// Bytes that the branch matches at the start of a text.
    fn length(self, text: &str) -> Option<usize> {
        match self {
            Branch::Contraction { any_case } => contraction(text, any_case),
            Branch::Letters { before } => {
                let skipped = text.chars().next().filter(|&first| before(first)).map_or(0, char::len_utf8);
                after(skipped, run(&text[skipped..], is_letter))
            }
            Branch::Numbers { after_space, most } => {
                let skipped = usize::from(after_space && text.starts_with(' '));
                let numbers = text[skipped..].chars().take_while(|&number| is_number(number)).take(most);
                after(skipped, numbers.map(char::len_utf8).sum())
            }
            Branch::Others { with_line_ends } => {
                let skipped = usize::from(text.starts_with(' '));
                let length = after(skipped, run(&text[skipped..], is_other))?;
                let ends = if with_line_ends { run(&text[length..], is_line_end) } else { 0 };
                Some(length + ends)
            }
            Branch::LineEnds => text[..run(text, char::is_whitespace)].rfind(is_line_end).map(|at| at + 1),
            Branch::Spaces => {
                let length = run(text, char::is_whitespace);
                let last = text[..length].char_indices().next_back()?.0;
                Some(if length == text.len() || last == 0 { length } else { last })
            }
        }
    }
}

fn after(skipped: usize, length: usize) -> Option<usize> {
    (length > 0).then_some(skipped + length)
}

/// Bytes of the characters of a kind at the start of a text.
fn run(text: &str, is_kind: impl Fn(char) -> bool) -> usize {
    text.find(|character| !is_kind(character)).unwrap_or(text.len())
}

fn is_space(character: char) -> bool {
    character == ' '
}

fn is_line_end(character: char) -> bool {
    matches!(character, '\r' | '\n')
}

fn is_mark(character: char) -> bool {
    !is_line_end(character) && !is_letter(character) && !is_number(character)
}

fn is_other(character: char) -> bool {
    !character.is_whitespace() && !is_letter(character) && !is_number(character)
}

fn contraction(text: &str, any_case: bool) -> Option<usize> {
    let rest = text.strip_prefix('\'')?;
    let mut letters = rest.chars().map(|letter| match letter {
        // Long s is an s in any case.
        'ſ' if any_case => 's',
        letter if any_case => letter.to_ascii_lowercase(),
        letter => letter,
    });
    let length = match (letters.next()?, letters.next()) {
        ('s' | 't' | 'm' | 'd', _) => 1,
        ('r' | 'v', Some('e')) | ('l', Some('l')) => 2,
        _ => return None,
    };
    Some(1 + rest.chars().take(length).map(char::len_utf8).sum::<usize>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use fancy_regex::Regex;
    use tokenizers::tokenizer::pattern::Pattern;

    const RULES: [&str; 5] = [
        r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
        r"\p{N}+| ?\p{L}+",
        r"\s*[\r\n]+|\p{N}{1,3}",
    ];

    #[test]
    fn of_other_patterns_are_left_to_the_engine() {
        for pattern in
            ["", r"\p{L}+", r" ?\p{L}+|", r"| ?\p{L}+", r" ?\p{L}+|x", r" ?\p{L}++", r"\p{N}{1,3}+"]
        {
            assert!(Words::read(pattern).is_none(), "{pattern}");
        }
    }

    #[test]
    fn are_those_of_the_pattern() {
        let letters: Vec<char> =
            "aZé字अİſKmstrevldRELVTD'''’  \n\r\t\u{a0}\u{85}\u{3000}\u{2028}019½²Ⅳ٣१.,!_-·\u{301}\u{200d}😀ªǅʰ\u{fffd}\u{e000}"
                .chars()
                .collect();
        let mut state = 99_u32;
        let mut below = |limit: usize| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as usize % limit
        };
        for pattern in RULES {
            let (words, regex) = (Words::read(pattern).unwrap(), Regex::new(pattern).unwrap());
            for round in 0..3000 {
                let any = |at: usize| char::from_u32(at as u32).unwrap_or('x');
                let text: String = (0..round % 24)
                    .map(|_| if below(6) == 0 { any(below(0x2_0000)) } else { letters[below(letters.len())] })
                    .collect();
                assert_eq!(words.find(&text), (&regex).find_matches(&text).unwrap(), "{text:?} by {pattern}");
            }
        }
    }

    #[test]
    fn letters_are_unicodes() {
        let letter = Regex::new(r"^\p{L}").unwrap();
        let number = Regex::new(r"^\p{N}").unwrap();
        let space = Regex::new(r"^\s").unwrap();
        let mut bytes = [0; 4];
        for character in '\0'..=char::MAX {
            let text = character.encode_utf8(&mut bytes);
            assert_eq!(is_letter(character), letter.is_match(text).unwrap(), "{character:?}");
            assert_eq!(is_number(character), number.is_match(text).unwrap(), "{character:?}");
            assert_eq!(character.is_whitespace(), space.is_match(text).unwrap(), "{character:?}");
        }
    }
}
