//! Two cores joined in memory: no sockets, no threads, a narrow pipe.

use std::time::Duration;

use dimsefast_protocol::association::{Association, Config};
use dimsefast_protocol::command::{self, Priority, Status};
use dimsefast_protocol::limits::Limits;
use dimsefast_protocol::negotiation::negotiate_as_acceptor;
use dimsefast_protocol::pdu::{AssociateAc, AssociateRq, ContextReply, ProposedContext, UserInformation};
use dimsefast_protocol::types::{AeTitle, Uid};

use crate::connection::{BOUND_NEGOTIATION, Core, End};
use crate::jobs::Job;
use crate::sink::{FileIdentity, StorePlan};
use crate::transport::MemoryTransport;

const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
const VERIFICATION: &str = "1.2.840.10008.1.1";
const IMPLICIT: &str = "1.2.840.10008.1.2";
const NOW: Duration = Duration::ZERO;

fn config() -> Config {
    Config {
        limits: Limits::default(),
        max_pdu_length: 4096,
        acse_timeout: None,
        network_timeout: None,
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
        user: UserInformation { max_length: Some(4096), ..UserInformation::default() },
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
        let supported: Vec<_> = [VERIFICATION, CT]
            .iter()
            .map(|class| dimsefast_protocol::negotiation::SupportedContext {
                abstract_syntax: (*class).into(),
                transfer_syntaxes: vec![IMPLICIT.into()],
                scu_role: None,
                scp_role: None,
            })
            .collect();
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

    /// Lets both sides drive until nothing moves any more.
    fn run(&mut self) {
        for _ in 0..100_000 {
            self.requestor.drive(NOW, true);
            self.acceptor.drive(NOW, true);
            if !self.requestor.has_output() && !self.acceptor.has_output() {
                self.requestor.drive(NOW, true);
                self.acceptor.drive(NOW, true);
                return;
            }
        }
        panic!("they never came to rest");
    }

    /// Sends a C-STORE with this dataset; the status that comes back.
    fn store(&mut self, instance: &str, dataset: &[u8]) -> Status {
        let command = command::c_store_rq(1, &CT.into(), &Uid::from(instance), Priority::MEDIUM, None);
        self.requestor.invoked.push(1);
        self.requestor.association.send_command(NOW, 3, &command).unwrap();
        for (piece, last) in dimsefast_protocol::fragment::fragments(dataset, 1000) {
            self.requestor.association.send_data(NOW).unwrap();
            let header = dimsefast_protocol::fragment::data_pdu_header(3, false, last, piece.len());
            let output = self.requestor.association.output();
            output.extend_from_slice(&header);
            output.extend_from_slice(piece);
        }
        self.run();
        let response = self.requestor.responses.pop_front().expect("an answer");
        response.command.status().unwrap()
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
    let identity = FileIdentity { class_uid: "2.25.1".into(), version: "T".into() };
    let mut pair = Pair::established(StorePlan::Folder(folder.path().into(), identity));
    let dataset: Vec<u8> = (0..10_000_u32).map(|n| (n % 251) as u8).collect();
    assert_eq!(pair.store("1.2.3", &dataset), Status::SUCCESS);
    assert!(std::fs::read(folder.path().join("1.2.3.dcm")).unwrap().ends_with(&dataset));
    assert!(pair.acceptor.jobs.is_idle());
    assert_eq!(pair.store("../../etc/passwd", &dataset), Status::SUCCESS);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2, "what is no UID never leaves the folder");
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
    assert_eq!(&*message.data.as_ref().unwrap().bytes().unwrap(), b"data");
    assert!(!message.is_cancelled());
    pair.requestor.association.send_command(NOW, 3, &command::c_cancel_rq(1)).unwrap();
    pair.run();
    assert!(message.is_cancelled());
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
    let identity = FileIdentity { class_uid: "2.25.1".into(), version: "T".into() };
    let mut pair = Pair::established(StorePlan::Folder(folder.path().into(), identity));
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
    assert!(matches!(pair.requestor.end, Some(End::Released)) && matches!(pair.acceptor.end, Some(End::Released)));
    assert!(pair.requestor.transport.is_none() && pair.acceptor.transport.is_none());

    let mut pair = Pair::established(StorePlan::Memory);
    pair.acceptor.association.abort(NOW);
    pair.run();
    assert!(matches!(pair.requestor.end, Some(End::Aborted { by_peer: true, .. })));
    assert!(matches!(pair.acceptor.end, Some(End::Aborted { by_peer: false, .. })));
    assert!(pair.requestor.transport.is_none() && pair.acceptor.transport.is_none());
}
