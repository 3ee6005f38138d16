//! What happened, as a log and people read it.

use std::fmt;

use policy::names::PeerName;

use crate::event::{Doubt, Event, Reason};
use crate::id::IkeSaId;

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
            Doubt::Notified(notify) => write!(f, "an unprotected {notify}"),
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
                authentication,
                suite,
            } => write!(
                f,
                "IKE SA {ike} with {peer} established as {role}, {local} to {remote}, which is \
                 `{remote_id}` by {authentication}, {suite}"
            ),
            Event::MethodLeftOut { peer, method, why } => write!(
                f,
                "{peer} is called without {method}, which cannot be used now: {why}"
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
            Event::IkeCloned { ike, clone, peer } => {
                write!(f, "IKE SA {ike} with {peer} cloned as {clone}")
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
            Event::HandshakeDoubtful { ike, peer, notify } => doubtful(f, *ike, peer, notify),
            Event::MainModeDoubtful { ike, peer, notify } => doubtful(f, *ike, peer, notify),
            Event::PrincipalProven { .. } | Event::PrincipalRefused { .. } => self.fmt_principal(f),
            Event::HandshakeRedirected { .. }
            | Event::PeerRedirected { .. }
            | Event::Redirected { .. }
            | Event::RedirectRefused { .. } => self.fmt_redirect(f),
            _ => self.fmt_child(f),
        }
    }
}

fn doubtful(
    f: &mut fmt::Formatter<'_>,
    ike: IkeSaId,
    peer: &PeerName,
    notify: &dyn fmt::Display,
) -> fmt::Result {
    write!(
        f,
        "IKE SA {ike} with {peer}: an unprotected answer says {notify}"
    )
}

impl Event {
    fn fmt_principal(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::PrincipalProven {
                ike,
                peer,
                principal,
            } => write!(f, "IKE SA {ike} with {peer}: by Kerberos it is {principal}"),
            Event::PrincipalRefused { ike, peer, error } => write!(
                f,
                "IKE SA {ike} with {peer}: an answer is not taken, and another may come: {error}"
            ),
            _ => Ok(()),
        }
    }

    fn fmt_redirect(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Event::HandshakeRedirected {
                peer,
                remote,
                gateway,
            } => write!(f, "{peer} at {remote} was sent to {gateway}"),
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
            Event::LegacyAlgorithms {
                peer,
                child,
                ike,
                suite,
            } => {
                match child {
                    Some(child) => write!(f, "child {child}")?,
                    None => write!(f, "IKE SA {ike}")?,
                }
                write!(
                    f,
                    " with {peer} uses {suite}, which can be broken: give the peer better \
                     algorithms as soon as it has them"
                )
            }
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
