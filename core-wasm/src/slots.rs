//! Things handed out by number. Ids start at 1 and are used again after `remove`.

use crate::error::{Result, bad_request};

pub struct Slots<T> {
    what: &'static str,
    items: Vec<Option<T>>,
}

impl<T> Slots<T> {
    pub fn new(what: &'static str) -> Self {
        Self { what, items: Vec::new() }
    }

    pub fn add(&mut self, item: T) -> u32 {
        let at = self.items.iter().position(Option::is_none).unwrap_or_else(|| {
            self.items.push(None);
            self.items.len() - 1
        });
        self.items[at] = Some(item);
        at as u32 + 1
    }

    pub fn remove(&mut self, id: u32) -> Result<()> {
        self.get(id)?;
        self.items[id as usize - 1] = None;
        Ok(())
    }

    pub fn get(&self, id: u32) -> Result<&T> {
        let item = (id as usize).checked_sub(1).and_then(|at| self.items.get(at)?.as_ref());
        match item {
            Some(item) => Ok(item),
            None => bad_request(format!("{} that is in use, found {id}", self.what)),
        }
    }

    pub fn get_mut(&mut self, id: u32) -> Option<&mut T> {
        self.items.get_mut((id as usize).checked_sub(1)?)?.as_mut()
    }
}
