//! A-ASSOCIATE-RQ and A-ASSOCIATE-AC (PS3.8 9.3.2 and 9.3.3).

use alloc::vec::Vec;

use super::kind;
use super::reader::Reader;
use super::user::UserInformation;
use crate::error::PduError;
use crate::limits::Limits;
use crate::types::{AeTitle, ContextResult, Uid};

const APPLICATION_CONTEXT: u8 = 0x10;
const PROPOSED_CONTEXT: u8 = 0x20;
const CONTEXT_REPLY: u8 = 0x21;
const ABSTRACT_SYNTAX: u8 = 0x30;
const TRANSFER_SYNTAX: u8 = 0x40;
const USER_INFORMATION: u8 = 0x50;

/// A presentation context as proposed (PS3.8 9.3.2.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposedContext {
    /// Odd, 1 to 255; an even one of a peer is taken as it is.
    pub id: u8,
    /// What it is for.
    pub abstract_syntax: Uid,
    /// What the requestor offers, in its order.
    pub transfer_syntaxes: Vec<Uid>,
}

/// A presentation context as answered (PS3.8 9.3.3.2).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContextReply {
    /// The ID of the proposed one.
    pub id: u8,
    /// Whether it may be used.
    pub result: ContextResult,
    /// The one that is to be used; not significant, and left out by some, where it is not accepted.
    pub transfer_syntax: Option<Uid>,
}

/// A-ASSOCIATE-RQ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociateRq {
    /// A bit for each version; bit 0 is version 1.
    pub protocol_version: u16,
    /// Whom it is for.
    pub called: AeTitle,
    /// Whom it is from.
    pub calling: AeTitle,
    /// The DICOM application context name.
    pub application_context: Uid,
    /// What is proposed.
    pub contexts: Vec<ProposedContext>,
    /// The user information item.
    pub user: UserInformation,
}

/// A-ASSOCIATE-AC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociateAc {
    /// As in the request.
    pub protocol_version: u16,
    /// Sent back as received; not tested.
    pub called: AeTitle,
    /// Sent back as received; not tested.
    pub calling: AeTitle,
    /// As in the request.
    pub application_context: Uid,
    /// An answer to each proposed context.
    pub contexts: Vec<ContextReply>,
    /// The user information item.
    pub user: UserInformation,
}

impl AssociateRq {
    /// Appends the whole PDU.
    pub fn encode(&self, out: &mut Vec<u8>) {
        pdu(out, kind::ASSOCIATE_RQ, |out| {
            fixed(out, self.protocol_version, &self.called, &self.calling, &self.application_context);
            for context in &self.contexts {
                item(out, PROPOSED_CONTEXT, |out| {
                    out.extend_from_slice(&[context.id, 0, 0, 0]);
                    item(out, ABSTRACT_SYNTAX, |out| out.extend_from_slice(context.abstract_syntax.as_bytes()));
                    for syntax in &context.transfer_syntaxes {
                        item(out, TRANSFER_SYNTAX, |out| out.extend_from_slice(syntax.as_bytes()));
                    }
                });
            }
            item(out, USER_INFORMATION, |out| self.user.encode(out));
        });
    }

    /// From what stands behind the PDU length.
    ///
    /// # Errors
    /// Where a length exceeds its parent, the limits are exceeded, or the fixed part is not whole. Items that are missing are empty.
    pub fn decode(body: &[u8], limits: &Limits) -> Result<Self, PduError> {
        let mut count = Budget { items: limits.items, contexts: limits.contexts };
        let mut reader = Reader::new(body, "A-ASSOCIATE-RQ");
        let (protocol_version, called, calling) = head(&mut reader)?;
        let (mut application_context, mut contexts, mut user) =
            (Uid::default(), Vec::new(), UserInformation::default());
        while !reader.is_empty() {
            let (kind, value) = reader.item()?;
            count.item()?;
            match kind {
                APPLICATION_CONTEXT => application_context = Uid::new(value),
                PROPOSED_CONTEXT => {
                    count.context()?;
                    contexts.push(proposed(value, &mut count, contexts.last())?);
                }
                USER_INFORMATION => user = UserInformation::decode(value, || count.item())?,
                // PS3.8 9.3.1: unrecognized items are ignored.
                _ => {}
            }
        }
        Ok(Self { protocol_version, called, calling, application_context, contexts, user })
    }
}

impl AssociateAc {
    /// Appends the whole PDU.
    pub fn encode(&self, out: &mut Vec<u8>) {
        pdu(out, kind::ASSOCIATE_AC, |out| {
            fixed(out, self.protocol_version, &self.called, &self.calling, &self.application_context);
            for context in &self.contexts {
                item(out, CONTEXT_REPLY, |out| {
                    out.extend_from_slice(&[context.id, 0, context.result.0, 0]);
                    if let Some(syntax) = &context.transfer_syntax {
                        item(out, TRANSFER_SYNTAX, |out| out.extend_from_slice(syntax.as_bytes()));
                    }
                });
            }
            item(out, USER_INFORMATION, |out| self.user.encode(out));
        });
    }

