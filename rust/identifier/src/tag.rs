//! The tag of a data element.

use std::fmt;

/// Group and element number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tag(pub u32);

impl Tag {
    /// Specific Character Set.
    pub const SPECIFIC_CHARACTER_SET: Self = Self(0x0008_0005);
    /// Query/Retrieve Level.
    pub const QUERY_RETRIEVE_LEVEL: Self = Self(0x0008_0052);
    /// Retrieve AE Title.
    pub const RETRIEVE_AE_TITLE: Self = Self(0x0008_0054);
    /// Timezone Offset From UTC.
    pub const TIMEZONE_OFFSET_FROM_UTC: Self = Self(0x0008_0201);
    /// Pixel Representation: whether "US or SS" is SS.
    pub const PIXEL_REPRESENTATION: Self = Self(0x0028_0103);
    /// Pixel Data.
    pub const PIXEL_DATA: Self = Self(0x7FE0_0010);
    pub(crate) const ITEM: Self = Self(0xFFFE_E000);
    pub(crate) const ITEM_DELIMITATION: Self = Self(0xFFFE_E00D);
    pub(crate) const SEQUENCE_DELIMITATION: Self = Self(0xFFFE_E0DD);

    /// The group number.
    pub const fn group(self) -> u16 {
        (self.0 >> 16) as u16
    }

    /// The element number.
    pub const fn element(self) -> u16 {
        self.0 as u16
    }

    /// Whether it belongs to a private group.
    pub const fn is_private(self) -> bool {
        self.group() % 2 == 1
    }

    /// Whether it is a group length, retired everywhere but in groups 0000 and 0002 (PS3.5 7.2).
    pub const fn is_group_length(self) -> bool {
        self.element() == 0
    }

    /// Whether it has no place in the dataset of a message: command set, file meta, group lengths.
    pub const fn is_outside_messages(self) -> bool {
        self.group() <= 2 || self.is_group_length()
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "({:04X},{:04X})", self.group(), self.element())
    }
}

impl fmt::Debug for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
