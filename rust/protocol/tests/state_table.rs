//! All 247 cells of PS3.8 Table 9-10, and every next state, against a transcription made apart from the code's table.

use std::collections::{BTreeMap, BTreeSet};

use dimsefast_protocol::state::{Action, Event, State, transition};

const TRANSCRIPTION: &str = include_str!("../../../tests/data/state_table.txt");

const STATES: [State; 13] = [
    State::Sta1,
    State::Sta2,
    State::Sta3,
    State::Sta4,
    State::Sta5,
    State::Sta6,
    State::Sta7,
    State::Sta8,
    State::Sta9,
    State::Sta10,
    State::Sta11,
    State::Sta12,
    State::Sta13,
];

const EVENTS: [Event; 19] = [
    Event::Evt1,
    Event::Evt2,
    Event::Evt3,
    Event::Evt4,
    Event::Evt5,
    Event::Evt6,
    Event::Evt7,
    Event::Evt8,
    Event::Evt9,
    Event::Evt10,
    Event::Evt11,
    Event::Evt12,
    Event::Evt13,
    Event::Evt14,
    Event::Evt15,
    Event::Evt16,
    Event::Evt17,
    Event::Evt18,
    Event::Evt19,
];

/// "AE-6" as it stands in the transcription: "AE6".
fn plain(action: Action) -> String {
    action.to_string().replace('-', "")
}

fn lines() -> impl Iterator<Item = Vec<&'static str>> {
    TRANSCRIPTION
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| line.split_whitespace().collect())
}

/// Every action that stands in the table, by its plain name.
fn actions() -> BTreeMap<String, Action> {
    let cells = EVENTS.iter().flat_map(|event| STATES.iter().filter_map(|state| transition(*state, *event)));
    cells.map(|action| (plain(action), action)).collect()
}

#[test]
fn every_cell_is_as_transcribed() {
    let rows: Vec<_> = lines().filter(|line| line[0] != "next").collect();
    assert_eq!(rows.len(), EVENTS.len());
    let (mut cells, mut legal) = (0, 0);
    for (row, event) in rows.iter().zip(EVENTS) {
        assert_eq!(format!("Evt{}", row[0]), event.to_string());
        assert_eq!(row.len(), 1 + STATES.len(), "row of {event}");
        for (cell, state) in row[1..].iter().zip(STATES) {
            let action = transition(state, event).map_or("-".to_owned(), plain);
            assert_eq!(&action, cell, "{event} in {state}");
            cells += 1;
            legal += usize::from(*cell != "-");
        }
    }
    assert_eq!((cells, legal), (247, 123));
}

#[test]
fn every_action_leads_where_it_is_transcribed_to_lead() {
    let actions = actions();
    let mut seen = BTreeSet::new();
    for line in lines().filter(|line| line[0] == "next") {
        let action = actions[line[1]];
        let next = [(true, false), (false, false), (false, true)]
            .map(|(requestor, rejected)| action.next_state(requestor, rejected).to_string());
        let expected: Vec<_> = line[2..].iter().map(|number| format!("Sta{number}")).collect();
        assert_eq!(&next[..], &expected[..], "{action}");
        seen.insert(line[1].to_owned());
    }
    assert_eq!(seen, actions.into_keys().collect::<BTreeSet<_>>(), "every action has a next state, and no other");
}

#[test]
fn names_are_those_of_the_standard() {
    assert_eq!(State::Sta6.to_string(), "Sta6");
    assert_eq!(State::Sta13.to_string(), "Sta13");
    assert_eq!(Event::Evt10.to_string(), "Evt10");
    assert_eq!(transition(State::Sta6, Event::Evt10).map(|action| action.to_string()).as_deref(), Some("DT-2"));
    assert_eq!(transition(State::Sta10, Event::Evt13).map(|action| action.to_string()).as_deref(), Some("AR-10"));
}
