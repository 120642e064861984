use super::{Delimiters::*, *};
use proptest::strategy::Strategy;

fn decoded(charset: &str, bytes: &[u8], kind: Delimiters) -> String {
    CharacterSet::from_value(charset.as_bytes()).decode(bytes, kind).into_owned()
}

fn encoded(charset: &str, text: &str, kind: Delimiters) -> Option<Vec<u8>> {
    CharacterSet::from_value(charset.as_bytes()).encode(text, kind)
}

/// `tests/data/charset.txt`: what pydicom reads, and writes.
#[test]
fn golden_table() {
    let table = include_str!("../../../../tests/data/charset.txt");
    let mut rows = 0;
    for line in table.lines().filter(|line| !line.is_empty() && !line.starts_with('#')) {
        let cells: Vec<&str> = line.splitn(5, " | ").collect();
        let [charset, kind, direction, bytes, text] = cells[..] else { panic!("{line}") };
        let kind = match kind {
            "text" => Text,
            "values" => Values,
            "name" => PersonName,
            _ => panic!("{line}"),
        };
        let bytes: Vec<u8> =
            (0..bytes.len()).step_by(2).map(|at| u8::from_str_radix(&bytes[at..at + 2], 16).unwrap()).collect();
        let text = unescaped(text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap());
        assert_eq!(decoded(charset, &bytes, kind), text, "{line}");
        if direction == "both" {
            assert_eq!(encoded(charset, &text, kind), Some(bytes), "{line}");
        }
        rows += 1;
    }
    assert!(rows > 250, "only {rows} rows were read");
}

/// `\\` is a backslash, `\{1B}` the character of that code.
fn unescaped(text: &str) -> String {
    let mut result = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        result.push_str(before);
        if let Some(after) = after.strip_prefix('\\') {
            result.push('\\');
            rest = after;
        } else {
            let (code, after) = after.strip_prefix('{').and_then(|after| after.split_once('}')).unwrap();
            result.extend(char::from_u32(u32::from_str_radix(code, 16).unwrap()));
            rest = after;
        }
    }
    result + rest
}

/// Where we read what pydicom does not, or otherwise.
#[test]
fn read_otherwise_than_pydicom() {
    for (charset, bytes, kind, ours) in [
        // Odd peers: windows-1252 under the names of Latin-1 and of the default repertoire, and its like.
        ("ISO_IR 100", &b"\x93caf\xe9\x94 \x80"[..], Values, "“café” €"),
        ("", b"\x93caf\xe9\x94 \x80", Values, "“café” €"),
        ("ISO_IR 148", b"\x80", Values, "€"),
        ("ISO_IR 166", b"\x80\xa0", Values, "€\u{A0}"),
        // Latin-9, which pydicom does not know.
        ("ISO_IR 203", b"\xa4", Values, "€"),
        ("ISO 2022 IR 6\\ISO 2022 IR 203", b"\x1b-b\xa4", Values, "€"),
        // Escapes of sets that were not declared.
        ("", b"\x1b$B;3ED\x1b(B", PersonName, "山田"),
        ("ISO_IR 100", b"\xe9 \x1b-F\xc4\xe9", Values, "é Δι"),
        // Escapes change one half and leave the other.
        ("ISO 2022 IR 13\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(J\xd4\xcf", Values, "山田ﾔﾏ"),
        ("ISO 2022 IR 126\\ISO 2022 IR 87", b"\x1b$B;3ED\x1b(B\xc4\xe9", Values, "山田Δι"),
        // Second bytes that look like delimiters: 春 is 3DH 55H, 俑 50H 5CH, 棔 5CH 21H.
        ("\\ISO 2022 IR 87", b"A=\x1b$B=UP\\\x1b(B=B", PersonName, "A=春俑=B"),
        ("\\ISO 2022 IR 87", b"\x1b$B\\!!\\\x1b(B\\B", Values, "棔＋\\B"),
        // The escape before a delimiter, forgotten.
        ("\\ISO 2022 IR 87", b"\x1b$B;3ED^\x1b$BB@O:\r\nA", PersonName, "山田^太郎\r\nA"),
        // PS3.5 annex K: GB 2312 by its escape, which pydicom leaves in the text.
        (
            "\\ISO 2022 IR 58",
            b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab=",
            PersonName,
            "Zhang^XiaoDong=张^小东=",
        ),
        // The middle dot and the dash of Chinese names, the same characters as under GB18030.
        ("ISO 2022 IR 58", b"\xb0\xa2\xa1\xa4\xa1\xaa", Values, "阿·—"),
        // Characters that later editions of GB 18030 took out of private use.
        ("GB18030", b"\xa8\xbc\xa6\xd9", Values, "ḿ︐"),
        // What the national sets were extended by.
        ("\\ISO 2022 IR 149", b"\x1b$)C\x8cc\xb0\xa1", Values, "똠가"),
        ("\\ISO 2022 IR 87", b"\x1b$B-!\x1b(B", Values, "①"),
        // Python fails, and pydicom reads the whole with the first set and shows the escapes.
        ("\\ISO 2022 IR 87", b"\x1b$B;3E\x1b(BA", Values, "山\u{FFFD}A"),
        ("\\ISO 2022 IR 149", b"\x1b$)C\xb0!", Values, "\u{FFFD}!"),
        ("ISO_IR 127", b"\xa1A", Values, "\u{FFFD}A"),
        ("ISO_IR 192", b"A\xffB", Values, "A\u{FFFD}B"),
        // An escape that is none stays.
        ("", b"A\x1b[1m", Text, "A\x1b[1m"),
        ("ISO_IR 192", b"\x1b$B;3", Text, "\x1b$B;3"),
    ] {
        assert_eq!(decoded(charset, bytes, kind), ours, "{charset} {}", bytes.escape_ascii());
    }
}

