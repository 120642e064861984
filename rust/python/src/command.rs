//! Command sets of what Python gives.

use dimsefast_network::protocol::command::{CommandField, CommandSet};
use pyo3::prelude::*;

/// The value of a command element: text and bytes as they are, numbers as US.
#[derive(FromPyObject)]
pub(crate) enum Value {
    Number(u16),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    pub(crate) fn bytes(self) -> Vec<u8> {
        match self {
            Self::Number(number) => number.to_le_bytes().to_vec(),
            Self::Text(text) => text.into_bytes(),
            Self::Bytes(bytes) => bytes,
        }
    }
}

/// The command set of a request.
pub(crate) fn request(
    command_field: u16,
    message_id: u16,
    elements: Vec<(u16, Value)>,
    has_dataset: bool,
) -> CommandSet {
    let mut builder = CommandSet::builder(CommandField(command_field));
    // (0000,0120) in a C-CANCEL-RQ, (0000,0110) in any other request.
    let cancel = command_field == CommandField::C_CANCEL_RQ.0;
    builder = builder.u16(if cancel { 0x0120 } else { 0x0110 }, message_id);
    // (0000,0800): 0101H is no dataset.
    builder = builder.u16(0x0800, if has_dataset { 1 } else { 0x0101 });
    for (element, value) in elements {
        builder = builder.bytes(element, &value.bytes());
    }
    builder.build()
}
