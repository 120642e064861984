//! Putting a command set together.

use alloc::vec::Vec;
use core::ops::Range;

use super::{CommandField, CommandSet, GROUP_LENGTH, NO_DATASET, element};
use crate::types::{AeTitle, Uid};

/// Gathers the elements of a command set in any order.
pub struct Builder {
    /// Element numbers, and where their values are.
    elements: Vec<(u16, Range<usize>)>,
    values: Vec<u8>,
}

impl Builder {
    pub(super) fn new(field: CommandField) -> Self {
        Self { elements: Vec::with_capacity(12), values: Vec::with_capacity(192) }.u16(element::COMMAND_FIELD, field.0)
    }

    /// A value as bytes; of odd length it is padded: UIDs with a NUL, anything else with a space. The same element again replaces it.
    pub fn bytes(mut self, element: u16, value: &[u8]) -> Self {
        let start = self.values.len();
        self.values.extend_from_slice(value);
        if value.len() % 2 == 1 {
            self.values.push(if is_uid(element) { 0 } else { b' ' });
        }
        self.elements.retain(|(known, _)| *known != element);
        self.elements.push((element, start..self.values.len()));
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

    /// Text, one byte for each character; what is not in ISO 646 becomes a question mark, as command sets have no other repertoire.
    pub fn string(self, element: u16, value: &str) -> Self {
        let bytes: Vec<u8> = value.chars().map(|c| if c.is_ascii() { c as u8 } else { b'?' }).collect();
        self.bytes(element, &bytes)
    }

    /// An AT: (group, element) of each attribute.
    pub fn attributes(self, element: u16, value: &[(u16, u16)]) -> Self {
        let bytes: Vec<u8> =
            value.iter().flat_map(|(group, number)| [group.to_le_bytes(), number.to_le_bytes()]).flatten().collect();
        self.bytes(element, &bytes)
    }

    /// A US.
    pub fn u16(self, element: u16, value: u16) -> Self {
        self.bytes(element, &value.to_le_bytes())
    }

    /// Whether a dataset follows: Command Data Set Type.
    pub fn dataset(self, has: bool) -> Self {
        self.u16(element::COMMAND_DATA_SET_TYPE, if has { 1 } else { NO_DATASET })
    }

    /// The command set, its elements in order.
    pub fn build(mut self) -> CommandSet {
        self.elements.sort_unstable_by_key(|(element, _)| *element);
        let mut bytes = Vec::with_capacity(GROUP_LENGTH.len() + 8 * self.elements.len() + self.values.len());
        bytes.extend_from_slice(&GROUP_LENGTH);
        for (element, value) in self.elements {
            let value = &self.values[value];
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
