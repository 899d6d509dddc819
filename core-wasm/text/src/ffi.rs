//! The whole surface between TypeScript and this module. An instance of the module is one tokenizer; its memory goes
//! when the instance goes.
//!
//! The caller asks for an `input` area, writes bytes into it and calls a function with their length. A function returns
//! a status: 0 for done, else what kind of error. What it has to say, results or the error's text, lies in `output`
//! until the next call. Numbers are u32, little-endian; texts UTF-8; positions in texts are in UTF-16 units.

use core::cell::RefCell;

use capstan_tables::{Error, Result, SEPARATOR, Tables, bad, steps};
use serde_json::{Map, Value, json};

use crate::added::Special;
use crate::text::{Place, Text};
use crate::units::Units;
#[cfg(target_arch = "wasm32")]
use crate::{memory, random};

#[derive(Default)]
struct State {
    input: Vec<u8>,
    output: Vec<u8>,
    text: Option<Text>,
    seed: u32,
}

thread_local! {
    static STATE: RefCell<State> = RefCell::default();
    /// Apart from the state, which is borrowed when a panic comes.
    static PANIC: RefCell<String> = RefCell::default();
}

const DONE: u32 = 0;
const BAD_FILE: u32 = 1;
const BAD_TOKENIZER: u32 = 2;

/// To be called once, first: keeps the message of a panic, which becomes a trap. `seed` is any random number.
#[unsafe(no_mangle)]
pub extern "C" fn start(seed: u32) {
    std::panic::set_hook(Box::new(|info| PANIC.with_borrow_mut(|text| *text = info.to_string())));
    #[cfg(target_arch = "wasm32")]
    random::seed(u64::from(seed) << 20);
    STATE.with_borrow_mut(|state| state.seed = seed);
}

