//! Numbers as files hold them, brought to the type they are stored in: the nearest value, ties to even.

use half::{bf16, f16};
use serde::Deserialize;

use crate::error::{Error, Result};

/// The types of a safetensors file that weights come in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
pub enum FileDtype {
    F32,
    F16,
    BF16,
}

impl FileDtype {
    pub fn size(self) -> usize {
        match self {
            FileDtype::F32 => 4,
            FileDtype::F16 | FileDtype::BF16 => 2,
        }
    }

    /// Element `index` of little-endian `bytes`.
    #[inline(always)]
    fn get(self, bytes: &[u8], index: usize) -> f32 {
        match self {
            FileDtype::F32 => {
                let at = 4 * index;
                f32::from_le_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
            }
            FileDtype::F16 => f16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]]).to_f32(),
            FileDtype::BF16 => bf16::from_le_bytes([bytes[2 * index], bytes[2 * index + 1]]).to_f32(),
        }
    }
}

/// A number type that matrices can be stored in.
pub trait Element: Copy + Default {
    const NAME: &'static str;
    fn from_f32(value: f32) -> Self;
    /// False where the type had no room for the value.
    fn is_finite(self) -> bool;
}

impl Element for f32 {
    const NAME: &'static str = "f32";

    fn from_f32(value: f32) -> Self {
        value
    }

    fn is_finite(self) -> bool {
        f32::is_finite(self)
    }
}

impl Element for f16 {
    const NAME: &'static str = "f16";

    fn from_f32(value: f32) -> Self {
        f16::from_f32(value)
    }

    fn is_finite(self) -> bool {
        f16::is_finite(self)
    }
}

impl Element for bf16 {
    const NAME: &'static str = "bf16";

    fn from_f32(value: f32) -> Self {
        bf16::from_f32(value)
    }

    fn is_finite(self) -> bool {
        bf16::is_finite(self)
    }
}

/// Converts `bytes` one by one and hands each value to `put` with its index.
///
/// Every pair of types goes through f32, which holds them all exactly.
///
/// # Errors
/// `BadWeights` at the first value that is not finite, in the file or as stored.
#[inline(always)]
pub fn convert<T: Element>(bytes: &[u8], dtype: FileDtype, mut put: impl FnMut(usize, T)) -> Result<()> {
    match dtype {
        FileDtype::F32 => each(bytes, FileDtype::F32, &mut put),
        FileDtype::F16 => each(bytes, FileDtype::F16, &mut put),
        FileDtype::BF16 => each(bytes, FileDtype::BF16, &mut put),
    }
}

#[inline(always)]
fn each<T: Element>(bytes: &[u8], dtype: FileDtype, put: &mut impl FnMut(usize, T)) -> Result<()> {
    for index in 0..bytes.len() / dtype.size() {
        let value = dtype.get(bytes, index);
        let stored = T::from_f32(value);
        if !stored.is_finite() {
            let found = match value.is_finite() {
                true => format!("{value}, too large for {}", T::NAME),
                false => value.to_string(),
            };
            return Err(Error::BadWeights { index, found });
        }
        put(index, stored);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all<T: Element>(bytes: &[u8], dtype: FileDtype) -> Result<Vec<T>> {
        let mut out = Vec::new();
        convert(bytes, dtype, |_, value| out.push(value))?;
        Ok(out)
    }

    #[test]
    fn every_finite_half_survives_f32_and_back() {
        for bits in (0..=u16::MAX).filter(|&bits| f16::from_bits(bits).is_finite()) {
            let wide = all::<f32>(&bits.to_le_bytes(), FileDtype::F16).unwrap();
            let back = all::<f16>(&wide[0].to_le_bytes(), FileDtype::F32).unwrap();
            assert_eq!(back[0].to_bits(), bits);
        }
    }

    #[test]
    fn rounds_to_the_nearest_ties_to_even() {
        let cases =
            [(1.0 + 2f32.powi(-11), 0x3c00), (1.0 + 3.0 * 2f32.powi(-11), 0x3c02), (2f32.powi(-25), 0)];
        for (value, bits) in cases {
            assert_eq!(all::<f16>(&value.to_le_bytes(), FileDtype::F32).unwrap()[0].to_bits(), bits);
        }
        let tie = 1.0 + 2f32.powi(-8);
        assert_eq!(all::<bf16>(&tie.to_le_bytes(), FileDtype::F32).unwrap()[0].to_bits(), 0x3f80);
    }

    #[test]
    fn names_the_element_that_is_not_finite() {
        let bytes: Vec<u8> = [1.0f32, f32::NAN].iter().flat_map(|x| x.to_le_bytes()).collect();
        let error = all::<f32>(&bytes, FileDtype::F32).unwrap_err();
        assert_eq!(error, Error::BadWeights { index: 1, found: "NaN".into() });
        assert!(all::<f16>(&70000f32.to_le_bytes(), FileDtype::F32).is_err());
        assert!(all::<f32>(&0x7c00u16.to_le_bytes(), FileDtype::F16).is_err());
    }
}
