//! How much a peer may make us hold. Checked before memory is taken.

/// The limits of one association.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Longest A-ASSOCIATE PDU, in bytes. Real ones with 128 contexts are below 30 kB; user identities (SAML) can be long.
    pub association_pdu: u32,
    /// How far a P-DATA-TF PDU may exceed our maximum length, in bytes: some peers count the headers differently.
    pub data_pdu_slack: u32,
    /// Items and sub-items in one A-ASSOCIATE PDU, counted together: 128 contexts of 38 transfer syntaxes fit.
    pub items: usize,
    /// Presentation contexts in one A-ASSOCIATE PDU: there are 128 IDs.
    pub contexts: usize,
    /// Longest command set, in bytes.
    pub command_set: usize,
    /// Longest dataset of one message, in bytes; `None` for no limit, as the sinks have their own.
    pub message: Option<u64>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            association_pdu: 1 << 20,
            data_pdu_slack: 16 << 10,
            items: 8192,
            contexts: 128,
            command_set: 64 << 10,
            message: None,
        }
    }
}
