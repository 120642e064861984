//! DICOM files (PS3.10): the preamble and file meta group in front of a dataset.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use dimsefast_identifier::Tag;
use dimsefast_identifier::codec::{Syntax, TransferSyntax, deflate, length_up_to, record};

/// What the file meta group says of the dataset behind it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileMeta {
    /// (0002,0002) Media Storage SOP Class UID, padding removed.
    pub sop_class: Vec<u8>,
    /// (0002,0003) Media Storage SOP Instance UID, padding removed.
    pub sop_instance: Vec<u8>,
    /// (0002,0010) Transfer Syntax UID, padding removed.
    pub transfer_syntax: Vec<u8>,
    /// Offset of the dataset in the file, in bytes.
    pub dataset_offset: u64,
}

/// The file meta group is refused above this length, in bytes: real ones are below 1 kB.
const META_LIMIT: usize = 1 << 20;

pub(crate) fn invalid(path: &Path, what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} is not a usable DICOM file: {what}", path.display()))
}

fn trimmed(value: &[u8]) -> Vec<u8> {
    let end = value.iter().rposition(|&b| b != 0 && b != b' ').map_or(0, |at| at + 1);
    value[..end].to_vec()
}

/// Reads the file meta group that a file, or its bytes, begin with. `path` is for messages only.
///
/// # Errors
/// `InvalidData` where the file has no DICM prefix, a broken meta group, or lacks one of the three UIDs.
pub fn read_meta(file: &mut impl Read, path: &Path) -> io::Result<FileMeta> {
    let mut head = vec![0; 1024];
    let mut length = 0;
    while length < head.len() {
        match file.read(&mut head[length..])? {
            0 => break,
            n => length += n,
        }
    }
    head.truncate(length);
    if head.get(128..132) != Some(b"DICM") {
        return Err(invalid(path, "no DICM prefix at byte 128"));
    }
    let mut at = 132;
    let (mut sop_class, mut sop_instance, mut transfer_syntax) = (None, None, None);
    loop {
        // An explicit VR little endian header is 8 or 12 bytes (PS3.10 7.1).
        fill(file, &mut head, at + 12)?;
        let Some(header) = head.get(at..at + 8) else { break };
        if header[..2] != [2, 0] {
            break;
        }
        let element = u16::from_le_bytes([header[2], header[3]]);
        let long =
            matches!(&header[4..6], b"OB" | b"OW" | b"UN" | b"UT" | b"UC" | b"UR" | b"SQ" | b"OF" | b"OD" | b"OL");
        let (start, length) = if long {
            let bytes = head.get(at + 8..at + 12).ok_or_else(|| invalid(path, "its file meta group ends early"))?;
            (at + 12, u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) as usize)
        } else {
            (at + 8, u16::from_le_bytes([header[6], header[7]]).into())
        };
        let end = start.checked_add(length).filter(|end| *end <= META_LIMIT);
        let end = end.ok_or_else(|| invalid(path, "its file meta group is too long"))?;
        fill(file, &mut head, end)?;
        let value = head.get(start..end).ok_or_else(|| invalid(path, "its file meta group ends early"))?;
        match element {
            0x0002 => sop_class = Some(trimmed(value)),
            0x0003 => sop_instance = Some(trimmed(value)),
            0x0010 => transfer_syntax = Some(trimmed(value)),
            _ => {}
        }
        at = end;
    }
    let need = |value: Option<Vec<u8>>, name: &str| {
        value.filter(|v| !v.is_empty()).ok_or_else(|| invalid(path, &format!("its file meta has no {name}")))
    };
    Ok(FileMeta {
        sop_class: need(sop_class, "Media Storage SOP Class UID (0002,0002)")?,
        sop_instance: need(sop_instance, "Media Storage SOP Instance UID (0002,0003)")?,
        transfer_syntax: need(transfer_syntax, "Transfer Syntax UID (0002,0010)")?,
        dataset_offset: at as u64,
    })
}

/// Reads on until `head` holds `length` bytes or the file ends.
fn fill(file: &mut impl Read, head: &mut Vec<u8>, length: usize) -> io::Result<()> {
    if length > head.len() {
        let missing = (length - head.len()).max(4096);
        file.take(missing as u64).read_to_end(head)?;
    }
    Ok(())
}

/// The header of a DICOM file is refused above this length, in bytes.
const HEADER_LIMIT: usize = 64 << 20;

/// What is read of a file at first, in bytes: all of a small one, and the header of most.
const FIRST_PIECE: u64 = 16 << 10;

/// What stands in a DICOM file before its pixel data.
#[derive(Debug)]
pub struct FileHeader {
    /// What the file meta group says.
    pub meta: FileMeta,
    /// The beginning of the dataset, inflated where it was deflated.
    pub bytes: Vec<u8>,
    /// How that is encoded.
    pub syntax: Syntax,
    /// The length of the file, in bytes.
    pub size: u64,
}

