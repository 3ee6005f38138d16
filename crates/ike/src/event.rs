//! What happened, told once: the source of the log line, the metric and the picture.

mod audit;
mod display;

use std::net::{IpAddr, SocketAddr};

use policy::child::Mode;
use policy::identity::Identity;
use policy::names::{PeerName, RuleName};
use policy::proposal::{EspSuite, IkeSuite};
use policy::sa::ChildId;
use policy::selector::Selectors;
use wire::ike::NotifyType;
use x509::Trouble;

use crate::error::{Error, RedirectRefusal};
use crate::id::{IkeSaId, Role};

pub use audit::{Audit, AuditMode, FailurePoint};

/// Why an SA is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reason {
    /// The host asked for it.
    Requested,
    /// The peer deleted it.
    ByPeer,
    /// Nothing came in for too long.
    Idle,
    /// It had no child for too long.
    Childless,
    /// Its life was over before it was rekeyed.
    Lifetime,
    /// Another took its place.
    Rekeyed,
    /// The peer, or we, went to another gateway (RFC 5685).
    Redirected,
    /// Both sides rekeyed at once, and this one is not needed (RFC 7296 section 2.8.1).
    Redundant,
    /// The peer began anew and said that it holds no older SA (INITIAL_CONTACT).
    InitialContact,
    /// Its local address leaves this host.
    AddressLeft,
    /// It was between two hosts that have other addresses now (RFC 4555).
    Moved,
    /// The peer proved that it has lost the IKE SA (RFC 6290).
    LostByPeer,
    /// Its IKE SA ended.
    IkeClosed,
    /// An exchange failed.
    Failed(Error),
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// A handshake begins.
    HandshakeStarted {
        /// The IKE SA to be.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Our address and port.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
    },
    /// Nobody says whether a peer's certificate still holds. Where that is not demanded, the
    /// handshake goes on.
    StatusUnknown {
        /// The certificate.
        certificate: String,
        /// Why.
        why: Trouble,
    },
    /// An IKE SA came to be.
    IkeEstablished {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Who began.
        role: Role,
        /// Our address and port.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
        /// Who the peer proved to be.
        remote_id: Identity,
        /// How, as the policy writes it.
        authentication: &'static str,
        /// What was agreed.
        suite: IkeSuite,
    },
    /// A way to authenticate cannot be used on this host now, and the next one of the policy's list
    /// is.
    MethodLeftOut {
        /// The peer.
        peer: PeerName,
        /// The way, as the policy writes it.
        method: &'static str,
        /// Why.
        why: String,
    },
    /// What was agreed for an SA that came to be is legacy: what it protects can be broken.
    LegacyAlgorithms {
        /// The peer.
        peer: PeerName,
        /// The pair; `None` for the IKE SA itself.
        child: Option<ChildId>,
        /// Its IKE SA.
        ike: IkeSaId,
        /// What was agreed, as a policy writes it.
        suite: String,
    },
    /// An IKE SA was resumed with a ticket, without a Diffie-Hellman exchange.
    IkeResumed {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
    },
    /// The peer did not take the ticket; a full handshake follows at once.
    TicketRefused {
        /// The IKE SA to be.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
    },
    /// An IKE SA was replaced by another, which took over its children.
    IkeRekeyed {
        /// The one that goes.
        old: IkeSaId,
        /// The one that stays.
        new: IkeSaId,
        /// The peer.
        peer: PeerName,
    },
    /// Another IKE SA came to be beside one, without children (RFC 7791).
    IkeCloned {
        /// The one that was there.
        ike: IkeSaId,
        /// The other.
        clone: IkeSaId,
        /// The peer.
        peer: PeerName,
    },
    /// An IKE SA ended; an event of its own tells of each child.
    IkeClosed {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Why.
        reason: Reason,
    },
    /// A handshake failed.
    HandshakeFailed {
        /// The peer, when it is known.
        peer: Option<PeerName>,
        /// Who began.
        role: Role,
        /// Our address and port.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
        /// Why.
        error: Error,
    },
    /// An answer that nobody signed says that the handshake is refused; it goes on for a while.
    HandshakeDoubtful {
        /// The IKE SA to be.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// What the answer says.
        notify: NotifyType,
    },
    /// As [`Event::HandshakeDoubtful`], of a main mode.
    MainModeDoubtful {
        /// The ISAKMP SA to be.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// What the answer says.
        notify: wire::isakmp::NotifyType,
    },
    /// The peer has proven by Kerberos who it is: which of those that may answer for it.
    PrincipalProven {
        /// The ISAKMP SA to be.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Who it is.
        principal: String,
    },
    /// An answer names a principal that may not answer for the peer. Anybody may have sent it: who
    /// must answer may do so still.
    PrincipalRefused {
        /// The ISAKMP SA to be.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Who it is, and who may.
        error: Error,
    },
    /// A peer that began a handshake was sent to another gateway.
    HandshakeRedirected {
        /// The peer, as far as its address tells.
        peer: PeerName,
        /// Where it called from.
        remote: SocketAddr,
        /// Where it was sent.
        gateway: IpAddr,
    },
    /// A peer of an IKE SA was sent to another gateway, and has confirmed that it knows.
    PeerRedirected {
        /// The IKE SA, which ends when the peer has gone.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Where it is.
        remote: SocketAddr,
        /// Where it was sent.
        gateway: IpAddr,
    },
    /// A peer sends us to another gateway, and we go there.
    Redirected {
        /// The peer.
        peer: PeerName,
        /// The gateway that sends us on.
        from: IpAddr,
        /// Where we go.
        to: IpAddr,
    },
    /// A peer sends us to another gateway, and we do not go.
    RedirectRefused {
        /// The peer.
        peer: PeerName,
        /// The gateway that sends us on.
        from: IpAddr,
        /// Where, as the peer says it.
        gateway: String,
        /// Why not.
        why: RedirectRefusal,
    },
    /// A child SA pair came to be.
    ChildEstablished {
        /// Its IKE SA.
        ike: IkeSaId,
        /// The pair.
        child: ChildId,
        /// The pair that it replaces.
        replaces: Option<ChildId>,
        /// The rule.
        rule: RuleName,
        /// The peer.
        peer: PeerName,
        /// Our inbound SPI.
        inbound_spi: u32,
        /// Our outbound SPI.
        outbound_spi: u32,
        /// Transport or tunnel.
        mode: Mode,
        /// What was agreed.
        suite: EspSuite,
        /// Which traffic it carries.
        selectors: Box<Selectors>,
    },
    /// A child SA pair ended.
    ChildClosed {
        /// The pair.
        child: ChildId,
        /// The rule.
        rule: RuleName,
        /// The peer.
        peer: PeerName,
        /// Why.
        reason: Reason,
    },
    /// A child was asked for and not made, whoever asked; the IKE SA stays.
    ChildFailed {
        /// The IKE SA.
        ike: IkeSaId,
        /// The rule, when it is known.
        rule: Option<RuleName>,
        /// The peer.
        peer: PeerName,
        /// Who asked.
        role: Role,
        /// Why.
        error: Error,
    },
    /// Traffic was to be protected and is not, and nothing more is tried.
    AcquireFailed {
        /// The rule.
        rule: RuleName,
        /// The peer.
        peer: PeerName,
        /// Our address.
        local: IpAddr,
        /// The peer's address: in tunnel mode not where the traffic goes.
        remote: IpAddr,
        /// The traffic.
        selectors: Box<Selectors>,
        /// Why.
        error: Error,
    },
    /// A liveness check begins.
    LivenessCheck {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// What made us doubt.
        doubt: Doubt,
    },
    /// The peer's address or port changed.
    PeerMoved {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Where it is now.
        remote: SocketAddr,
    },
    /// We go on between other addresses, and the peer follows (RFC 4555).
    Moved {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Our address and port.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
    },
    /// Nothing answers by UDP: a handshake begins anew by TCP (RFC 9329).
    FellBack {
        /// The peer.
        peer: PeerName,
        /// Where it is called.
        remote: SocketAddr,
    },
    /// The TCP connection of an IKE SA is lost. The IKE SA stays; who opened the connection opens
    /// another.
    StreamLost {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// The peer's end.
        remote: SocketAddr,
    },
    /// An IKE SA goes on in another TCP connection.
    StreamMoved {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Our end.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
    },
    /// An IKE SA was not to be between these addresses (RFC 4555).
    MoveRefused {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Our address and port.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
        /// Whether it was the peer that refused, and not this host.
        by_peer: bool,
        /// What was answered.
        why: NotifyType,
    },
    /// Nothing comes back between these addresses. Whoever knows of others may move the IKE SA
    /// there: see [`Command::Relocate`](crate::Command::Relocate).
    PathSilent {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
    },
    /// This host took an IKE SA over and proposes message ids to go on from.
    SynchronisingMessageIds {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// The id of our next request, if the peer agrees.
        next_request: u32,
    },
    /// Both sides of an IKE SA that another member of a cluster took over agree on message ids.
    MessageIdsSynchronised {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Whether the peer's cluster took over, and not this one.
        by_peer: bool,
        /// The id of our next request.
        next_request: u32,
        /// The id of the peer's next request.
        expected_request: u32,
    },
    /// The peer's cluster asked for higher numbers of our ESP.
    SequenceSkipped {
        /// The IKE SA.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// How many numbers are skipped.
        delta: u64,
        /// Children that cannot skip so many, and are rekeyed instead.
        rekeyed: usize,
    },
    /// Every SA of an address that leaves is gone; the address may go as well.
    AddressReleased {
        /// The address.
        address: IpAddr,
        /// IKE SAs whose peers answered the Delete.
        acknowledged: usize,
        /// IKE SAs whose peers did not answer in time.
        unanswered: usize,
    },
    /// Cookies are asked for from now on, or no longer.
    CookiesRequired(bool),
    /// Puzzles are asked for from now on, or no longer.
    PuzzlesRequired(bool),
    /// The peer asks for the solution of a puzzle, which we begin to solve.
    PuzzlePosed {
        /// The IKE SA to be.
        ike: IkeSaId,
        /// The peer.
        peer: PeerName,
        /// Zero bits that each of four digests must end with.
        difficulty: u8,
    },
}

/// What made us doubt that a peer is alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// We sent and nothing came back.
    OneWaySilence,
    /// The peer has made another IKE SA between the same addresses, as after a restart.
    AnotherSa,
    /// An unprotected notification.
    Hint(NotifyType),
    /// The same, of IKEv1.
    Notified(wire::isakmp::NotifyType),
    /// The host asked.
    Requested,
    /// Its TCP connection is a new one: the peer is to use it too.
    Reconnected,
}
