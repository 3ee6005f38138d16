//! What happened, told once: the source of the log line, the metric and the picture.

use std::fmt;
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
        /// What was agreed.
        suite: IkeSuite,
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
    /// The host asked.
    Requested,
    /// Its TCP connection is a new one: the peer is to use it too.
    Reconnected,
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Requested => "this host asked for it",
            Reason::ByPeer => "the peer deleted it",
            Reason::Idle => "nothing came in for too long",
            Reason::Childless => "it had no child for too long",
            Reason::Lifetime => "its life was over",
            Reason::Rekeyed => "another took its place",
            Reason::Redirected => "another gateway took its place",
            Reason::Redundant => "both sides rekeyed at once",
            Reason::InitialContact => "the peer began anew (INITIAL_CONTACT)",
            Reason::AddressLeft => "its address leaves this host",
            Reason::Moved => "one of its two hosts has another address now",
            Reason::LostByPeer => "the peer has lost it, as its crash token proves (RFC 6290)",
            Reason::IkeClosed => "its IKE SA ended",
            Reason::Failed(error) => return error.fmt(f),
        })
    }
}

impl fmt::Display for Doubt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Doubt::OneWaySilence => f.write_str("nothing comes back"),
            Doubt::AnotherSa => f.write_str("it has made another one"),
            Doubt::Hint(notify) => write!(f, "an unprotected {notify}"),
            Doubt::Requested => f.write_str("this host asked"),
            Doubt::Reconnected => f.write_str("the TCP connection is a new one"),
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::HandshakeStarted {
                ike,
                peer,
                local,
                remote,
            } => {
                write!(f, "IKE SA {ike} with {peer} begins, {local} to {remote}")
            }
            Event::IkeEstablished {
                ike,
                peer,
                role,
                local,
                remote,
                remote_id,
                suite,
            } => write!(
                f,
                "IKE SA {ike} with {peer} established as {role}, {local} to {remote}, which is \
                 `{remote_id}`, {suite}"
            ),
            Event::IkeResumed { ike, peer } => {
                write!(f, "IKE SA {ike} with {peer} resumes one that was lost")
            }
            Event::TicketRefused { ike, peer } => {
                write!(
                    f,
                    "IKE SA {ike}: {peer} does not take the ticket; beginning in full"
                )
            }
            Event::IkeRekeyed { old, new, peer } => {
                write!(f, "IKE SA {old} with {peer} rekeyed as {new}")
            }
            Event::IkeClosed { ike, peer, reason } => {
                write!(f, "IKE SA {ike} with {peer} closed: {reason}")
            }
            Event::HandshakeFailed {
                peer,
                role,
                local,
                remote,
                error,
            } => {
                write!(f, "handshake ")?;
                if let Some(peer) = peer {
                    write!(f, "with {peer} ")?;
                }
                write!(f, "as {role}, {local} to {remote}, failed: {error}")
            }
            Event::HandshakeDoubtful { ike, peer, notify } => {
                write!(
                    f,
                    "IKE SA {ike} with {peer}: an unprotected answer says {notify}"
                )
            }
            Event::HandshakeRedirected {
                peer,
                remote,
                gateway,
            } => write!(f, "{peer} at {remote} was sent to {gateway}"),
            Event::PeerRedirected { .. }
            | Event::Redirected { .. }
            | Event::RedirectRefused { .. } => self.fmt_redirect(f),
            _ => self.fmt_child(f),
        }
    }
}

