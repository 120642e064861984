//! A key attribute, compiled: what kind of matching its value asks for.

use crate::temporal::{self, Span};
use crate::wildcard;

/// What a stored attribute without a value does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EmptyCandidate {
    /// It matches: Query/Retrieve, for a Required key (PS3.4 C.2.2.1.2).
    Matches,
    /// It does not: Modality Worklist.
    Fails,
}

/// A compiled key.
#[derive(Debug, Clone, PartialEq)]
pub struct Key {
    vr: Vr,
    test: Test,
}

/// How values of a representation are compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Vr {
    /// Leading and trailing spaces do not count: AE CS DS IS LO SH.
    Trimmed,
    /// Trailing spaces do not count: LT ST UC UR UT.
    TrimmedEnd,
    /// Component groups and components, case-insensitive.
    PersonName,
    /// Trailing NULs do not count.
    Uid,
    /// As numbers.
    Number,
    Date,
    Time,
    DateTime,
    /// Byte by byte.
    Exact,
}

#[derive(Debug, Clone, PartialEq)]
enum Test {
    /// Anything matches.
    Universal,
    /// One of the values is the same.
    OneOf(Vec<String>),
    /// One of the values is the same number, or the same text where it is none.
    Numbers(Vec<f64>),
    /// One of the patterns names the value.
    Patterns(Vec<Vec<char>>),
    /// One of the patterns names the name: component groups of components.
    Names(Vec<Vec<Vec<Vec<char>>>>),
    /// The value lies within, the ends included.
    Range { from: Option<i64>, to: Option<i64> },
}

impl Key {
    /// Compiles the value of a key attribute. `vr` is its value representation; a value of several, separated by backslashes, is matched by
    /// any of them.
    ///
    /// A value that is none of its representation (a date that does not exist) is compared as text.
    pub fn new(vr: &str, value: &str) -> Self {
        let kind = match vr {
            "AE" | "CS" | "LO" | "SH" => Vr::Trimmed,
            "DS" | "IS" => Vr::Number,
            "LT" | "ST" | "UC" | "UR" | "UT" => Vr::TrimmedEnd,
            "PN" => Vr::PersonName,
            "UI" => Vr::Uid,
            "DA" => Vr::Date,
            "TM" => Vr::Time,
            "DT" => Vr::DateTime,
            _ => Vr::Exact,
        };
        let allows_wild_cards = matches!(vr, "AE" | "CS" | "LO" | "LT" | "PN" | "SH" | "ST" | "UC" | "UR" | "UT");
        Self { vr: kind, test: compile(kind, value, allows_wild_cards) }
    }

    /// Whether everything matches it.
    pub fn is_universal(&self) -> bool {
        self.test == Test::Universal
    }

    /// Whether it asks for exactly one value: neither universal, wild card, range nor list.
    pub fn is_single_value(&self) -> bool {
        match &self.test {
            Test::OneOf(values) => values.len() == 1,
            Test::Numbers(values) => values.len() == 1,
            Test::Names(names) => {
                names.len() == 1 && !names[0].iter().flatten().flatten().any(|c| matches!(c, '*' | '?'))
            }
            Test::Universal | Test::Patterns(_) | Test::Range { .. } => false,
        }
    }

    /// Whether a stored attribute with this value matches. Of several values any may.
    pub fn matches(&self, candidate: &str, empty: EmptyCandidate) -> bool {
        if self.is_universal() {
            return true;
        }
        let values: Vec<&str> =
            if self.vr == Vr::TrimmedEnd { vec![candidate] } else { candidate.split('\\').collect() };
        if values.iter().all(|value| normal(self.vr, value).is_empty()) {
            return empty == EmptyCandidate::Matches;
        }
        values.iter().any(|value| self.matches_one(normal(self.vr, value)))
    }

    fn matches_one(&self, value: &str) -> bool {
        match &self.test {
            Test::Universal => true,
            Test::OneOf(wanted) => wanted.iter().any(|wanted| wanted == value),
            Test::Numbers(wanted) => value.parse::<f64>().is_ok_and(|value| wanted.contains(&value)),
            Test::Patterns(patterns) => {
                let text: Vec<char> = value.chars().collect();
                patterns.iter().any(|pattern| wildcard::matches(pattern, &text))
            }
            Test::Names(patterns) => {
                let name = groups(value);
                patterns.iter().any(|pattern| name_matches(pattern, &name))
            }
            Test::Range { from, to } => span(self.vr, value).is_some_and(|span| {
                // What the stored value leaves out may lie on either side: it matches where the two overlap.
                from.is_none_or(|from| span.last >= from) && to.is_none_or(|to| span.first <= to)
            }),
        }
    }
}

/// The value without the padding that does not count (PS3.5 6.2).
fn normal(vr: Vr, value: &str) -> &str {
    match vr {
        Vr::Trimmed | Vr::Number => value.trim_matches([' ', '\0']),
        Vr::TrimmedEnd | Vr::PersonName | Vr::Date | Vr::Time | Vr::DateTime | Vr::Uid => {
            value.trim_end_matches([' ', '\0'])
        }
        Vr::Exact => value,
    }
}

