//! A picture of what exists, for people and metrics.

use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use policy::child::Mode;
use policy::identity::Identity;
use policy::names::{PeerName, RuleName};
use policy::proposal::{EspSuite, IkeSuite};
use policy::sa::ChildId;
use policy::selector::Selectors;
use policy::version::IkeVersion;

use crate::id::{IkeSaId, Role};

/// What an IKE SA is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IkeState {
    /// The handshake is under way.
    Connecting,
    /// It can be used.
    Established,
    /// It is being rekeyed.
    Rekeying,
    /// Another has taken over its children; it waits for its Delete.
    Replaced,
    /// It is being deleted.
    Closing,
}

/// An IKE SA.
#[derive(Clone, Debug)]
pub struct IkeStatus {
    /// Its name here: our SPI.
    pub ike: IkeSaId,
    /// The version of IKE.
    pub version: IkeVersion,
    /// The peer's SPI, 0 before it is known.
    pub peer_spi: u64,
    /// The peer; `None` for a responder before IKE_AUTH.
    pub peer: Option<PeerName>,
    /// Who the peer proved to be.
    pub remote_id: Option<Identity>,
    /// How it does, as the policy writes it; `None` before that is agreed on.
    pub authentication: Option<&'static str>,
    /// Who began it.
    pub role: Role,
    /// Our address and port.
    pub local: SocketAddr,
    /// The peer's.
    pub remote: SocketAddr,
    /// What it is doing.
    pub state: IkeState,
    /// What was agreed.
    pub suite: Option<IkeSuite>,
    /// How old it is.
    pub age: Duration,
    /// How long until it is rekeyed.
    pub rekey_in: Option<Duration>,
    /// What both sides agreed on beyond RFC 7296, one word each.
    pub extensions: Vec<&'static str>,
    /// Requests that wait for the window.
    pub queued: usize,
    /// Its children.
    pub children: Vec<ChildStatus>,
}

/// An IKE SA that this host may move to other addresses (RFC 4555).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Movable {
    /// The IKE SA.
    pub ike: IkeSaId,
    /// Our address.
    pub local: IpAddr,
    /// The peer's.
    pub remote: IpAddr,
    /// Where else the peer says it can be reached, and the policy agrees.
    pub others: Vec<IpAddr>,
}

/// What a child SA pair is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ChildState {
    /// It carries traffic.
    Installed,
    /// It carries traffic and is being rekeyed.
    Rekeying,
    /// Another has taken its place; it waits for its Delete.
    Replaced,
    /// It is being deleted.
    Deleting,
}

/// A child SA pair.
#[derive(Clone, Debug)]
pub struct ChildStatus {
    /// Its number.
    pub child: ChildId,
    /// The rule that wanted it.
    pub rule: RuleName,
    /// What it is doing.
    pub state: ChildState,
    /// Transport or tunnel.
    pub mode: Mode,
    /// What was agreed.
    pub suite: EspSuite,
    /// Our inbound SPI.
    pub inbound_spi: u32,
    /// Our outbound SPI.
    pub outbound_spi: u32,
    /// Which traffic it carries.
    pub selectors: Selectors,
    /// How old it is.
    pub age: Duration,
    /// How long until it is rekeyed.
    pub rekey_in: Option<Duration>,
}
