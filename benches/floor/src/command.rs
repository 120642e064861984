//! PS3.7 9.3: the command sets of C-ECHO and C-STORE, in Implicit VR Little Endian.

use std::io;

use crate::pdu::{VERIFICATION, invalid};

pub const C_STORE_RQ: u16 = 0x0001;
pub const C_ECHO_RQ: u16 = 0x0030;
/// What is added to a request's command field in its response.
pub const RESPONSE: u16 = 0x8000;
const NO_DATASET: u16 = 0x0101;

const SOP_CLASS: u16 = 0x0002;
const COMMAND_FIELD: u16 = 0x0100;
const MESSAGE_ID: u16 = 0x0110;
const MESSAGE_ID_RESPONDED_TO: u16 = 0x0120;
const PRIORITY: u16 = 0x0700;
const DATASET_TYPE: u16 = 0x0800;
const STATUS: u16 = 0x0900;
const SOP_INSTANCE: u16 = 0x1000;

/// The elements that these services have in common.
#[derive(Default)]
pub struct Command {
    pub field: u16,
    /// Message ID of a request, the one responded to of a response.
    pub id: u16,
    pub status: u16,
    pub has_dataset: bool,
    pub sop_class: String,
    pub sop_instance: String,
}

/// A command set under construction, in the order of its tags.
struct Elements(Vec<u8>);

impl Elements {
    fn new() -> Self {
        // Command Group Length, filled in at the end.
        Self(vec![0, 0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0])
    }

    fn add(mut self, element: u16, value: &[u8]) -> Self {
        let odd = value.len() % 2;
        self.0.extend_from_slice(&[0, 0]);
        self.0.extend_from_slice(&element.to_le_bytes());
        self.0.extend_from_slice(&((value.len() + odd) as u32).to_le_bytes());
        self.0.extend_from_slice(value);
        self.0.extend_from_slice(&[0][..odd]);
        self
    }

    fn number(self, element: u16, value: u16) -> Self {
        self.add(element, &value.to_le_bytes())
    }

    fn finish(mut self) -> Vec<u8> {
        let length = self.0.len() as u32 - 12;
        self.0[8..12].copy_from_slice(&length.to_le_bytes());
        self.0
    }
}

pub fn echo_request(id: u16) -> Vec<u8> {
    let elements = Elements::new().add(SOP_CLASS, VERIFICATION.as_bytes()).number(COMMAND_FIELD, C_ECHO_RQ);
    elements.number(MESSAGE_ID, id).number(DATASET_TYPE, NO_DATASET).finish()
}

pub fn store_request(id: u16, sop_class: &str, sop_instance: &str) -> Vec<u8> {
    let elements = Elements::new().add(SOP_CLASS, sop_class.as_bytes()).number(COMMAND_FIELD, C_STORE_RQ);
    let elements = elements.number(MESSAGE_ID, id).number(PRIORITY, 0).number(DATASET_TYPE, 0);
    elements.add(SOP_INSTANCE, sop_instance.as_bytes()).finish()
}

/// Success, to any of both.
pub fn response(request: &Command) -> Vec<u8> {
    let elements = Elements::new().add(SOP_CLASS, request.sop_class.as_bytes());
    let elements = elements.number(COMMAND_FIELD, request.field | RESPONSE);
    let elements = elements.number(MESSAGE_ID_RESPONDED_TO, request.id);
    let elements = elements.number(DATASET_TYPE, NO_DATASET).number(STATUS, 0);
    if request.sop_instance.is_empty() {
        return elements.finish();
    }
    elements.add(SOP_INSTANCE, request.sop_instance.as_bytes()).finish()
}

pub fn read(mut bytes: &[u8]) -> io::Result<Command> {
    let mut command = Command::default();
    while let [_, _, low, high, a, b, c, d, rest @ ..] = bytes {
        let length = u32::from_le_bytes([*a, *b, *c, *d]) as usize;
        let value = rest.get(..length).ok_or_else(|| invalid("an element longer than its command set"))?;
        let number = || value.try_into().map(u16::from_le_bytes).map_err(|_| invalid("a number that is none"));
        let text = || String::from_utf8_lossy(value).trim_end_matches('\0').to_owned();
        match u16::from_le_bytes([*low, *high]) {
            SOP_CLASS => command.sop_class = text(),
            COMMAND_FIELD => command.field = number()?,
            MESSAGE_ID | MESSAGE_ID_RESPONDED_TO => command.id = number()?,
            DATASET_TYPE => command.has_dataset = number()? != NO_DATASET,
            STATUS => command.status = number()?,
            SOP_INSTANCE => command.sop_instance = text(),
            _ => {}
        }
        bytes = &rest[length..];
    }
    Ok(command)
}
