//! Two cores joined in memory: no sockets, no threads, a narrow pipe.

use std::sync::Arc;
use std::time::Duration;

use dimsefast_identifier::Tag;
use dimsefast_protocol::association::{Association, Config, NetworkTimeoutResponse};
use dimsefast_protocol::command::{self, Priority, Status};
use dimsefast_protocol::limits::Limits;
use dimsefast_protocol::negotiation::negotiate_as_acceptor;
use dimsefast_protocol::pdu::{AssociateAc, AssociateRq, ContextReply, ProposedContext, UserIdentity, UserInformation};
use dimsefast_protocol::types::{AeTitle, Uid};

use crate::connection::{BOUND_NEGOTIATION, BOUND_STORE};
use crate::core::Core;
use crate::ending::End;
use crate::jobs::{Job, JobKind};
use crate::message::Message;
use crate::sink::{Answer, Attributes, Duplicates, FileIdentity, FolderPlan, Received, StorePlan, Turn};
use crate::statistics::Statistics;
use crate::transport::{MemoryTransport, Transport};

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const VERIFICATION: &str = "1.2.840.10008.1.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const NOW: Duration = Duration::ZERO;

fn config() -> Config {
    Config {
        limits: Limits::default(),
        max_pdu_length: 1 << 20,
        acse_timeout: None,
        network_timeout: None,
        network_timeout_response: NetworkTimeoutResponse::default(),
        pdu_timeout: None,
    }
}

fn request() -> AssociateRq {
    AssociateRq {
        protocol_version: 1,
        called: AeTitle::new("ACCEPTOR").unwrap(),
        calling: AeTitle::new("REQUESTOR").unwrap(),
        application_context: "1.2.840.10008.3.1.1.1".into(),
        contexts: [VERIFICATION, CT]
            .iter()
            .zip([1, 3])
            .map(|(class, id)| ProposedContext {
                id,
                abstract_syntax: (*class).into(),
                transfer_syntaxes: vec![IMPLICIT.into()],
            })
            .collect(),
        user: UserInformation { max_length: Some(1 << 20), ..UserInformation::default() },
    }
}

/// A requestor and an acceptor that stores as `plan` says, joined by pipes.
pub(crate) struct Pair {
    pub(crate) requestor: Core,
    pub(crate) acceptor: Core,
}

impl Pair {
    /// By pipes of 64 bytes.
    fn established(plan: StorePlan) -> Self {
        Self::joined(plan, 64, 4096)
    }

    /// By pipes of `capacity` bytes; `max_length` is the longest PDU that the acceptor takes.
    pub(crate) fn joined(plan: StorePlan, capacity: usize, max_length: u32) -> Self {
        let (near, far) = MemoryTransport::pair(capacity);
        let requestor = Association::requestor(config(), request(), NOW);
        let acceptor = Association::acceptor(config(), NOW);
        let mut pair = Self {
            requestor: Core::new(requestor, Box::new(near), StorePlan::Memory, 0),
            acceptor: Core::new(acceptor, Box::new(far), plan, BOUND_NEGOTIATION),
        };
        pair.requestor.association.transport_connected(NOW);
        pair.run();
        assert!(matches!(pair.acceptor.jobs.start(), Some(Job::Negotiate)));
        let supported = [VERIFICATION, CT]
            .iter()
            .map(|class| dimsefast_protocol::negotiation::SupportedContext {
                abstract_syntax: (*class).into(),
                transfer_syntaxes: vec![IMPLICIT.into()],
                scu_role: None,
                scp_role: None,
            })
            .collect::<Vec<_>>()
            .into();
        let (contexts, _) = negotiate_as_acceptor(&request(), &supported, false);
        let accept = AssociateAc {
            protocol_version: 1,
            called: request().called,
            calling: request().calling,
            application_context: request().application_context,
            contexts: contexts
                .iter()
                .map(|c| ContextReply { id: c.id, result: c.result, transfer_syntax: c.transfer_syntax.clone() })
                .collect(),
            user: UserInformation { max_length: Some(max_length), ..UserInformation::default() },
        };
        pair.acceptor.association.accept(NOW, accept, contexts).unwrap();
        pair.acceptor.jobs.done(crate::jobs::JobKind::Serial);
        pair.run();
        assert!(pair.requestor.established && pair.requestor.association.is_established());
        pair
    }

    /// Lets both sides drive until nothing moves any more, or it is the service's turn.
    fn run(&mut self) {
        for _ in 0..100_000 {
            self.requestor.drive(NOW, true);
            self.acceptor.drive(NOW, true);
            let taken = !self.requestor.has_output() || self.acceptor.waits_for_service();
            if taken && !self.acceptor.has_output() {
                self.requestor.drive(NOW, true);
                self.acceptor.drive(NOW, true);
                return;
            }
        }
        panic!("they never came to rest");
    }

