//! What carries an IKE SA: datagrams, or connections that its initiator opens (RFC 9329 section
//! 6.1).

use std::time::Instant;

use policy::sa::Transport;

/// What carries the messages of an IKE SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Carrier {
    Udp,
    Tcp(End),
}

/// Our end of a TCP connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct End {
    /// Whether we open it: who began does, through every rekeying.
    pub(crate) originator: bool,
    /// Whether it stands, as far as is known here.
    pub(crate) open: bool,
}

impl Carrier {
    /// A connection of ours that does not stand yet.
    pub(crate) const WANTED: Carrier = Carrier::Tcp(End {
        originator: true,
        open: false,
    });
    /// A connection of ours.
    pub(crate) const OPENED: Carrier = Carrier::Tcp(End {
        originator: true,
        open: true,
    });
    /// A connection that came in.
    pub(crate) const ACCEPTED: Carrier = Carrier::Tcp(End {
        originator: false,
        open: true,
    });

    pub(crate) fn transport(self) -> Transport {
        match self {
            Carrier::Udp => Transport::Udp,
            Carrier::Tcp(_) => Transport::Tcp,
        }
    }

    /// Whether there is nothing to send in.
    pub(crate) fn waits(self) -> bool {
        matches!(self, Carrier::Tcp(End { open: false, .. }))
    }

    /// Whether only the peer can open the connection.
    pub(crate) fn is_theirs(self) -> bool {
        matches!(
            self,
            Carrier::Tcp(End {
                originator: false,
                ..
            })
        )
    }

    /// Whether a connection is wanted that is ours to open.
    pub(crate) fn wants(self) -> bool {
        self == Carrier::WANTED
    }

    /// Whether it is a connection that stands.
    pub(crate) fn stands(self) -> bool {
        matches!(self, Carrier::Tcp(End { open: true, .. }))
    }

    pub(crate) fn set_open(&mut self, is_open: bool) {
        if let Carrier::Tcp(End { open, .. }) = self {
            *open = is_open;
        }
    }
}

/// Since when an IKE SA has no connection, and when another one is asked for.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lost {
    pub(crate) since: Instant,
    /// `None` where only the peer can open one.
    pub(crate) retry: Option<Instant>,
    pub(crate) attempts: u32,
}

impl Lost {
    /// It was lost now, or nobody knows when; `None` while nothing is lost.
    pub(crate) fn now(carrier: Carrier, now: Instant) -> Option<Self> {
        carrier.waits().then_some(Lost {
            since: now,
            retry: carrier.wants().then_some(now),
            attempts: 0,
        })
    }
}
