//! Fragments in all ways: what is joined is what a few lines that know nothing of streams join, however the stream is cut.

#[path = "established.rs"]
mod established;

use std::time::Duration;

use dimsefast_protocol::association::{AbortCause, Association, Event, Fragment};
use dimsefast_protocol::command::CommandSet;
use established::{accept, config, limits, request};

const NOW: Duration = Duration::ZERO;

/// A PDV item.
struct Pdv<'a> {
    context_id: u8,
    is_command: bool,
    last: bool,
    payload: &'a [u8],
    /// Whether it is the first one of its PDU.
    first: bool,
}

/// A message as it was joined: context, command set, dataset, whether it is whole.
type Message = (u8, CommandSet, Vec<u8>, bool);

/// The first byte says how long the pieces of the stream are, the rest are PDV items: a byte of flags, one for the length.
pub(crate) fn run(data: &[u8]) {
    let Some((&piece, rest)) = data.split_first() else { return };
    let pdvs = pdvs(rest);
    let stream = stream(&pdvs);
    let wanted = comparable(join(&pdvs));
    for piece in [usize::from(piece).max(1), stream.len().max(1)] {
        assert_eq!(joined(&stream, piece), wanted, "in pieces of {piece}");
    }
}

fn pdvs(mut rest: &[u8]) -> Vec<Pdv<'_>> {
    let mut pdvs: Vec<Pdv<'_>> = Vec::new();
    let mut room = 0;
    while let [flags, length, behind @ ..] = rest {
        let (payload, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        // A PDU of ours stays below the maximum length.
        let first = flags & 8 != 0 || room < payload.len() + 6;
        room = if first { config().max_pdu_length as usize } else { room } - (payload.len() + 6);
        pdvs.push(Pdv {
            context_id: [1, 1, 1, 1, 1, 1, 3, 5][usize::from(flags >> 4 & 7)],
            is_command: flags & 1 != 0,
            last: flags & 2 != 0,
            payload,
            first,
        });
    }
    pdvs
}

fn stream(pdvs: &[Pdv<'_>]) -> Vec<u8> {
    let mut stream = Vec::new();
    let mut pdu = 0;
    for pdv in pdvs {
        if pdv.first {
            pdu = stream.len();
            stream.extend_from_slice(&[4, 0, 0, 0, 0, 0]);
        }
        stream.extend_from_slice(&(u32::try_from(pdv.payload.len()).unwrap_or(0) + 2).to_be_bytes());
        stream.extend_from_slice(&[pdv.context_id, u8::from(pdv.is_command) | u8::from(pdv.last) << 1]);
        stream.extend_from_slice(pdv.payload);
        let length = u32::try_from(stream.len() - pdu - 6).unwrap_or(0).to_be_bytes();
        stream[pdu + 2..pdu + 6].copy_from_slice(&length);
    }
    stream
}

/// PS3.8 Annex E and PS3.7 6.3.1, item by item: the messages, and whether a rule was broken.
fn join(pdvs: &[Pdv<'_>]) -> (Vec<Message>, bool) {
    let mut messages: Vec<Message> = Vec::new();
    let mut command: Option<(u8, Vec<u8>)> = None;
    for pdv in pdvs {
        let dataset = messages.last_mut().filter(|(.., whole)| !whole);
        let expects_command = dataset.is_none();
        let context_id = command.as_ref().map(|(id, _)| *id).or_else(|| dataset.as_ref().map(|(id, ..)| *id));
        if !matches!(pdv.context_id, 1 | 3)
            || pdv.is_command != expects_command
            || context_id.is_some_and(|id| id != pdv.context_id)
        {
            return (messages, true);
        }
        if let Some((_, _, bytes, whole)) = dataset {
            bytes.extend_from_slice(pdv.payload);
            *whole = pdv.last;
            if bytes.len() as u64 > limits().message.unwrap_or(u64::MAX) {
                *whole = false;
                return (messages, true);
            }
            continue;
        }
        let (_, bytes) = command.get_or_insert_with(|| (pdv.context_id, Vec::new()));
        bytes.extend_from_slice(pdv.payload);
        if bytes.len() > limits().command_set {
            return (messages, true);
        }
        if pdv.last {
            let (context_id, bytes) = command.take().unwrap_or_default();
            let Ok(set) = CommandSet::decode(&bytes) else { return (messages, true) };
            let whole = !set.has_dataset();
            messages.push((context_id, set, Vec::new(), whole));
        }
    }
    (messages, false)
}

/// What an association makes of the stream, given in pieces.
fn joined(stream: &[u8], piece: usize) -> (Vec<Message>, bool) {
    let mut association = Association::acceptor(config(), NOW);
    let mut bytes = Vec::new();
    request().encode(&mut bytes);
    association.handle_bytes(NOW, &bytes);
    accept(&mut association, NOW);
    assert!(association.is_established());
    while association.poll_event().is_some() {}
    let mut messages: Vec<Message> = Vec::new();
    let mut unread = Vec::new();
    let mut violated = false;
    for piece in stream.chunks(piece) {
        unread.extend_from_slice(piece);
        let mut at = 0;
        loop {
            let received = association.handle_bytes(NOW, &unread[at..]);
            at += received.consumed;
            match received.fragment {
                Some(Fragment::Command { context_id, command }) => {
                    let whole = !command.has_dataset();
                    messages.push((context_id, command, Vec::new(), whole));
                }
                Some(Fragment::Data { context_id, bytes, last }) => {
                    let message = messages.last_mut().expect("a command set comes first");
                    assert_eq!(message.0, context_id);
                    message.2.extend_from_slice(bytes);
                    message.3 = last;
                }
                None if received.consumed == 0 => break,
                None => {}
            }
        }
        unread.drain(..at);
    }
    while let Some(event) = association.poll_event() {
        violated |= matches!(event, Event::Aborted { cause: AbortCause::Protocol(_), .. });
    }
    assert!(messages.iter().all(|(_, _, bytes, _)| bytes.len() as u64 <= limits().message.unwrap_or(u64::MAX)));
    comparable((messages, violated))
}

/// How much of a dataset came before it broke a rule depends on the cuts.
fn comparable((mut messages, violated): (Vec<Message>, bool)) -> (Vec<Message>, bool) {
    if violated && let Some((_, _, bytes, false)) = messages.last_mut() {
        bytes.clear();
    }
    (messages, violated)
}
