//! Messages on their way out: every byte, in even fragments, each message whole. The test is the driver and the peer.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use dimsefast_protocol::command::{self, CommandSet, Priority};

use super::BATCH;
use crate::connection::{Connection, Driver, OUTPUT_HIGH_WATER, Output, Service};
use crate::drive::tests::Pair;
use crate::jobs::Job;
use crate::message::Payload;
use crate::sink::StorePlan;
use crate::source::Source;
use crate::transport::{Ends, Transport};
use crate::waiting::{Patience, WaitError};

struct Nobody;

impl Service for Nobody {
    fn submit(&self, _: Arc<Connection>, _: Job) {}
}

/// A connection to a peer that takes PDUs of `max_length`, and the peer's end.
fn connection(max_length: u32) -> (Arc<Connection>, Box<dyn Transport>) {
    let Pair { requestor, mut acceptor } = Pair::joined(StorePlan::Memory, 100_000, max_length);
    let driver = Driver::Runtime { notify: tokio::sync::Notify::new() };
    let address = ([127, 0, 0, 1], 0).into();
    let epoch = Instant::now();
    let ends = Ends { peer: address, local: address, tls: None };
    let near = Connection::new(driver, requestor, Arc::new(Nobody), epoch, ends, Weak::new());
    (near, acceptor.transport.take().unwrap())
}

fn request(id: u16) -> CommandSet {
    command::c_store_rq(id, &"1.2.840.10008.5.1.4.1.1.2".into(), &"1.2.3".into(), Priority::MEDIUM, None)
}

/// A message as it arrived.
#[derive(Debug, PartialEq, Eq)]
struct Arrived {
    command: Vec<u8>,
    dataset: Vec<u8>,
    /// How many fragments the dataset came in.
    fragments: usize,
}

/// The peer: it looks at each PDU.
struct Peer {
    near: Arc<Connection>,
    far: Box<dyn Transport>,
    max_length: u32,
    bytes: Vec<u8>,
}

impl Peer {
    fn new(max_length: u32) -> Self {
        let (near, far) = connection(max_length);
        Self { near, far, max_length, bytes: Vec::new() }
    }

    /// Drives the sender until there are this many bytes.
    fn need(&mut self, length: usize) {
        let deadline = Instant::now() + Duration::from_secs(20);
        let mut buffer = vec![0; 128 << 10];
        while self.bytes.len() < length {
            assert!(Instant::now() < deadline, "nothing comes any more");
            let mut core = self.near.lock();
            core.drive(self.near.now(), true);
            self.near.tell(core);
            match self.far.read(&mut buffer) {
                Ok(length) => self.bytes.extend_from_slice(&buffer[..length]),
                Err(_) => std::thread::yield_now(),
            }
        }
    }

    /// The next PDU: its context ID, its control header and its fragment.
    fn pdu(&mut self) -> (u8, u8, Vec<u8>) {
        self.need(12);
        let number = |at: usize| u32::from_be_bytes(self.bytes[at..at + 4].try_into().unwrap()) as usize;
        let (pdu, item) = (number(2), number(6));
        assert_eq!((self.bytes[0], pdu), (4, item + 4), "one PDV in each");
        assert!(self.max_length == 0 || pdu <= self.max_length as usize);
        assert_eq!(item % 2, 0, "PS3.8 Annex E.1");
        self.need(6 + pdu);
        let rest = self.bytes.split_off(6 + pdu);
        let pdu = std::mem::replace(&mut self.bytes, rest);
        (pdu[10], pdu[11], pdu[12..].to_vec())
    }

    fn message(&mut self) -> Arrived {
        let mut parts = [Vec::new(), Vec::new()];
        let mut fragments = 0;
        for (part, is_command) in parts.iter_mut().zip([1, 0]) {
            fragments = 0;
            loop {
                let (context_id, control, fragment) = self.pdu();
                assert_eq!((context_id, control & 1), (3, is_command), "another message came in between");
                part.extend(fragment);
                fragments += 1;
                if control & 2 != 0 {
                    break;
                }
            }
        }
        let [command, dataset] = parts;
        Arrived { command, dataset, fragments }
    }
}

fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at * 7 + at / 251) as u8).collect()
}

