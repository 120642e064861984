//! Specific Character Set (0008,0005): PS3.3 C.12.1.1.2, PS3.5 6.1.
//!
//! Reading is tolerant and never fails. Beyond the standard it takes
//!
//! - misspelt defined terms; an unknown one counts as the default repertoire;
//! - bytes above 7FH in the default repertoire as Latin-1, and those at 80H to 9FH, in it and in the sets 100, 148 and 166, as windows-1252, -1254 and
//!   -874: odd peers send these under the standard's names;
//! - escapes of sets that were not declared; Shift-JIS in the place of JIS X 0201, and code page 949 in that of KS X 1001.
//!
//! Writing is strict: only declared sets, only their own characters.

mod decode;
mod encode;
mod escape;
mod terms;
#[cfg(test)]
mod tests;

use escape::{Characters, ESC};
use std::borrow::Cow;
use terms::Set;

/// The Specific Character Set of a dataset. The default is the default repertoire, ISO-IR 6.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct CharacterSet {
    /// Never one that only an escape invokes ([`Set::is_double_g0`]).
    first: Set,
    /// Each is one that an escape invokes, and none is twice here.
    extensions: Vec<Set>,
}

/// Which characters of a value make the first character set active again (PS3.5 6.1.2.5.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiters {
    /// ST, LT and UT, whose backslash is text: HT, LF, FF and CR.
    Text,
    /// SH, LO and UC, which may have several values: the backslash as well.
    Values,
    /// PN: also `^` and `=`.
    PersonName,
}

impl Delimiters {
    fn contains(self, byte: u8) -> bool {
        match byte {
            b'\t' | b'\n' | 0x0C | b'\r' => true,
            b'\\' => self != Self::Text,
            b'^' | b'=' => self == Self::PersonName,
            _ => false,
        }
    }
}

impl CharacterSet {
    /// From the raw value of (0008,0005). Empty or missing is the default repertoire.
    pub fn from_value(value: &[u8]) -> Self {
        let value = String::from_utf8_lossy(value);
        let mut sets = value.split('\\').map(|term| terms::find(term.trim_matches([' ', '\0'])));
        let declared = sets.next().flatten().unwrap_or_default();
        if declared.stands_alone() {
            return Self { first: declared, extensions: Vec::new() };
        }
        // Without an escape, bytes of a set of two bytes below 80H are those of the default repertoire.
        let (first, moved) = if declared.is_double_g0() { (Set::Ascii, Some(declared)) } else { (declared, None) };
        let mut extensions = Vec::new();
        for set in moved.into_iter().chain(sets.flatten()) {
            // Each once, however often a peer says it.
            if escape::invokes(set) && set != first && !extensions.contains(&set) {
                extensions.push(set);
            }
        }
        Self { first, extensions }
    }

    /// Whether it is Unicode in UTF-8, ISO_IR 192.
    pub fn is_utf8(&self) -> bool {
        self.first == Set::Utf8
    }

    /// Whether it is the default repertoire without code extensions.
    pub fn is_default(&self) -> bool {
        self.first == Set::Ascii && self.extensions.is_empty()
    }

    /// Decodes an element value, padding and all: borrowed if it is ASCII without escapes, or UTF-8 that says so. What cannot be decoded becomes
    /// U+FFFD.
    pub fn decode<'a>(&self, value: &'a [u8], kind: Delimiters) -> Cow<'a, str> {
        if self.is_utf8() {
            return String::from_utf8_lossy(value);
        }
        if value.is_ascii()
            && !value.contains(&ESC)
            && let Ok(text) = str::from_utf8(value)
        {
            return Cow::Borrowed(text);
        }
        let mut text = String::with_capacity(value.len() * 2);
        let mut characters = Characters::new(value, self.first, kind).peekable();
        while let Some(character) = characters.next() {
            // What is of one set and not parted by an escape is decoded at once.
            let mut end = character.end;
            while let Some(next) = characters.next_if(|next| next.set == character.set && next.start == end) {
                end = next.end;
            }
            decode::append(&mut text, character.set, &value[character.start..end]);
        }
        Cow::Owned(text)
    }

    /// The values of an element: cut at backslashes, except those that are the second byte of a character.
    pub fn split<'a>(&self, value: &'a [u8]) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let mut cuts = Characters::new(value, self.first, Delimiters::Values)
            .filter(move |character| character.is_delimiter && value[character.start] == b'\\');
        let mut rest_from = Some(0);
        std::iter::from_fn(move || {
            let from = rest_from?;
            let cut = cuts.next();
            rest_from = cut.as_ref().map(|cut| cut.end);
            Some(&value[from..cut.map_or(value.len(), |cut| cut.start)])
        })
    }

    /// Encodes text. None where a character has no place in the declared sets.
    ///
    /// A person's name is encoded in the first set wherever that has it, as PS3.5 6.2.1 wants it of the first component group.
    pub fn encode(&self, text: &str, kind: Delimiters) -> Option<Vec<u8>> {
        encode::encode(self, text, kind)
    }
}
