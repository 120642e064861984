//! One key attribute against one stored attribute (PS3.4 C.2.2.2).
//!
//! - [`Key`]: universal, single value, list of UID, wild card, range, empty value and multiple value matching.
//! - [`name`]: PN, without regard to case, component group by component group; [`fuzzy`]: and by what it sounds and looks like.
//! - [`temporal`]: DA, TM and DT values as the spans of time that they name.
//! - [`wildcard`]: `*` and `?`.

pub mod fuzzy;
mod key;
pub mod name;
pub mod temporal;
pub mod wildcard;

pub use key::{Key, KeyOptions, Kind, Stored};
pub use temporal::Range;
