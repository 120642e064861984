//! The header of a data element, and how far it is to the next one.

use super::{CodecError, DEPTH, Syntax};
use crate::dictionary;
use crate::tag::Tag;
use crate::vr::Vr;

/// An undefined length: the end is marked (PS3.5 7.1.1).
pub(crate) const UNDEFINED: u32 = u32::MAX;

/// The header of an element, an item or a delimiter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) tag: Tag,
    /// `None` where the encoding does not say.
    pub(crate) vr: Option<Vr>,
    pub(crate) length: u32,
    /// Where the value begins.
    pub(crate) value: usize,
}

impl Header {
    /// The representation, from the dictionary where the encoding does not say.
    pub(crate) fn vr(&self, signed: bool) -> Vr {
        self.vr.unwrap_or_else(|| dictionary::vr(self.tag, signed))
    }

    pub(crate) fn is_undefined(&self) -> bool {
        self.length == UNDEFINED
    }

    /// The end of the value; an error where that is beyond `end`. Not for an undefined length.
    pub(crate) fn value_end(&self, end: usize) -> Result<usize, CodecError> {
        // The addition cannot wrap: `value` is an offset into memory, and a length has 32 bits.
        match self.value.checked_add(self.length as usize) {
            Some(value_end) if value_end <= end => Ok(value_end),
            _ => Err(CodecError::new(self.value, Some(self.tag), "its length goes beyond the end")),
        }
    }

    /// How the items of a sequence of undefined length are encoded. PS3.5 6.2.2: those of an UN are in Implicit VR Little Endian.
    pub(crate) fn items_syntax(&self, syntax: Syntax) -> Syntax {
        if self.vr == Some(Vr::UN) { Syntax::IMPLICIT } else { syntax }
    }

    /// Whether a value of undefined length is a sequence of items that are datasets, and not fragments of pixel data.
    pub(crate) fn has_datasets(&self) -> bool {
        match self.vr {
            Some(vr) => matches!(vr, Vr::SQ | Vr::UN),
            // PS3.5 A.1: Implicit VR has no encapsulated pixel data.
            None => self.tag != Tag::PIXEL_DATA,
        }
    }
}

fn four(bytes: &[u8], at: usize) -> Option<[u8; 4]> {
    bytes.get(at..)?.first_chunk::<4>().copied()
}

/// Reads the header at `at`; `None` where the bytes end before it does. The bytes must end where the parent ends.
#[inline]
pub(crate) fn header(bytes: &[u8], at: usize, syntax: Syntax) -> Option<Header> {
    let first = bytes.get(at..)?.first_chunk::<8>()?;
    let tag = tag(&[first[0], first[1], first[2], first[3]], syntax);
    let last = [first[4], first[5], first[6], first[7]];
    // PS3.5 7.5: items and delimiters have no VR.
    if syntax.implicit || tag.group() == 0xFFFE {
        return Some(Header { tag, vr: None, length: syntax.u32(last), value: at + 8 });
    }
    let Some(vr) = Vr::from_letters([first[4], first[5]]) else {
        // Some writers mix elements without VR into an explicit dataset, mostly in private sequences.
        return Some(Header { tag, vr: None, length: syntax.u32(last), value: at + 8 });
    };
    if vr.has_long_length() {
        let length = syntax.u32(four(bytes, at + 8)?);
        return Some(Header { tag, vr: Some(vr), length, value: at + 12 });
    }
    Some(Header { tag, vr: Some(vr), length: syntax.u16([first[6], first[7]]).into(), value: at + 8 })
}

fn tag(bytes: &[u8; 4], syntax: Syntax) -> Tag {
    let group = syntax.u16([bytes[0], bytes[1]]);
    let element = syntax.u16([bytes[2], bytes[3]]);
    Tag(u32::from(group) << 16 | u32::from(element))
}

/// The header at `at` in a sequence: an item's, or the delimiter's. `None` at the very end, where some writers leave the delimiter out.
pub(crate) fn item_header(bytes: &[u8], at: usize, syntax: Syntax) -> Result<Option<Header>, CodecError> {
    if at == bytes.len() {
        return Ok(None);
    }
    let Some(header) = header(bytes, at, syntax) else {
        return Err(CodecError::new(at, None, "a sequence ends in the middle of an item's header"));
    };
    match header.tag {
        Tag::ITEM | Tag::SEQUENCE_DELIMITATION => Ok(Some(header)),
        tag => Err(CodecError::new(at, Some(tag), "a sequence has something that is no item")),
    }
}

