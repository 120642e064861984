//! The upper layer state machine (PS3.8 9.2). Table 9-10 stands here once, as data; nothing else changes state.

use core::fmt;

/// A state of PS3.8 Tables 9-1 to 9-5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum State {
    /// Idle.
    Sta1 = 1,
    /// Transport connection open, awaiting A-ASSOCIATE-RQ.
    Sta2,
    /// Awaiting the local accept or reject.
    Sta3,
    /// Awaiting the transport connection.
    Sta4,
    /// Awaiting A-ASSOCIATE-AC or -RJ.
    Sta5,
    /// Association established.
    Sta6,
    /// Awaiting A-RELEASE-RP.
    Sta7,
    /// Awaiting the local A-RELEASE response.
    Sta8,
    /// Release collision, requestor side: awaiting the local A-RELEASE response.
    Sta9,
    /// Release collision, acceptor side: awaiting A-RELEASE-RP.
    Sta10,
    /// Release collision, requestor side: awaiting A-RELEASE-RP.
    Sta11,
    /// Release collision, acceptor side: awaiting the local A-RELEASE response.
    Sta12,
    /// Awaiting the close of the transport connection.
    Sta13,
}

/// An event of PS3.8 Table 9-10.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// A-ASSOCIATE request of the local user.
    Evt1 = 1,
    /// Transport connection confirmed.
    Evt2,
    /// A-ASSOCIATE-AC received.
    Evt3,
    /// A-ASSOCIATE-RJ received.
    Evt4,
    /// Transport connection indication.
    Evt5,
    /// A-ASSOCIATE-RQ received.
    Evt6,
    /// A-ASSOCIATE response of the local user: accept.
    Evt7,
    /// A-ASSOCIATE response of the local user: reject.
    Evt8,
    /// P-DATA request of the local user.
    Evt9,
    /// P-DATA-TF received.
    Evt10,
    /// A-RELEASE request of the local user.
    Evt11,
    /// A-RELEASE-RQ received.
    Evt12,
    /// A-RELEASE-RP received.
    Evt13,
    /// A-RELEASE response of the local user.
    Evt14,
    /// A-ABORT request of the local user.
    Evt15,
    /// A-ABORT received.
    Evt16,
    /// Transport connection closed.
    Evt17,
    /// ARTIM timer expired.
    Evt18,
    /// Unrecognized or invalid PDU received.
    Evt19,
}

/// An action of PS3.8 Tables 9-6 to 9-9.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "each is defined by the table of the standard")]
pub enum Action {
    AE1,
    AE2,
    AE3,
    AE4,
    AE5,
    AE6,
    AE7,
    AE8,
    DT1,
    DT2,
    AR1,
    AR2,
    AR3,
    AR4,
    AR5,
    AR6,
    AR7,
    AR8,
    AR9,
    AR10,
    AA1,
    AA2,
    AA3,
    AA4,
    AA5,
    AA6,
    AA7,
    AA8,
}

use Action::{
    AA1, AA2, AA3, AA4, AA5, AA6, AA7, AA8, AE1, AE2, AE3, AE4, AE5, AE6, AE7, AE8, AR1, AR2, AR3, AR4, AR5, AR6, AR7,
    AR8, AR9, AR10, DT1, DT2,
};

macro_rules! table {
    (@cell _) => { None };
    (@cell $action:ident) => { Some($action) };
    ($([$($cell:tt)*])*) => { [$([$(table!(@cell $cell)),*]),*] };
}

/// PS3.8 Table 9-10: a row for each event, a column for each state, `_` where the pair cannot happen.
#[rustfmt::skip]
static TABLE: [[Option<Action>; 13]; 19] = table! {
    // S1  S2  S3  S4  S5  S6  S7  S8  S9  S10  S11 S12 S13
    [ AE1  _   _   _   _   _   _   _   _   _    _   _   _   ]
    [ _    _   _   AE2 _   _   _   _   _   _    _   _   _   ]
    [ _    AA1 AA8 _   AE3 AA8 AA8 AA8 AA8 AA8  AA8 AA8 AA6 ]
    [ _    AA1 AA8 _   AE4 AA8 AA8 AA8 AA8 AA8  AA8 AA8 AA6 ]
    [ AE5  _   _   _   _   _   _   _   _   _    _   _   _   ]
    [ _    AE6 AA8 _   AA8 AA8 AA8 AA8 AA8 AA8  AA8 AA8 AA7 ]
    [ _    _   AE7 _   _   _   _   _   _   _    _   _   _   ]
    [ _    _   AE8 _   _   _   _   _   _   _    _   _   _   ]
    [ _    _   _   _   _   DT1 _   AR7 _   _    _   _   _   ]
    [ _    AA1 AA8 _   AA8 DT2 AR6 AA8 AA8 AA8  AA8 AA8 AA6 ]
    [ _    _   _   _   _   AR1 _   _   _   _    _   _   _   ]
    [ _    AA1 AA8 _   AA8 AR2 AR8 AA8 AA8 AA8  AA8 AA8 AA6 ]
    [ _    AA1 AA8 _   AA8 AA8 AR3 AA8 AA8 AR10 AR3 AA8 AA6 ]
    [ _    _   _   _   _   _   _   AR4 AR9 _    _   AR4 _   ]
    [ _    _   AA1 AA2 AA1 AA1 AA1 AA1 AA1 AA1  AA1 AA1 _   ]
    [ _    AA2 AA3 _   AA3 AA3 AA3 AA3 AA3 AA3  AA3 AA3 AA2 ]
    [ _    AA5 AA4 AA4 AA4 AA4 AA4 AA4 AA4 AA4  AA4 AA4 AR5 ]
    [ _    AA2 _   _   _   _   _   _   _   _    _   _   AA2 ]
    [ _    AA1 AA8 _   AA8 AA8 AA8 AA8 AA8 AA8  AA8 AA8 AA7 ]
};

/// What to do; `None` where the event cannot happen in the state.
pub const fn transition(state: State, event: Event) -> Option<Action> {
    TABLE[event as usize - 1][state as usize - 1]
}

impl Action {
    /// The state after it. `requestor` matters for AR-8 alone, `rejected` (the request cannot be taken as it is) for AE-6.
    pub const fn next_state(self, requestor: bool, rejected: bool) -> State {
        match self {
            AE1 => State::Sta4,
            AE2 => State::Sta5,
            AE3 | AE7 | DT1 | DT2 => State::Sta6,
            AE4 | AR3 | AR5 | AA2 | AA3 | AA4 | AA5 => State::Sta1,
            AE5 => State::Sta2,
            AE6 if !rejected => State::Sta3,
            AE6 | AE8 | AR4 | AA1 | AA6 | AA7 | AA8 => State::Sta13,
            AR1 | AR6 => State::Sta7,
            AR2 | AR7 => State::Sta8,
            AR8 if requestor => State::Sta9,
            AR8 => State::Sta10,
            AR9 => State::Sta11,
            AR10 => State::Sta12,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Sta{}", *self as u8)
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Evt{}", *self as u8)
    }
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = alloc::format!("{self:?}");
        write!(f, "{}-{}", &name[..2], &name[2..])
    }
}
