//! Deletes, which Windows acknowledges and repeats until they are ([MS-IKEE] section 3.8).

use std::time::{Duration, Instant};

use policy::timers::Retransmission;
use wire::isakmp::{Chain, Delete, Payload, decode_payloads, encode_payloads};

use crate::context::Context;
use crate::discard::Discard;
use crate::error::Error;
use crate::event::Reason;
use crate::limits;
use crate::retransmit::Retransmit;
use crate::v1::cipher::Iv;
use crate::v1::exchange::{Deletion, Exchange, Kind};
use crate::v1::message::{self, Message, authenticate};
use crate::v1::sa::{Sa, Stage};

/// Tells the peer what is deleted: until it says that it knows, if it is one that does, and else
/// once more than once, for nobody repeats what got lost.
pub(crate) fn delete(sa: &mut Sa, delete: Delete, ctx: &mut Context<'_>) {
    let of_isakmp = delete.protocol == wire::isakmp::ProtocolId::ISAKMP;
    let message_id = sa.new_message_id(ctx);
    if !sa.vendor.acknowledges {
        let message = sa.informational(message_id, vec![Payload::Delete(delete)]);
        for _ in 0..limits::PLAIN_DELETES {
            ctx.transmit(&sa.path, message.clone());
        }
        return;
    }
    let nonce = ctx.nonce();
    let payloads = vec![Payload::Nonce(nonce.clone()), Payload::Delete(delete)];
    let iv = sa.keys.exchange_iv(&sa.phase_1, message_id);
    let header = sa.informational_header(message_id);
    let hash = |octets: &[u8]| sa.keys.hash_1(message_id, &[octets]);
    let (sent, iv) = message::seal_hashed(&sa.keys, &iv, &header, payloads, hash);
    ctx.transmit(&sa.path, sent.clone());
    let ladder = deletes_by(sa);
    sa.changed = true;
    sa.exchanges.push(Exchange {
        message_id,
        iv,
        kind: Kind::Deleting(Box::new(Deletion { nonce, of_isakmp })),
        sent,
        retransmit: Some(Retransmit::start(&ladder, ctx.now)),
        heard: None,
        until: None,
    });
}

/// The ladder of deletes: Windows has one of its own for them.
pub(crate) fn deletes_by(sa: &Sa) -> Retransmission {
    match sa.vendor.windows {
        Some(_) => Retransmission::kb_deletes(),
        None => sa.peer.ike.retransmission.clone(),
    }
}

/// How long a pair that the peer has replaced waits for its Delete: as long as the peer may take
/// for it and for all its repetitions, as far as we know its ladder.
pub(crate) fn patience(sa: &Sa) -> Duration {
    let repetitions = deletes_by(sa).total() + limits::QUICK_REPLACED_LIFE;
    limits::QUICK_REPLACED_PATIENCE.min(repetitions + limits::QUICK_REPLACED_SLACK)
}

/// The peer deletes, and wants to know that we know: it is told, now and whenever it asks again.
pub(crate) fn answer(
    sa: &mut Sa,
    message: &Message<'_>,
    iv: &Iv,
    initiator_nonce: &[u8],
    chain: &Chain<'_>,
    ctx: &mut Context<'_>,
) {
    let message_id = message.header.message_id;
    let deletes = chain.payloads.iter().filter_map(|one| match &one.payload {
        Payload::Delete(one) => Some(Payload::Delete(one.clone())),
        _ => None,
    });
    let deletes: Vec<Payload> = deletes.collect();
    if deletes.is_empty() {
        return;
    }
    let payloads: Vec<Payload> = deletes
        .into_iter()
        .chain([Payload::Nonce(ctx.nonce())])
        .collect();
    let Some(hash) = hash_2(sa, message_id, initiator_nonce, &payloads) else {
        return;
    };
    let payloads: Vec<Payload> = std::iter::once(hash).chain(payloads).collect();
    let header = sa.informational_header(message_id);
    let (sent, iv) = message::seal(&sa.keys, iv, &header, &payloads);
    ctx.transmit(&sa.path, sent.clone());
    sa.exchanges.push(Exchange {
        message_id,
        iv,
        kind: Kind::Deleted,
        sent,
        retransmit: None,
        heard: Some(message.digest()),
        until: Some(ctx.after(limits::DELETE_LINGER)),
    });
}

