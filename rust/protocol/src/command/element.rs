//! Element numbers of group 0000 (PS3.7 Annex E).

/// Command Group Length
pub const GROUP_LENGTH: u16 = 0x0000;
/// Affected SOP Class UID
pub const AFFECTED_SOP_CLASS_UID: u16 = 0x0002;
/// Requested SOP Class UID
pub const REQUESTED_SOP_CLASS_UID: u16 = 0x0003;
/// Command Field
pub const COMMAND_FIELD: u16 = 0x0100;
/// Message ID
pub const MESSAGE_ID: u16 = 0x0110;
/// Message ID Being Responded To
pub const MESSAGE_ID_BEING_RESPONDED_TO: u16 = 0x0120;
/// Move Destination
pub const MOVE_DESTINATION: u16 = 0x0600;
/// Priority
pub const PRIORITY: u16 = 0x0700;
/// Command Data Set Type
pub const COMMAND_DATA_SET_TYPE: u16 = 0x0800;
/// Status
pub const STATUS: u16 = 0x0900;
/// Offending Element
pub const OFFENDING_ELEMENT: u16 = 0x0901;
/// Error Comment
pub const ERROR_COMMENT: u16 = 0x0902;
/// Error ID
pub const ERROR_ID: u16 = 0x0903;
/// Affected SOP Instance UID
pub const AFFECTED_SOP_INSTANCE_UID: u16 = 0x1000;
/// Requested SOP Instance UID
pub const REQUESTED_SOP_INSTANCE_UID: u16 = 0x1001;
/// Event Type ID
pub const EVENT_TYPE_ID: u16 = 0x1002;
/// Attribute Identifier List
pub const ATTRIBUTE_IDENTIFIER_LIST: u16 = 0x1005;
/// Action Type ID
pub const ACTION_TYPE_ID: u16 = 0x1008;
/// Number of Remaining Sub-operations
pub const REMAINING: u16 = 0x1020;
/// Number of Completed Sub-operations
pub const COMPLETED: u16 = 0x1021;
/// Number of Failed Sub-operations
pub const FAILED: u16 = 0x1022;
/// Number of Warning Sub-operations
pub const WARNING: u16 = 0x1023;
/// Move Originator Application Entity Title
pub const MOVE_ORIGINATOR_AE_TITLE: u16 = 0x1030;
/// Move Originator Message ID
pub const MOVE_ORIGINATOR_MESSAGE_ID: u16 = 0x1031;
