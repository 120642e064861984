//! Text to bytes, with the escapes of code extensions where the first set does not suffice (PS3.5 6.1.2.5).

use super::{
    CharacterSet, Delimiters, decode,
    escape::{ESC, Half, sequence},
    terms::Set,
};
use encoding_rs::{EncoderResult, Encoding};
use std::sync::LazyLock;

/// Encodes text; None where a character is in no declared set.
pub(super) fn encode(declared: &CharacterSet, text: &str, kind: Delimiters) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len());
    let first = declared.first;
    if first == Set::Utf8 {
        return Some(text.as_bytes().to_vec());
    }
    if first.stands_alone() {
        return (fill(&mut bytes, first, text, Run::Mixed) == text.len()).then_some(bytes);
    }
    if text.contains(char::from(ESC)) {
        return None;
    }
    // Each piece between delimiters starts and ends with the first set.
    for piece in text.split_inclusive(|c: char| c.is_ascii() && kind.contains(c as u8)) {
        let (words, delimiter) = match piece.as_bytes() {
            [words @ .., last] if kind.contains(*last) => (&piece[..words.len()], Some(*last)),
            _ => (piece, None),
        };
        append_piece(&mut bytes, declared, words)?;
        bytes.extend(delimiter);
    }
    Some(bytes)
}

/// Appends a piece: in one set if it fits any, in order, otherwise in parts, each as long as a set can make it.
fn append_piece(bytes: &mut Vec<u8>, declared: &CharacterSet, piece: &str) -> Option<()> {
    if fill_whole(bytes, declared.first, piece, Run::Mixed) {
        return Some(());
    }
    for &set in &declared.extensions {
        let mut part = Vec::new();
        if fill_whole(&mut part, set, piece, Run::OneHalf) {
            append_part(bytes, declared.first, Set::Ascii, set, &part)?;
            close(bytes, declared.first, set);
            return Some(());
        }
    }
    let (mut rest, mut active) = (piece, Set::Ascii);
    while !rest.is_empty() {
        let (mut length, mut best, mut part) = (0, Set::Ascii, Vec::new());
        for set in std::iter::once(declared.first).chain(declared.extensions.iter().copied()) {
            let mut tried = Vec::new();
            let tried_length = fill(&mut tried, set, rest, Run::OneHalf);
            if tried_length > length {
                (length, best, part) = (tried_length, set, tried);
            }
        }
        if length == 0 {
            return None;
        }
        append_part(bytes, declared.first, active, best, &part)?;
        (rest, active) = (&rest[length..], best);
    }
    close(bytes, declared.first, active);
    Some(())
}

/// Appends the escape that invokes a set, and bytes of it. `active` is the set before. None if no escape does, as for a first set from
/// outside the standard.
fn append_part(bytes: &mut Vec<u8>, first: Set, active: Set, set: Set, part: &[u8]) -> Option<()> {
    let is_upper = part.iter().any(|byte| *byte >= 0x80);
    let half = match set {
        Set::Ascii | Set::Jisx0208 | Set::Jisx0212 => Half::G0,
        Set::Jisx0201 if !is_upper => Half::G0,
        _ => Half::G1,
    };
    let sequence = sequence(half, set)?;
    // G1 alone does not end a set of G0.
    if half == Half::G1 {
        close(bytes, first, active);
    }
    bytes.push(ESC);
    bytes.extend(sequence);
    bytes.extend(part);
    Some(())
}

/// PS3.5 6.1.2.5.3: the first set is active again before a delimiter and at the end. For G1 the delimiter does that itself.
fn close(bytes: &mut Vec<u8>, first: Set, active: Set) {
    if active.is_double_g0() {
        let g0 = if first == Set::Jisx0201 { Set::Jisx0201 } else { Set::Ascii };
        bytes.push(ESC);
        bytes.extend(sequence(Half::G0, g0).unwrap_or_default());
    }
}

/// Whether both halves of JIS X 0201 may occur: an escape invokes one of them.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Run {
    Mixed,
    OneHalf,
}

/// Appends text if all of it is in the set, otherwise nothing.
fn fill_whole(bytes: &mut Vec<u8>, set: Set, text: &str, run: Run) -> bool {
    let before = bytes.len();
    let is_whole = fill(bytes, set, text, run) == text.len();
    if !is_whole {
        bytes.truncate(before);
    }
    is_whole
}

/// Appends the longest beginning of `text` that is in the set, without escapes; returns its length in `text`.
fn fill(bytes: &mut Vec<u8>, set: Set, text: &str, run: Run) -> usize {
    let one_half = run == Run::OneHalf && set == Set::Jisx0201;
    let starts_ascii = text.starts_with(|c: char| c.is_ascii());
    for (at, character) in text.char_indices() {
        if one_half && character.is_ascii() != starts_ascii || !append(bytes, set, character) {
            return at;
        }
    }
    text.len()
}

