//! Searches by `fancy-regex` that end: it steps back as often as a pattern likes, and compiles whatever fits in memory.

use core::cell::Cell;
use std::sync::OnceLock;

use capstan_tables::steps;
use fancy_regex::{Error, Regex, RegexBuilder, RuntimeError};
use tokenizers::Offsets;

/// Bytes that all patterns of a tokenizer may have together once they are rewritten; published ones have some hundred.
/// Compiling so many takes seconds.
const MOST_BYTES: usize = 65_536;
/// Bytes that a pattern counts for beyond its own.
const EACH_PATTERN: usize = 64;
/// How often a search may step back before it is begun again with the next limit. Each such search costs the call all
/// that it was allowed; those that end within the first limit are free, for a text has as many as it has bytes.
const LIMITS: [usize; 5] = [1_000, 10_000, 100_000, 1_000_000, MOST_STEPS];
/// As in Oniguruma.
const MOST_STEPS: usize = 10_000_000;

thread_local! {
    static BYTES_LEFT: Cell<usize> = const { Cell::new(MOST_BYTES) };
}

/// A compiled pattern.
pub struct Engine {
    pattern: String,
    /// By limit; those after the first are compiled when a search needs them.
    regexes: [OnceLock<Regex>; LIMITS.len()],
}

type Result<T> = core::result::Result<T, String>;

impl Engine {
    pub fn new(pattern: String) -> Result<Self> {
        let left = BYTES_LEFT.get().checked_sub(pattern.len() + EACH_PATTERN);
        BYTES_LEFT.set(left.ok_or_else(|| format!("patterns have more than {MOST_BYTES} bytes together"))?);
        let engine = Engine { pattern, regexes: Default::default() };
        engine.regex(0)?;
        Ok(engine)
    }

    /// The matches in a text, of which none is empty where the one before it ends.
    pub fn find(&self, text: &str) -> Result<Vec<Offsets>> {
        let mut found = Vec::new();
        let mut last = None;
        let mut at = 0;
        while at <= text.len() {
            let Some((start, end)) = self.search(text, at)? else { break };
            let is_empty = start == end;
            at = if is_empty { end + text[end..].chars().next().map_or(1, char::len_utf8) } else { end };
            if !is_empty || last != Some(end) {
                found.push((start, end));
                last = Some(end);
            }
        }
        Ok(found)
    }

    /// The first match from a byte on.
    fn search(&self, text: &str, at: usize) -> Result<Option<Offsets>> {
        for (level, &limit) in LIMITS.iter().enumerate() {
            if level > 0 {
                steps::spend(limit as u64).map_err(|_| "the text takes too many steps")?;
            }
            match self.regex(level)?.find_from_pos(text, at) {
                Ok(found) => return Ok(found.map(|one| (one.start(), one.end()))),
                Err(Error::RuntimeError(RuntimeError::BacktrackLimitExceeded)) => {}
                Err(error) => return Err(error.to_string()),
            }
        }
        Err(format!("a search takes more than {MOST_STEPS} steps"))
    }

    fn regex(&self, level: usize) -> Result<&Regex> {
        let cell = &self.regexes[level];
        if let Some(regex) = cell.get() {
            return Ok(regex);
        }
        let built = RegexBuilder::new(&self.pattern)
            .multi_line(true)
            .oniguruma_mode(true)
            .backtrack_limit(LIMITS[level])
            .build()
            .map_err(|error| error.to_string())?;
        Ok(cell.get_or_init(|| built))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn find(pattern: &str, text: &str) -> Result<Vec<Offsets>> {
        steps::allow(text.len());
        Engine::new(pattern.into())?.find(text)
    }

    #[test]
    fn finds_what_the_library_finds() {
        for pattern in ["a", "a*", "", "(?=b)", r"a*(?!c)", r"(?<=a)|b", r"(a)\1|é*"] {
            for text in ["", "a", "aab", "bébé", "éaaaca", "cab😀"] {
                let regex = Regex::new(pattern).unwrap();
                let need: Vec<_> = regex
                    .find_iter(text)
                    .map(|one| one.unwrap())
                    .map(|one| (one.start(), one.end()))
                    .collect();
                assert_eq!(find(pattern, text).unwrap(), need, "{pattern:?} in {text:?}");
            }
        }
    }

    #[test]
    fn what_would_run_for_ever_ends() {
        let message = |pattern: &str, text: &str| find(pattern, text).unwrap_err();
        assert!(message(r"(a+)+\1b", &"a".repeat(60)).contains("more than 10000000"));
        // Each search ends by itself, but there are many.
        assert!(message(r"(?:(a+)+\1b)?.", &("a".repeat(18) + "c").repeat(200)).contains("too many"));
        // Without looking around or back there is no stepping back.
        assert!(find(r"(a+)+b", &"a".repeat(10_000)).unwrap().is_empty());
        // Stepping back in proportion costs nothing.
        assert_eq!(find(r"a+b|.(?!b)", &("a".repeat(500) + "c").repeat(200)).unwrap().len(), 501 * 200);
        assert_eq!(find(r"a+b|a+(?!b)", &("a".repeat(30_000) + "c").repeat(20)).unwrap().len(), 20);
    }

    #[test]
    fn patterns_are_bounded_together() {
        assert!(find(&"a".repeat(MOST_BYTES), "").is_err());
        let made = (0..5_000).map_while(|_| Engine::new("a".into()).ok()).count();
        assert_eq!(made, MOST_BYTES / (EACH_PATTERN + 1));
    }
}
