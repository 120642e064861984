//! Where the dataset of a message goes while it comes in.
//!
//! A [`Sink`] takes the pieces of one dataset as they are read, and becomes a [`Received`]. What the service must see before the rest can go
//! on (the question where it belongs, the pieces for a writer of the service's own) is a [`Turn`]: the connection stops reading until it is
//! [answered](Answer).

mod file;
mod header;
mod journal;
mod layout;
mod leftovers;
mod name;
mod received;
mod segment;
mod turn;

use std::io;
use std::sync::Arc;

use dimsefast_protocol::types::{AeTitle, Uid};

pub use file::{Duplicates, FileIdentity, FolderPlan};
pub use header::{Attributes, Header};
pub(crate) use header::{text, unpadded};
pub use journal::{Change, Journal, Position};
pub use layout::{Layout, LayoutError, check_attribute};
pub use leftovers::remove_leftovers;
pub use name::{safe_uid, safe_value, uid_hash};
pub use received::Received;
pub use segment::Record;
pub use turn::{Answer, Turn, Writer};

use crate::part10::FileMeta;
use crate::source::Source;
use file::FileSink;
use header::HeaderReader;
use turn::Written;

/// A memory sink moves to a temporary file above this many bytes.
pub(crate) const SPILL_LIMIT: usize = 64 << 20;

/// How much memory is taken before it is needed, in bytes, and for pieces of which length.
const EXPECTED_LIMIT: usize = 4 << 20;
const LONG: usize = 16 << 10;

/// What is read of a file at a time, in bytes.
const PIECE: usize = 256 << 10;

/// What comes before the service is asked where an object belongs is kept up to this many bytes: then it is asked with what there is.
const QUESTION_LIMIT: usize = 1 << 20;

/// Where received composite objects (C-STORE) go. Every other dataset goes to memory.
#[derive(Debug, Clone)]
pub enum StorePlan {
    /// Into memory, above 64 MiB into a temporary file.
    Memory,
    /// Into a temporary DICOM file that lives as long as its message.
    Temporary(FileIdentity),
    /// Into a folder, under a temporary name until it is whole.
    Folder(Arc<FolderPlan>),
    /// Nowhere: it is counted, and the attributes told.
    Discard(Attributes),
    /// Where the service says, once these attributes have come.
    Ask(Attributes),
}

impl StorePlan {
    /// Whether an object is settled without the service, if that does not want to be told.
    pub(crate) fn keeps_objects(&self) -> bool {
        !matches!(self, Self::Memory | Self::Temporary(_))
    }
}

/// The object that is received.
#[derive(Debug, Clone, Default)]
pub(crate) struct Object {
    /// SOP Class UID, padding removed.
    pub(crate) sop_class: Vec<u8>,
    /// SOP Instance UID as the peer sent it, padding removed; not trusted.
    pub(crate) sop_instance: Vec<u8>,
    /// Transfer syntax of the presentation context.
    pub(crate) transfer_syntax: Vec<u8>,
    /// AE titles of the association; not trusted.
    pub(crate) calling: String,
    pub(crate) called: String,
}

impl Object {
    pub(crate) fn new(class: Option<&Uid>, instance: Option<&Uid>, syntax: Option<&Uid>) -> Self {
        let trimmed = |uid: Option<&Uid>| uid.map_or_else(Vec::new, |uid| uid.trimmed().to_vec());
        Self {
            sop_class: trimmed(class),
            sop_instance: trimmed(instance),
            transfer_syntax: trimmed(syntax),
            ..Self::default()
        }
    }

    pub(crate) fn of_association(mut self, calling: &AeTitle, called: &AeTitle) -> Self {
        self.calling = calling.to_string_lossy();
        self.called = called.to_string_lossy();
        self
    }
}

/// A dataset that is coming in.
pub(crate) struct Sink {
    target: Target,
    /// See [`expecting`](Self::expecting).
    expected: usize,
    attributes: Attributes,
    header: Option<HeaderReader>,
}

enum Target {
    Memory(Vec<u8>),
    File(FileSink),
    Discard(u64),
    /// What came before the service says where it goes.
    Asking(Vec<u8>),
    Writer(Written),
    Failed(io::Error),
    Refused(u16),
}

