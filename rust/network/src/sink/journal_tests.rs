//! Records, torn tails, segments, waiting and flushing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::super::tests::contents;
use super::super::{Duplicates, FileIdentity, FolderPlan, Layout, Object, Received, Sink, StorePlan};
use super::*;

const START: Position = Position { segment: 1, offset: 0 };

fn names(journal: &Journal, from: Position) -> Vec<String> {
    let (records, end) = journal.read(from, usize::MAX).unwrap();
    assert_eq!(end, journal.position());
    records.into_iter().map(|record| record.name).collect()
}

#[test]
fn what_was_written_is_read_in_order_also_after_it_was_opened_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), true).unwrap();
    assert_eq!((journal.position(), journal.beginning().unwrap()), (START, START));
    let between = journal.append("a/ü.dcm", Change::New).unwrap();
    journal.append("b", Change::Same).unwrap();
    assert_eq!(journal.read(START, 1).unwrap(), (vec![Record { name: "a/ü.dcm".into(), change: 0 }], between));
    assert_eq!(journal.read(between, 9).unwrap().0, [Record { name: "b".into(), change: 2 }]);
    drop(journal);
    let journal = Journal::open(folder.path(), false).unwrap();
    journal.append("c", Change::Removed).unwrap();
    assert_eq!(names(&journal, START), ["a/ü.dcm", "b", "c"]);
    assert_eq!(names(&journal, journal.position()), [""; 0]);
}

#[test]
fn a_tail_that_is_torn_at_any_byte_is_cut_off_and_written_over() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), false).unwrap();
    journal.append("first", Change::New).unwrap();
    let whole = journal.append("second", Change::New).unwrap();
    journal.append("torn/1.2.840.10008.dcm", Change::New).unwrap();
    drop(journal);
    let path = segment::path(folder.path(), 1);
    let bytes = fs::read(&path).unwrap();
    for length in whole.offset as usize..bytes.len() {
        // Cut short; and with nothing but zeros where a file system has not written yet.
        let zeros = vec![0; bytes.len() - length];
        for torn in [bytes[..length].to_vec(), [&bytes[..length], &zeros].concat()] {
            fs::write(&path, &torn).unwrap();
            let journal = Journal::open(folder.path(), false).unwrap();
            assert_eq!(journal.position(), whole, "{length}");
            journal.append("third", Change::New).unwrap();
            assert_eq!(names(&journal, START), ["first", "second", "third"], "{length}");
        }
    }
}

#[test]
fn segments_follow_each_other_and_go_when_they_are_done() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::with_limit(folder.path(), true, 100).unwrap();
    let written: Vec<String> = (0..50).map(|number| format!("name-{number}")).collect();
    let positions: Vec<_> = written.iter().map(|name| journal.append(name, Change::New).unwrap()).collect();
    assert!(journal.position().segment > 5);
    assert_eq!(names(&journal, START), written);
    for (at, position) in positions.iter().enumerate() {
        assert_eq!(names(&journal, *position), written[at + 1..]);
        // In pieces, over the ends of segments.
        assert_eq!(journal.read(*position, 7).unwrap().0.len(), (written.len() - at - 1).min(7));
    }
    let middle = positions[20];
    journal.done(middle.segment).unwrap();
    assert_eq!(journal.beginning().unwrap().segment, middle.segment);
    assert_eq!(names(&journal, middle), written[21..]);
    journal.done(u64::MAX).unwrap();
    assert_eq!(journal.beginning().unwrap().segment, journal.position().segment, "the last one stays");
    // What was taken over long ago and is no more.
    assert!(names(&journal, START).len() < 10);
}

