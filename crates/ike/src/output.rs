//! What the endpoint wants done, in this order and no other.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};

use crypto::Secret;
use policy::proposal::IkeSuite;
use policy::sa::{Bucket, ChildId, Encapsulation, SaSpec, Transport};

use crate::event::Event;
use crate::gss::{AskGss, GssContext};
use crate::id::IkeSaId;
use crate::timer::Timer;

/// A message that came in, without the non-ESP marker (RFC 3948 section 2.2).
#[derive(Clone, Copy, Debug)]
pub struct Datagram<'a> {
    /// What carried it.
    pub transport: Transport,
    /// Where it arrived.
    pub local: SocketAddr,
    /// Whence it came.
    pub remote: SocketAddr,
    /// The IKE message.
    pub bytes: &'a [u8],
}

/// When the outbound SA of a new pair carries traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outbound {
    /// At once: the peer has its inbound SA.
    Now,
    /// Not before [`Output::Activate`]: the peer may still wait for our response (RFC 7296
    /// section 2.8). Until then the pair that is replaced sends.
    Later,
}

/// A child SA pair to install.
pub struct Install {
    /// What was agreed, with its keys.
    pub spec: Arc<SaSpec>,
    /// Who may use it: the bucket of its local address.
    pub bucket: Bucket,
    /// When its outbound SA carries traffic; the inbound one receives at once.
    pub outbound: Outbound,
    /// The pair that it replaces, which a Delete will remove.
    pub replaces: Option<ChildId>,
    /// How long ago it came to be, if another member made it: of several the youngest is used.
    pub age: Duration,
}

/// The keys of an IKE SA, for a protocol analyser. Has no `Debug`: it goes to a file that its
/// owner asked for, or nowhere.
pub struct IkeKeys {
    /// SPI of the original initiator.
    pub initiator_spi: u64,
    /// SPI of the original responder.
    pub responder_spi: u64,
    /// The algorithms.
    pub suite: IkeSuite,
    /// SK_ei, for an AEAD with its salt.
    pub sk_ei: Secret,
    /// SK_er, for an AEAD with its salt.
    pub sk_er: Secret,
    /// SK_ai, empty for an AEAD.
    pub sk_ai: Secret,
    /// SK_ar, empty for an AEAD.
    pub sk_ar: Secret,
}

/// The key of an ISAKMP SA of IKEv1, for a protocol analyser.
pub struct IsakmpKey {
    /// The initiator's cookie.
    pub initiator_cookie: u64,
    /// What encrypts in both directions.
    pub key: Secret,
}

/// A question to an OCSP responder (RFC 6960 appendix A).
pub struct AskStatus {
    /// Comes back with the answer.
    pub question: u64,
    /// The URL. An authority that we trust has vouched for it, or the policy names it.
    pub responder: String,
    /// The request, `application/ocsp-request`.
    pub request: Vec<u8>,
}

/// What [`Endpoint::poll_output`](crate::Endpoint::poll_output) gives.
pub enum Output {
    /// Send a message. Who sends from a port other than 500, or by TCP, puts the non-ESP marker
    /// before it. What goes by TCP goes in the connection between these two ends, or is lost.
    Transmit {
        /// What carries it.
        transport: Transport,
        /// From here.
        local: SocketAddr,
        /// To there.
        remote: SocketAddr,
        /// The IKE message, without a marker.
        bytes: Vec<u8>,
    },
    /// Open a TCP connection, and answer [`Stream::Opened`](crate::Stream::Opened) once it stands.
    /// It is asked for again while none does: an attempt that is under way is enough.
    OpenStream {
        /// Who wants it.
        ike: IkeSaId,
        /// From here.
        local: IpAddr,
        /// To there.
        remote: SocketAddr,
    },
    /// Send the single octet 0xFF, with no marker (RFC 3948 section 2.3).
    Keepalive {
        /// From here.
        local: SocketAddr,
        /// To there.
        remote: SocketAddr,
    },
    /// Install a child SA pair.
    Install(Box<Install>),
    /// Let the outbound SA of an installed pair carry traffic.
    Activate {
        /// The pair.
        child: ChildId,
    },
    /// The peer moved, or this host did: send the pair's ESP from here to there. Keys, numbers
    /// and windows go on.
    Redirect {
        /// The pair.
        child: ChildId,
        /// Our address.
        local: std::net::IpAddr,
        /// The peer's new address.
        remote: std::net::IpAddr,
        /// The new ports, if any.
        encapsulation: Encapsulation,
    },
    /// The outbound SA of a pair goes on with numbers that are higher by this much: the peer's
    /// cluster may take lower ones for replays (RFC 6311 section 5.2).
    SkipSequence {
        /// The pair.
        child: ChildId,
        /// How many numbers are not used.
        delta: u64,
    },
    /// Remove a child SA pair, both directions.
    Remove {
        /// The pair.
        child: ChildId,
        /// The SPI of its inbound SA.
        inbound_spi: u32,
        /// The SPI of its outbound SA.
        outbound_spi: u32,
    },
    /// Ask a responder; the answer is
    /// [`Command::CertificateStatus`](crate::Command::CertificateStatus).
    AskStatus(Box<AskStatus>),
    /// Take a step of a security context; the answer is
    /// [`Command::GssAnswer`](crate::Command::GssAnswer).
    AskGss(Box<AskGss>),
    /// A security context is not needed any more, nor the answer to what was asked about it.
    EndGss(GssContext),
    /// The keys of a new IKE SA, before them those that an additional key exchange has replaced
    /// (RFC 9370); only with `Config::export_keys`.
    Keys(Box<IkeKeys>),
    /// The same of a new ISAKMP SA of IKEv1.
    IsakmpKey(Box<IsakmpKey>),
    /// Something that a log, a metric or a person wants to know.
    Event(Event),
    /// Nothing more to do before this moment, or before the next input.
    Wait(Option<(Instant, Timer)>),
}
