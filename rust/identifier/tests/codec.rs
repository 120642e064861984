//! The codec against datasets that were made up, and against hostile bytes.

use dimsefast_identifier::codec::record::parse;
use dimsefast_identifier::codec::transcode::{has_what_messages_lack, transcode};
use dimsefast_identifier::codec::write::swap_words;
use dimsefast_identifier::codec::{DEPTH, Entry, Kind, Record, Skimmer, Syntax, Writer};
use dimsefast_identifier::{Tag, Vr};
use proptest::prelude::*;

const SYNTAXES: [Syntax; 3] = [Syntax::IMPLICIT, Syntax::EXPLICIT, Syntax::BIG_ENDIAN];

/// An element that the dictionary knows, so that it survives without its VR.
#[derive(Debug, Clone)]
enum Made {
    Value(u32, Vr, Vec<u8>),
    Sequence(u32, bool, Vec<(bool, Vec<Made>)>),
}

const VALUES: [(u32, Vr); 10] = [
    (0x0008_0005, Vr::CS),
    (0x0008_0020, Vr::DA),
    (0x0008_0050, Vr::SH),
    (0x0008_1030, Vr::LO),
    (0x0010_0010, Vr::PN),
    (0x0010_4000, Vr::LT),
    (0x0020_000D, Vr::UI),
    (0x0028_0010, Vr::US),
    (0x0028_0009, Vr::AT),
    (0x0009_1001, Vr::UN),
];
const SEQUENCES: [u32; 3] = [0x0008_1115, 0x0040_0100, 0x0040_0275];

fn value() -> impl Strategy<Value = Made> {
    (0..VALUES.len(), prop::collection::vec(any::<u8>(), 0..20)).prop_map(|(at, mut bytes)| {
        let (tag, vr) = VALUES[at];
        bytes.truncate(bytes.len() / vr.word().max(2) * vr.word().max(2));
        Made::Value(tag, vr, bytes)
    })
}

fn dataset() -> impl Strategy<Value = Vec<Made>> {
    let element = value().prop_recursive(4, 40, 4, |inner| {
        let items = prop::collection::vec((any::<bool>(), prop::collection::vec(inner, 0..4)), 0..3);
        (0..SEQUENCES.len(), any::<bool>(), items)
            .prop_map(|(at, undefined, items)| Made::Sequence(SEQUENCES[at], undefined, items))
    });
    prop::collection::vec(element, 0..8)
}

fn write(writer: &mut Writer, syntax: Syntax, elements: &[Made]) {
    for element in elements {
        match element {
            Made::Value(tag, vr, value) if syntax.big_endian => writer.element_swapped(Tag(*tag), *vr, value),
            Made::Value(tag, vr, value) => writer.element(Tag(*tag), *vr, value),
            Made::Sequence(tag, undefined, items) => {
                let sequence = writer.begin_sequence(Tag(*tag), *undefined);
                for (undefined, elements) in items {
                    let item = writer.begin_item(*undefined);
                    write(writer, syntax, elements);
                    writer.end_item(item);
                }
                writer.end_sequence(sequence);
            }
        }
    }
}

fn encode(syntax: Syntax, elements: &[Made]) -> Vec<u8> {
    let mut writer = Writer::new(syntax);
    write(&mut writer, syntax, elements);
    writer.finish()
}

fn same(record: Record<'_>, elements: &[Made], syntax: Syntax) {
    let found: Vec<_> = record.elements().collect();
    assert_eq!(found.len(), elements.len());
    for (found, made) in found.iter().zip(elements) {
        match made {
            Made::Value(tag, vr, value) => {
                let mut value = value.clone();
                if syntax.big_endian {
                    swap_words(&mut value, vr.word());
                }
                assert_eq!((found.entry.tag, found.entry.vr, found.value()), (Tag(*tag), *vr, &value[..]));
            }
            Made::Sequence(tag, undefined, items) => {
                assert_eq!((found.entry.tag, found.entry.undefined), (Tag(*tag), *undefined));
                assert_eq!(found.items().count(), items.len());
                for (item, (undefined, elements)) in found.items().zip(items) {
                    assert_eq!(item.entry.undefined, *undefined);
                    same(item.dataset(), elements, syntax);
                }
            }
        }
    }
}

/// One value of a top-level element, as the skimmer gives it: the last of several.
fn last(record: Record<'_>, tag: Tag) -> Option<Vec<u8>> {
    record.get(tag).filter(|element| element.entry.kind == Kind::Value).map(|element| element.value().to_vec())
}