#[test]
fn damage_costs_the_rest_of_its_segment() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::with_limit(folder.path(), false, 60).unwrap();
    for number in 0..12 {
        journal.append(&format!("name-{number}"), Change::New).unwrap();
    }
    let all = names(&journal, START);
    let path = segment::path(folder.path(), 2);
    let mut bytes = fs::read(&path).unwrap();
    let frame = segment::frame(&all[0], Change::New).len();
    bytes[frame + 10] ^= 1;
    fs::write(&path, bytes).unwrap();
    let left = names(&journal, START);
    assert!(left.len() < all.len() && left.last() == all.last() && left[..4] == all[..4], "{left:?}");
}

#[test]
fn who_waits_is_woken_by_a_record_and_by_the_end() {
    let folder = tempfile::tempdir().unwrap();
    let journal = &Journal::open(folder.path(), false).unwrap();
    let short = &mut Patience::at_most(Some(Duration::from_millis(1)));
    assert!(matches!(journal.wait(START, short), Err(WaitError::Timeout)));
    std::thread::scope(|scope| {
        let waiter = scope.spawn(|| journal.wait(START, &mut Patience::at_most(None)));
        while locked(&journal.writer).waiting == 0 {
            std::thread::yield_now();
        }
        let end = journal.append("a", Change::New).unwrap();
        assert_eq!(waiter.join().unwrap().unwrap(), end);
        let waiter = scope.spawn(move || journal.wait(end, &mut Patience::at_most(None)));
        journal.close();
        assert!(matches!(waiter.join().unwrap(), Err(WaitError::Ended)));
    });
    assert!(journal.append("b", Change::New).is_err());
    let no_time = &mut Patience::at_most(Some(Duration::ZERO));
    assert!(journal.wait(START, no_time).is_ok(), "what is there is still read");
}

#[test]
fn many_threads_write_whole_records_and_share_their_flushes() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::with_limit(folder.path(), true, 4096).unwrap();
    let written = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..8 {
            let (journal, written) = (&journal, &written);
            scope.spawn(move || {
                for number in 0..100 {
                    let end = journal.append(&format!("{thread}/{number}"), Change::New).unwrap();
                    assert!(locked(&journal.flushed).up_to >= end);
                    written.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    let names = names(&journal, START);
    assert_eq!(names.len(), written.into_inner());
    for thread in 0..8 {
        let prefix = format!("{thread}/");
        let own: Vec<_> = names.iter().filter_map(|name| name.strip_prefix(&prefix)).collect();
        assert!(own.iter().enumerate().all(|(at, number)| number.parse() == Ok(at)), "{own:?}");
    }
}

#[test]
fn what_cannot_be_flushed_is_an_error_and_begins_a_new_segment() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), true).unwrap();
    journal.append("a", Change::New).unwrap();
    // Neither takes a flush.
    let (reader, writer) = io::pipe().unwrap();
    locked(&journal.writer).file = Some(Arc::new(File::from(std::os::fd::OwnedFd::from(writer))));
    assert!(journal.append("b", Change::New).is_err());
    assert!(locked(&journal.writer).spoilt);
    drop(reader);
    let end = journal.append("c", Change::New).unwrap();
    assert_eq!(end.segment, 2);
    assert!(names(&journal, START).ends_with(&["c".to_owned()]));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_is_an_error_and_the_next_record_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::open(folder.path(), false).unwrap();
    journal.append("a", Change::New).unwrap();
    let file = locked(&journal.writer).file.clone().unwrap();
    locked(&journal.writer).file = Some(Arc::new(OpenOptions::new().write(true).open("/dev/full").unwrap()));
    assert_eq!(journal.append("b", Change::New).unwrap_err().kind(), ErrorKind::StorageFull);
    // /dev/full cannot be cut: it is tried again, and the file itself can.
    (&*file).write_all(b"half a rec").unwrap();
    locked(&journal.writer).file = Some(file);
    assert!(locked(&journal.writer).torn);
    journal.append("c", Change::New).unwrap();
    assert_eq!(names(&journal, START), ["a", "c"]);
}

fn object(instance: &str) -> Object {
    Object {
        sop_class: b"1.2.840.10008.5.1.4.1.1.2".to_vec(),
        sop_instance: instance.as_bytes().to_vec(),
        transfer_syntax: b"1.2.840.10008.1.2.1".to_vec(),
        ..Object::default()
    }
}

