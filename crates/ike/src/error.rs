//! Why an exchange or an SA failed: whose fault, and the exact reason (RFC 7296 section 2.21).

use std::fmt;

use policy::child::Mode;
use policy::names::{PeerName, RuleName};
use policy::pad::NoPeer;
use policy::sa::ChildId;
use policy::selector::{Selectors, TrafficSelector};
use wire::ike::numbers::auth_method_name;
use wire::ike::{ExchangeType, NotifyType, PayloadType, Proposal, Transform, TransformType};

use crate::id::IkeSaId;

/// The first difference between the offer and the policy that come closest to each other.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Difference {
    /// The kind of algorithm that is not in common.
    pub kind: TransformType,
    /// What we allow; empty when we allow none.
    pub ours: Vec<Transform>,
    /// What the peer allows; empty when it allows none.
    pub theirs: Vec<Transform>,
}

/// No proposal is acceptable: both sides, and the first difference.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ProposalRefusal {
    /// What we allow.
    pub ours: Vec<Proposal>,
    /// What the peer offered.
    pub theirs: Vec<Proposal>,
    /// Where the two that come closest part.
    pub difference: Option<Difference>,
}

/// No traffic selector is acceptable: both sides, seen from here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SelectorRefusal {
    /// What our rules for this peer cover, local === remote.
    pub ours: Vec<Selectors>,
    /// What the peer asked for of our side.
    pub their_local: Vec<TrafficSelector>,
    /// What the peer asked for of its own side.
    pub their_remote: Vec<TrafficSelector>,
}

/// The peer follows the protocol and wants something else than we do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incompatible {
    /// No algorithms in common.
    Proposal(Box<ProposalRefusal>),
    /// No algorithms in common, in IKEv1: both offers, in words.
    Offer {
        /// What we allow.
        ours: String,
        /// What the peer offers.
        theirs: String,
    },
    /// No traffic in common.
    Selectors(Box<SelectorRefusal>),
    /// Transport against tunnel mode.
    Mode {
        /// What our rule wants.
        ours: Mode,
        /// What the peer wants.
        theirs: Mode,
    },
}

/// The peer broke the protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Misbehaved {
    /// What was encrypted is not a list of payloads.
    Malformed(wire::ike::Malformed),
    /// A payload that the exchange requires is missing or doubled.
    Payload(PayloadType),
    /// The same of a payload of IKEv1.
    MissingOrDoubled(wire::isakmp::PayloadType),
    /// A payload that must be understood is not known.
    CriticalPayload(PayloadType),
    /// Its SPI is one that nobody may choose (RFC 4303 section 2.1).
    Spi,
    /// The identities of a quick mode name no traffic.
    Traffic,
    /// It chose something that was not offered.
    ChoseWhatWasNotOffered,
    /// Its public Diffie-Hellman value is not one of the group.
    KeyExchange,
    /// It asked too often to begin again.
    TooManyRestarts,
    /// It answered from a new address without having seen the question (RFC 4555 section 3.7).
    Cookie2,
}

/// What became of a post-quantum pre-shared key that the policy has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PpkRefusal {
    /// The peer does not know such keys, or has none for us.
    NotUsed,
    /// The peer speaks of another.
    Unknown {
        /// Its name, as the peer said it.
        named: String,
    },
}

impl fmt::Display for PpkRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            PpkRefusal::NotUsed => f.write_str(
                "the peer uses no post-quantum pre-shared key, and `ppk_required` demands it: \
                 give it the same key under the same name",
            ),
            PpkRefusal::Unknown { named } => write!(
                f,
                "the peer speaks of the post-quantum pre-shared key `{}`, which is not its \
                 `ppk_id` here: both sides need the same name and key",
                named.escape_debug()
            ),
        }
    }
}

