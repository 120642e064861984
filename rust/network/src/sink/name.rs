//! File names from what a peer sent: never a separator, a control character, a name with a meaning, or too long; and different names for
//! different values.

use std::borrow::Cow;

/// The longest name that one value makes, in bytes.
const VALUE_LIMIT: usize = 90;

/// The longest name of a file or folder that several values make, in bytes: file systems end at 255, and a copy's number needs room.
const NAME_LIMIT: usize = 200;

/// The length of a hash as it is written, with its hyphen.
const HASH: usize = 17;

/// A part of a file name from a text that a peer chose: itself where it is harmless and at most 90 bytes long, otherwise its
/// harmless characters and a hash. Empty for an empty one.
pub fn safe_value(text: &str) -> Cow<'_, str> {
    safe_text(text, text.as_bytes())
}

/// The same for a text that `raw` was decoded to: where that lost something, the hash is that of the bytes.
pub(crate) fn safe_text<'a>(text: &'a str, raw: &[u8]) -> Cow<'a, str> {
    let is_lossy = text.contains(char::REPLACEMENT_CHARACTER);
    let is_reserved = is_reserved(text);
    let is_harmless = !is_lossy
        && !is_reserved
        && text.len() <= VALUE_LIMIT
        && !text.starts_with(['.', ' '])
        && !text.ends_with(['.', ' '])
        && !text.chars().any(is_dangerous)
        // A name that looks like one of those below could be another value's.
        && !ends_with_hash(text);
    if is_harmless {
        return Cow::Borrowed(text);
    }
    let mut name = String::with_capacity(VALUE_LIMIT);
    if is_reserved {
        name.push('_');
    }
    for character in text.chars() {
        let at_edge = name.is_empty() && matches!(character, '.' | ' ');
        let kept = if at_edge || is_dangerous(character) { '_' } else { character };
        if name.len() + kept.len_utf8() > VALUE_LIMIT - HASH {
            break;
        }
        name.push(kept);
    }
    push_hash(&mut name, if is_lossy { raw } else { text.as_bytes() });
    Cow::Owned(name)
}

/// A part of a file name from a UID that a peer chose: the UID where it is one, otherwise its letters and digits and a hash.
pub fn safe_uid(uid: &[u8]) -> String {
    if is_uid(uid) {
        return String::from_utf8_lossy(uid).into_owned();
    }
    let kept = uid.iter().filter(|byte| byte.is_ascii_alphanumeric()).take(64).map(|&byte| char::from(byte));
    let mut name: String = "unsafe-".chars().chain(kept).collect();
    push_hash(&mut name, uid);
    name
}

/// Whether it has the form of a UID (PS3.5 9.1), but for leading zeros, which many writers have.
fn is_uid(uid: &[u8]) -> bool {
    uid.len() <= 64
        && uid.split(|&byte| byte == b'.').all(|part| !part.is_empty() && part.iter().all(u8::is_ascii_digit))
}

/// A whole name, cut where several values made it too long; its last `kept` bytes stay.
pub(crate) fn bounded(name: String, kept: usize) -> String {
    if name.len() <= NAME_LIMIT {
        return name;
    }
    let tail = name.len() - kept.min(NAME_LIMIT / 2);
    let tail = (tail..=name.len()).find(|at| name.is_char_boundary(*at)).unwrap_or(name.len());
    let room = NAME_LIMIT - HASH - (name.len() - tail);
    let head = (0..=room).rev().find(|at| name.is_char_boundary(*at)).unwrap_or(0);
    let mut cut = name[..head].to_owned();
    push_hash(&mut cut, name.as_bytes());
    cut.push_str(&name[tail..]);
    cut
}

/// Whether it has no place in a file name here or elsewhere: a separator, a control character, one that cannot be seen or turns the
/// direction of text, one that Windows refuses.
pub(crate) fn is_dangerous(character: char) -> bool {
    character.is_control()
        || matches!(character, '/' | '\\' | ':' | '*' | '?' | '"' | '<' | '>' | '|')
        || matches!(character, '\u{00AD}' | '\u{061C}' | '\u{FEFF}' | char::REPLACEMENT_CHARACTER)
        || matches!(character, '\u{200B}'..='\u{200F}' | '\u{2028}'..='\u{202E}' | '\u{2060}'..='\u{206F}')
}

/// Whether Windows takes it for a device, with any extension.
fn is_reserved(text: &str) -> bool {
    let stem = text.split('.').next().unwrap_or_default().trim_end();
    let is_one_of = |names: &[&str]| names.iter().any(|name| stem.eq_ignore_ascii_case(name));
    is_one_of(&["CON", "PRN", "AUX", "NUL"])
        || stem.char_indices().nth(3).is_some_and(|(at, digit)| {
            ["COM", "LPT"].iter().any(|name| stem[..at].eq_ignore_ascii_case(name))
                && matches!(digit, '0'..='9' | '¹' | '²' | '³')
                && stem.chars().count() == 4
        })
}

