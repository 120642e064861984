//! Observers, and messages that are sent without a thread: the test is the driver and the peer.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use dimsefast_protocol::command::{self, Priority, Status};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::{Observer, Wakeup, Want};
use crate::connection::{Connection, Driver, Output, Service};
use crate::drive::tests::Pair;
use crate::jobs::Job;
use crate::message::Payload;
use crate::post::{Payloads, Post};
use crate::sink::StorePlan;
use crate::transport::{Ends, Transport};
use crate::waiting::{Patience, WaitError};

struct Nobody;

impl Service for Nobody {
    fn submit(&self, _: Arc<Connection>, _: Job) {}
}

#[derive(Default)]
struct Count(AtomicU64);

impl Observer for Count {
    fn fulfilled(&self, token: u64) {
        self.0.fetch_add(token, Ordering::Relaxed);
    }
}

fn connection(capacity: usize) -> (Arc<Connection>, Box<dyn Transport>) {
    let Pair { requestor, mut acceptor } = Pair::joined(StorePlan::Memory, capacity, 0);
    let driver = Driver::Runtime { notify: tokio::sync::Notify::new() };
    let address = ([127, 0, 0, 1], 0).into();
    let ends = Ends { peer: address, local: address, tls: None };
    let near = Connection::new(driver, requestor, Arc::new(Nobody), Instant::now(), ends, Weak::new());
    (near, acceptor.transport.take().unwrap())
}

fn is_readable(wakeup: &Wakeup) -> bool {
    let mut descriptors = [PollFd::from_borrowed_fd(wakeup.descriptor(), PollFlags::IN)];
    poll(&mut descriptors, Some(&Timespec { tv_sec: 0, tv_nsec: 0 })).unwrap() == 1
}

#[test]
fn an_observer_is_told_once_and_only_of_what_it_wants() {
    let (near, mut far) = connection(100_000);
    let (ended, answered) = (Arc::new(Count::default()), Arc::new(Count::default()));
    let id = near.begin(None).unwrap();
    assert!(!near.observe(Want::Ended, ended.clone(), 1));
    assert!(near.take_response(&[id], answered.clone(), 1).unwrap().is_none());
    assert!(near.observe(Want::Room, ended.clone(), 1), "it is so already");
    assert!(near.observe(Want::Negotiated, ended.clone(), 1));
    let response = command::response(&command::c_echo_rq(id, &"1.2.840.10008.1.1".into()), Status::SUCCESS, false, &[]);
    let mut pdu = Vec::new();
    dimsefast_protocol::fragment::append_command(&mut pdu, 1, response.as_bytes(), 4096);
    assert_eq!(far.write(&pdu).unwrap(), pdu.len());
    for _ in 0..2 {
        let mut core = near.lock();
        core.drive(near.now(), true);
        near.tell(core);
        assert_eq!((answered.0.load(Ordering::Relaxed), ended.0.load(Ordering::Relaxed)), (1, 0));
    }
    assert_eq!(near.take_responses(id, answered.clone(), 1).unwrap().len(), 1);
    assert!(near.take_responses(id, answered.clone(), 1).unwrap().is_empty());
    near.forget_observer(1);
    assert!(!near.observe(Want::Ended, ended.clone(), 1));
    near.abort();
    assert_eq!((answered.0.load(Ordering::Relaxed), ended.0.load(Ordering::Relaxed)), (1, 1));
    assert!(matches!(near.take_response(&[id], answered, 1), Err(WaitError::Ended)));
}

#[test]
fn a_wakeup_is_readable_until_its_tokens_are_taken() {
    let wakeup = Wakeup::new().unwrap();
    assert!(!is_readable(&wakeup));
    (1..=3).for_each(|token| wakeup.fulfilled(token));
    assert!(is_readable(&wakeup));
    assert_eq!(wakeup.take(), [1, 2, 3]);
    assert!(!is_readable(&wakeup));
    assert!(wakeup.take().is_empty());
}

/// Reads what the peer gets until `done`.
fn read_until(near: &Connection, far: &mut Box<dyn Transport>, mut done: impl FnMut() -> bool) -> Vec<u8> {
    let deadline = Instant::now() + Duration::from_secs(30);
    let (mut bytes, mut buffer) = (Vec::new(), vec![0; 128 << 10]);
    while !done() {
        assert!(Instant::now() < deadline, "nothing comes any more");
        let mut core = near.lock();
        core.drive(near.now(), true);
        near.tell(core);
        match far.read(&mut buffer) {
            Ok(length) => bytes.extend_from_slice(&buffer[..length]),
            Err(_) => std::thread::yield_now(),
        }
    }
    bytes
}

#[test]
fn a_message_of_several_batches_is_fed_without_a_thread_and_leaves_as_a_thread_sends_it() {
    let dataset: Vec<u8> = (0..5_000_000_usize).map(|at| (at / 3) as u8).collect();
    let request = command::c_store_rq(1, &"1.2".into(), &"1.2.3".into(), Priority::MEDIUM, None);
    let told: Arc<Count> = Arc::default();
    let (near, mut far) = connection(200_000);
    let post = Post::new(near.prepare(3, &request, Payload::Bytes(&dataset)).unwrap());
    let observer: Arc<dyn Observer> = told.clone();
    let timeout = Some(Duration::from_secs(30));
    let advance = || post.advance(&near, || Payloads::Bytes(dataset.clone()), timeout, &observer, 1).unwrap();
    assert!(!advance());
    let over = || told.0.load(Ordering::Relaxed) > 0;
    let mut posted = read_until(&near, &mut far, over);
    assert!(advance(), "it has left");
    let empty = || near.unwritten() == 0;
    posted.extend(read_until(&near, &mut far, empty));
    posted.extend(read_until(&near, &mut far, drained()));

    let (near, mut far) = connection(200_000);
    let sender = std::thread::spawn({
        let (near, request, dataset) = (near.clone(), request.clone(), dataset.clone());
        move || near.send(&mut Patience::at_most(None), 3, &request, Payload::Bytes(&dataset), Output::Now)
    });
    let mut sent = read_until(&near, &mut far, || sender.is_finished());
    sent.extend(read_until(&near, &mut far, || near.unwritten() == 0));
    sent.extend(read_until(&near, &mut far, drained()));
    assert!(sent == posted, "{} and {} bytes", sent.len(), posted.len());
    assert!(sent.len() > dataset.len());
}

/// True from the fourth time on: the pipe holds less than three reads.
fn drained() -> impl FnMut() -> bool {
    let mut left = 4;
    move || {
        left -= 1;
        left == 0
    }
}

#[test]
fn a_peer_that_takes_nothing_any_more_ends_what_is_fed() {
    let (near, _far) = connection(200_000);
    let dataset = vec![0; 5_000_000];
    let request = command::c_store_rq(1, &"1.2".into(), &"1.2.3".into(), Priority::MEDIUM, None);
    let told: Arc<Count> = Arc::default();
    let observer: Arc<dyn Observer> = told.clone();
    let post = Post::new(near.prepare(3, &request, Payload::Bytes(&dataset)).unwrap());
    let timeout = Some(Duration::from_millis(20));
    let advance = || post.advance(&near, || Payloads::Bytes(dataset.clone()), timeout, &observer, 1);
    assert!(!advance().unwrap());
    let deadline = Instant::now() + Duration::from_secs(30);
    while told.0.load(Ordering::Relaxed) == 0 {
        assert!(Instant::now() < deadline, "the time-out does not come");
        std::thread::yield_now();
    }
    assert!(matches!(advance(), Err(WaitError::Timeout)));
    assert!(near.end().is_some(), "the peer has the beginning of a message");
}
