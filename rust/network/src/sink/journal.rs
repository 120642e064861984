//! The journal of an archive: which files have come, were replaced or went, in that order, for an index that takes it over later.
//!
//! It is a folder of segments, `<number>.journal`, of at most 16 MiB and a record. A record is a frame: the length of its payload and that
//! payload's CRC-32, both 32 bits Little Endian; then the payload: one byte that says what happened, and the name of the file, relative to the folder of the
//! archive, in UTF-8. A frame goes in one write, so that what the end of the process cut short is at the end of the last segment: it was
//! never acknowledged, and is cut off when the journal is opened.

use std::fs::{self, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};

use super::segment::{self, Record};
use crate::log::{self, Level};
use crate::process;
use crate::waiting::{Patience, WaitError};

/// A segment that is longer gets a successor, in bytes.
const SEGMENT_LIMIT: u64 = 16 << 20;

/// How many files can be placed at the same time, at most.
const PLACES: usize = 256;

/// A place between two records. The first segment has the number 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Position {
    /// The number of the segment.
    pub segment: u64,
    /// Where in it, in bytes.
    pub offset: u64,
}

/// What a record says of its file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change {
    /// It is new.
    New = 0,
    /// It took another's place.
    Replaced = 1,
    /// The object came again, and was the same to the byte.
    Same = 2,
    /// It is no more.
    Removed = 3,
}

/// The journal of one archive. One process has it at a time, any number of threads write.
#[derive(Debug)]
pub struct Journal {
    folder: PathBuf,
    fsync: bool,
    segment_limit: u64,
    /// In which [generation](process::generation) of the process it was opened.
    pub generation: u32,
    writer: Mutex<Segment>,
    /// There is a record more, or it was closed.
    changed: Condvar,
    flushed: Mutex<Flushed>,
    flush_over: Condvar,
    places: Vec<Mutex<()>>,
}

/// The last segment.
#[derive(Debug)]
struct Segment {
    number: u64,
    /// None when the journal is closed.
    file: Option<Arc<File>>,
    length: u64,
    /// Something is behind `length` that could not be cut off.
    torn: bool,
    /// It could not be flushed: nobody knows what of it is on the disk, so nothing more goes into it.
    spoilt: bool,
    /// How many threads wait for `changed`.
    waiting: usize,
}

impl Segment {
    fn end(&self) -> Position {
        Position { segment: self.number, offset: self.length }
    }

    fn file(&self) -> io::Result<&Arc<File>> {
        self.file.as_ref().ok_or_else(|| io::Error::other("the archive is closed"))
    }
}

#[derive(Debug, Default)]
struct Flushed {
    up_to: Position,
    /// What lies between the two could not be flushed.
    failed: Position,
    /// A thread is at it.
    busy: bool,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Journal {
    /// Opens the journal in `folder`, which is made where it is not there. With `fsync` a record is on the disk when it counts as written.
    ///
    /// # Errors
    /// What the file system says.
    pub fn open(folder: &Path, fsync: bool) -> io::Result<Self> {
        Self::with_limit(folder, fsync, SEGMENT_LIMIT)
    }

    fn with_limit(folder: &Path, fsync: bool, segment_limit: u64) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let number = segment::numbers(folder)?.last().copied().unwrap_or(1);
        let path = segment::path(folder, number);
        let file = OpenOptions::new().append(true).create(true).open(&path)?;
        let length = segment::whole_length(&path)?;
        let torn = file.metadata()?.len() - length;
        if torn > 0 {
            log::record(Level::Warning, || {
                format!("{}: {torn} bytes at its end are no whole record and were cut off", path.display())
            });
            file.set_len(length)?;
        }
        if fsync {
            // What another level of durability has left in memory.
            file.sync_all()?;
            File::open(folder)?.sync_all()?;
        }
        let segment = Segment { number, file: Some(Arc::new(file)), length, torn: false, spoilt: false, waiting: 0 };
        Ok(Self {
            folder: folder.to_owned(),
            fsync,
            segment_limit,
            generation: process::generation(),
            flushed: Mutex::new(Flushed { up_to: segment.end(), ..Flushed::default() }),
            writer: Mutex::new(segment),
            changed: Condvar::new(),
            flush_over: Condvar::new(),
            places: (0..PLACES).map(|_| Mutex::default()).collect(),
        })
    }

