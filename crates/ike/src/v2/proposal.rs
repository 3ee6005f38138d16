//! Algorithms: what is offered, what is chosen, and why nothing could be (RFC 7296 section 3.3).

use crypto::{Encryption, Group, Integrity, Prf};
use policy::additional::{Additional, AdditionalOffer};
use policy::proposal::{EspProposal, EspSuite, IkeProposal, IkeSuite};
use wire::ike::{Proposal, ProtocolId, SaPayload, Transform, TransformType};

use crate::error::{Difference, Misbehaved, ProposalRefusal};

/// What a responder chose: the transforms and the number of the proposal that they come from.
pub(crate) struct Choice<Suite> {
    pub(crate) suite: Suite,
    /// The initiator's SPI, as the proposal carries it.
    pub(crate) spi: Vec<u8>,
    number: u8,
    protocol: ProtocolId,
    transforms: Vec<Transform>,
}

impl<Suite> Choice<Suite> {
    /// The SA payload that answers, with our SPI.
    pub(crate) fn answer(&self, spi: Vec<u8>) -> SaPayload {
        let (number, protocol) = (self.number, self.protocol);
        let transforms = self.transforms.clone();
        SaPayload {
            proposals: vec![Proposal {
                number,
                protocol,
                spi,
                transforms,
            }],
        }
    }
}

/// A set of algorithms that was agreed: of an IKE SA or of a child.
pub(crate) trait Suite: Sized {
    /// What it is for.
    const PROTOCOL: ProtocolId;
    /// Takes it from the chosen transforms, if every one is known and none is missing.
    fn from_transforms(transforms: &[Transform]) -> Option<Self>;
}

impl Suite for IkeSuite {
    const PROTOCOL: ProtocolId = ProtocolId::IKE;

    fn from_transforms(transforms: &[Transform]) -> Option<Self> {
        let (encryption, integrity) = ciphers(transforms)?;
        let prf = Prf::from_id(one(transforms, TransformType::PRF)?.id)?;
        let group = Group::from_id(one(transforms, TransformType::DH)?.id)?;
        Some(IkeSuite {
            encryption,
            integrity,
            prf,
            group,
            additional: additional(transforms, Some(group))?,
        })
    }
}

impl Suite for EspSuite {
    const PROTOCOL: ProtocolId = ProtocolId::ESP;

    fn from_transforms(transforms: &[Transform]) -> Option<Self> {
        let (encryption, integrity) = ciphers(transforms)?;
        let group = match one(transforms, TransformType::DH) {
            None => None,
            Some(none) if none.id == 0 => None,
            Some(group) => Some(Group::from_id(group.id)?),
        };
        let esn = match one(transforms, TransformType::ESN)?.id {
            0 => false,
            1 => true,
            _ => return None,
        };
        Some(EspSuite {
            encryption,
            integrity,
            group,
            additional: additional(transforms, group)?,
            esn,
        })
    }
}

/// The additional key exchanges. No method may come twice, and none without a first exchange (RFC
/// 9370 section 2.2.1).
fn additional(transforms: &[Transform], first: Option<Group>) -> Option<Additional> {
    let id = |kind| one(transforms, kind).map_or(0, |transform| transform.id);
    let additional = Additional::from_ids(TransformType::ADDITIONAL.map(id))?;
    let mut all: Vec<Group> = first.into_iter().chain(additional.groups()).collect();
    let count = all.len();
    all.sort_unstable();
    all.dedup();
    let possible = first.is_some() || additional.is_empty();
    (all.len() == count && possible).then_some(additional)
}

/// The transforms for additional key exchanges.
fn additional_transforms(offer: &AdditionalOffer) -> impl Iterator<Item = Transform> {
    let kinds = TransformType::ADDITIONAL.into_iter();
    kinds.zip(offer.choices()).flat_map(|(kind, choices)| {
        let id = |choice: &Option<Group>| choice.map_or(0, Group::id);
        choices
            .iter()
            .map(move |choice| Transform::new(kind, id(choice)))
    })
}

fn one(transforms: &[Transform], kind: TransformType) -> Option<&Transform> {
    transforms.iter().find(|transform| transform.kind == kind)
}

