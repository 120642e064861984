//! The user information item and its sub-items (PS3.8 Annex D, PS3.7 Annex D).

use alloc::boxed::Box;
use alloc::string::String;
use alloc::vec::Vec;

use super::associate::item;
use super::reader::Reader;
use crate::error::PduError;
use crate::types::Uid;

const MAXIMUM_LENGTH: u8 = 0x51;
const IMPLEMENTATION_CLASS_UID: u8 = 0x52;
const ASYNCHRONOUS_OPERATIONS: u8 = 0x53;
const ROLE_SELECTION: u8 = 0x54;
const IMPLEMENTATION_VERSION: u8 = 0x55;
const SOP_CLASS_EXTENDED: u8 = 0x56;
const SOP_CLASS_COMMON_EXTENDED: u8 = 0x57;
const USER_IDENTITY_RQ: u8 = 0x58;
const USER_IDENTITY_AC: u8 = 0x59;

/// Asynchronous operations window (PS3.7 D.3.3.3); 0 is no limit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AsyncOps {
    /// Operations that the sender may invoke at the same time.
    pub invoked: u16,
    /// Operations that it may perform at the same time.
    pub performed: u16,
}

/// SCP/SCU role selection (PS3.7 D.3.3.4). The roles are those of the association requestor, in both directions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Which class it is about.
    pub sop_class: Uid,
    /// The requestor as SCU.
    pub scu: bool,
    /// The requestor as SCP.
    pub scp: bool,
}

/// SOP class extended negotiation (PS3.7 D.3.3.5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SopExtended {
    /// Which class it is about.
    pub sop_class: Uid,
    /// Service class application information.
    pub info: Vec<u8>,
}

/// SOP class common extended negotiation (PS3.7 D.3.3.6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SopCommonExtended {
    /// Which class it is about.
    pub sop_class: Uid,
    /// The service class it belongs to.
    pub service_class: Uid,
    /// Related general SOP classes.
    pub related: Vec<Uid>,
}

/// User identity (PS3.7 D.3.3.7).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UserIdentity {
    /// 1 user name, 2 user name and passcode, 3 Kerberos, 4 SAML, 5 JWT.
    pub kind: u8,
    /// Whether an answer is asked for.
    pub positive_response: bool,
    /// The name, ticket, assertion or token.
    pub primary: Vec<u8>,
    /// The passcode; empty for other kinds.
    pub secondary: Vec<u8>,
}

/// A sub-item that nobody here knows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnknownItem {
    /// Its type.
    pub kind: u8,
    /// Its value.
    pub data: Vec<u8>,
}

/// The user information item: what is absent is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UserInformation {
    /// Maximum length received; 0 is no limit.
    pub max_length: Option<u32>,
    /// Implementation Class UID.
    pub implementation_class_uid: Option<Uid>,
    /// Implementation version name, as sent.
    pub implementation_version: Option<Box<[u8]>>,
    /// Asynchronous operations window.
    pub async_ops: Option<AsyncOps>,
    /// Role selections.
    pub roles: Vec<Role>,
    /// SOP class extended negotiations.
    pub sop_extended: Vec<SopExtended>,
    /// SOP class common extended negotiations.
    pub sop_common: Vec<SopCommonExtended>,
    /// User identity; in requests.
    pub user_identity: Option<UserIdentity>,
    /// Server response to it; in accepts.
    pub user_identity_response: Option<Vec<u8>>,
    /// Sub-items of other types, kept as they are.
    pub unknown: Vec<UnknownItem>,
}

impl UserInformation {
    /// The implementation version name, readable.
    pub fn implementation_version_lossy(&self) -> Option<String> {
        self.implementation_version.as_ref().map(|name| name.iter().map(|&byte| char::from(byte)).collect())
    }

