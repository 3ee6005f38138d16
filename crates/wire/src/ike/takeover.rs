//! The data of the notifications that help when an IKE SA was lost or moved: crash tokens (RFC
//! 6290), synchronised counters (RFC 6311) and tickets (RFC 5723).

use crate::ike::kinds::ProtocolId;
use crate::ike::limits;
use crate::ike::notify::Notify;
use crate::ike::notify_type::NotifyType;

impl Notify {
    /// QUICK_CRASH_DETECTION with a token (RFC 6290 section 4.1: protocol 1 and no SPI).
    pub fn crash_token(token: &[u8]) -> Self {
        Notify {
            protocol: ProtocolId::IKE,
            ..Notify::new(NotifyType::QUICK_CRASH_DETECTION, token.to_vec())
        }
    }

    /// The token of QUICK_CRASH_DETECTION, if it has the length of one.
    pub fn as_crash_token(&self) -> Option<&[u8]> {
        let lengths = limits::CRASH_TOKEN_MIN..=limits::CRASH_TOKEN_MAX;
        let is_token = self.kind == NotifyType::QUICK_CRASH_DETECTION;
        (is_token && lengths.contains(&self.data.len())).then_some(self.data.as_slice())
    }
}

/// IKEV2_MESSAGE_ID_SYNC (RFC 6311 section 6.3). The sender of a request speaks of M1 and P1, who
/// answers of P2 and M2; the fields are always seen from the sender of the message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageIdSync {
    /// Random; the answer repeats it.
    pub nonce: [u8; 4],
    /// The message id of the next request that the sender will send.
    pub send: u32,
    /// The message id of the next request that the sender expects.
    pub receive: u32,
}

impl MessageIdSync {
    /// As a notification.
    pub fn to_notify(self) -> Notify {
        let (send, receive) = (self.send.to_be_bytes(), self.receive.to_be_bytes());
        let data = [self.nonce, send, receive].concat();
        Notify::new(NotifyType::IKEV2_MESSAGE_ID_SYNC, data)
    }

    /// From a notification of this type and of exactly this length.
    pub fn of(notify: &Notify) -> Option<Self> {
        if notify.kind != NotifyType::IKEV2_MESSAGE_ID_SYNC {
            return None;
        }
        let (words, []) = notify.data.as_chunks::<4>() else {
            return None;
        };
        let [nonce, send, receive] = *words else {
            return None;
        };
        Some(MessageIdSync {
            nonce,
            send: u32::from_be_bytes(send),
            receive: u32::from_be_bytes(receive),
        })
    }
}

/// IPSEC_REPLAY_COUNTER_SYNC (RFC 6311 section 6.4): by how much the receiver must increase the
/// numbers of its outgoing ESP.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReplayCounterSync {
    /// For children without extended sequence numbers.
    Short(u32),
    /// For children with them.
    Extended(u64),
}

impl ReplayCounterSync {
    /// The increase, whatever its width.
    pub fn delta(self) -> u64 {
        match self {
            ReplayCounterSync::Short(delta) => u64::from(delta),
            ReplayCounterSync::Extended(delta) => delta,
        }
    }

    /// As a notification.
    pub fn to_notify(self) -> Notify {
        let data = match self {
            ReplayCounterSync::Short(delta) => delta.to_be_bytes().to_vec(),
            ReplayCounterSync::Extended(delta) => delta.to_be_bytes().to_vec(),
        };
        Notify::new(NotifyType::IPSEC_REPLAY_COUNTER_SYNC, data)
    }

    /// From a notification of this type with 4 or 8 octets.
    pub fn of(notify: &Notify) -> Option<Self> {
        if notify.kind != NotifyType::IPSEC_REPLAY_COUNTER_SYNC {
            return None;
        }
        match *notify.data.as_slice() {
            [a, b, c, d] => Some(ReplayCounterSync::Short(u32::from_be_bytes([a, b, c, d]))),
            ref data => {
                let delta = u64::from_be_bytes(data.try_into().ok()?);
                Some(ReplayCounterSync::Extended(delta))
            }
        }
    }
}

/// TICKET_LT_OPAQUE (RFC 5723 section 7.2): a ticket, and how long it is good.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LifetimeTicket {
    /// Seconds from now.
    pub seconds: u32,
    /// What to show later; only its maker can read it. Never empty.
    pub ticket: Vec<u8>,
}

impl LifetimeTicket {
    /// As a notification.
    pub fn to_notify(&self) -> Notify {
        let data = [&self.seconds.to_be_bytes()[..], &self.ticket].concat();
        Notify::new(NotifyType::TICKET_LT_OPAQUE, data)
    }

    /// From a notification of this type that holds a ticket.
    pub fn of(notify: &Notify) -> Option<Self> {
        let (seconds, ticket) = notify.data.split_first_chunk()?;
        let is_ticket = notify.kind == NotifyType::TICKET_LT_OPAQUE && !ticket.is_empty();
        is_ticket.then(|| LifetimeTicket {
            seconds: u32::from_be_bytes(*seconds),
            ticket: ticket.to_vec(),
        })
    }
}
