//! Command sets (PS3.7 6.3 and Annex E): Implicit VR Little Endian, group 0000, the group length first.

mod builder;
pub mod element;
mod messages;

use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

pub use builder::Builder;
pub use messages::{
    Counters, c_cancel_rq, c_echo_rq, c_find_rq, c_get_rq, c_move_rq, c_store_rq, n_action_rq, n_create_rq,
    n_delete_rq, n_event_report_rq, n_get_rq, n_set_rq, response,
};

use crate::types::Uid;

/// The group length with a length of 0, for [`CommandSet::mend_length`] to fill in.
const GROUP_LENGTH: [u8; 12] = [0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0];

/// Command Data Set Type: no dataset follows. Any other value means that one does.
const NO_DATASET: u16 = 0x0101;

/// Command Field (PS3.7 Table E.1-1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct CommandField(pub u16);

#[expect(missing_docs, reason = "each is the message of its name")]
impl CommandField {
    pub const C_STORE_RQ: Self = Self(0x0001);
    pub const C_GET_RQ: Self = Self(0x0010);
    pub const C_FIND_RQ: Self = Self(0x0020);
    pub const C_MOVE_RQ: Self = Self(0x0021);
    pub const C_ECHO_RQ: Self = Self(0x0030);
    pub const N_EVENT_REPORT_RQ: Self = Self(0x0100);
    pub const N_GET_RQ: Self = Self(0x0110);
    pub const N_SET_RQ: Self = Self(0x0120);
    pub const N_ACTION_RQ: Self = Self(0x0130);
    pub const N_CREATE_RQ: Self = Self(0x0140);
    pub const N_DELETE_RQ: Self = Self(0x0150);
    pub const C_CANCEL_RQ: Self = Self(0x0FFF);

    /// Whether it is a response.
    pub const fn is_response(self) -> bool {
        self.0 & 0x8000 != 0
    }

    /// The response to this request.
    pub const fn to_response(self) -> Self {
        Self(self.0 | 0x8000)
    }
}

/// Status (PS3.7 Annex C, and the service classes of PS3.4).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Status(pub u16);

impl Status {
    /// 0000H
    pub const SUCCESS: Self = Self(0);
    /// FF00H
    pub const PENDING: Self = Self(0xFF00);
    /// FE00H
    pub const CANCEL: Self = Self(0xFE00);

    /// Whether more responses follow: FF00H, or FF01H, where an optional key is not supported.
    pub const fn is_pending(self) -> bool {
        matches!(self.0, 0xFF00 | 0xFF01)
    }
}

/// Priority of a C-service request.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Priority(pub u16);

impl Priority {
    /// 0000H
    pub const MEDIUM: Self = Self(0);
    /// 0001H
    pub const HIGH: Self = Self(1);
    /// 0002H
    pub const LOW: Self = Self(2);
}

/// A command set that cannot be taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandError(&'static str);

impl CommandError {
    pub(crate) const fn problem(self) -> &'static str {
        self.0
    }
}

impl fmt::Display for CommandError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "command set: {}", self.0)
    }
}

impl core::error::Error for CommandError {}

/// A command set, encoded, its structure checked: one allocation, and every element, known or not, as it was sent.
#[derive(Clone, PartialEq, Eq)]
pub struct CommandSet {
    bytes: Vec<u8>,
}

impl CommandSet {
    /// Checks and takes an encoded command set. Its group length is written anew, as some peers leave it out or get it wrong; values of
    /// odd length and elements out of order are taken as they are.
    ///
    /// # Errors
    /// An element that ends beyond the set, one of another group, or no Command Field.
    pub fn decode(bytes: &[u8]) -> Result<Self, CommandError> {
        let mut set = Self { bytes: Vec::with_capacity(bytes.len() + GROUP_LENGTH.len()) };
        set.bytes.extend_from_slice(&GROUP_LENGTH);
        let mut rest = bytes;
        while !rest.is_empty() {
            let header: &[u8; 8] = rest.first_chunk().ok_or(CommandError("ends in the middle of an element"))?;
            if header[..2] != [0, 0] {
                return Err(CommandError("has an element of another group than 0000"));
            }
            let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
            let end = length.checked_add(8).filter(|end| *end <= rest.len());
            let (whole, behind) = rest.split_at(end.ok_or(CommandError("has an element longer than itself"))?);
            if header[2..4] != element::GROUP_LENGTH.to_le_bytes() {
                set.bytes.extend_from_slice(whole);
            }
            rest = behind;
        }
        set.mend_length();
        if set.get_u16(element::COMMAND_FIELD).is_none() {
            return Err(CommandError("has no Command Field (0000,0100)"));
        }
        Ok(set)
    }

    /// Begins one of our own.
    pub fn builder(field: CommandField) -> Builder {
        Builder::new(field)
    }

