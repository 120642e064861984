//! Wild card matching (PS3.4 C.2.2.2.4): `*` is any run of characters, `?` any one; there is no escape.

/// Whether the text is one that the pattern names. Linear in the length of the text for each `*`, without recursion.
pub fn matches(pattern: &[char], text: &[char]) -> bool {
    let (mut p, mut t) = (0, 0);
    // Where to go on when what follows the last `*` does not fit.
    let mut retry: Option<(usize, usize)> = None;
    while t < text.len() {
        match pattern.get(p) {
            Some('*') => {
                retry = Some((p + 1, t));
                p += 1;
            }
            Some(&wanted) if wanted == '?' || wanted == text[t] => {
                p += 1;
                t += 1;
            }
            _ => match retry {
                Some((after, at)) => {
                    retry = Some((after, at + 1));
                    (p, t) = (after, at + 1);
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|&rest| rest == '*')
}

#[cfg(test)]
mod tests {
    fn matches(pattern: &str, text: &str) -> bool {
        let chars = |text: &str| text.chars().collect::<Vec<_>>();
        super::matches(&chars(pattern), &chars(text))
    }

    #[test]
    fn the_two_wild_cards_and_nothing_else() {
        for (pattern, text, expected) in [
            ("*", "", true),
            ("A*", "ABC", true),
            ("*C", "ABC", true),
            ("A?C", "ABC", true),
            ("A?C", "AC", false),
            ("?", "é", true),
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
    }

    #[test]
    fn many_stars_take_no_exponential_time() {
        assert!(!matches(&"*a".repeat(200), &"b".repeat(10_000)));
    }
}
