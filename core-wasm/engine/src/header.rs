//! The header of a safetensors file, validated by the format's own crate.

use std::collections::BTreeMap;

use safetensors::tensor::{Dtype, Metadata};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// Files from this size on may hold a tensor whose bits, or an offset, the crate cannot count: it does so in
/// `usize`, which has 32 bits here.
const CRATE_REACHES: u64 = (u32::MAX / 8) as u64;

/// A tensor of a file that large.
#[derive(Deserialize)]
struct Wide {
    dtype: Dtype,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

#[derive(Deserialize)]
struct WideHeader {
    #[serde(rename = "__metadata__")]
    metadata: Option<BTreeMap<String, String>>,
    #[serde(flatten)]
    tensors: BTreeMap<String, Wide>,
}

/// The JSON `{ metadata, tensors: { name: { dtype, shape, start, end } } }` of a header, offsets counted from the
/// file's start.
///
/// `header` is the JSON part, `file_size` the whole file's size in bytes.
pub fn parse(header: &[u8], file_size: u64) -> Result<String> {
    let text =
        core::str::from_utf8(header).map_err(|error| bad(format!("one that is not UTF-8: {error}")))?;
    let (metadata, tensors) = if file_size < CRATE_REACHES { by_crate(text)? } else { by_rules(text)? };
    let data = 8 + header.len() as u64;
    let end = data + tensors.last().map_or(0, |(_, tensor)| tensor.data_offsets.1);
    if end != file_size {
        return Err(bad(format!("tensors up to byte {end} in a file of {file_size} bytes")));
    }
    let place = |tensor: Wide| {
        let (start, end) = tensor.data_offsets;
        let dtype = tensor.dtype.to_string();
        json!({ "dtype": dtype, "shape": tensor.shape, "start": data + start, "end": data + end })
    };
    let tensors: serde_json::Map<String, Value> =
        tensors.into_iter().map(|(name, tensor)| (name, place(tensor))).collect();
    Ok(json!({ "metadata": metadata, "tensors": tensors }).to_string())
}

fn bad(found: String) -> Error {
    Error::BadFile(found)
}

type Parsed = (Option<BTreeMap<String, String>>, Vec<(String, Wide)>);

fn by_crate(text: &str) -> Result<Parsed> {
    let parsed: Metadata = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    let widen = |name: String| {
        let info = parsed.info(&name)?;
        let shape = info.shape.iter().map(|&size| size as u64).collect();
        let data_offsets = (info.data_offsets.0 as u64, info.data_offsets.1 as u64);
        Some((name, Wide { dtype: info.dtype, shape, data_offsets }))
    };
    let tensors = parsed.offset_keys().into_iter().filter_map(widen).collect();
    let metadata = parsed.metadata().as_ref().map(|map| map.clone().into_iter().collect());
    Ok((metadata, tensors))
}

/// The crate's rules in 64 bits: in the order of their offsets tensors follow one another without a hole, and each
/// has the size of its shape.
fn by_rules(text: &str) -> Result<Parsed> {
    let header: WideHeader = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    let mut tensors: Vec<_> = header.tensors.into_iter().collect();
    tensors.sort_by_key(|(_, tensor)| tensor.data_offsets);
    let mut expected = 0;
    for (name, tensor) in &tensors {
        let (start, end) = tensor.data_offsets;
        let bits =
            tensor.shape.iter().try_fold(tensor.dtype.bitsize() as u64, |bits, &size| bits.checked_mul(size));
        if start != expected || end < start {
            return Err(bad(format!("invalid offset for tensor `{name}`")));
        }
        if bits.is_none_or(|bits| bits % 8 != 0 || bits / 8 != end - start) {
            return Err(bad("invalid shape, data type, or offset for tensor".into()));
        }
        expected = end;
    }
    Ok((header.metadata, tensors))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tensors: &str, data: u64) -> [bool; 2] {
        let sorted = |parsed: Result<Parsed>| {
            let (_, tensors) = parsed.ok()?;
            let end = tensors.last().map_or(0, |(_, tensor)| tensor.data_offsets.1);
            (end == data).then_some(())
        };
        [sorted(by_crate(tensors)).is_some(), sorted(by_rules(tensors)).is_some()]
    }

    #[test]
    fn the_rules_are_the_crates() {
        let tensor = |shape: &str, start: u64, end: u64| {
            format!(r#"{{"dtype":"F32","shape":{shape},"data_offsets":[{start},{end}]}}"#)
        };
        let file = |a: String, b: String| format!(r#"{{"__metadata__":{{"x":"y"}},"a":{a},"b":{b}}}"#);
        let good = tensor("[2,1]", 0, 8);
        assert_eq!(check(&file(good.clone(), tensor("[1]", 8, 12)), 12), [true; 2]);
        assert_eq!(check(&file(tensor("[1]", 8, 12), good.clone()), 12), [true; 2]);
        assert_eq!(check("{}", 0), [true; 2]);
        for other in [
            tensor("[1]", 12, 16),
            tensor("[1]", 4, 8),
            tensor("[2]", 8, 12),
            tensor("[1]", 8, 4),
            tensor("[-1]", 8, 12),
            tensor("[4611686018427387904,16]", 8, 8),
            tensor("[1]", 8, 12).replace("F32", "F31"),
            tensor("[1]", 8, 12).replace("shape", "shop"),
            "[]".into(),
        ] {
            assert_eq!(check(&file(good.clone(), other.clone()), 12), [false; 2], "{other}");
        }
    }

    #[test]
    fn a_large_file_is_read_by_the_same_rules() {
        let size = 3u64 << 32;
        let header =
            format!(r#"{{"a":{{"dtype":"BF16","shape":[{}],"data_offsets":[0,{size}]}}}}"#, size / 2);
        let json = parse(header.as_bytes(), 8 + header.len() as u64 + size).unwrap();
        assert!(json.contains(&format!(r#""end":{}"#, 8 + header.len() as u64 + size)));
        assert!(parse(header.as_bytes(), 9 + header.len() as u64 + size).is_err());
    }
}
