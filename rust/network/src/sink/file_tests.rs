//! Files of received objects: names, duplicates, folders that come and go.

use std::os::unix::fs::PermissionsExt;

use dimsefast_identifier::codec::{Syntax, Writer};
use dimsefast_identifier::{Tag, Vr};

use super::super::tests::contents;
use super::super::{Sink, StorePlan};
use super::*;

const ID: Tag = Tag(0x0010_0020);

fn object(instance: &str) -> Object {
    Object {
        sop_class: b"1.2.840.10008.5.1.4.1.1.2".to_vec(),
        sop_instance: instance.as_bytes().to_vec(),
        transfer_syntax: b"1.2.840.10008.1.2.1".to_vec(),
        ..Object::default()
    }
}

fn identity() -> FileIdentity {
    FileIdentity { class_uid: "2.25.1".into(), version: "T".into() }
}

fn plan(folder: &Path, layout: &str, duplicates: Duplicates) -> StorePlan {
    let mut find = |keyword: &str| (keyword == "PatientID").then_some(ID);
    let layout = Layout::new(layout, "nobody", &mut find).unwrap();
    let plan = FolderPlan { layout, duplicates, fsync: true, ..FolderPlan::flat(folder.into(), identity()) };
    StorePlan::Folder(Arc::new(plan))
}

fn dataset(patient: &str, pixels: u8) -> Vec<u8> {
    let mut writer = Writer::new(Syntax::EXPLICIT);
    writer.element(Tag::SPECIFIC_CHARACTER_SET, Vr::CS, b"ISO_IR 192");
    writer.element(ID, Vr::LO, patient.as_bytes());
    writer.element(Tag::PIXEL_DATA, Vr::OW, &vec![pixels; 50_000]);
    writer.finish()
}

fn store(plan: &StorePlan, instance: &str, bytes: &[u8]) -> Received {
    let mut sink = Sink::for_object(plan, &object(instance));
    bytes.chunks(10_000).for_each(|piece| sink.write(piece));
    sink.finish(&object(instance))
}

fn path_of(received: &Received) -> PathBuf {
    let Received::File { path, .. } = received else { panic!("{received:?}") };
    path.clone()
}

/// All files below, relative.
fn files(folder: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut left = vec![folder.to_owned()];
    while let Some(at) = left.pop() {
        for entry in fs::read_dir(at).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                left.push(path);
            } else {
                found.push(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

#[test]
fn an_object_appears_under_its_name_only_when_it_is_whole() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), "{PatientID}/{SOPInstanceUID}.dcm", Duplicates::Replace);
    let bytes = dataset("1CT1", 7);
    let mut sink = Sink::for_object(&plan, &object("1.2.3"));
    sink.write(&bytes[..30_000]);
    assert!(files(folder.path()).iter().all(|name| name.ends_with(".part")));
    sink.write(&bytes[30_000..]);
    let received = sink.finish(&object("1.2.3"));
    assert_eq!(files(folder.path()), ["1CT1/1.2.3.dcm"]);
    assert_eq!(contents(&received), bytes);
    let meta = part10::read_meta(&mut File::open(path_of(&received)).unwrap(), folder.path()).unwrap();
    assert_eq!(meta.sop_instance, b"1.2.3");
}

#[test]
fn hostile_values_stay_in_the_folder() {
    let outside = tempfile::tempdir().unwrap();
    let folder = outside.path().join("folder");
    fs::create_dir(&folder).unwrap();
    let plan = plan(&folder, "{PatientID}/{SOPInstanceUID}.dcm", Duplicates::Refuse(0x0111));
    let long = "x".repeat(20_000);
    let hostile = ["../../etc", "/etc/passwd", "..", ".", "a\0b", "\\\\host\\share", "ü/ñ", "CON", &long, ""];
    for patient in hostile {
        for instance in ["../../x", "/etc/passwd", "1.2.3"] {
            path_of(&store(&plan, instance, &dataset(patient, 1)));
        }
    }
    assert_eq!(fs::read_dir(outside.path()).unwrap().count(), 1);
    assert_eq!(fs::read_dir(&folder).unwrap().count(), hostile.len(), "different values share a folder");
    assert!(files(&folder).contains(&"nobody/1.2.3.dcm".to_owned()));
    assert_eq!(files(&folder).len(), 3 * hostile.len());
}

