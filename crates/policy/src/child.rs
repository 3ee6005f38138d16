//! What a rule asks of a CHILD SA pair (RFC 4301 section 4.4.1.2, processing info).

use std::fmt;
use std::time::Duration;

use crate::proposal::{self, EspProposal};
use crate::timers::ChildLifetime;

/// How ESP wraps a packet (RFC 4303 section 3.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// The packet keeps its IP header: host to host.
    Transport,
    /// The whole packet goes into a new one between two gateways.
    Tunnel,
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Mode::Transport => "transport",
            Mode::Tunnel => "tunnel",
        })
    }
}

/// What the outer header of a tunnel says (RFC 4301 section 5.1.2.1). Transport mode has no other
/// header than the packet's own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OuterHeader {
    /// The DSCP field, 0 to 63; `None`: that of the packet inside. ECN is always the packet's
    /// (RFC 6040 section 4.1).
    pub dscp: Option<u8>,
    /// Whether routers may fragment it.
    pub dont_fragment: DontFragment,
}

/// The bit "don't fragment" of an outer IPv4 header, and whether this host fragments IPv6.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum DontFragment {
    /// As in the packet inside.
    #[default]
    Copy,
    /// Always set: what does not fit is cut before it is sealed, or its sender is told.
    Set,
    /// Never set: what does not fit is fragmented on its way.
    Clear,
}

/// What a rule asks of a CHILD SA pair.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ChildTemplate {
    /// Transport or tunnel mode.
    pub mode: Mode,
    /// Proposals in order of preference, never empty.
    pub proposals: Vec<EspProposal>,
    /// When it is rekeyed and when it ends.
    pub lifetime: ChildLifetime,
    /// Deleted when nothing valid came **in** for this long. Outbound packets do not count: they
    /// would keep an SA alive whose other end is gone.
    pub idle: Option<Duration>,
    /// Packets in the anti-replay window (RFC 4303 section 3.4.3), a multiple of 64.
    pub replay_window: u32,
    /// What the outer header of a tunnel says.
    pub outer: OuterHeader,
    /// Pairs that a peer may make for its resources, such as processors, beside the first one with
    /// the same selectors (RFC 9611).
    pub per_resource: u8,
}

impl ChildTemplate {
    /// Replay window by default, in packets: what a burst over two queues can reorder, with room.
    pub const REPLAY_WINDOW: u32 = 1024;

    /// Transport mode with our default algorithms and lifetimes.
    #[must_use]
    pub fn transport() -> Self {
        ChildTemplate {
            mode: Mode::Transport,
            proposals: proposal::default_esp(),
            lifetime: ChildLifetime::modern(),
            idle: None,
            replay_window: Self::REPLAY_WINDOW,
            outer: OuterHeader::default(),
            per_resource: 0,
        }
    }

    /// Tunnel mode with our default algorithms and lifetimes.
    #[must_use]
    pub fn tunnel() -> Self {
        ChildTemplate {
            mode: Mode::Tunnel,
            ..ChildTemplate::transport()
        }
    }
}
