//! S2: no IKE message ID twice with different content (RFC 7296 §2.1, §2.2).

use std::collections::BTreeMap;
use std::fmt;
use std::hash::{DefaultHasher, Hasher};
use std::net::IpAddr;

use crate::oracle::repeat::seconds;

/// Messages beyond this are not watched, which the report says: each costs some hundred bytes.
const MOST: usize = 1 << 20;
/// IKE_SA_INIT (RFC 7296 §3.1).
const IKE_SA_INIT: u8 = 34;
/// The response flag (RFC 7296 §3.1).
const RESPONSE: u8 = 0x20;
/// The payload that says something in clear (RFC 7296 §3.10).
const NOTIFY: u8 = 41;
/// The payload of an encrypted fragment (RFC 7383 §2.5).
const FRAGMENT: u8 = 53;

/// The version octet of IKEv1, its payload that says something in clear, and its exchanges that
/// have several messages of one ID (RFC 2408 §3.1, RFC 2409 appendix A).
const VERSION_1: u8 = 0x10;
const NOTIFICATION: u8 = 11;
const MAIN_MODE: u8 = 2;
const QUICK_MODE: u8 = 32;

/// What makes a message that may go out as often as wanted, and always the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Name {
    pub(crate) initiator: u64,
    pub(crate) responder: u64,
    pub(crate) id: u32,
    pub(crate) exchange: u8,
    pub(crate) response: bool,
    /// Number and total of a fragment; zero of a message in one piece.
    fragment: (u16, u16),
    /// Which message of an exchange of IKEv1: its first payload and its length tell.
    step: (u8, u32),
    source: IpAddr,
}

/// What was sent under a name first.
#[derive(Clone, Copy, Debug)]
struct Sent {
    digest: u64,
    node: &'static str,
    at: u64,
}

/// Two contents under one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Conflict {
    pub(crate) name: Name,
    pub(crate) node: &'static str,
    pub(crate) at: u64,
    pub(crate) earlier: (&'static str, u64),
}

/// Every message that left a virtual address.
#[derive(Debug, Default)]
pub(crate) struct Ike {
    messages: BTreeMap<Name, Sent>,
    /// Messages that were not watched, for want of room or because they were cut short.
    pub(crate) unwatched: u64,
}

impl Ike {
    /// How many messages were seen, retransmissions aside.
    pub(crate) fn messages(&self) -> usize {
        self.messages.len()
    }

    /// Looks at a message that `node` sent from `source` at `at` microseconds.
    pub(crate) fn message(
        &mut self,
        node: &'static str,
        at: u64,
        source: IpAddr,
        message: &[u8],
    ) -> Option<Conflict> {
        if is_hint(message) {
            return None;
        }
        let Some(name) = name(source, message) else {
            self.unwatched += 1;
            return None;
        };
        // A request tried anew with a cookie or another group keeps its ID, and the answer that
        // asks for it has no state behind it (RFC 7296 §2.6, §2.7).
        if name.exchange == IKE_SA_INIT && name.responder == 0 {
            return None;
        }
        let mut hasher = DefaultHasher::new();
        hasher.write(message);
        let digest = hasher.finish();
        let Some(sent) = self.messages.get(&name) else {
            if self.messages.len() < MOST {
                self.messages.insert(name, Sent { digest, node, at });
            } else {
                self.unwatched += 1;
            }
            return None;
        };
        (sent.digest != digest).then_some(Conflict {
            name,
            node,
            at,
            earlier: (sent.node, sent.at),
        })
    }
}

/// Whether it says in clear that an IKE SA is not here: that is no message of the IKE SA, and
/// whoever has it may answer the same request (RFC 7296 §2.21.4).
fn is_hint(message: &[u8]) -> bool {
    let Some(&[next, version, exchange, _flags]) = message.get(16..20) else {
        return false;
    };
    match version {
        VERSION_1 => next == NOTIFICATION,
        _ => next == NOTIFY && exchange != IKE_SA_INIT,
    }
}

/// Reads the header (RFC 7296 §3.1), and that of a fragment behind it (RFC 7383 §2.5).
fn name(source: IpAddr, message: &[u8]) -> Option<Name> {
    let (initiator, rest) = message.split_first_chunk()?;
    let (responder, rest) = rest.split_first_chunk()?;
    let (&[next, version, exchange, flags], rest) = rest.split_first_chunk()?;
    let (id, rest) = rest.split_first_chunk()?;
    let (length, payload) = rest.split_first_chunk::<4>()?;
    let fragment = match (next, payload.get(4..8)) {
        (FRAGMENT, Some(&[n0, n1, t0, t1])) => {
            (u16::from_be_bytes([n0, n1]), u16::from_be_bytes([t0, t1]))
        }
        _ => (0, 0),
    };
    Some(Name {
        initiator: u64::from_be_bytes(*initiator),
        responder: u64::from_be_bytes(*responder),
        id: u32::from_be_bytes(*id),
        exchange,
        response: flags & RESPONSE != 0,
        fragment,
        step: match (version, exchange) {
            (VERSION_1, MAIN_MODE | QUICK_MODE) => (next, u32::from_be_bytes(*length)),
            _ => (0, 0),
        },
        source,
    })
}