proptest! {
    #[test]
    fn what_was_written_is_found_and_written_again(elements in dataset()) {
        for syntax in SYNTAXES {
            let bytes = encode(syntax, &elements);
            let entries = parse(&bytes, syntax).unwrap();
            let record = Record::new(&bytes, &entries);
            same(record, &elements, syntax);
            for other in SYNTAXES {
                prop_assert_eq!(&transcode(record, syntax, other), &encode(other, &elements), "{:?} to {:?}", syntax, other);
            }
        }
    }

    #[test]
    fn a_skimmer_sees_the_same_in_pieces_of_any_size(mut elements in dataset(), piece in 1..50usize) {
        elements.sort_by_key(|element| match element { Made::Value(tag, ..) | Made::Sequence(tag, ..) => *tag });
        elements.dedup_by_key(|element| match element { Made::Value(tag, ..) | Made::Sequence(tag, ..) => *tag });
        for syntax in SYNTAXES {
            let bytes = encode(syntax, &elements);
            let entries = parse(&bytes, syntax).unwrap();
            let wanted: Vec<Tag> = VALUES.iter().map(|(tag, _)| Tag(*tag)).collect();
            let mut skimmer = Skimmer::new(syntax, wanted.clone());
            for piece in bytes.chunks(piece) {
                skimmer.feed(piece).unwrap();
            }
            for tag in wanted {
                let found = skimmer.value(tag).map(|(_, value)| value.to_vec());
                prop_assert_eq!(found, last(Record::new(&bytes, &entries), tag), "{}", tag);
            }
        }
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..200), cut in 0..200usize) {
        for syntax in SYNTAXES {
            if let Ok(entries) = parse(&bytes, syntax) {
                transcode(Record::new(&bytes, &entries), syntax, Syntax::EXPLICIT);
            }
            let mut skimmer = Skimmer::new(syntax, vec![Tag(0x0010_0010), Tag(0x7FE0_0010)]);
            let (first, second) = bytes.split_at(cut.min(bytes.len()));
            let _ = skimmer.feed(first).and_then(|()| skimmer.feed(second));
        }
    }

    #[test]
    fn no_length_field_panics_or_takes_memory(elements in dataset(), at in any::<prop::sample::Index>(), length in prop::sample::select(vec![0u32, 1, 2, 0x7FFF_FFFF, 0x8000_0000, u32::MAX - 1, u32::MAX])) {
        for syntax in SYNTAXES {
            let mut bytes = encode(syntax, &elements);
            if bytes.len() < 4 {
                continue;
            }
            let at = at.index(bytes.len() - 3);
            bytes[at..at + 4].copy_from_slice(&length.to_le_bytes());
            if let Ok(entries) = parse(&bytes, syntax) {
                // Each entry has a header of its own in the bytes.
                prop_assert!(entries.len() <= bytes.len() / 8);
            }
        }
    }
}

#[test]
fn every_truncation_is_an_error_or_ends_between_elements() {
    let elements = [
        Made::Value(0x0010_0010, Vr::PN, b"A^B ".to_vec()),
        Made::Sequence(0x0040_0100, true, vec![(true, vec![Made::Value(0x0008_0060, Vr::CS, b"CT".to_vec())])]),
        Made::Sequence(0x0040_0275, false, vec![(false, vec![Made::Value(0x0008_0060, Vr::CS, b"MR".to_vec())])]),
    ];
    for syntax in SYNTAXES {
        let bytes = encode(syntax, &elements);
        let whole = parse(&bytes, syntax).unwrap().len();
        let errors = (0..bytes.len()).filter(|&length| parse(&bytes[..length], syntax).is_err()).count();
        let fewer = (0..bytes.len()).filter_map(|length| parse(&bytes[..length], syntax).ok());
        assert!(fewer.into_iter().all(|entries| entries.len() <= whole));
        // What is no error ends where an element, an item or a delimiter does.
        assert!(bytes.len() - errors <= 12, "{} of {} truncations are no errors", bytes.len() - errors, bytes.len());
    }
}

/// Sequences of undefined length in each other.
fn nested(levels: usize) -> Vec<u8> {
    [0x40, 0, 0, 1, b'S', b'Q', 0, 0, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE, 0xFF, 0, 0xE0, 0xFF, 0xFF, 0xFF, 0xFF]
        .repeat(levels)
}

#[test]
fn nesting_has_a_limit() {
    assert_eq!(parse(&nested(DEPTH), Syntax::EXPLICIT).unwrap().len(), 2 * DEPTH);
    for levels in [DEPTH + 1, 1_100, 20_000] {
        let bytes = nested(levels);
        assert!(parse(&bytes, Syntax::EXPLICIT).unwrap_err().problem.contains("nested too deep"));
        assert!(Skimmer::new(Syntax::EXPLICIT, vec![Tag::PIXEL_DATA]).feed(&bytes).is_err());
    }
}

