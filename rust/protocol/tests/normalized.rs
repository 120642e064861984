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

/// A request and the response to it, against their bytes.
fn check(request: &CommandSet, bytes: [Vec<u8>; 2], has_dataset: bool, extra: &[(u16, &[u8])]) {
    let response = command::response(request, Status::SUCCESS, has_dataset, extra);
    for (message, bytes) in [request, &response].into_iter().zip(bytes) {
        assert_eq!(message.as_bytes(), bytes);
        assert_eq!(CommandSet::decode(&bytes).expect("valid"), *message);
    }
}

#[test]
fn requests_and_their_responses() {
    let (class, instance) = (Uid::from("1.2.840.10008.3.1.2.3.3"), Uid::from("1.2.3.45"));
    let request = command::n_event_report_rq(7, &class, &instance, 2, true);
    let event: (u16, &[u8]) = (element::EVENT_TYPE_ID, &[2, 0]);
    check(&request, [message!("n_event_report_rq"), message!("n_event_report_rsp")], false, &[event]);
    let request = command::n_get_rq(7, &class, &instance, &[(0x0040, 0x0252), (0x0008, 0x0060)]);
    check(&request, [message!("n_get_rq"), message!("n_get_rsp")], true, &[]);
    let request = command::n_set_rq(7, &class, &instance);
    check(&request, [message!("n_set_rq"), message!("n_set_rsp")], false, &[]);
    let request = command::n_action_rq(7, &class, &instance, 1, true);
    let action: (u16, &[u8]) = (element::ACTION_TYPE_ID, &[1, 0]);
    check(&request, [message!("n_action_rq"), message!("n_action_rsp")], false, &[action]);
    let request = command::n_create_rq(7, &class, Some(&instance), true);
    check(&request, [message!("n_create_rq"), message!("n_create_rsp")], false, &[]);
    let request = command::n_delete_rq(7, &class, &instance);
    check(&request, [message!("n_delete_rq"), message!("n_delete_rsp")], false, &[]);
}
