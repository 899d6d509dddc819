//! Things handed out by number. An id holds its slot and how often the slot was used before, so that a freed id
//! is refused even when its slot serves something else. 0 is never an id.

use crate::error::{Error, Result, bad_request};

/// Bits of an id that name the slot; those above count its uses, from 1.
const SLOT_BITS: u32 = 20;
const MOST: usize = 1 << SLOT_BITS;
/// Ids stay below 2^31, so that they are the same number in an Int32Array.
const LAST_USE: u32 = (1 << (31 - SLOT_BITS)) - 1;

pub struct Slots<T> {
    what: &'static str,
    slots: Vec<Slot<T>>,
    vacant: Vec<usize>,
}

struct Slot<T> {
    uses: u32,
    item: Option<T>,
}

impl<T> Slots<T> {
    /// `what` is the thing's name, for messages.
    pub fn new(what: &'static str) -> Self {
        Self { what, slots: Vec::new(), vacant: Vec::new() }
    }

    pub fn add(&mut self, item: T) -> Result<u32> {
        let at = match self.vacant.pop() {
            Some(at) => at,
            None if self.slots.len() == MOST => return Err(Error::OutOfMemory { bytes: 0 }),
            None => {
                self.slots.push(Slot { uses: 0, item: None });
                self.slots.len() - 1
            }
        };
        let slot = &mut self.slots[at];
        slot.uses = slot.uses % LAST_USE + 1;
        slot.item = Some(item);
        Ok(slot.uses << SLOT_BITS | at as u32)
    }

    pub fn remove(&mut self, id: u32) -> Result<T> {
        let item = self.slot(id).and_then(|at| self.slots[at].item.take());
        match item {
            Some(item) => {
                self.vacant.push(id as usize % MOST);
                Ok(item)
            }
            None => self.unknown(id),
        }
    }

    pub fn get(&self, id: u32) -> Result<&T> {
        match self.slot(id).and_then(|at| self.slots[at].item.as_ref()) {
            Some(item) => Ok(item),
            None => self.unknown(id),
        }
    }

    pub fn get_mut(&mut self, id: u32) -> Result<&mut T> {
        self.get(id)?;
        Ok(self.slots[id as usize % MOST].item.as_mut().expect("get has seen it"))
    }

    fn slot(&self, id: u32) -> Option<usize> {
        let at = id as usize % MOST;
        (self.slots.get(at)?.uses == id >> SLOT_BITS).then_some(at)
    }

    fn unknown<R>(&self, id: u32) -> Result<R> {
        bad_request(format!("{} that is in use, found {}", self.what, id as i32))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_freed_id_is_refused_though_its_slot_is_used_again() {
        let mut slots = Slots::new("a thing");
        let first = slots.add('a').unwrap();
        assert_eq!(slots.remove(first), Ok('a'));
        let second = slots.add('b').unwrap();
        assert_ne!(first, second);
        assert!(slots.get(first).is_err() && slots.remove(first).is_err() && slots.get_mut(first).is_err());
        assert_eq!(slots.get(second), Ok(&'b'));
        assert!(slots.get(0).is_err() && slots.get(u32::MAX).is_err());
    }

    #[test]
    fn ids_stay_positive_however_often_a_slot_is_used() {
        let mut slots = Slots::new("a thing");
        for _ in 0..5000 {
            let id = slots.add(()).unwrap();
            assert!((id as i32) > 0);
            slots.remove(id).unwrap();
        }
    }
}
