//! A segment of the journal: a file of frames.

use std::fs::{self, File};
use std::io::{self, BufReader, ErrorKind, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use flate2::Crc;

use super::journal::Change;

/// Length and checksum.
const HEAD: usize = 8;

/// A longer payload is none of ours, in bytes.
const PAYLOAD_LIMIT: usize = 64 << 10;

const EXTENSION: &str = "journal";

/// What a record of the journal says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Record {
    /// The name of the file, relative to the folder of the archive.
    pub name: String,
    /// What happened to it: a [`Change`], or a number of a later version.
    pub change: u8,
}

/// How far a segment was read.
pub(super) struct ReadTo {
    /// The end of the last record.
    pub(super) end: u64,
    /// What follows is no record.
    pub(super) is_damaged: bool,
}

pub(super) fn path(folder: &Path, number: u64) -> PathBuf {
    folder.join(format!("{number:010}.{EXTENSION}"))
}

/// The numbers of the segments that are there, in order.
pub(super) fn numbers(folder: &Path) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.strip_suffix(EXTENSION)?.strip_suffix('.')?.parse().ok());
        numbers.extend(number.filter(|number: &u64| *number > 0));
    }
    numbers.sort_unstable();
    Ok(numbers)
}

fn checksum(payload: &[u8]) -> u32 {
    let mut crc = Crc::new();
    crc.update(payload);
    crc.sum()
}

pub(super) fn frame(name: &str, change: Change) -> Vec<u8> {
    let mut frame = Vec::with_capacity(HEAD + 1 + name.len());
    frame.extend([0; HEAD]);
    frame.push(change as u8);
    frame.extend_from_slice(name.as_bytes());
    let length = (frame.len() - HEAD) as u32;
    let sum = checksum(&frame[HEAD..]);
    frame[..4].copy_from_slice(&length.to_le_bytes());
    frame[4..HEAD].copy_from_slice(&sum.to_le_bytes());
    frame
}

/// The next record; `None` at the end, and for what is no whole record. Says how long its frame is, too.
fn next(file: &mut impl Read) -> io::Result<Option<(Record, u64)>> {
    let mut head = [0; HEAD];
    if !fill(file, &mut head)? {
        return Ok(None);
    }
    let [a, b, c, d, sum @ ..] = head;
    let length = u32::from_le_bytes([a, b, c, d]) as usize;
    if length == 0 || length > PAYLOAD_LIMIT {
        return Ok(None);
    }
    let mut payload = vec![0; length];
    if !fill(file, &mut payload)? || checksum(&payload) != u32::from_le_bytes(sum) {
        return Ok(None);
    }
    let change = payload.remove(0);
    let record = String::from_utf8(payload).ok().map(|name| (Record { name, change }, (HEAD + length) as u64));
    Ok(record)
}

/// Whether there was as much.
fn fill(file: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match file.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

/// Reads records from `start` on, up to the offset `until` or until there are `limit` more.
pub(super) fn read(path: &Path, start: u64, until: u64, limit: usize, records: &mut Vec<Record>) -> io::Result<ReadTo> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut file = BufReader::with_capacity(64 << 10, file.take(until.saturating_sub(start)));
    let mut end = start;
    for _ in 0..limit {
        if end >= until {
            break;
        }
        let Some((record, length)) = next(&mut file)? else { return Ok(ReadTo { end, is_damaged: true }) };
        records.push(record);
        end += length;
    }
    Ok(ReadTo { end, is_damaged: false })
}

/// The length of the whole records that a segment begins with, in bytes.
pub(super) fn whole_length(path: &Path) -> io::Result<u64> {
    let mut file = BufReader::with_capacity(256 << 10, File::open(path)?);
    let mut end = 0;
    while let Some((_, length)) = next(&mut file)? {
        end += length;
    }
    Ok(end)
}
