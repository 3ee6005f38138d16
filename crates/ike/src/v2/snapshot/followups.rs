//! The additional key exchanges of a request in flight as octets, and back (RFC 9370 section
//! 2.2.4).

use std::collections::VecDeque;

use crypto::{Group, Secret};
use policy::additional::MOST;
use wire::ike::{PayloadType, decode_payloads, encode_payloads};

use crate::record::codec::{Reader, Writer};
use crate::record::key_pair;
use crate::v2::secrets::{Flying, Followups};

/// Writes down what is done, and what is in flight.
pub(crate) fn write(to: &mut Writer, followups: &Followups) {
    to.list(&followups.secrets, |to, secret| {
        to.octets(secret.as_bytes())
    });
    to.option(followups.flying.as_ref(), |to, flying| {
        // What was decoded from a message fits one.
        let (first, octets) =
            encode_payloads(&flying.answer).unwrap_or((PayloadType::NONE, Vec::new()));
        to.u8(first.0);
        to.octets(&octets);
        key_pair::write(to, &flying.dh);
        let ids: Vec<u16> = flying.remaining.iter().map(|group| group.id()).collect();
        to.list(&ids, |to, id| to.u16(*id));
    });
}

/// Reads what [`write()`] wrote.
pub(crate) fn read(from: &mut Reader<'_>) -> Option<Followups> {
    let secrets = from.list(MOST, |from| from.octets().map(Secret::from_slice))?;
    let flying = from.option(|from| {
        let first = PayloadType(from.u8()?);
        let answer = decode_payloads(first, from.octets()?).ok()?;
        let dh = key_pair::read(from)?;
        let remaining = from.list(MOST, |from| Group::from_id(from.u16()?))?;
        Some(Box::new(Flying {
            answer,
            dh,
            remaining: VecDeque::from(remaining),
        }))
    })?;
    Some(Followups { secrets, flying })
}