    /// Sends a C-STORE with this dataset; the status that comes back.
    fn store(&mut self, instance: &str, dataset: &[u8]) -> Status {
        self.send_store(1, instance, dataset);
        let response = self.requestor.responses.pop_front().expect("an answer");
        response.command.status().unwrap()
    }

    fn send_store(&mut self, id: u16, instance: &str, dataset: &[u8]) {
        self.send_store_in(1000, id, instance, dataset);
    }

    /// In fragments of this length.
    pub(crate) fn send_store_in(&mut self, fragment: usize, id: u16, instance: &str, dataset: &[u8]) {
        let command = command::c_store_rq(id, &CT.into(), &Uid::from(instance), Priority::MEDIUM, None);
        self.requestor.invoked.push(id);
        self.requestor.association.send_command(NOW, 3, &command).unwrap();
        for (piece, last) in dimsefast_protocol::fragment::fragments(dataset, fragment) {
            self.requestor.association.send_data(NOW).unwrap();
            let header = dimsefast_protocol::fragment::data_pdu_header(3, false, last, piece.len());
            let output = self.requestor.association.output();
            output.extend_from_slice(&header);
            output.extend_from_slice(piece);
        }
        self.run();
    }

    /// The request that the acceptor's service would be given now, counted as done.
    fn job(&mut self) -> Option<Box<Message>> {
        let job = self.acceptor.jobs.start()?;
        self.acceptor.jobs.done(JobKind::Request);
        let Job::Request(message) = job else { panic!("{job:?}") };
        Some(message)
    }

    /// The service answers its turn.
    fn proceed(&mut self, answer: &Answer) {
        self.acceptor.proceed(NOW, answer);
        self.run();
    }

    fn status(&mut self) -> Option<Status> {
        self.requestor.responses.pop_front()?.command.status()
    }
}

fn into(folder: &std::path::Path) -> StorePlan {
    let identity = FileIdentity { class_uid: "2.25.1".into(), version: "T".into() };
    StorePlan::Folder(Arc::new(FolderPlan::flat(folder.into(), identity)))
}

/// Patient ID, then what a header has none of; implicit VR.
fn dataset_of(patient: &str) -> Vec<u8> {
    let mut bytes = b"\x10\x00\x20\x00".to_vec();
    bytes.extend((patient.len() as u32).to_le_bytes());
    bytes.extend(patient.bytes());
    bytes.extend(b"\xE0\x7F\x10\x00\x00\x40\x00\x00");
    bytes.extend((0..0x4000_u32).map(|at| (at % 251) as u8));
    bytes
}

fn patient() -> Attributes {
    Attributes::new(vec![("PatientID".into(), Tag(0x0010_0020))])
}

