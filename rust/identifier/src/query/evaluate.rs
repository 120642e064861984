//! Whether a dataset matches.

use super::{Condition, Inherited, Instant, Keys, Override, Query, Result, utc_offset};
use crate::charset::CharacterSet;
use crate::codec::{CodecError, Header, Syntax, header, item_end, item_header, record, skip};
use crate::matching::temporal::{self, DAY, MINUTE, Span};
use crate::matching::{Key, Stored};
use crate::tag::Tag;
use crate::vr::Vr;

/// An element of a candidate.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) vr: Option<Vr>,
    /// The value; of a sequence its items.
    pub(super) value: &'a [u8],
    /// How its items are encoded, and whether their end is marked.
    pub(super) items: Syntax,
    pub(super) undefined: bool,
}

/// The wanted elements of a candidate: one place for each wanted tag.
pub(super) type Slots<'a> = Vec<Option<Found<'a>>>;

impl Query {
    /// Whether an encoded dataset matches.
    ///
    /// # Errors
    /// Where it is no dataset; of what stands behind the last attribute that is needed nothing is known.
    pub fn matches(&self, candidate: &[u8], syntax: Syntax) -> Result<bool> {
        let syntax = record::actual_syntax(candidate, syntax);
        self.keys_match(&self.keys, candidate, syntax, &self.outermost(), &[])
    }

    /// What a candidate inherits: it is in no other dataset.
    pub(super) fn outermost(&self) -> Inherited {
        Inherited { character_set: CharacterSet::default(), offset: self.options.local_offset }
    }

    pub(super) fn keys_match(
        &self,
        keys: &Keys,
        dataset: &[u8],
        syntax: Syntax,
        inherited: &Inherited,
        overrides: &[Override],
    ) -> Result<bool> {
        if keys.conditions.is_empty() {
            return Ok(true);
        }
        let mut slots = collect(dataset, syntax, &keys.needed)?;
        for element in overrides {
            if let Ok(place) = keys.needed.binary_search(&element.tag) {
                let vr = Some(element.vr);
                slots[place] = Some(Found { vr, value: &element.value, items: syntax, undefined: false });
            }
        }
        let find = |tag| find(&slots, &keys.needed, tag);
        let own = own(inherited, find);
        let own = own.as_ref().unwrap_or(inherited);
        for condition in &keys.conditions {
            let fulfilled = match condition {
                Condition::Attribute(tag, key) => self.attribute(key, find(*tag), syntax, own),
                Condition::Sequence(tag, keys) => match find(*tag) {
                    Some(sequence) => self.sequence(keys, &sequence, own)?,
                    None => !self.options.worklist,
                },
                Condition::Instant(pair) => self.instant(pair, find(pair.date_tag), find(pair.time_tag), syntax, own),
            };
            if !fulfilled {
                return Ok(false);
            }
        }
        Ok(true)
    }

    fn attribute(&self, key: &Key, found: Option<Found<'_>>, syntax: Syntax, own: &Inherited) -> bool {
        let stored = Stored { character_set: &own.character_set, syntax, offset: own.offset.unwrap_or(0) };
        let answer = found.and_then(|found| key.matches_value(found.value, stored));
        answer.unwrap_or_else(|| key.takes_nothing())
    }

    /// Whether any item matches all keys (PS3.4 C.2.2.2.6); a sequence without items is one without a value.
    fn sequence(&self, keys: &Keys, sequence: &Found<'_>, own: &Inherited) -> Result<bool> {
        let mut empty = true;
        for item in Items::new(sequence) {
            empty = false;
            if self.keys_match(keys, item?, sequence.items, own, &[])? {
                return Ok(true);
            }
        }
        Ok(empty && !self.options.worklist)
    }

    /// Date and time as one instant, moved to the offset of the identifier where that was negotiated.
    fn instant(
        &self,
        pair: &Instant,
        date: Option<Found<'_>>,
        time: Option<Found<'_>>,
        syntax: Syntax,
        own: &Inherited,
    ) -> bool {
        let (Some(date_value), Some(time_value)) = (first_text(date), first_text(time)) else {
            return self.apart(pair, date, time, syntax, own);
        };
        let (Some(date_span), Some(time_span)) = (temporal::date(date_value), temporal::time(time_value)) else {
            return self.apart(pair, date, time, syntax, own);
        };
        let shift = self.offset.zip(own.offset).map_or(0, |(wanted, stored)| i64::from(wanted - stored) * MINUTE);
        let moment = Span {
            first: date_span.first + time_span.first + shift,
            last: date_span.first + time_span.last + shift,
            offset: None,
        };
        if let Some(range) = &pair.combined {
            return range.overlaps(&moment);
        }
        let day = |at: i64| at.div_euclid(DAY) * DAY;
        let date_fits = pair.date.as_ref().and_then(Key::range).is_none_or(|range| {
            range.overlaps(&Span { first: day(moment.first), last: day(moment.last) + DAY - 1, offset: None })
        });
        let time_fits = pair.time.as_ref().and_then(Key::range).is_none_or(|range| {
            let first = moment.first.rem_euclid(DAY);
            range.overlaps(&Span { first, last: first + (moment.last - moment.first), offset: None })
        });
        date_fits && time_fits
    }

