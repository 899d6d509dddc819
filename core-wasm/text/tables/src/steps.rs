//! What a call may cost: a hostile tokenizer.json could make a short text take hours.

use core::cell::Cell;

use crate::error::{Result, bad};

/// Steps that a text of any length may take, and those for each of its bytes. Ten million take a second or two.
const ANY: u64 = 20_000_000;
const EACH_BYTE: u64 = 2_000;

thread_local! {
    static LEFT: Cell<u64> = const { Cell::new(u64::MAX) };
}

/// Begins a call over so many bytes.
pub fn allow(bytes: usize) {
    LEFT.set(ANY + EACH_BYTE * bytes as u64);
}

/// Takes steps off what is left for the call.
pub fn spend(steps: u64) -> Result<()> {
    let left = LEFT.get().checked_sub(steps);
    left.map(|left| LEFT.set(left))
        .ok_or_else(|| bad("a text that the tokenizer gets through in time", "one that takes too many steps"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_counted_down() {
        allow(10);
        assert!(spend(ANY).is_ok());
        assert!(spend(10 * EACH_BYTE + 1).is_err());
        assert!(spend(10 * EACH_BYTE).is_ok());
        assert!(spend(1).is_err());
    }
}
