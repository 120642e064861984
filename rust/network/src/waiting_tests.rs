//! Threads that wait on one connection.

use std::io::Write;
use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use dimsefast_protocol::association::{Config, NetworkTimeoutResponse};
use dimsefast_protocol::command;
use dimsefast_protocol::limits::Limits;
use dimsefast_protocol::pdu::{AssociateRq, UserInformation};
use dimsefast_protocol::types::AeTitle;

use super::Patience;
use crate::connect::{Request, Security, connect};
use crate::connection::{Connection, Service};
use crate::jobs::Job;
use crate::message::Message;
use crate::sink::StorePlan;

struct Nobody;

impl Service for Nobody {
    fn submit(&self, _: Arc<Connection>, _: Job) {}
}

/// A connection to a peer that never says anything.
fn connected(listener: &TcpListener) -> Arc<Connection> {
    let address = listener.local_addr().unwrap();
    let title = AeTitle::new("X").unwrap();
    let request = Request {
        host: address.ip().to_string(),
        port: address.port(),
        bind: None,
        connect_timeout: None,
        security: Security::Plain,
        keepalive: None,
        config: Config {
            limits: Limits::default(),
            max_pdu_length: 0,
            acse_timeout: None,
            network_timeout: None,
            network_timeout_response: NetworkTimeoutResponse::default(),
            pdu_timeout: None,
        },
        associate: AssociateRq {
            protocol_version: 1,
            called: title.clone(),
            calling: title,
            application_context: "1.2.840.10008.3.1.1.1".into(),
            contexts: Vec::new(),
            user: UserInformation::default(),
        },
        store: StorePlan::Memory,
        bound: 0,
    };
    connect(request, Arc::new(Nobody), &mut Patience::at_most(None)).unwrap()
}

/// A thread that drives waits on the socket: it has to learn, too, that another one has finished sending.
#[test]
fn the_thread_that_drives_sees_what_another_changes() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = connected(&listener);
    connection.with(|core, _| core.sending = true);
    let (done, seen) = std::sync::mpsc::channel();
    std::thread::spawn({
        let connection = connection.clone();
        move || {
            let waited = connection.wait(&mut Patience::at_most(None), |core| (!core.sending).then_some(()));
            done.send(waited.is_ok())
        }
    });
    while connection.lock().driving.is_none() {
        std::thread::yield_now();
    }
    connection.with(|core, _| core.sending = false);
    assert_eq!(seen.recv_timeout(Duration::from_secs(10)), Ok(true), "it still sleeps");
    connection.abort();
}

/// One thread drives, for whatever it waits for itself: what comes for the others is theirs.
#[test]
fn a_thread_that_does_not_drive_sees_what_the_one_that_does_has_read() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = connected(&listener);
    connection.with(|core, _| core.sending = true);
    let driver = std::thread::spawn({
        let connection = connection.clone();
        move || connection.wait(&mut Patience::at_most(None), |core| (!core.sending).then_some(())).is_ok()
    });
    while connection.lock().driving.is_none() {
        std::thread::yield_now();
    }
    let (done, seen) = std::sync::mpsc::channel();
    std::thread::spawn({
        let connection = connection.clone();
        move || done.send(connection.negotiated(&mut Patience::at_most(None)).is_ok())
    });
    while connection.lock().waiting == 0 {
        std::thread::yield_now();
    }
    // A-ASSOCIATE-RJ: permanent, by the service user, no reason given.
    listener.accept().unwrap().0.write_all(&[3, 0, 0, 0, 0, 4, 0, 1, 1, 1]).unwrap();
    assert_eq!(seen.recv_timeout(Duration::from_secs(30)), Ok(true), "it still sleeps");
    connection.with(|core, _| core.sending = false);
    assert!(driver.join().unwrap());
}

/// A socket that is ready and not read would wake the watch all the time.
#[test]
fn the_watch_waits_for_nothing_where_too_many_requests_wait_and_for_input_again_when_they_are_fewer() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = connected(&listener);
    let is_armed = || connection.lock().socket.as_ref().unwrap().is_armed();
    let mut core = connection.lock();
    for id in 1..=20 {
        core.jobs.push(Job::Request(Box::new(Message::new(1, command::c_echo_rq(id, &"1.2".into()), None))));
    }
    connection.rest(&mut core);
    let running = core.jobs.start().expect("one may run");
    drop(core);
    assert!(!is_armed());
    let mut next = Some(running);
    while let Some(job) = next {
        next = connection.job_done(job.kind());
        let stops = !connection.lock().wants_input();
        assert_eq!(is_armed(), !stops);
    }
    assert!(is_armed());
    connection.abort();
}
