//! What an IKE SA knows of its addresses when they may change (RFC 4555).

use std::net::IpAddr;

use crate::path::Path;

/// Part of an IKE SA whose peer knows MOBIKE as well.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Mobility {
    /// We began the first of the IKE SAs that followed each other by rekeying, and so it is we who
    /// decide between which addresses it is (section 3.5).
    pub(crate) decides: bool,
    /// Where else the peer can be reached, if we decide.
    pub(crate) others: Vec<IpAddr>,
    /// How often the addresses have changed: the answer to a request that was sent before tells
    /// nothing of those that are now.
    pub(crate) moves: u32,
    /// The peer has yet to be asked about the addresses that are now.
    pub(crate) due: bool,
    /// Where ESP stays until the peer has answered from its new address (section 3.7).
    pub(crate) proven: Option<Path>,
    /// Our address as the peer saw it last, as a hash; it changes when a NAT maps it anew.
    pub(crate) seen: Option<Vec<u8>>,
    /// How often the peer saw a NAT that must not be.
    pub(crate) nats: u8,
    /// How often another path was looked for since the peer was heard last.
    pub(crate) searches: usize,
}

impl Mobility {
    pub(crate) fn new(decides: bool) -> Self {
        Mobility {
            decides,
            others: Vec::new(),
            moves: 0,
            due: false,
            proven: None,
            seen: None,
            nats: 0,
            searches: 0,
        }
    }

    /// What the IKE SA that takes the place of this one begins with. Its SPIs are others, and so
    /// are all hashes.
    pub(crate) fn successor(&self) -> Self {
        Mobility {
            seen: None,
            ..self.clone()
        }
    }
}
