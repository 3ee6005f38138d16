//! The number of an event in the Security log of Windows, and at whose end it failed (541 to 547).

use std::fmt;

use crate::error::{Error, Incompatible, Misbehaved, NotAuthentic};
use crate::event::{Event, Reason};

/// Whose doing a failure is: the failure point of 547.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailurePoint {
    /// This host refused by its own policy, or could not.
    Me,
    /// The peer broke the protocol, is not who it must be, refused, or is silent.
    Peer,
}

/// What an event is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AuditMode {
    /// An IKE SA: main mode, the key exchange mode of Windows.
    Main,
    /// A child SA pair: quick mode, the data protection mode of Windows.
    Quick,
}

/// An event as Windows audits it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Audit {
    /// 541 to 547.
    pub number: u16,
    /// What it is about; `None` where traffic is not protected, whichever failed.
    pub mode: Option<AuditMode>,
    /// Whose doing, where something failed.
    pub point: Option<FailurePoint>,
}

impl Error {
    /// Whose doing it is.
    #[must_use]
    pub fn point(&self) -> FailurePoint {
        match self {
            Error::Timeout { .. }
            | Error::NotSynchronised { .. }
            | Error::Misbehaved(_)
            | Error::Refused(_)
            | Error::Notified(_)
            | Error::Unopened
            | Error::Silent { .. }
            | Error::Unconfirmed => FailurePoint::Peer,
            Error::NotAuthentic(
                NotAuthentic::CannotSign { .. } | NotAuthentic::Kerberos { .. },
            ) => FailurePoint::Me,
            Error::NotAuthentic(_) => FailurePoint::Peer,
            // Neither end is wrong: it is refused here.
            Error::Incompatible(_)
            | Error::Inexpressible
            | Error::NoSuchPeer
            | Error::InactiveAddress
            | Error::Limit(_)
            | Error::IkeClosed
            | Error::PolicyChanged
            | Error::NotFollowed(_) => FailurePoint::Me,
        }
    }

    /// 544 to 547.
    fn number(&self) -> u16 {
        match self {
            Error::NotAuthentic(NotAuthentic::Certificate(_)) => 544,
            Error::NotAuthentic(_) | Error::Unopened => 545,
            Error::Incompatible(Incompatible::Proposal(_) | Incompatible::Offer { .. })
            | Error::Misbehaved(Misbehaved::ChoseWhatWasNotOffered) => 546,
            _ => 547,
        }
    }
}

impl Event {
    /// As Windows audits it; `None` for what it does not.
    #[must_use]
    pub fn audit(&self) -> Option<Audit> {
        let established = |mode| Audit {
            number: 541,
            mode: Some(mode),
            point: None,
        };
        let ended = |number, mode, reason: &Reason| Audit {
            number,
            mode: Some(mode),
            point: match reason {
                Reason::Failed(error) => Some(error.point()),
                _ => None,
            },
        };
        let failed = |mode, error: &Error| Audit {
            number: error.number(),
            mode,
            point: Some(error.point()),
        };
        let (main, quick) = (AuditMode::Main, AuditMode::Quick);
        Some(match self {
            Event::IkeEstablished { .. } => established(main),
            Event::ChildEstablished { .. } => established(quick),
            Event::ChildClosed { reason, .. } => ended(542, quick, reason),
            Event::IkeClosed { reason, .. } => ended(543, main, reason),
            Event::HandshakeFailed { error, .. } => failed(Some(main), error),
            Event::ChildFailed { error, .. } => failed(Some(quick), error),
            Event::AcquireFailed { error, .. } => failed(None, error),
            _ => return None,
        })
    }
}

impl fmt::Display for FailurePoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            FailurePoint::Me => "me",
            FailurePoint::Peer => "peer",
        })
    }
}

impl fmt::Display for AuditMode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AuditMode::Main => "main mode",
            AuditMode::Quick => "quick mode",
        })
    }
}

/// `547, quick mode, peer`.
impl fmt::Display for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.number)?;
        if let Some(mode) = self.mode {
            write!(f, ", {mode}")?;
        }
        match self.point {
            Some(point) => write!(f, ", {point}"),
            None => Ok(()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::{IkeSaId, Role};
    use wire::ike::NotifyType;

    fn failed(error: Error) -> String {
        let here = std::net::SocketAddr::from(([10, 0, 0, 1], 500));
        let event = Event::HandshakeFailed {
            peer: None,
            role: Role::Initiator,
            local: here,
            remote: here,
            error,
        };
        event.audit().unwrap().to_string()
    }

    #[test]
    fn failures_have_a_number_and_somebody_whose_doing_they_are() {
        let said = "mail".to_owned();
        let cases = [
            (Error::Unopened, "545, main mode, peer"),
            (
                Error::NotAuthentic(NotAuthentic::Auth { said }),
                "545, main mode, peer",
            ),
            (
                Error::NotAuthentic(NotAuthentic::CannotSign { why: "".into() }),
                "545, main mode, me",
            ),
            (
                Error::Incompatible(Incompatible::Offer {
                    ours: "".into(),
                    theirs: "".into(),
                }),
                "546, main mode, me",
            ),
            (
                Error::Misbehaved(Misbehaved::ChoseWhatWasNotOffered),
                "546, main mode, peer",
            ),
            (
                Error::Refused(NotifyType::NO_PROPOSAL_CHOSEN),
                "547, main mode, peer",
            ),
            (Error::Silent { tries: 3 }, "547, main mode, peer"),
            (Error::Limit("pairs"), "547, main mode, me"),
        ];
        for (error, text) in cases {
            assert_eq!(failed(error), text);
        }
    }

    #[test]
    fn an_end_that_is_no_failure_is_nobodys_doing() {
        let closed = |reason| Event::IkeClosed {
            ike: IkeSaId(1),
            peer: "mail".into(),
            reason,
        };
        let text = |reason| closed(reason).audit().unwrap().to_string();
        assert_eq!(text(Reason::ByPeer), "543, main mode");
        let silent = Reason::Failed(Error::Silent { tries: 1 });
        assert_eq!(text(silent), "543, main mode, peer");
        assert_eq!(Event::CookiesRequired(true).audit(), None);
    }
}
