//! A request in flight as octets, and back: the survivor sends the very same octets again and
//! finishes what they began (RFC 7296 section 2.1).

use std::time::Instant;

use policy::names::PeerName;
use policy::sa::ChildId;
use wire::ike::ExchangeType;

use crate::command::Acquire;
use crate::event::Reason;
use crate::id::IkeSaId;
use crate::record::codec::{Reader, Writer};
use crate::record::{BadRecord, Directory};
use crate::record::{key_pair, rule};
use crate::retransmit::Retransmit;
use crate::v2::child::ChildOffer;
use crate::v2::sa::{Exchange, IkeOffer, Kind, Rival, Sa};
use crate::v2::snapshot::{MAX_EXCHANGES, followups};

/// Writes a request down, with the private key of its Diffie-Hellman exchange if it has one.
pub(crate) fn write(to: &mut Writer, exchange: &Exchange) {
    to.u32(exchange.message_id);
    to.sealed(&exchange.message);
    match &exchange.kind {
        Kind::CreateChild { offer, tries } => {
            to.u8(0);
            child_offer(to, offer);
            to.u8(*tries);
        }
        Kind::RekeyChild {
            old,
            offer,
            rival,
            tries,
        } => {
            to.u8(1);
            to.u64(old.0);
            child_offer(to, offer);
            write_rival(to, rival.as_ref(), |id| id.0);
            to.u8(*tries);
        }
        Kind::DeleteChild { child } => {
            to.u8(2);
            to.u64(child.0);
        }
        Kind::DisownChild { inbound_spi } => {
            to.u8(3);
            to.u32(*inbound_spi);
        }
        Kind::RekeyIke {
            offer,
            rival,
            tries,
        } => {
            to.u8(4);
            ike_offer(to, offer);
            write_rival(to, rival.as_ref(), |id| id.0);
            to.u8(*tries);
        }
        Kind::DeleteIke { .. } => to.u8(5),
        Kind::Liveness => to.u8(6),
        Kind::Forgotten(exchange) => {
            to.u8(7);
            to.u8(exchange.0);
        }
        Kind::Redirect { to: gateway } => {
            to.u8(8);
            to.address(*gateway);
        }
        Kind::Addresses { cookie, moves } => {
            to.u8(9);
            to.octets(cookie);
            to.u32(*moves);
        }
        Kind::CloneIke { offer, tries } => {
            to.u8(10);
            ike_offer(to, offer);
            to.u8(*tries);
        }
    }
}

fn ike_offer(to: &mut Writer, offer: &IkeOffer) {
    to.u64(offer.new.0);
    to.octets(&offer.nonce);
    key_pair::write(to, &offer.dh);
    followups::write(to, &offer.followups);
}

fn child_offer(to: &mut Writer, offer: &ChildOffer) {
    let acquire = &offer.acquire;
    to.octets(acquire.rule.as_str().as_bytes());
    to.address(acquire.local);
    to.address(acquire.remote);
    to.option(acquire.flow.as_ref(), Writer::flow);
    to.selectors(&acquire.selectors);
    to.u32(offer.inbound_spi);
    to.octets(&offer.nonce);
    to.option(offer.dh.as_ref(), key_pair::write);
    followups::write(to, &offer.followups);
}

fn write_rival<Id>(to: &mut Writer, rival: Option<&Rival<Id>>, id: impl Fn(&Id) -> u64) {
    to.option(rival, |to, rival| {
        to.u64(id(&rival.id));
        to.octets(&rival.lowest);
    });
}

/// Reads the requests in flight of an IKE SA; the ladder of each begins anew.
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
        let (message_id, message) = (from.u32()?, from.sealed()?);
        Some(Exchange {
            message_id,
            kind: kind(from, &sa.peer.name, directory, &mut unknown)?,
            retransmit: Retransmit::at_once(now),
            message,
        })
    });
    exchanges.ok_or_else(|| unknown.unwrap_or(BadRecord::Malformed))
}

fn kind(
    from: &mut Reader<'_>,
    peer: &PeerName,
    directory: &Directory<'_>,
    unknown: &mut Option<BadRecord>,
) -> Option<Kind> {
    Some(match from.u8()? {
        0 => Kind::CreateChild {
            offer: Box::new(read_child_offer(from, peer, directory, unknown)?),
            tries: from.u8()?,
        },
        1 => Kind::RekeyChild {
            old: ChildId(from.u64()?),
            offer: Box::new(read_child_offer(from, peer, directory, unknown)?),
            rival: read_rival(from, ChildId)?,
            tries: from.u8()?,
        },
        2 => Kind::DeleteChild {
            child: ChildId(from.u64()?),
        },
        3 => Kind::DisownChild {
            inbound_spi: from.u32()?,
        },
        4 => Kind::RekeyIke {
            offer: Box::new(read_ike_offer(from)?),
            rival: read_rival(from, IkeSaId)?,
            tries: from.u8()?,
        },
        5 => Kind::DeleteIke {
            reason: Reason::Requested,
        },
        6 => Kind::Liveness,
        7 => Kind::Forgotten(ExchangeType(from.u8()?)),
        8 => Kind::Redirect {
            to: from.address()?,
        },
        9 => Kind::Addresses {
            cookie: from.octets()?.try_into().ok()?,
            moves: from.u32()?,
        },
        10 => Kind::CloneIke {
            offer: Box::new(read_ike_offer(from)?),
            tries: from.u8()?,
        },
        _ => return None,
    })
}

fn read_ike_offer(from: &mut Reader<'_>) -> Option<IkeOffer> {
    Some(IkeOffer {
        new: IkeSaId(from.u64()?),
        nonce: from.octets()?.to_vec(),
        dh: key_pair::read(from)?,
        followups: followups::read(from)?,
    })
}

fn read_child_offer(
    from: &mut Reader<'_>,
    peer: &PeerName,
    directory: &Directory<'_>,
    unknown: &mut Option<BadRecord>,
) -> Option<ChildOffer> {
    let found = rule(from.text()?, directory);
    let (rule, child) = found.map_err(|why| *unknown = Some(why)).ok()?;
    let acquire = Acquire {
        rule,
        peer: peer.clone(),
        local: from.address()?,
        remote: from.address()?,
        flow: from.option(Reader::flow)?,
        child,
        selectors: from.selectors()?,
    };
    let (inbound_spi, nonce) = (from.u32()?, from.octets()?.to_vec());
    let dh = from.option(key_pair::read)?;
    let followups = followups::read(from)?;
    let offer = ChildOffer::again(acquire, inbound_spi, nonce, dh, followups);
    Some(offer)
}

/// The inner `None` is no rival.
fn read_rival<Id>(from: &mut Reader<'_>, id: impl Fn(u64) -> Id) -> Option<Option<Rival<Id>>> {
    from.option(|from| {
        Some(Rival {
            id: id(from.u64()?),
            lowest: from.octets()?.to_vec(),
        })
    })
}
