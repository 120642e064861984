//! Command sets (PS3.7 6.3 and Annex E): Implicit VR Little Endian, group 0000, the group length first.

use alloc::vec::Vec;
use core::fmt;

use crate::types::{AeTitle, Uid};

/// Element numbers of group 0000.
pub mod element {
    /// Command Group Length
    pub const GROUP_LENGTH: u16 = 0x0000;
    /// Affected SOP Class UID
    pub const AFFECTED_SOP_CLASS_UID: u16 = 0x0002;
    /// Requested SOP Class UID
    pub const REQUESTED_SOP_CLASS_UID: u16 = 0x0003;
    /// Command Field
    pub const COMMAND_FIELD: u16 = 0x0100;
    /// Message ID
    pub const MESSAGE_ID: u16 = 0x0110;
    /// Message ID Being Responded To
    pub const MESSAGE_ID_BEING_RESPONDED_TO: u16 = 0x0120;
    /// Move Destination
    pub const MOVE_DESTINATION: u16 = 0x0600;
    /// Priority
    pub const PRIORITY: u16 = 0x0700;
    /// Command Data Set Type
    pub const COMMAND_DATA_SET_TYPE: u16 = 0x0800;
    /// Status
    pub const STATUS: u16 = 0x0900;
    /// Offending Element
    pub const OFFENDING_ELEMENT: u16 = 0x0901;
    /// Error Comment
    pub const ERROR_COMMENT: u16 = 0x0902;
    /// Error ID
    pub const ERROR_ID: u16 = 0x0903;
    /// Affected SOP Instance UID
    pub const AFFECTED_SOP_INSTANCE_UID: u16 = 0x1000;
    /// Requested SOP Instance UID
    pub const REQUESTED_SOP_INSTANCE_UID: u16 = 0x1001;
    /// Event Type ID
    pub const EVENT_TYPE_ID: u16 = 0x1002;
    /// Attribute Identifier List
    pub const ATTRIBUTE_IDENTIFIER_LIST: u16 = 0x1005;
    /// Action Type ID
    pub const ACTION_TYPE_ID: u16 = 0x1008;
    /// Number of Remaining Sub-operations
    pub const REMAINING: u16 = 0x1020;
    /// Number of Completed Sub-operations
    pub const COMPLETED: u16 = 0x1021;
    /// Number of Failed Sub-operations
    pub const FAILED: u16 = 0x1022;
    /// Number of Warning Sub-operations
    pub const WARNING: u16 = 0x1023;
    /// Move Originator Application Entity Title
    pub const MOVE_ORIGINATOR_AE_TITLE: u16 = 0x1030;
    /// Move Originator Message ID
    pub const MOVE_ORIGINATOR_MESSAGE_ID: u16 = 0x1031;
}

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
    /// Checks and takes an encoded command set. A missing or wrong group length is mended.
    ///
    /// # Errors
    /// An element that ends beyond the set, one of another group, or no Command Field.
    pub fn decode(bytes: &[u8]) -> Result<Self, CommandError> {
        let mut at = 0;
        while at < bytes.len() {
            let header = bytes.get(at..at + 8).ok_or(CommandError("ends in the middle of an element"))?;
            if header[..2] != [0, 0] {
                return Err(CommandError("has an element of another group than 0000"));
            }
            let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
            at = (at + 8)
                .checked_add(length)
                .filter(|end| *end <= bytes.len())
                .ok_or(CommandError("has an element longer than itself"))?;
        }
        let has_length = bytes.len() >= 12 && bytes[..8] == [0, 0, 0, 0, 4, 0, 0, 0];
        let mut set = Self { bytes: Vec::with_capacity(bytes.len() + 12) };
        if !has_length {
            set.bytes.extend_from_slice(&[0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
        }
        set.bytes.extend_from_slice(bytes);
        set.mend_length();
        if set.get_u16(element::COMMAND_FIELD).is_none() {
            return Err(CommandError("has no Command Field (0000,0100)"));
        }
        Ok(set)
    }

    /// Begins one of our own.
    pub fn builder(field: CommandField) -> Builder {
        Builder { elements: Vec::with_capacity(12) }.u16(element::COMMAND_FIELD, field.0)
    }

    /// Its encoding.
    pub fn as_bytes(&self) -> &[u8] {
        &self.bytes
    }

    fn mend_length(&mut self) {
        let length = u32::try_from(self.bytes.len() - 12).unwrap_or(u32::MAX);
        self.bytes[8..12].copy_from_slice(&length.to_le_bytes());
    }

    /// All elements but the group length: (element number, value as sent).
    pub fn elements(&self) -> impl Iterator<Item = (u16, &[u8])> {
        let mut rest = &self.bytes[12..];
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

    /// (0000,0900)
    pub fn status(&self) -> Option<Status> {
        self.get_u16(element::STATUS).map(Status)
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

/// Gathers the elements of a command set in any order.
pub struct Builder {
    elements: Vec<(u16, Vec<u8>)>,
}

impl Builder {
    /// A value as bytes; of odd length it is padded: UIDs with a NUL, anything else with a space. The same element again replaces it.
    pub fn bytes(mut self, element: u16, value: &[u8]) -> Self {
        let mut value: Vec<u8> = value.into();
        if value.len() % 2 == 1 {
            value.push(if is_uid(element) { 0 } else { b' ' });
        }
        self.elements.retain(|(known, _)| *known != element);
        self.elements.push((element, value));
        self
    }

    /// A UID.
    pub fn uid(self, element: u16, value: &Uid) -> Self {
        self.bytes(element, value.as_bytes())
    }

    /// An AE title.
    pub fn ae(self, element: u16, value: &AeTitle) -> Self {
        self.bytes(element, value.trimmed())
    }

    /// A US.
    pub fn u16(self, element: u16, value: u16) -> Self {
        self.bytes(element, &value.to_le_bytes())
    }

    fn dataset(self, has: bool) -> Self {
        self.u16(element::COMMAND_DATA_SET_TYPE, if has { 1 } else { NO_DATASET })
    }

    /// The command set, its elements in order.
    pub fn build(mut self) -> CommandSet {
        self.elements.sort_by_key(|(element, _)| *element);
        let length: usize = self.elements.iter().map(|(_, value)| 8 + value.len()).sum();
        let mut bytes = Vec::with_capacity(12 + length);
        bytes.extend_from_slice(&[0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0]);
        for (element, value) in &self.elements {
            bytes.extend_from_slice(&[0, 0]);
            bytes.extend_from_slice(&element.to_le_bytes());
            bytes.extend_from_slice(&u32::try_from(value.len()).unwrap_or(u32::MAX).to_le_bytes());
            bytes.extend_from_slice(value);
        }
        let mut set = CommandSet { bytes };
        set.mend_length();
        set
    }
}

fn is_uid(element: u16) -> bool {
    matches!(
        element,
        element::AFFECTED_SOP_CLASS_UID
            | element::REQUESTED_SOP_CLASS_UID
            | element::AFFECTED_SOP_INSTANCE_UID
            | element::REQUESTED_SOP_INSTANCE_UID
    )
}

/// C-ECHO-RQ
pub fn c_echo_rq(message_id: u16, sop_class: &Uid) -> CommandSet {
    request(CommandField::C_ECHO_RQ, message_id, sop_class).dataset(false).build()
}

/// C-STORE-RQ; `originator` is the AE title and Message ID of the C-MOVE that it belongs to.
pub fn c_store_rq(
    message_id: u16,
    sop_class: &Uid,
    sop_instance: &Uid,
    priority: Priority,
    originator: Option<(&AeTitle, u16)>,
) -> CommandSet {
    let mut builder = request(CommandField::C_STORE_RQ, message_id, sop_class)
        .dataset(true)
        .u16(element::PRIORITY, priority.0)
        .uid(element::AFFECTED_SOP_INSTANCE_UID, sop_instance);
    if let Some((title, id)) = originator {
        builder = builder.ae(element::MOVE_ORIGINATOR_AE_TITLE, title).u16(element::MOVE_ORIGINATOR_MESSAGE_ID, id);
    }
    builder.build()
}

/// C-FIND-RQ
pub fn c_find_rq(message_id: u16, sop_class: &Uid, priority: Priority) -> CommandSet {
    request(CommandField::C_FIND_RQ, message_id, sop_class).dataset(true).u16(element::PRIORITY, priority.0).build()
}

/// C-GET-RQ
pub fn c_get_rq(message_id: u16, sop_class: &Uid, priority: Priority) -> CommandSet {
    request(CommandField::C_GET_RQ, message_id, sop_class).dataset(true).u16(element::PRIORITY, priority.0).build()
}

/// C-MOVE-RQ
pub fn c_move_rq(message_id: u16, sop_class: &Uid, priority: Priority, destination: &AeTitle) -> CommandSet {
    request(CommandField::C_MOVE_RQ, message_id, sop_class)
        .dataset(true)
        .u16(element::PRIORITY, priority.0)
        .ae(element::MOVE_DESTINATION, destination)
        .build()
}

/// C-CANCEL-RQ of the request with this Message ID
pub fn c_cancel_rq(message_id: u16) -> CommandSet {
    CommandSet::builder(CommandField::C_CANCEL_RQ)
        .u16(element::MESSAGE_ID_BEING_RESPONDED_TO, message_id)
        .dataset(false)
        .build()
}

/// N-EVENT-REPORT-RQ
pub fn n_event_report_rq(
    message_id: u16,
    class: &Uid,
    instance: &Uid,
    event_type: u16,
    has_dataset: bool,
) -> CommandSet {
    request(CommandField::N_EVENT_REPORT_RQ, message_id, class)
        .uid(element::AFFECTED_SOP_INSTANCE_UID, instance)
        .u16(element::EVENT_TYPE_ID, event_type)
        .dataset(has_dataset)
        .build()
}

/// N-GET-RQ for the attributes with these (group, element) tags, or for all
pub fn n_get_rq(message_id: u16, class: &Uid, instance: &Uid, attributes: &[(u16, u16)]) -> CommandSet {
    let mut builder = requested(CommandField::N_GET_RQ, message_id, class, instance).dataset(false);
    if !attributes.is_empty() {
        let list: Vec<u8> = attributes
            .iter()
            .flat_map(|(group, element)| [group.to_le_bytes(), element.to_le_bytes()])
            .flatten()
            .collect();
        builder = builder.bytes(element::ATTRIBUTE_IDENTIFIER_LIST, &list);
    }
    builder.build()
}

/// N-SET-RQ
pub fn n_set_rq(message_id: u16, class: &Uid, instance: &Uid) -> CommandSet {
    requested(CommandField::N_SET_RQ, message_id, class, instance).dataset(true).build()
}

/// N-ACTION-RQ
pub fn n_action_rq(message_id: u16, class: &Uid, instance: &Uid, action_type: u16, has_dataset: bool) -> CommandSet {
    requested(CommandField::N_ACTION_RQ, message_id, class, instance)
        .u16(element::ACTION_TYPE_ID, action_type)
        .dataset(has_dataset)
        .build()
}

/// N-CREATE-RQ; without an instance the performer chooses one
pub fn n_create_rq(message_id: u16, class: &Uid, instance: Option<&Uid>, has_dataset: bool) -> CommandSet {
    let mut builder = request(CommandField::N_CREATE_RQ, message_id, class).dataset(has_dataset);
    if let Some(instance) = instance {
        builder = builder.uid(element::AFFECTED_SOP_INSTANCE_UID, instance);
    }
    builder.build()
}

/// N-DELETE-RQ
pub fn n_delete_rq(message_id: u16, class: &Uid, instance: &Uid) -> CommandSet {
    requested(CommandField::N_DELETE_RQ, message_id, class, instance).dataset(false).build()
}

fn request(field: CommandField, message_id: u16, sop_class: &Uid) -> Builder {
    CommandSet::builder(field).u16(element::MESSAGE_ID, message_id).uid(element::AFFECTED_SOP_CLASS_UID, sop_class)
}

fn requested(field: CommandField, message_id: u16, class: &Uid, instance: &Uid) -> Builder {
    CommandSet::builder(field)
        .u16(element::MESSAGE_ID, message_id)
        .uid(element::REQUESTED_SOP_CLASS_UID, class)
        .uid(element::REQUESTED_SOP_INSTANCE_UID, instance)
}

/// The response to a request: its Message ID and UIDs go back exactly as they came, whatever they are; a requested class or instance
/// becomes the affected one (PS3.7 10.1). `extra` elements replace those of the same number.
pub fn response(request: &CommandSet, status: Status, has_dataset: bool, extra: &[(u16, &[u8])]) -> CommandSet {
    let mut builder = CommandSet::builder(request.command_field().to_response())
        .u16(element::MESSAGE_ID_BEING_RESPONDED_TO, request.message_id().unwrap_or(0))
        .dataset(has_dataset)
        .u16(element::STATUS, status.0);
    for (affected, requested) in [
        (element::AFFECTED_SOP_CLASS_UID, element::REQUESTED_SOP_CLASS_UID),
        (element::AFFECTED_SOP_INSTANCE_UID, element::REQUESTED_SOP_INSTANCE_UID),
    ] {
        if let Some(uid) = request.get(affected).or_else(|| request.get(requested)) {
            builder = builder.bytes(affected, uid);
        }
    }
    for (element, value) in extra {
        builder = builder.bytes(*element, value);
    }
    builder.build()
}