#[test]
fn duplicates_are_replaced_kept_or_refused() {
    let folder = tempfile::tempdir().unwrap();
    let layout = "{SOPInstanceUID}.dcm";
    let replace = plan(folder.path(), layout, Duplicates::Replace);
    store(&replace, "1.2", &dataset("A", 1));
    assert_eq!(contents(&store(&replace, "1.2", &dataset("A", 2))), dataset("A", 2));
    assert_eq!(files(folder.path()), ["1.2.dcm"]);

    let refuse = plan(folder.path(), layout, Duplicates::Refuse(0x0111));
    assert!(matches!(store(&refuse, "1.2", &dataset("A", 3)), Received::Refused(0x0111)));
    let same = store(&refuse, "1.2", &dataset("A", 2));
    assert_eq!(path_of(&same), folder.path().join("1.2.dcm"));
    assert_eq!(contents(&same), dataset("A", 2));
    // What is no DICOM file is not the same, either.
    fs::write(folder.path().join("1.3.dcm"), b"hello").unwrap();
    assert!(matches!(store(&refuse, "1.3", &dataset("A", 3)), Received::Refused(0x0111)));
    fs::remove_file(folder.path().join("1.3.dcm")).unwrap();
    assert_eq!(files(folder.path()), ["1.2.dcm"]);

    let keep = plan(folder.path(), layout, Duplicates::Keep);
    for pixels in 4..20 {
        let received = store(&keep, "1.2", &dataset("A", pixels));
        assert_eq!(contents(&received), dataset("A", pixels));
    }
    let names = files(folder.path());
    assert_eq!(names.len(), 17, "{names:?}");
    assert!(names.contains(&"1.2_2.dcm".to_owned()) && names.contains(&"1.2_17.dcm".to_owned()), "{names:?}");
    assert!(fs::read(folder.path().join("1.2.dcm")).unwrap().ends_with(&dataset("A", 2)), "the first stays as it was");
}

#[test]
fn folders_are_made_when_needed_and_again_where_somebody_removed_them() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), "{PatientID}/x/{SOPInstanceUID}.dcm", Duplicates::Replace);
    store(&plan, "1.2", &dataset("A", 1));
    fs::remove_dir_all(folder.path().join("A")).unwrap();
    path_of(&store(&plan, "1.3", &dataset("A", 1)));
    assert_eq!(files(folder.path()), ["A/x/1.3.dcm"]);
}

#[test]
fn what_cannot_be_placed_leaves_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let plan = plan(folder.path(), "{PatientID}/{SOPInstanceUID}.dcm", Duplicates::Replace);
    // A file where a folder should be.
    fs::write(folder.path().join("A"), b"x").unwrap();
    assert!(matches!(store(&plan, "1.2", &dataset("A", 1)), Received::Failed(_)));
    assert_eq!(files(folder.path()), ["A"]);
    // The folder goes while the object comes.
    let vanishing = folder.path().join("vanishing");
    fs::create_dir(&vanishing).unwrap();
    let plan = self::plan(&vanishing, "{PatientID}/{SOPInstanceUID}.dcm", Duplicates::Replace);
    let mut sink = Sink::for_object(&plan, &object("1.2"));
    sink.write(&dataset("A", 1));
    fs::remove_dir_all(&vanishing).unwrap();
    assert!(matches!(sink.finish(&object("1.2")), Received::Failed(_)));
    assert!(!vanishing.exists(), "a folder that was taken away is not made again");
}

#[test]
fn a_folder_that_cannot_be_written_to_fails_the_object() {
    let folder = tempfile::tempdir().unwrap();
    fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o500)).unwrap();
    if File::create(folder.path().join("probe")).is_ok() {
        // A superuser may write everywhere: /proc is what nobody can make files in.
        assert!(matches!(
            store(&plan(Path::new("/proc"), "{SOPInstanceUID}.dcm", Duplicates::Replace), "1.2", b"x"),
            Received::Failed(_)
        ));
        return;
    }
    let plan = plan(folder.path(), "{SOPInstanceUID}.dcm", Duplicates::Replace);
    assert!(matches!(store(&plan, "1.2", b"x"), Received::Failed(_)));
}

#[cfg(target_os = "linux")]
#[test]
fn a_full_disk_fails_the_object() {
    let full = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    let folder = tempfile::tempdir().unwrap();
    let plan = Arc::new(FolderPlan::flat(folder.path().into(), identity()));
    let mut sink = FileSink::in_folder(&plan, &object("1.2")).unwrap();
    sink.file = full;
    assert_eq!(sink.write(&[0; 100_000]).unwrap_err().kind(), io::ErrorKind::StorageFull);
    drop(sink);
    assert!(files(folder.path()).is_empty());
    // A small one fails at its end.
    let mut sink = FileSink::in_folder(&plan, &object("1.2")).unwrap();
    sink.file = OpenOptions::new().read(true).write(true).open("/dev/full").unwrap();
    sink.write(&[0; 100]).unwrap();
    assert!(sink.finish(&object("1.2"), None).is_err());
    assert!(files(folder.path()).is_empty());
}