/// Where we write what pydicom does not, or otherwise.
#[test]
fn written_otherwise_than_pydicom() {
    for (charset, text, kind, ours) in [
        // PS3.5 annex K: pydicom forgets the escape.
        (
            "\\ISO 2022 IR 58",
            "Zhang^XiaoDong=张^小东=",
            PersonName,
            Some(&b"Zhang^XiaoDong=\x1b$)A\xd5\xc5^\x1b$)A\xd0\xa1\xb6\xab="[..]),
        ),
        // PS3.5 I.3: each line has its escape; pydicom writes one, and reads mojibake after the first line.
        ("\\ISO 2022 IR 149", "길동.\r\n길동", Text, Some(b"\x1b$)C\xb1\xe6\xb5\xbf.\r\n\x1b$)C\xb1\xe6\xb5\xbf")),
        ("\\ISO 2022 IR 87", "山\n山", Text, Some(b"\x1b$B;3\x1b(B\n\x1b$B;3\x1b(B")),
        // Both halves of the first set are active from the start: no escape.
        ("ISO_IR 13", "ﾔﾏ A", Values, Some(b"\xd4\xcf A")),
        ("ISO 2022 IR 13\\ISO 2022 IR 87", "ﾔﾏ A", Values, Some(b"\xd4\xcf A")),
        // pydicom goes back to Latin-1 by its G1, and leaves Japanese in G0.
        ("ISO 2022 IR 100\\ISO 2022 IR 87", "山", Values, Some(b"\x1b$B;3\x1b(B")),
        ("ISO 2022 IR 100\\ISO 2022 IR 87", "山é", Values, Some(b"\x1b$B;3\x1b(B\x1b-A\xe9")),
        ("ISO 2022 IR 87", "A山", Values, Some(b"\x1b(BA\x1b$B;3\x1b(B")),
        // ... or katakana in G1.
        ("ISO 2022 IR 13\\ISO 2022 IR 87", "山ﾔ", Values, Some(b"\x1b$B;3\x1b(J\x1b)I\xd4")),
        // pydicom takes the default repertoire for Latin-1, ...
        ("", "é", Values, None),
        // ... writes question marks, ...
        ("ISO_IR 100", "山", Values, None),
        ("ISO_IR 100", "€", Values, None),
        ("\\ISO 2022 IR 87", "①", Values, None),
        // ... and controls of C1, escapes, and yen signs that become backslashes.
        ("ISO_IR 101", "\u{85}", Values, None),
        ("ISO_IR 100", "A\x1b(B", Values, None),
        ("ISO_IR 13", "¥", Values, None),
        ("\\ISO 2022 IR 149", "똠", Values, None),
        ("\\ISO 2022 IR 58", "镕", Values, None),
        ("GBK", "€", Values, None),
        ("ISO_IR 192", "A\x1b(B", Values, Some(b"A\x1b(B")),
    ] {
        assert_eq!(encoded(charset, text, kind).as_deref(), ours, "{charset} {text:?}");
    }
}

