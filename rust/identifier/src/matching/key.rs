//! A key attribute, compiled: what kind of matching its value asks for.

use std::borrow::Cow;

use super::fuzzy::FuzzyName;
use super::name::Name;
use super::temporal::{self, Range, Span};
use super::wildcard;
use crate::charset::{CharacterSet, Delimiters};
use crate::codec::Syntax;
use crate::vr::Vr;

/// What was negotiated, as far as it concerns a single key.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct KeyOptions {
    /// Fuzzy semantic matching of names.
    pub fuzzy: bool,
    /// Two quotation marks ask for an attribute without a value.
    pub empty_value: bool,
    /// Several values of the key must all be there; to be set only for an attribute that may have several.
    pub multiple_value: bool,
    /// What has no value does not match.
    pub needs_value: bool,
    /// The offset from UTC of a DT without its own, in minutes.
    pub offset: i32,
}

/// How a stored value is encoded, and what it means where it does not say.
#[derive(Debug, Clone, Copy)]
pub struct Stored<'a> {
    /// Its Specific Character Set.
    pub character_set: &'a CharacterSet,
    /// Its byte order.
    pub syntax: Syntax,
    /// The offset from UTC of a DT without its own, in minutes.
    pub offset: i32,
}

/// A compiled key.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    vr: Vr,
    text: String,
    test: Test,
    needs_value: bool,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// Anything matches.
    Universal,
    /// What has no value matches.
    Empty,
    /// One of the values is one of these.
    Any(Vec<Wanted>),
    /// Each of these is among the values.
    All(Vec<Wanted>),
}

/// One value of a key.
#[derive(Debug, Clone, PartialEq)]
enum Wanted {
    Text(String),
    Pattern(String),
    Integer(i128),
    Number(f64),
    Range(Range),
    Name(Name),
    FuzzyName(Name, FuzzyName),
    Bytes(Vec<u8>),
}

/// The kind of matching that a key asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Everything matches.
    Universal,
    /// The same value.
    Single,
    /// One of several values.
    List,
    /// All of several values.
    All,
    /// A pattern.
    WildCard,
    /// A span of time.
    Range,
    /// No value.
    Empty,
    /// One of several names, by what it sounds and looks like.
    Fuzzy,
}

impl Key {
    /// Compiles the value of a key attribute, as text: decoded, several values separated by backslashes, numbers in decimal, tags of eight
    /// hexadecimal digits. A value that is none of its representation (a date that does not exist) is compared as text.
    pub fn new(vr: Vr, value: &str, options: KeyOptions) -> Self {
        let (text, test) = (normal(vr, value).to_owned(), compile(vr, value, options));
        Self { vr, text, test, needs_value: options.needs_value }
    }

    /// Compiles the value of a key attribute as it is encoded.
    pub fn from_value(vr: Vr, value: &[u8], encoded: Stored<'_>, options: KeyOptions) -> Self {
        match values(vr, value, encoded) {
            Values::Text(text) => Self::new(vr, &text, options),
            Values::Bytes([]) => Self::new(vr, "", options),
            Values::Bytes(bytes) => Self {
                vr,
                text: bytes.escape_ascii().to_string(),
                test: Test::Any(vec![Wanted::Bytes(bytes.to_vec())]),
                needs_value: options.needs_value,
            },
            Values::Integers(integers) => {
                let text: Vec<String> = integers.iter().map(ToString::to_string).collect();
                Self::new(vr, &text.join("\\"), options)
            }
            Values::Numbers(numbers) => {
                let text: Vec<String> = numbers.iter().map(ToString::to_string).collect();
                Self::new(vr, &text.join("\\"), options)
            }
        }
    }

    /// The value, without the padding that does not count.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Its representation.
    pub fn vr(&self) -> Vr {
        self.vr
    }

    /// What kind of matching it asks for.
    pub fn kind(&self) -> Kind {
        match &self.test {
            Test::Universal => Kind::Universal,
            Test::Empty => Kind::Empty,
            Test::All(_) => Kind::All,
            Test::Any(wanted) if wanted.iter().any(|wanted| matches!(wanted, Wanted::FuzzyName(..))) => Kind::Fuzzy,
            Test::Any(wanted) if wanted.iter().any(Wanted::is_pattern) => Kind::WildCard,
            Test::Any(wanted) => match &wanted[..] {
                [Wanted::Range(_)] => Kind::Range,
                [_] => Kind::Single,
                _ => Kind::List,
            },
        }
    }

    /// Whether everything matches it.
    pub fn is_universal(&self) -> bool {
        self.test == Test::Universal
    }

    /// Whether an attribute without a value matches.
    pub fn takes_nothing(&self) -> bool {
        !self.needs_value || matches!(self.test, Test::Universal | Test::Empty)
    }

