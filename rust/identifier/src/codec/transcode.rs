//! A dataset in another transfer syntax, without loss.

use super::{Element, Kind, Record, Syntax, Writer};
use crate::tag::Tag;
use crate::vr::Vr;

/// Encodes a record, which is in `from`, as it goes into a message in `to`: without group lengths and file meta (PS3.5 7.2, PS3.7 6.3.1).
///
/// Lengths that were defined stay so. Between byte orders the words of each value change places; of an UN nobody knows the words, so its
/// bytes stay as they are, always Little Endian (PS3.5 6.2.2).
pub fn transcode(record: Record<'_>, from: Syntax, to: Syntax) -> Vec<u8> {
    let mut writer = Writer::new(to);
    dataset(&mut writer, record, from, to);
    writer.finish()
}

/// Values that are longer are no attribute that somebody asks for, in bytes: pixels, waveforms, documents, tables.
const VALUE_LIMIT: usize = 4 << 10;

/// Sequences that are longer, in bytes: the contours of a structure set, the frames of an enhanced image.
const SEQUENCE_LIMIT: usize = 64 << 10;

/// Encodes what an index keeps of an object, in Explicit VR Little Endian: all but long values, long sequences and fragments, and what
/// no message has. `own`, in the order of their tags, take the place of the record's own elements at its top level.
pub fn index_header(record: Record<'_>, from: Syntax, own: &[(Tag, Vr, &[u8])]) -> Vec<u8> {
    let mut writer = Writer::new(Syntax::EXPLICIT);
    let mut left = own;
    for element in record.elements() {
        while let Some(((tag, vr, value), rest)) = left.split_first()
            && *tag <= element.entry.tag
        {
            writer.element(*tag, *vr, value);
            left = rest;
        }
        if own.iter().all(|(tag, ..)| *tag != element.entry.tag) {
            filtered(&mut writer, element, from, Syntax::EXPLICIT, &is_kept);
        }
    }
    for (tag, vr, value) in left {
        writer.element(*tag, *vr, value);
    }
    writer.finish()
}

fn is_kept(element: &Element<'_>) -> bool {
    let length = element.value().len();
    match element.entry.kind {
        Kind::Value => length <= VALUE_LIMIT || element.entry.vr.is_short_text(),
        Kind::Sequence => length <= SEQUENCE_LIMIT,
        Kind::Fragments | Kind::Item => false,
    }
}

/// Whether a record has anything that a message must not have.
pub fn has_what_messages_lack(record: Record<'_>) -> bool {
    record.elements().any(|element| {
        element.entry.tag.is_outside_messages() || element.items().any(|item| has_what_messages_lack(item.dataset()))
    })
}

pub(crate) fn dataset(writer: &mut Writer, record: Record<'_>, from: Syntax, to: Syntax) {
    for element in record.elements() {
        filtered(writer, element, from, to, &|_| true);
    }
}

/// An element, and of those in its items those that are kept.
fn filtered(
    writer: &mut Writer,
    element: Element<'_>,
    from: Syntax,
    to: Syntax,
    is_kept: &impl Fn(&Element<'_>) -> bool,
) {
    let entry = element.entry;
    if entry.tag.is_outside_messages() || !is_kept(&element) {
        return;
    }
    match entry.kind {
        Kind::Value if from.big_endian == to.big_endian => writer.element(entry.tag, entry.vr, element.value()),
        Kind::Value => writer.element_swapped(entry.tag, entry.vr, element.value()),
        Kind::Fragments => writer.delimited(entry.tag, entry.vr, element.value()),
        // One that came without a representation has items like what surrounds it, and is no UN (PS3.5 6.2.2).
        Kind::Sequence if entry.vr == Vr::UN && !to.implicit && entry.syntax == Syntax::IMPLICIT => {
            writer.delimited(entry.tag, entry.vr, element.value());
        }
        Kind::Sequence => {
            let sequence = writer.begin_sequence(entry.tag, entry.undefined);
            for item in element.items() {
                let open = writer.begin_item(item.entry.undefined);
                for inner in item.dataset().elements() {
                    filtered(writer, inner, entry.syntax, to, is_kept);
                }
                writer.end_item(open);
            }
            writer.end_sequence(sequence);
        }
        // Only sequences have items.
        Kind::Item => {}
    }
}