/// The peer is not who it must be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotAuthentic {
    /// The identity is not the one that is configured.
    Identity {
        /// What we expect.
        expected: String,
        /// What the peer said.
        said: String,
    },
    /// No configured peer fits; for each there is the first thing that does not.
    Unknown(Box<NoPeer>),
    /// The session ticket is used up, or not good for what the policy is now.
    Ticket,
    /// A post-quantum pre-shared key is demanded and not used (RFC 8784).
    Ppk(PpkRefusal),
    /// The method is not the one that is configured.
    Method {
        /// The peer's method, an IANA number; 0 when it sent no AUTH at all, as for EAP.
        theirs: u8,
        /// Ours, as the policy file says it.
        ours: &'static str,
    },
    /// The peer's certificate is refused.
    Certificate(Box<x509::Refusal>),
    /// The signature of the peer is wrong, or of a kind that is not accepted.
    Signature {
        /// Who the peer said it is.
        said: String,
        /// What follows "its signature".
        why: String,
    },
    /// The peer's public key is not one of those that are written down for it.
    UnknownKey {
        /// Who the peer said it is.
        said: String,
    },
    /// We have no signature that the peer would understand.
    CannotSign {
        /// Why.
        why: String,
    },
    /// The peer's principal may not answer for the peer.
    Principal(Box<PrincipalRefusal>),
    /// Kerberos did not prove who the peer is, or who we are.
    Kerberos {
        /// Why, as a sentence.
        why: String,
    },
    /// The AUTH value is wrong: most often the two pre-shared keys differ.
    Auth {
        /// Who the peer said it is.
        said: String,
    },
}

/// A principal that may not answer for a peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PrincipalRefusal {
    /// The peer.
    pub peer: PeerName,
    /// Who it is, or says it is.
    pub said: String,
    /// Who may.
    pub members: String,
}

impl fmt::Display for PrincipalRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PrincipalRefusal {
            peer,
            said,
            members,
        } = self;
        write!(
            f,
            "the principal `{said}` may not answer for the peer `{peer}`: `peer_principals` has \
             {members}"
        )
    }
}

/// An exchange or an SA ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The peer did not answer.
    Timeout {
        /// What was asked.
        exchange: ExchangeType,
        /// How often it was sent.
        tries: usize,
    },
    /// The peer did not answer when we took the IKE SA over and proposed message ids (RFC 6311).
    NotSynchronised {
        /// How often they were proposed.
        tries: usize,
    },
    /// The two policies do not fit.
    Incompatible(Incompatible),
    /// The peer broke the protocol.
    Misbehaved(Misbehaved),
    /// The peer is not who it must be.
    NotAuthentic(NotAuthentic),
    /// The peer refused, with this notification.
    Refused(NotifyType),
    /// The peer refused, with this notification of IKEv1. Where main mode ended so, anybody may
    /// have sent it.
    Notified(wire::isakmp::NotifyType),
    /// A message of main mode could not be decrypted: most often the two pre-shared keys differ.
    Unopened,
    /// The peer of IKEv1 does not answer any more.
    Silent {
        /// How often it was asked.
        tries: usize,
    },
    /// The peer of IKEv1 did not confirm the pair that it had asked for.
    Unconfirmed,
    /// The policy has nothing that IKEv1 can say.
    Inexpressible,
    /// The PAD has no such peer, or none with this address.
    NoSuchPeer,
    /// The local address is not active on this host.
    InactiveAddress,
    /// A bound of `limits` is reached.
    Limit(&'static str),
    /// The IKE SA ended before the exchange did.
    IkeClosed,
    /// The policy has changed since this began, and does not allow it any more as it was.
    PolicyChanged,
    /// The peer sends us to another gateway, and we do not go there.
    NotFollowed(RedirectRefusal),
}

