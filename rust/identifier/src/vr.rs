//! Value representations (PS3.5 6.2).

use std::fmt;

/// A value representation, by its two letters; those that are not known keep theirs.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Vr([u8; 2]);

macro_rules! known {
    ($($name:ident)*) => {
        #[expect(missing_docs, reason = "the standard's names")]
        impl Vr {
            $(pub const $name: Self = Self(letters(stringify!($name)));)*
        }
    };
}

const fn letters(name: &str) -> [u8; 2] {
    [name.as_bytes()[0], name.as_bytes()[1]]
}

known!(AE AS AT CS DA DS DT FD FL IS LO LT OB OD OF OL OV OW PN SH SL SQ SS ST SV TM UC UI UL UN UR US UT UV);

impl Vr {
    /// US or SS, in the dictionary only: Pixel Representation decides.
    pub(crate) const XS: Self = Self(*b"XS");

    /// From its two letters; `None` where they are no capital letters.
    pub const fn from_letters(letters: [u8; 2]) -> Option<Self> {
        if letters[0].is_ascii_uppercase() && letters[1].is_ascii_uppercase() { Some(Self(letters)) } else { None }
    }

    /// Its two letters.
    pub const fn letters(self) -> [u8; 2] {
        self.0
    }

    /// Its two letters as text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).unwrap_or("??")
    }

    /// Whether its length has 32 bits in explicit VR (PS3.5 7.1.2). Unknown ones have: so has every VR that was added since 1996.
    pub const fn has_long_length(self) -> bool {
        !matches!(
            &self.0,
            b"AE"
                | b"AS"
                | b"AT"
                | b"CS"
                | b"DA"
                | b"DS"
                | b"DT"
                | b"FD"
                | b"FL"
                | b"IS"
                | b"LO"
                | b"LT"
                | b"PN"
                | b"SH"
                | b"SL"
                | b"SS"
                | b"ST"
                | b"TM"
                | b"UI"
                | b"UL"
                | b"US"
        )
    }

    /// The number of bytes that swap places between byte orders; 1 for none.
    pub const fn word(self) -> usize {
        match &self.0 {
            b"US" | b"SS" | b"OW" | b"AT" => 2,
            b"UL" | b"SL" | b"FL" | b"OF" | b"OL" => 4,
            b"FD" | b"OD" | b"OV" | b"SV" | b"UV" => 8,
            _ => 1,
        }
    }

    /// What fills a value up to an even length.
    pub const fn padding(self) -> u8 {
        match &self.0 {
            b"AE" | b"AS" | b"CS" | b"DA" | b"DS" | b"DT" | b"IS" | b"LO" | b"LT" | b"PN" | b"SH" | b"ST" | b"TM"
            | b"UC" | b"UR" | b"UT" => b' ',
            _ => 0,
        }
    }

    /// Whether Specific Character Set says how its text is encoded.
    pub const fn uses_character_set(self) -> bool {
        matches!(&self.0, b"LO" | b"LT" | b"PN" | b"SH" | b"ST" | b"UC" | b"UT")
    }

    /// Whether its text is short by its nature: identifiers, names, codes, dates and times.
    pub const fn is_short_text(self) -> bool {
        matches!(&self.0, b"AE" | b"CS" | b"DA" | b"DT" | b"LO" | b"PN" | b"SH" | b"TM" | b"UI")
    }

    /// Whether a backslash is an ordinary character of it (PS3.5 6.4).
    pub const fn is_single_valued_text(self) -> bool {
        matches!(&self.0, b"LT" | b"ST" | b"UR" | b"UT")
    }
}

impl fmt::Display for Vr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Vr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
