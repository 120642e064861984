//! From an identifier to a query.

use super::{Condition, Inherited, Instant, Keys, Options, Query, Returned, levels, utc_offset};
use crate::codec::{Record, Syntax, record};
use crate::dictionary;
use crate::matching::{Key, KeyOptions, Kind, Range, Stored};
use crate::tag::Tag;
use crate::vr::Vr;

/// Dates and the times that belong to them (PS3.6).
const PAIRS: &[(Tag, Tag)] = &[
    (Tag(0x0008_0012), Tag(0x0008_0013)), // Instance Creation
    (Tag(0x0008_0020), Tag(0x0008_0030)), // Study
    (Tag(0x0008_0021), Tag(0x0008_0031)), // Series
    (Tag(0x0008_0022), Tag(0x0008_0032)), // Acquisition
    (Tag(0x0008_0023), Tag(0x0008_0033)), // Content
    (Tag(0x0010_0030), Tag(0x0010_0032)), // Patient's Birth
    (Tag(0x0018_1012), Tag(0x0018_1014)), // of Secondary Capture
    (Tag(0x0032_1000), Tag(0x0032_1001)), // Scheduled Study Start
    (Tag(0x0032_1010), Tag(0x0032_1011)), // Scheduled Study Stop
    (Tag(0x0032_1040), Tag(0x0032_1041)), // Study Arrival
    (Tag(0x0032_1050), Tag(0x0032_1051)), // Study Completion
    (Tag(0x0038_0020), Tag(0x0038_0021)), // Admitting
    (Tag(0x0040_0002), Tag(0x0040_0003)), // Scheduled Procedure Step Start
    (Tag(0x0040_0004), Tag(0x0040_0005)), // Scheduled Procedure Step End
    (Tag(0x0040_0244), Tag(0x0040_0245)), // Performed Procedure Step Start
    (Tag(0x0040_0250), Tag(0x0040_0251)), // Performed Procedure Step End
    (Tag(0x0040_2004), Tag(0x0040_2005)), // Issue of Imaging Service Request
    (Tag(0x0070_0082), Tag(0x0070_0083)), // Presentation Creation
    (Tag(0x2100_0040), Tag(0x2100_0050)), // Creation
    (Tag(0x3006_0008), Tag(0x3006_0009)), // Structure Set
    (Tag(0x3008_0250), Tag(0x3008_0251)), // Treatment
    (Tag(0x300A_0006), Tag(0x300A_0007)), // RT Plan
    (Tag(0x300E_0004), Tag(0x300E_0005)), // Review
];

/// Elements of an identifier that are no keys.
fn is_key(tag: Tag) -> bool {
    !tag.is_outside_messages()
        && !matches!(
            tag,
            Tag::SPECIFIC_CHARACTER_SET
                | Tag::QUERY_RETRIEVE_LEVEL
                | Tag::RETRIEVE_AE_TITLE
                | Tag::TIMEZONE_OFFSET_FROM_UTC
        )
}

impl Query {
    /// Compiles an identifier, which is encoded in `syntax`. `level` stands for its Query/Retrieve Level where given.
    pub fn new(identifier: Record<'_>, syntax: Syntax, level: Option<&str>, options: Options) -> Self {
        let text = |tag| {
            let value =
                identifier.get(tag).map_or_else(Default::default, |element| String::from_utf8_lossy(element.value()));
            value.trim_matches([' ', '\0']).to_owned()
        };
        let declared = utc_offset(&text(Tag::TIMEZONE_OFFSET_FROM_UTC));
        let inherited = Inherited {
            character_set: record::character_set(identifier, &Default::default()),
            offset: declared.or(options.local_offset),
        };
        // PS3.4 C.5.1.1: adjusted is only to an offset that the identifier says.
        let adjusts = options.timezone && declared.is_some();
        let level = level.map_or_else(|| text(Tag::QUERY_RETRIEVE_LEVEL), str::to_owned);
        let compiler = Compiler { options, inherited: &inherited, adjusts };
        let unique = levels::unique_keys(options.model, &level);
        let top = compiler.keys(identifier, syntax, &unique);
        let keys = compiler.dataset(identifier, syntax, &unique);
        Self { keys, options, level, offset: declared.filter(|_| adjusts), top }
    }
}

struct Compiler<'a> {
    options: Options,
    inherited: &'a Inherited,
    /// Whether dates and times are moved to the offset of the identifier.
    adjusts: bool,
}

