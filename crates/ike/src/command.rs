//! What the host asks of the endpoint.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Instant;

use crypto::Secret;
use policy::child::ChildTemplate;
use policy::names::{PeerName, RuleName};
use policy::narrowing::is_within;
use policy::pad::Pad;
use policy::sa::ChildId;
use policy::selector::Selectors;
use wire::ip::Flow;

use crate::config::{ChildRule, Puzzles};
use crate::gss::{GssAnswer, GssContext};
use crate::id::IkeSaId;
use crate::ticket_keys::TicketKeys;

/// A request to protect traffic: make a child SA pair, and an IKE SA for it if there is none.
#[derive(Clone, Debug)]
pub struct Acquire {
    /// The rule that wants it.
    pub rule: RuleName,
    /// The peer to negotiate with; its authentication and IKE settings come from the PAD.
    pub peer: PeerName,
    /// Our address.
    pub local: IpAddr,
    /// The peer's address.
    pub remote: IpAddr,
    /// The outbound packet that asked; it becomes the first selector of each side (RFC 7296
    /// section 2.9).
    pub flow: Option<Flow>,
    /// What to agree on.
    pub child: Arc<ChildTemplate>,
    /// What to ask for: what the rule covers between the two sides.
    pub selectors: Selectors,
}

impl Acquire {
    /// Whether the rules want this pair, all of it.
    pub(crate) fn is_wanted(&self, rules: &[ChildRule]) -> bool {
        let covers = |rule: &ChildRule| is_within(&self.selectors, &rule.selectors);
        rules.iter().any(|rule| self.is_of(rule) && covers(rule))
    }

    /// Whether the rules have what a pair was made of, so that it may be replaced. What they cover
    /// may have changed with the addresses of this host.
    pub(crate) fn is_known(&self, rules: &[ChildRule]) -> bool {
        rules.iter().any(|rule| self.is_of(rule))
    }

    fn is_of(&self, rule: &ChildRule) -> bool {
        self.rule == rule.rule
            && rule.peer.as_ref().is_none_or(|peer| *peer == self.peer)
            && self.child == rule.child
    }
}

/// What ESP saw of a child SA pair since it was installed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Octets received.
    pub inbound_bytes: u64,
    /// Packets received.
    pub inbound_packets: u64,
    /// Octets sent.
    pub outbound_bytes: u64,
    /// Packets sent, or the highest sequence number if that is more.
    pub outbound_packets: u64,
    /// When the last valid packet came in.
    pub last_inbound: Option<Instant>,
    /// When the last packet went out.
    pub last_outbound: Option<Instant>,
}

/// What happens to the TCP connections that carry IKE SAs (RFC 9329 section 6.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stream {
    /// One stands that [`Output::OpenStream`](crate::Output::OpenStream) asked for.
    Opened {
        /// Who asked for it.
        ike: IkeSaId,
        /// Our end.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
    },
    /// The last valid ESP packet of a pair came in this connection, and the one before in another:
    /// the peer uses it from now on.
    Heard {
        /// The pair.
        child: ChildId,
        /// Our end.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
    },
    /// One is no more, whoever opened it.
    Closed {
        /// Our end.
        local: SocketAddr,
        /// The peer's.
        remote: SocketAddr,
    },
}

