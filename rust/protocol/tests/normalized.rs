//! DIMSE-N messages against golden bytes, in both directions.

mod golden;

use dimsefast_protocol::command::{self, CommandSet, Status, element};
use dimsefast_protocol::types::Uid;
use golden::golden;

macro_rules! message {
    ($name:literal) => {
        golden(include_str!(concat!("../../../tests/data/command/", $name, ".txt")))
    };
}

#[test]
fn requests_and_their_responses() {
    let (class, instance) = (Uid::from("1.2.840.10008.3.1.2.3.3"), Uid::from("1.2.3.45"));
    let tags = [(0x0040, 0x0252), (0x0008, 0x0060)];
    let event = (element::EVENT_TYPE_ID, &[2, 0][..]);
    let action = (element::ACTION_TYPE_ID, &[1, 0][..]);
    let cases: [(_, _, _, bool, &[(u16, &[u8])]); 6] = [
        (
            command::n_event_report_rq(7, &class, &instance, 2, true),
            message!("n_event_report_rq"),
            message!("n_event_report_rsp"),
            false,
            &[event],
        ),
        (command::n_get_rq(7, &class, &instance, &tags), message!("n_get_rq"), message!("n_get_rsp"), true, &[]),
        (command::n_set_rq(7, &class, &instance), message!("n_set_rq"), message!("n_set_rsp"), false, &[]),
        (
            command::n_action_rq(7, &class, &instance, 1, true),
            message!("n_action_rq"),
            message!("n_action_rsp"),
            false,
            &[action],
        ),
        (
            command::n_create_rq(7, &class, Some(&instance), true),
            message!("n_create_rq"),
            message!("n_create_rsp"),
            false,
            &[],
        ),
        (command::n_delete_rq(7, &class, &instance), message!("n_delete_rq"), message!("n_delete_rsp"), false, &[]),
    ];
    for (request, request_bytes, response_bytes, has_dataset, extra) in cases {
        assert_eq!(request.as_bytes(), request_bytes);
        assert_eq!(CommandSet::decode(&request_bytes).expect("valid"), request);
        let response = command::response(&request, Status::SUCCESS, has_dataset, extra);
        assert_eq!(response.as_bytes(), response_bytes);
        assert_eq!(CommandSet::decode(&response_bytes).expect("valid"), response);
    }
}