fn ends_with_hash(text: &str) -> bool {
    text.len() >= HASH
        && text.is_char_boundary(text.len() - HASH)
        && text[text.len() - HASH..]
            .strip_prefix('-')
            .is_some_and(|hash| hash.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')))
}

/// FNV-1a: the name must be the same for the same value, in every run.
fn fnv(bytes: &[u8]) -> u64 {
    bytes.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3))
}

fn push_hash(name: &mut String, bytes: &[u8]) {
    name.push_str(&format!("-{:016x}", fnv(bytes)));
}

/// Two hexadecimal digits that spread UIDs evenly over 256 folders: the exclusive or of the bytes of the UID's FNV-1a hash of 64 bits.
pub fn uid_hash(uid: &[u8]) -> String {
    format!("{:02x}", fnv(uid).to_le_bytes().into_iter().fold(0, |hash, byte| hash ^ byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn harmless_values_are_their_own_names() {
        for value in ["1CT1", "Müller^Jörg", "山田^太郎", "a.b", "A B", "10/".trim_end_matches('/'), "Consul", "COM10"]
        {
            assert_eq!(safe_value(value), value);
        }
        assert_eq!(safe_value(""), "");
        assert_eq!(safe_uid(b"1.2.840.1"), "1.2.840.1");
    }

    #[test]
    fn hostile_values_are_harmless_and_stay_apart() {
        let long = "x".repeat(5000);
        let longer = "x".repeat(5001);
        let wide = "ü".repeat(60);
        let mangled = safe_value("a/b").into_owned();
        let hostile = [
            "../x",
            "..",
            ".",
            "...",
            "/etc/passwd",
            "a/b",
            "a\\b",
            "a:b",
            "a\0b",
            "\0",
            "a\nb",
            "a\u{85}b",
            ".hidden",
            "end.",
            " lead",
            "CON",
            "con.txt",
            "Lpt1",
            "COM¹",
            "a\u{202E}b",
            "a\u{200B}b",
            "a_b-",
            "~a/",
            &long,
            &longer,
            &wide,
            &mangled,
            "C:\\x",
            "\u{FFFD}",
        ];
        let names: Vec<_> = hostile.iter().map(|value| safe_value(value).into_owned()).collect();
        for (name, value) in names.iter().zip(hostile) {
            assert!(!name.is_empty() && name.len() <= VALUE_LIMIT, "{value:?}: {name}");
            assert!(!name.starts_with(['.', ' ']) && !name.ends_with(['.', ' ']), "{value:?}: {name}");
            assert!(!name.chars().any(is_dangerous) && !is_reserved(name), "{value:?}: {name}");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{value:?}: {name}");
        }
    }

    #[test]
    fn what_decoding_lost_still_keeps_values_apart() {
        assert_ne!(safe_text("a\u{FFFD}", b"a\x81"), safe_text("a\u{FFFD}", b"a\x8D"));
    }

    #[test]
    fn hostile_uids_are_harmless_and_stay_apart() {
        let hostile: [&[u8]; 11] =
            [b"../x", b"/etc/passwd", b"..", b"", b"a\\b", b"1.2\0/3", b".1", b"../y", b"1.2.", b"1..2", &[b'1'; 65]];
        let names: Vec<_> = hostile.iter().map(|uid| safe_uid(uid)).collect();
        for name in &names {
            assert!(name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-'), "{name}");
            assert!(name.len() <= VALUE_LIMIT, "{name}");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1);
        }
    }

    #[test]
    fn uids_that_follow_each_other_are_spread_evenly() {
        let mut counts = std::collections::HashMap::new();
        for number in 0..25_600 {
            *counts.entry(uid_hash(format!("1.2.826.0.1.3680043.8.498.{number}").as_bytes())).or_insert(0) += 1;
        }
        assert_eq!(counts.len(), 256);
        assert!(counts.values().all(|count| (50..150).contains(count)), "{counts:?}");
        // What is in a file's name must never change.
        assert_eq!(uid_hash(b""), "e1");
        assert_eq!(uid_hash(b"1.2.840.10008.1.1"), "7c");
    }

    #[test]
    fn names_of_several_values_are_cut_and_stay_apart() {
        let name = |end: &str| bounded(format!("{}{end}.dcm", "ü".repeat(150)), 4);
        assert!(name("a").len() <= NAME_LIMIT && name("a").ends_with(".dcm"));
        assert_ne!(name("a"), name("b"));
        assert_eq!(bounded("short.dcm".into(), 4), "short.dcm");
    }
}
