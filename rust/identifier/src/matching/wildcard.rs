//! Wild card matching (PS3.4 C.2.2.2.4): `*` is any run of characters, `?` any one; there is no escape.

/// Whether the text is one that the pattern names. Linear in the length of the text for each `*`, without recursion.
pub fn matches(pattern: &str, text: &str) -> bool {
    walk(pattern.as_bytes(), text.as_bytes(), |byte| byte)
}

/// The same without regard to ASCII case; the pattern has to be in lower case.
pub fn matches_ignoring_ascii_case(pattern: &str, text: &str) -> bool {
    walk(pattern.as_bytes(), text.as_bytes(), |byte| byte.to_ascii_lowercase())
}

/// Both are valid UTF-8, so that equal bytes are equal characters, and only `?` has to know how long a character is.
fn walk(pattern: &[u8], text: &[u8], fold: impl Fn(u8) -> u8) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last `*` does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some(b'*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(b'?') => {
                p += 1;
                t = next_character(text, t);
            }
            Some(&wanted) if wanted == fold(text[t]) => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after, at)) => {
                    let at = next_character(text, at);
                    retry = Some((after, at));
                    (p, t) = (after, at);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&rest| rest == b'*')
}

fn next_character(text: &[u8], at: usize) -> usize {
    // A byte 10xxxxxx continues a character.
    (at + 1..text.len()).find(|&at| text[at] & 0xC0 != 0x80).unwrap_or(text.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_two_wild_cards_and_nothing_else() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("A*", "ABC", true),
            ("*C", "ABC", true),
            ("A?C", "ABC", true),
            ("A?C", "AC", false),
            ("?", "é", true),
            ("??", "é", false),
            ("*é*", "aé", true),
            ("*?b", "éb", true),
            ("*B*D*", "ABCDE", true),
            ("*B*D*", "ADCBE", false),
            ("A%", "ABC", false),
            ("A_C", "ABC", false),
            ("[AB]C", "AC", false),
            ("", "A", false),
            ("", "", true),
        ] {
            assert_eq!(matches(pattern, text), expected, "{pattern} on {text}");
        }
        assert!(matches_ignoring_ascii_case("sm?th*", "SMITH^John"));
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!matches(&"*a".repeat(200), &"b".repeat(10_000)));
    }
}