fn one(bytes: &[u8], syntax: Syntax) -> Entry {
    let entries = parse(bytes, syntax).unwrap();
    assert!(!entries.is_empty());
    entries[0]
}

#[test]
fn odd_but_honest() {
    // An odd length, never padded.
    let odd = b"\x10\x00\x20\x00LO\x03\x00abc";
    assert_eq!(one(odd, Syntax::EXPLICIT).end, odd.len());
    // A group length encoded as UN; gone in a message.
    let group = b"\x08\x00\x00\x00UN\x00\x00\x04\x00\x00\x00\x01\x00\x00\x00\x10\x00\x20\x00LO\x02\x00ab";
    let entries = parse(group, Syntax::EXPLICIT).unwrap();
    assert!(has_what_messages_lack(Record::new(group, &entries)));
    assert_eq!(
        transcode(Record::new(group, &entries), Syntax::EXPLICIT, Syntax::EXPLICIT),
        b"\x10\x00\x20\x00LO\x02\x00ab"
    );
    // UN of undefined length: its items are in Implicit VR Little Endian, and stay so (PS3.5 6.2.2).
    let unknown = b"\x09\x00\x01\x10UN\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\x0A\x00\x00\x00\x10\x00\x20\x00\x02\x00\x00\x00ab\xFE\xFF\xDD\xE0\x00\x00\x00\x00";
    let entries = parse(unknown, Syntax::EXPLICIT).unwrap();
    assert_eq!(entries.iter().map(|entry| entry.kind).collect::<Vec<_>>(), [Kind::Sequence, Kind::Item, Kind::Value]);
    assert_eq!(transcode(Record::new(unknown, &entries), Syntax::EXPLICIT, Syntax::EXPLICIT), unknown);
    let (big, again) = (Syntax::BIG_ENDIAN, |bytes: &[u8], from, to| {
        transcode(Record::new(bytes, &parse(bytes, from).unwrap()), from, to)
    });
    assert_eq!(again(&again(unknown, Syntax::EXPLICIT, big), big, Syntax::EXPLICIT), unknown);
    // A private sequence of undefined length in Implicit VR: known by its items.
    let private = b"\x09\x00\x01\x10\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\x00\x00\x00\x00\xFE\xFF\xDD\xE0\x00\x00\x00\x00";
    assert_eq!(one(private, Syntax::IMPLICIT).kind, Kind::Sequence);
    // The last delimiters are missing.
    let open =
        b"\x40\x00\x00\x01SQ\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\xFF\xFF\xFF\xFF\x08\x00\x60\x00CS\x02\x00CT";
    assert_eq!(parse(open, Syntax::EXPLICIT).unwrap().len(), 3);
    // Explicit VR where Implicit VR was negotiated.
    assert_eq!(one(b"\x10\x00\x20\x00LO\x02\x00ab", Syntax::IMPLICIT).vr, Vr::LO);
    // An element without VR in an explicit dataset.
    assert_eq!(one(b"\x10\x00\x20\x00\x02\x00\x00\x00ab", Syntax::EXPLICIT).vr, Vr::LO);
    // Encapsulated pixel data.
    let fragments = b"\xE0\x7F\x10\x00OB\x00\x00\xFF\xFF\xFF\xFF\xFE\xFF\x00\xE0\x00\x00\x00\x00\xFE\xFF\x00\xE0\x02\x00\x00\x00ab\xFE\xFF\xDD\xE0\x00\x00\x00\x00";
    let entry = one(fragments, Syntax::EXPLICIT);
    assert_eq!((entry.kind, entry.end), (Kind::Fragments, fragments.len() - 8));
    // Without its VR it can be nothing but OB.
    let without = [&fragments[..4], &fragments[8..]].concat();
    let entries = parse(&without, Syntax::EXPLICIT).unwrap();
    assert_eq!((entries[0].kind, entries[0].vr), (Kind::Fragments, Vr::OB));
    assert!(Record::new(&without, &entries).has_fragments());
}

#[test]
fn what_may_be_us_or_ss_is_decided_by_the_dataset() {
    let dataset = |signed: u8| {
        let mut bytes = vec![0x28, 0, 0x03, 0x01, 2, 0, 0, 0, signed, 0];
        bytes.extend([0x28, 0, 0x06, 0x01, 2, 0, 0, 0, 0xFF, 0xFF]);
        bytes
    };
    for (signed, vr) in [(0, Vr::US), (1, Vr::SS)] {
        assert_eq!(parse(&dataset(signed), Syntax::IMPLICIT).unwrap()[1].vr, vr);
    }
}
