//! SAs and statistics by the names of Windows' IP Security Monitor, of both versions of IKE.

use crate::status::Counter;
use serde::{Deserialize, Serialize};

/// The answer of `holdfast sa main-mode`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainMode {
    /// ISAKMP SAs, and IKE SAs of IKEv2.
    pub sas: Vec<MainModeSa>,
    /// In the order of the monitor; zeros are there too.
    pub statistics: Vec<Counter>,
}

/// One SA of main mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MainModeSa {
    /// `IKEv1` or `IKEv2`.
    pub version: String,
    /// `ADDRESS:PORT` of this end.
    pub me: String,
    /// `ADDRESS:PORT` of the other end.
    pub peer: String,
    /// The peer's name in the configuration.
    pub peer_name: Option<String>,
    /// Who the peer proved to be.
    pub peer_id: Option<String>,
    /// How the peer proves who it is.
    pub authentication: Option<String>,
    /// The cipher.
    pub encryption: Option<String>,
    /// The integrity algorithm; the pseudo-random function where the cipher needs none.
    pub integrity: Option<String>,
    /// The Diffie-Hellman group.
    pub diffie_hellman: Option<String>,
    /// `connecting`, `established`, `rekeying`, `replaced` or `deleting`.
    pub state: String,
    /// Pairs of SAs below it.
    pub quick_modes: usize,
}

/// The answer of `holdfast sa quick-mode`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuickMode {
    /// Pairs of ESP SAs.
    pub sas: Vec<QuickModeSa>,
    /// In the order of the monitor; zeros are there too.
    pub statistics: Vec<Counter>,
}

/// One pair of SAs of quick mode.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct QuickModeSa {
    /// `IKEv1` or `IKEv2`.
    pub version: String,
    /// Address, protocol and port on this side, one word each.
    pub me: Vec<String>,
    /// The same on the other side.
    pub peer: Vec<String>,
    /// The rule, which is the negotiation policy.
    pub negotiation_policy: String,
    /// `transport` or `tunnel`.
    pub mode: String,
    /// ESP's cipher.
    pub esp_confidentiality: String,
    /// ESP's integrity algorithm; `null` where the cipher needs none.
    pub esp_integrity: Option<String>,
    /// `installed`, `rekeying`, `rekeyed` or `deleting`.
    pub state: String,
    /// Bytes opened.
    pub bytes_received: u64,
    /// Bytes sealed.
    pub bytes_sent: u64,
}
