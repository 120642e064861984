//! Attributes of a dataset, picked from its bytes as they pass.

use std::sync::Arc;

use dimsefast_identifier::charset::{CharacterSet, Delimiters};
use dimsefast_identifier::codec::deflate::Inflater;
use dimsefast_identifier::codec::{Skimmer, Syntax, TransferSyntax, record};
use dimsefast_identifier::{Tag, Vr};

/// What the first element's header takes at most, in bytes: it tells whether the dataset is in the syntax that was negotiated.
const FIRST: usize = 12;

/// Where the header of a deflated dataset must have come to its end, in bytes: what is wanted behind counts as absent.
const INFLATED_LIMIT: usize = 16 << 20;

/// Attributes that are asked for, by DICOM keyword.
#[derive(Debug, Clone, Default)]
pub struct Attributes(Arc<[(String, Tag)]>);

impl Attributes {
    /// Keywords and their tags.
    pub fn new(wanted: Vec<(String, Tag)>) -> Self {
        Self(wanted.into())
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(crate) fn tags(&self) -> impl Iterator<Item = Tag> + '_ {
        self.0.iter().map(|(_, tag)| *tag)
    }

    /// What is there, by keyword.
    pub(crate) fn texts(&self, reader: &HeaderReader) -> Header {
        self.0.iter().filter_map(|(keyword, tag)| Some((keyword.clone(), reader.text(*tag)?))).collect()
    }
}

/// Keywords and values as text; without those that are absent.
pub type Header = Vec<(String, String)>;

/// Takes the bytes of a dataset and keeps some of its attributes.
pub(crate) struct HeaderReader {
    syntax: TransferSyntax,
    wanted: Vec<Tag>,
    /// The beginning, until it is known how it is encoded.
    first: Vec<u8>,
    skimmer: Option<Skimmer>,
    /// What the elements are encoded in.
    actual: Syntax,
    inflater: Option<Inflater>,
    inflated: usize,
    done: bool,
}

impl HeaderReader {
    /// For a dataset in this transfer syntax; none where nothing is wanted.
    pub(crate) fn new(transfer_syntax: &[u8], wanted: impl Iterator<Item = Tag>) -> Option<Self> {
        let mut wanted: Vec<Tag> = wanted.collect();
        if wanted.is_empty() {
            return None;
        }
        wanted.push(Tag::SPECIFIC_CHARACTER_SET);
        let syntax = TransferSyntax::from_uid(transfer_syntax);
        Some(Self {
            syntax,
            wanted,
            first: Vec::new(),
            skimmer: None,
            actual: syntax.syntax,
            inflater: syntax.deflated.then(Inflater::default),
            inflated: 0,
            done: false,
        })
    }

    /// Whether all that is wanted has come or can come no more.
    pub(crate) fn is_done(&self) -> bool {
        self.done
    }

    /// Takes the next piece. What is no dataset has no attributes from there on.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        if self.done {
            return;
        }
        let Some(mut inflater) = self.inflater.take() else { return self.feed_plain(bytes) };
        let fed = inflater.feed(bytes, &mut |piece| {
            self.inflated += piece.len();
            self.feed_plain(piece);
            !self.done && self.inflated < INFLATED_LIMIT
        });
        self.done |= !matches!(fed, Ok(true));
        self.inflater = Some(inflater);
    }

    fn feed_plain(&mut self, bytes: &[u8]) {
        if let Some(skimmer) = &mut self.skimmer {
            self.done |= skimmer.feed(bytes).is_err() || skimmer.is_done();
            return;
        }
        let missing = FIRST - self.first.len();
        let (head, rest) = bytes.split_at(bytes.len().min(missing));
        self.first.extend_from_slice(head);
        if self.first.len() < FIRST {
            return;
        }
        let first = std::mem::take(&mut self.first);
        self.actual = record::actual_syntax(&first, self.syntax.syntax);
        self.skimmer = Some(Skimmer::new(self.actual, self.wanted.clone()));
        self.feed_plain(&first);
        if !self.done {
            self.feed_plain(rest);
        }
    }

    /// Representation and value as sent, without the padding at its end; `None` where it is absent.
    pub(crate) fn raw(&self, tag: Tag) -> Option<(Vr, &[u8])> {
        let (vr, value) = self.skimmer.as_ref()?.value(tag)?;
        Some((vr, unpadded(vr, value)))
    }

    /// The value as text: decoded, without padding, several values parted by backslashes, numbers in decimal.
    pub(crate) fn text(&self, tag: Tag) -> Option<String> {
        let (vr, value) = self.raw(tag)?;
        let declared = self.skimmer.as_ref()?.value(Tag::SPECIFIC_CHARACTER_SET).map_or(&[][..], |(_, value)| value);
        Some(text(vr, value, self.actual.big_endian, || CharacterSet::from_value(declared)))
    }
}

/// A value without the padding at its end.
pub(crate) fn unpadded(vr: Vr, value: &[u8]) -> &[u8] {
    let end = match size(vr) {
        0 => value.iter().rposition(|byte| !matches!(byte, 0 | b' ')).map_or(0, |at| at + 1),
        _ => value.len(),
    };
    &value[..end]
}