/// HASH(2) covers the nonce before the delete, which stand the other way round in the message.
fn hash_2(sa: &Sa, message_id: u32, initiator_nonce: &[u8], sent: &[Payload]) -> Option<Payload> {
    let (first, octets) = encode_payloads(sent).ok()?;
    let chain = decode_payloads(first, &octets, false).ok()?;
    let covered = covered(&chain);
    let hash = sa
        .keys
        .hash_2_of_delete(message_id, initiator_nonce, &covered);
    Some(Payload::Hash(hash.as_bytes().to_vec()))
}

fn covered<'a>(chain: &Chain<'a>) -> Vec<&'a [u8]> {
    let of = |wanted: fn(&Payload) -> bool| {
        let found = chain
            .payloads
            .iter()
            .filter(move |one| wanted(&one.payload));
        found.filter_map(|one| chain.octets.get(one.offset..one.end()))
    };
    let nonce = of(|one| matches!(one, Payload::Nonce(_)));
    nonce
        .chain(of(|one| matches!(one, Payload::Delete(_))))
        .collect()
}

/// The peer says that it knows.
///
/// # Errors
/// It is not authentic; nothing has changed then.
pub(crate) fn acknowledged(
    sa: &mut Sa,
    index: usize,
    message: &Message<'_>,
    ctx: &mut Context<'_>,
) -> Result<(), Discard> {
    let exchange = sa.exchanges.get(index).ok_or(Discard::NoMatchingRequest)?;
    let Kind::Deleting(deletion) = &exchange.kind else {
        return Err(Discard::NoMatchingRequest);
    };
    let message_id = message.header.message_id;
    let opened = message.open(&sa.keys, &exchange.iv)?;
    let chain = opened.chain()?;
    let covered = covered(&chain);
    authenticate(&chain, |_| {
        sa.keys
            .hash_2_of_delete(message_id, &deletion.nonce, &covered)
    })?;
    let of_isakmp = deletion.of_isakmp;
    sa.exchanges.remove(index);
    sa.heard(ctx.now);
    if of_isakmp && sa.stage == Stage::Closing {
        let reason = sa.closing.take().unwrap_or(Reason::Requested);
        sa.end(reason, ctx);
    }
    Ok(())
}

/// Deletes an ISAKMP SA and its pairs: the pairs first, and the SA itself with the last word
/// ([MS-IKEE] section 3.8: it stays until their deletes are processed).
pub(crate) fn close(sa: &mut Sa, reason: Reason, ctx: &mut Context<'_>) {
    match sa.stage {
        Stage::Live | Stage::Replaced { .. } => {}
        // The peer has deleted it, and would not understand; its pairs are there yet.
        Stage::Gone => return sa.end(reason, ctx),
        Stage::Closing => return,
    }
    let spis: Vec<u32> = sa.children.iter().map(|child| child.inbound_spi).collect();
    sa.remove_children(&reason, ctx);
    for acquire in sa.abandon(ctx) {
        crate::context::acquire_failed(acquire, Error::IkeClosed, ctx);
    }
    if !spis.is_empty() {
        delete(sa, Delete::esp(&spis), ctx);
    }
    let (initiator, responder) = sa.cookie_pair();
    delete(sa, Delete::isakmp(initiator, responder), ctx);
    match sa.vendor.acknowledges {
        true => {
            sa.stage = Stage::Closing;
            sa.closing = Some(reason);
            sa.changed = true;
        }
        false => sa.end(reason, ctx),
    }
}

/// When the last delete of an ISAKMP SA that closes is given up.
pub(crate) fn is_over(sa: &Sa) -> bool {
    let deletes = |one: &Exchange| matches!(&one.kind, Kind::Deleting(one) if one.of_isakmp);
    sa.stage == Stage::Closing && !sa.exchanges.iter().any(deletes)
}

/// The address leaves: what waits for an answer is repeated often, while there is time.
pub(crate) fn hurry(sa: &mut Sa, now: Instant) {
    for exchange in &mut sa.exchanges {
        if matches!(exchange.kind, Kind::Deleting(_)) {
            exchange.retransmit = Some(Retransmit::every(limits::RELEASE_REPEAT, now));
        }
    }
}
