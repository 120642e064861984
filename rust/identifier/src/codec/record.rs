//! The native record: where each element of a dataset is, without a copy of any value.

use super::{
    CodecError, DEPTH, Header, Syntax, header, is_explicit_by_mistake, item_header, items_end, starts_with_item,
};
use crate::charset::CharacterSet;
use crate::tag::Tag;
use crate::vr::Vr;

/// What an [`Entry`] is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// An element with a value.
    Value,
    /// An element whose value of undefined length is made of fragments (PS3.5 A.4).
    Fragments,
    /// A sequence; its descendants are its items and theirs.
    Sequence,
    /// An item of a sequence; its descendants are the elements of its dataset.
    Item,
}

/// An element or item of a record, followed by its descendants.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The tag; (FFFE,E000) of an item.
    pub tag: Tag,
    /// The representation: as encoded, or as the dictionary has it.
    pub vr: Vr,
    /// What it is.
    pub kind: Kind,
    /// Whether its length was undefined.
    pub undefined: bool,
    /// How its descendants are encoded.
    pub syntax: Syntax,
    /// Where the value begins.
    pub start: usize,
    /// Where it ends, before any delimiter.
    pub end: usize,
    /// How many entries that follow are within it.
    pub descendants: usize,
}

/// A dataset, or the dataset of an item: its entries, in the order in which they came, and the bytes they are in.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    bytes: &'a [u8],
    entries: &'a [Entry],
}

impl<'a> Record<'a> {
    /// `entries` are those that [`parse`] made of these very bytes.
    pub fn new(bytes: &'a [u8], entries: &'a [Entry]) -> Self {
        Self { bytes, entries }
    }

    /// Its elements, each with its descendants.
    pub fn elements(self) -> Elements<'a> {
        Elements { record: self }
    }

    /// Whether any element, those of items included, is made of fragments.
    pub fn has_fragments(self) -> bool {
        self.entries.iter().any(|entry| entry.kind == Kind::Fragments)
    }

    /// The element with this tag; of several the last, as the one that was meant to replace the others.
    pub fn get(self, tag: Tag) -> Option<Element<'a>> {
        self.elements().filter(|element| element.entry.tag == tag).last()
    }
}

/// The elements of a record, or the items of a sequence.
#[derive(Debug, Clone)]
pub struct Elements<'a> {
    record: Record<'a>,
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        let (entry, rest) = self.record.entries.split_first()?;
        let (within, rest) = rest.split_at(entry.descendants);
        self.record.entries = rest;
        Some(Element { bytes: self.record.bytes, entry, within })
    }
}

/// An element or item in its record.
#[derive(Debug, Clone, Copy)]
pub struct Element<'a> {
    bytes: &'a [u8],
    /// What and where it is.
    pub entry: &'a Entry,
    within: &'a [Entry],
}

impl<'a> Element<'a> {
    /// Its value as encoded, without delimiters.
    pub fn value(&self) -> &'a [u8] {
        &self.bytes[self.entry.start..self.entry.end]
    }

    /// The items of a sequence; nothing for any other element.
    pub fn items(&self) -> Elements<'a> {
        let entries = if self.entry.kind == Kind::Sequence { self.within } else { &[] };
        Elements { record: Record::new(self.bytes, entries) }
    }

    /// The dataset of an item.
    pub fn dataset(&self) -> Record<'a> {
        Record::new(self.bytes, if self.entry.kind == Kind::Item { self.within } else { &[] })
    }
}

/// Finds the elements of an encoded dataset. Entries are kept for what there is in the bytes and not for what a length claims.
///
/// # Errors
/// [`CodecError`] for what is no dataset. Tolerated are: odd lengths, elements out of order, elements without VR in an explicit dataset,
/// delimiters that are missing at the end of their parent, and a whole dataset in Explicit VR where Implicit VR was said.
pub fn parse(bytes: &[u8], syntax: Syntax) -> Result<Vec<Entry>, CodecError> {
    let syntax = actual_syntax(bytes, syntax);
    let mut entries = Vec::with_capacity((bytes.len() / 16).min(64));
    let mut parser = Parser { entries: &mut entries };
    parser.dataset(bytes, 0, syntax, false, 0)?;
    Ok(entries)
}

/// The syntax that the bytes are really in.
pub fn actual_syntax(bytes: &[u8], syntax: Syntax) -> Syntax {
    if syntax.implicit && is_explicit_by_mistake(bytes) { Syntax::EXPLICIT } else { syntax }
}

