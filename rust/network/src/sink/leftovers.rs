//! Names of unfinished files, and removing those of processes that are no more.
//!
//! A name says who writes: the host (or container) and its start, the process, and when that began, as process IDs come again.

use std::fs;
use std::io;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// How long nobody must have written to an unfinished file of another host before it is removed.
const ABANDONED: Duration = Duration::from_secs(24 * 60 * 60);

/// Makes names unique within the process.
static UNIQUE: AtomicU64 = AtomicU64::new(0);

/// The host, and when the process began. A fork's child has its parent's, and another process ID.
fn identity() -> (u64, u64) {
    static IDENTITY: OnceLock<(u64, u64)> = OnceLock::new();
    *IDENTITY.get_or_init(|| {
        use std::hash::{DefaultHasher, Hash, Hasher};
        // Keyed with constants: the same in every process of this release.
        let mut hasher = DefaultHasher::new();
        rustix::system::uname().nodename().to_bytes().hash(&mut hasher);
        // Process IDs mean something among the processes of one start and one namespace only.
        fs::read("/proc/sys/kernel/random/boot_id").unwrap_or_default().hash(&mut hasher);
        fs::read_link("/proc/self/ns/pid").unwrap_or_default().hash(&mut hasher);
        let began = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        (hasher.finish(), u64::try_from(began.as_nanos()).unwrap_or(u64::MAX))
    })
}

/// A name for an unfinished file: `.<host>-<process ID>-<began>-<number>.part`.
pub(super) fn part_name() -> String {
    let (host, began) = identity();
    format!(".{host:x}-{}-{began:x}-{}.part", std::process::id(), UNIQUE.fetch_add(1, Ordering::Relaxed))
}

/// Removes what processes that are no more have left unfinished in the folder; how many files. Those of other hosts count as left where
/// nobody has written to them for a day.
///
/// # Errors
/// Where the folder cannot be read.
pub fn remove_leftovers(folder: &Path) -> io::Result<usize> {
    let mut removed = 0;
    for entry in fs::read_dir(folder)? {
        let Ok(entry) = entry else { continue };
        let name = entry.file_name();
        if name.to_str().is_some_and(|name| is_left(name, || is_abandoned(&entry))) {
            // Where it cannot be removed it does no harm.
            removed += usize::from(fs::remove_file(entry.path()).is_ok());
        }
    }
    Ok(removed)
}

fn is_abandoned(entry: &fs::DirEntry) -> bool {
    let modified = entry.metadata().and_then(|metadata| metadata.modified());
    modified.is_ok_and(|modified| modified.elapsed().is_ok_and(|age| age > ABANDONED))
}

/// Whether the name is one of ours, and nobody works on the file any more.
fn is_left(name: &str, is_abandoned: impl FnOnce() -> bool) -> bool {
    let Some(fields) = name.strip_prefix('.').and_then(|name| name.strip_suffix(".part")) else { return false };
    let fields: Vec<_> = fields.split('-').collect();
    let [host, process, began, number] = fields[..] else { return false };
    let (Ok(host), Ok(process), Ok(began), Ok(_)) =
        (u64::from_str_radix(host, 16), process.parse::<u32>(), u64::from_str_radix(began, 16), number.parse::<u64>())
    else {
        return false;
    };
    let (own_host, own_began) = identity();
    if host != own_host {
        return is_abandoned();
    }
    if process == std::process::id() {
        return began != own_began;
    }
    !is_alive(process)
}

fn is_alive(process: u32) -> bool {
    let process = i32::try_from(process).ok().and_then(rustix::process::Pid::from_raw);
    // One that may not be signalled is alive.
    process.is_some_and(|process| !matches!(rustix::process::test_kill_process(process), Err(rustix::io::Errno::SRCH)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_dead_processes_are_removed() {
        let folder = tempfile::tempdir().unwrap();
        let (host, began) = identity();
        let mut child = std::process::Command::new("true").spawn().unwrap();
        let dead = child.id();
        child.wait().unwrap();
        let left = [format!(".{host:x}-{dead}-1-0.part"), format!(".{host:x}-{}-1-0.part", std::process::id())];
        let kept = [
            part_name(),
            format!(".{host:x}-1-{began:x}-0.part"),
            format!(".{:x}-{dead}-1-0.part", host ^ 1),
            "1.2.3.dcm".to_owned(),
            ".other.part".to_owned(),
            ".1-2-3.part".to_owned(),
        ];
        for name in left.iter().chain(&kept) {
            fs::write(folder.path().join(name), b"x").unwrap();
        }
        assert_eq!(remove_leftovers(folder.path()).unwrap(), left.len());
        for name in &kept {
            assert!(folder.path().join(name).exists(), "{name}");
        }
        assert!(is_left(&kept[2], || true), "of another host, and nobody has written for a day");
    }
}
