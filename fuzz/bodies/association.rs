//! A peer that sends anything, a clock that jumps, and a local user who asks for anything at any time: no panic, bounded memory, transitions of
//! Table 9-10 only, and exactly one final event.

#[path = "established.rs"]
mod established;

use std::time::Duration;

use dimsefast_protocol::association::{Association, Event, Fragment};
use dimsefast_protocol::command;
use dimsefast_protocol::pdu::{Abort, AssociateRj, release_rp, release_rq};
use dimsefast_protocol::state::{State, transition};
use dimsefast_protocol::types::{AbortReason, AbortSource, RejectReason, RejectResult, RejectSource};
use established::{accept, config, limits, reply, request};

/// Each byte is a step; some take bytes behind it. The first one chooses the role.
pub(crate) fn run(data: &[u8]) {
    let Some((&role, mut rest)) = data.split_first() else { return };
    let mut driven = Driven::new(role & 1 == 1);
    while let Some((&step, behind)) = rest.split_first() {
        rest = driven.step(step, behind);
    }
    driven.end();
}

struct Driven {
    association: Association,
    is_requestor: bool,
    now: Duration,
    unread: Vec<u8>,
    begun: bool,
    finals: usize,
    closes: usize,
    /// Whether the dataset of a message is coming in.
    in_dataset: bool,
    state: State,
}

impl Driven {
    fn new(is_requestor: bool) -> Self {
        let now = Duration::ZERO;
        let mut association = if is_requestor {
            Association::requestor(config(), request(), now)
        } else {
            Association::acceptor(config(), now)
        };
        association.trace(true);
        let mut driven = Self {
            association,
            is_requestor,
            now,
            unread: Vec::new(),
            begun: is_requestor,
            finals: 0,
            closes: 0,
            in_dataset: false,
            state: State::Sta1,
        };
        if is_requestor {
            driven.association.transport_connected(now);
        }
        driven.look();
        driven
    }

