//! Files that datasets are written to: under a temporary name until they are whole, then in one step under their own.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IoSlice, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use super::header::{Attributes, HeaderReader};
use super::journal::{Change, Journal};
use super::layout::Layout;
use super::leftovers::part_name;
use super::{Object, Received};
use crate::part10;

/// Fragments below this length are gathered before they are written, in bytes: the file meta group, too, goes with what follows it.
const GATHER: usize = 8 << 10;

/// What is gathered at most, in bytes.
const GATHERED: usize = 64 << 10;

/// What is written into the file meta group as the writer's own identity.
#[derive(Debug, Clone)]
pub struct FileIdentity {
    /// (0002,0012) Implementation Class UID.
    pub class_uid: String,
    /// (0002,0013) Implementation Version Name.
    pub version: String,
}

/// What becomes of an object whose file is there already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Duplicates {
    /// It takes the other's place.
    Replace,
    /// It takes the other's place, unless it is the same to the byte.
    Update,
    /// It gets a name with a number.
    Keep,
    /// It is refused with this status, unless it is the same to the byte.
    Refuse(u16),
}

/// A folder for received objects.
#[derive(Debug, Clone)]
pub struct FolderPlan {
    /// Where; it must exist.
    pub folder: PathBuf,
    /// Where in it.
    pub layout: Layout,
    /// Attributes that the service is told.
    pub attributes: Attributes,
    /// What becomes of duplicates.
    pub duplicates: Duplicates,
    /// Whether file and folder are on the disk before the object counts as stored.
    pub fsync: bool,
    /// Who writes.
    pub identity: FileIdentity,
    /// Where it is recorded before it counts as stored.
    pub journal: Option<Arc<Journal>>,
}

impl FolderPlan {
    /// `<folder>/<SOP Instance UID>.dcm`
    pub fn flat(folder: PathBuf, identity: FileIdentity) -> Self {
        Self {
            folder,
            layout: Layout::flat(),
            attributes: Attributes::default(),
            duplicates: Duplicates::Replace,
            fsync: false,
            identity,
            journal: None,
        }
    }
}

/// What became of an object that was whole.
enum Placed {
    At {
        path: PathBuf,
        /// Where the dataset begins in the file.
        offset: u64,
        change: Change,
    },
    Refused(u16),
}

