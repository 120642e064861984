//! ISO 2022 code extensions (PS3.5 6.1.2.4 and 6.1.2.5): the escape sequences as data, and bytes cut into characters.

use super::{Delimiters, terms::Set};

pub(super) const ESC: u8 = 0x1B;

/// Which bytes an escape gives a meaning to.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Half {
    /// 21H to 7EH.
    G0,
    /// A0H to FFH.
    G1,
}

/// PS3.3 tables C.12-3 and C.12-4: what follows ESC.
const ESCAPES: &[(&[u8], Half, Set)] = &[
    (b"(B", Half::G0, Set::Ascii),
    (b"(J", Half::G0, Set::Jisx0201),
    (b")I", Half::G1, Set::Jisx0201),
    (b"$B", Half::G0, Set::Jisx0208),
    (b"$(D", Half::G0, Set::Jisx0212),
    (b"$)C", Half::G1, Set::Ksx1001),
    (b"$)A", Half::G1, Set::Gb2312),
    (b"-A", Half::G1, Set::Single(encoding_rs::WINDOWS_1252)),
    (b"-B", Half::G1, Set::Single(encoding_rs::ISO_8859_2)),
    (b"-C", Half::G1, Set::Single(encoding_rs::ISO_8859_3)),
    (b"-D", Half::G1, Set::Single(encoding_rs::ISO_8859_4)),
    (b"-F", Half::G1, Set::Single(encoding_rs::ISO_8859_7)),
    (b"-G", Half::G1, Set::Single(encoding_rs::ISO_8859_6)),
    (b"-H", Half::G1, Set::Single(encoding_rs::ISO_8859_8)),
    (b"-L", Half::G1, Set::Single(encoding_rs::ISO_8859_5)),
    (b"-M", Half::G1, Set::Single(encoding_rs::WINDOWS_1254)),
    (b"-T", Half::G1, Set::Single(encoding_rs::WINDOWS_874)),
    (b"-b", Half::G1, Set::Single(encoding_rs::ISO_8859_15)),
];

/// Whether any escape invokes the set: only then is it a code extension.
pub(super) fn invokes(set: Set) -> bool {
    ESCAPES.iter().any(|&(_, _, known)| known == set)
}

/// What goes after ESC to invoke a set, None for one that no escape invokes.
pub(super) fn sequence(half: Half, set: Set) -> Option<&'static [u8]> {
    ESCAPES.iter().find(|&&(_, h, s)| h == half && s == set).map(|&(sequence, ..)| sequence)
}

/// One character as its bytes stand in a value: `value[start..end]`.
pub(super) struct Character {
    pub(super) set: Set,
    pub(super) start: usize,
    pub(super) end: usize,
    /// It is one of the delimiters asked for, and not a byte of a longer character.
    pub(super) is_delimiter: bool,
}

/// The characters of a value. Escapes are followed, declared or not: what they mean does not depend on the declaration.
pub(super) struct Characters<'a> {
    value: &'a [u8],
    at: usize,
    kind: Delimiters,
    first: Set,
    g0: Set,
    g1: Set,
}

impl<'a> Characters<'a> {
    pub(super) fn new(value: &'a [u8], first: Set, kind: Delimiters) -> Self {
        let mut this = Self { value, at: 0, kind, first, g0: Set::Ascii, g1: first };
        this.reset();
        this
    }

    /// PS3.5 6.1.2.5.3: at the start and after each delimiter the first set is active.
    fn reset(&mut self) {
        self.g0 = if self.first == Set::Jisx0201 { Set::Jisx0201 } else { Set::Ascii };
        self.g1 = self.first;
    }

    /// Follows the escape sequence that begins with `rest`; false for an unknown one.
    fn follow(&mut self, rest: &[u8]) -> bool {
        let Some(&(sequence, half, set)) = ESCAPES.iter().find(|(sequence, ..)| rest[1..].starts_with(sequence)) else {
            return false;
        };
        match half {
            Half::G0 => self.g0 = set,
            // Writers that see sets and not halves (pydicom is one) go from a set in G0 to one in G1 without leaving the former.
            Half::G1 => {
                self.g1 = set;
                if self.g0.is_double_g0() {
                    self.g0 = Set::Ascii;
                }
            }
        }
        self.at += 1 + sequence.len();
        true
    }
}

impl Iterator for Characters<'_> {
    type Item = Character;

    fn next(&mut self) -> Option<Character> {
        let (rest, byte) = loop {
            let rest = &self.value[self.at..];
            let &byte = rest.first()?;
            if byte != ESC || self.first.stands_alone() {
                break (rest, byte);
            }
            if !self.follow(rest) {
                self.reset();
                break (rest, byte);
            }
        };
        let mut set = if byte < 0x80 { self.g0 } else { self.g1 };
        let length = length(set, rest);
        let is_delimiter = length == 1 && self.kind.contains(byte);
        // Controls and the blank are in no set of 94 characters (PS3.5 6.1.2.1, 6.1.3). Half a character that is a delimiter is meant as one,
        // and the escape before it was forgotten.
        if set.is_double_g0() && (is_delimiter || !is_graphic(byte)) {
            set = Set::Ascii;
        }
        if is_delimiter {
            self.reset();
        }
        let start = self.at;
        self.at += length;
        Some(Character { set, start, end: self.at, is_delimiter })
    }
}

fn is_graphic(byte: u8) -> bool {
    (0x21..=0x7E).contains(&byte)
}

/// How many bytes the character at the start of `rest` takes; 1 for what is none.
fn length(set: Set, rest: &[u8]) -> usize {
    let (lead, trail) = match *rest {
        [lead, trail, ..] => (lead, trail),
        _ => return 1,
    };
    let is_double = match set {
        Set::Ascii | Set::Single(_) | Set::Utf8 => false,
        Set::Jisx0208 | Set::Jisx0212 => is_graphic(lead) && is_graphic(trail),
        Set::Gb2312 => matches!((lead, trail), (0xA1..=0xFE, 0xA1..=0xFE)),
        // ... with the syllables of code page 949, whose second byte may be a letter.
        Set::Ksx1001 => matches!((lead, trail), (0x81..=0xFE, 0x41..=0x5A | 0x61..=0x7A | 0x81..=0xFE)),
        // JIS X 0201 has single bytes only, in A1H to DFH: the others are Shift-JIS under its name.
        Set::Jisx0201 => matches!((lead, trail), (0x81..=0x9F | 0xE0..=0xFC, 0x40..=0x7E | 0x80..=0xFC)),
        Set::Gbk | Set::Gb18030 => match (lead, trail) {
            (0x81..=0xFE, 0x30..=0x39) => {
                return if matches!(rest, [_, _, 0x81..=0xFE, 0x30..=0x39, ..]) { 4 } else { 1 };
            }
            (0x81..=0xFE, 0x40..=0x7E | 0x80..=0xFE) => true,
            _ => false,
        },
    };
    if is_double { 2 } else { 1 }
}