    /// The end: behind everything that was written.
    pub fn position(&self) -> Position {
        locked(&self.writer).end()
    }

    /// The beginning of what is still there.
    ///
    /// # Errors
    /// What the file system says.
    pub fn beginning(&self) -> io::Result<Position> {
        let first = segment::numbers(&self.folder)?.first().copied();
        Ok(Position { segment: first.unwrap_or_else(|| self.position().segment), offset: 0 })
    }

    /// While this is held, no other thread that asks for it has the file of this name in its hands: so a file and its record are one step.
    pub(super) fn place(&self, name: &str) -> MutexGuard<'_, ()> {
        let mut hasher = DefaultHasher::new();
        name.hash(&mut hasher);
        locked(&self.places[(hasher.finish() % self.places.len() as u64) as usize])
    }

    /// Writes a record; returns the position behind it.
    ///
    /// # Errors
    /// What the file system says; then there is no record, or one of which nobody knows whether it is on the disk. After [`close`](Self::close).
    pub fn append(&self, name: &str, change: Change) -> io::Result<Position> {
        let frame = segment::frame(name, change);
        let mut segment = locked(&self.writer);
        if self.generation != process::generation() {
            return Err(io::Error::other("the archive belongs to the process before the fork"));
        }
        segment.file()?;
        if segment.torn {
            segment.file()?.set_len(segment.length)?;
            segment.torn = false;
        }
        if segment.length >= self.segment_limit || segment.spoilt {
            self.begin_next(&mut segment)?;
        }
        let written = loop {
            match (&**segment.file()?).write(&frame) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Ok(length) if length < frame.len() => break Err(ErrorKind::StorageFull.into()),
                result => break result,
            }
        };
        if let Err(error) = written {
            segment.torn = segment.file()?.set_len(segment.length).is_err();
            return Err(error);
        }
        segment.length += frame.len() as u64;
        let end = segment.end();
        let is_awaited = segment.waiting > 0;
        drop(segment);
        if is_awaited {
            self.changed.notify_all();
        }
        if self.fsync {
            self.flush(end)?;
        }
        Ok(end)
    }

    /// Makes the next segment. What is in the one before is on the disk by then, where that is wanted.
    fn begin_next(&self, segment: &mut Segment) -> io::Result<()> {
        if self.fsync && !segment.spoilt {
            let flushed = segment.file()?.sync_data();
            if flushed.is_err() {
                segment.spoilt = true;
                locked(&self.flushed).failed = segment.end();
            }
            flushed?;
        }
        let number = segment.number + 1;
        let file = OpenOptions::new().append(true).create_new(true).open(segment::path(&self.folder, number))?;
        if self.fsync {
            File::open(&self.folder)?.sync_all()?;
        }
        if self.fsync && !segment.spoilt {
            locked(&self.flushed).up_to = Position { segment: number, offset: 0 };
        }
        (segment.number, segment.file, segment.length, segment.spoilt) = (number, Some(Arc::new(file)), 0, false);
        Ok(())
    }

    /// Waits until what stands before `position` is on the disk. One thread flushes, for all that have written by then.
    fn flush(&self, position: Position) -> io::Result<()> {
        let mut flushed = locked(&self.flushed);
        loop {
            if flushed.up_to >= position {
                return Ok(());
            }
            if flushed.failed >= position {
                return Err(io::Error::other("the journal could not be flushed to the disk"));
            }
            if flushed.busy {
                flushed = self.flush_over.wait(flushed).unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            flushed.busy = true;
            drop(flushed);
            let (file, end) = {
                let segment = locked(&self.writer);
                (segment.file.clone(), segment.end())
            };
            let result = match file {
                Some(file) => file.sync_data(),
                None => Err(io::Error::other("the archive is closed")),
            };
            if result.is_err() {
                let mut segment = locked(&self.writer);
                segment.spoilt |= segment.number == end.segment;
            }
            flushed = locked(&self.flushed);
            flushed.busy = false;
            match result {
                Ok(()) => flushed.up_to = flushed.up_to.max(end),
                Err(_) => flushed.failed = flushed.failed.max(end),
            }
            self.flush_over.notify_all();
            result?;
        }
    }

    /// Waits until there is something behind `position`; the position of the end.
    ///
    /// # Errors
    /// [`WaitError::Timeout`], [`WaitError::Interrupted`]; [`WaitError::Ended`] where it was closed.
    pub fn wait(&self, position: Position, patience: &mut Patience<'_>) -> Result<Position, WaitError> {
        let mut segment = locked(&self.writer);
        loop {
            if segment.end() > position {
                return Ok(segment.end());
            }
            if segment.file.is_none() {
                return Err(WaitError::Ended);
            }
            if patience.expired() {
                return Err(WaitError::Timeout);
            }
            segment.waiting += 1;
            segment = match patience.slice() {
                Some(slice) => self.changed.wait_timeout(segment, slice).unwrap_or_else(PoisonError::into_inner).0,
                None => self.changed.wait(segment).unwrap_or_else(PoisonError::into_inner),
            };
            segment.waiting -= 1;
            if patience.interrupted.is_some() {
                drop(segment);
                if patience.is_interrupted(false) {
                    return Err(WaitError::Interrupted);
                }
                segment = locked(&self.writer);
            }
        }
    }

    /// At most `limit` records behind `position`, and the position behind them. What is damaged is passed over, to the next segment, and logged.
    ///
    /// # Errors
    /// What the file system says.
    pub fn read(&self, position: Position, limit: usize) -> io::Result<(Vec<Record>, Position)> {
        let end = self.position();
        let numbers = segment::numbers(&self.folder)?;
        let mut records = Vec::new();
        let mut at = position;
        while records.len() < limit && at < end {
            let is_last = at.segment == end.segment;
            if numbers.binary_search(&at.segment).is_ok() {
                let path = segment::path(&self.folder, at.segment);
                let until = if is_last { end.offset } else { fs::metadata(&path)?.len() };
                let read = segment::read(&path, at.offset, until, limit - records.len(), &mut records)?;
                at.offset = read.end;
                if read.is_damaged {
                    log::record(Level::Error, || {
                        format!(
                            "{} is damaged at byte {}: objects may be missing from the index; `dimsefast reindex` finds them",
                            path.display(),
                            read.end
                        )
                    });
                } else if at.offset < until {
                    // The limit.
                    break;
                }
            }
            let next = numbers.iter().find(|number| **number > at.segment);
            at = match next {
                Some(number) if !is_last => Position { segment: *number, offset: 0 },
                _ => end,
            };
        }
        Ok((records, at))
    }

    /// Removes the segments before the one with this number: they are not needed any more.
    ///
    /// # Errors
    /// What the file system says.
    pub fn done(&self, number: u64) -> io::Result<()> {
        let last = self.position().segment;
        for old in segment::numbers(&self.folder)?.into_iter().filter(|old| *old < number.min(last)) {
            fs::remove_file(segment::path(&self.folder, old))?;
        }
        Ok(())
    }

    /// Nothing more is written; who waits is woken.
    pub fn close(&self) {
        locked(&self.writer).file = None;
        self.changed.notify_all();
    }
}

#[cfg(test)]
#[path = "journal_tests.rs"]
mod tests;
