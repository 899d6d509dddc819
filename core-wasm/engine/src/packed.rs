//! Packed buffers, in which TypeScript and the engine pass structures: little-endian elements of four bytes, one after
//! the other. Whole numbers and f32 take one element, f64 two (the lower first).

use crate::error::{Result, bad_request};

pub struct PackedReader<'a>(&'a [u8]);

impl<'a> PackedReader<'a> {
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    pub fn u32(&mut self) -> Result<u32> {
        match self.0.split_first_chunk::<4>() {
            Some((element, rest)) => {
                self.0 = rest;
                Ok(u32::from_le_bytes(*element))
            }
            None => bad_request("a whole structure, found one cut short"),
        }
    }

    pub fn size(&mut self) -> Result<usize> {
        Ok(self.u32()? as usize)
    }

    pub fn i32(&mut self) -> Result<i32> {
        Ok(self.u32()? as i32)
    }

    pub fn f32(&mut self) -> Result<f32> {
        Ok(f32::from_bits(self.u32()?))
    }

    pub fn f64(&mut self) -> Result<f64> {
        let low = u64::from(self.u32()?);
        Ok(f64::from_bits(u64::from(self.u32()?) << 32 | low))
    }

    /// Refuses what is left over: the structure was not what it seemed.
    pub fn finish(&self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { bad_request("a whole structure, found more after its end") }
    }

    pub fn u32s(&mut self, count: usize) -> Result<Vec<u32>> {
        self.list(count, Self::u32)
    }

    pub fn f32s(&mut self, count: usize) -> Result<Vec<f32>> {
        self.list(count, Self::f32)
    }

    /// `count` things of at least an element each; a count beyond what is left allocates nothing.
    pub fn list<T>(&mut self, count: usize, mut read: impl FnMut(&mut Self) -> Result<T>) -> Result<Vec<T>> {
        if count > self.0.len() / 4 {
            return bad_request("a whole structure, found one cut short");
        }
        (0..count).map(|_| read(self)).collect()
    }
}

#[derive(Default)]
pub struct PackedWriter(pub Vec<u8>);

impl PackedWriter {
    pub fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }

    pub fn f64(&mut self, value: f64) {
        self.0.extend_from_slice(&value.to_le_bytes());
    }
}
