//! Associations from beginning to end: two of them joined in memory, with a simulated clock.

mod common;

use std::time::Duration;

use common::{ACSE, ECHO, NETWORK, PDU, Pair, REFUSED, STORE, Side, VERIFICATION, config, request, request_bytes};
use dimsefast_protocol::association::{AbortCause, Association, Event, NetworkTimeoutResponse, StateError};
use dimsefast_protocol::command::{self, CommandField, Priority, Status};
use dimsefast_protocol::pdu::AssociateRj;
use dimsefast_protocol::state::{self, State};
use dimsefast_protocol::types::{AbortReason, AbortSource, ContextResult, RejectReason, RejectResult, RejectSource};

const START: Duration = Duration::ZERO;

/// A-ABORT of the service user.
const USER_ABORT: [u8; 10] = [7, 0, 0, 0, 0, 4, 0, 0, 0, 0];

fn aborted(source: AbortSource, by_peer: bool, cause: AbortCause) -> Event {
    Event::Aborted { source, reason: AbortReason::NOT_SPECIFIED, by_peer, cause }
}

#[test]
fn both_sides_agree_on_what_was_negotiated() {
    let pair = Pair::established();
    assert!(matches!(pair.acceptor.events[..], [Event::Requested(_)]));
    assert!(matches!(pair.requestor.events[..], [Event::Accepted(_)]));
    let (requestor, acceptor) = (&pair.requestor.association, &pair.acceptor.association);
    assert_eq!(requestor.request(), acceptor.request());
    assert_eq!(requestor.reply(), acceptor.reply());
    assert_eq!(requestor.max_fragment(), 16378);
    for (ours, theirs) in requestor.contexts().iter().zip(acceptor.contexts().iter()) {
        assert_eq!((ours.id, ours.result, &ours.transfer_syntax), (theirs.id, theirs.result, &theirs.transfer_syntax));
        assert_eq!((ours.as_scu, ours.as_scp), (theirs.as_scp, theirs.as_scu));
    }
    assert!(requestor.context(ECHO).is_some() && requestor.context(STORE).is_some());
    assert_eq!(requestor.context(REFUSED), None);
    assert_eq!(requestor.contexts()[2].result, ContextResult::ABSTRACT_SYNTAX_NOT_SUPPORTED);
}

#[test]
fn echo_and_release() {
    let mut pair = Pair::established();
    let request = command::c_echo_rq(1, &VERIFICATION.into());
    pair.requestor.association.send_command(pair.now, ECHO, &request).expect("Sta6");
    pair.run();
    let received = pair.acceptor.messages.pop().expect("the request");
    assert_eq!((received.context_id, &received.command, received.complete), (ECHO, &request, true));
    let response = command::response(&received.command, Status::SUCCESS, false, &[]);
    pair.acceptor.association.send_command(pair.now, ECHO, &response).expect("Sta6");
    pair.run();
    let received = pair.requestor.messages.pop().expect("the response");
    assert_eq!(received.command.command_field(), CommandField::C_ECHO_RQ.to_response());
    assert_eq!(received.command.message_id_responded_to(), Some(1));
    assert_eq!(received.command.status(), Some(Status::SUCCESS));

    pair.requestor.association.release(pair.now).expect("Sta6");
    pair.run();
    assert!(pair.acceptor.events.contains(&Event::ReleaseRequested));
    assert_eq!((pair.requestor.end(), pair.acceptor.end()), (&Event::Released, &Event::Released));
    assert!(pair.requestor.closed && pair.acceptor.closed);
    assert_eq!(pair.requestor.association.state(), State::Sta1);
    assert_eq!(pair.acceptor.association.state(), State::Sta1);
}

