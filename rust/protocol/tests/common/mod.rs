//! Two associations joined in memory, under a clock that only the test moves.

#![allow(dead_code, reason = "each test file uses its part")]

use std::time::Duration;

use dimsefast_protocol::association::{Association, Config, Event, Fragment, NetworkTimeoutResponse};
use dimsefast_protocol::command::CommandSet;
use dimsefast_protocol::fragment::{self, fragments};
use dimsefast_protocol::limits::Limits;
use dimsefast_protocol::negotiation::{SupportedContext, SupportedContexts, negotiate_as_acceptor};
use dimsefast_protocol::pdu::{AssociateAc, AssociateRq, ContextReply, ProposedContext, UserInformation};
use dimsefast_protocol::types::AeTitle;

pub(crate) const VERIFICATION: &str = "1.2.840.10008.1.1";
pub(crate) const CT: &str = "1.2.840.10008.5.1.4.1.1.2";
pub(crate) const IMPLICIT: &str = "1.2.840.10008.1.2";
pub(crate) const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub(crate) const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// Context IDs of [`request`].
pub(crate) const ECHO: u8 = 1;
pub(crate) const STORE: u8 = 3;
pub(crate) const REFUSED: u8 = 5;

pub(crate) const ACSE: Duration = Duration::from_secs(30);
pub(crate) const NETWORK: Duration = Duration::from_secs(60);
pub(crate) const PDU: Duration = Duration::from_secs(20);

pub(crate) fn config() -> Config {
    Config {
        limits: Limits::default(),
        max_pdu_length: 16384,
        acse_timeout: Some(ACSE),
        network_timeout: Some(NETWORK),
        network_timeout_response: NetworkTimeoutResponse::default(),
        pdu_timeout: Some(PDU),
    }
}

pub(crate) fn title(text: &str) -> AeTitle {
    AeTitle::new(text).expect("a valid title")
}

/// Proposes verification, CT storage and something that nobody takes.
pub(crate) fn request() -> AssociateRq {
    let proposed = |id, abstract_syntax: &str| ProposedContext {
        id,
        abstract_syntax: abstract_syntax.into(),
        transfer_syntaxes: vec![IMPLICIT.into(), EXPLICIT.into()],
    };
    AssociateRq {
        protocol_version: 1,
        called: title("ARCHIVE"),
        calling: title("MODALITY"),
        application_context: APPLICATION_CONTEXT.into(),
        contexts: vec![proposed(ECHO, VERIFICATION), proposed(STORE, CT), proposed(REFUSED, "1.2.3")],
        user: UserInformation { max_length: Some(16384), ..UserInformation::default() },
    }
}

/// The bytes of [`request`].
pub(crate) fn request_bytes() -> Vec<u8> {
    let mut bytes = Vec::new();
    request().encode(&mut bytes);
    bytes
}

/// Accepts what [`request`] proposes, but for the last one.
pub(crate) fn accept(association: &mut Association, now: Duration, max_length: u32) {
    let request = AssociateRq::clone(association.request().expect("requested"));
    let supported = [VERIFICATION, CT].map(|abstract_syntax| SupportedContext {
        abstract_syntax: abstract_syntax.into(),
        transfer_syntaxes: vec![EXPLICIT.into(), IMPLICIT.into()],
        scu_role: None,
        scp_role: None,
    });
    let supported = SupportedContexts::from(supported.to_vec());
    let (contexts, roles) = negotiate_as_acceptor(&request, &supported, false);
    let reply = AssociateAc {
        protocol_version: 1,
        called: request.called,
        calling: request.calling,
        application_context: request.application_context,
        contexts: contexts
            .iter()
            .map(|context| ContextReply {
                id: context.id,
                result: context.result,
                transfer_syntax: context.transfer_syntax.clone(),
            })
            .collect(),
        user: UserInformation { max_length: Some(max_length), roles, ..UserInformation::default() },
    };
    association.accept(now, reply, contexts).expect("Sta3");
}

/// A message as it came, its dataset put together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) context_id: u8,
    pub(crate) command: CommandSet,
    pub(crate) dataset: Vec<u8>,
    pub(crate) complete: bool,
}

/// One association and what came of it.
pub(crate) struct Side {
    pub(crate) association: Association,
    pub(crate) events: Vec<Event>,
    pub(crate) messages: Vec<Message>,
    pub(crate) closed: bool,
    /// Answers requests and releases at once.
    pub(crate) answers: bool,
    unread: Vec<u8>,
}

impl Side {
    pub(crate) fn new(association: Association) -> Self {
        Self { association, events: Vec::new(), messages: Vec::new(), closed: false, answers: true, unread: Vec::new() }
    }

    /// An acceptor with [`request`] accepted, its answer taken out.
    pub(crate) fn established() -> Self {
        Self::established_with(config())
    }

