//! A format whose weights share scales, to test that the trait carries one: 32 columns of a row are int8 codes and a
//! scale, and activations become integers before they meet them. Plain loops: this one is never shipped.

use super::{FileDtype, Format, GROUP, Matrix, Panels, Plain};
use crate::error::{Error, Result};
use crate::kernels::rows::Rows;
use crate::testing::{bytes, random, rows};

struct Q8;

#[derive(Clone, Copy)]
#[repr(C)]
struct Block {
    scales: [f32; GROUP],
    /// `[column][row in group]`
    codes: [[i8; GROUP]; 32],
}

// SAFETY: numbers without gaps; zeros are codes and scales of 0.
unsafe impl Plain for Block {}

impl Format for Q8 {
    const NAME: &'static str = "q8";
    const BLOCK: usize = 32;
    type Block = Block;

    fn store(blocks: &mut [Block], row: usize, values: &[f32]) -> core::result::Result<(), usize> {
        if let Some(k) = values.iter().position(|value| !value.is_finite()) {
            return Err(k);
        }
        for (block, values) in blocks.iter_mut().zip(values.chunks_exact(32)) {
            let scale = values.iter().fold(0.0f32, |most, value| most.max(value.abs())) / 127.0;
            block.scales[row] = scale;
            for (codes, value) in block.codes.iter_mut().zip(values) {
                codes[row] = if scale == 0.0 { 0 } else { (value / scale).round() as i8 };
            }
        }
        Ok(())
    }

    fn load(blocks: &[Block], row: usize, out: &mut [f32]) {
        for (k, out) in out.iter_mut().enumerate() {
            let block = &blocks[k / 32];
            *out = f32::from(block.codes[k % 32][row]) * block.scales[row];
        }
    }

    /// A row's scale and its 16-bit integers, which fill whole blocks.
    fn scratch(count: usize, cols: usize) -> usize {
        count * (1 + cols.next_multiple_of(32))
    }

    fn multiply(out: &mut Rows, x: &Rows, weights: &Panels<Self>, scratch: &mut [f32]) {
        let width = 1 + x.width.next_multiple_of(32);
        for (row, scratch) in scratch.chunks_exact_mut(width).take(x.count).enumerate() {
            let x = x.row(row);
            let scale = x.iter().fold(f32::MIN_POSITIVE, |most, value| most.max(value.abs())) / 32767.0;
            scratch.fill(0.0);
            scratch[0] = scale;
            scratch[1..].iter_mut().zip(x).for_each(|(code, value)| *code = (value / scale).round());
        }
        for (index, group) in weights.groups().enumerate() {
            for row in 0..x.count {
                let (scale, codes) = scratch[row * width..][..width].split_first().unwrap();
                for column in 0..GROUP {
                    let products = group.iter().zip(codes.chunks_exact(32)).map(|(block, codes)| {
                        let code = |k: usize| i32::from(block.codes[k][column]) * codes[k] as i32;
                        (0..32).map(code).sum::<i32>() as f32 * block.scales[column]
                    });
                    out.padded_mut(row)[index * GROUP + column] += scale * products.sum::<f32>();
                }
            }
        }
    }
}

#[test]
fn a_format_of_blocks_is_stored_read_and_multiplied_through_the_same_trait() -> Result<()> {
    for (n_out, cols) in [(1, 1), (17, 32), (20, 33), (5, 100)] {
        let values = random(1, n_out * cols);
        let mut matrix: Box<dyn Matrix> = Box::new(Panels::<Q8>::new(n_out, cols)?);
        for (cut, part) in bytes(&values).chunks(3 * cols * 4).enumerate() {
            matrix.write_rows(3 * cut, part, FileDtype::F32)?;
        }
        let mut weights = vec![0.0; n_out * cols];
        for (row, line) in weights.chunks_exact_mut(cols).enumerate() {
            matrix.read_row(row, line);
        }
        assert!(weights.iter().zip(&values).all(|(got, value)| (got - value).abs() <= 0.5 / 127.0 + 1e-6));
        let x = rows(&random(2, 3 * cols), cols);
        let mut out = rows(&vec![0.0; 3 * n_out], n_out);
        matrix.multiply(&mut out, &x, &mut vec![0.0; matrix.scratch(3)]);
        for row in 0..3 {
            for (got, weights) in out.row(row).iter().zip(weights.chunks_exact(cols)) {
                let want: f32 = x.row(row).iter().zip(weights).map(|(x, weight)| x * weight).sum();
                assert!((got - want).abs() < 1e-4 * (cols as f32).sqrt());
            }
        }
    }
    Ok(())
}

#[test]
fn names_a_bad_element_of_a_block() {
    let mut values = vec![1.0; 3 * 70];
    values[70 + 66] = f32::NAN;
    let mut matrix = Panels::<Q8>::new(3, 70).unwrap();
    let error = matrix.write_rows(0, &bytes(&values), FileDtype::F32).unwrap_err();
    assert_eq!(error, Error::BadWeights { index: 136, found: "NaN".into() });
}
