//! `tests/data/matching_datasets.txt`: whole identifiers against whole datasets. The file says how it is written.

use std::collections::BTreeMap;

use dimsefast_identifier::codec::record::parse;
use dimsefast_identifier::codec::{Record, Syntax, Writer};
use dimsefast_identifier::query::{Options, Query, utc_offset};
use dimsefast_identifier::{Tag, Vr};

type Dataset = BTreeMap<u32, (Vr, Value)>;

#[derive(Debug)]
enum Value {
    Text(String),
    Items(Vec<Dataset>),
}

/// Takes a cell apart.
struct Reader<'a>(&'a str);

impl Reader<'_> {
    fn mark(&mut self, mark: char) -> bool {
        self.0 = self.0.trim_start();
        let rest = self.0.strip_prefix(mark);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// A value in quotes, where `\"` is a quote, or what stands before the next mark.
    fn value(&mut self) -> String {
        if !self.mark('"') {
            let end = self.0.find([';', '{', '}', '"']).unwrap_or(self.0.len());
            let (value, rest) = self.0.split_at(end);
            self.0 = rest;
            return value.trim().to_owned();
        }
        let mut value = String::new();
        loop {
            let end = self.0.find('"').expect("a closing quote");
            let (piece, rest) = self.0.split_at(end);
            self.0 = &rest[1..];
            match piece.strip_suffix('\\') {
                Some(piece) => value.extend([piece, "\""]),
                None => return value + piece,
            }
        }
    }

    /// Elements up to a closing brace or the end.
    fn dataset(&mut self) -> Dataset {
        let mut dataset = Dataset::new();
        let mut beyond_ascii = false;
        while !self.0.trim_start().is_empty() && !self.0.trim_start().starts_with('}') {
            let head = self.0.trim_start();
            let (tag, vr) = (&head[..9], &head[10..12]);
            self.0 = &head[12..];
            let vr = Vr::from_letters([vr.as_bytes()[0], vr.as_bytes()[1]]).expect("a VR");
            let value = if vr == Vr::SQ {
                let mut items = Vec::new();
                while self.mark('{') {
                    items.push(self.dataset());
                    assert!(self.mark('}'), "an item is open: {}", self.0);
                }
                beyond_ascii |= items.iter().any(|item| item.contains_key(&Tag::SPECIFIC_CHARACTER_SET.0));
                Value::Items(items)
            } else {
                let text = self.value();
                beyond_ascii |= !text.is_ascii();
                Value::Text(text)
            };
            dataset.insert(u32::from_str_radix(&tag.replace(',', ""), 16).expect("a tag"), (vr, value));
            self.mark(';');
        }
        if beyond_ascii {
            dataset.insert(Tag::SPECIFIC_CHARACTER_SET.0, (Vr::CS, Value::Text("ISO_IR 192".to_owned())));
        }
        dataset
    }
}

fn bytes(vr: Vr, text: &str) -> Vec<u8> {
    let whole = |value: &str| value.parse::<i64>().expect("a whole number").to_le_bytes();
    let one = |value: &str| match vr {
        Vr::US | Vr::SS => whole(value)[..2].to_vec(),
        Vr::UL | Vr::SL => whole(value)[..4].to_vec(),
        Vr::UV | Vr::SV => whole(value).to_vec(),
        Vr::FL => value.parse::<f32>().expect("a number").to_le_bytes().to_vec(),
        Vr::FD => value.parse::<f64>().expect("a number").to_le_bytes().to_vec(),
        _ => {
            let tag = u32::from_str_radix(value, 16).expect("a tag");
            [((tag >> 16) as u16).to_le_bytes(), (tag as u16).to_le_bytes()].concat()
        }
    };
    match vr {
        Vr::US | Vr::SS | Vr::UL | Vr::SL | Vr::UV | Vr::SV | Vr::FL | Vr::FD | Vr::AT if !text.is_empty() => {
            text.split('\\').flat_map(one).collect()
        }
        _ => text.as_bytes().to_vec(),
    }
}

fn write(writer: &mut Writer, syntax: Syntax, dataset: &Dataset) {
    for (&tag, (vr, value)) in dataset {
        match value {
            Value::Text(text) if syntax.big_endian => writer.element_swapped(Tag(tag), *vr, &bytes(*vr, text)),
            Value::Text(text) => writer.element(Tag(tag), *vr, &bytes(*vr, text)),
            Value::Items(items) => {
                let sequence = writer.begin_sequence(Tag(tag), false);
                for item in items {
                    let open = writer.begin_item(true);
                    write(writer, syntax, item);
                    writer.end_item(open);
                }
                writer.end_sequence(sequence);
            }
        }
    }
}

fn encode(cell: &str, syntax: Syntax) -> Vec<u8> {
    let mut writer = Writer::new(syntax);
    write(&mut writer, syntax, &Reader(cell).dataset());
    writer.finish()
}

fn options(cell: &str) -> Options {
    let mut options = Options::default();
    for word in cell.split_whitespace().filter(|word| *word != "-") {
        match word {
            "datetime" => options.datetime = true,
            "fuzzy" => options.fuzzy = true,
            "timezone" => options.timezone = true,
            "empty" => options.empty_value = true,
            "multiple" => options.multiple_value = true,
            "worklist" => options.worklist = true,
            other => options.local_offset = Some(utc_offset(other.trim_start_matches("local=")).expect(other)),
        }
    }
    options
}

#[test]
fn golden_table() {
    let table = include_str!("../../../tests/data/matching_datasets.txt");
    let mut rows = 0;
    for line in table.lines().filter(|line| !line.trim().is_empty() && !line.starts_with('#')) {
        let cells: Vec<&str> = line.split('|').map(str::trim).collect();
        let [flags, identifier, stored, expected] = cells[..] else { panic!("{line}") };
        for syntax in [Syntax::IMPLICIT, Syntax::EXPLICIT, Syntax::BIG_ENDIAN] {
            let (identifier, stored) = (encode(identifier, syntax), encode(stored, syntax));
            let entries = parse(&identifier, syntax).unwrap();
            let query = Query::new(Record::new(&identifier, &entries), syntax, None, options(flags));
            assert_eq!(query.matches(&stored, syntax), Ok(expected == "yes"), "{syntax:?}: {line}");
        }
        rows += 1;
    }
    assert!(rows > 250, "only {rows} rows were read");
}