    /// Its encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn mend_length(&mut self) {
        let length = u32::try_from(self.bytes.len() - GROUP_LENGTH.len()).unwrap_or(u32::MAX);
        self.bytes[8..12].copy_from_slice(&length.to_le_bytes());
    }

    /// All elements but the group length: (element number, value as sent).
    pub fn elements(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let mut rest = &self.bytes[GROUP_LENGTH.len()..];
        core::iter::from_fn(move || {
            let header: &[u8; 8] = rest.first_chunk()?;
            let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
            let value = rest.get(8..8 + length)?;
            rest = &rest[8 + length..];
            Some((u16::from_le_bytes([header[2], header[3]]), value))
        })
    }

    /// The value of an element as it was sent.
    pub fn get(&self, element: u16) -> Option<&[u8]> {
        self.elements().find(|(number, _)| *number == element).map(|(_, value)| value)
    }

    /// The first number of a US element.
    pub fn get_u16(&self, element: u16) -> Option<u16> {
        self.get(element)?.first_chunk().map(|bytes| u16::from_le_bytes(*bytes))
    }

    fn get_uid(&self, element: u16) -> Option<Uid> {
        self.get(element).map(Uid::new)
    }

    /// (0000,0100)
    pub fn command_field(&self) -> CommandField {
        CommandField(self.get_u16(element::COMMAND_FIELD).unwrap_or(0))
    }

    /// (0000,0110)
    pub fn message_id(&self) -> Option<u16> {
        self.get_u16(element::MESSAGE_ID)
    }

    /// (0000,0120)
    pub fn message_id_responded_to(&self) -> Option<u16> {
        self.get_u16(element::MESSAGE_ID_BEING_RESPONDED_TO)
    }

    /// (0000,0002)
    pub fn affected_sop_class_uid(&self) -> Option<Uid> {
        self.get_uid(element::AFFECTED_SOP_CLASS_UID)
    }

    /// (0000,1000)
    pub fn affected_sop_instance_uid(&self) -> Option<Uid> {
        self.get_uid(element::AFFECTED_SOP_INSTANCE_UID)
    }

    /// (0000,0003)
    pub fn requested_sop_class_uid(&self) -> Option<Uid> {
        self.get_uid(element::REQUESTED_SOP_CLASS_UID)
    }

    /// (0000,1001)
    pub fn requested_sop_instance_uid(&self) -> Option<Uid> {
        self.get_uid(element::REQUESTED_SOP_INSTANCE_UID)
    }

    /// The SOP class that the message is about: the affected one, else the requested one.
    pub fn sop_class(&self) -> Option<Uid> {
        self.affected_sop_class_uid().or_else(|| self.requested_sop_class_uid())
    }

    /// The SOP instance that the message is about: the affected one, else the requested one.
    pub fn sop_instance(&self) -> Option<Uid> {
        self.affected_sop_instance_uid().or_else(|| self.requested_sop_instance_uid())
    }

    /// (0000,0900)
    pub fn status(&self) -> Option<Status> {
        self.get_u16(element::STATUS).map(Status)
    }

    /// (0000,0700)
    pub fn priority(&self) -> Option<Priority> {
        self.get_u16(element::PRIORITY).map(Priority)
    }

    /// (0000,0600), without padding; every byte becomes one character.
    pub fn move_destination(&self) -> Option<String> {
        self.get(element::MOVE_DESTINATION).map(readable)
    }

    /// (0000,0902), without padding; every byte becomes one character.
    pub fn error_comment(&self) -> Option<String> {
        self.get(element::ERROR_COMMENT).map(readable)
    }

    /// (0000,1020)
    pub fn remaining(&self) -> Option<u16> {
        self.get_u16(element::REMAINING)
    }

    /// (0000,1021)
    pub fn completed(&self) -> Option<u16> {
        self.get_u16(element::COMPLETED)
    }

    /// (0000,1022)
    pub fn failed(&self) -> Option<u16> {
        self.get_u16(element::FAILED)
    }

    /// (0000,1023)
    pub fn warning(&self) -> Option<u16> {
        self.get_u16(element::WARNING)
    }

    /// An AT element, as (0000,1005) and (0000,0901) are: (group, element) of each attribute. Bytes that make no whole tag are left out.
    pub fn attributes(&self, element: u16) -> impl Iterator<Item = (u16, u16)> {
        let tags = self.get(element).unwrap_or_default().chunks_exact(4);
        tags.map(|tag| (u16::from_le_bytes([tag[0], tag[1]]), u16::from_le_bytes([tag[2], tag[3]])))
    }

    /// Whether a dataset follows (0000,0800).
    pub fn has_dataset(&self) -> bool {
        self.get_u16(element::COMMAND_DATA_SET_TYPE).is_some_and(|kind| kind != NO_DATASET)
    }
}

impl fmt::Debug for CommandSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CommandSet {:04X}H, {} bytes", self.command_field().0, self.bytes.len())
    }
}

fn readable(value: &[u8]) -> String {
    let text: String = value.iter().map(|&byte| char::from(byte)).collect();
    text.trim_matches(['\0', ' ']).into()
}