fn ciphers(transforms: &[Transform]) -> Option<(Encryption, Option<Integrity>)> {
    let encryption = one(transforms, TransformType::ENCR)?;
    let encryption = Encryption::from_id(encryption.id, encryption.key_length)?;
    let integrity = match one(transforms, TransformType::INTEG) {
        Some(integrity) if integrity.id != 0 => Some(Integrity::from_id(integrity.id)?),
        _ => None,
    };
    (encryption.is_aead() == integrity.is_none()).then_some((encryption, integrity))
}

fn encryption(id: Encryption) -> Transform {
    match id.key_bits_attribute() {
        Some(bits) => Transform::with_key_length(TransformType::ENCR, id.id(), bits),
        None => Transform::new(TransformType::ENCR, id.id()),
    }
}

/// Our proposals for an IKE SA; with an SPI when it replaces another.
pub(crate) fn offer_ike(ours: &[IkeProposal], spi: Option<u64>) -> SaPayload {
    let spi = spi
        .map(|spi| spi.to_be_bytes().to_vec())
        .unwrap_or_default();
    let transforms = |one: &IkeProposal| {
        let new = |kind, id| Transform::new(kind, id);
        let encryption = one.encryption.iter().map(|id| encryption(*id));
        let prf = one.prf.iter().map(|id| new(TransformType::PRF, id.id()));
        let integrity = one
            .integrity
            .iter()
            .map(|id| new(TransformType::INTEG, id.id()));
        let groups = one.groups.iter().map(|id| new(TransformType::DH, id.id()));
        encryption
            .chain(prf)
            .chain(integrity)
            .chain(groups)
            .chain(additional_transforms(&one.additional))
            .collect()
    };
    number(ProtocolId::IKE, &spi, ours.iter().map(transforms))
}

/// Our proposals for a child. `with_groups` is false in IKE_AUTH, where a child has no
/// Diffie-Hellman exchange of its own (section 1.2).
pub(crate) fn offer_esp(ours: &[EspProposal], spi: u32, with_groups: bool) -> SaPayload {
    let transforms = |one: &EspProposal| {
        let new = |kind, id| Transform::new(kind, id);
        let encryption = one.encryption.iter().map(|id| encryption(*id));
        let integrity = one
            .integrity
            .iter()
            .map(|id| new(TransformType::INTEG, id.id()));
        let groups = one.groups.iter().filter(|_| with_groups);
        let groups = groups.map(|id| new(TransformType::DH, id.id()));
        let esn = one
            .esn
            .iter()
            .map(|esn| new(TransformType::ESN, u16::from(*esn)));
        let additional = additional_transforms(&one.additional).filter(|_| with_groups);
        encryption
            .chain(integrity)
            .chain(groups)
            .chain(esn)
            .chain(additional)
            .collect()
    };
    number(
        ProtocolId::ESP,
        &spi.to_be_bytes(),
        ours.iter().map(transforms),
    )
}

fn number(
    protocol: ProtocolId,
    spi: &[u8],
    transforms: impl Iterator<Item = Vec<Transform>>,
) -> SaPayload {
    let proposal = |(transforms, number)| Proposal {
        number,
        protocol,
        spi: spi.to_vec(),
        transforms,
    };
    SaPayload {
        proposals: transforms.zip(1..=u8::MAX).map(proposal).collect(),
    }
}

/// The responder's choice: our first proposal that fits one of theirs, in it our first algorithm
/// of each kind; of the groups rather the one that `group` says the peer has already used.
pub(crate) fn choose<S: Suite>(
    ours: &SaPayload,
    theirs: &SaPayload,
    group: Option<u16>,
) -> Result<Choice<S>, Box<ProposalRefusal>> {
    let usable = |proposal: &&Proposal| proposal.protocol == S::PROTOCOL;
    for our in &ours.proposals {
        for their in theirs.proposals.iter().filter(usable) {
            let Ok(transforms) = common(our, their, group) else {
                continue;
            };
            let Some(suite) = S::from_transforms(&transforms) else {
                continue;
            };
            let (number, protocol) = (their.number, their.protocol);
            return Ok(Choice {
                suite,
                spi: their.spi.clone(),
                number,
                protocol,
                transforms,
            });
        }
    }
    Err(Box::new(ProposalRefusal {
        ours: ours.proposals.clone(),
        theirs: theirs.proposals.clone(),
        difference: closest(ours, theirs),
    }))
}