/// As long as the limit allows, in pieces; the beginning of what follows comes with its end.
#[test]
fn a_long_request_comes_in_pieces() {
    let mut long = request();
    let identity =
        UserIdentity { kind: 4, positive_response: false, primary: vec![b'x'; 65_000], secondary: Vec::new() };
    long.user.user_identity = Some(identity);
    long.contexts = (0..128)
        .map(|at| ProposedContext {
            id: 2 * at + 1,
            abstract_syntax: CT.into(),
            transfer_syntaxes: vec![format!("1.2.{}", "9".repeat(60)).as_str().into(); 38],
        })
        .collect();
    let mut stream = Vec::new();
    long.encode(&mut stream);
    assert!(stream.len() > 380_000);
    stream.extend([7, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    for piece in [999, 70_000, 300_000, stream.len()] {
        let (mut far, near) = MemoryTransport::pair(1 << 20);
        let acceptor = Association::acceptor(config(), NOW);
        let mut acceptor = Core::new(acceptor, Box::new(near), StorePlan::Memory, BOUND_NEGOTIATION);
        for bytes in stream.chunks(piece) {
            assert_eq!(far.write(bytes).unwrap(), bytes.len());
            acceptor.drive(NOW, true);
        }
        assert_eq!(acceptor.association.request().map(|request| &**request), Some(&long), "by {piece}");
        assert!(matches!(acceptor.end.get(), Some(End::Aborted { by_peer: true, .. })), "{:?}", acceptor.end);
        assert!(acceptor.unread.is_empty());
    }
}

#[test]
fn an_echo_is_answered_where_it_was_read() {
    let mut pair = Pair::established(StorePlan::Memory);
    pair.requestor.invoked.push(9);
    pair.requestor.association.send_command(NOW, 1, &command::c_echo_rq(9, &VERIFICATION.into())).unwrap();
    pair.run();
    let response = pair.requestor.responses.pop_front().unwrap();
    assert_eq!(response.command.status(), Some(Status::SUCCESS));
    assert_eq!(response.command.message_id_responded_to(), Some(9));
}

#[test]
fn an_object_goes_into_its_folder_without_a_job() {
    let folder = tempfile::tempdir().unwrap();
    let mut pair = Pair::established(into(folder.path()));
    let dataset: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
    assert_eq!(pair.store("1.2.3", &dataset), Status::SUCCESS);
    assert!(std::fs::read(folder.path().join("1.2.3.dcm")).unwrap().ends_with(&dataset));
    assert!(pair.acceptor.jobs.is_idle());
    assert_eq!(pair.store("../../etc/passwd", &dataset), Status::SUCCESS);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "what is no UID never leaves the folder");
}

#[test]
fn a_server_counts_what_is_settled_and_how_its_associations_end() {
    let mut pair = Pair::established(StorePlan::Discard(patient()));
    let statistics: Arc<Statistics> = Arc::default();
    pair.acceptor.statistics = Some(statistics.clone());
    assert_eq!(pair.store("1.2", &dataset_of("1CT1")), Status::SUCCESS);
    pair.acceptor.association.abort(NOW);
    pair.run();
    let found = statistics.snapshot();
    assert_eq!((found.released, found.aborted), (0, 1));
    assert_eq!(found.operations.len(), 1);
    assert_eq!((found.operations[0].name, found.operations[0].bytes), ("C-STORE", dataset_of("1CT1").len() as u64));
    assert_eq!(found.operations[0].statuses, [(0, 1)].into());
}

#[test]
fn an_object_that_is_discarded_is_counted_and_its_attributes_are_told() {
    let mut pair = Pair::established(StorePlan::Discard(patient()));
    assert_eq!(pair.store("1.2", &dataset_of("1CT1")), Status::SUCCESS);
    assert!(pair.acceptor.jobs.is_idle());
    pair.acceptor.bound |= BOUND_STORE;
    pair.send_store(2, "1.2", &dataset_of("1CT1"));
    let message = pair.job().unwrap();
    assert!(matches!(message.data, Some(Received::Passed(length)) if length == dataset_of("1CT1").len() as u64));
    assert_eq!(message.header, [("PatientID".to_owned(), "1CT1".to_owned())]);
}

#[test]
fn a_status_of_the_sink_is_answered_and_the_connection_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let identity = FileIdentity { class_uid: "2.25.1".into(), version: "T".into() };
    let flat = FolderPlan::flat(folder.path().into(), identity);
    let refuse = FolderPlan { duplicates: Duplicates::Refuse(0x0111), ..flat };
    let mut pair = Pair::established(StorePlan::Folder(Arc::new(refuse)));
    assert_eq!(pair.store("1.2", &dataset_of("A1")), Status::SUCCESS);
    assert_eq!(pair.store("1.2", &dataset_of("A2")), Status(0x0111));
    assert_eq!(pair.store("1.2", &dataset_of("A1")), Status::SUCCESS);
    drop(folder);
    assert_eq!(pair.store("1.3", &dataset_of("A1")), Status(0xA700));
}

