//! Reading items without ever going beyond their parent.

use crate::error::PduError;

/// The rest of a PDU or item.
#[derive(Clone, Copy)]
pub(super) struct Reader<'a> {
    rest: &'a [u8],
    field: &'static str,
}

impl<'a> Reader<'a> {
    /// `field` names what is read, for errors.
    pub(super) const fn new(rest: &'a [u8], field: &'static str) -> Self {
        Self { rest, field }
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    pub(super) const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    pub(super) fn bytes(&mut self, length: usize) -> Result<&'a [u8], PduError> {
        if length > self.rest.len() {
            return Err(PduError::invalid(self.field, "ends before its declared length"));
        }
        let (bytes, rest) = self.rest.split_at(length);
        self.rest = rest;
        Ok(bytes)
    }

    pub(super) fn u8(&mut self) -> Result<u8, PduError> {
        Ok(self.bytes(1)?[0])
    }

    pub(super) fn u16(&mut self) -> Result<u16, PduError> {
        let bytes = self.bytes(2)?;
        Ok(u16::from_be_bytes([bytes[0], bytes[1]]))
    }

    /// A field with a length of two bytes in front.
    pub(super) fn counted(&mut self) -> Result<&'a [u8], PduError> {
        let length = self.u16()?;
        self.bytes(length.into())
    }

    /// An item or sub-item: type, reserved byte, length, value.
    pub(super) fn item(&mut self) -> Result<(u8, &'a [u8]), PduError> {
        let kind = self.u8()?;
        self.u8()?;
        Ok((kind, self.counted()?))
    }
}