#[test]
fn a_dataset_arrives_as_it_was_sent() {
    let mut pair = Pair::established();
    let dataset: Vec<u8> = (0..100_000u32).flat_map(|number| (number as u16).to_le_bytes()).collect();
    let request = command::c_store_rq(7, &common::CT.into(), &"1.2.3.4".into(), Priority::MEDIUM, None);
    pair.requestor.association.send_command(pair.now, STORE, &request).expect("Sta6");
    pair.requestor.send_dataset(pair.now, STORE, &dataset);
    pair.run();
    let [message] = &pair.acceptor.messages[..] else { panic!("one message") };
    assert_eq!((&message.command, message.complete), (&request, true));
    assert!(message.dataset == dataset);
}

#[test]
fn a_released_association_answers_what_it_still_has_to() {
    // PS3.8 Table 9-10: Sta8 takes P-DATA requests (AR-7), Sta7 P-DATA-TF (AR-6).
    let mut pair = Pair::established();
    pair.acceptor.answers = false;
    let request = command::c_echo_rq(1, &VERIFICATION.into());
    pair.requestor.association.send_command(pair.now, ECHO, &request).expect("Sta6");
    pair.requestor.association.release(pair.now).expect("Sta6");
    pair.run();
    assert_eq!(pair.acceptor.association.state(), State::Sta8);
    let response = command::response(&pair.acceptor.messages[0].command, Status::SUCCESS, false, &[]);
    pair.acceptor.association.send_command(pair.now, ECHO, &response).expect("Sta8");
    pair.acceptor.association.release_response(pair.now).expect("Sta8");
    pair.run();
    assert_eq!(pair.requestor.messages.len(), 1);
    assert_eq!((pair.requestor.end(), pair.acceptor.end()), (&Event::Released, &Event::Released));
}

#[test]
fn both_sides_release_at_once() {
    let mut pair = Pair::established();
    for side in [&mut pair.requestor, &mut pair.acceptor] {
        side.association.trace(true);
        side.association.release(pair.now).expect("Sta6");
    }
    pair.run();
    assert_eq!((pair.requestor.end(), pair.acceptor.end()), (&Event::Released, &Event::Released));
    let actions = |side: &mut Side| {
        side.association.take_transitions().iter().map(|step| step.action.to_string()).collect::<Vec<_>>()
    };
    assert_eq!(actions(&mut pair.requestor), ["AR-1", "AR-8", "AR-9", "AR-3"]);
    assert_eq!(actions(&mut pair.acceptor), ["AR-1", "AR-8", "AR-10", "AR-4", "AR-5"]);
}

#[test]
fn either_side_aborts() {
    for by_requestor in [true, false] {
        let mut pair = Pair::established();
        let aborter = if by_requestor { &mut pair.requestor } else { &mut pair.acceptor };
        aborter.association.abort(pair.now);
        assert_eq!(*aborter.association.output(), USER_ABORT);
        pair.run();
        let (ours, theirs) =
            if by_requestor { (&pair.requestor, &pair.acceptor) } else { (&pair.acceptor, &pair.requestor) };
        assert_eq!(ours.end(), &aborted(AbortSource::USER, false, AbortCause::Local));
        assert_eq!(theirs.end(), &aborted(AbortSource::USER, true, AbortCause::PeerAbort));
        assert!(ours.closed && theirs.closed);
    }
}

#[test]
fn aborts_that_cross_close_both_sides_at_once() {
    let mut pair = Pair::established();
    pair.requestor.association.abort(pair.now);
    pair.acceptor.association.abort(pair.now);
    // Both await the close; the peer's A-ABORT ends that (AA-2), and nobody waits for the ARTIM timer.
    let bytes = pair.acceptor.take_output();
    pair.requestor.feed(pair.now, &bytes);
    assert!(pair.requestor.closed);
    pair.run();
    assert!(pair.acceptor.closed);
    assert_eq!(pair.requestor.end(), &aborted(AbortSource::USER, false, AbortCause::Local));
    assert_eq!(pair.acceptor.end(), &aborted(AbortSource::USER, false, AbortCause::Local));
}

