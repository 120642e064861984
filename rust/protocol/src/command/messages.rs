//! The messages of the DIMSE services (PS3.7 9.3 and 10.3), ready to send.

use super::builder::Builder;
use super::{CommandField, CommandSet, Priority, Status, element};
use crate::types::{AeTitle, Uid};

/// C-ECHO-RQ
pub fn c_echo_rq(message_id: u16, sop_class: &Uid) -> CommandSet {
    request(CommandField::C_ECHO_RQ, message_id, sop_class).dataset(false).build()
}

/// C-STORE-RQ; `originator` is the AE title and Message ID of the C-MOVE that it belongs to.
pub fn c_store_rq(
    message_id: u16,
    sop_class: &Uid,
    sop_instance: &Uid,
    priority: Priority,
    originator: Option<(&AeTitle, u16)>,
) -> CommandSet {
    let mut builder = request(CommandField::C_STORE_RQ, message_id, sop_class)
        .dataset(true)
        .u16(element::PRIORITY, priority.0)
        .uid(element::AFFECTED_SOP_INSTANCE_UID, sop_instance);
    if let Some((title, id)) = originator {
        builder = builder.ae(element::MOVE_ORIGINATOR_AE_TITLE, title).u16(element::MOVE_ORIGINATOR_MESSAGE_ID, id);
    }
    builder.build()
}

/// C-FIND-RQ
pub fn c_find_rq(message_id: u16, sop_class: &Uid, priority: Priority) -> CommandSet {
    request(CommandField::C_FIND_RQ, message_id, sop_class).dataset(true).u16(element::PRIORITY, priority.0).build()
}

/// C-GET-RQ
pub fn c_get_rq(message_id: u16, sop_class: &Uid, priority: Priority) -> CommandSet {
    request(CommandField::C_GET_RQ, message_id, sop_class).dataset(true).u16(element::PRIORITY, priority.0).build()
}

/// C-MOVE-RQ
pub fn c_move_rq(message_id: u16, sop_class: &Uid, priority: Priority, destination: &AeTitle) -> CommandSet {
    request(CommandField::C_MOVE_RQ, message_id, sop_class)
        .dataset(true)
        .u16(element::PRIORITY, priority.0)
        .ae(element::MOVE_DESTINATION, destination)
        .build()
}

/// C-CANCEL-RQ of the request with this Message ID
pub fn c_cancel_rq(message_id: u16) -> CommandSet {
    CommandSet::builder(CommandField::C_CANCEL_RQ)
        .u16(element::MESSAGE_ID_BEING_RESPONDED_TO, message_id)
        .dataset(false)
        .build()
}

/// N-EVENT-REPORT-RQ
pub fn n_event_report_rq(
    message_id: u16,
    class: &Uid,
    instance: &Uid,
    event_type: u16,
    has_dataset: bool,
) -> CommandSet {
    request(CommandField::N_EVENT_REPORT_RQ, message_id, class)
        .uid(element::AFFECTED_SOP_INSTANCE_UID, instance)
        .u16(element::EVENT_TYPE_ID, event_type)
        .dataset(has_dataset)
        .build()
}

/// N-GET-RQ for the attributes with these (group, element) tags, or for all
pub fn n_get_rq(message_id: u16, class: &Uid, instance: &Uid, attributes: &[(u16, u16)]) -> CommandSet {
    let mut builder = requested(CommandField::N_GET_RQ, message_id, class, instance).dataset(false);
    if !attributes.is_empty() {
        builder = builder.attributes(element::ATTRIBUTE_IDENTIFIER_LIST, attributes);
    }
    builder.build()
}

/// N-SET-RQ
pub fn n_set_rq(message_id: u16, class: &Uid, instance: &Uid) -> CommandSet {
    requested(CommandField::N_SET_RQ, message_id, class, instance).dataset(true).build()
}

/// N-ACTION-RQ
pub fn n_action_rq(message_id: u16, class: &Uid, instance: &Uid, action_type: u16, has_dataset: bool) -> CommandSet {
    requested(CommandField::N_ACTION_RQ, message_id, class, instance)
        .u16(element::ACTION_TYPE_ID, action_type)
        .dataset(has_dataset)
        .build()
}

/// N-CREATE-RQ; without an instance the performer chooses one
pub fn n_create_rq(message_id: u16, class: &Uid, instance: Option<&Uid>, has_dataset: bool) -> CommandSet {
    let mut builder = request(CommandField::N_CREATE_RQ, message_id, class).dataset(has_dataset);
    if let Some(instance) = instance {
        builder = builder.uid(element::AFFECTED_SOP_INSTANCE_UID, instance);
    }
    builder.build()
}

/// N-DELETE-RQ
pub fn n_delete_rq(message_id: u16, class: &Uid, instance: &Uid) -> CommandSet {
    requested(CommandField::N_DELETE_RQ, message_id, class, instance).dataset(false).build()
}

fn request(field: CommandField, message_id: u16, sop_class: &Uid) -> Builder {
    CommandSet::builder(field).u16(element::MESSAGE_ID, message_id).uid(element::AFFECTED_SOP_CLASS_UID, sop_class)
}

fn requested(field: CommandField, message_id: u16, class: &Uid, instance: &Uid) -> Builder {
    CommandSet::builder(field)
        .u16(element::MESSAGE_ID, message_id)
        .uid(element::REQUESTED_SOP_CLASS_UID, class)
        .uid(element::REQUESTED_SOP_INSTANCE_UID, instance)
}

/// The response to a request: its Message ID and UIDs go back exactly as they came, whatever they are and however they are padded (one of
/// odd length gets a NUL more, as command sets have even lengths); a requested class or instance becomes the affected one (PS3.7 10.1). `extra` elements replace those of the same number.
pub fn response(request: &CommandSet, status: Status, has_dataset: bool, extra: &[(u16, &[u8])]) -> CommandSet {
    let mut builder = CommandSet::builder(request.command_field().to_response())
        .u16(element::MESSAGE_ID_BEING_RESPONDED_TO, request.message_id().unwrap_or(0))
        .dataset(has_dataset)
        .u16(element::STATUS, status.0);
    for (affected, requested) in [
        (element::AFFECTED_SOP_CLASS_UID, element::REQUESTED_SOP_CLASS_UID),
        (element::AFFECTED_SOP_INSTANCE_UID, element::REQUESTED_SOP_INSTANCE_UID),
    ] {
        if let Some(uid) = request.get(affected).or_else(|| request.get(requested)) {
            builder = builder.bytes(affected, uid);
        }
    }
    for (element, value) in extra {
        builder = builder.bytes(*element, value);
    }
    builder.build()
}

/// What became of the sub-operations of a C-GET or C-MOVE.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// Not yet started; `None` in final responses other than Cancel, which do not have it.
    pub remaining: Option<u64>,
    /// Successful.
    pub completed: u64,
    /// Failed.
    pub failed: u64,
    /// Done with a warning.
    pub warning: u64,
}

impl Counters {
    /// The elements of a [`response`]. They are US: beyond 65,535 they stay there.
    pub fn elements(&self) -> impl Iterator<Item = (u16, [u8; 2])> {
        let counters = [
            (element::REMAINING, self.remaining),
            (element::COMPLETED, Some(self.completed)),
            (element::FAILED, Some(self.failed)),
            (element::WARNING, Some(self.warning)),
        ];
        counters.into_iter().filter_map(|(element, count)| {
            count.map(|count| (element, u16::try_from(count).unwrap_or(u16::MAX).to_le_bytes()))
        })
    }
}