#[unsafe(no_mangle)]
pub extern "C" fn panic_ptr() -> *const u8 {
    PANIC.with_borrow(|text| text.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn panic_len() -> usize {
    PANIC.with_borrow(String::len)
}

/// The address of an area of `length` bytes to write.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    STATE.with_borrow_mut(|state| {
        if state.input.len() < length {
            state.input = vec![0; length];
        }
        state.input.as_mut_ptr()
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn output_ptr() -> *const u8 {
    STATE.with_borrow(|state| state.output.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn output_len() -> usize {
    STATE.with_borrow(|state| state.output.len())
}

/// Reads a tokenizer.json. Output: the length of its tables, the tables, and the rest of it as JSON.
#[unsafe(no_mangle)]
pub extern "C" fn read_file(length: usize) -> u32 {
    run(length, |bytes, seed, _, output| {
        let read = capstan_tables::read(bytes, seed)?;
        output.extend_from_slice(&[0; 4]);
        read.tables.write(output);
        let n_tables = output.len() as u32 - 4;
        output[..4].copy_from_slice(&n_tables.to_le_bytes());
        output.extend_from_slice(read.rest.as_bytes());
        Ok(())
    })
}

/// Makes this instance the tokenizer of tables and a rest, in the form that `read_file` gives them. Output: JSON of
/// `size` (ids lie below it), `added`, the added tokens with the ids they have got, and `bytes`, the ids of tokens that
/// stand for single bytes (`<0xE2>`).
#[unsafe(no_mangle)]
pub extern "C" fn open(length: usize) -> u32 {
    run(length, |bytes, _, text, output| {
        let short = || bad("tables and settings", "less");
        let (count, rest) = bytes.split_at_checked(4).ok_or_else(short)?;
        let n_tables = u32::from_le_bytes([count[0], count[1], count[2], count[3]]) as usize;
        let (tables, rest) = rest.split_at_checked(n_tables).ok_or_else(short)?;
        let rest: Map<String, Value> =
            serde_json::from_slice(rest).map_err(|error| bad("settings in JSON", error.to_string()))?;
        let made = text.insert(Text::new(Tables::read(tables)?, &rest)?);
        let added = made
            .added()
            .map(|(id, token)| json!({ "id": id, "content": token.content, "special": token.special }));
        let described =
            json!({ "size": made.size(), "added": added.collect::<Value>(), "bytes": made.bytes() });
        output.extend_from_slice(described.to_string().as_bytes());
        Ok(())
    })
}

/// Encodes a text. `special`: 1 where added tokens become tokens. Output: ids.
#[unsafe(no_mangle)]
pub extern "C" fn encode(length: usize, special: u32) -> u32 {
    run_text(length, |bytes, made, output| {
        let special = if special == 1 { Special::Everywhere } else { Special::Nowhere };
        let ids = made.encode(&String::from_utf8_lossy(bytes), special)?;
        put(output, ids);
        Ok(())
    })
}

/// Encodes a text in parts of which no added token is found. Input: the start and end of each of the `n_plain` parts, in
/// order and apart, then the text. Output: for each token its id, its start and its end, and 1 where it is an added one.
#[unsafe(no_mangle)]
pub extern "C" fn locate(length: usize, n_plain: usize) -> u32 {
    run_places(length, n_plain, |made, text, special| made.locate(text, special))
}

/// The added tokens of a text, with input and output as `locate` has them.
#[unsafe(no_mangle)]
pub extern "C" fn find_added(length: usize, n_plain: usize) -> u32 {
    run_places(length, n_plain, |made, text, special| made.find_added(text, special))
}

/// Decodes ids. Output: text.
#[unsafe(no_mangle)]
pub extern "C" fn decode(length: usize, skip_special_tokens: u32) -> u32 {
    run_text(length, |bytes, made, output| {
        output.extend_from_slice(made.decode(&numbers(bytes), skip_special_tokens == 1)?.as_bytes());
        Ok(())
    })
}

/// The id of a token by its text. Output: the id, or nothing.
#[unsafe(no_mangle)]
pub extern "C" fn token_to_id(length: usize) -> u32 {
    run_text(length, |bytes, made, output| {
        put(output, core::str::from_utf8(bytes).ok().and_then(|token| made.id_of(token)));
        Ok(())
    })
}

fn run_places(
    length: usize,
    n_plain: usize,
    find: impl FnOnce(&Text, &str, Special) -> tokenizers::Result<Vec<Place>>,
) -> u32 {
    run_text(length, |bytes, made, output| {
        let (ranges, bytes) = bytes.split_at_checked(8 * n_plain).ok_or("ranges before the text")?;
        let text = String::from_utf8_lossy(bytes);
        let units = Units::new(&text);
        let plain: Vec<_> =
            numbers(ranges).chunks_exact(2).map(|r| units.byte(r[0])..units.byte(r[1])).collect();
        for Place { id, start, end, is_added } in find(made, &text, Special::Outside(&plain))? {
            put(output, [id, units.unit(start), units.unit(end), u32::from(is_added)]);
        }
        Ok(())
    })
}

fn numbers(bytes: &[u8]) -> Vec<u32> {
    bytes.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect()
}

fn put(output: &mut Vec<u8>, values: impl IntoIterator<Item = u32>) {
    values.into_iter().for_each(|value| output.extend_from_slice(&value.to_le_bytes()));
}

/// Runs a call of the tokenizer that was opened.
fn run_text(length: usize, call: impl FnOnce(&[u8], &Text, &mut Vec<u8>) -> tokenizers::Result<()>) -> u32 {
    run(length, |bytes, _, text, output| {
        let made = text.as_ref().ok_or_else(|| bad("an open tokenizer", "none"))?;
        call(bytes, made, output).map_err(|error| {
            let text = error.to_string();
            let (need, found) =
                text.split_once(SEPARATOR).unwrap_or(("a tokenizer.json whose parts work", &text));
            bad(need, found)
        })
    })
}

/// Runs a call over the first `length` bytes of the input, and leaves its result or its error in the output.
fn run(length: usize, call: impl FnOnce(&[u8], u32, &mut Option<Text>, &mut Vec<u8>) -> Result<()>) -> u32 {
    STATE.with_borrow_mut(|state| {
        let State { input, output, text, seed } = state;
        output.clear();
        steps::allow(length);
        #[cfg(target_arch = "wasm32")]
        memory::allow(length);
        let result = call(input.get(..length).unwrap_or_default(), *seed, text, output);
        let Err(error) = result else { return DONE };
        output.clear();
        output.extend_from_slice(error.to_string().as_bytes());
        match error {
            Error::File { .. } => BAD_FILE,
            Error::Tokenizer { .. } => BAD_TOKENIZER,
        }
    })
}