/// Appends one character, or returns false where the set does not have it.
fn append(bytes: &mut Vec<u8>, set: Set, character: char) -> bool {
    if character.is_ascii() && !set.is_double_g0() {
        bytes.push(character as u8);
        return true;
    }
    let mut buffer = [0; ROOM];
    let encoded = match set {
        Set::Ascii | Set::Utf8 => None,
        Set::Jisx0201 => ('｡'..='ﾟ').contains(&character).then(|| {
            buffer[0] = (character as u32 - '｡' as u32) as u8 + 0xA1;
            &buffer[..1]
        }),
        // Decoding knows what code pages have beyond the standard's sets. Nobody is sent it: not the characters at 80H to 9FH, ...
        Set::Single(encoding) => web(encoding, character, &mut buffer).filter(|bytes| bytes[0] >= 0xA0),
        // ... not the vendors' rows of JIS X 0208 (it has 1 to 8 and 16 to 84), ...
        Set::Jisx0208 => decode::web_form(character)
            .and_then(|form| web(encoding_rs::EUC_JP, form, &mut buffer))
            .filter(|bytes| bytes.len() == 2 && matches!(bytes[0], 0xA1..=0xA8 | 0xB0..=0xF4)),
        Set::Jisx0212 => {
            let found = JISX0212.binary_search_by_key(&character, |&(known, _)| known).ok();
            return found.is_some_and(|index| {
                bytes.extend(JISX0212[index].1);
                true
            });
        }
        // ... not code page 949, ...
        Set::Ksx1001 => {
            web(encoding_rs::EUC_KR, character, &mut buffer).filter(|bytes| bytes.iter().all(|b| *b >= 0xA1))
        }
        // ... not GBK in the place of GB 2312, nor the euro sign of code page 936.
        Set::Gb2312 => web(encoding_rs::GBK, character, &mut buffer).filter(|bytes| is_gb2312(bytes)),
        // ... and not for private use, where editions of GB 18030 do not agree.
        Set::Gbk | Set::Gb18030 if ('\u{E000}'..='\u{F8FF}').contains(&character) => None,
        Set::Gbk => web(encoding_rs::GBK, character, &mut buffer).filter(|bytes| bytes.len() == 2),
        Set::Gb18030 => web(encoding_rs::GB18030, character, &mut buffer),
    };
    let Some(encoded) = encoded else { return false };
    // JIS X 0208 stands in G0.
    let mask = if set == Set::Jisx0208 { 0x7F } else { 0xFF };
    bytes.extend(encoded.iter().map(|byte| byte & mask));
    true
}

/// One character in an encoding of the Web.
fn web<'b>(encoding: &'static Encoding, character: char, buffer: &'b mut [u8; ROOM]) -> Option<&'b [u8]> {
    let mut utf8 = [0; 4];
    let text = &*character.encode_utf8(&mut utf8);
    let (result, _, written) = encoding.new_encoder().encode_from_utf8_without_replacement(text, buffer, true);
    (result == EncoderResult::InputEmpty).then_some(&buffer[..written])
}

/// Encoders want room for their longest output before they write any.
const ROOM: usize = 16;

/// Whether a character of GBK is one of GB 2312: the former also fills the latter's gaps.
fn is_gb2312(bytes: &[u8]) -> bool {
    let [row, cell @ 0xA1..=0xFE] = *bytes else { return false };
    match row {
        0xA1 | 0xA3 => true,
        0xA2 => matches!(cell, 0xB1..=0xE2 | 0xE5..=0xEE | 0xF1..=0xFC),
        0xA4 => cell <= 0xF3,
        0xA5 => cell <= 0xF6,
        0xA6 => matches!(cell, 0xA1..=0xB8 | 0xC1..=0xD8),
        0xA7 => matches!(cell, 0xA1..=0xC1 | 0xD1..=0xF1),
        0xA8 => matches!(cell, 0xA1..=0xBA | 0xC5..=0xE9),
        0xA9 => matches!(cell, 0xA4..=0xEF),
        0xD7 => cell <= 0xF9,
        0xB0..=0xF7 => true,
        _ => false,
    }
}

/// JIS X 0212 by character: the Web decodes it and does not encode it.
static JISX0212: LazyLock<Vec<(char, [u8; 2])>> = LazyLock::new(|| {
    let mut table = Vec::new();
    for pair in (0x21..=0x7E).flat_map(|row| (0x21..=0x7E).map(move |cell| [row, cell])) {
        let text = decode::jisx0212(&pair);
        table.extend(
            text.chars().next().filter(|c| !c.is_ascii() && *c != char::REPLACEMENT_CHARACTER).map(|c| (c, pair)),
        );
    }
    table.sort_unstable();
    table
});
