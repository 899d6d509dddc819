//! Numbers as files hold them.

use half::{bf16, f16};
use serde::Deserialize;

use crate::error::{Error, Result};

/// The types of a safetensors file that weights come in. f32 holds them all exactly.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum FileDtype {
    F32,
    F16,
    BF16,
}

impl FileDtype {
    /// Bytes of an element.
    pub fn size(self) -> usize {
        match self {
            FileDtype::F32 => 4,
            FileDtype::F16 | FileDtype::BF16 => 2,
        }
    }

    /// All elements of little-endian `bytes`, to the start of `out`.
    #[inline(always)]
    pub fn decode(self, bytes: &[u8], out: &mut [f32]) {
        match self {
            FileDtype::F32 => each(bytes, out, f32::from_le_bytes),
            FileDtype::F16 => each(bytes, out, |bytes| f16::from_le_bytes(bytes).to_f32()),
            FileDtype::BF16 => each(bytes, out, |bytes| bf16::from_le_bytes(bytes).to_f32()),
        }
    }

    /// `decode`, of a vector's elements, which stay f32.
    ///
    /// # Errors
    /// `BadWeights` at the first that is not finite.
    pub fn decode_finite(self, bytes: &[u8], out: &mut [f32]) -> Result<()> {
        self.decode(bytes, out);
        match out[..bytes.len() / self.size()].iter().position(|value| !value.is_finite()) {
            None => Ok(()),
            Some(index) => Err(Error::BadWeights { index, found: out[index].to_string() }),
        }
    }
}

#[inline(always)]
fn each<const SIZE: usize>(bytes: &[u8], out: &mut [f32], decode: impl Fn([u8; SIZE]) -> f32) {
    let (elements, rest) = bytes.as_chunks::<SIZE>();
    assert!(rest.is_empty() && elements.len() <= out.len());
    for (element, out) in elements.iter().zip(out) {
        *out = decode(*element);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_half_is_decoded_exactly() {
        let bits: Vec<u16> = (0..=u16::MAX).collect();
        let bytes: Vec<u8> = bits.iter().flat_map(|bits| bits.to_le_bytes()).collect();
        let mut out = vec![0.0; bits.len()];
        FileDtype::F16.decode(&bytes, &mut out);
        for (value, &bits) in out.iter().zip(&bits) {
            let half = f16::from_bits(bits);
            assert!(f16::from_f32(*value).to_bits() == bits || (half.is_nan() && value.is_nan()));
        }
        FileDtype::BF16.decode(&bytes, &mut out);
        assert!(out.iter().zip(&bits).all(|(value, &bits)| {
            value.to_bits() == u32::from(bits) << 16 || (bf16::from_bits(bits).is_nan() && value.is_nan())
        }));
    }

    #[test]
    fn names_the_element_that_is_not_finite() {
        let bytes: Vec<u8> = [1.0f32, f32::NAN].iter().flat_map(|x| x.to_le_bytes()).collect();
        let error = FileDtype::F32.decode_finite(&bytes, &mut [0.0; 2]).unwrap_err();
        assert_eq!(error, Error::BadWeights { index: 1, found: "NaN".into() });
        assert!(FileDtype::F16.decode_finite(&0x7c00u16.to_le_bytes(), &mut [0.0]).is_err());
    }
}
