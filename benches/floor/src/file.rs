//! PS3.10 7.1: files, with their dataset left as it is.

use std::fs::{self, File};
use std::io::{self, IoSlice, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::pdu::{IMPLEMENTATION, invalid};

/// Preamble, prefix and File Meta Information Group Length.
const FIXED: usize = 128 + 4 + 12;
const SOP_CLASS: u16 = 0x0002;
const SOP_INSTANCE: u16 = 0x0003;
const TRANSFER_SYNTAX: u16 = 0x0010;

/// An open file, read up to its dataset.
pub struct Source {
    pub file: File,
    pub left: u64,
    pub sop_class: String,
    pub sop_instance: String,
    pub transfer_syntax: String,
}

impl Source {
    pub fn open(path: &Path) -> io::Result<Self> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        let mut fixed = [0; FIXED];
        file.read_exact(&mut fixed)?;
        if fixed[128..138] != *b"DICM\x02\0\0\0UL" {
            return Err(invalid("a file without file meta group"));
        }
        let mut meta = vec![0; u32::from_le_bytes([fixed[140], fixed[141], fixed[142], fixed[143]]) as usize];
        file.read_exact(&mut meta)?;
        let left = length - (FIXED + meta.len()) as u64;
        let uid = |element| uid(&meta, element).ok_or_else(|| invalid("a file meta group that lacks a UID"));
        let (sop_class, sop_instance) = (uid(SOP_CLASS)?, uid(SOP_INSTANCE)?);
        Ok(Self { left, sop_class, sop_instance, transfer_syntax: uid(TRANSFER_SYNTAX)?, file })
    }
}

/// An element of a file meta group, which is Explicit VR Little Endian.
fn uid(mut meta: &[u8], wanted: u16) -> Option<String> {
    loop {
        let [_, _, low, high, first, second, a, b, rest @ ..] = meta else { return None };
        let (length, rest) = match [*first, *second] {
            // PS3.5 7.1.2: these have two reserved bytes and a longer length.
            [b'O', _] | [b'U', b'N'] => (u32::from_le_bytes(rest.get(..4)?.try_into().ok()?) as usize, rest.get(4..)?),
            _ => (usize::from(u16::from_le_bytes([*a, *b])), rest),
        };
        let value = rest.get(..length)?;
        if u16::from_le_bytes([*low, *high]) == wanted {
            return Some(String::from_utf8_lossy(value).trim_end_matches('\0').to_owned());
        }
        meta = &rest[length..];
    }
}

/// A file being written under a temporary name.
pub struct Sink {
    file: File,
    temporary: PathBuf,
    name: PathBuf,
    /// The file meta group, until it is written together with the first of the dataset.
    meta: Vec<u8>,
}

impl Sink {
    pub fn create(folder: &Path, sop_class: &str, sop_instance: &str, transfer_syntax: &str) -> io::Result<Self> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        if !sop_instance.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
            return Err(invalid("a SOP Instance UID that is none"));
        }
        let temporary = folder.join(format!(".{}", NUMBER.fetch_add(1, Ordering::Relaxed)));
        let file = File::create_new(&temporary)?;
        let name = folder.join(format!("{sop_instance}.dcm"));
        Ok(Self { file, temporary, name, meta: meta(sop_class, sop_instance, transfer_syntax) })
    }

    pub fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.meta.is_empty() {
            return self.file.write_all(bytes);
        }
        let meta = std::mem::take(&mut self.meta);
        let written = self.file.write_vectored(&[IoSlice::new(&meta), IoSlice::new(bytes)])?;
        if written < meta.len() {
            self.file.write_all(&meta[written..])?;
        }
        self.file.write_all(&bytes[written.saturating_sub(meta.len())..])
    }

    pub fn finish(self) -> io::Result<()> {
        drop(self.file);
        fs::rename(self.temporary, self.name)
    }
}

fn meta(sop_class: &str, sop_instance: &str, transfer_syntax: &str) -> Vec<u8> {
    let mut elements = b"\x02\0\x01\0OB\0\0\x02\0\0\0\0\x01".to_vec();
    let uids = [
        (SOP_CLASS, sop_class),
        (SOP_INSTANCE, sop_instance),
        (TRANSFER_SYNTAX, transfer_syntax),
        (0x0012, IMPLEMENTATION),
    ];
    for (element, uid) in uids {
        let odd = uid.len() % 2;
        elements.extend_from_slice(&[2, 0]);
        elements.extend_from_slice(&element.to_le_bytes());
        elements.extend_from_slice(b"UI");
        elements.extend_from_slice(&((uid.len() + odd) as u16).to_le_bytes());
        elements.extend_from_slice(uid.as_bytes());
        elements.extend_from_slice(&[0][..odd]);
    }
    let mut meta = vec![0; 128];
    meta.extend_from_slice(b"DICM\x02\0\0\0UL\x04\0");
    meta.extend_from_slice(&(elements.len() as u32).to_le_bytes());
    meta.extend(elements);
    meta
}
