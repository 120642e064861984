//! Elements to bytes.

use super::{Syntax, UNDEFINED};
use crate::tag::Tag;
use crate::vr::Vr;

/// Where a length is still to be filled in.
#[derive(Debug)]
#[must_use = "the sequence or item has to be ended"]
pub struct Open {
    /// Where the value begins; the length stands before it. `None` for an undefined length.
    value: Option<usize>,
}

/// Writes a dataset, element by element, in the order in which they are given.
#[derive(Debug)]
pub struct Writer {
    out: Vec<u8>,
    syntax: Syntax,
}

impl Writer {
    /// A dataset in this syntax.
    pub fn new(syntax: Syntax) -> Self {
        Self { out: Vec::with_capacity(256), syntax }
    }

    /// What was written.
    pub fn finish(self) -> Vec<u8> {
        self.out
    }

    /// How many bytes there are so far.
    pub fn len(&self) -> usize {
        self.out.len()
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.out.is_empty()
    }

    fn u16(&mut self, value: u16) {
        self.out.extend(if self.syntax.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn u32(&mut self, value: u32) {
        self.out.extend(if self.syntax.big_endian { value.to_be_bytes() } else { value.to_le_bytes() });
    }

    fn tag(&mut self, tag: Tag) {
        self.u16(tag.group());
        self.u16(tag.element());
    }

    /// A header with a 32-bit length, or with one of 16 bits where the representation has that.
    fn header(&mut self, tag: Tag, mut vr: Vr, length: u32) {
        self.tag(tag);
        if self.syntax.implicit {
            return self.u32(length);
        }
        let short = if vr.has_long_length() { None } else { u16::try_from(length).ok() };
        if short.is_none() && !vr.has_long_length() {
            // PS3.5 6.2.2: what is too long for the length of its VR is UN.
            vr = Vr::UN;
        }
        self.out.extend(vr.letters());
        match short {
            Some(length) => self.u16(length),
            None => {
                self.u16(0);
                self.u32(length);
            }
        }
    }

    /// An element whose value is in the byte order of this writer; padded to an even length.
    pub fn element(&mut self, tag: Tag, vr: Vr, value: &[u8]) {
        let padded = value.len() + value.len() % 2;
        self.header(tag, vr, u32::try_from(padded).unwrap_or(UNDEFINED - 1));
        self.out.extend_from_slice(value);
        if padded > value.len() {
            self.out.push(vr.padding());
        }
    }

    /// The header of an element whose value of `length` bytes follows from elsewhere.
    pub fn open_element(&mut self, tag: Tag, vr: Vr, length: u32) {
        self.header(tag, vr, length + length % 2);
    }

    /// An element whose value is in the other byte order.
    pub fn element_swapped(&mut self, tag: Tag, vr: Vr, value: &[u8]) {
        let start = self.out.len();
        self.element(tag, vr, value);
        let value_start = self.out.len() - (value.len() + value.len() % 2);
        debug_assert!(value_start > start);
        swap_words(&mut self.out[value_start..], vr.word());
    }

    /// An element of undefined length whose items are given as they are: fragments, or the items of an UN.
    pub fn delimited(&mut self, tag: Tag, vr: Vr, items: &[u8]) {
        self.header(tag, vr, UNDEFINED);
        self.out.extend_from_slice(items);
        // PS3.5 6.2.2: the items of an UN are in Little Endian whatever surrounds them, and so is what ends them.
        let around = self.syntax;
        self.syntax.big_endian &= vr != Vr::UN;
        self.tag(Tag::SEQUENCE_DELIMITATION);
        self.u32(0);
        self.syntax = around;
    }

    /// Begins a sequence.
    pub fn begin_sequence(&mut self, tag: Tag, undefined: bool) -> Open {
        self.begin(tag, Vr::SQ, undefined)
    }

    /// Begins an item.
    pub fn begin_item(&mut self, undefined: bool) -> Open {
        self.tag(Tag::ITEM);
        self.open(undefined)
    }

    fn begin(&mut self, tag: Tag, vr: Vr, undefined: bool) -> Open {
        self.tag(tag);
        if !self.syntax.implicit {
            self.out.extend(vr.letters());
            self.u16(0);
        }
        self.open(undefined)
    }

    fn open(&mut self, undefined: bool) -> Open {
        self.u32(if undefined { UNDEFINED } else { 0 });
        Open { value: (!undefined).then_some(self.out.len()) }
    }

    /// Ends a sequence.
    pub fn end_sequence(&mut self, open: Open) {
        self.end(open, Tag::SEQUENCE_DELIMITATION);
    }

    /// Ends an item.
    pub fn end_item(&mut self, open: Open) {
        self.end(open, Tag::ITEM_DELIMITATION);
    }

    fn end(&mut self, open: Open, delimiter: Tag) {
        let Some(start) = open.value else {
            self.tag(delimiter);
            return self.u32(0);
        };
        let length = u32::try_from(self.out.len() - start).unwrap_or(UNDEFINED - 1);
        let length = if self.syntax.big_endian { length.to_be_bytes() } else { length.to_le_bytes() };
        self.out[start - 4..start].copy_from_slice(&length);
    }
}

/// Swaps the bytes of each word; what is left over at the end stays.
pub fn swap_words(bytes: &mut [u8], word: usize) {
    match word {
        2 => bytes.as_chunks_mut::<2>().0.iter_mut().for_each(|word| word.reverse()),
        4 => bytes.as_chunks_mut::<4>().0.iter_mut().for_each(|word| word.reverse()),
        8 => bytes.as_chunks_mut::<8>().0.iter_mut().for_each(|word| word.reverse()),
        _ => {}
    }
}