    /// From what stands behind the PDU length.
    ///
    /// # Errors
    /// As [`AssociateRq::decode`].
    pub fn decode(body: &[u8], limits: &Limits) -> Result<Self, PduError> {
        let mut count = Budget { items: limits.items, contexts: limits.contexts };
        let mut reader = Reader::new(body, "A-ASSOCIATE-AC");
        let (protocol_version, called, calling) = head(&mut reader)?;
        let (mut application_context, mut contexts, mut user) =
            (Uid::default(), Vec::new(), UserInformation::default());
        while !reader.is_empty() {
            let (kind, value) = reader.item()?;
            count.item()?;
            match kind {
                APPLICATION_CONTEXT => application_context = Uid::new(value),
                CONTEXT_REPLY => {
                    count.context()?;
                    contexts.push(reply(value, &mut count, contexts.last())?);
                }
                USER_INFORMATION => user = UserInformation::decode(value, || count.item())?,
                _ => {}
            }
        }
        Ok(Self { protocol_version, called, calling, application_context, contexts, user })
    }
}

/// What is left of the limits.
struct Budget {
    items: usize,
    contexts: usize,
}

impl Budget {
    fn item(&mut self) -> Result<(), PduError> {
        self.items = self.items.checked_sub(1).ok_or(PduError::invalid("A-ASSOCIATE", "has too many items"))?;
        Ok(())
    }

    fn context(&mut self) -> Result<(), PduError> {
        let left = self.contexts.checked_sub(1);
        self.contexts = left.ok_or(PduError::invalid("A-ASSOCIATE", "has too many presentation contexts"))?;
        Ok(())
    }
}

fn head(reader: &mut Reader<'_>) -> Result<(u16, AeTitle, AeTitle), PduError> {
    let version = reader.u16()?;
    reader.bytes(2)?;
    let mut titles = [[0; 16]; 2];
    for title in &mut titles {
        title.copy_from_slice(reader.bytes(16)?);
    }
    reader.bytes(32)?;
    let [called, calling] = titles.map(AeTitle::from_wire);
    Ok((version, called, calling))
}

fn proposed(value: &[u8], count: &mut Budget, before: Option<&ProposedContext>) -> Result<ProposedContext, PduError> {
    let mut reader = Reader::new(value, "presentation context item");
    let id = reader.u8()?;
    reader.bytes(3)?;
    let (mut abstract_syntax, mut transfer_syntaxes) = (Uid::default(), Vec::new());
    while !reader.is_empty() {
        let (kind, value) = reader.item()?;
        count.item()?;
        match kind {
            ABSTRACT_SYNTAX => abstract_syntax = Uid::like(value, before.map(|before| &before.abstract_syntax)),
            TRANSFER_SYNTAX => {
                let same = before.and_then(|before| before.transfer_syntaxes.get(transfer_syntaxes.len()));
                transfer_syntaxes.push(Uid::like(value, same));
            }
            _ => {}
        }
    }
    Ok(ProposedContext { id, abstract_syntax, transfer_syntaxes })
}

fn reply(value: &[u8], count: &mut Budget, before: Option<&ContextReply>) -> Result<ContextReply, PduError> {
    let mut reader = Reader::new(value, "presentation context item");
    let id = reader.u8()?;
    reader.u8()?;
    let result = ContextResult(reader.u8()?);
    reader.u8()?;
    let mut transfer_syntax = None;
    while !reader.is_empty() {
        // Behind a rejected context some peers send what is no sub-item: nothing in it is significant.
        let (kind, value) = match reader.item() {
            Ok(item) => item,
            Err(_) if result != ContextResult::ACCEPTED => break,
            Err(error) => return Err(error),
        };
        count.item()?;
        if kind == TRANSFER_SYNTAX && transfer_syntax.is_none() {
            transfer_syntax = Some(Uid::like(value, before.and_then(|before| before.transfer_syntax.as_ref())));
        }
    }
    Ok(ContextReply { id, result, transfer_syntax })
}

fn fixed(out: &mut Vec<u8>, version: u16, called: &AeTitle, calling: &AeTitle, application_context: &Uid) {
    out.extend_from_slice(&version.to_be_bytes());
    out.extend_from_slice(&[0; 2]);
    out.extend_from_slice(called.as_bytes());
    out.extend_from_slice(calling.as_bytes());
    out.extend_from_slice(&[0; 32]);
    item(out, APPLICATION_CONTEXT, |out| out.extend_from_slice(application_context.as_bytes()));
}

fn pdu(out: &mut Vec<u8>, kind: u8, body: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[kind, 0, 0, 0, 0, 0]);
    let start = out.len();
    body(out);
    let length = u32::try_from(out.len() - start).unwrap_or(u32::MAX);
    out[start - 4..start].copy_from_slice(&length.to_be_bytes());
}

/// Appends an item with the right length. Values above 65,535 bytes cannot be said: they are cut, which no caller of ours does.
pub(super) fn item(out: &mut Vec<u8>, kind: u8, value: impl FnOnce(&mut Vec<u8>)) {
    out.extend_from_slice(&[kind, 0, 0, 0]);
    let start = out.len();
    value(out);
    let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    out.truncate(start + usize::from(length));
    out[start - 2..start].copy_from_slice(&length.to_be_bytes());
}
