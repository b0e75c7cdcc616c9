//! Scenarios in hostile words: what the engine hears has, in every string that the format lets be free, characters that a
//! terminal would obey. What it asks is understood without them, so that the world answers as ever.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::{cell::RefCell, collections::HashMap};

/// A sequence for the terminal, ends of lines, C1, DEL, directions, no width, NUL. No slash: a path keeps its parts.
pub const HOSTILE: &str = "\u{1b}[2J\r\n\u{9b}31m\u{85}\u{7f}\u{7}\0\u{202e}\u{2066}\u{2028}\u{200b}\u{feff}\u{e0041}";

/// Strings by which things are found again, or that only a list of words makes sense in.
const KEPT: [&str; 7] = ["uid", "pod_uid", "id", "last_id", "phase", "reason", "cgroup-created"];

/// How far the disguise goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Depth {
    /// What rules look for stays: they get far enough to quote the rest.
    Named,
    /// All that can be told from its place.
    All,
}

/// The disguise; it learns which places are free.
#[derive(Debug)]
pub struct Mask {
    depth: Depth,
    free: RefCell<HashMap<String, bool>>,
}

impl Mask {
    pub fn new(depth: Depth) -> Self {
        Self { depth, free: RefCell::default() }
    }

    /// What the engine is told.
    pub fn wear<T: Serialize + DeserializeOwned>(&self, told: &T) -> T {
        let mut value = serde_json::to_value(told).expect("inputs are recorded as JSON");
        let mut places = Vec::new();
        leaves(&value, "", "", &mut places);
        for (pointer, place) in places {
            let Some(text) = value.pointer(&pointer).and_then(Value::as_str).map(str::to_owned) else { continue };
            if self.is_kept(&place, &text) || self.free.borrow().get(&place) == Some(&false) {
                continue;
            }
            put(&mut value, &pointer, disguised(&text));
            if !self.free.borrow().contains_key(&place) {
                let is_free = serde_json::from_value::<T>(value.clone()).is_ok();
                self.free.borrow_mut().insert(place, is_free);
                if !is_free {
                    put(&mut value, &pointer, text);
                }
            }
        }
        serde_json::from_value(value).expect("each place was tried")
    }

    fn is_kept(&self, place: &str, text: &str) -> bool {
        let known = ["runc:", "/proc", "/dev", "/sys"].iter().any(|start| text.starts_with(start));
        text.is_empty() || place.split('/').any(|part| KEPT.contains(&part)) || (self.depth == Depth::Named && known)
    }
}

/// What the engine asks, without it.
pub fn bare<T: Serialize + DeserializeOwned>(asked: &T) -> T {
    let mut value = serde_json::to_value(asked).expect("questions are recorded as JSON");
    let mut places = Vec::new();
    leaves(&value, "", "", &mut places);
    for (pointer, _) in places {
        let text = value.pointer(&pointer).and_then(Value::as_str).unwrap_or_default().replace(HOSTILE, "");
        put(&mut value, &pointer, text);
    }
    serde_json::from_value(value).expect("only the disguise was taken off")
}

/// A path in each of its parts, so that what contained another still does; a command line and a message at their ends.
fn disguised(text: &str) -> String {
    let part = |part: &str| if part.is_empty() { String::new() } else { format!("{part}{HOSTILE}") };
    if text.starts_with('/') { text.split('/').map(part).collect::<Vec<_>>().join("/") } else { part(text) }
}

fn put(value: &mut Value, pointer: &str, text: String) {
    *value.pointer_mut(pointer).expect("it was there") = Value::String(text);
}

/// All strings: where they are, and the same without the numbers of lists.
fn leaves(value: &Value, pointer: &str, place: &str, into: &mut Vec<(String, String)>) {
    match value {
        Value::String(_) => into.push((pointer.to_owned(), place.to_owned())),
        Value::Array(all) => {
            all.iter().enumerate().for_each(|(n, one)| leaves(one, &format!("{pointer}/{n}"), &format!("{place}/*"), into));
        }
        Value::Object(all) => {
            for (key, one) in all {
                let key = key.replace('~', "~0").replace('/', "~1");
                leaves(one, &format!("{pointer}/{key}"), &format!("{place}/{key}"), into);
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}