    /// The span of time that it asks for, where it is one.
    pub fn range(&self) -> Option<Range> {
        match &self.test {
            Test::Any(wanted) => match &wanted[..] {
                [Wanted::Range(range)] => Some(*range),
                _ => None,
            },
            _ => None,
        }
    }

    /// Whether a stored value, as it is encoded, matches; `None` where it is empty.
    pub fn matches_value(&self, value: &[u8], stored: Stored<'_>) -> Option<bool> {
        match values(self.vr, value, stored) {
            Values::Text(text) => self.matches_text(&text, stored.offset),
            Values::Bytes(bytes) => {
                (!bytes.is_empty()).then(|| self.any(|wanted| wanted == &Wanted::Bytes(bytes.to_vec())))
            }
            Values::Integers(integers) => {
                (!integers.is_empty()).then(|| self.test(&integers, |wanted, value| wanted == &Wanted::Integer(*value)))
            }
            Values::Numbers(numbers) => {
                (!numbers.is_empty()).then(|| self.test(&numbers, |wanted, value| wanted == &Wanted::Number(*value)))
            }
        }
    }

    /// The same for a stored value as text, as [`Key::new`] takes it.
    pub fn matches_text(&self, text: &str, offset: i32) -> Option<bool> {
        if self.vr.is_single_valued_text() || !text.contains('\\') {
            let value = normal(self.vr, text);
            return (!value.is_empty()).then(|| self.test(&[value], |wanted, value| wanted.is(self.vr, value, offset)));
        }
        let values: Vec<&str> = text.split('\\').map(|value| normal(self.vr, value)).collect();
        let empty = values.iter().all(|value| value.is_empty());
        (!empty).then(|| self.test(&values, |wanted, value| wanted.is(self.vr, value, offset)))
    }

    fn any(&self, is: impl Fn(&Wanted) -> bool) -> bool {
        self.test(&[()], |wanted, ()| is(wanted))
    }

    fn test<T>(&self, stored: &[T], is: impl Fn(&Wanted, &T) -> bool) -> bool {
        match &self.test {
            Test::Universal => true,
            Test::Empty => false,
            Test::Any(wanted) => wanted.iter().any(|wanted| stored.iter().any(|value| is(wanted, value))),
            Test::All(wanted) => wanted.iter().all(|wanted| stored.iter().any(|value| is(wanted, value))),
        }
    }
}

impl Wanted {
    fn is_pattern(&self) -> bool {
        match self {
            Self::Pattern(_) => true,
            Self::Name(name) => name.has_wild_cards(),
            _ => false,
        }
    }

    fn is(&self, vr: Vr, value: &str, offset: i32) -> bool {
        match self {
            Self::Text(wanted) => wanted == value,
            Self::Pattern(pattern) => wildcard::matches(pattern, value),
            Self::Integer(wanted) => integer(vr, value) == Some(*wanted),
            Self::Number(wanted) => number(vr, value) == Some(*wanted),
            Self::Range(range) => span(vr, value, offset).is_some_and(|span| range.overlaps(&span)),
            Self::Name(name) => name.matches(value),
            Self::FuzzyName(name, fuzzy) => name.matches(value) || fuzzy.matches(value),
            Self::Bytes(bytes) => bytes == value.as_bytes(),
        }
    }
}

