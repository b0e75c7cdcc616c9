//! A queue in which a later word takes the place of the earlier one of the same id.

use std::collections::{BTreeMap, HashMap};
use unready_diagnosis::{
    story::report::StartReport,
    verdict::{Severity, Verdict},
};

/// What is said again and again under one id.
pub(super) trait Word {
    /// What stays the same.
    fn id(&self) -> &str;

    /// What weighs least goes first where there is no room.
    fn weight(&self) -> Severity;
}

impl Word for Verdict {
    fn id(&self) -> &str {
        &self.id
    }

    fn weight(&self) -> Severity {
        self.severity
    }
}

/// All weigh the same: the oldest goes.
impl Word for StartReport {
    fn id(&self) -> &str {
        &self.id
    }

    fn weight(&self) -> Severity {
        Severity::Advisory
    }
}

/// Words by the order in which they were first said, and where each is.
#[derive(Debug)]
pub(super) struct Latest<T> {
    by_turn: BTreeMap<u64, Box<T>>,
    turn_of: HashMap<String, u64>,
    next_turn: u64,
    dropped: u64,
}

impl<T> Default for Latest<T> {
    fn default() -> Self {
        Self { by_turn: BTreeMap::new(), turn_of: HashMap::new(), next_turn: 0, dropped: 0 }
    }
}

impl<T: Word> Latest<T> {
    pub(super) fn push(&mut self, word: Box<T>, room: usize) {
        if let Some(older) = self.turn_of.get(word.id()).and_then(|turn| self.by_turn.get_mut(turn)) {
            *older = word;
            return;
        }
        self.next_turn += 1;
        self.turn_of.insert(word.id().to_owned(), self.next_turn);
        self.by_turn.insert(self.next_turn, word);
        if self.by_turn.len() > room {
            self.drop_least();
        }
    }

    pub(super) fn pop(&mut self) -> Option<Box<T>> {
        let (_, word) = self.by_turn.pop_first()?;
        self.turn_of.remove(word.id());
        Some(word)
    }

    pub(super) fn len(&self) -> usize {
        self.by_turn.len()
    }

    /// How many went, since the start.
    pub(super) const fn dropped(&self) -> u64 {
        self.dropped
    }

    /// The oldest of the least weight.
    fn drop_least(&mut self) {
        let least = self.by_turn.iter().min_by_key(|(turn, word)| (word.weight(), **turn)).map(|(turn, _)| *turn);
        if let Some(word) = least.and_then(|turn| self.by_turn.remove(&turn)) {
            self.turn_of.remove(word.id());
            self.dropped += 1;
        }
    }

    #[cfg(test)]
    pub(super) fn ids(&self) -> Vec<&str> {
        assert_eq!(self.by_turn.len(), self.turn_of.len());
        self.by_turn.values().map(|word| word.id()).collect()
    }
}