#[test]
fn what_comes_after_an_abort_is_passed_over_up_to_the_a_abort_of_the_peer() {
    let mut pair = Pair::established();
    let request = command::c_store_rq(7, &common::CT.into(), &"1.2.3.4".into(), Priority::MEDIUM, None);
    pair.requestor.association.send_command(pair.now, STORE, &request).expect("Sta6");
    pair.requestor.send_dataset(pair.now, STORE, &[7; 40_000]);
    pair.requestor.association.abort(pair.now);
    let bytes = pair.requestor.take_output();
    let middle = request.as_bytes().len() + 5000;
    pair.acceptor.feed(pair.now, &bytes[..middle]);
    let held = pair.acceptor.messages[0].dataset.len();
    pair.acceptor.association.abort(pair.now);
    pair.acceptor.feed(pair.now, &bytes[middle..]);
    assert_eq!(pair.acceptor.messages[0].dataset.len(), held, "nothing more is delivered");
    assert_eq!(pair.acceptor.end(), &aborted(AbortSource::USER, false, AbortCause::Local));
    assert!(pair.acceptor.closed, "the A-ABORT behind the data was seen");
}

#[test]
fn the_provider_aborts_for_the_layers_above() {
    for releasing in [false, true] {
        let mut pair = Pair::established();
        if releasing {
            pair.requestor.association.release(pair.now).expect("Sta6");
        }
        pair.requestor.association.abort_provider(pair.now, AbortReason::UNEXPECTED_PARAMETER);
        assert!(pair.requestor.association.output().ends_with(&[7, 0, 0, 0, 0, 4, 0, 0, 2, 5]));
        pair.requestor.association.abort_provider(pair.now, AbortReason::NOT_SPECIFIED);
        pair.acceptor.answers = false;
        pair.run();
        let end = Event::Aborted {
            source: AbortSource::PROVIDER,
            reason: AbortReason::UNEXPECTED_PARAMETER,
            by_peer: true,
            cause: AbortCause::PeerAbort,
        };
        assert_eq!(pair.acceptor.end(), &end);
        assert!(matches!(pair.requestor.end(), Event::Aborted { by_peer: false, cause: AbortCause::Local, .. }));
    }
}

#[test]
fn a_rejection_reaches_the_requestor() {
    let mut pair = Pair::connected();
    pair.acceptor.answers = false;
    pair.run();
    let reject =
        AssociateRj { result: RejectResult::TRANSIENT, source: RejectSource::PRESENTATION, reason: RejectReason(2) };
    pair.acceptor.association.reject(pair.now, reject).expect("Sta3");
    pair.run();
    assert_eq!((pair.requestor.end(), pair.acceptor.end()), (&Event::Rejected(reject), &Event::Rejected(reject)));
    assert!(pair.requestor.closed && pair.acceptor.closed);
    assert_eq!(reject.words(), "local limit exceeded");
}

#[test]
fn another_protocol_version_is_rejected_by_the_provider() {
    let rejected = AssociateRj { result: RejectResult::PERMANENT, source: RejectSource::ACSE, reason: RejectReason(2) };
    let mut pair = Pair::of(config(), config(), {
        let mut other = request();
        other.protocol_version = 2;
        other
    });
    pair.acceptor.association.trace(true);
    pair.run();
    assert_eq!(pair.acceptor.events, [Event::Rejected(rejected), Event::CloseTransport]);
    assert_eq!(pair.requestor.end(), &Event::Rejected(rejected));
    let [made, first, ..] = pair.acceptor.association.take_transitions()[..] else {
        panic!("two transitions at least")
    };
    assert_eq!((made.action.to_string().as_str(), made.next), ("AE-5", State::Sta2));
    assert_eq!((first.action.to_string().as_str(), first.next), ("AE-6", State::Sta13));
    // Only bit 0 is tested.
    let mut pair = Pair::of(config(), config(), {
        let mut other = request();
        other.protocol_version = 3;
        other
    });
    pair.run();
    assert!(pair.acceptor.association.is_established());
}

