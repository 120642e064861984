//! A whole identifier, compiled: which datasets match it, and what is returned of them.
//!
//! [`Query`] is compiled once from the identifier of a C-FIND, C-MOVE or C-GET and asked for each candidate, an encoded dataset. It walks a candidate
//! once, up to the last attribute that it needs.

mod compile;
mod evaluate;
pub mod levels;
mod respond;

use crate::charset::CharacterSet;
use crate::codec::CodecError;
use crate::matching::{Key, Range};
use crate::tag::Tag;
use crate::vr::Vr;

use levels::Model;
pub use respond::Override;

/// What was negotiated, and what kind of service asks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Options {
    /// The information model; `None` where it is not known, or has no levels.
    pub model: Option<Model>,
    /// Modality Worklist: an attribute without a value matches universal keys only, and dates are combined with times.
    pub worklist: bool,
    /// Combined date-time matching (PS3.4 C.2.2.2.5.4).
    pub datetime: bool,
    /// Fuzzy semantic matching of names (PS3.4 C.2.2.2.1.1).
    pub fuzzy: bool,
    /// Timezone query adjustment (PS3.4 C.5.1.1).
    pub timezone: bool,
    /// Empty value matching (PS3.4 C.2.2.2.7).
    pub empty_value: bool,
    /// Multiple value matching (PS3.4 C.2.2.2.8).
    pub multiple_value: bool,
    /// The offset from UTC, in minutes, of stored datasets and identifiers that do not say theirs.
    pub local_offset: Option<i32>,
}

/// A compiled identifier.
#[derive(Debug, Clone)]
pub struct Query {
    keys: Keys,
    options: Options,
    level: String,
    /// The offset from UTC that stored dates and times are moved to, in minutes.
    offset: Option<i32>,
    /// Its keys by tag, for the checks of an information model.
    top: Vec<(Tag, Vr, Key)>,
}

/// The keys of an identifier, or of one item of a sequence in it.
#[derive(Debug, Clone, Default)]
pub struct Keys {
    conditions: Vec<Condition>,
    /// What is to be returned, by tag.
    returned: Vec<Returned>,
    /// The tags whose values decide, by tag.
    needed: Vec<Tag>,
}

/// Something that a dataset has to fulfil.
#[derive(Debug, Clone)]
pub enum Condition {
    /// An attribute with this tag matches the key.
    Attribute(Tag, Key),
    /// An item of the sequence with this tag matches the keys.
    Sequence(Tag, Keys),
    /// A date and a time, which belong together, name an instant.
    Instant(Instant),
}

/// A pair of date and time keys that cannot be looked at one by one.
#[derive(Debug, Clone)]
pub struct Instant {
    /// The tag of the date.
    pub date_tag: Tag,
    /// The tag of the time.
    pub time_tag: Tag,
    /// The key of the date, where it asks for something.
    pub date: Option<Key>,
    /// The key of the time, where it asks for something.
    pub time: Option<Key>,
    /// Both as one range, where they are combined.
    pub combined: Option<Range>,
}

/// An attribute to be returned.
#[derive(Debug, Clone)]
struct Returned {
    tag: Tag,
    vr: Vr,
    /// Of a sequence: what is asked of its items; `None` for all of them, as they are.
    items: Option<Keys>,
}

impl Keys {
    /// What has to be fulfilled.
    pub fn conditions(&self) -> &[Condition] {
        &self.conditions
    }
}

impl Query {
    /// Query/Retrieve Level, without padding; empty where there is none.
    pub fn level(&self) -> &str {
        &self.level
    }

    /// Whether it is one of a worklist.
    pub fn is_worklist(&self) -> bool {
        self.options.worklist
    }

    /// Its keys.
    pub fn keys(&self) -> &Keys {
        &self.keys
    }

    /// The key for an attribute of the top level.
    pub fn key(&self, tag: Tag) -> Option<&Key> {
        self.top.iter().find(|(found, ..)| *found == tag).map(|(.., key)| key)
    }

    /// Every attribute of the top level that matching or a response looks at.
    pub fn tags(&self) -> Vec<Tag> {
        let mut tags = self.keys.needed.clone();
        tags.extend(self.keys.returned.iter().map(|returned| returned.tag));
        tags.extend([Tag::SPECIFIC_CHARACTER_SET, Tag::TIMEZONE_OFFSET_FROM_UTC]);
        tags.sort_unstable();
        tags.dedup();
        tags
    }
}

/// `+HHMM` or `-HHMM` in minutes.
pub fn utc_offset(text: &str) -> Option<i32> {
    let text = text.trim_matches([' ', '\0']);
    let (sign, digits) = match text.as_bytes() {
        [b'+', digits @ ..] => (1, digits),
        [b'-', digits @ ..] => (-1, digits),
        _ => return None,
    };
    let [a, b, c, d] = digits else { return None };
    if ![a, b, c, d].iter().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let two = |high: u8, low: u8| i32::from(high - b'0') * 10 + i32::from(low - b'0');
    let minutes = two(*a, *b) * 60 + two(*c, *d);
    (minutes <= 14 * 60).then_some(sign * minutes)
}

/// What a dataset says of its own values, and hands down to the items of its sequences.
#[derive(Debug, Clone, Default)]
struct Inherited {
    character_set: CharacterSet,
    offset: Option<i32>,
}

type Result<T> = std::result::Result<T, CodecError>;