fn store(plan: &FolderPlan, instance: &str, bytes: &[u8]) -> Received {
    let mut sink = Sink::for_object(&StorePlan::Folder(Arc::new(plan.clone())), &object(instance));
    sink.write(bytes);
    sink.finish(&object(instance))
}

fn plan(folder: &Path, journal: &Arc<Journal>, duplicates: Duplicates) -> FolderPlan {
    let identity = FileIdentity { class_uid: "2.25.1".into(), version: "T".into() };
    let layout = "objects/{SOPInstanceUID.hash}/{SOPInstanceUID}.dcm";
    FolderPlan {
        layout: Layout::new(layout, "none", &mut |_| None).unwrap(),
        duplicates,
        journal: Some(journal.clone()),
        ..FolderPlan::flat(folder.into(), identity)
    }
}

#[test]
fn every_object_that_counts_as_stored_has_its_record() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::open(&folder.path().join(".journal"), false).unwrap());
    let update = plan(folder.path(), &journal, Duplicates::Update);
    let Received::File { path, .. } = &store(&update, "1.2.3", b"one") else { panic!() };
    let name = path.strip_prefix(folder.path()).unwrap().to_str().unwrap().to_owned();
    assert_eq!(name, format!("objects/{}/1.2.3.dcm", super::super::uid_hash(b"1.2.3")));
    assert_eq!(contents(&store(&update, "1.2.3", b"one")), b"one");
    assert_eq!(contents(&store(&update, "1.2.3", b"two!")), b"two!");
    let refuse = plan(folder.path(), &journal, Duplicates::Refuse(0x0111));
    assert!(matches!(store(&refuse, "1.2.3", b"three"), Received::Refused(0x0111)));
    assert_eq!(contents(&store(&refuse, "1.2.3", b"two!")), b"two!");
    let first = plan(folder.path(), &journal, Duplicates::Refuse(0xB006));
    assert!(matches!(store(&first, "1.2.3", b"three"), Received::Refused(0xB006)));
    let (records, _) = journal.read(START, 9).unwrap();
    assert!(records.iter().all(|record| record.name == name));
    let changes: Vec<u8> = records.iter().map(|record| record.change).collect();
    assert_eq!(changes, [0, 2, 1, 2, 2, 2]);
}

#[test]
fn an_object_without_its_record_fails_and_goes_unless_it_was_there() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::open(&folder.path().join(".journal"), false).unwrap());
    let plan = plan(folder.path(), &journal, Duplicates::Update);
    let Received::File { path, .. } = &store(&plan, "1.2.3", b"one") else { panic!() };
    journal.close();
    for bytes in [b"one", b"two"] {
        assert!(matches!(store(&plan, "1.2.3", bytes), Received::Failed(_)));
        assert!(path.exists());
    }
    assert!(matches!(store(&plan, "1.2.4", b"one"), Received::Failed(_)));
    let hash = super::super::uid_hash(b"1.2.4");
    assert!(!folder.path().join(format!("objects/{hash}/1.2.4.dcm")).exists());
    assert!(fs::read_dir(folder.path()).unwrap().all(|entry| !entry.unwrap().path().ends_with(".part")));
}

/// The crash between rename and record: the file is there, nobody was told so. The peer sends it again.
#[test]
fn a_file_that_has_no_record_gets_one_when_the_object_comes_again() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Arc::new(Journal::open(&folder.path().join(".journal"), false).unwrap());
    let recorded = plan(folder.path(), &journal, Duplicates::Update);
    store(&FolderPlan { journal: None, ..recorded.clone() }, "1.2.3", b"one");
    assert_eq!(journal.position(), START);
    assert_eq!(contents(&store(&recorded, "1.2.3", b"one")), b"one");
    assert_eq!(names(&journal, START).len(), 1);
}
