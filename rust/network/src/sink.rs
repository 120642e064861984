//! Where the dataset of a message goes while it comes in.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::part10;

/// A memory sink moves to a temporary file above this many bytes.
pub(crate) const SPILL_LIMIT: usize = 64 << 20;

/// Where received composite objects (C-STORE) go. Every other dataset goes to memory.
#[derive(Debug, Clone)]
pub enum StorePlan {
    /// Into memory, above 64 MiB into a temporary file.
    Memory,
    /// Into a temporary DICOM file that lives as long as its message.
    Temporary(FileIdentity),
    /// Into `<folder>/<SOP Instance UID>.dcm`, under a temporary name until it is whole.
    Folder(PathBuf, FileIdentity),
}

/// What is written into the file meta group as the writer's own identity.
#[derive(Debug, Clone)]
pub struct FileIdentity {
    /// (0002,0012) Implementation Class UID.
    pub class_uid: String,
    /// (0002,0013) Implementation Version Name.
    pub version: String,
}

/// The object that a file sink writes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Object<'a> {
    /// SOP Class UID, padding removed.
    pub(crate) sop_class: &'a [u8],
    /// SOP Instance UID as the peer sent it, padding removed; not trusted.
    pub(crate) sop_instance: &'a [u8],
    /// Transfer syntax of the presentation context.
    pub(crate) transfer_syntax: &'a [u8],
}

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
    /// It could not be kept; the rest was read and dropped.
    Failed(io::Error),
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
            Self::Failed(error) => Err(io::Error::new(error.kind(), error.to_string())),
        }
    }

    /// Its length in bytes.
    pub fn len(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::File { length, .. } => *length,
            Self::Failed(_) => 0,
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

/// A dataset that is coming in.
pub(crate) enum Sink {
    Memory(Vec<u8>),
    File(FileSink),
    Failed(io::Error),
}

pub(crate) struct FileSink {
    file: File,
    /// The name while it is unfinished; removed on drop unless it was finished.
    part: PathBuf,
    /// The final name; none for a temporary file, which keeps `part`.
    target: Option<PathBuf>,
    offset: u64,
    length: u64,
    finished: bool,
}

impl Drop for FileSink {
    fn drop(&mut self) {
        if !self.finished {
            let _ = fs::remove_file(&self.part);
        }
    }
}

impl Sink {
    /// A sink for a received object.
    pub(crate) fn for_object(plan: &StorePlan, object: Object<'_>) -> Self {
        let opened = match plan {
            StorePlan::Memory => return Self::Memory(Vec::new()),
            StorePlan::Temporary(identity) => FileSink::temporary(Some((object, identity))),
            StorePlan::Folder(folder, identity) => FileSink::in_folder(folder, object, identity),
        };
        opened.map_or_else(Self::Failed, Self::File)
    }

    /// Takes the next piece. Failures are kept until [`finish`](Self::finish): the peer sends the rest anyway.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        let result = match self {
            Self::Memory(held) if held.len() + bytes.len() <= SPILL_LIMIT => {
                held.extend_from_slice(bytes);
                return;
            }
            Self::Memory(held) => FileSink::temporary(None).and_then(|mut file| {
                file.write(held)?;
                file.write(bytes)?;
                Ok(Some(file))
            }),
            Self::File(file) => file.write(bytes).map(|()| None),
            Self::Failed(_) => return,
        };
        match result {
            Ok(Some(file)) => *self = Self::File(file),
            Ok(None) => {}
            Err(error) => *self = Self::Failed(error),
        }
    }

    /// The dataset is whole.
    pub(crate) fn finish(self) -> Received {
        match self {
            Self::Memory(bytes) => Received::Memory(bytes),
            Self::File(file) => file.finish().unwrap_or_else(Received::Failed),
            Self::Failed(error) => Received::Failed(error),
        }
    }
}

/// Makes names of unfinished files unique within the process.
static UNIQUE: AtomicU64 = AtomicU64::new(0);

fn part_name() -> String {
    format!(".{}-{}.part", std::process::id(), UNIQUE.fetch_add(1, Ordering::Relaxed))
}

impl FileSink {
    fn create(part: PathBuf, target: Option<PathBuf>, meta: &[u8]) -> io::Result<Self> {
        let mut file = OpenOptions::new().write(true).create_new(true).open(&part)?;
        let offset = meta.len() as u64;
        let written = file.write_all(meta);
        let sink = Self { file, part, target, offset, length: 0, finished: false };
        written.map(|()| sink)
    }