    /// Appends the sub-items, in the order of their types.
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        if let Some(length) = self.max_length {
            item(out, MAXIMUM_LENGTH, |out| out.extend_from_slice(&length.to_be_bytes()));
        }
        if let Some(uid) = &self.implementation_class_uid {
            item(out, IMPLEMENTATION_CLASS_UID, |out| out.extend_from_slice(uid.as_bytes()));
        }
        if let Some(window) = &self.async_ops {
            item(out, ASYNCHRONOUS_OPERATIONS, |out| {
                out.extend_from_slice(&window.invoked.to_be_bytes());
                out.extend_from_slice(&window.performed.to_be_bytes());
            });
        }
        for role in &self.roles {
            item(out, ROLE_SELECTION, |out| {
                counted(out, role.sop_class.as_bytes());
                out.extend_from_slice(&[role.scu.into(), role.scp.into()]);
            });
        }
        if let Some(name) = &self.implementation_version {
            item(out, IMPLEMENTATION_VERSION, |out| out.extend_from_slice(name));
        }
        for extended in &self.sop_extended {
            item(out, SOP_CLASS_EXTENDED, |out| {
                counted(out, extended.sop_class.as_bytes());
                out.extend_from_slice(&extended.info);
            });
        }
        for common in &self.sop_common {
            item(out, SOP_CLASS_COMMON_EXTENDED, |out| {
                counted(out, common.sop_class.as_bytes());
                counted(out, common.service_class.as_bytes());
                let mut related = Vec::new();
                for uid in &common.related {
                    counted(&mut related, uid.as_bytes());
                }
                counted(out, &related);
            });
        }
        if let Some(identity) = &self.user_identity {
            item(out, USER_IDENTITY_RQ, |out| {
                out.extend_from_slice(&[identity.kind, identity.positive_response.into()]);
                counted(out, &identity.primary);
                counted(out, &identity.secondary);
            });
        }
        if let Some(response) = &self.user_identity_response {
            item(out, USER_IDENTITY_AC, |out| counted(out, response));
        }
        for unknown in &self.unknown {
            item(out, unknown.kind, |out| out.extend_from_slice(&unknown.data));
        }
    }

    /// `count` is asked for each sub-item, and for each UID in a list.
    pub(super) fn decode(value: &[u8], mut count: impl FnMut() -> Result<(), PduError>) -> Result<Self, PduError> {
        let mut user = Self::default();
        let mut reader = Reader::new(value, "user information item");
        while !reader.is_empty() {
            let (kind, value) = reader.item()?;
            count()?;
            user.sub_item(kind, value, &mut count)?;
        }
        Ok(user)
    }

    fn sub_item(
        &mut self,
        kind: u8,
        value: &[u8],
        count: &mut impl FnMut() -> Result<(), PduError>,
    ) -> Result<(), PduError> {
        match kind {
            MAXIMUM_LENGTH => {
                let mut reader = Reader::new(value, "maximum length sub-item");
                let bytes = reader.bytes(4)?;
                self.max_length = Some(u32::from_be_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]));
            }
            IMPLEMENTATION_CLASS_UID => self.implementation_class_uid = Some(Uid::new(value)),
            IMPLEMENTATION_VERSION => self.implementation_version = Some(value.into()),
            ASYNCHRONOUS_OPERATIONS => {
                let mut reader = Reader::new(value, "asynchronous operations window sub-item");
                self.async_ops = Some(AsyncOps { invoked: reader.u16()?, performed: reader.u16()? });
            }
            ROLE_SELECTION => {
                let mut reader = Reader::new(value, "role selection sub-item");
                let sop_class = Uid::new(reader.counted()?);
                self.roles.push(Role { sop_class, scu: reader.u8()? != 0, scp: reader.u8()? != 0 });
            }
            SOP_CLASS_EXTENDED => {
                let mut reader = Reader::new(value, "SOP class extended negotiation sub-item");
                let sop_class = Uid::new(reader.counted()?);
                self.sop_extended.push(SopExtended { sop_class, info: reader.rest().into() });
            }
            SOP_CLASS_COMMON_EXTENDED => {
                let mut reader = Reader::new(value, "SOP class common extended negotiation sub-item");
                let sop_class = Uid::new(reader.counted()?);
                let service_class = Uid::new(reader.counted()?);
                let mut list = Reader::new(reader.counted()?, "related general SOP class identification");
                let mut related = Vec::new();
                while !list.is_empty() {
                    count()?;
                    related.push(Uid::new(list.counted()?));
                }
                self.sop_common.push(SopCommonExtended { sop_class, service_class, related });
            }
            USER_IDENTITY_RQ => {
                let mut reader = Reader::new(value, "user identity sub-item");
                self.user_identity = Some(UserIdentity {
                    kind: reader.u8()?,
                    positive_response: reader.u8()? != 0,
                    primary: reader.counted()?.into(),
                    secondary: reader.counted()?.into(),
                });
            }
            USER_IDENTITY_AC => {
                let mut reader = Reader::new(value, "user identity sub-item");
                self.user_identity_response = Some(reader.counted()?.into());
            }
            kind => self.unknown.push(UnknownItem { kind, data: value.into() }),
        }
        Ok(())
    }
}

/// A field with its length in two bytes in front.
fn counted(out: &mut Vec<u8>, value: &[u8]) {
    let length = u16::try_from(value.len()).unwrap_or(u16::MAX);
    out.extend_from_slice(&length.to_be_bytes());
    out.extend_from_slice(&value[..length.into()]);
}