impl fmt::Display for Conflict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Conflict { name, node, .. } = self;
        let kind = if name.response { "response" } else { "request" };
        let [at, before] = [self.at, self.earlier.1].map(seconds);
        write!(
            f,
            "{kind} {} of exchange {} of {:016x}/{:016x} from {node} at {at:.6} s is not what {} \
             sent at {before:.6} s",
            name.id, name.exchange, name.initiator, name.responder, self.earlier.0
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const INFORMATIONAL: u8 = 37;
    const VIP: IpAddr = IpAddr::V4(crate::addresses::VIP);

    fn message(responder: u64, exchange: u8, flags: u8, id: u32, payload: &[u8]) -> Vec<u8> {
        let mut message = 0x1111u64.to_be_bytes().to_vec();
        message.extend(responder.to_be_bytes());
        let next = if payload.len() == 9 { FRAGMENT } else { 46 };
        message.extend([next, 0x20, exchange, flags]);
        message.extend(id.to_be_bytes());
        message.extend((28 + payload.len() as u32).to_be_bytes());
        message.extend(payload);
        message
    }

    #[test]
    fn a_planted_conflict_across_nodes_is_found() {
        let mut ike = Ike::default();
        let mut send = |node, at, message: &[u8]| ike.message(node, at, VIP, message);
        let first = message(2, INFORMATIONAL, RESPONSE, 7, b"abc");
        assert_eq!(send("be1", 1, &first), None);
        assert_eq!(send("be2", 2, &first), None, "the same octets again");
        for other in [
            message(2, INFORMATIONAL, 0, 7, b"abd"),
            message(2, INFORMATIONAL, RESPONSE, 8, b"abd"),
            message(3, INFORMATIONAL, RESPONSE, 7, b"abd"),
            message(2, 36, RESPONSE, 7, b"abd"),
        ] {
            assert_eq!(send("be2", 3, &other), None, "another message");
        }
        let conflict = send("be2", 4, &message(2, INFORMATIONAL, RESPONSE, 7, b"abd"));
        let conflict = conflict.unwrap();
        assert_eq!((conflict.node, conflict.at), ("be2", 4));
        assert_eq!((conflict.earlier, conflict.name.id), (("be1", 1), 7));
    }

    #[test]
    fn that_an_ike_sa_is_not_here_is_no_message_of_it() {
        let mut ike = Ike::default();
        let mut hint = message(2, INFORMATIONAL, RESPONSE, 7, b"lost");
        hint[16] = NOTIFY;
        let answer = message(2, INFORMATIONAL, RESPONSE, 7, b"alive");
        for message in [&hint, &answer, &hint] {
            assert_eq!(ike.message("be1", 0, VIP, message), None);
        }
        assert_eq!((ike.messages(), ike.unwatched), (1, 0));
    }

    #[test]
    fn the_messages_of_main_mode_have_one_id_and_each_one_content() {
        let mut ike = Ike::default();
        let mut send = |next: u8, payload: &[u8]| {
            let mut message = message(2, MAIN_MODE, 0, 0, payload);
            (message[16], message[17]) = (next, VERSION_1);
            ike.message("be1", 0, VIP, &message)
        };
        for (next, payload) in [(1, &b"sa"[..]), (4, b"ke"), (5, b"identity"), (4, b"ke")] {
            assert_eq!(send(next, payload), None);
        }
        assert!(send(4, b"KE").is_some());
        assert_eq!(send(NOTIFICATION, b"no"), None);
    }

    #[test]
    fn fragments_of_a_message_differ_and_may() {
        let mut ike = Ike::default();
        let fragment = |n, text: &[u8]| [&[0, 0, 0, 9, 0, n, 0, 2], text].concat();
        for (n, text) in [(1, b"a"), (2, b"b"), (1, b"a")] {
            let message = message(2, 35, 0, 1, &fragment(n, text));
            assert_eq!(ike.message("be1", 0, VIP, &message), None);
        }
        let changed = message(2, 35, 0, 1, &fragment(2, b"c"));
        assert!(ike.message("be1", 0, VIP, &changed).is_some());
    }

    #[test]
    fn a_first_request_may_be_tried_anew() {
        let mut ike = Ike::default();
        for text in [b"without cookie", b"with a cookie "] {
            let message = message(0, IKE_SA_INIT, 0, 0, text);
            assert_eq!(ike.message("be1", 0, VIP, &message), None);
        }
        for (text, conflict) in [(b"one", false), (b"two", true)] {
            let message = message(5, IKE_SA_INIT, RESPONSE, 0, text);
            assert_eq!(ike.message("be1", 0, VIP, &message).is_some(), conflict);
        }
    }

    #[test]
    fn a_message_cut_short_is_counted_as_not_watched() {
        let mut ike = Ike::default();
        for end in 0..28 {
            let whole = message(2, INFORMATIONAL, 0, 1, b"");
            assert_eq!(ike.message("be1", 0, VIP, &whole[..end]), None);
        }
        assert_eq!((ike.messages(), ike.unwatched), (0, 28));
    }
}
