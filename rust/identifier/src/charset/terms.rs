//! The defined terms of Specific Character Set (0008,0005) as data (PS3.3 C.12.1.1.2, tables C.12-2 to C.12-5), and their misspellings.

use encoding_rs::Encoding;

/// What a defined term names, with or without code extensions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub(super) enum Set {
    /// ISO-IR 6.
    #[default]
    Ascii,
    /// A single-byte set: its upper half, beside ASCII.
    Single(&'static Encoding),
    /// Katakana (ISO-IR 13) above romaji (ISO-IR 14).
    Jisx0201,
    Jisx0208,
    Jisx0212,
    Ksx1001,
    Gb2312,
    Gbk,
    Gb18030,
    Utf8,
}

impl Set {
    /// PS3.5 6.1.2.5.4 d: sets that neither are a code extension nor have any.
    pub(super) fn stands_alone(self) -> bool {
        matches!(self, Self::Gbk | Self::Gb18030 | Self::Utf8)
    }

    /// Two bytes below 80H: invoked in G0 only, always by an escape.
    pub(super) fn is_double_g0(self) -> bool {
        matches!(self, Self::Jisx0208 | Self::Jisx0212)
    }
}

/// Without "ISO", "2022", "IR" and punctuation: `ISO_IR 100` and `ISO 2022 IR 100` differ in whether others may follow, not in what they are.
const TERMS: &[(&str, Set)] = &[
    ("6", Set::Ascii),
    ("13", Set::Jisx0201),
    ("14", Set::Jisx0201),
    // windows-1252 is ISO 8859-1 with characters in the place of the controls at 80H to 9FH.
    ("100", Set::Single(encoding_rs::WINDOWS_1252)),
    ("101", Set::Single(encoding_rs::ISO_8859_2)),
    ("109", Set::Single(encoding_rs::ISO_8859_3)),
    ("110", Set::Single(encoding_rs::ISO_8859_4)),
    ("126", Set::Single(encoding_rs::ISO_8859_7)),
    ("127", Set::Single(encoding_rs::ISO_8859_6)),
    ("138", Set::Single(encoding_rs::ISO_8859_8)),
    ("144", Set::Single(encoding_rs::ISO_8859_5)),
    // ... and so are windows-1254 and ISO 8859-9, windows-874 and TIS 620.
    ("148", Set::Single(encoding_rs::WINDOWS_1254)),
    ("166", Set::Single(encoding_rs::WINDOWS_874)),
    ("203", Set::Single(encoding_rs::ISO_8859_15)),
    ("58", Set::Gb2312),
    ("87", Set::Jisx0208),
    ("149", Set::Ksx1001),
    ("159", Set::Jisx0212),
    ("192", Set::Utf8),
    ("GB18030", Set::Gb18030),
    ("GBK", Set::Gbk),
    // Names from outside the standard that were seen in its place.
    ("ASCII", Set::Ascii),
    ("USASCII", Set::Ascii),
    ("8859", Set::Single(encoding_rs::WINDOWS_1252)),
    ("UTF8", Set::Utf8),
    ("JP", Set::Jisx0208),
    ("SHIFTJIS", Set::Jisx0201),
    ("SJIS", Set::Jisx0201),
    ("CP932", Set::Jisx0201),
    ("EUCKR", Set::Ksx1001),
    ("KSC5601", Set::Ksx1001),
    ("KSX1001", Set::Ksx1001),
    ("CP949", Set::Ksx1001),
    ("GB2312", Set::Gb2312),
    ("CP936", Set::Gbk),
];

/// The set that one value of the attribute names, None for an unknown one.
pub(super) fn find(term: &str) -> Option<Set> {
    let bare: String = term.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_uppercase()).collect();
    let mut name = bare.as_str();
    for prefix in ["ISO", "2022", "IR"] {
        name = name.strip_prefix(prefix).unwrap_or(name);
    }
    TERMS.iter().find(|(known, _)| *known == name).map(|&(_, set)| set).or_else(|| single_byte(term, &bare))
}

/// A single-byte set by a name that the Web knows ("latin1", "iso8859_2", "cp1251"), which covers most names that Python knows.
fn single_byte(term: &str, bare: &str) -> Option<Set> {
    Encoding::for_label(term.trim().replace('_', "-").as_bytes())
        .or_else(|| Encoding::for_label(bare.as_bytes()))
        .filter(|encoding| encoding.is_single_byte())
        .map(Set::Single)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn misspelt_terms() {
        let latin = Some(Set::Single(encoding_rs::WINDOWS_1252));
        for (terms, expected) in [
            (&["ISO_IR 100", "ISO-IR 100", "ISO IR 100", "ISO_IR_100", "iso_ir 100", "ISOIR100", "IR 100"][..], latin),
            (&["ISO 2022 IR 100", "ISO 2022 IR100", "ISO_2022_IR_100", "ISO-2022-IR-100", "ISO2022IR100"], latin),
            (&["latin1", "Latin-1", "latin_1", "ISO-8859-1", "iso8859", "cp1252", "windows-1252"], latin),
            (&["ISO_IR 192", "iso_ir 192", "ISO 192", "UTF-8", "utf8", "utf_8", "ISO 2022 IR 192"], Some(Set::Utf8)),
            (&["ISO 2022 IR 58", "ISO 2022 58", "GB2312"], Some(Set::Gb2312)),
            (&["GBK", "ISO 2022 GBK", "gbk"], Some(Set::Gbk)),
            (&["GB18030", "gb-18030"], Some(Set::Gb18030)),
            (&["ISO 2022 IR 87", "ISO_IR 87", "ISO-2022-JP", "iso2022_jp"], Some(Set::Jisx0208)),
            (&["iso8859_2", "latin2", "ISO_IR 101"], Some(Set::Single(encoding_rs::ISO_8859_2))),
            (&["koi8-r", "koi8_r"], Some(Set::Single(encoding_rs::KOI8_R))),
            (&["cp1251", "windows_1251"], Some(Set::Single(encoding_rs::WINDOWS_1251))),
            (&["NONE", "ISO_IR 999", "UTF-16", "", "ISO_IR"], None),
        ] {
            for term in terms {
                assert_eq!(find(term), expected, "{term}");
            }
        }
    }
}
