//! The whole interface of the engine. An instance of the module is one engine with at most one
//! model; its memory goes when the instance goes.
//!
//! The caller asks for an `input` area, writes bytes into it and calls a function with their length. A function
//! returns a status: 0 for done, else an `Error`'s number. Results, or the error's text, are
//! in `output` until the next call. Structures are packed (`packed.rs`); the comments beside the readers give them.

use std::cell::RefCell;

use crate::batch::{Floats, read_batch, write_results};
use crate::error::{Error, Result, bad_request, zeros};
use crate::formats::FileDtype;
use crate::header;
use crate::hooks::Accumulator;
use crate::kv::BLOCK;
use crate::model::Model;
use crate::packed::{PackedReader, PackedWriter};
use crate::program::{Buffer, Program};
use crate::step::step;

#[derive(Default)]
struct Engine {
    input: Vec<u8>,
    output: Vec<u8>,
    model: Option<Model>,
}

thread_local! {
    static ENGINE: RefCell<Engine> = RefCell::default();
    /// Apart from the engine, which is borrowed when a panic comes.
    static PANIC: RefCell<String> = RefCell::default();
}

/// To be called once, first: keeps the message of a panic, which becomes a trap, for `panic_text`.
#[unsafe(no_mangle)]
pub extern "C" fn start() {
    std::panic::set_hook(Box::new(|info| PANIC.with_borrow_mut(|text| *text = info.to_string())));
}

