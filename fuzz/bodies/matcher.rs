//! Bytes as an identifier and a candidate: no panic, and responses that are datasets.

use dimsefast_identifier::codec::record::{actual_syntax, parse};
use dimsefast_identifier::codec::{Record, Syntax};
use dimsefast_identifier::query::levels::Model;
use dimsefast_identifier::query::{Options, Query};

/// The first byte are the options, the next two how long the identifier is.
pub(crate) fn run(data: &[u8]) {
    let [flags, high, low, bytes @ ..] = data else { return };
    let length = u16::from_be_bytes([*high, *low]);
    let (identifier, candidate) = bytes.split_at(usize::from(length).min(bytes.len()));
    let flag = |bit: u8| flags >> bit & 1 == 1;
    let options = Options {
        model: flag(0).then_some(Model::PatientRoot),
        worklist: flag(0),
        datetime: flag(1),
        fuzzy: flag(2),
        timezone: flag(3),
        empty_value: flag(4),
        multiple_value: flag(5),
        local_offset: flag(6).then_some(60),
    };
    let syntax = if flag(7) { Syntax::IMPLICIT } else { Syntax::EXPLICIT };
    let Ok(entries) = parse(identifier, syntax) else { return };
    let query = Query::new(Record::new(identifier, &entries), syntax, None, options);
    let _ = query.check(flag(0), flag(1));
    // What an identifier returns of itself is always a dataset, if it is in the syntax that it is said to be in.
    let own = query.response(identifier, syntax, &[]);
    assert!(own.is_ok() || actual_syntax(identifier, syntax) != syntax);
    if let Ok(own) = own {
        parse(&own, syntax).expect("a response is a dataset");
    }
    let matched = query.matches(candidate, syntax);
    assert_eq!(matched, query.matches(candidate, syntax));
    if let Ok(response) = query.response(candidate, syntax, &[])
        && parse(candidate, syntax).is_ok()
    {
        parse(&response, syntax).expect("a response is a dataset");
    }
}
