//! Synchronisation of message ids and of ESP's numbers after a member of a cluster took over: what
//! both roles have in common (RFC 6311 sections 4 and 5).

mod again;
pub(crate) mod member;
pub(crate) mod peer;

use policy::pad::Peer;
use wire::ike::{
    Decoded, ExchangeType, MessageIdSync, Notify, NotifyType, Payload, ReplayCounterSync,
};

use crate::context::Context;
use crate::discard::Discard;
use crate::limits;
use crate::path::Path;
use crate::v2::contents::Contents;
use crate::v2::install::notify;
use crate::v2::message;
use crate::v2::sa::{Sa, Stage};

/// What an authentic message tells of message ids.
pub(crate) enum Told {
    /// The peer's cluster says from where they go on.
    Request {
        sync: MessageIdSync,
        counters: Option<ReplayCounterSync>,
    },
    /// The peer agrees to where we said that they go on.
    Answer { sync: MessageIdSync },
}

/// What an initiator asserts.
pub(crate) fn offer(peer: &Peer) -> Vec<Payload> {
    assertions(peer.ike.sync, peer.ike.sync)
}

/// What a responder asserts: nothing that the initiator did not.
pub(crate) fn answer(sa: &Sa) -> Vec<Payload> {
    assertions(sa.recovery.message_ids, sa.recovery.counters)
}

fn assertions(message_ids: bool, counters: bool) -> Vec<Payload> {
    [
        (message_ids, NotifyType::IKEV2_MESSAGE_ID_SYNC_SUPPORTED),
        (counters, NotifyType::IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED),
    ]
    .into_iter()
    .filter(|(is_asserted, _)| *is_asserted)
    .map(|(_, kind)| notify(kind))
    .collect()
}

/// Takes note of what the peer asserts in IKE_AUTH.
pub(crate) fn agree(sa: &mut Sa, contents: &Contents<'_>) {
    let asserts = |kind| sa.peer.ike.sync && contents.notify(kind).is_some();
    let message_ids = asserts(NotifyType::IKEV2_MESSAGE_ID_SYNC_SUPPORTED);
    let counters = asserts(NotifyType::IPSEC_REPLAY_COUNTER_SYNC_SUPPORTED);
    (sa.recovery.message_ids, sa.recovery.counters) = (message_ids, counters);
}

/// Looks for a message about message ids; nothing changes. `None`: it is another message, to which
/// the window applies. These have message id 0, whatever the window, and are never fragments.
///
/// # Errors
/// It is not authentic, or says what it must not.
pub(crate) fn check(sa: &Sa, decoded: &Decoded<'_>) -> Result<Option<Told>, Discard> {
    let header = &decoded.header;
    let is_due = !header.flags.response || sa.recovery.attempts.is_some();
    let whole = decoded.encrypted.as_ref().map(|one| one.fragment) == Some(None);
    let possible = header.message_id == 0 && header.exchange == ExchangeType::INFORMATIONAL;
    let open = sa.recovery.message_ids && !matches!(sa.stage, Stage::Closed { .. });
    if !(is_due && possible && whole && open) {
        return Ok(None);
    }
    let Ok(payloads) = message::open_whole(&sa.keys, decoded)? else {
        return Ok(None);
    };
    let mut notifies = payloads.iter().filter_map(|payload| match payload {
        Payload::Notify(notify) => Some(notify),
        _ => None,
    });
    let Some(sync) = notifies.clone().find_map(MessageIdSync::of) else {
        return Ok(None);
    };
    let counters = notifies.find_map(ReplayCounterSync::of);
    if payloads.len() != 1 + usize::from(counters.is_some()) {
        return Err(Discard::UnexpectedPayloads);
    }
    match header.flags.response {
        true => check_answer(sa, sync, counters),
        false => check_request(sa, sync, counters),
    }
    .map(Some)
}

/// Looks at an authentic request; nothing changes. One that announces no higher message id than
/// all before it is a recorded one.
fn check_request(
    sa: &Sa,
    sync: MessageIdSync,
    counters: Option<ReplayCounterSync>,
) -> Result<Told, Discard> {
    let is_new = sync.send >= sa.expected_request
        && sa
            .recovery
            .announced
            .is_none_or(|before| sync.send > before);
    if counters.is_some() && !sa.recovery.counters {
        return Err(Discard::UnexpectedPayloads);
    }
    match is_new && in_bounds(sync) {
        true => Ok(Told::Request { sync, counters }),
        false => Err(Discard::MessageIdSync),
    }
}

/// Looks at an authentic answer; nothing changes.
fn check_answer(
    sa: &Sa,
    sync: MessageIdSync,
    counters: Option<ReplayCounterSync>,
) -> Result<Told, Discard> {
    let fits = |last: MessageIdSync| {
        sync.nonce == last.nonce && sync.receive >= last.send && sync.send >= last.receive
    };
    let own = sa.recovery.attempts.as_ref();
    let good = own.is_some_and(|own| fits(own.last)) && counters.is_none() && in_bounds(sync);
    match good {
        true => Ok(Told::Answer { sync }),
        false => Err(Discard::SyncAnswer),
    }
}

/// Whether both message ids are so low that requests can go on for years.
fn in_bounds(sync: MessageIdSync) -> bool {
    sync.send.max(sync.receive) < limits::SYNCED_MESSAGE_ID
}

/// A notification of message ids, sealed like every other message: its IV comes from the count of
/// what the key has sealed, and not from the message id, which repeats (RFC 8750 section 7).
fn transmit(
    sa: &mut Sa,
    response: bool,
    notifies: Vec<Notify>,
    back: &Path,
    ctx: &mut Context<'_>,
) {
    let header = sa.header(ExchangeType::INFORMATIONAL, response, 0);
    let payloads: Vec<Payload> = notifies.into_iter().map(Payload::Notify).collect();
    if let Some(message) = message::protect(&mut sa.keys, &header, &payloads, None) {
        ctx.transmit_all(back, &message);
    }
}