#[unsafe(no_mangle)]
pub extern "C" fn panic_ptr() -> *const u8 {
    PANIC.with_borrow(|text| text.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn panic_len() -> usize {
    PANIC.with_borrow(String::len)
}

/// The address of an area of `length` bytes for the caller to write; 0 where there is no memory for it.
#[unsafe(no_mangle)]
pub extern "C" fn input(length: usize) -> *mut u8 {
    ENGINE.with_borrow_mut(|engine| {
        if engine.input.len() < length {
            engine.input = Vec::new();
            match zeros(length) {
                Ok(area) => engine.input = area,
                Err(_) => return core::ptr::null_mut(),
            }
        }
        engine.input.as_mut_ptr()
    })
}

/// Frees the input area: after loading it is as large as a chunk of weights.
#[unsafe(no_mangle)]
pub extern "C" fn release_input() {
    ENGINE.with_borrow_mut(|engine| engine.input = Vec::new());
}

#[unsafe(no_mangle)]
pub extern "C" fn output_ptr() -> *const u8 {
    ENGINE.with_borrow(|engine| engine.output.as_ptr())
}

#[unsafe(no_mangle)]
pub extern "C" fn output_len() -> usize {
    ENGINE.with_borrow(|engine| engine.output.len())
}

/// Input: the JSON of a safetensors header. Output: JSON (`header.rs`).
#[unsafe(no_mangle)]
pub extern "C" fn parse_header(length: usize, file_size: f64) -> u32 {
    call(|engine| Ok(header::parse(&engine.input[..length], file_size as u64)?.into_bytes()))
}

/// Input: a program's JSON, each weight with `stored`. Allocates its weights. Output: block size in tokens, bytes
/// of weights, bytes of a block.
#[unsafe(no_mangle)]
pub extern "C" fn create_model(length: usize) -> u32 {
    call(|engine| {
        let model = Model::new(Program::parse(&engine.input[..length])?)?;
        let mut packed = PackedWriter::default();
        packed.u32(BLOCK as u32);
        packed.u32(model.weight_bytes() as u32);
        packed.u32(model.kv.block_bytes() as u32);
        engine.model = Some(model);
        Ok(packed.0)
    })
}

/// Input: rows of a matrix (elements of a vector) from `start` on, in the file's dtype: 0 F32, 1 F16, 2 BF16.
#[unsafe(no_mangle)]
pub extern "C" fn write_weights(length: usize, slot: usize, start: usize, dtype: u32) -> u32 {
    call(|engine| {
        let dtype = match dtype {
            0 => FileDtype::F32,
            1 => FileDtype::F16,
            _ => FileDtype::BF16,
        };
        let Engine { input, model, .. } = engine;
        loaded(model)?.write_rows(slot, start, &input[..length], dtype)?;
        Ok(Vec::new())
    })
}

/// Input: the table's next rows in f32, all cosines and then all sines.
#[unsafe(no_mangle)]
pub extern "C" fn extend_rope(length: usize, table: usize) -> u32 {
    call(|engine| {
        let Engine { input, model, .. } = engine;
        let values = PackedReader::new(&input[..length]).f32s(length / 4)?;
        match loaded(model)?.ropes.get_mut(table) {
            Some(table) => table.extend(&values)?,
            None => return bad_request(format!("a rope table of the program, found {table}")),
        }
        Ok(Vec::new())
    })
}

/// Output: the ids of `count` new blocks.
#[unsafe(no_mangle)]
pub extern "C" fn alloc_blocks(count: usize) -> u32 {
    call(|engine| {
        let ids = loaded(&mut engine.model)?.kv.alloc(count)?;
        Ok(ids.into_iter().flat_map(u32::to_le_bytes).collect())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn free_block(id: u32) -> u32 {
    call(|engine| loaded(&mut engine.model)?.kv.free(id).map(|()| Vec::new()))
}

#[unsafe(no_mangle)]
pub extern "C" fn copy_block(from: u32, to: u32) -> u32 {
    call(|engine| loaded(&mut engine.model)?.kv.copy(from, to).map(|()| Vec::new()))
}

/// Input: hooks (`HookSet::read`). Output: the set's id.
#[unsafe(no_mangle)]
pub extern "C" fn add_hooks(length: usize) -> u32 {
    call(|engine| {
        let Engine { input, model, .. } = engine;
        Ok(loaded(model)?.add_hooks(&input[..length])?.to_le_bytes().into())
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn free_hooks(id: u32) -> u32 {
    call(|engine| loaded(&mut engine.model)?.hooks.remove(id).map(|_| Vec::new()))
}

/// Input: sites. Output: the accumulator's id.
#[unsafe(no_mangle)]
pub extern "C" fn add_accumulator(length: usize) -> u32 {
    call(|engine| {
        let Engine { input, model, .. } = engine;
        Ok(loaded(model)?.add_accumulator(&input[..length])?.to_le_bytes().into())
    })
}

/// Output: the number of tokens in f64, then the mean [n_sites, d_model] in f32.
#[unsafe(no_mangle)]
pub extern "C" fn read_accumulator(id: u32) -> u32 {
    call(|engine| {
        let accumulator: &Accumulator = loaded(&mut engine.model)?.accumulators.get(id)?;
        let mut packed = PackedWriter::default();
        packed.f64(accumulator.count as f64);
        packed.0.extend(accumulator.mean()?.into_iter().flat_map(f32::to_le_bytes));
        Ok(packed.0)
    })
}

#[unsafe(no_mangle)]
pub extern "C" fn free_accumulator(id: u32) -> u32 {
    call(|engine| loaded(&mut engine.model)?.accumulators.remove(id).map(|_| Vec::new()))
}

/// Input: a batch (`Entry::read`). Output: `write_results`; the floats it points to hold until the next call.
#[unsafe(no_mangle)]
pub extern "C" fn run_step(length: usize) -> u32 {
    call(|engine| {
        let Engine { input, model, .. } = engine;
        let model = loaded(model)?;
        let batch = read_batch(&input[..length], &model.program)?;
        let results = step(model, &batch)?;
        let logits = model.state.rows(Buffer::Logits);
        let floats = Floats {
            values: model.state.values.as_ptr() as usize as u32,
            logits: logits.as_ptr() as usize as u32,
            logits_stride: logits.stride() as u32,
        };
        Ok(write_results(&results, &floats))
    })
}

fn loaded(model: &mut Option<Model>) -> Result<&mut Model> {
    match model {
        Some(model) => Ok(model),
        None => bad_request("a model, found none created"),
    }
}

fn call(work: impl FnOnce(&mut Engine) -> Result<Vec<u8>>) -> u32 {
    ENGINE.with_borrow_mut(|engine| {
        engine.output = Vec::new();
        match work(engine) {
            Ok(output) => {
                engine.output = output;
                0
            }
            Err(error) => {
                let (status, output) = status(error);
                engine.output = output;
                status
            }
        }
    })
}

/// 1 out of memory, 2 a bad weight (its element in f64, then what it is), 3 a bad file, 4 a bad request.
fn status(error: Error) -> (u32, Vec<u8>) {
    match error {
        Error::OutOfMemory { bytes } => (1, format!("no memory for {bytes} bytes").into_bytes()),
        Error::BadWeights { index, found } => {
            let mut packed = PackedWriter::default();
            packed.f64(index as f64);
            packed.0.extend_from_slice(found.as_bytes());
            (2, packed.0)
        }
        Error::BadFile(text) => (3, text.into_bytes()),
        Error::BadRequest(text) => (4, text.into_bytes()),
    }
}
