//! PS3.8 9.3: the PDUs of an association.

use std::io;

pub const ASSOCIATE_RQ: u8 = 0x01;
pub const ASSOCIATE_AC: u8 = 0x02;
pub const P_DATA_TF: u8 = 0x04;
pub const RELEASE_RQ: u8 = 0x05;
pub const RELEASE_RP: u8 = 0x06;
pub const ABORT: u8 = 0x07;

pub const VERIFICATION: &str = "1.2.840.10008.1.1";
pub const CT_IMAGE_STORAGE: &str = "1.2.840.10008.5.1.4.1.1.2";
pub const IMPLICIT: &str = "1.2.840.10008.1.2";
pub const EXPLICIT: &str = "1.2.840.10008.1.2.1";
pub const IMPLEMENTATION: &str = "1.2.826.0.1.3680043.8.498.1";
const APPLICATION_CONTEXT: &str = "1.2.840.10008.3.1.1.1";

/// What we receive at most in one P-DATA-TF: as the tuned peers beside it.
const OUR_MAXIMUM: u32 = 131_072;
/// A header of PDV and message control behind the header of the PDU.
pub const DATA_HEADER: usize = 12;
const COMMAND_BIT: u8 = 1;
const LAST_BIT: u8 = 2;

/// A presentation context, proposed with what it may be, or accepted with the one that it is.
pub struct Context {
    pub id: u8,
    pub abstract_syntax: String,
    pub transfer_syntaxes: Vec<String>,
}

/// What the peer's A-ASSOCIATE PDU said.
pub struct Negotiation {
    pub contexts: Vec<Context>,
    pub maximum: usize,
}

pub fn invalid(problem: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, problem)
}

/// Control bits of a fragment as (of a command, last of it).
pub fn control(bits: u8) -> (bool, bool) {
    (bits & COMMAND_BIT != 0, bits & LAST_BIT != 0)
}

/// The header of a P-DATA-TF with one fragment of `length` bytes.
pub fn data_header(context: u8, command: bool, last: bool, length: usize) -> [u8; DATA_HEADER] {
    let mut header = [0; DATA_HEADER];
    header[0] = P_DATA_TF;
    header[2..6].copy_from_slice(&(length as u32 + 6).to_be_bytes());
    header[6..10].copy_from_slice(&(length as u32 + 2).to_be_bytes());
    header[10] = context;
    header[11] = u8::from(command) * COMMAND_BIT + u8::from(last) * LAST_BIT;
    header
}

/// A PDU that has no more than reserved bytes behind its header: A-RELEASE-RQ and -RP.
pub fn release(kind: u8) -> [u8; 10] {
    [kind, 0, 0, 0, 0, 4, 0, 0, 0, 0]
}

fn item(kind: u8, body: &[u8]) -> Vec<u8> {
    let mut item = vec![kind, 0];
    item.extend_from_slice(&(body.len() as u16).to_be_bytes());
    item.extend_from_slice(body);
    item
}

fn associate(kind: u8, contexts: &[u8]) -> Vec<u8> {
    let mut body = vec![0, 1, 0, 0];
    body.extend_from_slice(b"ANY-SCP         FLOOR           ");
    body.extend_from_slice(&[0; 32]);
    body.extend(item(0x10, APPLICATION_CONTEXT.as_bytes()));
    body.extend_from_slice(contexts);
    let maximum = item(0x51, &OUR_MAXIMUM.to_be_bytes());
    body.extend(item(0x50, &[maximum, item(0x52, IMPLEMENTATION.as_bytes())].concat()));
    let mut pdu = vec![kind, 0];
    pdu.extend_from_slice(&(body.len() as u32).to_be_bytes());
    pdu.extend(body);
    pdu
}

pub fn associate_rq(contexts: &[Context]) -> Vec<u8> {
    let mut items = Vec::new();
    for context in contexts {
        let mut body = vec![context.id, 0, 0, 0];
        body.extend(item(0x30, context.abstract_syntax.as_bytes()));
        for syntax in &context.transfer_syntaxes {
            body.extend(item(0x40, syntax.as_bytes()));
        }
        items.extend(item(0x20, &body));
    }
    associate(ASSOCIATE_RQ, &items)
}

/// Accepts each proposed context with its first transfer syntax, if this and its class are among those that we know.
pub fn associate_ac(proposed: &[Context]) -> Vec<u8> {
    let mut items = Vec::new();
    for context in proposed {
        let class = context.abstract_syntax.as_str();
        let syntax = context.transfer_syntaxes.first().map_or(IMPLICIT, String::as_str);
        // PS3.8 9.3.3.2: 0 acceptance, 3 abstract syntax not supported, 4 transfer syntaxes not supported.
        let result = match (class, syntax) {
            (VERIFICATION | CT_IMAGE_STORAGE, IMPLICIT | EXPLICIT) => 0,
            (VERIFICATION | CT_IMAGE_STORAGE, _) => 4,
            _ => 3,
        };
        let body = [&[context.id, 0, result, 0][..], &item(0x40, syntax.as_bytes())].concat();
        items.extend(item(0x21, &body));
    }
    associate(ASSOCIATE_AC, &items)
}

/// Reads what is behind the header of an A-ASSOCIATE-RQ or -AC. Of an AC only accepted contexts are kept.
pub fn read_associate(body: &[u8]) -> io::Result<Negotiation> {
    let mut found = Negotiation { contexts: Vec::new(), maximum: 0 };
    for (kind, value) in items(body.get(68..).ok_or_else(|| invalid("a short A-ASSOCIATE"))?)? {
        match kind {
            0x20 | 0x21 => {
                let [id, _, result, _, rest @ ..] = value else { return Err(invalid("a short context item")) };
                let mut context = Context { id: *id, abstract_syntax: String::new(), transfer_syntaxes: Vec::new() };
                for (kind, value) in items(rest)? {
                    let uid = String::from_utf8_lossy(value).trim_end_matches('\0').to_owned();
                    match kind {
                        0x30 => context.abstract_syntax = uid,
                        _ => context.transfer_syntaxes.push(uid),
                    }
                }
                if kind == 0x20 || *result == 0 {
                    found.contexts.push(context);
                }
            }
            0x50 => {
                let maximum = items(value)?.into_iter().find(|(kind, _)| *kind == 0x51);
                let maximum = maximum.and_then(|(_, value)| value.try_into().ok()).map_or(0, u32::from_be_bytes);
                found.maximum = maximum as usize;
            }
            _ => {}
        }
    }
    Ok(found)
}

fn items(mut bytes: &[u8]) -> io::Result<Vec<(u8, &[u8])>> {
    let mut found = Vec::new();
    while let [kind, _, high, low, rest @ ..] = bytes {
        let length = usize::from(u16::from_be_bytes([*high, *low]));
        let value = rest.get(..length).ok_or_else(|| invalid("an item longer than its PDU"))?;
        found.push((*kind, value));
        bytes = &rest[length..];
    }
    Ok(found)
}
