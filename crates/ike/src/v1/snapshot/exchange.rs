//! An exchange that is not over as octets, and back: the survivor sends the very same octets again
//! and finishes what they began.

use std::time::{Duration, Instant};

use policy::sa::ChildId;

use crate::command::Acquire;
use crate::limits;
use crate::record::codec::{Reader, Writer};
use crate::record::{BadRecord, Directory, key_pair, rule};
use crate::retransmit::Retransmit;
use crate::v1::cipher::Iv;
use crate::v1::exchange::{Answered, Deletion, Exchange, Kind, Offer};
use crate::v1::sa::Sa;

/// Most exchanges that are read: those of ours, those of the peer's, and what lingers of both.
const MAX_EXCHANGES: usize = 512;

/// Writes an exchange down, with the private key of its Diffie-Hellman exchange if it has one.
pub(crate) fn write(to: &mut Writer, exchange: &Exchange, now: Instant) {
    to.u32(exchange.message_id);
    to.octets(exchange.iv.octets());
    to.octets(&exchange.sent);
    to.flag(exchange.retransmit.is_some());
    to.option(exchange.heard, |to, digest| to.octets(&digest));
    let left = exchange.until.map(|at| at.saturating_duration_since(now));
    to.option(left, Writer::duration);
    match &exchange.kind {
        Kind::Asked(offer) => {
            to.u8(0);
            write_offer(to, offer);
        }
        Kind::Confirmed { child, settles } => {
            to.u8(1);
            to.u64(child.0);
            to.flag(settles.is_some());
        }
        Kind::Answered(answered) => {
            to.u8(2);
            to.u64(answered.child.0);
            to.octets(&answered.initiator_nonce);
            to.octets(&answered.responder_nonce);
        }
        Kind::Deleting(deletion) => {
            to.u8(3);
            to.octets(&deletion.nonce);
            to.flag(deletion.of_isakmp);
        }
        Kind::Deleted => to.u8(4),
    }
}

fn write_offer(to: &mut Writer, offer: &Offer) {
    let acquire = &offer.acquire;
    to.octets(acquire.rule.as_str().as_bytes());
    to.address(acquire.local);
    to.address(acquire.remote);
    to.option(acquire.flow.as_ref(), Writer::flow);
    to.selectors(&acquire.selectors);
    to.selectors(&offer.selectors);
    to.u32(offer.inbound_spi);
    to.octets(&offer.nonce);
    to.option(offer.dh.as_ref(), key_pair::write);
    to.option(offer.replaces.map(|child| child.0), Writer::u64);
}

/// Reads the exchanges of an ISAKMP SA; the ladder of each begins anew.
///
/// # Errors
/// [`BadRecord`].
pub(crate) fn read_all(
    from: &mut Reader<'_>,
    sa: &Sa,
    directory: &Directory<'_>,
    now: Instant,
) -> Result<Vec<Exchange>, BadRecord> {
    let mut unknown = None;
    let exchanges = from.list(MAX_EXCHANGES, |from| {
        let message_id = from.u32()?;
        let iv = Iv::from_octets(from.octets()?)?;
        let sent = from.octets()?.to_vec();
        let repeats = from.flag()?;
        let heard = from.option(|from| from.octets()?.try_into().ok())?;
        let left = from.option(Reader::duration)?;
        let until = left.map(|left: Duration| now + left.min(limits::FOREVER));
        Some(Exchange {
            message_id,
            iv,
            sent,
            retransmit: repeats.then(|| Retransmit::at_once(now)),
            heard,
            until,
            kind: kind(from, sa, (directory, now), &mut unknown)?,
        })
    });
    exchanges.ok_or_else(|| unknown.unwrap_or(BadRecord::Malformed))
}

fn kind(
    from: &mut Reader<'_>,
    sa: &Sa,
    (directory, now): (&Directory<'_>, Instant),
    unknown: &mut Option<BadRecord>,
) -> Option<Kind> {
    Some(match from.u8()? {
        0 => Kind::Asked(Box::new(read_offer(from, sa, (directory, now), unknown)?)),
        1 => Kind::Confirmed {
            child: ChildId(from.u64()?),
            settles: from.flag()?.then_some(now),
        },
        2 => Kind::Answered(Box::new(Answered {
            child: ChildId(from.u64()?),
            initiator_nonce: from.octets()?.to_vec(),
            responder_nonce: from.octets()?.to_vec(),
        })),
        3 => Kind::Deleting(Box::new(Deletion {
            nonce: from.octets()?.to_vec(),
            of_isakmp: from.flag()?,
        })),
        4 => Kind::Deleted,
        _ => return None,
    })
}

fn read_offer(
    from: &mut Reader<'_>,
    sa: &Sa,
    (directory, now): (&Directory<'_>, Instant),
    unknown: &mut Option<BadRecord>,
) -> Option<Offer> {
    let found = rule(from.text()?, directory);
    let (rule, child) = found.map_err(|why| *unknown = Some(why)).ok()?;
    let acquire = Acquire {
        rule,
        peer: sa.peer.name.clone(),
        local: from.address()?,
        remote: from.address()?,
        flow: from.option(Reader::flow)?,
        child,
        selectors: from.selectors()?,
    };
    Some(Offer {
        acquire,
        selectors: from.selectors()?,
        inbound_spi: from.u32()?,
        nonce: from.octets()?.to_vec(),
        dh: from.option(key_pair::read)?,
        replaces: from.option(Reader::u64)?.map(ChildId),
        doubted: false,
        asked_at: now,
    })
}