/// An unfinished file.
pub(super) struct FileSink {
    file: File,
    /// The name while it is unfinished; removed on drop unless it was finished.
    part: PathBuf,
    /// Where it goes; none for a temporary file, which keeps `part`.
    plan: Option<Arc<FolderPlan>>,
    /// Not yet written.
    gathered: Vec<u8>,
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

impl FileSink {
    fn create(folder: &Path, prefix: &str, plan: Option<Arc<FolderPlan>>, meta: Vec<u8>) -> io::Result<Self> {
        loop {
            let part = folder.join(format!("{prefix}{}", part_name()));
            // Read as well: to compare it with a duplicate.
            match OpenOptions::new().read(true).write(true).create_new(true).open(&part) {
                Ok(file) => {
                    let offset = meta.len() as u64;
                    return Ok(Self { file, part, plan, gathered: meta, offset, length: 0, finished: false });
                }
                // What another process left there; the next number is free.
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
    }

    pub(super) fn temporary(object: Option<(&Object, &FileIdentity)>) -> io::Result<Self> {
        let meta = object.map_or_else(Vec::new, |(object, identity)| meta(object, identity));
        Self::create(&std::env::temp_dir(), "dimsefast", None, meta)
    }

    pub(super) fn in_folder(plan: &Arc<FolderPlan>, object: &Object) -> io::Result<Self> {
        Self::create(&plan.folder, "", Some(plan.clone()), meta(object, &plan.identity))
    }

    pub(super) fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.length += bytes.len() as u64;
        if bytes.len() < GATHER && self.gathered.len() + bytes.len() <= GATHERED {
            self.gathered.extend_from_slice(bytes);
            return Ok(());
        }
        let mut pieces = [IoSlice::new(&self.gathered), IoSlice::new(bytes)];
        write_all(&mut self.file, &mut pieces)?;
        self.gathered.clear();
        Ok(())
    }

    /// Gives the file its own name.
    pub(super) fn finish(mut self, object: &Object, header: Option<&HeaderReader>) -> io::Result<Received> {
        self.file.write_all(&self.gathered)?;
        self.gathered = Vec::new();
        let Some(plan) = self.plan.take() else {
            self.finished = true;
            let path = self.part.clone();
            return Ok(Received::File { path, offset: self.offset, length: self.length, temporary: true });
        };
        let target = plan.folder.join(plan.layout.path(object, header));
        if plan.journal.is_some() {
            // The order in which objects came: the system's own time stamps are alike for milliseconds. They do where these cannot be set.
            let _ = self.file.set_modified(SystemTime::now());
        }
        let placed = on_disk(plan.fsync, || {
            if plan.fsync {
                self.file.sync_all()?;
            }
            match &plan.journal {
                Some(journal) => self.place_recorded(&plan, target, journal),
                None => self.place(&plan, target),
            }
        })?;
        Ok(match placed {
            Placed::At { path, offset, .. } => Received::File { path, offset, length: self.length, temporary: false },
            Placed::Refused(status) => Received::Refused(status),
        })
    }

    /// The same as [`place`](Self::place), and its record in the journal. Without that a new file goes again.
    fn place_recorded(&mut self, plan: &FolderPlan, target: PathBuf, journal: &Journal) -> io::Result<Placed> {
        let name = |path: &Path| path.strip_prefix(&plan.folder).unwrap_or(path).to_string_lossy().into_owned();
        let _mine = journal.place(&name(&target));
        let placed = self.place(plan, target.clone())?;
        let (path, change) = match &placed {
            Placed::At { path, change, .. } => (path, *change),
            // The one that is there may have come just before a crash, and have no record yet.
            Placed::Refused(_) => (&target, Change::Same),
        };
        if let Err(error) = journal.append(&name(path), change) {
            if change == Change::New {
                let _ = fs::remove_file(path);
            }
            return Err(io::Error::new(error.kind(), format!("the journal of the archive cannot be written: {error}")));
        }
        Ok(placed)
    }

    /// Moves it to `target`, or where duplicates belong.
    fn place(&mut self, plan: &FolderPlan, mut target: PathBuf) -> io::Result<Placed> {
        let mut change = Change::New;
        let mut copies = Copies::default();
        let parent = target.parent().unwrap_or(&plan.folder).to_owned();
        let mut made = false;
        loop {
            let moved = match plan.duplicates {
                Duplicates::Replace => fs::rename(&self.part, &target),
                Duplicates::Update | Duplicates::Keep | Duplicates::Refuse(_) => rename_new(&self.part, &target),
            };
            match moved {
                Ok(()) => break,
                // Made when the first object comes that belongs there, or anew where somebody removed it.
                Err(error) if error.kind() == io::ErrorKind::NotFound && !made => {
                    make_folders(&plan.folder, &parent, plan.fsync)?;
                    made = true;
                }
                Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
                Err(error) if plan.duplicates == Duplicates::Replace => return Err(error),
                Err(_) if plan.duplicates == Duplicates::Keep => target = copies.next(&target),
                Err(_) => {
                    if let Some(offset) = self.same_in(&target, plan.fsync)? {
                        // Not finished: what came goes.
                        return Ok(Placed::At { path: target, offset, change: Change::Same });
                    }
                    if let Duplicates::Refuse(status) = plan.duplicates {
                        return Ok(Placed::Refused(status));
                    }
                    fs::rename(&self.part, &target)?;
                    change = Change::Replaced;
                    break;
                }
            }
        }
        self.finished = true;
        if plan.fsync {
            File::open(&parent)?.sync_all()?;
        }
        Ok(Placed::At { path: target, offset: self.offset, change })
    }

    /// Where in the other file its dataset begins, if it is the same one in the same transfer syntax. With `fsync` that one is on the
    /// disk then.
    fn same_in(&mut self, other: &Path, fsync: bool) -> io::Result<Option<u64>> {
        let mut theirs = File::open(other)?;
        let Ok(their_meta) = part10::read_meta(&mut theirs, other) else { return Ok(None) };
        self.file.seek(SeekFrom::Start(0))?;
        let our_meta = part10::read_meta(&mut self.file, &self.part)?;
        let offset = their_meta.dataset_offset;
        if their_meta.transfer_syntax != our_meta.transfer_syntax
            || theirs.metadata()?.len().checked_sub(offset) != Some(self.length)
        {
            return Ok(None);
        }
        theirs.seek(SeekFrom::Start(offset))?;
        self.file.seek(SeekFrom::Start(self.offset))?;
        let (mut one, mut two) = (vec![0; GATHERED], vec![0; GATHERED]);
        let mut left = self.length;
        while left > 0 {
            let length = usize::try_from(left).unwrap_or(GATHERED).min(GATHERED);
            self.file.read_exact(&mut one[..length])?;
            theirs.read_exact(&mut two[..length])?;
            if one[..length] != two[..length] {
                return Ok(None);
            }
            left -= length as u64;
        }
        if fsync {
            theirs.sync_all()?;
            other.parent().map_or(Ok(()), |folder| File::open(folder)?.sync_all())?;
        }
        Ok(Some(offset))
    }
}

/// The names of second and further copies: `name_2.dcm` and so on.
#[derive(Default)]
struct Copies {
    /// The name without a number, and its extension.
    first: Option<(PathBuf, String, String)>,
    last: u64,
}

impl Copies {
    /// The next name that is free as far as can be seen. `target` is the first one on the first call.
    fn next(&mut self, target: &Path) -> PathBuf {
        let (folder, stem, extension) = self.first.get_or_insert_with(|| {
            let text = |part: Option<&std::ffi::OsStr>| part.unwrap_or_default().to_string_lossy().into_owned();
            let extension = target.extension().map_or_else(String::new, |_| format!(".{}", text(target.extension())));
            (target.parent().unwrap_or(Path::new("")).to_owned(), text(target.file_stem()), extension)
        });
        let name = |number: u64| folder.join(format!("{stem}_{number}{extension}"));
        if self.last > 0 {
            // Somebody was faster.
            self.last += 1;
            return name(self.last);
        }
        // A peer that sends one object ten thousand times must not make us look ten thousand times for each.
        let is_taken = |number: u64| fs::symlink_metadata(name(number)).is_ok();
        let mut free = 2;
        while is_taken(free) && free < 1 << 40 {
            free *= 2;
        }
        let mut taken = free / 2;
        while taken + 1 < free {
            let middle = taken.midpoint(free);
            if is_taken(middle) {
                taken = middle;
            } else {
                free = middle;
            }
        }
        self.last = free;
        name(free)
    }
}

/// Renames where nothing has the new name yet.
fn rename_new(from: &Path, to: &Path) -> io::Result<()> {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    {
        use rustix::fs::{CWD, RenameFlags, renameat_with};
        use rustix::io::Errno;
        match renameat_with(CWD, from, CWD, to, RenameFlags::NOREPLACE) {
            // Not every file system can.
            Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
            result => return result.map_err(io::Error::from),
        }
    }
    fs::hard_link(from, to)?;
    fs::remove_file(from)
}

/// Makes the folders from `root`, which must exist, down to `folder`.
fn make_folders(root: &Path, folder: &Path, fsync: bool) -> io::Result<()> {
    let Ok(below) = folder.strip_prefix(root) else { return Err(io::ErrorKind::NotFound.into()) };
    let mut at = root.to_owned();
    for name in below {
        let parent = at.clone();
        at.push(name);
        match fs::create_dir(&at) {
            Ok(()) if fsync => File::open(&parent)?.sync_all()?,
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Runs what waits for the disk, so that a thread of the runtime leaves its other connections to another thread meanwhile.
fn on_disk<T>(waits: bool, f: impl FnOnce() -> T) -> T {
    if waits && tokio::runtime::Handle::try_current().is_ok() { tokio::task::block_in_place(f) } else { f() }
}

fn write_all(file: &mut File, mut pieces: &mut [IoSlice<'_>]) -> io::Result<()> {
    IoSlice::advance_slices(&mut pieces, 0);
    while !pieces.is_empty() {
        match file.write_vectored(pieces) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(length) => IoSlice::advance_slices(&mut pieces, length),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn meta(object: &Object, identity: &FileIdentity) -> Vec<u8> {
    part10::meta_bytes(
        &object.sop_class,
        &object.sop_instance,
        &object.transfer_syntax,
        identity.class_uid.as_bytes(),
        identity.version.as_bytes(),
    )
}

#[cfg(test)]
#[path = "file_tests.rs"]
mod tests;