#[test]
fn the_service_decides_before_the_rest_is_read() {
    let folder = tempfile::tempdir().unwrap();
    let dataset = dataset_of("1CT1");
    let mut pair = Pair::established(StorePlan::Ask(patient()));
    pair.send_store(1, "1.2", &dataset);
    let message = pair.job().unwrap();
    assert!(matches!(message.turn, Some(Turn::Decide)));
    assert_eq!(message.header, [("PatientID".to_owned(), "1CT1".to_owned())]);
    assert!(pair.acceptor.jobs.is_idle() && !pair.acceptor.wants_input());
    assert!(pair.requestor.has_output(), "the peer waits with what it could not send");
    pair.proceed(&Answer::Into(into(folder.path())));
    assert_eq!(pair.status(), Some(Status::SUCCESS));
    assert!(std::fs::read(folder.path().join("1.2.dcm")).unwrap().ends_with(&dataset));

    pair.send_store(2, "1.3", &dataset);
    pair.job().unwrap();
    pair.proceed(&Answer::Refuse(0x0124));
    assert_eq!(pair.status(), Some(Status(0x0124)));

    pair.send_store(3, "1.4", &dataset);
    pair.job().unwrap();
    pair.proceed(&Answer::Into(StorePlan::Memory));
    let message = pair.job().unwrap();
    assert!(message.turn.is_none());
    assert!(matches!(&message.data, Some(Received::Memory(bytes)) if *bytes == dataset));
    assert_eq!(message.header.len(), 1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
}

#[test]
fn a_decision_may_take_longer_than_a_peer_may_be_silent() {
    let mut pair = Pair::established(StorePlan::Ask(patient()));
    let second = Duration::from_secs(1);
    pair.acceptor.association.set_network_timeout(NOW, Some(second));
    pair.send_store(1, "1.2", &dataset_of("1CT1"));
    pair.job().unwrap();
    pair.acceptor.drive(second * 100, true);
    assert_eq!(pair.acceptor.association.poll_timeout(), None);
    assert!(!pair.acceptor.is_over(), "{:?}", pair.acceptor.end);
    pair.acceptor.proceed(second * 100, &Answer::Into(StorePlan::Discard(Attributes::default())));
    pair.acceptor.drive(second * 100, true);
    assert_eq!(pair.acceptor.association.poll_timeout(), Some(second * 101), "its time begins anew");
    pair.acceptor.drive(second * 102, true);
    assert!(matches!(pair.acceptor.end.get(), Some(End::Aborted { by_peer: false, .. })));
}

/// What waits for somebody to take it is no silence of the peer's, either.
#[test]
fn responses_that_nobody_takes_do_not_end_the_association() {
    let mut pair = Pair::joined(StorePlan::Memory, 1 << 20, 4096);
    let second = Duration::from_secs(1);
    pair.requestor.association.set_network_timeout(NOW, Some(second));
    pair.requestor.invoked.push(1);
    let request = command::c_find_rq(1, &CT.into(), Priority::MEDIUM);
    let response = command::response(&request, Status::PENDING, true, &[]);
    // More than is read before somebody takes some: it stops in the middle of one.
    pair.acceptor.association.send_data(NOW).unwrap();
    for _ in 0..40 {
        let stream = pair.acceptor.association.output();
        dimsefast_protocol::fragment::append_command(stream, 3, response.as_bytes(), 4096);
        for (piece, last) in dimsefast_protocol::fragment::fragments(&[b' '; 64 << 10], 4096) {
            stream.extend(dimsefast_protocol::fragment::data_pdu_header(3, false, last, piece.len()));
            stream.extend_from_slice(piece);
        }
    }
    for _ in 0..20 {
        pair.acceptor.drive(NOW, true);
        pair.requestor.drive(NOW, true);
    }
    assert!(!pair.requestor.wants_input() && pair.acceptor.has_output());
    pair.requestor.drive(second * 100, true);
    assert!(!pair.requestor.is_over(), "{:?}", pair.requestor.end);
}

#[test]
fn several_objects_in_one_read_have_a_decision_each() {
    let mut pair = Pair::established(StorePlan::Ask(patient()));
    // More than an object fits into the pipe: they are read together.
    let (near, far) = MemoryTransport::pair(1 << 20);
    pair.requestor.transport = Some(Box::new(near));
    pair.acceptor.transport = Some(Box::new(far));
    for (id, patient) in [(1, "A1"), (2, "A2"), (3, "A3")] {
        pair.send_store(id, "1.2", &dataset_of(patient));
    }
    for (at, patient) in ["A1", "A2", "A3"].iter().enumerate() {
        let message = pair.job().unwrap();
        assert_eq!(message.header[0].1, *patient);
        assert!(pair.job().is_none());
        pair.proceed(&Answer::Refuse(0xA700 + at as u16));
        assert_eq!(pair.status(), Some(Status(0xA700 + at as u16)));
    }
}

#[test]
fn an_abort_takes_the_turn_and_the_file_away() {
    let folder = tempfile::tempdir().unwrap();
    let mut pair = Pair::established(StorePlan::Ask(patient()));
    pair.send_store(1, "1.2", &dataset_of("A1"));
    pair.job().unwrap();
    pair.acceptor.association.abort(NOW);
    pair.run();
    pair.proceed(&Answer::Into(into(folder.path())));
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let mut pair = Pair::established(into(folder.path()));
    let command = command::c_store_rq(1, &CT.into(), &"1.2".into(), Priority::MEDIUM, None);
    pair.requestor.association.send_command(NOW, 3, &command).unwrap();
    pair.run();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1);
    pair.requestor.association.abort(NOW);
    pair.run();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
}