impl Event {
    fn fmt_redirect(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::PeerRedirected {
                ike,
                peer,
                remote,
                gateway,
            } => write!(
                f,
                "IKE SA {ike}: {peer} at {remote} was sent to {gateway}, and has confirmed it"
            ),
            Event::Redirected { peer, from, to } => {
                write!(f, "{peer} at {from} sends us to {to}, and we go there")
            }
            Event::RedirectRefused {
                peer,
                from,
                gateway,
                why,
            } => write!(
                f,
                "{peer} at {from} sends us to `{gateway}`, and we do not go: {why}"
            ),
            _ => Ok(()),
        }
    }

    fn fmt_child(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::ChildEstablished {
                child,
                replaces,
                rule,
                peer,
                suite,
                selectors,
                ..
            } => {
                write!(f, "child {child} of rule {rule} with {peer} established, ")?;
                if let Some(old) = replaces {
                    write!(f, "replaces {old}, ")?;
                }
                write!(f, "{selectors}, {suite}")
            }
            Event::ChildClosed {
                child,
                rule,
                peer,
                reason,
            } => {
                write!(
                    f,
                    "child {child} of rule {rule} with {peer} closed: {reason}"
                )
            }
            Event::ChildFailed {
                ike,
                rule,
                peer,
                role,
                error,
            } => {
                write!(f, "IKE SA {ike} with {peer}: no child ")?;
                if let Some(rule) = rule {
                    write!(f, "for rule {rule} ")?;
                }
                write!(f, "as {role}: {error}")
            }
            Event::AcquireFailed {
                rule,
                peer,
                local,
                remote,
                error,
                ..
            } => {
                write!(
                    f,
                    "traffic of rule {rule} from {local} to {peer} at {remote} "
                )?;
                write!(f, "is not protected: {error}")
            }
            _ => self.fmt_rest(f),
        }
    }

    fn fmt_rest(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::LivenessCheck { ike, peer, doubt } => {
                write!(
                    f,
                    "IKE SA {ike}: asking {peer} whether it is alive: {doubt}"
                )
            }
            Event::SynchronisingMessageIds {
                ike,
                peer,
                next_request,
            } => {
                write!(
                    f,
                    "IKE SA {ike} was taken over: proposing to {peer} to go on "
                )?;
                write!(f, "from request {next_request}")
            }
            Event::MessageIdsSynchronised {
                ike,
                peer,
                by_peer,
                next_request: ours,
                expected_request: theirs,
            } => {
                let who = if *by_peer { "there" } else { "here" };
                write!(
                    f,
                    "IKE SA {ike} with {peer} was taken over {who} and goes on: "
                )?;
                write!(f, "our next request is {ours}, its next is {theirs}")
            }
            Event::SequenceSkipped {
                ike,
                peer,
                delta,
                rekeyed,
            } => {
                write!(
                    f,
                    "IKE SA {ike}: the cluster of {peer} had us skip {delta} "
                )?;
                write!(f, "numbers of ESP; {rekeyed} children are rekeyed instead")
            }
            Event::AddressReleased {
                address,
                acknowledged,
                unanswered,
            } => write!(
                f,
                "{address} released: {acknowledged} peers acknowledged, {unanswered} did not"
            ),
            _ => self.fmt_door(f),
        }
    }

    fn fmt_door(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::StatusUnknown { certificate, why } => write!(
                f,
                "it is not known whether the certificate {certificate} still holds: {why}"
            ),
            Event::PuzzlePosed {
                ike,
                peer,
                difficulty,
            } => write!(
                f,
                "IKE SA {ike}: {peer} is busy and poses a puzzle of {difficulty} bits"
            ),
            Event::PuzzlesRequired(true) => f.write_str("puzzles are required from now on"),
            Event::PuzzlesRequired(false) => f.write_str("puzzles are no longer required"),
            Event::CookiesRequired(true) => f.write_str("cookies are required from now on"),
            Event::CookiesRequired(false) => f.write_str("cookies are no longer required"),
            _ => self.fmt_move(f),
        }
    }

    fn fmt_move(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::PeerMoved { ike, peer, remote } => {
                write!(f, "IKE SA {ike}: {peer} moved to {remote}")
            }
            Event::Moved {
                ike,
                peer,
                local,
                remote,
            } => write!(f, "IKE SA {ike} with {peer} moved, {local} to {remote}"),
            Event::MoveRefused {
                ike,
                peer,
                local,
                remote,
                by_peer,
                why,
            } => {
                let (who, remedy) = match by_peer {
                    true => ("the peer", "see its log"),
                    false => (
                        "this host",
                        "the peer's `address` must cover its own, and an address of a group \
                         stays with its SAs",
                    ),
                };
                write!(
                    f,
                    "IKE SA {ike} with {peer} was to move, {local} to {remote}: "
                )?;
                write!(f, "{who} refuses with {why}; {remedy}")
            }
            Event::PathSilent { ike, peer } => {
                write!(f, "IKE SA {ike}: {peer} does not answer where it was")
            }
            _ => self.fmt_streams(f),
        }
    }

    fn fmt_streams(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::FellBack { peer, remote } => {
                write!(
                    f,
                    "{peer} does not answer by UDP: it is called by TCP, {remote}"
                )
            }
            Event::StreamLost { ike, peer, remote } => {
                write!(
                    f,
                    "IKE SA {ike} with {peer}: the TCP connection to {remote} is lost, "
                )?;
                f.write_str("the SAs stay")
            }
            Event::StreamMoved {
                ike,
                peer,
                local,
                remote,
            } => {
                write!(f, "IKE SA {ike} with {peer} goes on in the TCP connection ")?;
                write!(f, "from {local} to {remote}")
            }
            _ => Ok(()),
        }
    }
}