/// An [unpadded] value as text.
pub(crate) fn text(vr: Vr, value: &[u8], big_endian: bool, character_set: impl FnOnce() -> CharacterSet) -> String {
    if size(vr) > 0 {
        return numbers(vr, value, big_endian);
    }
    if !vr.uses_character_set() {
        return String::from_utf8_lossy(value).trim_start_matches(' ').to_owned();
    }
    let delimiters = match vr {
        Vr::PN => Delimiters::PersonName,
        vr if vr.is_single_valued_text() => Delimiters::Text,
        _ => Delimiters::Values,
    };
    let text = character_set().decode(value, delimiters).into_owned();
    // PS3.5 6.2: leading blanks are padding in these.
    if matches!(vr, Vr::LO | Vr::SH) { text.trim_start_matches(' ').to_owned() } else { text }
}

/// The size of a binary number, in bytes; 0 for what is none.
fn size(vr: Vr) -> usize {
    match vr {
        Vr::US | Vr::SS => 2,
        Vr::UL | Vr::SL | Vr::FL | Vr::AT => 4,
        Vr::UV | Vr::SV | Vr::FD => 8,
        _ => 0,
    }
}

fn numbers(vr: Vr, value: &[u8], big_endian: bool) -> String {
    let texts: Vec<String> = value
        .chunks_exact(size(vr))
        .map(|word| {
            let mut bytes = [0; 8];
            for (at, byte) in word.iter().enumerate() {
                bytes[if big_endian { word.len() - 1 - at } else { at }] = *byte;
            }
            let bits = u64::from_le_bytes(bytes);
            match vr {
                Vr::SS => (bits as u16).cast_signed().to_string(),
                Vr::SL => (bits as u32).cast_signed().to_string(),
                Vr::SV => bits.cast_signed().to_string(),
                Vr::FL => f32::from_bits(bits as u32).to_string(),
                Vr::FD => f64::from_bits(bits).to_string(),
                // Two words of 16 bits, each in the byte order.
                Vr::AT if big_endian => format!("{:08X}", bits as u32),
                Vr::AT => format!("{:08X}", (bits as u32).rotate_left(16)),
                _ => bits.to_string(),
            }
        })
        .collect();
    texts.join("\\")
}

#[cfg(test)]
mod tests {
    use super::*;
    use dimsefast_identifier::codec::{Writer, deflate};

    const NAME: Tag = Tag(0x0010_0010);
    const ID: Tag = Tag(0x0010_0020);
    const ROWS: Tag = Tag(0x0028_0010);

    fn dataset(syntax: Syntax) -> Vec<u8> {
        let mut writer = Writer::new(syntax);
        writer.element(Tag::SPECIFIC_CHARACTER_SET, Vr::CS, b"ISO_IR 100");
        writer.element(NAME, Vr::PN, b"M\xFCller^J\xF6rg");
        writer.element(ID, Vr::LO, b" 1 ");
        let rows: &[u8] = if syntax.big_endian { &[2, 0] } else { &[0, 2] };
        writer.element(ROWS, Vr::US, rows);
        writer.element(Tag::PIXEL_DATA, Vr::OW, &vec![0; 1000]);
        writer.finish()
    }

    fn read(transfer_syntax: &[u8], bytes: &[u8], piece: usize) -> HeaderReader {
        let mut reader = HeaderReader::new(transfer_syntax, [NAME, ID, ROWS].into_iter()).unwrap();
        bytes.chunks(piece).for_each(|piece| reader.feed(piece));
        reader
    }

    #[test]
    fn attributes_are_text_in_every_syntax_and_any_pieces() {
        let explicit = dataset(Syntax::EXPLICIT);
        for (uid, bytes) in [
            (&b"1.2.840.10008.1.2"[..], dataset(Syntax::IMPLICIT)),
            // Explicit where implicit was negotiated.
            (b"1.2.840.10008.1.2", explicit.clone()),
            (b"1.2.840.10008.1.2.1", explicit.clone()),
            (b"1.2.840.10008.1.2.2", dataset(Syntax::BIG_ENDIAN)),
            (b"1.2.840.10008.1.2.1.99", deflate::deflate(&explicit)),
        ] {
            for piece in [1, 2, 7, 4096] {
                let reader = read(uid, &bytes, piece);
                assert!(reader.is_done());
                assert_eq!(reader.text(NAME).unwrap(), "Müller^Jörg");
                assert_eq!(reader.text(ID).unwrap(), "1");
                assert_eq!(reader.text(ROWS).unwrap(), "512");
            }
        }
        let keywords = Attributes::new(vec![("PatientID".into(), ID), ("Modality".into(), Tag(0x0008_0060))]);
        let reader = read(b"1.2.840.10008.1.2.1", &explicit, 64);
        assert_eq!(keywords.texts(&reader), [("PatientID".to_owned(), "1".to_owned())]);
    }

    #[test]
    fn what_is_no_dataset_has_no_attributes_and_ends_in_bounded_memory() {
        for garbage in [vec![0xFF; 5000], b"hello".to_vec(), Vec::new()] {
            let reader = read(b"1.2.840.10008.1.2.1", &garbage, 100);
            assert_eq!(reader.text(ID), None);
            read(b"1.2.840.10008.1.2.1.99", &garbage, 100);
        }
        // A private element of 32 MB in front of everything, deflated to 32 kB.
        let mut writer = Writer::new(Syntax::EXPLICIT);
        writer.element(Tag(0x0009_1001), Vr::UN, &vec![0; 32 << 20]);
        let reader = read(b"1.2.840.10008.1.2.1.99", &deflate::deflate(&writer.finish()), 4096);
        assert!(reader.is_done() && reader.inflated <= INFLATED_LIMIT + (64 << 10));
    }
}