impl Error {
    /// The notification that tells the peer, if one does.
    #[must_use]
    pub fn notify(&self) -> Option<NotifyType> {
        match self {
            Error::Incompatible(Incompatible::Selectors(_)) => Some(NotifyType::TS_UNACCEPTABLE),
            Error::Incompatible(_) => Some(NotifyType::NO_PROPOSAL_CHOSEN),
            Error::Misbehaved(Misbehaved::CriticalPayload(_)) => {
                Some(NotifyType::UNSUPPORTED_CRITICAL_PAYLOAD)
            }
            Error::Misbehaved(_) => Some(NotifyType::INVALID_SYNTAX),
            Error::NotAuthentic(_) => Some(NotifyType::AUTHENTICATION_FAILED),
            Error::Limit(_) => Some(NotifyType::NO_ADDITIONAL_SAS),
            Error::Timeout { .. }
            | Error::NotSynchronised { .. }
            | Error::Refused(_)
            | Error::Notified(_)
            | Error::Unopened
            | Error::Silent { .. }
            | Error::Unconfirmed
            | Error::Inexpressible
            | Error::NoSuchPeer
            | Error::InactiveAddress
            | Error::IkeClosed
            | Error::PolicyChanged
            | Error::NotFollowed(_) => None,
        }
    }
}

/// Why we do not go where a peer sends us (RFC 5685).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RedirectRefusal {
    /// The notification is malformed, or names the gateway in a way that we do not know.
    Malformed,
    /// The policy does not have the gateway.
    Unknown,
    /// It is where we called.
    Itself,
    /// It is our own address.
    Ourselves,
    /// The peer has sent us on too often.
    TooOften,
    /// What is protected is between us and the peer itself.
    Transport,
}

/// The caller broke the contract of the endpoint; nothing changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ApiMisuse {
    /// No IKE SA has this id.
    NoSuchIke(IkeSaId),
    /// No child SA pair has this id.
    NoSuchChild(ChildId),
    /// The IKE SA is not in use, or its peer did not agree to synchronise message ids (RFC 6311).
    CannotSynchronise(IkeSaId),
    /// The IKE SA is not in use, or its peer did not say that it goes where it is sent (RFC 5685).
    CannotRedirect(IkeSaId),
    /// The IKE SA is not in use, its peer did not agree to RFC 4555, the peer decides, or one of
    /// the addresses may not be used for it.
    CannotMove(IkeSaId),
    /// The IKE SA is not in use, its peer did not agree to RFC 7791, a clone is being made, or
    /// there are as many as the policy allows.
    CannotClone(IkeSaId),
    /// The PAD has no such peer.
    NoSuchPeer(PeerName),
    /// The local address is inactive: nothing is initiated from it.
    InactiveAddress(std::net::IpAddr),
    /// The peer's entry in the PAD does not have this address.
    WrongAddress(std::net::IpAddr),
    /// A rule without algorithms or traffic was given.
    EmptyRule(RuleName),
}

struct List<'a, T>(&'a [T], &'a str);

impl<T: fmt::Display> fmt::Display for List<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() {
            return f.write_str("none");
        }
        for (index, item) in self.0.iter().enumerate() {
            let gap = if index == 0 { "" } else { self.1 };
            write!(f, "{gap}{item}")?;
        }
        Ok(())
    }
}

impl fmt::Display for ProposalRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "no algorithms in common; ")?;
        if let Some(Difference { kind, ours, theirs }) = &self.difference {
            let (ours, theirs) = (List(ours, " or "), List(theirs, " or "));
            write!(
                f,
                "the first difference is {kind}: here {ours}, there {theirs}; "
            )?;
        }
        let (ours, theirs) = (List(&self.ours, " | "), List(&self.theirs, " | "));
        write!(f, "we allow {ours}; the peer offers {theirs}")
    }
}

impl fmt::Display for SelectorRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (local, remote) = (List(&self.their_local, " "), List(&self.their_remote, " "));
        write!(
            f,
            "no traffic in common; our rules cover {}; the peer asks for {local} === {remote}",
            List(&self.ours, " | ")
        )
    }
}

