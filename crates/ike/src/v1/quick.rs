//! Quick mode: a pair of SAs under an ISAKMP SA (RFC 2409 section 5.5).

pub(crate) mod asked;
pub(crate) mod asking;

use crypto::Secret;
use policy::child::Mode;
use policy::proposal::EspSuite;
use policy::sa::{ChildId, Hosts};
use wire::isakmp::{
    Chain, ExchangeType, Flags, Identification, Located, NatOriginalAddress, Payload, PayloadType,
    ProtocolId, SecurityAssociation,
};

use crate::error::{Error, Misbehaved};
use crate::id::Role;
use crate::pair::PairKeys;
use crate::v1::keys::{Keymat, Nonces};
use crate::v1::message;
use crate::v1::phase2::Life;
use crate::v1::sa::Sa;

/// What a quick mode message must hold, each once.
pub(crate) struct Contents<'a> {
    pub(crate) sa: &'a SecurityAssociation,
    pub(crate) nonce: &'a [u8],
    pub(crate) ke: Option<&'a [u8]>,
    /// IDci and IDcr, if they are there.
    pub(crate) ids: Option<(&'a Identification, &'a Identification)>,
    /// The ends as each of them saw itself and the other, initiator first.
    pub(crate) originals: Option<(&'a NatOriginalAddress, &'a NatOriginalAddress)>,
}

impl<'a> Contents<'a> {
    /// Reads them, behind the hash.
    pub(crate) fn of(chain: &'a Chain<'_>) -> Result<Self, Misbehaved> {
        let sa = one(chain, PayloadType::SA)?.ok_or(missing(PayloadType::SA))?;
        let nonce = one(chain, PayloadType::NONCE)?.ok_or(missing(PayloadType::NONCE))?;
        let (Payload::SecurityAssociation(sa), Payload::Nonce(nonce)) =
            (&sa.payload, &nonce.payload)
        else {
            return Err(missing(PayloadType::SA));
        };
        let ke = match one(chain, PayloadType::KE)?.map(|one| &one.payload) {
            Some(Payload::KeyExchange(ke)) => Some(ke.as_slice()),
            _ => None,
        };
        let ids: Vec<&Identification> = chain
            .payloads
            .iter()
            .filter_map(|one| match &one.payload {
                Payload::Identification(id) => Some(id),
                _ => None,
            })
            .collect();
        let ids = match ids.as_slice() {
            [] => None,
            [initiator, responder] => Some((*initiator, *responder)),
            _ => return Err(missing(PayloadType::ID)),
        };
        let originals: Vec<&NatOriginalAddress> = chain
            .payloads
            .iter()
            .filter_map(|one| match &one.payload {
                Payload::NatOriginalAddress(one) => Some(one),
                _ => None,
            })
            .collect();
        let originals = match originals.as_slice() {
            [initiator, responder, ..] => Some((*initiator, *responder)),
            _ => None,
        };
        Ok(Contents {
            sa,
            nonce,
            ke,
            ids,
            originals,
        })
    }
}

/// The one payload of a type.
fn one<'a, 'b>(
    chain: &'a Chain<'b>,
    kind: PayloadType,
) -> Result<Option<&'a Located<'b>>, Misbehaved> {
    let mut all = chain.all(kind);
    let first = all.next();
    match all.next() {
        None => Ok(first),
        Some(_) => Err(missing(kind)),
    }
}

/// Both versions number their payloads from one registry, without an overlap.
pub(crate) fn missing(kind: PayloadType) -> Misbehaved {
    Misbehaved::MissingOrDoubled(kind)
}

pub(crate) fn misbehaved(why: Misbehaved) -> Error {
    Error::Misbehaved(why)
}

impl Sa {
    /// What a quick mode message of ours begins with.
    pub(crate) fn quick_header(&self, message_id: u32, commit: bool) -> wire::isakmp::Header {
        let flags = Flags {
            commit,
            ..Flags::ENCRYPTED
        };
        message::header(self.cookies(), ExchangeType::QUICK_MODE, message_id, flags)
    }

    /// The keys of both SAs of a pair.
    pub(crate) fn pair_keys(
        &self,
        suite: EspSuite,
        shared: Option<&Secret>,
        nonces: Nonces<'_>,
        (inbound_spi, outbound_spi): (u32, u32),
    ) -> PairKeys {
        let of = |spi: u32| {
            let keymat = Keymat {
                shared,
                protocol: ProtocolId::ESP.0,
                spi: &spi.to_be_bytes(),
                nonces,
            };
            self.keys.esp(suite, &keymat)
        };
        PairKeys {
            inbound: of(inbound_spi),
            outbound: of(outbound_spi),
        }
    }

    /// The ends as we see them, in the words of RFC 3947: they go with transport mode in UDP.
    pub(crate) fn originals(&self, mode: Mode, initiator: Role) -> Vec<Payload> {
        let wanted = mode == Mode::Transport && self.path.nat.encapsulate();
        let Some(numbers) = self.vendor.nat(&self.peer).filter(|_| wanted) else {
            return Vec::new();
        };
        let Hosts { local, remote } = self.path.hosts();
        let ends = match initiator {
            Role::Initiator => [local, remote],
            Role::Responder => [remote, local],
        };
        let payload =
            |address| Payload::NatOriginalAddress(NatOriginalAddress { numbers, address });
        ends.map(payload).to_vec()
    }

    /// A pair lives no longer than the peer says it will.
    pub(crate) fn shorten(&mut self, id: ChildId, life: Life, now: std::time::Instant) {
        let Some(child) = self.child_mut(id) else {
            return;
        };
        if let Some(time) = life.time {
            let end = child.born + time.min(crate::limits::FOREVER);
            if end < child.expire_at {
                child.expire_at = end;
                let early = time - time / 10;
                let rekey = (child.born + early).max(now);
                child.rekey_at = child.rekey_at.map(|at| at.min(rekey));
            }
        }
        if let Some(kilobytes) = life.kilobytes {
            // Rekeyed before the peer's limit is reached.
            let bytes = kilobytes.saturating_mul(1024) / 10 * 9;
            child.most_bytes = Some(child.most_bytes.map_or(bytes, |most| most.min(bytes)));
        }
    }
}
