//! We ask for a pair (RFC 2409 section 5.5).

use std::time::Instant;

use policy::child::Mode;
use policy::sa::ChildId;
use policy::selector::{Selectors, TrafficSelector};
use wire::isakmp::numbers::SA_LIFE_TYPE;
use wire::isakmp::{Chain, Identification, NotifyType, Payload, Transform};

use crypto::DhKeyPair;

use crate::command::Acquire;
use crate::context::Context;
use crate::error::{Error, Misbehaved};
use crate::id::Role;
use crate::limits;
use crate::output::Outbound;
use crate::pair::{Agreed, Stage as ChildStage};
use crate::retransmit::Retransmit;
use crate::v1::exchange::{Exchange, Kind, Offer};
use crate::v1::keys::Nonces;
use crate::v1::message::{self, Opened};
use crate::v1::phase2::{self, Life};
use crate::v1::quick::{Contents, misbehaved};
use crate::v1::sa::Sa;
use crate::v1::selectors;

/// Asks for a pair, in the place of another or beside all others.
pub(crate) fn ask(sa: &mut Sa, acquire: Acquire, replaces: Option<ChildId>, ctx: &mut Context<'_>) {
    let chosen = selectors::choose(&acquire).map(|pair| Selectors {
        local: vec![pair.local],
        remote: vec![pair.remote],
    });
    let group = phase2::group(&acquire.child);
    let dh = match group.map(|group| DhKeyPair::generate(group, ctx.random)) {
        Some(Ok(dh)) => Some(dh),
        _ => None,
    };
    let offer = Offer {
        inbound_spi: ctx.reserve_esp(acquire.local),
        selectors: chosen.clone().unwrap_or_default(),
        acquire,
        nonce: ctx.nonce(),
        dh,
        replaces,
        doubted: sa.liveness.doubted || sa.liveness.asked.is_some(),
        asked_at: ctx.now,
    };
    let numbers = sa
        .vendor
        .nat(&sa.peer)
        .filter(|_| sa.path.nat.encapsulate());
    let proposals = phase2::offer(&offer.acquire.child, numbers, offer.inbound_spi);
    let (Some(chosen), Some(proposals)) = (chosen, proposals) else {
        return sa.give_up(offer, Error::Inexpressible, ctx);
    };
    let (Some(local), Some(remote)) = (chosen.local.first(), chosen.remote.first()) else {
        return sa.give_up(offer, Error::Inexpressible, ctx);
    };
    let mut payloads = vec![
        Payload::SecurityAssociation(proposals),
        Payload::Nonce(offer.nonce.clone()),
    ];
    payloads.extend(
        offer
            .dh
            .as_ref()
            .map(|dh| Payload::KeyExchange(dh.public().to_vec())),
    );
    payloads.push(Payload::Identification(selectors::to_wire(local)));
    payloads.push(Payload::Identification(selectors::to_wire(remote)));
    payloads.extend(sa.originals(offer.acquire.child.mode, Role::Initiator));
    let message_id = sa.new_message_id(ctx);
    let iv = sa.keys.exchange_iv(&sa.phase_1, message_id);
    let header = sa.quick_header(message_id, false);
    let keys = &sa.keys;
    let hash = |octets: &[u8]| keys.hash_1(message_id, &[octets]);
    let (sent, iv) = message::seal_hashed(keys, &iv, &header, payloads, hash);
    ctx.transmit(&sa.path, sent.clone());
    let retransmit = Retransmit::start(&sa.peer.ike.retransmission, ctx.now);
    sa.quick_modes = sa.quick_modes.saturating_add(1);
    sa.changed = true;
    sa.exchanges.push(Exchange {
        message_id,
        iv,
        kind: Kind::Asked(Box::new(offer)),
        sent,
        retransmit: Some(retransmit),
        heard: None,
        until: None,
    });
}

/// The peer's answer, whose hash is right: the pair is installed, and then confirmed.
pub(crate) fn answered(
    sa: &mut Sa,
    exchange: Exchange,
    opened: &Opened,
    commit: bool,
    digest: [u8; 32],
    ctx: &mut Context<'_>,
) {
    let Exchange {
        message_id, kind, ..
    } = exchange;
    let Kind::Asked(mut offer) = kind else { return };
    let chain = match opened.chain() {
        Ok(chain) => chain,
        Err(_) => return,
    };
    let (agreed, made) = match accept(sa, &mut offer, &chain) {
        Ok(accepted) => accepted,
        Err(error) => return sa.give_up(*offer, error, ctx),
    };
    let Made { keys, nonce, life } = made;
    // Who acknowledges deletes without being Windows is of our kind, and has had its SAs since it
    // answered. Others make them when they read our confirmation, or when they say so.
    let ready = !commit && sa.vendor.acknowledges && sa.vendor.windows.is_none();
    let outbound = match ready {
        true => Outbound::Now,
        false => Outbound::Later,
    };
    let replaces = offer.replaces;
    // An old pair that the peer has too sends until the peer sends on the new one, or the old one
    // is deleted: our confirmation may get lost.
    let kept = replaces.is_some() && !offer.doubted;
    let settles = (!ready && !commit && !kept).then(|| settles(ctx.now, offer.asked_at));
    let child = sa.install(agreed, keys, outbound, replaces, ctx);
    sa.shorten(child, life, ctx.now);
    let nonces = Nonces {
        initiator: &offer.nonce,
        responder: &nonce,
    };
    let hash = sa.keys.hash_3(message_id, nonces);
    let hash = Payload::Hash(hash.as_bytes().to_vec());
    let header = sa.quick_header(message_id, commit);
    let (sent, iv) = message::seal(&sa.keys, &opened.next, &header, &[hash]);
    ctx.transmit(&sa.path, sent.clone());
    if let Some(old) = replaces {
        replace(sa, old, child, ctx.now + limits::QUICK_REPLACED_LIFE);
    }
    sa.exchanges.push(Exchange {
        message_id,
        iv,
        kind: Kind::Confirmed { child, settles },
        sent,
        retransmit: None,
        heard: Some(digest),
        until: Some(ctx.after(limits::QUICK_LINGER)),
    });
}