/// Reads the dataset of a DICOM file up to the element with the tag `last`, and not what follows: pixel data, mostly. A deflated one is
/// read whole.
///
/// # Errors
/// `InvalidData` as [`read_meta`] gives it, and where the header does not end within 64 MiB; what the file system says.
pub fn read_header(path: &Path, last: Tag) -> io::Result<FileHeader> {
    let mut file = File::open(path)?;
    let size = file.metadata()?.len();
    let mut bytes = Vec::with_capacity(size.min(FIRST_PIECE) as usize);
    (&file).take(FIRST_PIECE).read_to_end(&mut bytes)?;
    let meta = read_meta(&mut bytes.as_slice().chain(&file), path)?;
    let known = TransferSyntax::from_uid(&meta.transfer_syntax);
    let begin = usize::try_from(meta.dataset_offset).unwrap_or(usize::MAX).min(bytes.len());
    let at = meta.dataset_offset.max(bytes.len() as u64);
    bytes.drain(..begin);
    file.seek(SeekFrom::Start(at))?;
    let mut left = size.saturating_sub(at);
    if known.deflated {
        file.take(HEADER_LIMIT as u64).read_to_end(&mut bytes)?;
        let bytes = deflate::inflate(&bytes).map_err(|error| invalid(path, &error.to_string()))?;
        return Ok(FileHeader { meta, bytes, syntax: known.syntax, size });
    }
    loop {
        let syntax = record::actual_syntax(&bytes, known.syntax);
        let length = length_up_to(&bytes, syntax, last);
        if length.is_some() || left == 0 {
            bytes.truncate(length.unwrap_or(bytes.len()));
            return Ok(FileHeader { meta, bytes, syntax, size });
        }
        if bytes.len() > HEADER_LIMIT {
            return Err(invalid(path, "its header does not end"));
        }
        let piece = FIRST_PIECE.max(bytes.len() as u64);
        let read = (&file).take(piece).read_to_end(&mut bytes)? as u64;
        left = if read < piece { 0 } else { left.saturating_sub(read) };
    }
}

/// The preamble, prefix and file meta group for a received dataset.
///
/// UIDs and text are given without padding; the group length is right. Without a version name there is no element for one.
pub fn meta_bytes(
    sop_class: &[u8],
    sop_instance: &[u8],
    transfer_syntax: &[u8],
    implementation_uid: &[u8],
    implementation_version: &[u8],
) -> Vec<u8> {
    let mut group = Vec::with_capacity(256);
    // (0002,0001) File Meta Information Version
    group.extend(b"\x02\x00\x01\x00OB\x00\x00\x02\x00\x00\x00\x00\x01");
    for (element, vr, value, pad) in [
        (0x02u8, b"UI", sop_class, 0u8),
        (0x03, b"UI", sop_instance, 0),
        (0x10, b"UI", transfer_syntax, 0),
        (0x12, b"UI", implementation_uid, 0),
        (0x13, b"SH", implementation_version, b' '),
    ] {
        if element == 0x13 && value.is_empty() {
            continue;
        }
        let padded = value.len() + value.len() % 2;
        group.extend([2, 0, element, 0]);
        group.extend(vr);
        group.extend(u16::try_from(padded).unwrap_or(u16::MAX).to_le_bytes());
        group.extend(value);
        group.resize(group.len() + value.len() % 2, pad);
    }
    let mut bytes = vec![0; 128];
    bytes.extend(b"DICM\x02\x00\x00\x00UL\x04\x00");
    bytes.extend(u32::try_from(group.len()).unwrap_or(u32::MAX).to_le_bytes());
    bytes.extend(group);
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    fn written(bytes: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object.dcm");
        File::create(&path).unwrap().write_all(bytes).unwrap();
        (folder, path)
    }

    #[test]
    fn what_was_written_is_read() {
        let mut bytes = meta_bytes(b"1.2.840.10008.1.1", b"1.2.3", b"1.2.840.10008.1.2", b"2.25.1", b"V");
        let offset = bytes.len() as u64;
        bytes.extend(b"\x08\x00\x05\x00\x00\x00\x00\x00");
        let (_folder, path) = written(&bytes);
        let meta = read_meta(&mut File::open(&path).unwrap(), &path).unwrap();
        assert_eq!(
            meta,
            FileMeta {
                sop_class: b"1.2.840.10008.1.1".to_vec(),
                sop_instance: b"1.2.3".to_vec(),
                transfer_syntax: b"1.2.840.10008.1.2".to_vec(),
                dataset_offset: offset,
            }
        );
    }

    #[test]
    fn every_truncation_is_an_error_or_has_all_three_uids() {
        let bytes = meta_bytes(b"1.2", b"1.2.3", b"1.2.4", b"2.25.1", b"V");
        for length in 0..bytes.len() {
            let (_folder, path) = written(&bytes[..length]);
            if let Ok(meta) = read_meta(&mut File::open(&path).unwrap(), &path) {
                assert_eq!(meta.transfer_syntax, b"1.2.4");
            }
        }
    }

    #[test]
    fn a_text_file_is_named_in_the_error() {
        let (_folder, path) = written(b"hello");
        let error = read_meta(&mut File::open(&path).unwrap(), &path).unwrap_err();
        assert!(error.to_string().contains("object.dcm") && error.to_string().contains("DICM"));
    }
}