#[test]
fn the_value_of_the_attribute() {
    let set = |value: &[u8]| CharacterSet::from_value(value);
    for value in
        [&b""[..], b" ", b"ISO_IR 6", b"ISO_IR 6 \0", b"ISO 2022 IR 6", b"NONE", b"\\", b"\xff\xfe", b"\\UNKNOWN"]
    {
        assert!(set(value).is_default(), "{}", value.escape_ascii());
        assert_eq!(set(value), CharacterSet::default());
    }
    assert!(set(b"ISO_IR 192").is_utf8() && set(b"ISO_IR 192\\ISO 2022 IR 87").is_utf8());
    assert!(!set(b"ISO_IR 100").is_default() && !set(b"\\ISO 2022 IR 87").is_default());
    assert_eq!(set(b"ISO 2022 IR 87\\ISO 2022 IR 87"), set(b"\\ISO 2022 IR 87"));
    // PS3.5 6.1.2.5.4 d: it is no code extension.
    assert_eq!(set(b"ISO_IR 100\\ISO_IR 192"), set(b"ISO_IR 100 "));
    assert_eq!(set(b"\\ISO 2022 IR 87 "), set(b"ISO 2022 IR 6\\ISO 2022 IR 87"));
}

#[test]
fn values_are_cut_at_backslashes_only() {
    for (charset, value, expected) in [
        ("", &b"A\\B"[..], &[&b"A"[..], b"B"][..]),
        ("", b"", &[b""]),
        ("", b"\\", &[b"", b""]),
        ("", b"A^B\r\n=C", &[b"A^B\r\n=C"]),
        ("ISO_IR 192", "é\\É".as_bytes(), &["é".as_bytes(), "É".as_bytes()]),
        ("GB18030", b"\x81\\\\\x81\x30\x81\x30\\A", &[b"\x81\\", b"\x81\x30\x81\x30", b"A"]),
        ("GBK", b"\x81\\\\A", &[b"\x81\\", b"A"]),
        ("ISO_IR 13", b"\x83\\\\A\xb1\\\xb1", &[b"\x83\\", b"A\xb1", b"\xb1"]),
        ("\\ISO 2022 IR 87", b"\x1b$B\\!P\\\x1b(B\\A", &[b"\x1b$B\\!P\\\x1b(B", b"A"]),
        ("\\ISO 2022 IR 149", b"\x1b$)C\xb0\xa1\\\xe9", &[b"\x1b$)C\xb0\xa1", b"\xe9"]),
    ] {
        let values: Vec<&[u8]> = CharacterSet::from_value(charset.as_bytes()).split(value).collect();
        assert_eq!(values, expected, "{charset} {}", value.escape_ascii());
    }
}

const CHARSETS: &[&str] = &[
    "",
    "ISO_IR 13",
    "ISO_IR 100",
    "ISO_IR 101",
    "ISO_IR 109",
    "ISO_IR 110",
    "ISO_IR 126",
    "ISO_IR 127",
    "ISO_IR 138",
    "ISO_IR 144",
    "ISO_IR 148",
    "ISO_IR 166",
    "ISO_IR 203",
    "ISO_IR 192",
    "GB18030",
    "GBK",
    "koi8-r",
    "koi8-r\\ISO 2022 IR 126\\koi8-u",
    "ISO 2022 IR 149",
    "ISO 2022 IR 58",
    "\\ISO 2022 IR 87\\ISO 2022 IR 159",
    "\\ISO 2022 IR 149",
    "\\ISO 2022 IR 58",
    "ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 149",
    "ISO 2022 IR 100\\ISO 2022 IR 13\\ISO 2022 IR 87\\ISO 2022 IR 126\\ISO 2022 IR 58",
    "ISO 2022 IR 144\\ISO 2022 IR 166\\ISO 2022 IR 127\\ISO 2022 IR 159",
];

