//! Threads that wait on one connection.

use std::net::TcpListener;
use std::sync::Arc;
use std::time::Duration;

use dimsefast_protocol::association::Config;
use dimsefast_protocol::limits::Limits;
use dimsefast_protocol::pdu::{AssociateRq, UserInformation};
use dimsefast_protocol::types::AeTitle;

use super::Patience;
use crate::connect::{Request, Security, connect};
use crate::connection::{Connection, Service};
use crate::jobs::Job;
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