#[test]
fn an_object_for_a_handler_becomes_a_job_with_its_bytes() {
    let mut pair = Pair::established(StorePlan::Memory);
    let command = command::c_store_rq(1, &CT.into(), &"1.2".into(), Priority::MEDIUM, None);
    pair.requestor.association.send_command(NOW, 3, &command).unwrap();
    pair.requestor.association.send_data(NOW).unwrap();
    let header = dimsefast_protocol::fragment::data_pdu_header(3, false, true, 4);
    pair.requestor.association.output().extend_from_slice(&header);
    pair.requestor.association.output().extend_from_slice(b"data");
    pair.run();
    let Some(Job::Request(message)) = pair.acceptor.jobs.start() else { panic!("no job") };
    assert!(matches!(&message.data, Some(Received::Memory(bytes)) if bytes == b"data"));
    assert!(!message.is_cancelled());
    pair.requestor.association.send_command(NOW, 3, &command::c_cancel_rq(1)).unwrap();
    pair.run();
    assert!(message.is_cancelled());
}

#[test]
fn an_object_in_long_fragments_is_read_to_where_it_belongs() {
    let mut pair = Pair::established(StorePlan::Memory);
    let (near, far) = MemoryTransport::pair(400_000);
    pair.requestor.transport = Some(Box::new(near));
    pair.acceptor.transport = Some(Box::new(far));
    let dataset: Vec<u8> = (0..1_500_000_u32).map(|at| (at % 251) as u8).collect();
    // Long, short, uneven, and a change of mind on the way.
    let mut hopes = Vec::new();
    for (fragment, length) in [
        (262_132, 526_000),
        (262_132, 526_000),
        (1000, 300_000),
        (1_000_000, 1_500_000),
        (65_537, 900_001),
        (9, 9),
        (70_000, 0),
    ] {
        pair.send_store_in(fragment, 1, "1.2", &dataset[..length]);
        hopes.push(pair.acceptor.hopes);
        let message = pair.job().unwrap();
        assert!(matches!(&message.data, Some(Received::Memory(bytes)) if *bytes == dataset[..length]), "{fragment}");
        assert!(pair.acceptor.unread.is_empty());
    }
    assert_eq!((hopes[0] > 0, hopes[1] > 0, hopes[2], hopes[3] > 0), (true, true, 0, true), "{hopes:?}");
}

#[test]
fn a_response_that_nobody_waits_for_is_dropped_and_counted() {
    let mut pair = Pair::established(StorePlan::Memory);
    pair.requestor.association.send_command(NOW, 1, &command::c_echo_rq(5, &VERIFICATION.into())).unwrap();
    pair.run();
    assert!(pair.requestor.responses.is_empty());
    assert_eq!(pair.requestor.dropped, 1);
}

#[test]
fn an_idle_connection_holds_no_buffer() {
    let folder = tempfile::tempdir().unwrap();
    let mut pair = Pair::established(into(folder.path()));
    pair.store("1.2.3", &vec![1; 300_000]);
    for core in [&mut pair.requestor, &mut pair.acceptor] {
        assert_eq!(core.unread.capacity(), 0);
        assert!(core.association.output().capacity() <= 4096);
        assert!(core.incoming.is_none());
    }
}

#[test]
fn a_peer_that_asks_and_never_reads_is_not_read_any_more() {
    let mut pair = Pair::established(StorePlan::Memory);
    // The requestor's side never drives: the answers stay where they are.
    let echo = command::c_echo_rq(1, &VERIFICATION.into());
    let mut sent = 0;
    while pair.acceptor.wants_input() && sent < 200_000 {
        pair.requestor.association.send_command(NOW, 1, &echo).unwrap();
        while pair.requestor.has_output() && pair.acceptor.wants_input() {
            pair.requestor.flush(NOW);
            pair.acceptor.drive(NOW, true);
        }
        sent += 1;
    }
    assert!(!pair.acceptor.wants_input(), "{sent} echoes were taken in, and all answers held");
}

#[test]
fn release_and_abort_end_both_sides_once() {
    let mut pair = Pair::established(StorePlan::Memory);
    pair.requestor.association.release(NOW).unwrap();
    pair.run();
    assert!(
        matches!(pair.requestor.end.get(), Some(End::Released))
            && matches!(pair.acceptor.end.get(), Some(End::Released))
    );
    assert!(pair.requestor.transport.is_none() && pair.acceptor.transport.is_none());

    let mut pair = Pair::established(StorePlan::Memory);
    pair.acceptor.association.abort(NOW);
    pair.run();
    assert!(matches!(pair.requestor.end.get(), Some(End::Aborted { by_peer: true, .. })));
    assert!(matches!(pair.acceptor.end.get(), Some(End::Aborted { by_peer: false, .. })));
    assert!(pair.requestor.transport.is_none() && pair.acceptor.transport.is_none());
}
