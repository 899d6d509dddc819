//! Where the crate's hash maps get their randomness: from the seed that the TypeScript side gives, for WebAssembly has
//! none of its own, and an import for it would have to be there in every runtime.

use core::cell::Cell;

thread_local! {
    static STATE: Cell<u64> = const { Cell::new(1) };
}

pub fn seed(value: u64) {
    STATE.set(value | 1);
}

#[unsafe(no_mangle)]
unsafe extern "Rust" fn __getrandom_v03_custom(dest: *mut u8, len: usize) -> Result<(), getrandom::Error> {
    for i in 0..len {
        // xorshift64
        let mut state = STATE.get();
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        STATE.set(state);
        // SAFETY: the caller gives `len` bytes to write at `dest`.
        unsafe { dest.add(i).write((state >> 32) as u8) };
    }
    Ok(())
}
