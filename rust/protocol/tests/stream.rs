//! The stream of bytes: however it is cut the same events come of it, and what breaks the rules ends the association.

mod common;

use std::time::Duration;

use common::{CT, ECHO, Pair, REFUSED, STORE, Side, VERIFICATION, config, request_bytes};
use dimsefast_protocol::association::{AbortCause, Association, Event};
use dimsefast_protocol::command::{self, Priority};
use dimsefast_protocol::fragment::data_pdu_header;
use dimsefast_protocol::limits::Limits;
use dimsefast_protocol::types::{AbortReason, AbortSource};
use proptest::prelude::*;

const NOW: Duration = Duration::ZERO;

fn store() -> Vec<u8> {
    command::c_store_rq(2, &CT.into(), &"1.2.3".into(), Priority::LOW, None).as_bytes().to_vec()
}

/// A PDU with one PDV.
fn pdv(context_id: u8, is_command: bool, last: bool, payload: &[u8]) -> Vec<u8> {
    let mut bytes = data_pdu_header(context_id, is_command, last, payload.len()).to_vec();
    bytes.extend_from_slice(payload);
    bytes
}

/// An association from its request to its release, with an echo and two objects, as its acceptor reads it.
fn whole_stream() -> Vec<u8> {
    let mut stream = request_bytes();
    let echo = command::c_echo_rq(1, &VERIFICATION.into());
    stream.extend(pdv(ECHO, true, true, echo.as_bytes()));
    let store = store();
    let (first, second) = store.split_at(20);
    stream.extend(pdv(STORE, true, false, first));
    stream.extend(pdv(STORE, true, true, second));
    stream.extend(pdv(STORE, false, false, &[7; 300]));
    stream.extend(pdv(STORE, false, false, b""));
    stream.extend(pdv(STORE, false, true, &[8; 41]));
    // Command and dataset in one PDU, and an empty last fragment.
    let (command, data, end) =
        (pdv(STORE, true, true, &store), pdv(STORE, false, false, &[9; 5]), pdv(STORE, false, true, b""));
    let items = [&command[6..], &data[6..], &end[6..]].concat();
    stream.extend([4, 0]);
    stream.extend(u32::try_from(items.len()).unwrap().to_be_bytes());
    stream.extend(items);
    stream.extend([5, 0, 0, 0, 0, 4, 0, 0, 0, 0]);
    stream
}

fn fed(pieces: &[&[u8]]) -> Side {
    let mut side = Side::new(Association::acceptor(config(), NOW));
    for piece in pieces {
        side.feed(NOW, piece);
    }
    side
}

fn assert_same(side: &Side, whole: &Side, how: &str) {
    assert_eq!(side.events, whole.events, "{how}");
    assert_eq!(side.messages, whole.messages, "{how}");
}

#[test]
fn every_split_in_two_yields_the_same() {
    let stream = whole_stream();
    let whole = fed(&[&stream]);
    assert_eq!(whole.end(), &Event::Released);
    assert_eq!(whole.messages.len(), 3);
    assert_eq!(whole.messages[1].dataset, [&[7; 300][..], &[8; 41]].concat());
    assert_eq!(whole.messages[2].dataset, [9; 5]);
    assert!(whole.messages.iter().all(|message| message.complete));
    for at in 0..=stream.len() {
        let (head, tail) = stream.split_at(at);
        assert_same(&fed(&[head, tail]), &whole, &format!("split at {at}"));
    }
}

#[test]
fn single_bytes_yield_the_same() {
    let stream = whole_stream();
    let pieces: Vec<&[u8]> = stream.chunks(1).collect();
    assert_same(&fed(&pieces), &fed(&[&stream]), "single bytes");
}

proptest! {
    #[test]
    fn any_split_yields_the_same(cuts in proptest::collection::vec(1..200usize, 1..60)) {
        let stream = whole_stream();
        let (mut pieces, mut rest) = (Vec::new(), &stream[..]);
        for cut in cuts {
            let (head, tail) = rest.split_at(cut.min(rest.len()));
            pieces.push(head);
            rest = tail;
        }
        pieces.push(rest);
        assert_same(&fed(&pieces), &fed(&[&stream]), "random pieces");
    }

    #[test]
    fn arbitrary_bytes_never_panic_and_end_at_most_once(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), established in any::<bool>(),
    ) {
        let mut side = if established { Side::established() } else { Side::new(Association::acceptor(config(), NOW)) };
        side.feed(NOW, &bytes);
        side.association.handle_transport_closed(NOW);
        side.settle(NOW);
        prop_assert!(side.events.iter().filter(|event| common::is_final(event)).count() <= 1);
        prop_assert!(side.closed);
    }

    #[test]
    fn a_mutated_stream_never_panics(at in any::<prop::sample::Index>(), value in any::<u8>()) {
        let mut stream = whole_stream();
        let at = at.index(stream.len());
        stream[at] = value;
        let side = fed(&[&stream]);
        prop_assert!(side.events.iter().filter(|event| common::is_final(event)).count() <= 1);
    }
}

