//! What is returned of a dataset that matches.

use super::evaluate::{Found, Items, collect, find, own};
use super::{Inherited, Keys, Query, Result, Returned};
use crate::codec::{Record, Syntax, Writer, record, transcode};
use crate::dictionary;
use crate::tag::Tag;
use crate::vr::Vr;

/// An element of a response that does not come from the dataset.
#[derive(Debug, Clone)]
pub struct Override {
    /// Its tag.
    pub tag: Tag,
    /// Its representation.
    pub vr: Vr,
    /// Its value, in ASCII.
    pub value: Vec<u8>,
}

impl Query {
    /// The identifier of a response: the requested attributes and no others, of sequences the matching items with the requested attributes,
    /// what is absent without a value; and `overrides`. In `syntax`, with the Specific Character Set of the candidate.
    ///
    /// # Errors
    /// Where the candidate is no dataset, or is in another syntax and cannot be said in this one.
    pub fn response(&self, candidate: &[u8], syntax: Syntax, overrides: &[Override]) -> Result<Vec<u8>> {
        let actual = record::actual_syntax(candidate, syntax);
        let mut writer = Writer::new(actual);
        self.write(&mut writer, &self.keys, candidate, actual, &self.outermost(), overrides)?;
        if actual == syntax {
            return Ok(writer.finish());
        }
        // The candidate is not in what it was said to be in: the response is, as nobody could tell from its first element again.
        let mut right = Writer::new(syntax);
        other_syntax(&mut right, &writer.finish(), actual, syntax)?;
        let response = right.finish();
        // A sequence of the dictionary that came as something else cannot be said without representations.
        record::parse(&response, syntax)?;
        Ok(response)
    }

    /// The same where the candidate matches with its own attributes replaced by `overrides`, the first `computed` of them; the others are
    /// only returned. `None` where it does not match.
    ///
    /// # Errors
    /// Where the candidate is no dataset.
    pub fn answer(
        &self,
        candidate: &[u8],
        syntax: Syntax,
        overrides: &[Override],
        computed: usize,
    ) -> Result<Option<Vec<u8>>> {
        let actual = record::actual_syntax(candidate, syntax);
        if !self.keys_match(&self.keys, candidate, actual, &self.outermost(), &overrides[..computed])? {
            return Ok(None);
        }
        self.response(candidate, syntax, overrides).map(Some)
    }

    fn write(
        &self,
        writer: &mut Writer,
        keys: &Keys,
        dataset: &[u8],
        syntax: Syntax,
        inherited: &Inherited,
        overrides: &[Override],
    ) -> Result<()> {
        let mut tags: Vec<Tag> = keys.returned.iter().map(|returned| returned.tag).collect();
        tags.extend([Tag::SPECIFIC_CHARACTER_SET, Tag::TIMEZONE_OFFSET_FROM_UTC]);
        tags.extend(overrides.iter().map(|element| element.tag));
        tags.sort_unstable();
        tags.dedup();
        let slots = collect(dataset, syntax, &tags)?;
        let found = |tag| find(&slots, &tags, tag);
        let own = own(inherited, found);
        let own = own.as_ref().unwrap_or(inherited);
        for &tag in &tags {
            if let Some(element) = overrides.iter().find(|element| element.tag == tag) {
                writer.element(tag, element.vr, &element.value);
            } else if let Ok(at) = keys.returned.binary_search_by_key(&tag, |returned| returned.tag) {
                self.element(writer, &keys.returned[at], found(tag), syntax, own)?;
            } else if let Some(found) = found(tag)
                && (tag == Tag::SPECIFIC_CHARACTER_SET || self.options.timezone)
            {
                // What the values mean: their character set and, where it was negotiated, their offset from UTC.
                writer.element(tag, vr(&found, tag), found.value);
            }
        }
        Ok(())
    }

    fn element(
        &self,
        writer: &mut Writer,
        returned: &Returned,
        found: Option<Found<'_>>,
        syntax: Syntax,
        own: &Inherited,
    ) -> Result<()> {
        let Some(found) = found else {
            writer.element(returned.tag, returned.vr, b"");
            return Ok(());
        };
        let Some(keys) = returned.items.as_ref() else {
            if found.undefined || returned.vr == Vr::SQ {
                return whole_sequence(writer, returned.tag, &found, syntax);
            }
            writer.element(returned.tag, vr(&found, returned.tag), found.value);
            return Ok(());
        };
        let sequence = writer.begin_sequence(returned.tag, false);
        for item in Items::new(&found) {
            let item = item?;
            if self.keys_match(keys, item, found.items, own, &[])? {
                let open = writer.begin_item(false);
                if found.items == syntax {
                    self.write(writer, keys, item, syntax, own, &[])?;
                } else {
                    let mut inner = Writer::new(found.items);
                    self.write(&mut inner, keys, item, found.items, own, &[])?;
                    other_syntax(writer, &inner.finish(), found.items, syntax)?;
                }
                writer.end_item(open);
            }
        }
        writer.end_sequence(sequence);
        Ok(())
    }
}

/// A sequence of which nothing special is asked, item by item, so that group lengths and file meta do not leave.
fn whole_sequence(writer: &mut Writer, tag: Tag, found: &Found<'_>, syntax: Syntax) -> Result<()> {
    let sequence = writer.begin_sequence(tag, false);
    for item in Items::new(found) {
        let item = item?;
        let open = writer.begin_item(false);
        other_syntax(writer, item, found.items, syntax)?;
        writer.end_item(open);
    }
    writer.end_sequence(sequence);
    Ok(())
}

fn other_syntax(writer: &mut Writer, dataset: &[u8], from: Syntax, to: Syntax) -> Result<()> {
    let entries = record::parse(dataset, from)?;
    transcode::dataset(writer, Record::new(dataset, &entries), from, to);
    Ok(())
}

fn vr(found: &Found<'_>, tag: Tag) -> Vr {
    found.vr.unwrap_or_else(|| dictionary::vr(tag, false))
}
