//! What an index of DICOM files keeps of one.

use std::fs::File;
use std::io;
use std::path::Path;

use dimsefast_identifier::charset::CharacterSet;
use dimsefast_identifier::codec::{Record, record, transcode};
use dimsefast_identifier::{Tag, Vr};

use crate::part10::{self, FileMeta};
use crate::sink::{text, unpadded};
use crate::source::BEFORE_PIXEL_DATA;

const SOP_CLASS_UID: Tag = Tag(0x0008_0016);
const SOP_INSTANCE_UID: Tag = Tag(0x0008_0018);

/// What an index keeps of a file.
#[derive(Debug)]
pub struct Entry {
    /// What the file meta group says.
    pub meta: FileMeta,
    /// The dataset in Explicit VR Little Endian, without what is long: see [`transcode::index_header`]. Its SOP Class UID and SOP
    /// Instance UID are those of the file meta group, as it was acknowledged under these.
    pub header: Vec<u8>,
    /// Values of its top level as text, in the order in which they were asked for; `None` where one is absent.
    pub texts: Vec<Option<String>>,
    /// The length of the file, in bytes.
    pub size: u64,
}

impl Entry {
    /// Reads a file.
    ///
    /// # Errors
    /// `InvalidData` for what is no usable DICOM file; what the file system says.
    pub fn read(path: &Path, wanted: &[Tag]) -> io::Result<Self> {
        let part10::FileHeader { meta, bytes, syntax, size } = part10::read_header(path, BEFORE_PIXEL_DATA)?;
        let entries = record::parse(&bytes, syntax).map_err(|error| part10::invalid(path, &error.to_string()))?;
        let dataset = Record::new(&bytes, &entries);
        let own = [
            (SOP_CLASS_UID, Vr::UI, meta.sop_class.as_slice()),
            (SOP_INSTANCE_UID, Vr::UI, meta.sop_instance.as_slice()),
        ];
        let header = transcode::index_header(dataset, syntax, &own);
        let character_set = record::character_set(dataset, &CharacterSet::default());
        let mut texts = vec![None; wanted.len()];
        // Once through the dataset; of two elements with one tag the last counts.
        for element in dataset.elements() {
            if let Some(at) = wanted.iter().position(|tag| *tag == element.entry.tag) {
                let vr = element.entry.vr;
                let value = unpadded(vr, element.value());
                texts[at] = Some(text(vr, value, syntax.big_endian, || character_set.clone()));
            }
        }
        Ok(Self { meta, header, texts, size })
    }
}

/// Whether there is no such file, and not something that is in the way of reading it.
pub fn is_gone(path: &Path) -> bool {
    File::open(path).is_err_and(|error| error.kind() == io::ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;
    use dimsefast_identifier::codec::{Syntax, Writer};

    const NAME: Tag = Tag(0x0010_0010);
    const ID: Tag = Tag(0x0010_0020);

    fn read(transfer_syntax: &str, dataset: &[u8]) -> io::Result<Entry> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object.dcm");
        let meta = part10::meta_bytes(b"1.2.3", b"4.5.6", transfer_syntax.as_bytes(), b"2.25.1", b"V");
        std::fs::write(&path, [&meta, dataset].concat()).unwrap();
        Entry::read(&path, &[NAME, ID])
    }

    fn tags(header: &[u8]) -> Vec<u32> {
        let entries = record::parse(header, Syntax::EXPLICIT).unwrap();
        Record::new(header, &entries).elements().map(|element| element.entry.tag.0).collect()
    }

    #[test]
    fn long_values_are_left_out_and_the_uids_are_those_of_the_file_meta() {
        for (uid, syntax) in [
            ("1.2.840.10008.1.2", Syntax::IMPLICIT),
            ("1.2.840.10008.1.2.1", Syntax::EXPLICIT),
            ("1.2.840.10008.1.2.2", Syntax::BIG_ENDIAN),
        ] {
            let mut writer = Writer::new(syntax);
            writer.element(Tag(0x0008_0000), Vr::UL, &[0; 4]);
            writer.element(Tag::SPECIFIC_CHARACTER_SET, Vr::CS, b"ISO_IR 100");
            writer.element(SOP_INSTANCE_UID, Vr::UI, b"9.9");
            writer.element(NAME, Vr::PN, b"M\xFCller");
            writer.element(Tag(0x0010_21B0), Vr::LT, &[b'x'; 5000]);
            let sequence = writer.begin_sequence(Tag(0x0040_0275), true);
            let item = writer.begin_item(true);
            writer.element(Tag(0x0040_0007), Vr::LO, b"short");
            writer.element(Tag(0x0040_1400), Vr::LT, &[b'x'; 5000]);
            writer.end_item(item);
            writer.end_sequence(sequence);
            writer.element(Tag(0x6000_3000), Vr::OW, &[0; 70_000]);
            writer.element(Tag::PIXEL_DATA, Vr::OW, &[0; 100_000]);
            let entry = read(uid, &writer.finish()).unwrap();
            assert_eq!(entry.texts, [Some("Müller".into()), None]);
            assert_eq!(
                tags(&entry.header),
                [0x0008_0005, SOP_CLASS_UID.0, SOP_INSTANCE_UID.0, NAME.0, 0x0040_0275],
                "{uid}"
            );
            let text = String::from_utf8_lossy(&entry.header).into_owned();
            assert!(text.contains("4.5.6") && !text.contains("9.9") && text.contains("short") && !text.contains("xx"));
        }
    }

    #[test]
    fn an_object_without_attributes_has_its_uids() {
        let entry = read("1.2.840.10008.1.2.1", b"").unwrap();
        assert_eq!(tags(&entry.header), [SOP_CLASS_UID.0, SOP_INSTANCE_UID.0]);
        assert_eq!(entry.texts, [None, None]);
    }

    #[test]
    fn what_is_no_dataset_is_an_error() {
        let error = read("1.2.840.10008.1.2.1", b"\x08\x00\x05\x00CS\xFF\xFFabc").unwrap_err();
        assert!(error.to_string().contains("object.dcm"), "{error}");
        assert!(is_gone(Path::new("/nonexistent/x")) && !is_gone(Path::new("/proc/self/status/x")));
    }
}
