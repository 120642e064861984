//! Bytes as a command set: no panic, a set that stays what it is, and a response that echoes what came.

use dimsefast_protocol::command::{CommandSet, Status, element, response};

pub(crate) fn run(data: &[u8]) {
    let Ok(command) = CommandSet::decode(data) else { return };
    assert!(command.as_bytes().len() <= data.len() + 12, "the group length is all that is added");
    assert_eq!(CommandSet::decode(command.as_bytes()).as_ref(), Ok(&command), "a set is itself");
    assert_eq!(command.elements().map(|(_, value)| value.len() + 8).sum::<usize>() + 12, command.as_bytes().len());
    for number in [element::ATTRIBUTE_IDENTIFIER_LIST, element::OFFENDING_ELEMENT] {
        assert!(command.attributes(number).count() <= data.len() / 4);
    }
    let _ = (command.priority(), command.move_destination(), command.error_comment());
    let _ = (command.remaining(), command.completed(), command.failed(), command.warning());

    let answer = response(&command, Status::SUCCESS, false, &[]);
    assert!(!answer.has_dataset());
    assert!(answer.command_field().is_response());
    assert_eq!(answer.message_id_responded_to(), Some(command.message_id().unwrap_or(0)));
    // Padding included; what is odd gets a NUL more (PS3.7 6.3.1).
    for (sent, came) in [(answer.sop_class(), command.sop_class()), (answer.sop_instance(), command.sop_instance())] {
        let (sent, came) = (sent.unwrap_or_default(), came.unwrap_or_default());
        assert!(sent.as_bytes().starts_with(came.as_bytes()) && sent.as_bytes().len() - came.as_bytes().len() <= 1);
    }
}
