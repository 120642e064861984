//! The data dictionary (PS3.6): what an element is whose encoding does not say it.

mod data;

use crate::tag::Tag;
use crate::vr::Vr;

/// Representation, and whether there may be several values.
fn find(tag: Tag) -> Option<(Vr, bool)> {
    if let Ok(at) = data::ELEMENTS.binary_search_by_key(&tag.0, |row| row.0) {
        return Some((data::ELEMENTS[at].1, data::ELEMENTS[at].2));
    }
    if tag.is_private() {
        // PS3.5 7.8.1: elements 0010-00FF reserve the block of a private creator.
        return matches!(tag.element(), 0x10..=0xFF).then_some((Vr::LO, false));
    }
    if tag.is_group_length() {
        return Some((Vr::UL, false));
    }
    data::REPEATERS.iter().find(|row| tag.0 & row.0 == row.1).map(|row| (row.2, row.3))
}

/// The representation of an element; UN where it is not known. Where it may be US or SS, `signed` decides.
pub fn vr(tag: Tag, signed: bool) -> Vr {
    match find(tag) {
        Some((Vr::XS, _)) => {
            if signed {
                Vr::SS
            } else {
                Vr::US
            }
        }
        Some((vr, _)) => vr,
        None => Vr::UN,
    }
}

/// Whether the rest of the dataset says what the representation is: US or SS, OB or OW.
pub fn depends_on_dataset(tag: Tag) -> bool {
    matches!(find(tag), Some((Vr::XS | Vr::OW, _)))
}

/// Whether the dictionary lets an attribute have several values.
pub fn may_have_several_values(tag: Tag) -> bool {
    find(tag).is_some_and(|(_, several)| several)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_are_found_sorted_or_not() {
        assert!(data::ELEMENTS.is_sorted_by_key(|row| row.0));
        assert_eq!(vr(Tag(0x0010_0010), false), Vr::PN);
        assert_eq!(vr(Tag(0x0040_0100), false), Vr::SQ);
        assert_eq!((vr(Tag(0x0028_0106), false), vr(Tag(0x0028_0106), true)), (Vr::US, Vr::SS));
        assert_eq!(vr(Tag(0x6002_3000), false), Vr::OW, "a repeating group");
        assert_eq!((vr(Tag(0x0009_0010), false), vr(Tag(0x0009_1001), false)), (Vr::LO, Vr::UN));
        assert_eq!(vr(Tag(0x0008_0000), false), Vr::UL);
        assert!(may_have_several_values(Tag(0x0008_0061)) && !may_have_several_values(Tag(0x0008_0060)));
    }
}
