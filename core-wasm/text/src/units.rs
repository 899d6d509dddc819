//! Positions in a text: bytes of UTF-8, which Rust counts in, and units of UTF-16, which JavaScript counts in.

pub struct Units {
    /// By byte: the unit that the character it belongs to starts at; at the end, the number of units.
    of_bytes: Vec<u32>,
}

impl Units {
    pub fn new(text: &str) -> Self {
        let mut of_bytes = Vec::with_capacity(text.len() + 1);
        let mut unit = 0;
        for character in text.chars() {
            of_bytes.extend(core::iter::repeat_n(unit, character.len_utf8()));
            unit += character.len_utf16() as u32;
        }
        of_bytes.push(unit);
        Units { of_bytes }
    }

    pub fn unit(&self, byte: usize) -> u32 {
        self.of_bytes[byte.min(self.of_bytes.len() - 1)]
    }

    /// The first byte of the character that a unit belongs to, or that follows it inside a surrogate pair.
    pub fn byte(&self, unit: u32) -> usize {
        self.of_bytes.partition_point(|&start| start < unit).min(self.of_bytes.len() - 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn are_counted_both_ways() {
        let text = "aé😀b";
        let units = Units::new(text);
        for (byte, unit) in [(0, 0), (1, 1), (3, 2), (7, 4), (8, 5), (99, 5)] {
            assert_eq!(units.unit(byte), unit);
        }
        for (unit, byte) in [(0, 0), (1, 1), (2, 3), (3, 7), (4, 7), (5, 8), (9, 8)] {
            assert_eq!(units.byte(unit), byte);
        }
    }
}
