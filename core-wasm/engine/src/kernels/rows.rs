//! A buffer of rows, the only shape activations have here.

use crate::error::{Result, zeros};
use crate::formats::GROUP;

/// `count` rows of `width` floats. Each is padded to whole groups of 16, so that kernels write whole groups.
#[derive(Default)]
pub struct Rows {
    pub width: usize,
    pub count: usize,
    stride: usize,
    data: Vec<f32>,
}

impl Rows {
    pub fn new(width: usize) -> Self {
        Self { width, count: 0, stride: width.next_multiple_of(GROUP), data: Vec::new() }
    }

    /// Memory for `count` rows, whose contents are undefined.
    pub fn reserve(&mut self, count: usize) -> Result<()> {
        let length = count * self.stride;
        if length > self.data.len() {
            self.count = 0;
            self.data = Vec::new();
            self.data = zeros(length)?;
        }
        Ok(())
    }

    /// Makes it `count` rows, within what is reserved.
    pub fn set_count(&mut self, count: usize) {
        assert!(count * self.stride <= self.data.len(), "more rows than reserved");
        self.count = count;
    }

    pub fn as_ptr(&self) -> *const f32 {
        self.data.as_ptr()
    }

    /// Floats from one row's start to the next's.
    pub fn stride(&self) -> usize {
        self.stride
    }

    #[inline(always)]
    pub fn row(&self, row: usize) -> &[f32] {
        &self.data[row * self.stride..][..self.width]
    }

    #[inline(always)]
    pub fn row_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.data[row * self.stride..][..self.width]
    }

    /// The row with what follows it up to a whole group.
    #[inline(always)]
    pub fn padded_mut(&mut self, row: usize) -> &mut [f32] {
        &mut self.data[row * self.stride..][..self.stride]
    }

    /// Rows `row` and `row + 1`, padded.
    #[inline(always)]
    pub fn pair_mut(&mut self, row: usize) -> [&mut [f32]; 2] {
        let (a, b) = self.data[row * self.stride..(row + 2) * self.stride].split_at_mut(self.stride);
        [a, b]
    }
}