/// A stored value, decoded as far as its representation says.
enum Values<'a> {
    Text(Cow<'a, str>),
    Integers(Vec<i128>),
    Numbers(Vec<f64>),
    Bytes(&'a [u8]),
}

fn values<'a>(vr: Vr, value: &'a [u8], stored: Stored<'_>) -> Values<'a> {
    if vr.uses_character_set() {
        let delimiters = match vr {
            Vr::PN => Delimiters::PersonName,
            vr if vr.is_single_valued_text() => Delimiters::Text,
            _ => Delimiters::Values,
        };
        return Values::Text(stored.character_set.decode(value, delimiters));
    }
    if is_text(vr) {
        return Values::Text(String::from_utf8_lossy(value));
    }
    let (size, big) = (size(vr), stored.syntax.big_endian);
    if size == 0 {
        return Values::Bytes(value);
    }
    let words = value.chunks_exact(size).map(|word| {
        let mut bytes = [0; 8];
        for (at, byte) in word.iter().enumerate() {
            bytes[if big { size - 1 - at } else { at }] = *byte;
        }
        u64::from_le_bytes(bytes)
    });
    match vr {
        Vr::FL => Values::Numbers(words.map(|bits| f32::from_bits(bits as u32).into()).collect()),
        Vr::FD => Values::Numbers(words.map(f64::from_bits).collect()),
        // A tag is two words of 16 bits, each in the byte order.
        Vr::AT if !big => Values::Integers(words.map(|bits| (bits as u32).rotate_left(16).into()).collect()),
        Vr::SS => Values::Integers(words.map(|bits| (bits as u16).cast_signed().into()).collect()),
        Vr::SL => Values::Integers(words.map(|bits| (bits as u32).cast_signed().into()).collect()),
        Vr::SV => Values::Integers(words.map(|bits| bits.cast_signed().into()).collect()),
        _ => Values::Integers(words.map(i128::from).collect()),
    }
}

fn is_text(vr: Vr) -> bool {
    matches!(vr, Vr::AE | Vr::AS | Vr::CS | Vr::DA | Vr::DS | Vr::DT | Vr::IS | Vr::TM | Vr::UI | Vr::UR)
}

/// The size of a binary number, in bytes; 0 for what is none.
fn size(vr: Vr) -> usize {
    match vr {
        Vr::US | Vr::SS => 2,
        Vr::UL | Vr::SL | Vr::FL | Vr::AT => 4,
        Vr::UV | Vr::SV | Vr::FD => 8,
        _ => 0,
    }
}

/// The value without the padding that does not count (PS3.5 6.2).
fn normal(vr: Vr, value: &str) -> &str {
    match vr {
        Vr::AE | Vr::CS | Vr::DS | Vr::IS | Vr::LO | Vr::SH => value.trim_matches([' ', '\0']),
        _ => value.trim_end_matches([' ', '\0']),
    }
}

fn compile(vr: Vr, value: &str, options: KeyOptions) -> Test {
    let whole = normal(vr, value);
    let has_wild_cards =
        matches!(vr, Vr::AE | Vr::CS | Vr::LO | Vr::LT | Vr::PN | Vr::SH | Vr::ST | Vr::UC | Vr::UR | Vr::UT);
    if whole.is_empty() || (has_wild_cards && whole.bytes().all(|byte| byte == b'*')) {
        return Test::Universal;
    }
    if options.empty_value && whole == "\"\"" {
        return Test::Empty;
    }
    let values: Vec<&str> = if vr.is_single_valued_text() {
        vec![whole]
    } else {
        whole.split('\\').map(|value| normal(vr, value)).collect()
    };
    let wanted = |wild: bool| values.iter().map(|value| wanted(vr, value, wild, options)).collect();
    if options.multiple_value && values.len() > 1 {
        // PS3.4 C.2.2.2.8: there are no wild cards in it.
        return Test::All(wanted(false));
    }
    Test::Any(wanted(has_wild_cards))
}

fn wanted(vr: Vr, value: &str, wild: bool, options: KeyOptions) -> Wanted {
    let text = || Wanted::Text(value.to_owned());
    match vr {
        Vr::PN => match FuzzyName::new(value).filter(|_| options.fuzzy) {
            Some(fuzzy) => Wanted::FuzzyName(Name::new(value), fuzzy),
            None => Wanted::Name(Name::new(value)),
        },
        Vr::DA | Vr::TM | Vr::DT => range(vr, value, options.offset).map_or_else(text, Wanted::Range),
        Vr::DS | Vr::IS | Vr::FL | Vr::FD => number(vr, value).map_or_else(text, Wanted::Number),
        vr if size(vr) > 0 => integer(vr, value).map_or_else(text, Wanted::Integer),
        _ if wild && value.contains(['*', '?']) => Wanted::Pattern(value.to_owned()),
        vr if is_text(vr) || vr.uses_character_set() => text(),
        _ => Wanted::Bytes(value.into()),
    }
}

/// A binary number as text; a tag as eight hexadecimal digits or as a number.
fn integer(vr: Vr, value: &str) -> Option<i128> {
    if vr == Vr::AT && value.len() == 8 && value.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return i128::from_str_radix(value, 16).ok();
    }
    value.parse().ok()
}

/// A decimal number; one of single precision as that has it.
fn number(vr: Vr, value: &str) -> Option<f64> {
    if vr == Vr::FL { value.parse::<f32>().ok().map(f64::from) } else { value.parse().ok() }
}

fn span(vr: Vr, value: &str, offset: i32) -> Option<Span> {
    match vr {
        Vr::DA => temporal::date(value),
        Vr::TM => temporal::time(value),
        _ => temporal::date_time(value, offset),
    }
}