    fn temporary(object: Option<(Object<'_>, &FileIdentity)>) -> io::Result<Self> {
        let meta = object.map_or_else(Vec::new, |(object, identity)| meta(object, identity));
        Self::create(std::env::temp_dir().join(format!("dimsefast{}", part_name())), None, &meta)
    }

    fn in_folder(folder: &Path, object: Object<'_>, identity: &FileIdentity) -> io::Result<Self> {
        let target = folder.join(format!("{}.dcm", safe_name(object.sop_instance)));
        Self::create(folder.join(part_name()), Some(target), &meta(object, identity))
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        self.file.write_all(bytes)
    }

    fn finish(mut self) -> io::Result<Received> {
        let temporary = self.target.is_none();
        let path = self.target.take().unwrap_or_else(|| self.part.clone());
        if !temporary {
            fs::rename(&self.part, &path)?;
        }
        self.finished = true;
        Ok(Received::File { path, offset: self.offset, length: self.length, temporary })
    }
}

fn meta(object: Object<'_>, identity: &FileIdentity) -> Vec<u8> {
    part10::meta_bytes(
        object.sop_class,
        object.sop_instance,
        object.transfer_syntax,
        identity.class_uid.as_bytes(),
        identity.version.as_bytes(),
    )
}

/// A file name from a UID that a peer chose: the UID where it is one, otherwise its harmless characters and a hash that
/// keeps different names different. Never a separator, a leading dot, or more than 90 bytes.
fn safe_name(uid: &[u8]) -> String {
    let is_uid =
        !uid.is_empty() && uid.len() <= 64 && uid[0] != b'.' && uid.iter().all(|b| matches!(b, b'0'..=b'9' | b'.'));
    if is_uid {
        return String::from_utf8_lossy(uid).into_owned();
    }
    // FNV-1a: the name must be the same for the same UID, in every run.
    let hash = uid
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    let kept: String = uid.iter().filter(|b| b.is_ascii_alphanumeric()).take(64).map(|&b| char::from(b)).collect();
    format!("unsafe-{kept}-{hash:016x}")
}

#[cfg(test)]
mod tests {
    use super::*;

    const OBJECT: Object<'_> = Object {
        sop_class: b"1.2.840.10008.5.1.4.1.1.2",
        sop_instance: b"1.2.3",
        transfer_syntax: b"1.2.840.10008.1.2",
    };

    fn plan(folder: &Path) -> StorePlan {
        StorePlan::Folder(folder.into(), FileIdentity { class_uid: "2.25.1".into(), version: "T".into() })
    }

    fn contents(received: &Received) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(received.len()).unwrap()];
        received.copy_to(&mut bytes).unwrap();
        bytes
    }

    #[test]
    fn an_object_appears_under_its_name_only_when_it_is_whole() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = Sink::for_object(&plan(folder.path()), OBJECT);
        sink.write(b"abcd");
        let target = folder.path().join("1.2.3.dcm");
        assert!(!target.exists());
        let received = sink.finish();
        assert!(target.exists());
        assert_eq!(contents(&received), b"abcd");
    }

    #[test]
    fn an_unfinished_object_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = Sink::for_object(&plan(folder.path()), OBJECT);
        sink.write(b"abcd");
        drop(sink);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_fails_the_object_and_nothing_else() {
        let mut sink = Sink::for_object(&plan(Path::new("/nonexistent/folder")), OBJECT);
        sink.write(b"abcd");
        assert!(matches!(sink.finish(), Received::Failed(_)));
    }

    #[test]
    fn large_datasets_leave_memory_for_a_file_that_goes_with_the_message() {
        let mut sink = Sink::for_object(&StorePlan::Memory, OBJECT);
        let piece = vec![7; SPILL_LIMIT / 2 + 1];
        sink.write(&piece);
        sink.write(&piece);
        let received = sink.finish();
        let Received::File { path, .. } = &received else { panic!("still in memory") };
        let path = path.clone();
        assert_eq!(contents(&received).len(), piece.len() * 2);
        drop(received);
        assert!(!path.exists());
    }

    #[test]
    fn hostile_names_stay_in_the_folder_and_apart() {
        let hostile: [&[u8]; 8] = [b"../x", b"/etc/passwd", b"..", b"", b"a\\b", b"1.2\0/3", b".1", b"../y"];
        let names: Vec<_> = hostile.iter().map(|uid| safe_name(uid)).collect();
        for name in &names {
            assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'), "{name}");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1);
        }
        assert_eq!(safe_name(b"1.2.840.1"), "1.2.840.1");
    }
}
