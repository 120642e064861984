//! Fuzzy semantic matching of names (PS3.4 C.2.2.2.1.1): what the standard leaves to the provider, and what it is here.
//!
//! Both sides are folded: decomposed, accents dropped, in lower case, `ß` as `ss` and the like, punctuation and `^` as blanks. Every word of
//! the key must then have a word of its own in one component group of the stored name, in any order; a key of several groups is compared group
//! by group. Two words belong together where
//!
//! - they are equal, or the key's has wild cards and names the other, or
//! - both have at least four letters, all of them Latin, and
//!   - one becomes the other by one edit (insertion, deletion, another letter, two neighbours exchanged), or two from eight letters on, or
//!   - they have the same American Soundex code, which keeps the first letter.

use unicode_normalization::UnicodeNormalization;
use unicode_normalization::char::is_combining_mark;

use super::wildcard;

/// A component group with more words than this is no name, and not worth the work.
const WORDS: usize = 32;

/// A name to be matched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FuzzyName {
    /// The words of each component group.
    groups: Vec<Vec<String>>,
}

impl FuzzyName {
    /// From the text of a key; `None` where it has no words.
    pub fn new(text: &str) -> Option<Self> {
        let groups: Vec<_> = text.split('=').map(|group| words(group, true)).collect();
        (!groups.iter().all(Vec::is_empty)).then_some(Self { groups })
    }

    /// Whether a component group of the stored name has all its words; of a key of several groups each group those of its own.
    pub fn matches(&self, stored: &str) -> bool {
        let mut stored = stored.split('=').map(|group| words(group, false));
        match &self.groups[..] {
            [only] => stored.any(|words| each_has_its_own(only, &words)),
            several => several.iter().all(|wanted| {
                let words = stored.next().unwrap_or_default();
                wanted.is_empty() || each_has_its_own(wanted, &words)
            }),
        }
    }
}

/// Whether each word of the key can have a stored word of its own: a matching of a bipartite graph, by augmenting paths.
fn each_has_its_own(key: &[String], stored: &[String]) -> bool {
    fn place(word: usize, key: &[String], stored: &[String], taken: &mut [Option<usize>], tried: &mut [bool]) -> bool {
        for at in 0..stored.len() {
            if tried[at] || !belong_together(&key[word], &stored[at]) {
                continue;
            }
            tried[at] = true;
            if taken[at].is_none_or(|other| place(other, key, stored, taken, tried)) {
                taken[at] = Some(word);
                return true;
            }
        }
        false
    }
    if key.len() > stored.len() || stored.len() > WORDS {
        return false;
    }
    let mut taken = vec![None; stored.len()];
    (0..key.len()).all(|word| place(word, key, stored, &mut taken, &mut vec![false; stored.len()]))
}

/// The folded words of a name.
fn words(text: &str, keep_wild_cards: bool) -> Vec<String> {
    let mut folded = String::with_capacity(text.len());
    for letter in text.nfd().filter(|letter| !is_combining_mark(*letter)).flat_map(char::to_lowercase) {
        match letter {
            'ß' => folded.push_str("ss"),
            'æ' => folded.push_str("ae"),
            'œ' => folded.push_str("oe"),
            'ø' => folded.push('o'),
            'ł' => folded.push('l'),
            'đ' => folded.push('d'),
            'ς' => folded.push('σ'),
            '*' | '?' if keep_wild_cards => folded.push(letter),
            letter if letter.is_alphanumeric() => folded.push(letter),
            _ => folded.push(' '),
        }
    }
    folded.split_whitespace().map(str::to_owned).collect()
}

fn belong_together(key: &str, stored: &str) -> bool {
    if key.contains(['*', '?']) {
        return wildcard::matches(key, stored);
    }
    if key == stored {
        return true;
    }
    if !(is_latin(key) && is_latin(stored)) || key.len().min(stored.len()) < 4 {
        return false;
    }
    let allowed = if key.len().min(stored.len()) >= 8 { 2 } else { 1 };
    strsim::osa_distance(key, stored) <= allowed || soundex(key) == soundex(stored)
}

fn is_latin(word: &str) -> bool {
    word.bytes().all(|letter| letter.is_ascii_lowercase())
}

/// American Soundex of a word in lower case Latin letters.
fn soundex(word: &str) -> [u8; 4] {
    let code = |letter: u8| match letter {
        b'b' | b'f' | b'p' | b'v' => b'1',
        b'c' | b'g' | b'j' | b'k' | b'q' | b's' | b'x' | b'z' => b'2',
        b'd' | b't' => b'3',
        b'l' => b'4',
        b'm' | b'n' => b'5',
        b'r' => b'6',
        // h and w do not part two letters of the same code; vowels do.
        b'h' | b'w' => b'-',
        _ => b'0',
    };
    let mut letters = word.bytes();
    let first = letters.next().unwrap_or(b'0');
    let mut out = [first, b'0', b'0', b'0'];
    let (mut at, mut last) = (1, code(first));
    for digit in letters.map(code).filter(|digit| *digit != b'-') {
        if digit != b'0' && digit != last && at < 4 {
            out[at] = digit;
            at += 1;
        }
        last = digit;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn soundex_of_the_textbook() {
        for (word, code) in [
            ("robert", b"r163"),
            ("rupert", b"r163"),
            ("ashcraft", b"a261"),
            ("tymczak", b"t522"),
            ("pfister", b"p236"),
            ("honeyman", b"h555"),
            ("lee", b"l000"),
        ] {
            assert_eq!(&soundex(word), code, "{word}");
        }
    }

    #[test]
    fn what_belongs_together() {
        let matches = |key: &str, stored: &str| FuzzyName::new(key).is_some_and(|name| name.matches(stored));
        for (key, stored) in [
            ("Muller", "MÜLLER^HANS"),
            ("hans muller", "Müller^Hans"),
            ("Meyer", "Maier^Eva"),
            ("Strasse", "Straße"),
            ("O'Brien", "O^Brien"),
            ("Jonh", "John"),
            ("ya*", "Yamada^Tarou=山田^太郎"),
            ("山田", "Yamada^Tarou=山田^太郎"),
        ] {
            assert!(matches(key, stored), "{key} on {stored}");
        }
        for (key, stored) in [("Smith Smith", "Smith^John"), ("Li", "Lu"), ("Miller", "Brown"), ("山田", "山本^太郎")]
        {
            assert!(!matches(key, stored), "{key} on {stored}");
        }
        assert_eq!(FuzzyName::new("^"), None);
    }
}