/// The Specific Character Set of a dataset, or what it inherits.
pub fn character_set(record: Record<'_>, inherited: &CharacterSet) -> CharacterSet {
    record
        .get(Tag::SPECIFIC_CHARACTER_SET)
        .map_or_else(|| inherited.clone(), |element| CharacterSet::from_value(element.value()))
}

struct Parser<'a> {
    entries: &'a mut Vec<Entry>,
}

impl Parser<'_> {
    /// A dataset up to the end of `bytes`, or up to its delimiter; returns the end of the dataset and the offset behind the delimiter.
    fn dataset(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        syntax: Syntax,
        mut signed: bool,
        depth: usize,
    ) -> Result<(usize, usize), CodecError> {
        while at < bytes.len() {
            let Some(header) = header(bytes, at, syntax) else {
                return Err(CodecError::new(at, None, "it ends in the middle of an element's header"));
            };
            match header.tag {
                Tag::ITEM_DELIMITATION if depth > 0 => return Ok((at, header.value)),
                // The item's own delimiter is missing.
                Tag::SEQUENCE_DELIMITATION if depth > 0 => return Ok((at, at)),
                tag if tag.group() == 0xFFFE => {
                    return Err(CodecError::new(at, Some(tag), "an item or delimiter is not in a sequence"));
                }
                _ => {}
            }
            let vr = header.vr(signed);
            let after = self.element(bytes, &header, vr, syntax, signed, depth)?;
            if header.tag == Tag::PIXEL_REPRESENTATION && header.length == 2 {
                signed = syntax.u16([bytes[header.value], bytes[header.value + 1]]) == 1;
            }
            at = after;
        }
        Ok((at, at))
    }

    /// One element with what is within it; returns the offset behind it.
    fn element(
        &mut self,
        bytes: &[u8],
        header: &Header,
        vr: Vr,
        syntax: Syntax,
        signed: bool,
        depth: usize,
    ) -> Result<usize, CodecError> {
        let undefined = header.is_undefined();
        let own = self.entries.len();
        let mut entry = Entry {
            tag: header.tag,
            vr,
            kind: Kind::Value,
            undefined,
            syntax: header.items_syntax(syntax),
            start: header.value,
            end: header.value,
            descendants: 0,
        };
        let is_sequence = vr == Vr::SQ || (undefined && header.has_datasets());
        if is_sequence && undefined && vr != Vr::SQ && !starts_with_item(bytes, header.value, entry.syntax) {
            return Err(CodecError::new(header.value, Some(header.tag), "its length is undefined and it has no items"));
        }
        if !is_sequence {
            let (end, after) = if undefined {
                items_end(bytes, header, syntax, depth)?
            } else {
                header.value_end(bytes.len()).map(|end| (end, end))?
            };
            entry.end = end;
            if undefined {
                entry.kind = Kind::Fragments;
                // PS3.5 A.4
                entry.vr = header.vr.unwrap_or(Vr::OB);
            }
            self.entries.push(entry);
            return Ok(after);
        }
        if depth == DEPTH {
            return Err(CodecError::new(header.value, Some(header.tag), "sequences are nested too deep"));
        }
        entry.kind = Kind::Sequence;
        let bytes = if undefined { bytes } else { &bytes[..header.value_end(bytes.len())?] };
        self.entries.push(entry);
        let (end, after) = self.items(bytes, header.value, entry.syntax, signed, depth)?;
        self.entries[own].end = end;
        self.entries[own].descendants = self.entries.len() - own - 1;
        Ok(after)
    }

    /// The items of a sequence; returns its end and the offset behind its delimiter.
    fn items(
        &mut self,
        bytes: &[u8],
        mut at: usize,
        syntax: Syntax,
        signed: bool,
        depth: usize,
    ) -> Result<(usize, usize), CodecError> {
        while let Some(item) = item_header(bytes, at, syntax)? {
            if item.tag == Tag::SEQUENCE_DELIMITATION {
                return Ok((at, item.value));
            }
            let own = self.entries.len();
            let undefined = item.is_undefined();
            self.entries.push(Entry {
                tag: item.tag,
                vr: Vr::UN,
                kind: Kind::Item,
                undefined,
                syntax,
                start: item.value,
                end: item.value,
                descendants: 0,
            });
            let bytes = if undefined { bytes } else { &bytes[..item.value_end(bytes.len())?] };
            let (end, after) = self.dataset(bytes, item.value, syntax, signed, depth + 1)?;
            self.entries[own].end = end;
            self.entries[own].descendants = self.entries.len() - own - 1;
            at = after;
        }
        Ok((at, at))
    }
}