/// What [`Endpoint::handle_command`](crate::Endpoint::handle_command) takes.
#[derive(Clone)]
pub enum Command {
    /// Protect traffic.
    Acquire(Box<Acquire>),
    /// Rekey a child SA pair now.
    RekeyChild(ChildId),
    /// Rekey an IKE SA now.
    RekeyIke(IkeSaId),
    /// Make another IKE SA beside one, without children (RFC 7791).
    CloneIke(IkeSaId),
    /// Delete a child SA pair.
    DeleteChild(ChildId),
    /// Delete an IKE SA and its children.
    DeleteIke(IkeSaId),
    /// Send the peer of an IKE SA to another gateway (RFC 5685 section 5): it goes by itself, and
    /// what is left of the IKE SA after a while is deleted.
    Redirect {
        /// The IKE SA.
        ike: IkeSaId,
        /// The other gateway.
        to: IpAddr,
    },
    /// Check that the peer of an IKE SA answers.
    CheckLiveness(IkeSaId),
    /// This host took the IKE SA over, and what it knows of its message ids may be stale: the peer
    /// is asked to go on from new ones, and only then requests flow again (RFC 6311). Without an
    /// answer the IKE SA ends, and what it protected begins anew.
    ///
    /// Whoever takes it over after this must have a `margin` that covers what is proposed here.
    SyncMessageIds {
        /// The IKE SA.
        ike: IkeSaId,
        /// How many requests the owner before may have sent of which nothing is known here.
        margin: u32,
        /// By how much the peer is to increase the numbers of its ESP with each attempt, if it
        /// agreed to that as well; 0 for not at all.
        skip: u64,
    },
    /// The IKE SA goes on between other addresses, and its tunnels with it: this host, which began
    /// it, has another one, or the peer is to be reached at another one (RFC 4555).
    Relocate {
        /// The IKE SA.
        ike: IkeSaId,
        /// Our address.
        local: IpAddr,
        /// The peer's.
        remote: IpAddr,
    },
    /// What ESP saw of a child; sent from time to time for every child that was used.
    ChildUsage {
        /// The child.
        child: ChildId,
        /// Its counters.
        usage: Usage,
    },
    /// A TCP connection stands, or is no more.
    Stream(Stream),
    /// ESP came with an SPI that nobody here knows. If `remote` is a peer without an IKE SA, the
    /// template makes it renegotiate; without a template nothing is sent.
    InvalidSpi {
        /// Our address.
        local: IpAddr,
        /// Whence the packet came.
        remote: IpAddr,
        /// Its SPI.
        spi: u32,
        /// What to negotiate.
        acquire: Option<Box<Acquire>>,
    },
    /// Whether a local address is ours to use. For an inactive one nothing is answered and
    /// nothing is initiated. Every address is active until this says otherwise.
    SetActive {
        /// The local address.
        address: IpAddr,
        /// Whether it may be used.
        active: bool,
    },
    /// Whether crash tokens may be shown from a local address (RFC 6290 section 9.2). Only for who
    /// knows that no other member of its cluster has the IKE SA of which it knows nothing itself.
    /// They may be, from every active address, until this says otherwise.
    ShowTokens {
        /// The local address.
        address: IpAddr,
        /// Whether they may be shown.
        allowed: bool,
    },
    /// Another secret for crash tokens, or none any more (RFC 6290). An IKE SA that is there has
    /// told its peer a token of the one before, and gives it another when it is rekeyed.
    SetTokenSecret(Option<Arc<Secret>>),
    /// New keys for session tickets, the newest first, or none any more (RFC 5723).
    SetTicketKeys(Option<TicketKeys>),
    /// Other puzzles from now on, or none any more (RFC 8019).
    SetPuzzles(Option<Puzzles>),
    /// So many seconds have passed since 1970 (UTC): certificates are judged by it. To be told at
    /// the start, and whenever the host's clock was set.
    SetClock(u64),
    /// The answer to [`Output::AskStatus`](crate::Output::AskStatus).
    CertificateStatus {
        /// Of the question.
        question: u64,
        /// What the responder answered, or why it did not.
        answer: Result<Vec<u8>, String>,
    },
    /// The answer to [`Output::AskGss`](crate::Output::AskGss). The context of a step that failed
    /// is of no use any more.
    GssAnswer {
        /// About which context.
        context: GssContext,
        /// What came of the step, or why nothing did, as a sentence.
        answer: Result<GssAnswer, String>,
    },
    /// What a responder says of a certificate of ours, for peers that ask for it (RFC 4806), or
    /// nothing any more. It is not judged here.
    SetOwnStatus {
        /// SHA-256 of the certificate.
        certificate: [u8; 32],
        /// The OCSP response.
        response: Option<Vec<u8>>,
    },
    /// The address is about to leave this host: delete every SA of it, at once, while it can still
    /// send. It takes no new SA from here on; [`Event::AddressReleased`](crate::Event) follows.
    DeleteLocalAddress {
        /// The local address.
        address: IpAddr,
    },
    /// The address has left this host: drop every SA of it and say nothing to the peers.
    ForgetLocalAddress {
        /// The local address.
        address: IpAddr,
    },
    /// Every IKE SA of a local address falls silent, because another member may go on with it and
    /// cannot be told what happens here; or it may speak again. Its pairs stay with ESP.
    Freeze {
        /// The local address.
        address: IpAddr,
        /// Whether it is silent.
        frozen: bool,
    },
    /// As [`Command::Freeze`], for ever: a member that is no more may have gone on with what it
    /// had. No other member gets a copy.
    Forsake {
        /// The local address.
        address: IpAddr,
    },
    /// The frozen IKE SAs of a local address are forsaken, and no others.
    ForsakeFrozen {
        /// The local address.
        address: IpAddr,
    },
    /// What frozen IKE SAs of a local address protect is negotiated anew, on keys that no other
    /// member has; the peers are not told of the old ones.
    ReplaceFrozen {
        /// The local address.
        address: IpAddr,
        /// At most so many IKE SAs now; the caller comes again for the rest.
        count: usize,
    },
    /// The silent IKE SAs of a local address are forgotten without a word: nothing can be said on
    /// them.
    ForgetSilent {
        /// The local address.
        address: IpAddr,
    },
    /// An IKE SA is forgotten without a word to the peer: another member has it.
    Forget(IkeSaId),
    /// A new policy. SAs stay; who changed a peer or rule deletes what it no longer allows. What is
    /// still being negotiated under a rule or with a peer that is not as it was comes to nothing,
    /// or begins anew.
    Reload {
        /// The new peers.
        pad: Arc<Pad>,
        /// The new rules.
        rules: Vec<ChildRule>,
    },
}