    fn step<'a>(&mut self, step: u8, rest: &'a [u8]) -> &'a [u8] {
        let argument = rest.first().copied().unwrap_or(0);
        let behind = rest.get(1..).unwrap_or_default();
        let rest = match step % 16 {
            // Bytes as they come, after what tells how many.
            0 => {
                let (bytes, behind) = behind.split_at(usize::from(argument).min(behind.len()));
                self.feed(bytes);
                behind
            }
            1 => {
                self.feed(&prepared(argument));
                behind
            }
            // A PDV item in a P-DATA-TF of its own: context, control header, payload.
            2 => {
                let length = usize::from(argument >> 4).min(behind.len());
                let (payload, behind) = behind.split_at(length);
                let mut pdu = vec![4, 0, 0, 0, 0, argument >> 4, 0, 0, 0, 0, 1, argument & 3];
                let payload = if argument & 4 == 0 { payload } else { &[] };
                pdu[5] = u8::try_from(payload.len() + 6).unwrap_or(0);
                pdu[9] = u8::try_from(payload.len() + 2).unwrap_or(0);
                pdu[10] = if argument & 8 == 0 { 1 } else { 3 };
                pdu.extend_from_slice(payload);
                self.feed(&pdu);
                behind
            }
            3 => {
                self.now += Duration::from_secs(u64::from(argument));
                self.association.handle_timeout(self.now);
                behind
            }
            // The next deadline, exactly.
            4 => {
                if let Some(deadline) = self.association.poll_timeout() {
                    self.now = self.now.max(deadline);
                    self.association.handle_timeout(self.now);
                }
                rest
            }
            5 => {
                accept(&mut self.association, self.now);
                rest
            }
            6 => {
                let _ = self.association.reject(self.now, rejection());
                rest
            }
            7 => {
                let _ = self.association.release(self.now);
                rest
            }
            8 => {
                let _ = self.association.release_response(self.now);
                rest
            }
            9 => {
                self.association.abort(self.now);
                rest
            }
            10 => {
                self.association.abort_provider(self.now, AbortReason(argument));
                behind
            }
            11 => {
                let echo = command::c_echo_rq(u16::from(argument), &"1.2.840.10008.1.1".into());
                let _ = self.association.send_command(self.now, argument, &echo);
                behind
            }
            12 => {
                self.association.set_busy(self.now, argument & 1 == 1);
                self.association.set_held(self.now, argument & 2 == 2);
                behind
            }
            13 => {
                let timeout = (argument != 0).then(|| Duration::from_secs(u64::from(argument)));
                self.association.set_network_timeout(self.now, timeout);
                self.association.set_acse_timeout(self.now, timeout);
                behind
            }
            14 => {
                self.association.handle_transport_closed(self.now);
                rest
            }
            _ => {
                self.association.output().clear();
                rest
            }
        };
        self.look();
        rest
    }

    fn feed(&mut self, bytes: &[u8]) {
        if self.closes > 0 {
            return;
        }
        self.unread.extend_from_slice(bytes);
        let unread = std::mem::take(&mut self.unread);
        let mut at = 0;
        loop {
            let over = self.finals > 0;
            let received = self.association.handle_bytes(self.now, &unread[at..]);
            assert!(received.consumed <= unread.len() - at);
            at += received.consumed;
            let idle = received.consumed == 0 && received.fragment.is_none();
            match received.fragment {
                Some(Fragment::Command { command, .. }) => {
                    assert!(!over && !self.in_dataset);
                    assert!(command.as_bytes().len() <= limits().command_set + 12);
                    self.in_dataset = command.has_dataset();
                }
                Some(Fragment::Data { last, .. }) => {
                    assert!(!over && self.in_dataset, "a dataset belongs to a command set");
                    self.in_dataset = !last;
                }
                None => {}
            }
            self.look();
            if idle {
                break;
            }
        }
        self.unread = unread[at..].to_vec();
        assert!(self.unread.len() <= limits().association_pdu as usize + 6, "what is awaited is within the limits");
    }

    /// Takes out what came of it, and checks it.
    fn look(&mut self) {
        while let Some(event) = self.association.poll_event() {
            match event {
                Event::Requested(_) => {
                    assert!(!self.begun && !self.is_requestor);
                    self.begun = true;
                }
                Event::Accepted(_) => assert!(self.is_requestor && self.finals == 0),
                Event::ReleaseRequested | Event::NetworkTimeout => assert!(self.finals == 0),
                Event::Rejected(_) | Event::Released | Event::Aborted { .. } => self.finals += 1,
                Event::CloseTransport => self.closes += 1,
            }
        }
        for passed in self.association.take_transitions() {
            assert_eq!(passed.state, self.state, "each begins where the one before ended");
            assert_eq!(transition(passed.state, passed.event), Some(passed.action));
            self.state = passed.next;
        }
        assert_eq!(self.association.state(), self.state);
        assert!(self.finals <= 1 && self.closes <= 1);
        assert!(self.finals == 0 || !self.association.is_established());
        assert!(self.closes == 0 || self.state == State::Sta1);
        // The steps of a run are few, and none answers with more than an A-ASSOCIATE-AC.
        assert!(self.association.output_length() < 1 << 20);
    }

    fn end(&mut self) {
        self.association.handle_transport_closed(self.now);
        self.look();
        assert_eq!(self.state, State::Sta1);
        assert_eq!(self.closes, 1);
        assert!(self.finals == 1 || !self.begun, "whatever began has its end");
        assert_eq!(self.association.poll_timeout(), None, "nothing is due any more");
    }
}

fn rejection() -> AssociateRj {
    AssociateRj { result: RejectResult::TRANSIENT, source: RejectSource::PRESENTATION, reason: RejectReason(2) }
}

/// PDUs that a fuzzer would have to find first.
fn prepared(which: u8) -> Vec<u8> {
    let mut pdu = Vec::new();
    match which % 8 {
        0 => request().encode(&mut pdu),
        1 => reply(&request()).encode(&mut pdu),
        2 => rejection().encode(&mut pdu),
        3 => release_rq(&mut pdu),
        4 => release_rp(&mut pdu),
        5 => Abort { source: AbortSource(which >> 4), reason: AbortReason(which >> 3) }.encode(&mut pdu),
        6 => {
            let echo = command::c_echo_rq(1, &"1.2.840.10008.1.1".into());
            dimsefast_protocol::fragment::append_command(&mut pdu, 1, echo.as_bytes(), 512);
        }
        _ => {
            let find = command::c_find_rq(2, &"1.2.3".into(), command::Priority::MEDIUM);
            dimsefast_protocol::fragment::append_command(&mut pdu, 3, find.as_bytes(), usize::from(which | 2) & !1);
        }
    }
    pdu
}