#[test]
fn a_lost_connection_ends_every_state() {
    let mut silent = Side::new(Association::acceptor(config(), START));
    silent.association.handle_transport_closed(START);
    silent.settle(START);
    assert_eq!(silent.events, [Event::CloseTransport], "a probe is no association");

    let lost = aborted(AbortSource::PROVIDER, true, AbortCause::PeerClosed);
    let mut unconnected = Side::new(Association::requestor(config(), request(), START));
    unconnected.association.handle_transport_closed(START);
    unconnected.settle(START);
    assert_eq!(unconnected.events, [lost.clone(), Event::CloseTransport]);

    let mut pair = Pair::established();
    pair.requestor.association.release(pair.now).expect("Sta6");
    for side in [&mut pair.requestor, &mut pair.acceptor] {
        side.association.handle_transport_closed(START);
        side.association.handle_transport_closed(START);
        side.settle(START);
        assert_eq!(side.end(), &lost);
        assert_eq!(side.association.state(), State::Sta1);
        assert_eq!(side.association.poll_timeout(), None);
    }
}

#[test]
fn verbs_are_refused_where_the_table_has_no_cell() {
    let mut association = Association::acceptor(config(), START);
    let refused = |event| Err(StateError { state: State::Sta2, event });
    assert_eq!(association.release(START), refused(state::Event::Evt11));
    assert_eq!(association.release_response(START), refused(state::Event::Evt14));
    let echo = command::c_echo_rq(1, &VERIFICATION.into());
    assert_eq!(association.send_command(START, ECHO, &echo), refused(state::Event::Evt9));
    assert!(association.send_data(START).is_err());
    let reject = AssociateRj { result: RejectResult::PERMANENT, source: RejectSource::USER, reason: RejectReason(1) };
    assert_eq!(association.reject(START, reject), refused(state::Event::Evt8));
    assert_eq!(association.state(), State::Sta2);
    assert!(association.output().is_empty());
}

#[test]
fn an_abort_before_anything_was_asked_for_closes_the_connection() {
    let mut side = Side::new(Association::acceptor(config(), START));
    side.association.abort(START);
    side.settle(START);
    assert_eq!(side.events, [Event::CloseTransport]);
    assert!(side.association.output().is_empty());

    let mut side = Side::new(Association::requestor(config(), request(), START));
    side.association.abort(START);
    side.settle(START);
    assert_eq!(side.events, [aborted(AbortSource::USER, false, AbortCause::Local), Event::CloseTransport]);
}

#[test]
fn acse_timeout_then_artim() {
    let mut side = Side::new(Association::requestor(config(), request(), START));
    side.association.transport_connected(START);
    side.take_output();
    assert_eq!(side.association.poll_timeout(), Some(ACSE));
    side.timeout(ACSE - Duration::from_nanos(1));
    assert_eq!(side.events, []);
    side.timeout(ACSE);
    assert_eq!(side.end(), &aborted(AbortSource::USER, false, AbortCause::AcseTimeout));
    assert_eq!(side.take_output(), USER_ABORT);
    assert!(!side.closed, "the peer gets its time to close");
    assert_eq!(side.association.poll_timeout(), Some(ACSE * 2));
    side.timeout(ACSE * 2);
    assert!(side.closed);
    assert_eq!(side.association.poll_timeout(), None);
    side.end();
}

#[test]
fn a_release_that_nobody_confirms() {
    let mut pair = Pair::established();
    pair.requestor.association.release(START).expect("Sta6");
    assert_eq!(pair.requestor.association.poll_timeout(), Some(ACSE));
    pair.requestor.timeout(ACSE);
    assert_eq!(pair.requestor.end(), &aborted(AbortSource::USER, false, AbortCause::AcseTimeout));
}

