//! Command sets.

use dimsefast_protocol::command::{self, CommandField, CommandSet, Priority, Status, element};
use dimsefast_protocol::types::{AeTitle, Uid};
use proptest::collection::vec;
use proptest::prelude::*;

fn uid(text: &str) -> Uid {
    Uid::from(text)
}

#[test]
fn all_requests_have_what_the_standard_wants() {
    let (class, instance, title) = (uid("1.2.840.10008.1.1"), uid("1.2.3"), AeTitle::new("DEST").unwrap());
    let requests = [
        (command::c_echo_rq(1, &class), CommandField::C_ECHO_RQ, false),
        (command::c_store_rq(2, &class, &instance, Priority::LOW, Some((&title, 9))), CommandField::C_STORE_RQ, true),
        (command::c_find_rq(3, &class, Priority::HIGH), CommandField::C_FIND_RQ, true),
        (command::c_get_rq(4, &class, Priority::MEDIUM), CommandField::C_GET_RQ, true),
        (command::c_move_rq(5, &class, Priority::MEDIUM, &title), CommandField::C_MOVE_RQ, true),
        (command::n_event_report_rq(6, &class, &instance, 1, true), CommandField::N_EVENT_REPORT_RQ, true),
        (command::n_get_rq(7, &class, &instance, &[(0x10, 0x20)]), CommandField::N_GET_RQ, false),
        (command::n_set_rq(8, &class, &instance), CommandField::N_SET_RQ, true),
        (command::n_action_rq(9, &class, &instance, 2, false), CommandField::N_ACTION_RQ, false),
        (command::n_create_rq(10, &class, None, true), CommandField::N_CREATE_RQ, true),
        (command::n_delete_rq(11, &class, &instance), CommandField::N_DELETE_RQ, false),
    ];
    for (number, (set, field, has_dataset)) in (1..).zip(&requests) {
        assert_eq!(set.command_field(), *field);
        assert_eq!(set.message_id(), Some(number));
        assert_eq!(set.has_dataset(), *has_dataset, "{field:?}");
        assert_eq!(CommandSet::decode(set.as_bytes()).unwrap(), *set);
        let numbers: Vec<u16> = set.elements().map(|(number, _)| number).collect();
        assert!(numbers.is_sorted() && set.elements().all(|(_, value)| value.len() % 2 == 0), "{field:?}");
        let response = command::response(set, Status::SUCCESS, false, &[]);
        assert_eq!(response.command_field(), field.to_response());
        assert!(response.command_field().is_response());
        assert_eq!(response.message_id_responded_to(), Some(number));
        assert_eq!(response.affected_sop_class_uid(), Some(class.clone()));
    }
    let cancel = command::c_cancel_rq(7);
    assert_eq!((cancel.message_id_responded_to(), cancel.message_id()), (Some(7), None));
}

#[test]
fn golden_bytes_of_an_echo() {
    let bytes = [
        &b"\x00\x00\x00\x00\x04\x00\x00\x00\x38\x00\x00\x00"[..], // (0000,0000) group length 56
        b"\x00\x00\x02\x00\x12\x00\x00\x001.2.840.10008.1.1\0",   // (0000,0002) padded with one NUL
        b"\x00\x00\x00\x01\x02\x00\x00\x00\x30\x00",              // (0000,0100) C-ECHO-RQ
        b"\x00\x00\x10\x01\x02\x00\x00\x00\x07\x00",              // (0000,0110) Message ID 7
        b"\x00\x00\x00\x08\x02\x00\x00\x00\x01\x01",              // (0000,0800) no dataset
    ]
    .concat();
    assert_eq!(command::c_echo_rq(7, &uid("1.2.840.10008.1.1")).as_bytes(), bytes);
}

#[test]
fn a_response_echoes_uids_exactly_as_they_came() {
    let request = CommandSet::builder(CommandField::C_STORE_RQ)
        .bytes(element::AFFECTED_SOP_CLASS_UID, b"1.2.840.10008.5.1.4.1.1.2 ")
        .bytes(element::AFFECTED_SOP_INSTANCE_UID, b"../../\xff\0\0\0")
        .u16(element::MESSAGE_ID, 3)
        .build();
    let response = command::response(&request, Status(0xA700), false, &[(element::ERROR_COMMENT, b"odd")]);
    assert_eq!(response.get(element::AFFECTED_SOP_INSTANCE_UID), Some(&b"../../\xff\0\0\0"[..]));
    assert_eq!(response.get(element::AFFECTED_SOP_CLASS_UID), Some(&b"1.2.840.10008.5.1.4.1.1.2 "[..]));
    assert_eq!(response.get(element::ERROR_COMMENT), Some(&b"odd "[..]));
    let request = command::n_delete_rq(1, &uid("1.2"), &uid("1.3"));
    let response = command::response(&request, Status::SUCCESS, false, &[]);
    assert_eq!(response.affected_sop_instance_uid(), Some(uid("1.3")));
    assert_eq!(response.get(element::REQUESTED_SOP_INSTANCE_UID), None);
}

#[test]
fn a_missing_or_wrong_group_length_is_mended() {
    let set = command::c_echo_rq(1, &uid("1.2"));
    let without = &set.as_bytes()[12..];
    assert_eq!(CommandSet::decode(without).unwrap(), set);
    let mut wrong = set.as_bytes().to_vec();
    wrong[8..12].copy_from_slice(&[0xff; 4]);
    assert_eq!(CommandSet::decode(&wrong).unwrap(), set);
}

#[test]
fn what_is_no_command_set_is_an_error() {
    let set = command::c_echo_rq(1, &uid("1.2"));
    for end in 1..set.as_bytes().len() {
        let cut = CommandSet::decode(&set.as_bytes()[..end]);
        assert!(cut.is_err() || cut.is_ok_and(|cut| cut.command_field() == CommandField::C_ECHO_RQ));
    }
    assert!(CommandSet::decode(b"").is_err());
    assert!(CommandSet::decode(b"\x08\x00\x05\x00\x00\x00\x00\x00").is_err(), "another group");
    assert!(CommandSet::decode(b"\x00\x00\x00\x01\xff\xff\xff\xff").is_err(), "a length that wraps");
}

proptest! {
    #[test]
    fn what_was_built_is_decoded(elements in vec((1..0x2000u16, vec(any::<u8>(), 0..40)), 0..12), field in any::<u16>()) {
        let mut builder = CommandSet::builder(CommandField(field));
        for (number, value) in elements.iter().filter(|(number, _)| *number != element::COMMAND_FIELD) {
            builder = builder.bytes(*number, value);
        }
        let set = builder.build();
        prop_assert_eq!(set.command_field(), CommandField(field));
        prop_assert_eq!(CommandSet::decode(set.as_bytes()).unwrap(), set);
    }

    #[test]
    fn arbitrary_bytes_never_panic(bytes in vec(any::<u8>(), 0..200)) {
        if let Ok(set) = CommandSet::decode(&bytes) {
            let _ = (set.message_id(), set.status(), set.has_dataset(), set.elements().count());
            let _ = command::response(&set, Status::SUCCESS, false, &[]);
        }
    }
}

#[test]
fn more_sub_operations_than_a_counter_holds_stay_at_its_end() {
    // The counters are US; what is counted is not.
    let counters = command::Counters { remaining: Some(1 << 33), completed: 65_536, failed: 65_535, warning: 65_534 };
    let encoded: Vec<_> = counters.elements().map(|(_, value)| u16::from_le_bytes(value)).collect();
    assert_eq!(encoded, [65_535, 65_535, 65_535, 65_534]);
}
