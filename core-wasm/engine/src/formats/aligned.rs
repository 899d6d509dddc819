//! Numbers that begin at a cache line, so that no vector of a panel's row lies across two.
//!
//! The allocator gives multiples of 8, and whether a matrix then happens to lie well changes with every small
//! allocation before it: decode differed by a twentieth from one build to the next.

use core::ops::{Deref, DerefMut};
use core::slice;

use crate::error::{Result, zeros};

#[derive(Clone, Copy, Default)]
#[repr(C, align(64))]
struct Line([[u64; 4]; 2]);

/// A type whose value of all zero bits is its zero, without gaps or invalid bits.
///
/// # Safety
/// Any bits must be a value of the type, and its alignment at most 64.
pub unsafe trait Plain: Copy {}

// SAFETY: as of its elements, which lie without gaps.
unsafe impl<T: Plain, const N: usize> Plain for [T; N] {}
// SAFETY: floats of any bits are values.
unsafe impl Plain for f32 {}
// SAFETY: a u16 in memory.
unsafe impl Plain for half::f16 {}
// SAFETY: a u16 in memory.
unsafe impl Plain for half::bf16 {}

/// A fixed number of values from a cache line on.
#[derive(Default)]
pub struct Aligned<T> {
    lines: Vec<Line>,
    length: usize,
    kind: core::marker::PhantomData<T>,
}

impl<T: Plain> Aligned<T> {
    pub fn zeros(length: usize) -> Result<Self> {
        let lines = zeros(length.saturating_mul(size_of::<T>()).div_ceil(size_of::<Line>()))?;
        Ok(Self { lines, length, kind: core::marker::PhantomData })
    }

    pub fn bytes(&self) -> usize {
        size_of_val(self.lines.as_slice())
    }
}

impl<T: Plain> Deref for Aligned<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        // SAFETY: the lines hold at least `length` values, aligned for them, and any bits are a value.
        unsafe { slice::from_raw_parts(self.lines.as_ptr().cast(), self.length) }
    }
}

impl<T: Plain> DerefMut for Aligned<T> {
    fn deref_mut(&mut self) -> &mut [T] {
        // SAFETY: as in `deref`, and the lines are borrowed mutably.
        unsafe { slice::from_raw_parts_mut(self.lines.as_mut_ptr().cast(), self.length) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_at_a_line_and_holds_what_is_written() {
        for length in [0, 1, 31, 33] {
            let mut values = Aligned::<half::f16>::zeros(length).unwrap();
            assert_eq!((values.len(), values.as_ptr() as usize % 64), (length, 0));
            assert!(values.iter().all(|x| x.to_f32() == 0.0));
            for (at, value) in values.iter_mut().enumerate() {
                *value = half::f16::from_f32(at as f32);
            }
            assert!(values.iter().enumerate().all(|(at, x)| x.to_f32() == at as f32));
        }
    }
}