/// `a-b`, `-b`, `a-`, or a single value, which is the range of what it names. The hyphen of a DT is ambiguous with the sign of its
/// UTC offset: a whole value with an offset comes first.
fn range(vr: Vr, value: &str, offset: i32) -> Option<Range> {
    let open_ended = value.starts_with('-') || value.ends_with('-');
    if !open_ended && let Some(single) = span(vr, value, offset) {
        return Some(Range { from: Some(single.first), to: Some(single.last) });
    }
    for (at, _) in value.match_indices('-') {
        let (from, to) = (value[..at].trim(), value[at + 1..].trim());
        let parsed = |text: &str| if text.is_empty() { Some(None) } else { span(vr, text, offset).map(Some) };
        if let (Some(from), Some(to)) = (parsed(from), parsed(to))
            && (from.is_some() || to.is_some())
        {
            return Some(Range { from: from.map(|span| span.first), to: to.map(|span| span.last) });
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(vr: &str, key: &str, stored: &str) -> bool {
        let vr = Vr::from_letters([vr.as_bytes()[0], vr.as_bytes()[1]]).unwrap();
        // Query/Retrieve: a stored attribute without a value matches.
        Key::new(vr, key, KeyOptions::default()).matches_text(stored, 0).unwrap_or(true)
    }

    /// `tests/data/matching.txt`: VR, key, candidate, yes or no; the clause stands above each group.
    #[test]
    fn golden_table() {
        let table = include_str!("../../../../tests/data/matching.txt");
        let mut rows = 0;
        for line in table.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
            let cells: Vec<&str> = line.split('|').map(str::trim).collect();
            let [vr, key, candidate, expected] = cells[..] else { panic!("{line}") };
            let unquoted = |text: &str| text.trim_matches('"').to_owned();
            assert_eq!(matches(vr, &unquoted(key), &unquoted(candidate)), expected == "yes", "{line}");
            rows += 1;
        }
        assert!(rows > 60, "only {rows} rows were read");
    }

    #[test]
    fn what_kind_of_matching_it_is() {
        for (vr, value, kind) in [
            (Vr::PN, "*", Kind::Universal),
            (Vr::UI, "", Kind::Universal),
            (Vr::UI, "1.2.3", Kind::Single),
            (Vr::UI, "1.2\\1.3", Kind::List),
            (Vr::LO, "A*", Kind::WildCard),
            (Vr::PN, "A*", Kind::WildCard),
            (Vr::PN, "A", Kind::Single),
            (Vr::DA, "20200101-", Kind::Range),
            (Vr::DS, "1.5", Kind::Single),
        ] {
            assert_eq!(Key::new(vr, value, KeyOptions::default()).kind(), kind, "{vr} {value}");
        }
    }

    #[test]
    fn several_fuzzy_names_are_fuzzy() {
        let options = KeyOptions { fuzzy: true, ..KeyOptions::default() };
        for value in ["Smith", "Smith\\J*", "^\\Smith"] {
            assert_eq!(Key::new(Vr::PN, value, options).kind(), Kind::Fuzzy, "{value}");
        }
    }

    #[test]
    fn binary_values_in_either_byte_order() {
        let character_set = CharacterSet::default();
        for (vr, text, little, big) in [
            (Vr::US, "513", &[1, 2][..], &[2, 1][..]),
            (Vr::SS, "-2", &[0xFE, 0xFF], &[0xFF, 0xFE]),
            (Vr::SL, "-2", &[0xFE, 0xFF, 0xFF, 0xFF], &[0xFF, 0xFF, 0xFF, 0xFE]),
            (Vr::AT, "00100020", &[0x10, 0, 0x20, 0], &[0, 0x10, 0, 0x20]),
            (Vr::FL, "1.5", &[0, 0, 0xC0, 0x3F], &[0x3F, 0xC0, 0, 0]),
        ] {
            for (bytes, syntax) in [(little, Syntax::EXPLICIT), (big, Syntax::BIG_ENDIAN)] {
                let stored = Stored { character_set: &character_set, syntax, offset: 0 };
                let key = Key::new(vr, text, KeyOptions::default());
                assert_eq!(key.matches_value(bytes, stored), Some(true), "{vr} {text} {syntax:?}");
                assert_eq!(Key::from_value(vr, bytes, stored, KeyOptions::default()).test, key.test);
                assert_eq!(key.matches_value(b"", stored), None);
            }
        }
    }

    proptest::proptest! {
        #[test]
        fn nothing_panics(vr in "AE|CS|DA|DS|DT|IS|LO|LT|PN|SH|TM|UI|UT|OB", key in ".{0,40}", candidate in ".{0,40}") {
            matches(&vr, &key, &candidate);
        }

        #[test]
        fn a_value_matches_itself(value in "[A-Za-z0-9]{1,16}") {
            for vr in ["AE", "LO", "PN", "SH", "UT", "UI"] {
                proptest::prop_assert!(matches(vr, &value, &value));
            }
        }
    }
}