#[test]
fn a_silent_connection_is_closed_by_the_artim_timer() {
    let mut side = Side::new(Association::acceptor(config(), START));
    assert_eq!(side.association.poll_timeout(), Some(ACSE));
    // Half a request, byte by byte, does not put it off.
    for (index, byte) in request_bytes()[..50].iter().enumerate() {
        side.feed(Duration::from_millis(index as u64), &[*byte]);
    }
    assert_eq!(side.association.poll_timeout(), Some(PDU));
    side.timeout(ACSE);
    assert_eq!(side.events, [Event::CloseTransport]);
}

#[test]
fn a_request_that_does_not_end_closes_the_connection() {
    let config = dimsefast_protocol::association::Config { acse_timeout: None, ..config() };
    let mut side = Side::new(Association::acceptor(config, START));
    assert_eq!(side.association.poll_timeout(), None);
    side.feed(START, &request_bytes()[..50]);
    assert_eq!(side.association.poll_timeout(), Some(PDU));
    side.timeout(PDU);
    assert_eq!(side.events, [Event::CloseTransport]);
}

#[test]
fn the_wait_for_the_close_always_ends() {
    let config = dimsefast_protocol::association::Config { acse_timeout: None, ..config() };
    let mut side = Side::established_with(config);
    side.association.abort(START);
    let deadline = side.association.poll_timeout().expect("a deadline without an ACSE time-out, too");
    side.timeout(deadline);
    assert!(side.closed);
}

#[test]
fn network_timeout_counts_from_the_last_traffic_and_not_while_busy() {
    let second = Duration::from_secs(1);
    let mut side = Side::established();
    assert_eq!(side.association.poll_timeout(), Some(NETWORK));
    let mut bytes = Vec::new();
    let echo = command::c_echo_rq(1, &VERIFICATION.into());
    let mut peer = Pair::established().requestor;
    peer.association.send_command(START, ECHO, &echo).expect("Sta6");
    bytes.append(peer.association.output());
    side.feed(second, &bytes);
    assert_eq!(side.association.poll_timeout(), Some(second + NETWORK));
    side.association.set_busy(second * 2, true);
    assert_eq!(side.association.poll_timeout(), None);
    side.association.set_busy(second * 200, false);
    assert_eq!(side.association.poll_timeout(), Some(second * 200 + NETWORK));
    side.association.send_command(second * 210, ECHO, &echo).expect("Sta6");
    assert_eq!(side.association.poll_timeout(), Some(second * 210 + NETWORK));
    side.association.set_network_timeout(second * 211, Some(second * 5));
    assert_eq!(side.association.poll_timeout(), Some(second * 215));
    side.timeout(second * 214);
    assert!(side.association.is_established());
    side.timeout(second * 215);
    assert_eq!(side.end(), &aborted(AbortSource::USER, false, AbortCause::NetworkTimeout));
}