impl Sink {
    /// A sink for anything but an object.
    pub(crate) fn memory() -> Self {
        Self { target: Target::Memory(Vec::new()), attributes: Attributes::default(), header: None, expected: 0 }
    }

    /// A sink for an object that is answered with this status, whatever it is.
    pub(crate) fn refusing(status: u16) -> Self {
        Self { target: Target::Refused(status), ..Self::memory() }
    }

    /// A sink for a received object.
    pub(crate) fn for_object(plan: &StorePlan, object: &Object) -> Self {
        let (target, attributes, layout) = match plan {
            StorePlan::Memory => return Self::memory(),
            StorePlan::Discard(attributes) => (Ok(Target::Discard(0)), attributes.clone(), None),
            StorePlan::Ask(attributes) => (Ok(Target::Asking(Vec::new())), attributes.clone(), None),
            StorePlan::Temporary(identity) => {
                let file = FileSink::temporary(Some((object, identity)));
                (file.map(Target::File), Attributes::default(), None)
            }
            StorePlan::Folder(plan) => {
                let file = FileSink::in_folder(plan, object);
                (file.map(Target::File), plan.attributes.clone(), Some(&plan.layout))
            }
        };
        let wanted = attributes.tags().chain(layout.into_iter().flat_map(|layout| layout.tags().iter().copied()));
        let header = HeaderReader::new(&object.transfer_syntax, wanted);
        Self { target: target.unwrap_or_else(Target::Failed), attributes, header, expected: 0 }
    }

    /// Where the next `length` bytes can be read to at once, without a copy.
    pub(crate) fn room(&mut self, length: usize) -> Option<&mut Vec<u8>> {
        match (&mut self.target, &self.header) {
            (Target::Memory(held), None) if held.len() + length <= SPILL_LIMIT => {
                make_room(held, length, self.expected);
                Some(held)
            }
            _ => None,
        }
    }

    /// Room for about so many bytes is taken as soon as a long piece comes: memory that grows is copied, mostly.
    pub(crate) fn expecting(mut self, length: usize) -> Self {
        self.expected = length.min(EXPECTED_LIMIT);
        self
    }

    /// Takes the next piece. Failures are kept until [`finish`](Self::finish): the peer sends the rest anyway.
    pub(crate) fn write(&mut self, bytes: &[u8]) {
        if let Some(header) = &mut self.header {
            header.feed(bytes);
        }
        let result = match &mut self.target {
            Target::Memory(held) if held.len() + bytes.len() <= SPILL_LIMIT => {
                make_room(held, bytes.len(), self.expected);
                held.extend_from_slice(bytes);
                return;
            }
            Target::Memory(held) => FileSink::temporary(None).and_then(|mut file| {
                file.write(held)?;
                file.write(bytes)?;
                Ok(Some(file))
            }),
            Target::File(file) => file.write(bytes).map(|()| None),
            Target::Discard(length) => {
                *length += bytes.len() as u64;
                return;
            }
            Target::Writer(written) => {
                written.write(bytes);
                return;
            }
            Target::Asking(held) => {
                held.extend_from_slice(bytes);
                return;
            }
            Target::Failed(_) | Target::Refused(_) => return,
        };
        match result {
            Ok(Some(file)) => self.target = Target::File(file),
            Ok(None) => {}
            Err(error) => self.target = Target::Failed(error),
        }
    }

    /// Whether it is the service's turn; `whole` where nothing more comes. Until it is [answered](Self::answer), nothing more must be
    /// written.
    pub(crate) fn turn(&mut self, whole: bool) -> Option<Turn> {
        match &mut self.target {
            Target::Asking(held) => {
                let has_come = self.header.as_ref().is_none_or(HeaderReader::is_done);
                (whole || has_come || held.len() >= QUESTION_LIMIT).then_some(Turn::Decide)
            }
            Target::Writer(written) => written.turn(whole),
            _ => None,
        }
    }

