//! A dataset in another transfer syntax, without loss.

use super::{Kind, Record, Syntax, Writer};
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

/// Whether a record has anything that a message must not have.
pub fn has_what_messages_lack(record: Record<'_>) -> bool {
    record.elements().any(|element| {
        element.entry.tag.is_outside_messages() || element.items().any(|item| has_what_messages_lack(item.dataset()))
    })
}

pub(crate) fn dataset(writer: &mut Writer, record: Record<'_>, from: Syntax, to: Syntax) {
    for element in record.elements() {
        let entry = element.entry;
        if entry.tag.is_outside_messages() {
            continue;
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
                    dataset(writer, item.dataset(), entry.syntax, to);
                    writer.end_item(open);
                }
                writer.end_sequence(sequence);
            }
            // Only sequences have items.
            Kind::Item => {}
        }
    }
}
