//! Peers are sent to another gateway, and the answer waits for what each of them says (RFC 5685
//! section 5).

use crate::run::Daemon;
use api::{ErrorCode, Reply};
use ike::{Event as IkeEvent, IkeSaId, IkeState, IkeStatus};
use node::{Command, Event};
use policy::PeerName;
use serde_json::json;
use std::collections::BTreeSet;
use std::net::IpAddr;
use std::time::Instant;

/// Who was sent, and who has not said anything yet.
#[derive(Debug)]
pub(crate) struct Redirecting {
    to: IpAddr,
    left: BTreeSet<IkeSaId>,
    confirmed: usize,
    /// Those that do not know what it means, or are there already.
    mute: usize,
    /// Those that are gone before they said anything.
    gone: usize,
}

impl Redirecting {
    /// Takes note of an event: the answer, when it is the last that is waited for.
    pub(crate) fn note(&mut self, event: &Event) -> Option<Reply> {
        match event {
            Event::Ike(IkeEvent::PeerRedirected { ike, .. }) if self.left.remove(ike) => {
                self.confirmed += 1;
            }
            Event::Ike(IkeEvent::IkeClosed { ike, .. }) if self.left.remove(ike) => self.gone += 1,
            // Its successor has the request to send, or in flight.
            Event::Ike(IkeEvent::IkeRekeyed { old, new, .. }) if self.left.remove(old) => {
                self.left.insert(*new);
            }
            _ => return None,
        }
        self.left.is_empty().then(|| self.reply())
    }

    /// What became of it until now.
    pub(crate) fn reply(&self) -> Reply {
        let Redirecting {
            to,
            left,
            confirmed,
            mute,
            gone,
        } = self;
        let mut text = format!("{confirmed} peers have confirmed that they go to {to}");
        for (count, what) in [
            (
                *mute,
                "cannot be sent, as they do not know RFC 5685 or are there: delete their SAs",
            ),
            (*gone, "were gone before they answered"),
            (left.len(), "have not answered yet"),
        ] {
            if count > 0 {
                text.push_str(&format!("; {count} {what}"));
            }
        }
        match (confirmed, mute + left.len()) {
            (_, 0) => Reply::success(json!({ "message": text })),
            (0, _) => Reply::failure(ErrorCode::Failed, text),
            _ => Reply::failure(ErrorCode::PartlyDone, text),
        }
    }
}

impl Daemon {
    /// Sends the peers on; what is to be waited for, or the answer.
    ///
    /// # Errors
    /// There is nothing to wait for.
    pub(crate) fn send_on(
        &mut self,
        peer: Option<String>,
        to: IpAddr,
    ) -> Result<Redirecting, Reply> {
        let now = Instant::now();
        let peer = peer.map(|name| PeerName::new(&name));
        let used = |sa: &IkeStatus| matches!(sa.state, IkeState::Established | IkeState::Rekeying);
        let meant = |sa: &IkeStatus| match &peer {
            Some(_) => sa.peer == peer,
            None => sa.peer.is_some(),
        };
        let all = self.node.ike().status(now).into_iter();
        let mut sent = Redirecting {
            to,
            left: BTreeSet::new(),
            confirmed: 0,
            mute: 0,
            gone: 0,
        };
        for sa in all.filter(|sa| used(sa) && meant(sa)) {
            let command = Command::Redirect { ike: sa.ike, to };
            match self.node.handle_command(command, now) {
                Ok(()) => _ = sent.left.insert(sa.ike),
                Err(_) => sent.mute += 1,
            }
        }
        match (sent.left.is_empty(), sent.mute) {
            (false, _) => Ok(sent),
            (true, 0) => {
                let text = "there is no IKE SA whose peer could be sent";
                Err(Reply::failure(ErrorCode::NotFound, text))
            }
            (true, _) => Err(sent.reply()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn redirecting(left: &[u64], mute: usize) -> Redirecting {
        Redirecting {
            to: IpAddr::from([10, 0, 0, 3]),
            left: left.iter().map(|id| IkeSaId(*id)).collect(),
            confirmed: 0,
            mute,
            gone: 0,
        }
    }

    fn confirms(ike: u64) -> Event {
        Event::Ike(IkeEvent::PeerRedirected {
            ike: IkeSaId(ike),
            peer: "gw".into(),
            remote: "10.0.0.1:500".parse().unwrap(),
            gateway: IpAddr::from([10, 0, 0, 3]),
        })
    }

    fn closes(ike: u64) -> Event {
        Event::Ike(IkeEvent::IkeClosed {
            ike: IkeSaId(ike),
            peer: "gw".into(),
            reason: ike::Reason::ByPeer,
        })
    }

    #[test]
    fn it_is_answered_when_the_last_has_confirmed_or_is_gone() {
        let mut all = redirecting(&[1, 2], 0);
        assert!(all.note(&confirms(3)).is_none(), "another one");
        assert!(all.note(&confirms(1)).is_none());
        assert!(all.note(&confirms(1)).is_none(), "twice");
        let reply = all.note(&closes(2)).unwrap();
        assert!(reply.error.is_none());
        let text = reply.result.unwrap().to_string();
        assert!(
            text.contains("1 peers have confirmed") && text.contains("1 were gone"),
            "{text}"
        );
    }

    #[test]
    fn those_that_cannot_be_sent_make_it_partly_done() {
        let mut one = redirecting(&[1], 2);
        let failure = one.note(&confirms(1)).unwrap().error.unwrap();
        assert_eq!(failure.code, ErrorCode::PartlyDone);
        assert!(
            failure.message.contains("2 cannot be sent"),
            "{}",
            failure.message
        );
        let failure = redirecting(&[1], 0).reply().error.unwrap();
        assert_eq!(failure.code, ErrorCode::Failed);
    }
}
