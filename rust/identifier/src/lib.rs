//! Identifiers (PS3.5) and attribute matching (PS3.4), without I/O.
//!
//! - [`codec`]: datasets as bytes: records, writing, other transfer syntaxes, attributes from a passing stream.
//! - [`charset`]: Specific Character Set.
//! - [`matching`]: one key against one stored attribute.
//! - [`query`]: a whole identifier against whole datasets.
//! - [`dictionary`], [`Tag`], [`Vr`]: what elements are.
//!
//! # The contract
//!
//! Bytes may be anything: what is no dataset is a [`CodecError`](codec::CodecError) and never a panic, nesting ends at
//! [`codec::DEPTH`], and what a deflated one becomes is bounded by [`codec::deflate`]. Nothing is copied before it is
//! asked for: records and elements borrow the bytes that were parsed. No sockets, files, threads, clock or randomness:
//! `clippy.toml` has the list.

#![forbid(unsafe_code)]

pub mod charset;
pub mod codec;
pub mod dictionary;
pub mod matching;
pub mod query;
mod tag;
mod vr;

pub use tag::Tag;
pub use vr::Vr;
