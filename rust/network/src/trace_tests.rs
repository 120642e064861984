//! What is told is what passed, whole, in order, and on both sides the same.

use std::time::Duration;

use dimsefast_protocol::command;

use super::{TRACE_COMMANDS, TRACE_PDUS, TRACE_TRANSITIONS, Traced, is_dataset};
use crate::core::Core;
use crate::drive::tests::Pair;
use crate::jobs::{Job, JobKind};
use crate::sink::StorePlan;

/// Begins to look on at both sides of an association through pipes of so many bytes.
fn traced(bits: u32, capacity: usize) -> Pair {
    let mut pair = Pair::joined(StorePlan::Memory, capacity, 0);
    for side in [&mut pair.requestor, &mut pair.acceptor] {
        side.bound = bits;
        side.set_traced();
    }
    pair
}

fn seen(core: &mut Core) -> Vec<Traced> {
    let mut seen = Vec::new();
    while let Some(job) = core.jobs.start_serial() {
        core.jobs.done(JobKind::Serial);
        if let Job::Trace(trace) = job {
            seen.push(trace.what);
        }
    }
    seen
}

fn pdus(traced: Vec<Traced>, sent: bool) -> Vec<Vec<u8>> {
    traced
        .into_iter()
        .filter_map(|what| match what {
            Traced::Sent(pdu) if sent => Some(pdu),
            Traced::Received(pdu) if !sent => Some(pdu),
            _ => None,
        })
        .collect()
}

#[test]
fn what_one_side_sends_is_what_the_other_receives_pdu_by_pdu() {
    // Through a narrow pipe; in long fragments, which are read to where they belong.
    for (capacity, fragment, length) in [(64, 3000, 30_000), (1 << 20, 100_000, 300_000)] {
        let dataset: Vec<u8> = (0..length).map(|at: u32| at as u8).collect();
        let mut pair = traced(TRACE_PDUS, capacity);
        // With the second and third object it is known that this peer sends long fragments.
        for id in 1..=3 {
            pair.send_store_in(fragment, id, "1.2.3", &dataset);
            let sent = pdus(seen(&mut pair.requestor), true);
            assert_eq!(sent.len(), 1 + dataset.len().div_ceil(fragment), "each is one PDU");
            assert!(sent == pdus(seen(&mut pair.acceptor), false));
            let carried: usize = sent.iter().filter(|pdu| is_dataset(pdu)).map(|pdu| pdu.len() - 12).sum();
            assert_eq!(carried, dataset.len());
        }
    }
}

#[test]
fn a_peer_waits_while_those_who_look_on_are_behind() {
    let mut pair = traced(TRACE_PDUS, 64);
    for id in 1..=20 {
        let command = command::c_echo_rq(id, &"1.2.840.10008.1.1".into());
        pair.requestor.association.send_command(Duration::ZERO, 1, &command).unwrap();
    }
    for _ in 0..1000 {
        pair.requestor.drive(Duration::ZERO, true);
        pair.acceptor.drive(Duration::ZERO, true);
    }
    assert!(pair.requestor.has_output(), "not everything was read");
    assert!(pair.acceptor.jobs.waiting() < 30);
}

#[test]
fn commands_alone_are_told_without_their_datasets() {
    let mut pair = traced(TRACE_COMMANDS, 64);
    for id in 1..=2 {
        pair.send_store_in(700, id, "1.2.3", &[0; 5000]);
    }
    pair.requestor.association.release(Duration::ZERO).unwrap();
    pair.requestor.trace();
    pair.requestor.drive(Duration::ZERO, true);
    let sent = pdus(seen(&mut pair.requestor), true);
    assert_eq!(sent.iter().map(|pdu| pdu[0]).collect::<Vec<_>>(), [4, 4, 5], "two commands and the release");
    assert!(sent.iter().all(|pdu| !is_dataset(pdu)));
    pair.acceptor.drive(Duration::ZERO, true);
    assert!(sent == pdus(seen(&mut pair.acceptor), false));
}

#[test]
fn transitions_are_told_by_their_names_and_nothing_else_is() {
    let mut pair = traced(TRACE_TRANSITIONS, 64);
    pair.send_store_in(1000, 1, "1.2.3", &[0; 10]);
    let names = |traced: Vec<Traced>| -> Vec<String> {
        let name = |what: &Traced| match what {
            Traced::Transition(step) => format!("{} {} {} {}", step.state, step.event, step.action, step.next),
            other => panic!("{other:?}"),
        };
        traced.iter().map(name).collect()
    };
    assert_eq!(names(seen(&mut pair.requestor)), ["Sta6 Evt9 DT-1 Sta6"; 2]);
    assert_eq!(names(seen(&mut pair.acceptor)), ["Sta6 Evt10 DT-2 Sta6"; 2]);
}

#[test]
fn nothing_is_told_where_nobody_asked() {
    let mut pair = traced(0, 64);
    pair.send_store_in(1000, 1, "1.2.3", &[0; 10]);
    assert!(seen(&mut pair.requestor).is_empty() && seen(&mut pair.acceptor).is_empty());
}
