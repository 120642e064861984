//! Attribute matching (PS3.4 C.2.2.2), without I/O: one key against one stored attribute; and the text that is matched.
//!
//! A [`Key`] is compiled once from the value of a key attribute and its value representation, and then asked for each candidate. Values
//! are text, already decoded to Unicode; several values of an attribute are separated by backslashes, as on the wire.
//!
//! - [`charset`]: Specific Character Set, from bytes to Unicode and back.
//! - [`Key`]: universal, single value, list of UID, wild card and range matching.
//! - [`temporal`]: DA, TM and DT values as the spans of time that they name.
//! - [`wildcard`]: `*` and `?`.

#![forbid(unsafe_code)]

pub mod charset;
mod key;
pub mod temporal;
pub mod wildcard;

pub use key::{EmptyCandidate, Key};
