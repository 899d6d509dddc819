//! What a call may hold: parts of a hostile tokenizer.json could make a short text grow to gigabytes. Beyond its bound an
//! allocation fails, which is a trap; the TypeScript side drops the instance and says so.

use core::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::alloc::{GlobalAlloc, Layout, System};

/// Bytes that a call of any length may take, and those for each byte of its input.
const ANY: usize = 128 << 20;
const EACH_BYTE: usize = 1024;

static HELD: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(usize::MAX);

#[global_allocator]
static BOUNDED: Bounded = Bounded;

/// Begins a call over so many bytes.
pub fn allow(bytes: usize) {
    let more = ANY.saturating_add(bytes.saturating_mul(EACH_BYTE));
    MOST.store(HELD.load(Relaxed).saturating_add(more), Relaxed);
}

struct Bounded;

impl Bounded {
    /// Counts bytes in; false where they are too many.
    fn take(&self, bytes: usize) -> bool {
        let held = HELD.load(Relaxed).saturating_add(bytes);
        let fits = held <= MOST.load(Relaxed);
        if fits {
            HELD.store(held, Relaxed);
        }
        fits
    }

    fn give(&self, bytes: usize) {
        HELD.store(HELD.load(Relaxed).saturating_sub(bytes), Relaxed);
    }
}

// SAFETY: every block is the system allocator's, by the layout that the caller gives.
unsafe impl GlobalAlloc for Bounded {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        if self.take(layout.size()) { unsafe { System.alloc(layout) } } else { core::ptr::null_mut() }
    }
    unsafe fn alloc_zeroed(&self, layout: Layout) -> *mut u8 {
        if self.take(layout.size()) { unsafe { System.alloc_zeroed(layout) } } else { core::ptr::null_mut() }
    }
    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        self.give(layout.size());
        unsafe { System.dealloc(block, layout) }
    }
    unsafe fn realloc(&self, block: *mut u8, layout: Layout, size: usize) -> *mut u8 {
        if !self.take(size.saturating_sub(layout.size())) {
            return core::ptr::null_mut();
        }
        self.give(layout.size().saturating_sub(size));
        unsafe { System.realloc(block, layout, size) }
    }
}