/// The kinds of a proposal, in ascending order.
fn kinds(one: &Proposal, other: &Proposal) -> Vec<TransformType> {
    let both = one.transforms.iter().chain(&other.transforms);
    let mut kinds: Vec<TransformType> = both.map(|transform| transform.kind).collect();
    kinds.sort_unstable();
    kinds.dedup();
    kinds
}

fn of_kind(proposal: &Proposal, kind: TransformType) -> Vec<&Transform> {
    proposal
        .transforms
        .iter()
        .filter(|transform| transform.kind == kind)
        .collect()
}

/// One transform of each kind that both have.
fn common(
    our: &Proposal,
    their: &Proposal,
    group: Option<u16>,
) -> Result<Vec<Transform>, (usize, Difference)> {
    let mut chosen: Vec<Transform> = Vec::new();
    for (depth, kind) in kinds(our, their).into_iter().enumerate() {
        let (mut ours, theirs) = (of_kind(our, kind), of_kind(their, kind));
        if kind.is_additional() {
            ours.retain(|one| !is_repeated(one, &chosen));
            // Not to speak of an exchange is to leave it out.
            if theirs.is_empty() && ours.iter().any(|one| one.id == 0) {
                continue;
            }
        }
        let used = |one: &&&Transform| kind == TransformType::DH && Some(one.id) == group;
        let used = ours.iter().find(used).filter(|one| theirs.contains(one));
        let found = used.or_else(|| ours.iter().find(|one| theirs.contains(one)));
        // Whoever has none of a kind may still be given the algorithm NONE (section 3.3.3).
        let none = || theirs.iter().find(|one| ours.is_empty() && one.id == 0);
        match found.or_else(none) {
            Some(transform) => chosen.push((*transform).clone()),
            None => {
                let owned = |list: Vec<&Transform>| list.into_iter().cloned().collect();
                let (ours, theirs) = (owned(ours), owned(theirs));
                return Err((depth, Difference { kind, ours, theirs }));
            }
        }
    }
    Ok(chosen)
}

/// Whether a key exchange method has been chosen already, for another exchange.
fn is_repeated(method: &Transform, chosen: &[Transform]) -> bool {
    let same = |one: &Transform| one.kind.is_key_exchange() && one.id == method.id;
    method.id != 0 && chosen.iter().any(same)
}

/// The first difference of the two proposals that agree for longest.
fn closest(ours: &SaPayload, theirs: &SaPayload) -> Option<Difference> {
    let pairs = ours.proposals.iter().flat_map(|our| {
        let same = theirs
            .proposals
            .iter()
            .filter(|their| their.protocol == our.protocol);
        same.map(move |their| (our, their))
    });
    let failures = pairs.filter_map(|(our, their)| common(our, their, None).err());
    let best = failures.reduce(|best, next| if next.0 > best.0 { next } else { best });
    best.map(|(_, difference)| difference)
}

/// Checks the responder's answer against what we offered: one proposal, one transform of each
/// kind that the offer has, each of them offered. Gives the suite and the peer's SPI.
pub(crate) fn accept<S: Suite>(
    offered: &SaPayload,
    answer: &SaPayload,
) -> Result<(S, Vec<u8>), Misbehaved> {
    let [chosen] = answer.proposals.as_slice() else {
        return Err(Misbehaved::ChoseWhatWasNotOffered);
    };
    let fits = |offer: &&Proposal| {
        let kinds = kinds(offer, chosen);
        let single = |kind: &TransformType| {
            let (offers, choices) = (of_kind(offer, *kind), of_kind(chosen, *kind));
            match choices.as_slice() {
                [choice] => offers.contains(choice),
                // Not to speak of an exchange is to leave it out.
                [] => kind.is_additional() && offers.iter().any(|one| one.id == 0),
                _ => false,
            }
        };
        offer.number == chosen.number
            && offer.protocol == chosen.protocol
            && kinds.iter().all(single)
    };
    offered
        .proposals
        .iter()
        .find(fits)
        .ok_or(Misbehaved::ChoseWhatWasNotOffered)?;
    let suite = S::from_transforms(&chosen.transforms);
    let suite = suite.ok_or(Misbehaved::ChoseWhatWasNotOffered)?;
    Ok((suite, chosen.spi.clone()))
}

#[cfg(test)]
mod tests;
