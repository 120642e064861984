//! Bytes as a dataset: no panic, bounded memory, and what was understood once is understood again.

use dimsefast_identifier::Tag;
use dimsefast_identifier::charset::{CharacterSet, Delimiters};
use dimsefast_identifier::codec::record::{actual_syntax, character_set, parse};
use dimsefast_identifier::codec::transcode::transcode;
use dimsefast_identifier::codec::{Record, Skimmer, Syntax, deflate, length_up_to};

/// The first byte says how the rest is encoded.
pub(crate) fn run(data: &[u8]) {
    let Some((&selector, bytes)) = data.split_first() else { return };
    let syntax = match selector % 4 {
        0 => Syntax::IMPLICIT,
        1 => Syntax::EXPLICIT,
        2 => Syntax::BIG_ENDIAN,
        _ => {
            if let Ok(inflated) = deflate::inflate(bytes) {
                assert!(inflated.len() <= (bytes.len() * 200).max(2 << 20));
            }
            return;
        }
    };
    let mut skimmer = Skimmer::new(syntax, vec![Tag::SPECIFIC_CHARACTER_SET, Tag(0x0010_0010), Tag(0x0020_000D)]);
    let (first, second) = bytes.split_at(bytes.len() / 2);
    let _ = skimmer.feed(first).and_then(|()| skimmer.feed(second));
    length_up_to(bytes, syntax, Tag::PIXEL_DATA);
    let Ok(entries) = parse(bytes, syntax) else { return };
    assert!(entries.len() <= bytes.len() / 8, "each entry has a header of its own");
    let record = Record::new(bytes, &entries);
    let text = character_set(record, &CharacterSet::default());
    for element in record.elements() {
        text.decode(element.value(), Delimiters::PersonName);
    }
    let syntax = actual_syntax(bytes, syntax);
    transcode(record, syntax, Syntax::IMPLICIT);
    transcode(record, syntax, Syntax::BIG_ENDIAN);
    let once = transcode(record, syntax, Syntax::EXPLICIT);
    let again = parse(&once, Syntax::EXPLICIT).expect("what was written is a dataset");
    assert_eq!(transcode(Record::new(&once, &again), Syntax::EXPLICIT, Syntax::EXPLICIT), once);
}