/// When a peer that makes its SAs late has them, to all appearance.
fn settles(now: Instant, asked_at: Instant) -> Instant {
    let took = now.saturating_duration_since(asked_at);
    let (least, most) = limits::QUICK_SETTLES.into_inner();
    now + took.saturating_mul(2).clamp(least, most)
}

/// Another pair took the place of this one, which is deleted after a while.
pub(crate) fn replace(sa: &mut Sa, old: ChildId, by: ChildId, until: Instant) {
    if let Some(child) = sa.child_mut(old).filter(|child| child.is_live()) {
        child.stage = ChildStage::Replaced { by, until };
        sa.changed = true;
    }
}

/// What comes of an answer besides what was agreed.
struct Made {
    keys: crate::pair::PairKeys,
    /// The peer's nonce.
    nonce: Vec<u8>,
    life: Life,
}

fn accept(sa: &Sa, offer: &mut Offer, chain: &Chain<'_>) -> Result<(Agreed, Made), Error> {
    let contents = Contents::of(chain).map_err(misbehaved)?;
    let template = offer.acquire.child.clone();
    let group = offer.dh.as_ref().map(DhKeyPair::group);
    let chosen = phase2::accept(&template, group, contents.sa)?;
    let shared = match (offer.dh.take(), contents.ke) {
        (None, None) => None,
        (Some(dh), Some(theirs)) => {
            let shared = dh.agree(theirs);
            Some(shared.map_err(|_| misbehaved(Misbehaved::KeyExchange))?)
        }
        _ => return Err(misbehaved(Misbehaved::KeyExchange)),
    };
    if let Some((local, remote)) = contents.ids {
        let same = |side: &[TrafficSelector], id: &Identification| {
            side.first()
                .is_some_and(|one| selectors::to_wire(one) == *id)
        };
        let whole = same(&offer.selectors.local, local) && same(&offer.selectors.remote, remote);
        // Behind a NAT each end writes the addresses that it sees: only ports and protocol tell.
        let seen = sa.path.nat.encapsulate() && template.mode == Mode::Transport;
        if !whole && !seen {
            return Err(misbehaved(Misbehaved::ChoseWhatWasNotOffered));
        }
    }
    let written = contents
        .originals
        .filter(|_| template.mode == Mode::Transport);
    let agreed = Agreed {
        rule: offer.acquire.rule.clone(),
        template,
        suite: chosen.suite,
        inbound_spi: offer.inbound_spi,
        outbound_spi: chosen.outbound_spi,
        selectors: offer.selectors.clone(),
        written: written.map(|(initiator, responder)| policy::sa::Hosts {
            local: initiator.address,
            remote: responder.address,
        }),
    };
    let nonces = Nonces {
        initiator: &offer.nonce,
        responder: contents.nonce,
    };
    let spis = (agreed.inbound_spi, agreed.outbound_spi);
    let keys = sa.pair_keys(agreed.suite, shared.as_ref(), nonces, spis);
    let made = Made {
        keys,
        nonce: contents.nonce.to_vec(),
        life: shorter(chosen.life, responder_lifetime(chain)),
    };
    Ok((agreed, made))
}

/// What a responder says of its lifetimes when they are shorter than ours (RFC 2407 section
/// 4.6.3.1).
fn responder_lifetime(chain: &Chain<'_>) -> Life {
    let data = chain.payloads.iter().find_map(|one| match &one.payload {
        Payload::Notification(one) if one.kind == NotifyType::RESPONDER_LIFETIME => {
            Some(one.data.as_slice())
        }
        _ => None,
    });
    let lifetimes = data.and_then(|data| Transform::read_lifetimes(data, SA_LIFE_TYPE));
    Life::of(&lifetimes.unwrap_or_default())
}

fn shorter(one: Life, other: Life) -> Life {
    let least = |a: Option<u64>, b: Option<u64>| a.into_iter().chain(b).min();
    Life {
        time: one.time.into_iter().chain(other.time).min(),
        kilobytes: least(one.kilobytes, other.kilobytes),
    }
}
