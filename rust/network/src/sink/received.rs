//! What became of a dataset that came in.

use std::fs::{self, File};
use std::io;
use std::path::PathBuf;

/// A received dataset.
#[derive(Debug)]
pub enum Received {
    /// Its encoded bytes.
    Memory(Vec<u8>),
    /// In a file, from `offset` bytes on.
    File {
        /// Where it is.
        path: PathBuf,
        /// Where the dataset begins in it.
        offset: u64,
        /// Its length in bytes.
        length: u64,
        /// Removed when this value is dropped.
        temporary: bool,
    },
    /// Dropped, or given to a writer of the service: its length in bytes.
    Passed(u64),
    /// It could not be kept; the rest was read and dropped.
    Failed(io::Error),
    /// It was refused with this status; the rest was read and dropped.
    Refused(u16),
}

impl Received {
    /// Copies the encoded dataset into a buffer of its length.
    ///
    /// # Errors
    /// What the file system says, or why it could not be kept in the first place.
    pub fn copy_to(&self, buffer: &mut [u8]) -> io::Result<()> {
        match self {
            Self::Memory(bytes) => {
                buffer.copy_from_slice(bytes);
                Ok(())
            }
            Self::File { path, offset, .. } => {
                std::os::unix::fs::FileExt::read_exact_at(&File::open(path)?, buffer, *offset)
            }
            Self::Passed(_) | Self::Refused(_) => Err(io::Error::other("the dataset was not kept")),
            Self::Failed(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } | Self::Passed(length) => *length,
            Self::Failed(_) | Self::Refused(_) => 0,
        }
    }

    /// Whether it has no bytes.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Drop for Received {
    fn drop(&mut self) {
        if let Self::File { path, temporary: true, .. } = self {
            let _ = fs::remove_file(path);
        }
    }
}
