//! The levels of an information model (PS3.4 C.3 and C.6), and what a hierarchical query must have (C.4.1.3.1.1).

use super::Query;
use crate::matching::{Key, Kind};
use crate::tag::Tag;

/// An information model with levels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Model {
    /// Patient, study, series, image.
    PatientRoot,
    /// Study, series, image.
    StudyRoot,
    /// Patient and study; retired.
    PatientStudyOnly,
}

/// A level: its name, its unique key, and the keyword of that.
type Level = (&'static str, Tag, &'static str);

const LEVELS: [Level; 4] = [
    ("PATIENT", Tag(0x0010_0020), "PatientID"),
    ("STUDY", Tag(0x0020_000D), "StudyInstanceUID"),
    ("SERIES", Tag(0x0020_000E), "SeriesInstanceUID"),
    ("IMAGE", Tag(0x0008_0018), "SOPInstanceUID"),
];

impl Model {
    /// Its levels, top first.
    fn levels(self) -> &'static [Level] {
        match self {
            Self::PatientRoot => &LEVELS,
            Self::StudyRoot => &LEVELS[1..],
            Self::PatientStudyOnly => &LEVELS[..2],
        }
    }
}

/// The unique keys of a level and those above it. Where the model is not known, Patient ID is one at its own level only: below, in the Study
/// Root model, it is a Required Key of the study.
pub(super) fn unique_keys(model: Option<Model>, level: &str) -> Vec<Tag> {
    let assumed = if level == LEVELS[0].0 { Model::PatientRoot } else { Model::StudyRoot };
    let levels = model.unwrap_or(assumed).levels();
    let Some(at) = levels.iter().position(|(name, ..)| *name == level) else { return Vec::new() };
    levels[..=at].iter().map(|(_, tag, _)| *tag).collect()
}

/// An identifier that the model does not allow: status A900H, with these.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mismatch {
    /// Offending Element (0000,0901).
    pub offending_element: Tag,
    /// Error Comment (0000,0902): at most 64 characters.
    pub comment: String,
}

impl Mismatch {
    fn new(offending_element: Tag, comment: &str) -> Self {
        Self { offending_element, comment: comment.chars().take(64).collect() }
    }
}

impl Query {
    /// Whether its information model, where it has one, allows the identifier: each unique key above its level is there with one
    /// value. With relational queries negotiated (`relational`) those may be absent or universal. For a retrieval (`retrieves`) the
    /// unique key of the level itself must have a value, too: what says nothing must not retrieve everything. The standard wants one
    /// value or a list of UIDs there (C.4.2.1.4.1); wild cards, which some requestors send, are taken.
    ///
    /// # Errors
    /// [`Mismatch`].
    pub fn check(&self, relational: bool, retrieves: bool) -> Result<(), Mismatch> {
        let Some(levels) = self.options.model.map(Model::levels) else { return Ok(()) };
        let Some(at) = levels.iter().position(|(name, ..)| *name == self.level()) else {
            let names: Vec<&str> = levels.iter().map(|(name, ..)| *name).collect();
            let level: String = self.level().chars().take(16).collect();
            let comment = format!("Query/Retrieve Level '{level}' is none of {}", names.join(", "));
            return Err(Mismatch::new(Tag::QUERY_RETRIEVE_LEVEL, &comment));
        };
        let level = levels[at].0;
        for (name, tag, keyword) in &levels[..at] {
            match self.key(*tag).map(Key::kind) {
                Some(Kind::Single) => {}
                None | Some(Kind::Universal) if relational => {}
                _ => {
                    return Err(Mismatch::new(
                        *tag,
                        &format!("{keyword} needs one value: level {level} is below {name}"),
                    ));
                }
            }
        }
        let (_, tag, keyword) = levels[at];
        if retrieves && self.key(tag).is_none_or(|key| key.text().is_empty()) {
            return Err(Mismatch::new(tag, &format!("{keyword} needs a value: it says what to retrieve")));
        }
        Ok(())
    }
}
