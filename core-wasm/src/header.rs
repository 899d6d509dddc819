//! The header of a safetensors file, validated by the format's own crate.

use safetensors::tensor::Metadata;
use serde_json::{Value, json};

use crate::error::{Error, Result};

/// The JSON `{ metadata, tensors: { name: { dtype, shape, start, end } } }` of a header, offsets counted from the
/// file's start.
///
/// `header` is the JSON part, `file_size` the whole file's size in bytes.
pub fn parse(header: &[u8], file_size: u64) -> Result<String> {
    let bad = |found: String| Error::BadFile(found);
    let text =
        core::str::from_utf8(header).map_err(|error| bad(format!("a header that is not UTF-8: {error}")))?;
    let parsed: Metadata = serde_json::from_str(text).map_err(|error| bad(error.to_string()))?;
    let data = 8 + header.len() as u64;
    let end = data + parsed.data_len() as u64;
    if end != file_size {
        return Err(bad(format!("tensors up to byte {end} in a file of {file_size} bytes")));
    }
    let tensors: serde_json::Map<String, Value> = parsed
        .offset_keys()
        .into_iter()
        .filter_map(|name| {
            let info = parsed.info(&name)?;
            let (start, end) = info.data_offsets;
            let dtype = info.dtype.to_string();
            let place = json!({ "dtype": dtype, "shape": info.shape, "start": data + start as u64, "end": data + end as u64 });
            Some((name, place))
        })
        .collect();
    Ok(json!({ "metadata": parsed.metadata(), "tensors": tensors }).to_string())
}