    pub(crate) fn established_with(config: Config) -> Self {
        let mut side = Self::new(Association::acceptor(config, Duration::ZERO));
        side.feed(Duration::ZERO, &request_bytes());
        assert!(side.association.is_established());
        side.association.output().clear();
        side.events.clear();
        side
    }

    /// Bytes that were read, with what is still unread in front of them.
    pub(crate) fn feed(&mut self, now: Duration, bytes: &[u8]) {
        self.unread.extend_from_slice(bytes);
        let unread = std::mem::take(&mut self.unread);
        let mut at = 0;
        loop {
            let received = self.association.handle_bytes(now, &unread[at..]);
            at += received.consumed;
            let idle = received.consumed == 0 && received.fragment.is_none();
            match received.fragment {
                Some(Fragment::Command { context_id, command }) => {
                    let complete = !command.has_dataset();
                    self.messages.push(Message { context_id, command, dataset: Vec::new(), complete });
                }
                Some(Fragment::Data { context_id, bytes, last }) => {
                    let message = self.messages.last_mut().expect("a command set comes first");
                    assert_eq!((message.context_id, message.complete), (context_id, false));
                    message.dataset.extend_from_slice(bytes);
                    message.complete = last;
                }
                None => {}
            }
            self.settle(now);
            if idle {
                break;
            }
        }
        self.unread = unread[at..].to_vec();
    }

    /// Takes out the events.
    pub(crate) fn settle(&mut self, now: Duration) {
        while let Some(event) = self.association.poll_event() {
            match &event {
                Event::Requested(_) if self.answers => accept(&mut self.association, now, 16384),
                Event::ReleaseRequested if self.answers => self.association.release_response(now).expect("asked for"),
                Event::CloseTransport => {
                    assert!(!self.closed, "the transport is closed once");
                    self.closed = true;
                }
                _ => {}
            }
            self.events.push(event);
        }
    }

    pub(crate) fn timeout(&mut self, now: Duration) {
        self.association.handle_timeout(now);
        self.settle(now);
    }

    pub(crate) fn send_dataset(&mut self, now: Duration, context_id: u8, dataset: &[u8]) {
        for (piece, last) in fragments(dataset, self.association.max_fragment()) {
            self.association.send_data(now).expect("Sta6");
            let header = fragment::data_pdu_header(context_id, false, last, piece.len());
            self.association.output().extend_from_slice(&header);
            self.association.output().extend_from_slice(piece);
        }
    }

    pub(crate) fn take_output(&mut self) -> Vec<u8> {
        std::mem::take(self.association.output())
    }

    /// The one final event.
    pub(crate) fn end(&self) -> &Event {
        let finals: Vec<_> = self.events.iter().filter(|event| is_final(event)).collect();
        assert_eq!(finals.len(), 1, "exactly one final event: {:?}", self.events);
        finals[0]
    }
}

pub(crate) fn is_final(event: &Event) -> bool {
    matches!(event, Event::Rejected(_) | Event::Released | Event::Aborted { .. })
}

/// A requestor and an acceptor with two byte queues between them.
pub(crate) struct Pair {
    pub(crate) requestor: Side,
    pub(crate) acceptor: Side,
    pub(crate) now: Duration,
}

impl Pair {
    /// Connected, nothing sent.
    pub(crate) fn connected() -> Self {
        Self::of(config(), config(), request())
    }

    pub(crate) fn of(requestor: Config, acceptor: Config, request: AssociateRq) -> Self {
        let now = Duration::ZERO;
        let mut requestor = Association::requestor(requestor, request, now);
        requestor.transport_connected(now);
        Self { requestor: Side::new(requestor), acceptor: Side::new(Association::acceptor(acceptor, now)), now }
    }

    pub(crate) fn established() -> Self {
        let mut pair = Self::connected();
        pair.run();
        assert!(pair.requestor.association.is_established() && pair.acceptor.association.is_established());
        pair
    }

    /// Carries bytes, and the close of the transport behind them, until nothing moves.
    pub(crate) fn run(&mut self) {
        loop {
            self.requestor.settle(self.now);
            self.acceptor.settle(self.now);
            let (to_acceptor, to_requestor) = (self.requestor.take_output(), self.acceptor.take_output());
            let quiet = to_acceptor.is_empty() && to_requestor.is_empty();
            carry(self.now, &to_acceptor, &mut self.acceptor);
            carry(self.now, &to_requestor, &mut self.requestor);
            if !quiet {
                continue;
            }
            let closed = self.requestor.closed || self.acceptor.closed;
            for side in [&mut self.requestor, &mut self.acceptor] {
                if closed && !side.closed {
                    side.association.handle_transport_closed(self.now);
                    side.settle(self.now);
                    assert!(side.closed);
                }
            }
            return;
        }
    }
}

fn carry(now: Duration, bytes: &[u8], to: &mut Side) {
    if !to.closed {
        to.feed(now, bytes);
    }
}