#[test]
fn fragmenting_and_joining_is_the_identity_at_any_maximum_length() {
    let dataset: Vec<u8> = (0..1001_u32).map(|n| (n % 253) as u8).collect();
    for maximum in (8..300).chain([4096, 16382, 131_072, 0]) {
        let mut own = config();
        own.max_pdu_length = maximum;
        let mut proposal = common::request();
        proposal.user.max_length = Some(maximum);
        // The acceptor sends to the requestor, whose maximum it is.
        let mut pair = Pair::of(own, config(), proposal);
        pair.run();
        let command = command::c_store_rq(2, &CT.into(), &"1.2.3".into(), Priority::LOW, None);
        pair.acceptor.association.send_command(NOW, STORE, &command).unwrap();
        pair.acceptor.send_dataset(NOW, STORE, &dataset);
        pair.run();
        let [message] = &pair.requestor.messages[..] else { panic!("{maximum}: one message") };
        assert_eq!((&message.command, message.complete), (&command, true), "{maximum}");
        assert_eq!(message.dataset, dataset, "{maximum}");
        assert_eq!(pair.requestor.association.oversized(), 0, "{maximum}");
    }
}

/// What an established acceptor makes of these bytes: the reason that it aborts with, and what was wrong.
fn refused(bytes: &[u8]) -> (AbortReason, &'static str) {
    refused_by(Side::established(), bytes)
}

fn refused_by(mut side: Side, bytes: &[u8]) -> (AbortReason, &'static str) {
    side.feed(NOW, bytes);
    let Event::Aborted { source, reason, by_peer: false, cause: AbortCause::Protocol(error) } = side.end().clone()
    else {
        panic!("{:?}", side.end());
    };
    assert_eq!(source, AbortSource::PROVIDER);
    let sent = side.take_output();
    assert_eq!(sent, [7, 0, 0, 0, 0, 4, 0, 0, 2, reason.0], "the A-ABORT says the same");
    // What comes now is passed over.
    side.feed(NOW, &pdv(ECHO, true, true, command::c_echo_rq(1, &VERIFICATION.into()).as_bytes()));
    assert!(side.messages.iter().all(|message| message.command.message_id() != Some(1)));
    (reason, error.field)
}

#[test]
fn what_breaks_the_rules_ends_the_association_with_its_reason() {
    let (unrecognized, unexpected, invalid) =
        (AbortReason::UNRECOGNIZED_PDU, AbortReason::UNEXPECTED_PDU, AbortReason::INVALID_PARAMETER);
    let store = store();
    let begun = pdv(STORE, true, true, &store);
    let with = |more: &[u8]| [&begun[..], more].concat();
    let cases: [(&str, Vec<u8>, AbortReason); 14] = [
        ("HTTP", b"GET / HTTP/1.1\r\n".to_vec(), unrecognized),
        ("an unknown type, at its first byte", vec![8], unrecognized),
        ("type 0", vec![0], unrecognized),
        ("a dataset before its command", pdv(STORE, false, true, b"data"), unexpected),
        ("a command before the dataset is complete", with(&begun), unexpected),
        ("a release in the middle of a message", with(&[5, 0, 0, 0, 0, 4, 0, 0, 0, 0]), unexpected),
        ("another context in the middle", with(&pdv(ECHO, false, true, b"data")), unexpected),
        ("a context that was refused", pdv(REFUSED, true, true, &store), invalid),
        ("a context that was never proposed", pdv(99, true, true, &store), invalid),
        ("a PDV length of 1", vec![4, 0, 0, 0, 0, 6, 0, 0, 0, 1, 1, 3], invalid),
        ("a PDV longer than its PDU", vec![4, 0, 0, 0, 0, 6, 0, 0, 0, 3, 1, 3], invalid),
        ("a PDV length that wraps", vec![4, 0, 0, 0, 0, 6, 0xff, 0xff, 0xff, 0xff, 1, 3], invalid),
        ("a PDU above the maximum and the slack", vec![4, 0, 0, 1, 0, 0], invalid),
        ("a command set of rubbish", pdv(STORE, true, true, b"rubbish!"), invalid),
    ];
    for (what, bytes, reason) in cases {
        assert_eq!(refused(&bytes).0, reason, "{what}");
    }
}

#[test]
fn a_pdu_somewhat_above_our_maximum_is_tolerated_and_counted() {
    let mut side = Side::established();
    side.feed(NOW, &pdv(STORE, true, true, &store()));
    side.feed(NOW, &pdv(STORE, false, true, &vec![1; 20_000]));
    assert_eq!(side.messages[0].dataset.len(), 20_000);
    assert_eq!(side.association.oversized(), 1);
}

#[test]
fn limits_hold_before_memory_is_taken() {
    let mut small = config();
    small.limits = Limits { command_set: 100, message: Some(50), ..Limits::default() };
    let endless = [pdv(STORE, true, false, &[0; 60]), pdv(STORE, true, false, &[0; 60])].concat();
    assert_eq!(refused_by(Side::established_with(small.clone()), &endless).1, "command set");
    small.limits.command_set = 1000;
    let long = [pdv(STORE, true, true, &store()), pdv(STORE, false, false, &[0; 60])].concat();
    assert_eq!(refused_by(Side::established_with(small), &long).1, "dataset");
}

#[test]
fn an_association_pdu_is_measured_before_it_is_awaited() {
    for head in [&[1, 0, 0xff, 0xff, 0xff, 0xff][..], &[1, 0, 0, 0, 0, 10]] {
        let mut side = Side::new(Association::acceptor(config(), NOW));
        side.feed(NOW, head);
        assert_eq!(side.take_output()[..6], [7, 0, 0, 0, 0, 4], "an A-ABORT (AA-1)");
    }
}

#[test]
fn a_peer_that_leaves_no_room_for_data_is_refused() {
    for maximum in 1..8 {
        let mut proposal = common::request();
        proposal.user.max_length = Some(maximum);
        let mut pair = Pair::of(config(), config(), proposal);
        pair.run();
        assert!(
            !pair.acceptor.association.is_established() && !pair.requestor.association.is_established(),
            "{maximum}"
        );
    }
}
