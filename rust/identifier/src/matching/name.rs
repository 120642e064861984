//! Person names (PS3.5 6.2.1): component groups of components, compared without regard to case.

use std::borrow::Cow;

use unicode_normalization::{UnicodeNormalization, is_nfc};

use super::wildcard;

/// A name to be matched, possibly with wild cards.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Name {
    /// The component groups, folded.
    groups: Vec<String>,
}

impl Name {
    /// From the text of a key.
    pub fn new(text: &str) -> Self {
        let mut groups: Vec<String> = text.split('=').map(|group| folded(group).to_lowercase()).collect();
        while groups.len() > 1 && groups.last().is_some_and(String::is_empty) {
            groups.pop();
        }
        Self { groups }
    }

    /// Whether it has wild cards.
    pub fn has_wild_cards(&self) -> bool {
        self.groups.iter().any(|group| group.contains(['*', '?']))
    }

    /// Whether a stored name matches. A key of one component group is compared with each group of the name; one of several group by
    /// group, empty ones with anything. Wild cards reach over components, as users expect of `SMITH*`.
    pub fn matches(&self, stored: &str) -> bool {
        let mut groups = stored.split('=');
        match &self.groups[..] {
            [only] => groups.any(|group| group_matches(only, group)),
            several => several.iter().all(|wanted| {
                let group = groups.next().unwrap_or("");
                wanted.is_empty() || group_matches(wanted, group)
            }),
        }
    }
}

fn group_matches(pattern: &str, group: &str) -> bool {
    let mut group = folded(group);
    let carets = |text: &str| text.bytes().filter(|&byte| byte == b'^').count();
    let missing = carets(pattern).saturating_sub(carets(&group));
    if missing > 0 {
        // A component that is missing is one that is empty.
        group.to_mut().push_str(&"^".repeat(missing));
    }
    wildcard::matches_ignoring_ascii_case(pattern, &group)
}

/// A component group as it is compared: without trailing spaces in each component and trailing empty components; what is beyond ASCII
/// composed and in lower case, what is ASCII as it is.
fn folded(group: &str) -> Cow<'_, str> {
    let group = group.trim_end_matches([' ', '\0', '^']);
    let mut folded = Cow::Borrowed(group);
    if group.contains(" ^") || group.contains("\0^") {
        let components: Vec<&str> = group.split('^').map(|component| component.trim_end_matches([' ', '\0'])).collect();
        folded = components.join("^").into();
    }
    if !folded.is_ascii() {
        let lower = |text: &str| text.chars().flat_map(char::to_lowercase).map(plain_sigma).collect::<String>();
        folded = if is_nfc(&folded) { lower(&folded) } else { lower(&folded.nfc().collect::<String>()) }.into();
    }
    folded
}

/// The sigma at the end of a word is the same letter.
fn plain_sigma(letter: char) -> char {
    if letter == 'ς' { 'σ' } else { letter }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn case_composition_and_padding_do_not_count() {
        for (key, stored) in [
            ("MÜLLER^HANS", "mu\u{308}ller^hans"),
            ("ΟΔΥΣΣΕΥΣ", "οδυσσευς"),
            ("smith ^john ", "SMITH^JOHN^^"),
            ("SMITH", "smith=山田"),
            ("=山田", "Yamada=山田=やまだ"),
            ("smith^*", "SMITH"),
        ] {
            assert!(Name::new(key).matches(stored), "{key} on {stored}");
        }
        assert!(!Name::new("SMITH").matches("SMITH^JOHN"));
        assert!(!Name::new("=山田").matches("山田"));
    }
}