    /// The service had its turn.
    pub(crate) fn answer(&mut self, answer: &Answer, object: &Object) {
        let held = match &mut self.target {
            Target::Asking(held) => std::mem::take(held),
            Target::Writer(..) => {
                if let Answer::Refuse(status) = answer {
                    self.target = Target::Refused(*status);
                }
                return;
            }
            _ => return,
        };
        match answer {
            Answer::Into(StorePlan::Memory | StorePlan::Ask(_)) => {
                *self = Self { target: Target::Memory(held), ..Self::memory() };
            }
            Answer::Into(plan) => {
                *self = Self::for_object(plan, object);
                self.write(&held);
            }
            Answer::Write(writer) => self.target = Target::Writer(Written::new(writer.clone(), held)),
            // No answer to the question: as if it had said nothing special.
            Answer::Written => self.target = Target::Memory(held),
            Answer::Refuse(status) => self.target = Target::Refused(*status),
        }
    }

    /// The attributes that were asked for, as far as they have come.
    pub(crate) fn header(&self) -> Header {
        self.header.as_ref().map_or_else(Vec::new, |header| self.attributes.texts(header))
    }

    /// A dataset that is in a file goes the way of one that comes in.
    fn write_all(&mut self, source: &Source) -> io::Result<()> {
        let (mut at, mut piece) = (0, Vec::new());
        while at < source.len() {
            piece.clear();
            source.read_at(at, usize::try_from(source.len() - at).unwrap_or(usize::MAX).min(PIECE), &mut piece)?;
            self.write(&piece);
            at += piece.len() as u64;
        }
        Ok(())
    }

    /// The dataset is whole.
    pub(crate) fn finish(self, object: &Object) -> Received {
        match self.target {
            Target::Memory(bytes) => Received::Memory(bytes),
            Target::File(file) => file.finish(object, self.header.as_ref()).unwrap_or_else(Received::Failed),
            Target::Discard(length) | Target::Writer(Written { length, .. }) => Received::Passed(length),
            // Never: the service is asked first.
            Target::Asking(bytes) => Received::Memory(bytes),
            Target::Failed(error) => Received::Failed(error),
            Target::Refused(status) => Received::Refused(status),
        }
    }
}