impl fmt::Display for Incompatible {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Incompatible::Proposal(refusal) => refusal.fmt(f),
            Incompatible::Selectors(refusal) => refusal.fmt(f),
            Incompatible::Offer { ours, theirs } => {
                write!(
                    f,
                    "no algorithms in common; we allow {ours}; the peer offers {theirs}"
                )
            }
            Incompatible::Mode { ours, theirs } => {
                write!(
                    f,
                    "our rule wants {ours} mode and the peer wants {theirs} mode"
                )
            }
        }
    }
}

impl fmt::Display for Misbehaved {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Misbehaved::Malformed(why) => write!(f, "an encrypted message is malformed: {why}"),
            Misbehaved::Payload(kind) => write!(f, "payload {kind} is missing or doubled"),
            Misbehaved::MissingOrDoubled(kind) => {
                write!(f, "payload {kind} is missing or doubled")
            }
            Misbehaved::Spi => f.write_str("its SPI is one that is reserved"),
            Misbehaved::Traffic => {
                f.write_str("the identities of the quick mode are not addresses and ports")
            }
            Misbehaved::CriticalPayload(kind) => {
                write!(f, "payload {kind} must be understood and is unknown")
            }
            Misbehaved::ChoseWhatWasNotOffered => {
                f.write_str("the peer chose something that was not offered")
            }
            Misbehaved::KeyExchange => f.write_str("the public value is not one of its group"),
            Misbehaved::TooManyRestarts => f.write_str("the peer asked too often to begin again"),
            Misbehaved::Cookie2 => {
                f.write_str("the peer did not return what it was to read at its address (COOKIE2)")
            }
        }
    }
}

impl fmt::Display for NotAuthentic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            NotAuthentic::Identity { expected, said } => {
                write!(
                    f,
                    "the peer says that it is {said}; the policy expects {expected}"
                )
            }
            NotAuthentic::Unknown(why) => why.fmt(f),
            NotAuthentic::Ppk(why) => why.fmt(f),
            NotAuthentic::Ticket => {
                f.write_str("the session ticket has served before, or was granted under another ")?;
                f.write_str("policy: a full handshake must follow")
            }
            NotAuthentic::Method { theirs: 0, ours } => write!(
                f,
                "the peer wants to authenticate without AUTH, as with EAP; the policy expects \
                 `{ours}`"
            ),
            NotAuthentic::Method { theirs, ours } => {
                match auth_method_name(*theirs) {
                    Some(name) => write!(f, "the peer authenticates with {name}")?,
                    None => write!(f, "the peer authenticates with method {theirs}")?,
                }
                write!(f, "; the policy expects `{ours}`")
            }
            NotAuthentic::Certificate(refusal) => refusal.fmt(f),
            NotAuthentic::Signature { said, why } => {
                write!(f, "{said} failed to authenticate: its signature {why}")
            }
            NotAuthentic::UnknownKey { said } => write!(
                f,
                "{said} failed to authenticate: the public key that it sent is none of those in \
                 `public_key`"
            ),
            NotAuthentic::CannotSign { why } => write!(f, "we cannot prove who we are: {why}"),
            NotAuthentic::Principal(refusal) => refusal.fmt(f),
            NotAuthentic::Kerberos { why } => write!(f, "Kerberos does not prove it: {why}"),
            NotAuthentic::Auth { said } => write!(
                f,
                "{said} failed to authenticate: compare the pre-shared keys of both sides"
            ),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Timeout { exchange, tries } => {
                write!(f, "no answer to {exchange}, which was sent {tries} times")
            }
            Error::NotSynchronised { tries } => write!(
                f,
                "the peer did not agree to go on after a takeover, which was proposed {tries} times"
            ),
            Error::Incompatible(why) => why.fmt(f),
            Error::Misbehaved(why) => why.fmt(f),
            Error::NotAuthentic(why) => why.fmt(f),
            Error::Refused(notify) => {
                write!(f, "the peer refused with {notify}{}", advice(*notify))
            }
            Error::Notified(notify) => write!(f, "the peer refused with {notify}"),
            Error::Unopened => f.write_str(
                "what the peer encrypted cannot be decrypted: most often the two pre-shared keys \
                 differ",
            ),
            Error::Silent { tries } => {
                write!(f, "the peer does not answer R-U-THERE, asked {tries} times")
            }
            Error::Unconfirmed => {
                f.write_str("the peer did not confirm the pair that it had asked for")
            }
            Error::Inexpressible => f.write_str(
                "the policy has nothing that IKEv1 can say: it needs a CBC cipher, a hash and a \
                 group for IKE, one authentication method for both sides, and single ports",
            ),
            Error::NoSuchPeer => f.write_str("the policy has no such peer at this address"),
            Error::InactiveAddress => f.write_str("the local address is not active on this host"),
            Error::Limit(what) => write!(f, "the limit on {what} is reached"),
            Error::IkeClosed => f.write_str("the IKE SA ended first"),
            Error::PolicyChanged => f.write_str("the policy was changed meanwhile"),
            Error::NotFollowed(why) => {
                write!(
                    f,
                    "the peer sends us to another gateway, and we do not go: {why}"
                )
            }
        }
    }
}