/// Each character of the Basic Multilingual Plane: what is written is read again.
#[test]
fn every_character_by_itself() {
    for charset in CHARSETS {
        let set = CharacterSet::from_value(charset.as_bytes());
        let mut places = 0;
        for character in ('\0'..='\u{FFFF}').map(String::from) {
            if let Some(bytes) = set.encode(&character, PersonName) {
                assert_eq!(set.decode(&bytes, PersonName), character, "{charset} {:X?}", character.chars().next());
                places += 1;
            }
        }
        assert!(places >= 127, "{charset} has {places} characters");
    }
}

fn any_kind() -> impl Strategy<Value = Delimiters> {
    proptest::sample::select(vec![Text, Values, PersonName])
}

proptest::proptest! {
    #[test]
    fn what_is_written_is_read(
        charset in proptest::sample::select(CHARSETS),
        // Letters of the declared sets, so that most texts have a place somewhere.
        text in "([ -~\\r\\n\\t^=\\\\]|[à-ü]|[α-ω]|[а-я]|[ｱ-ﾝ]|[ぁ-ん]|[一-三]|[가-갤]|[ก-ฮ]|[丂丄丅春]|.){0,12}",
        kind in any_kind(),
    ) {
        let set = CharacterSet::from_value(charset.as_bytes());
        if let Some(bytes) = set.encode(&text, kind) {
            proptest::prop_assert_eq!(set.decode(&bytes, kind), text.as_str());
            let values: Vec<_> = set.split(&bytes).map(|value| set.decode(value, kind)).collect();
            if kind != Text {
                proptest::prop_assert_eq!(values.join("\\"), text);
            }
        }
    }

    #[test]
    fn no_bytes_panic(
        charset in proptest::sample::select(CHARSETS),
        pieces in proptest::collection::vec(proptest::prop_oneof![
            proptest::collection::vec(proptest::num::u8::ANY, 0..6),
            proptest::sample::select(vec![&b"\x1b$B"[..], b"\x1b$(D", b"\x1b(J", b"\x1b)I", b"\x1b$)C", b"\x1b-F", b"\x1b", b"\\", b"^"])
                .prop_map(<[u8]>::to_vec),
        ], 0..12),
        kind in any_kind(),
    ) {
        let bytes = pieces.concat();
        let set = CharacterSet::from_value(charset.as_bytes());
        set.decode(&bytes, kind);
        proptest::prop_assert_eq!(set.split(&bytes).collect::<Vec<_>>().join(&b'\\'), bytes);
    }

    #[test]
    fn no_term_panics(value in proptest::collection::vec(proptest::num::u8::ANY, 0..40)) {
        CharacterSet::from_value(&value);
    }

    #[test]
    fn ascii_is_borrowed(charset in proptest::sample::select(CHARSETS), text in "[ -~\\r\\n\\t]{0,40}", kind in any_kind()) {
        let set = CharacterSet::from_value(charset.as_bytes());
        proptest::prop_assert!(matches!(set.decode(text.as_bytes(), kind), Cow::Borrowed(same) if same == text));
        proptest::prop_assert_eq!(set.encode(&text, kind), Some(text.into_bytes()));
    }

    #[test]
    fn utf8_is_borrowed(text in ".{0,40}", kind in any_kind()) {
        let set = CharacterSet::from_value(b"ISO_IR 192");
        proptest::prop_assert!(matches!(set.decode(text.as_bytes(), kind), Cow::Borrowed(same) if same == text));
    }
}
