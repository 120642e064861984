//! Picks attributes from the header of a dataset as its bytes pass, in pieces of any size.

use super::{CodecError, DEPTH, Header, Syntax, UNDEFINED, header};
use crate::tag::Tag;
use crate::vr::Vr;

/// The longest header of an element, in bytes.
const HEADER: usize = 12;

/// The longest value that is kept, in bytes; a longer one counts as absent.
const VALUE_LIMIT: u32 = 64 << 10;

/// What is being passed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Level {
    /// The dataset of an item of undefined length.
    Dataset(Syntax),
    /// A sequence of undefined length; whether its items are datasets.
    Items(Syntax),
}

/// What to do with the bytes of a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Value {
    /// Between elements.
    None,
    /// Passed over: so many bytes more.
    Skip(u32),
    /// Kept as the value of the wanted attribute at this index: so many bytes more.
    Keep(usize, u32),
}

/// Takes the bytes of a dataset and keeps the values of some attributes of its top level. Done with the last of them, or where its place
/// has passed, so before the pixel data.
#[derive(Debug, Clone)]
pub struct Skimmer {
    syntax: Syntax,
    /// Sorted by tag.
    wanted: Vec<Tag>,
    values: Vec<Option<(Vr, Vec<u8>)>>,
    /// The beginning of a header.
    held: Vec<u8>,
    value: Value,
    levels: Vec<Level>,
    done: bool,
}

impl Skimmer {
    /// For the attributes `wanted` of a dataset that is encoded in `syntax` and not deflated.
    pub fn new(syntax: Syntax, mut wanted: Vec<Tag>) -> Self {
        wanted.sort_unstable();
        wanted.dedup();
        let values = vec![None; wanted.len()];
        let done = wanted.is_empty();
        Self { syntax, wanted, values, held: Vec::new(), value: Value::None, levels: Vec::new(), done }
    }

    /// Whether everything that was wanted has come, or its place has passed.
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// The representation and value of a wanted attribute, padding included; `None` where it is absent or has not come yet.
    pub fn value(&self, tag: Tag) -> Option<(Vr, &[u8])> {
        let at = self.wanted.binary_search(&tag).ok()?;
        self.values[at].as_ref().map(|(vr, value)| (*vr, value.as_slice()))
    }

    /// Takes the next piece; what comes after it is done is passed over.
    ///
    /// # Errors
    /// [`CodecError`] for what is no dataset; its offset is that within the piece. Nothing more can be had then.
    pub fn feed(&mut self, mut bytes: &[u8]) -> Result<(), CodecError> {
        let whole = bytes.len();
        while !self.done && !bytes.is_empty() {
            match self.value {
                Value::Skip(left) => {
                    let length = bytes.len().min(left as usize);
                    bytes = &bytes[length..];
                    self.value = Self::rest(left, length, Value::Skip);
                }
                Value::Keep(at, left) => {
                    let length = bytes.len().min(left as usize);
                    if let Some((_, value)) = &mut self.values[at] {
                        value.extend_from_slice(&bytes[..length]);
                    }
                    bytes = &bytes[length..];
                    self.value = Self::rest(left, length, |left| Value::Keep(at, left));
                }
                Value::None => {
                    let missing = HEADER - self.held.len();
                    let taken = bytes.len().min(missing);
                    let before = self.held.len();
                    self.held.extend_from_slice(&bytes[..taken]);
                    let Some(header) = header(&self.held, 0, self.current()) else {
                        // Twelve bytes always are a header.
                        bytes = &bytes[taken..];
                        continue;
                    };
                    bytes = &bytes[header.value - before..];
                    self.held.clear();
                    self.header(&header)
                        .map_err(|problem| CodecError::new(whole - bytes.len(), Some(header.tag), problem))?;
                }
            }
            self.done |= self.levels.is_empty() && self.value == Value::None && self.has_all();
        }
        Ok(())
    }

    fn rest(left: u32, taken: usize, more: impl Fn(u32) -> Value) -> Value {
        // What was taken is never more than was left.
        match left - taken as u32 {
            0 => Value::None,
            left => more(left),
        }
    }

    fn current(&self) -> Syntax {
        match self.levels.last() {
            Some(Level::Dataset(syntax) | Level::Items(syntax)) => *syntax,
            None => self.syntax,
        }
    }

    fn has_all(&self) -> bool {
        self.values.iter().all(Option::is_some)
    }

    fn header(&mut self, header: &Header) -> Result<(), &'static str> {
        let syntax = self.current();
        match (self.levels.last(), header.tag) {
            (Some(Level::Items(_)), Tag::ITEM) if header.is_undefined() => return self.enter(Level::Dataset(syntax)),
            (Some(Level::Items(_)), Tag::ITEM) => self.value = skip(header.length),
            (Some(Level::Items(_)), Tag::SEQUENCE_DELIMITATION) | (Some(Level::Dataset(_)), Tag::ITEM_DELIMITATION) => {
                self.levels.pop();
            }
            (Some(Level::Dataset(_)), Tag::SEQUENCE_DELIMITATION) => {
                // The item's own delimiter is missing.
                self.levels.pop();
                self.levels.pop();
            }
            (Some(Level::Items(_)), _) => return Err("a sequence has something that is no item"),
            (None, tag) if tag > *self.wanted.last().unwrap_or(&Tag(0)) => self.done = true,
            (None, tag) if !header.is_undefined() && header.length <= VALUE_LIMIT => {
                self.value = match self.wanted.binary_search(&tag) {
                    Ok(at) => {
                        self.values[at] = Some((header.vr(false), Vec::with_capacity(header.length as usize)));
                        if header.length == 0 { Value::None } else { Value::Keep(at, header.length) }
                    }
                    Err(_) => skip(header.length),
                };
            }
            _ if header.is_undefined() => return self.enter(Level::Items(header.items_syntax(syntax))),
            _ => self.value = skip(header.length),
        }
        Ok(())
    }

    fn enter(&mut self, level: Level) -> Result<(), &'static str> {
        if self.levels.len() == 2 * DEPTH {
            return Err("sequences are nested too deep");
        }
        self.levels.push(level);
        Ok(())
    }
}

fn skip(length: u32) -> Value {
    match length {
        0 | UNDEFINED => Value::None,
        length => Value::Skip(length),
    }
}