/// Where the dataset of an object is that does not come over an association.
pub enum Body<'a> {
    /// Encoded.
    Bytes(&'a [u8]),
    /// In a file.
    Source(&'a Source),
}

/// Takes in an object that did not come over an association: what became of it.
///
/// # Errors
/// Where it cannot be read.
pub fn import(plan: &StorePlan, meta: FileMeta, body: &Body<'_>) -> io::Result<Received> {
    let object = Object {
        sop_class: meta.sop_class,
        sop_instance: meta.sop_instance,
        transfer_syntax: meta.transfer_syntax,
        ..Object::default()
    };
    let mut sink = Sink::for_object(plan, &object);
    match body {
        Body::Bytes(bytes) => sink.write(bytes),
        Body::Source(source) => sink.write_all(source)?,
    }
    Ok(sink.finish(&object))
}

fn make_room(held: &mut Vec<u8>, more: usize, expected: usize) {
    let needed = held.len() + more;
    if needed > held.capacity() && more >= LONG {
        held.reserve(needed.max(expected) - held.len());
    }
}

#[cfg(test)]
mod tests {
    use super::turn::WRITER_PIECE;
    use super::*;
    use std::fs;
    use std::path::Path;

    pub(super) fn contents(received: &Received) -> Vec<u8> {
        let mut bytes = vec![0; usize::try_from(received.len()).unwrap()];
        received.copy_to(&mut bytes).unwrap();
        bytes
    }

    fn object() -> Object {
        Object {
            sop_class: b"1.2.840.10008.5.1.4.1.1.2".to_vec(),
            sop_instance: b"1.2.3".to_vec(),
            transfer_syntax: b"1.2.840.10008.1.2".to_vec(),
            ..Object::default()
        }
    }

    fn plan(folder: &Path) -> StorePlan {
        let identity = FileIdentity { class_uid: "2.25.1".into(), version: "T".into() };
        StorePlan::Folder(Arc::new(FolderPlan::flat(folder.into(), identity)))
    }

    #[test]
    fn an_unfinished_object_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let mut sink = Sink::for_object(&plan(folder.path()), &object());
        sink.write(b"abcd");
        drop(sink);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    }

    #[test]
    fn a_folder_that_is_not_there_fails_the_object_and_nothing_else() {
        let mut sink = Sink::for_object(&plan(Path::new("/nonexistent/folder")), &object());
        sink.write(b"abcd");
        assert!(matches!(sink.finish(&object()), Received::Failed(_)));
    }

    #[test]
    fn large_datasets_leave_memory_for_a_file_that_goes_with_the_message() {
        let mut sink = Sink::for_object(&StorePlan::Memory, &object());
        let piece = vec![7; SPILL_LIMIT / 2 + 1];
        sink.write(&piece);
        sink.write(&piece);
        let received = sink.finish(&object());
        let Received::File { path, .. } = &received else { panic!("still in memory") };
        let path = path.clone();
        assert_eq!(contents(&received).len(), piece.len() * 2);
        drop(received);
        assert!(!path.exists());
    }

    #[test]
    fn what_is_discarded_is_counted() {
        let mut sink = Sink::for_object(&StorePlan::Discard(Attributes::default()), &object());
        sink.write(&[0; 1000]);
        assert!(sink.turn(true).is_none());
        let received = sink.finish(&object());
        assert_eq!(received.len(), 1000);
        assert!(received.copy_to(&mut [0; 1000]).is_err());
    }

    #[test]
    fn more_than_4_gib_are_counted() {
        let mut sink = Sink::for_object(&StorePlan::Discard(Attributes::default()), &object());
        let piece = vec![0; 1 << 20];
        (0..4100).for_each(|_| sink.write(&piece));
        assert_eq!(sink.finish(&object()).len(), 4100 << 20);
    }

    #[test]
    fn the_service_is_asked_when_nothing_more_is_wanted_at_the_limit_and_at_the_end() {
        let wanted = || Attributes::new(vec![("PatientID".into(), dimsefast_identifier::Tag(0x0010_0020))]);
        // Nothing is wanted.
        let mut sink = Sink::for_object(&StorePlan::Ask(Attributes::default()), &object());
        sink.write(b"abcd");
        assert!(matches!(sink.turn(false), Some(Turn::Decide)));
        // The place has passed.
        let mut sink = Sink::for_object(&StorePlan::Ask(wanted()), &object());
        sink.write(b"\x08\x00\x60\x00\x02\x00\x00\x00CT");
        assert!(sink.turn(false).is_none());
        sink.write(b"\x28\x00\x10\x00\x02\x00\x00\x00\x01\x00");
        assert!(matches!(sink.turn(false), Some(Turn::Decide)));
        // The end.
        let mut sink = Sink::for_object(&StorePlan::Ask(wanted()), &object());
        sink.write(b"\x10\x00");
        assert!(sink.turn(false).is_none());
        assert!(matches!(sink.turn(true), Some(Turn::Decide)));
        // A first element that fills a megabyte.
        let mut sink = Sink::for_object(&StorePlan::Ask(wanted()), &object());
        sink.write(b"\x09\x00\x01\x10\x00\x00\x00\x10");
        sink.write(&vec![0; QUESTION_LIMIT]);
        assert!(matches!(sink.turn(false), Some(Turn::Decide)));
    }

    #[test]
    fn a_writer_of_the_service_gets_every_byte_in_order() {
        let long: Vec<u8> = (0..3_000_000_u32).map(|at| (at % 251) as u8).collect();
        for bytes in [long, b"abcd".to_vec(), Vec::new()] {
            let mut sink = Sink::for_object(&StorePlan::Ask(Attributes::default()), &object());
            let (mut written, mut ended) = (Vec::new(), false);
            let mut pieces = bytes.chunks(100_000).peekable();
            loop {
                sink.write(pieces.next().unwrap_or_default());
                let whole = pieces.peek().is_none();
                while let Some(turn) = sink.turn(whole) {
                    match turn {
                        Turn::Decide => sink.answer(&Answer::Write(Arc::new("the writer")), &object()),
                        Turn::Write { writer, bytes, last } => {
                            assert_eq!(writer.downcast_ref(), Some(&"the writer"));
                            assert!(bytes.len() < WRITER_PIECE + 100_000 && !ended);
                            written.extend(bytes);
                            ended = last;
                            sink.answer(&Answer::Written, &object());
                        }
                    }
                }
                if whole {
                    break;
                }
            }
            assert!(written == bytes && ended);
            assert_eq!(sink.finish(&object()).len(), bytes.len() as u64);
        }
    }
}
