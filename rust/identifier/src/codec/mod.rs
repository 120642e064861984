//! Datasets as bytes (PS3.5 7), without I/O.
//!
//! - [`parse`](record::parse) says where the elements of a dataset are: the native [`Record`], which borrows the bytes.
//! - [`Writer`] makes bytes of elements; [`transcode`](transcode::transcode) those of a record in another transfer syntax.
//! - [`Skimmer`] picks attributes from a large dataset as its bytes pass; [`length_up_to`] says how far its header goes.
//! - [`inflate`](deflate::inflate) and [`deflate`](deflate::deflate) are the deflated transfer syntax.
//!
//! Bytes are a peer's: lengths are checked against their parent, nesting against [`DEPTH`], and what is kept is proportional to what came.

pub mod deflate;
mod header;
pub mod record;
pub mod skim;
pub mod transcode;
pub mod write;

use std::fmt;

use crate::tag::Tag;

pub(crate) use header::{
    Header, UNDEFINED, header, is_explicit_by_mistake, item_end, item_header, items_end, skip, starts_with_item,
};
pub use header::{PixelData, length_up_to};
pub use record::{Element, Entry, Kind, Record};
pub use skim::Skimmer;
pub use write::Writer;

/// How deep sequences may be nested: real ones are below 10.
pub const DEPTH: usize = 64;

/// How elements are encoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Syntax {
    /// Without value representations.
    pub implicit: bool,
    /// With the most significant byte first.
    pub big_endian: bool,
}

impl Syntax {
    /// Implicit VR Little Endian.
    pub const IMPLICIT: Self = Self { implicit: true, big_endian: false };
    /// Explicit VR Little Endian; every transfer syntax with encapsulated pixel data, too.
    pub const EXPLICIT: Self = Self { implicit: false, big_endian: false };
    /// Explicit VR Big Endian.
    pub const BIG_ENDIAN: Self = Self { implicit: false, big_endian: true };

    pub(crate) fn u16(self, bytes: [u8; 2]) -> u16 {
        if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }
    }

    pub(crate) fn u32(self, bytes: [u8; 4]) -> u32 {
        if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
    }
}

/// A transfer syntax, as far as a codec has to know it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TransferSyntax {
    /// How elements are encoded.
    pub syntax: Syntax,
    /// Whether the whole dataset is deflated (PS3.5 A.5).
    pub deflated: bool,
}

impl TransferSyntax {
    /// By UID, without padding. What is not known is taken for one with encapsulated pixel data: Explicit VR Little Endian (PS3.5 A.4).
    pub fn from_uid(uid: &[u8]) -> Self {
        let syntax = match uid {
            b"1.2.840.10008.1.2" => Syntax::IMPLICIT,
            b"1.2.840.10008.1.2.2" => Syntax::BIG_ENDIAN,
            _ => Syntax::EXPLICIT,
        };
        // Deflated Explicit VR Little Endian, and the two JPIP ones that are deflated.
        let deflated =
            matches!(uid, b"1.2.840.10008.1.2.1.99" | b"1.2.840.10008.1.2.4.95" | b"1.2.840.10008.1.2.4.205");
        Self { syntax, deflated }
    }
}

/// Bytes that are no dataset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodecError {
    /// Where in the bytes, from their beginning.
    pub at: usize,
    /// The element, where it is known by then.
    pub tag: Option<Tag>,
    /// What is wrong.
    pub problem: &'static str,
}

impl CodecError {
    pub(crate) const fn new(at: usize, tag: Option<Tag>, problem: &'static str) -> Self {
        Self { at, tag, problem }
    }
}

impl fmt::Display for CodecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tag) = self.tag {
            write!(f, "{tag} ")?;
        }
        write!(f, "at byte {}: {}", self.at, self.problem)
    }
}

impl std::error::Error for CodecError {}