/// Whether the value of undefined length at `at` begins with an item: what an unknown element must have to be a sequence.
pub(crate) fn starts_with_item(bytes: &[u8], at: usize, syntax: Syntax) -> bool {
    header(bytes, at, syntax).is_some_and(|header| matches!(header.tag, Tag::ITEM | Tag::SEQUENCE_DELIMITATION))
}

/// Whether bytes that should be Implicit VR are Explicit VR Little Endian: their first element has the letters of a VR where the length
/// would be, which would then be above 16 kB. Some peers ignore what was negotiated.
pub(crate) fn is_explicit_by_mistake(bytes: &[u8]) -> bool {
    header(bytes, 0, Syntax::EXPLICIT).and_then(|header| header.vr).is_some_and(|vr| {
        dictionary::vr(Tag(u32::from_le_bytes([bytes[2], bytes[3], bytes[0], bytes[1]])), false) == vr
    })
}

/// The offset behind the value of an element.
#[inline]
pub(crate) fn skip(bytes: &[u8], header: &Header, syntax: Syntax, depth: usize) -> Result<usize, CodecError> {
    if header.is_undefined() {
        items_end(bytes, header, syntax, depth).map(|(_, after)| after)
    } else {
        header.value_end(bytes.len())
    }
}

/// The end of a value of undefined length, and the offset behind its delimiter.
pub(crate) fn items_end(
    bytes: &[u8],
    sequence: &Header,
    syntax: Syntax,
    depth: usize,
) -> Result<(usize, usize), CodecError> {
    if depth == DEPTH {
        return Err(CodecError::new(sequence.value, Some(sequence.tag), "sequences are nested too deep"));
    }
    let items = sequence.items_syntax(syntax);
    let mut at = sequence.value;
    while let Some(item) = item_header(bytes, at, items)? {
        if item.tag == Tag::SEQUENCE_DELIMITATION {
            return Ok((at, item.value));
        }
        if item.is_undefined() && !sequence.has_datasets() {
            return Err(CodecError::new(at, Some(sequence.tag), "a fragment has no length"));
        }
        at = item_end(bytes, &item, items, depth)?.1;
    }
    Ok((at, at))
}

/// The end of an item's value, and the offset behind its delimiter.
pub(crate) fn item_end(
    bytes: &[u8],
    item: &Header,
    syntax: Syntax,
    depth: usize,
) -> Result<(usize, usize), CodecError> {
    if !item.is_undefined() {
        return item.value_end(bytes.len()).map(|end| (end, end));
    }
    let mut at = item.value;
    while at < bytes.len() {
        let Some(header) = header(bytes, at, syntax) else {
            return Err(CodecError::new(at, None, "an item ends in the middle of a header"));
        };
        match header.tag {
            Tag::ITEM_DELIMITATION => return Ok((at, header.value)),
            // The item's own delimiter is missing.
            Tag::SEQUENCE_DELIMITATION => return Ok((at, at)),
            _ => at = skip(bytes, &header, syntax, depth + 1)?,
        }
    }
    Ok((at, at))
}

/// The offset of the first element whose tag is beyond `last`; `None` where the bytes end before it comes, or are no dataset.
pub fn length_up_to(bytes: &[u8], syntax: Syntax, last: Tag) -> Option<usize> {
    let mut at = 0;
    loop {
        let header = header(bytes, at, syntax)?;
        if header.tag > last {
            return Some(at);
        }
        at = skip(bytes, &header, syntax, 0).ok()?;
    }
}

/// The header of an element whose value is not in memory: pixel data, mostly.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PixelData {
    /// Its tag.
    pub tag: Tag,
    /// Its representation.
    pub vr: Vr,
    /// The length of its value, in bytes; `None` where it is undefined.
    pub length: Option<u32>,
    /// The length of its header, in bytes.
    pub value: usize,
}

impl PixelData {
    /// Reads the header that `bytes` begin with; `None` where they do not. Without VR it is OW (PS3.5 A.1).
    pub fn parse(bytes: &[u8], syntax: Syntax) -> Option<Self> {
        let header = header(bytes, 0, syntax)?;
        let length = (!header.is_undefined()).then_some(header.length);
        Some(Self { tag: header.tag, vr: header.vr(false), length, value: header.value })
    }

    /// Whether it is pixel data, of whatever kind: (7FE0,0008) Float, (7FE0,0009) Double Float, or (7FE0,0010).
    pub fn is_pixel_data(&self) -> bool {
        (0x7FE0_0008..=0x7FE0_0010).contains(&self.tag.0) && self.vr != Vr::SQ
    }
}