/// The lengths around those at which something begins anew.
fn lengths(piece: usize) -> Vec<usize> {
    let mut around = vec![OUTPUT_HIGH_WATER];
    around.extend([piece, 2 * piece]);
    // Fragments with their headers fill a batch.
    let whole = BATCH.div_ceil(piece + 12) * piece;
    if piece > 1000 {
        around.extend([BATCH, whole, whole - piece, 2 * whole]);
    }
    let mut lengths: Vec<usize> =
        around.iter().flat_map(|&at| (at.saturating_sub(2)..=at + 2).collect::<Vec<_>>()).collect();
    lengths.extend([0, 1, 2, 3]);
    lengths
}

#[test]
fn every_length_arrives_byte_by_byte_in_even_fragments() {
    let file = tempfile::NamedTempFile::new().unwrap();
    for max_length in [8, 9, 4096, 16_383, 16_384, 262_144, 0] {
        let mut peer = Peer::new(max_length);
        let near = peer.near.clone();
        let piece = near.lock().association.max_fragment();
        for length in lengths(piece) {
            if piece < 1000 && length > 10_000 {
                continue;
            }
            let dataset = pattern(length);
            std::fs::write(file.path(), &dataset).unwrap();
            let source = Source::open(file.path(), 0).unwrap();
            for payload in [Payload::Bytes(&dataset), Payload::Object(&source)] {
                let arrived = std::thread::scope(|scope| {
                    let sending = scope.spawn(|| {
                        near.send(&mut Patience::at_most(None), 3, &request(7), payload, Output::Now).unwrap();
                    });
                    let arrived = peer.message();
                    sending.join().unwrap();
                    arrived
                });
                let mut wanted = dataset.clone();
                wanted.resize(length + length % 2, 0);
                assert_eq!(arrived.command, request(7).as_bytes());
                assert!(arrived.dataset == wanted, "{length} bytes by {max_length}");
                assert_eq!(arrived.fragments, length.div_ceil(piece).max(1), "{length} bytes by {max_length}");
            }
        }
        assert!(peer.bytes.is_empty());
    }
}

#[test]
fn messages_of_several_threads_do_not_mix() {
    let mut peer = Peer::new(16_384);
    let near = peer.near.clone();
    let (threads, each) = (4, 12);
    let dataset = |thread: u16, number: usize| {
        // Below and above what is sent in one go, and more than one batch.
        let length = [100, OUTPUT_HIGH_WATER + 1, 30_000, BATCH + 12_345][number % 4];
        vec![thread as u8 + 1; length + length % 2]
    };
    std::thread::scope(|scope| {
        for thread in 0..threads {
            let near = near.clone();
            scope.spawn(move || {
                for number in 0..each {
                    let dataset = dataset(thread, number);
                    let payload = Payload::Bytes(&dataset);
                    near.send(&mut Patience::at_most(None), 3, &request(thread), payload, Output::Now).unwrap();
                }
            });
        }
        let mut next = vec![0; usize::from(threads)];
        for _ in 0..usize::from(threads) * each {
            let arrived = peer.message();
            let thread = u16::from(arrived.dataset[0]) - 1;
            assert_eq!(arrived.command, request(thread).as_bytes());
            let number = &mut next[usize::from(thread)];
            assert!(arrived.dataset == dataset(thread, *number));
            *number += 1;
        }
    });
}

/// What was read and cut ahead is sent whole, or the association is over: the peer never takes half of it for all.
#[test]
fn a_file_that_became_shorter_ends_the_association() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), pattern(3 * BATCH)).unwrap();
    let mut peer = Peer::new(16_384);
    let near = peer.near.clone();
    let source = Source::open(file.path(), 0).unwrap();
    let payload = Payload::Object(&source);
    let outgoing = near.prepare(3, &request(1), payload).unwrap();
    file.as_file().set_len(2 * BATCH as u64).unwrap();
    std::thread::scope(|scope| {
        let sending = scope.spawn(|| near.send_prepared(&mut Patience::at_most(None), outgoing, payload));
        while !sending.is_finished() {
            let mut core = near.lock();
            core.drive(near.now(), true);
            near.tell(core);
            let _ = peer.far.read(&mut vec![0; 128 << 10]);
        }
        assert!(matches!(sending.join().unwrap(), Err(WaitError::File(_))));
    });
    assert!(near.end().is_some());
}