    /// What cannot be looked at together, because one of the two is missing or has several values.
    fn apart(
        &self,
        pair: &Instant,
        date: Option<Found<'_>>,
        time: Option<Found<'_>>,
        syntax: Syntax,
        own: &Inherited,
    ) -> bool {
        let fits = |key: &Option<Key>, found| key.as_ref().is_none_or(|key| self.attribute(key, found, syntax, own));
        fits(&pair.date, date) && fits(&pair.time, time)
    }
}

/// The value of a date or time, where it has exactly one.
fn first_text(found: Option<Found<'_>>) -> Option<&str> {
    let text = std::str::from_utf8(found?.value).ok()?.trim_end_matches([' ', '\0']);
    (!text.is_empty() && !text.contains('\\')).then_some(text)
}

/// What the dataset says of itself; `None` where it says nothing.
pub(super) fn own<'a>(inherited: &Inherited, find: impl Fn(Tag) -> Option<Found<'a>>) -> Option<Inherited> {
    let (character_set, offset) = (find(Tag::SPECIFIC_CHARACTER_SET), find(Tag::TIMEZONE_OFFSET_FROM_UTC));
    if character_set.is_none() && offset.is_none() {
        return None;
    }
    Some(Inherited {
        character_set: character_set
            .map_or_else(|| inherited.character_set.clone(), |found| CharacterSet::from_value(found.value)),
        offset: offset.and_then(|found| utc_offset(&String::from_utf8_lossy(found.value))).or(inherited.offset),
    })
}

pub(super) fn find<'a>(slots: &Slots<'a>, wanted: &[Tag], tag: Tag) -> Option<Found<'a>> {
    slots[wanted.binary_search(&tag).ok()?]
}

/// Walks a dataset up to the last wanted element.
pub(super) fn collect<'a>(dataset: &'a [u8], syntax: Syntax, wanted: &[Tag]) -> Result<Slots<'a>> {
    let mut slots = vec![None; wanted.len()];
    let Some(&last) = wanted.last() else { return Ok(slots) };
    let (mut at, mut next, mut highest) = (0, 0, Tag(0));
    while at < dataset.len() {
        let Some(header) = header(dataset, at, syntax) else {
            return Err(CodecError::new(at, None, "it ends in the middle of an element's header"));
        };
        if header.tag > last {
            break;
        }
        let after = skip(dataset, &header, syntax, 0)?;
        while next < wanted.len() && wanted[next] < header.tag {
            next += 1;
        }
        let place = if wanted.get(next) == Some(&header.tag) {
            Some(next)
        } else if header.tag < highest {
            // Elements come in order; one that does not is looked for.
            wanted.binary_search(&header.tag).ok()
        } else {
            None
        };
        highest = highest.max(header.tag);
        if let Some(place) = place {
            slots[place] = Some(found(dataset, &header, after, syntax));
        }
        at = after;
    }
    Ok(slots)
}

fn found<'a>(dataset: &'a [u8], header: &Header, after: usize, syntax: Syntax) -> Found<'a> {
    Found {
        vr: header.vr,
        value: &dataset[header.value..after],
        items: header.items_syntax(syntax),
        undefined: header.is_undefined(),
    }
}

/// The datasets of the items of a sequence.
pub(super) struct Items<'a> {
    bytes: &'a [u8],
    syntax: Syntax,
    at: usize,
}

impl<'a> Items<'a> {
    pub(super) fn new(sequence: &Found<'a>) -> Self {
        Self { bytes: sequence.value, syntax: sequence.items, at: 0 }
    }

    fn item(&mut self) -> Result<Option<&'a [u8]>> {
        let Some(item) = item_header(self.bytes, self.at, self.syntax)? else { return Ok(None) };
        if item.tag == Tag::SEQUENCE_DELIMITATION {
            return Ok(None);
        }
        let (end, after) = item_end(self.bytes, &item, self.syntax, 0)?;
        self.at = after;
        Ok(Some(&self.bytes[item.value..end]))
    }
}

impl<'a> Iterator for Items<'a> {
    type Item = Result<&'a [u8]>;

    fn next(&mut self) -> Option<Self::Item> {
        let item = self.item().transpose();
        if !matches!(item, Some(Ok(_))) {
            self.at = self.bytes.len();
        }
        item
    }
}