#[test]
fn the_network_timeout_aborts_or_releases() {
    const RELEASE_RQ: [u8; 10] = [5, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    const RELEASE_RP: [u8; 10] = [6, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    const PROVIDER_ABORT: [u8; 10] = [7, 0, 0, 0, 0, 4, 0, 0, 2, 0];
    let timed_out = |response, received: &[u8]| {
        let mut side = Side::established();
        side.association.set_network_timeout_response(response);
        side.feed(START, received);
        side.timeout(NETWORK);
        let output = side.take_output();
        (side, output)
    };
    let (side, output) = timed_out(NetworkTimeoutResponse::ProviderAbort, &[]);
    assert_eq!(output, PROVIDER_ABORT);
    assert_eq!(side.end(), &aborted(AbortSource::PROVIDER, false, AbortCause::NetworkTimeout));

    let (mut side, output) = timed_out(NetworkTimeoutResponse::Release, &[]);
    assert_eq!((output, &side.events[..]), (RELEASE_RQ.to_vec(), &[Event::NetworkTimeout][..]));
    // A peer that does not answer is aborted.
    let (mut mute, _) = timed_out(NetworkTimeoutResponse::Release, &[]);
    mute.timeout(NETWORK + ACSE);
    assert_eq!(mute.end(), &aborted(AbortSource::USER, false, AbortCause::AcseTimeout));
    side.feed(NETWORK, &RELEASE_RP);
    assert_eq!(side.end(), &Event::Released);

    // Within a message there is nothing to release.
    let mut peer = Pair::established().requestor;
    let request = command::c_store_rq(7, &common::CT.into(), &"1.2.3.4".into(), Priority::MEDIUM, None);
    peer.association.send_command(START, STORE, &request).expect("Sta6");
    let (side, output) = timed_out(NetworkTimeoutResponse::Release, &peer.take_output());
    assert_eq!(output, USER_ABORT);
    assert_eq!(side.end(), &aborted(AbortSource::USER, false, AbortCause::NetworkTimeout));
}

#[test]
fn a_pdu_has_its_time_from_its_first_byte() {
    let mut peer = Pair::established().requestor;
    let request = command::c_store_rq(7, &common::CT.into(), &"1.2.3.4".into(), Priority::MEDIUM, None);
    peer.association.send_command(START, STORE, &request).expect("Sta6");
    let bytes = peer.take_output();
    let mut side = Side::established();
    let started = Duration::from_secs(1);
    for (index, byte) in bytes[..bytes.len() - 1].iter().enumerate() {
        side.feed(started + Duration::from_millis(index as u64), &[*byte]);
        assert_eq!(side.association.poll_timeout(), Some(started + PDU), "byte {index}");
    }
    // Once whole, it has none; the message may take its time, but not stand still.
    let mut whole = Side::established();
    whole.feed(started, &bytes);
    assert_eq!(whole.association.poll_timeout(), Some(started + NETWORK));

    side.timeout(started + PDU);
    assert_eq!(side.end(), &aborted(AbortSource::USER, false, AbortCause::PduTimeout));
}

#[test]
fn what_is_not_read_on_our_account_is_no_silence_of_the_peer() {
    let mut peer = Pair::established().requestor;
    let request = command::c_store_rq(7, &common::CT.into(), &"1.2.3.4".into(), Priority::MEDIUM, None);
    peer.association.send_command(START, STORE, &request).expect("Sta6");
    let bytes = peer.take_output();
    let mut side = Side::established();
    let second = Duration::from_secs(1);
    side.feed(second, &bytes[..20]);
    side.association.set_held(second * 2, true);
    assert_eq!(side.association.poll_timeout(), None, "neither that of the PDU nor that of the network");
    side.timeout(second * 10_000);
    assert!(side.association.is_established());
    side.association.set_held(second * 10_000, false);
    assert_eq!(side.association.poll_timeout(), Some(second * 10_000 + PDU), "it has its time once more");
    side.feed(second * 10_001, &bytes[20..]);
    assert_eq!(side.association.poll_timeout(), Some(second * 10_001 + NETWORK));
}

#[test]
fn an_empty_p_data_tf_is_whole_at_once() {
    let mut side = Side::established();
    side.feed(START, &[4, 0, 0, 0, 0, 0]);
    assert_eq!(side.association.poll_timeout(), Some(NETWORK));
    assert!(side.association.is_established());
}

#[test]
fn a_pdu_that_is_not_expected_leaves_the_stream_in_step() {
    // PS3.8 Table 9-10, Sta13: the A-ABORT that crosses ours closes the transport at once (AA-2), and nobody waits for the ARTIM timer.
    const RELEASE_RP: [u8; 10] = [6, 0, 0, 0, 0, 4, 0, 0, 0, 0];
    let data_before_a_request = [&[4, 0, 0, 0, 0, 8, 0, 0, 0, 4, 1, 3, 0, 0][..], &USER_ABORT].concat();
    for (mut side, bytes) in [
        (Side::established(), [RELEASE_RP, USER_ABORT].concat()),
        (Side::new(Association::acceptor(config(), START)), data_before_a_request),
    ] {
        side.feed(START, &bytes);
        assert!(matches!(side.end(), Event::Aborted { by_peer: false, .. }));
        assert!(side.closed);
    }
}