impl Compiler<'_> {
    /// The keys of a dataset that are no sequences. `unique` are the unique keys among them.
    fn keys(&self, dataset: Record<'_>, syntax: Syntax, unique: &[Tag]) -> Vec<(Tag, Vr, Key)> {
        let simple = dataset.elements().filter(|element| is_key(element.entry.tag) && element.entry.vr != Vr::SQ);
        simple
            .map(|element| {
                let (tag, vr) = (element.entry.tag, known_vr(element.entry.tag, element.entry.vr));
                let encoded = Stored {
                    character_set: &self.inherited.character_set,
                    syntax,
                    offset: self.inherited.offset.unwrap_or(0),
                };
                (tag, vr, Key::from_value(vr, element.value(), encoded, self.key_options(tag, vr, unique)))
            })
            .collect()
    }

    fn key_options(&self, tag: Tag, vr: Vr, unique: &[Tag]) -> KeyOptions {
        // PS3.4 C.2.2.2.8
        let many = matches!(vr, Vr::AE | Vr::AS | Vr::AT | Vr::CS | Vr::LO | Vr::PN | Vr::SH | Vr::UC);
        KeyOptions {
            fuzzy: self.options.fuzzy,
            empty_value: self.options.empty_value,
            multiple_value: self.options.multiple_value && many && dictionary::may_have_several_values(tag),
            // A Required Key without a value matches (PS3.4 C.2.2.1.2), in a worklist it does not (K.2.2.1.2). All that is managed has a
            // value of the Unique Keys (C.2.2.1.1): what has none is no answer to a question for one.
            needs_value: self.options.worklist || unique.contains(&tag),
            offset: self.inherited.offset.unwrap_or(0),
        }
    }

    fn dataset(&self, dataset: Record<'_>, syntax: Syntax, unique: &[Tag]) -> Keys {
        let mut simple = self.keys(dataset, syntax, unique);
        let mut keys = Keys::default();
        keys.returned.extend(simple.iter().map(|(tag, vr, _)| Returned { tag: *tag, vr: *vr, items: None }));
        for element in dataset.elements().filter(|element| is_key(element.entry.tag) && element.entry.vr == Vr::SQ) {
            let tag = element.entry.tag;
            // PS3.4 C.2.2.2.6: the key has one item.
            let items = element.items().next().map(|item| self.dataset(item.dataset(), element.entry.syntax, &[]));
            let items = items.filter(|items| !items.returned.is_empty());
            if let Some(items) = items.as_ref().filter(|items| !items.conditions.is_empty()) {
                keys.conditions.push(Condition::Sequence(tag, items.clone()));
            }
            keys.returned.push(Returned { tag, vr: Vr::SQ, items });
        }
        simple.retain(|(.., key)| !key.is_universal());
        self.pair(&mut simple, &mut keys.conditions);
        keys.conditions.extend(simple.into_iter().map(|(tag, _, key)| Condition::Attribute(tag, key)));
        keys.returned.sort_by_key(|returned| returned.tag);
        keys.returned.dedup_by_key(|returned| returned.tag);
        keys.needed = needed(&keys.conditions);
        keys
    }

    /// Takes out the dates and times that have to be looked at together.
    fn pair(&self, simple: &mut Vec<(Tag, Vr, Key)>, conditions: &mut Vec<Condition>) {
        for &(date_tag, time_tag) in PAIRS {
            let range = |wanted: Tag| -> Option<Range> {
                simple.iter().find(|(tag, ..)| *tag == wanted).and_then(|(.., key)| key.range())
            };
            let (date, time) = (range(date_tag), range(time_tag));
            let combines = (self.options.datetime || self.options.worklist) && date.is_some() && time.is_some();
            if !combines && !(self.adjusts && (date.is_some() || time.is_some())) {
                continue;
            }
            let mut take = |wanted: Tag| {
                let at = simple.iter().position(|(tag, _, key)| *tag == wanted && key.kind() == Kind::Range)?;
                Some(simple.remove(at).2)
            };
            conditions.push(Condition::Instant(Instant {
                date_tag,
                time_tag,
                date: take(date_tag),
                time: take(time_tag),
                combined: date.zip(time).filter(|_| combines).map(|(date, time)| Range::combined(date, time)),
            }));
        }
    }
}

/// The tags whose values decide.
fn needed(conditions: &[Condition]) -> Vec<Tag> {
    if conditions.is_empty() {
        return Vec::new();
    }
    let mut needed = vec![Tag::SPECIFIC_CHARACTER_SET];
    for condition in conditions {
        match condition {
            Condition::Attribute(tag, key) => {
                needed.push(*tag);
                if key.vr() == Vr::DT {
                    needed.push(Tag::TIMEZONE_OFFSET_FROM_UTC);
                }
            }
            Condition::Sequence(tag, _) => needed.extend([*tag, Tag::TIMEZONE_OFFSET_FROM_UTC]),
            Condition::Instant(pair) => needed.extend([pair.date_tag, pair.time_tag, Tag::TIMEZONE_OFFSET_FROM_UTC]),
        }
    }
    needed.sort_unstable();
    needed.dedup();
    needed
}

/// The representation that the dictionary has for what was sent as UN.
fn known_vr(tag: Tag, vr: Vr) -> Vr {
    if vr == Vr::UN { dictionary::vr(tag, false) } else { vr }
}