impl fmt::Display for RedirectRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            RedirectRefusal::Malformed => "the gateway is named in a way that we do not know",
            RedirectRefusal::Unknown => {
                "`follow_redirect` and `address` of the peer do not have it"
            }
            RedirectRefusal::Itself => "it is the gateway that we called",
            RedirectRefusal::Ourselves => "it is our own address",
            RedirectRefusal::TooOften => "the peer has sent us on 5 times within 300 s",
            RedirectRefusal::Transport => "transport mode is with the peer itself",
        })
    }
}

/// What to do about a refusal. The peer does not say what it wants instead; its log may.
fn advice(notify: NotifyType) -> &'static str {
    match notify {
        NotifyType::NO_PROPOSAL_CHOSEN => ": compare the proposals of both sides",
        NotifyType::TS_UNACCEPTABLE => ": compare the traffic that the rules of both sides cover",
        NotifyType::AUTHENTICATION_FAILED => {
            ": compare keys, certificates and identities of both sides"
        }
        _ => "",
    }
}

impl fmt::Display for ApiMisuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            ApiMisuse::NoSuchIke(ike) => write!(f, "there is no IKE SA {ike}"),
            ApiMisuse::NoSuchChild(child) => write!(f, "there is no child SA pair {child}"),
            ApiMisuse::CannotSynchronise(ike) => write!(
                f,
                "IKE SA {ike} is not in use, or its peer did not agree to RFC 6311: begin a new one"
            ),
            ApiMisuse::CannotRedirect(ike) => write!(
                f,
                "IKE SA {ike} is not in use, or its peer does not know RFC 5685 or is there \
                 already: delete it, and the peer calls again"
            ),
            ApiMisuse::CannotMove(ike) => write!(
                f,
                "IKE SA {ike} cannot go to these addresses: its peer did not agree to RFC 4555, or \
                 the policy does not allow them"
            ),
            ApiMisuse::CannotClone(ike) => write!(
                f,
                "IKE SA {ike} cannot be cloned: it is not in use, its peer did not agree to RFC \
                 7791, a clone is being made, or the policy allows no more of them"
            ),
            ApiMisuse::NoSuchPeer(peer) => write!(f, "the policy has no peer {peer}"),
            ApiMisuse::InactiveAddress(address) => {
                write!(
                    f,
                    "{address} is not active on this host: nothing is initiated from it"
                )
            }
            ApiMisuse::WrongAddress(address) => {
                write!(f, "the peer is not configured for {address}")
            }
            ApiMisuse::EmptyRule(rule) => {
                write!(f, "rule {rule} has no proposal or no selector")
            }
        }
    }
}

impl std::error::Error for Error {}
impl std::error::Error for ApiMisuse {}