fn compile(vr: Vr, value: &str, allows_wild_cards: bool) -> Test {
    let whole = normal(vr, value);
    if whole.is_empty() || (allows_wild_cards && whole.chars().all(|c| c == '*')) {
        return Test::Universal;
    }
    let values: Vec<&str> =
        if vr == Vr::TrimmedEnd { vec![whole] } else { whole.split('\\').map(|value| normal(vr, value)).collect() };
    match vr {
        Vr::PersonName => Test::Names(values.into_iter().map(groups).collect()),
        Vr::Date | Vr::Time | Vr::DateTime if values.len() == 1 => {
            range(vr, whole).unwrap_or_else(|| Test::OneOf(vec![whole.to_owned()]))
        }
        Vr::Number => {
            let numbers: Option<Vec<f64>> = values.iter().map(|value| value.parse().ok()).collect();
            numbers.map_or_else(|| Test::OneOf(values.iter().map(|&value| value.to_owned()).collect()), Test::Numbers)
        }
        _ if allows_wild_cards && whole.contains(['*', '?']) => {
            Test::Patterns(values.into_iter().map(|value| value.chars().collect()).collect())
        }
        _ => Test::OneOf(values.into_iter().map(str::to_owned).collect()),
    }
}

fn span(vr: Vr, value: &str) -> Option<Span> {
    match vr {
        Vr::Date => temporal::date(value),
        Vr::Time => temporal::time(value),
        _ => temporal::date_time(value, 0),
    }
}

/// `a-b`, `-b`, `a-`, or a single value, which is the range of what it names. The hyphen of a DT is ambiguous with the sign of its
/// UTC offset: a whole value with an offset comes first.
fn range(vr: Vr, value: &str) -> Option<Test> {
    let open_ended = value.starts_with('-') || value.ends_with('-');
    if !open_ended && let Some(single) = span(vr, value) {
        return Some(Test::Range { from: Some(single.first), to: Some(single.last) });
    }
    for (at, _) in value.match_indices('-') {
        let (from, to) = (value[..at].trim(), value[at + 1..].trim());
        let parsed = |text: &str| if text.is_empty() { Some(None) } else { span(vr, text).map(Some) };
        if let (Some(from), Some(to)) = (parsed(from), parsed(to))
            && (from.is_some() || to.is_some())
        {
            return Some(Test::Range { from: from.map(|span| span.first), to: to.map(|span| span.last) });
        }
    }
    None
}

/// The component groups of a name, each of its components, in lower case, without trailing spaces, and without trailing empty ones.
fn groups(name: &str) -> Vec<Vec<Vec<char>>> {
    let mut groups: Vec<Vec<Vec<char>>> = name
        .split('=')
        .map(|group| {
            let mut components: Vec<Vec<char>> = group
                .split('^')
                .map(|component| component.trim_end_matches([' ', '\0']).chars().flat_map(char::to_lowercase).collect())
                .collect();
            while components.last().is_some_and(Vec::is_empty) {
                components.pop();
            }
            components
        })
        .collect();
    while groups.last().is_some_and(Vec::is_empty) {
        groups.pop();
    }
    groups
}

/// A key without component groups is compared with each group of the stored name; one with groups, group by group, empty ones with
/// anything.
fn name_matches(pattern: &[Vec<Vec<char>>], name: &[Vec<Vec<char>>]) -> bool {
    if let [only] = pattern {
        return name.iter().any(|group| group_matches(only, group));
    }
    pattern
        .iter()
        .enumerate()
        .all(|(at, wanted)| wanted.is_empty() || group_matches(wanted, name.get(at).map_or(&[][..], Vec::as_slice)))
}

/// Compared as a whole, so that `*` reaches over components, as users expect of `SMITH*`.
fn group_matches(pattern: &[Vec<char>], group: &[Vec<char>]) -> bool {
    let joined = |components: &[Vec<char>]| components.join(&'^');
    wildcard::matches(&joined(pattern), &joined(group))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(vr: &str, key: &str, candidate: &str) -> bool {
        Key::new(vr, key).matches(candidate, EmptyCandidate::Matches)
    }

    /// `tests/data/matching.txt`: VR, key, candidate, yes or no; the clause stands above each group.
    #[test]
    fn golden_table() {
        let table = include_str!("../../../tests/data/matching.txt");
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
    fn a_stored_value_of_zero_length_depends_on_the_service() {
        let key = Key::new("LO", "A");
        assert!(key.matches("", EmptyCandidate::Matches));
        assert!(!key.matches("  ", EmptyCandidate::Fails));
        assert!(Key::new("LO", "").matches("", EmptyCandidate::Fails));
    }

    #[test]
    fn what_kind_of_matching_it_is() {
        assert!(Key::new("PN", "*").is_universal() && Key::new("UI", "").is_universal());
        assert!(Key::new("UI", "1.2.3").is_single_value() && Key::new("LO", "A").is_single_value());
        for (vr, value) in [("UI", "1.2\\1.3"), ("LO", "A*"), ("PN", "A*"), ("DA", "20200101-")] {
            assert!(!Key::new(vr, value).is_single_value(), "{vr} {value}");
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
