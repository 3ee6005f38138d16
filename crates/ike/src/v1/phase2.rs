//! The SA payload of quick mode: what we offer, choose and accept for ESP (RFC 2407 sections 4.4.4
//! and 4.5).

use std::time::Duration;

use crypto::{Encryption, Group, Integrity};
use policy::Additional;
use policy::child::{ChildTemplate, Mode};
use policy::proposal::{EspProposal, EspSuite};
use wire::isakmp::numbers::{
    ENCAPSULATION_TRANSPORT, ENCAPSULATION_TUNNEL, ENCAPSULATION_UDP_TRANSPORT,
    ENCAPSULATION_UDP_TRANSPORT_DRAFT, ENCAPSULATION_UDP_TUNNEL, ENCAPSULATION_UDP_TUNNEL_DRAFT,
    LIFE_KILOBYTES, LIFE_SECONDS, SA_AUTHENTICATION, SA_ENCAPSULATION, SA_EXTENDED_SEQUENCE_NUMBER,
    SA_GROUP, SA_HMAC_MD5, SA_HMAC_SHA1, SA_HMAC_SHA2_256, SA_HMAC_SHA2_384, SA_HMAC_SHA2_512,
    SA_KEY_LENGTH, SA_LIFE_DURATION, SA_LIFE_TYPE, encapsulation_name, esp_transform_name,
    group_name, sa_authentication_name,
};
use wire::isakmp::{Attribute, NatNumbers, Proposal, ProtocolId, SecurityAssociation, Transform};

use crate::error::{Error, Incompatible, Misbehaved};

/// How long a pair may live, as a transform says it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Life {
    pub(crate) time: Option<Duration>,
    pub(crate) kilobytes: Option<u64>,
}

impl Life {
    /// What pairs of a life type and a duration say (RFC 2407 section 4.5). Zero says nothing.
    pub(crate) fn of(lifetimes: &[(u64, u64)]) -> Self {
        let of = |wanted: u16| {
            let found = lifetimes
                .iter()
                .find(|(kind, _)| *kind == u64::from(wanted));
            found.map(|(_, value)| *value).filter(|value| *value > 0)
        };
        Life {
            time: of(LIFE_SECONDS).map(Duration::from_secs),
            kilobytes: of(LIFE_KILOBYTES),
        }
    }
}

/// What a transform of a peer came to.
pub(crate) struct Chosen {
    pub(crate) suite: EspSuite,
    pub(crate) life: Life,
    /// The SPI that the peer receives with.
    pub(crate) outbound_spi: u32,
    proposal: Proposal,
}

impl Chosen {
    /// The answer: the proposal with one transform, and our SPI.
    pub(crate) fn answer(&self, inbound_spi: u32) -> SecurityAssociation {
        SecurityAssociation {
            proposals: vec![Proposal {
                spi: inbound_spi.to_be_bytes().to_vec(),
                ..self.proposal.clone()
            }],
        }
    }
}

/// The group of a key exchange that quick mode has of its own, by our preference. All transforms
/// of one offer have the same (RFC 2409 section 5.5).
pub(crate) fn group(template: &ChildTemplate) -> Option<Group> {
    let mut groups = template.proposals.iter().flat_map(|one| one.groups.iter());
    groups
        .find(|group| !matches!(group, Group::MlKem768 | Group::MlKem1024))
        .copied()
}

/// Every suite that the proposals allow with a group, best first.
fn suites(proposals: &[EspProposal], group: Option<Group>) -> Vec<EspSuite> {
    let mut suites = Vec::new();
    let fits = |one: &&EspProposal| match group {
        Some(group) => one.groups.contains(&group),
        None => one.groups.is_empty(),
    };
    for one in proposals.iter().filter(fits) {
        for encryption in one.encryption.iter().filter(|one| esp_id(**one).is_some()) {
            let integrity: Vec<Option<Integrity>> = match encryption.is_aead() {
                true => vec![None],
                false => one.integrity.iter().copied().map(Some).collect(),
            };
            for (integrity, esn) in integrity
                .into_iter()
                .flat_map(|integrity| one.esn.iter().map(move |esn| (integrity, *esn)))
            {
                let suite = EspSuite {
                    encryption: *encryption,
                    integrity,
                    group,
                    additional: Additional::default(),
                    esn,
                };
                if !suites.contains(&suite) {
                    suites.push(suite);
                }
            }
        }
    }
    suites.truncate(wire::isakmp::limits::TRANSFORMS);
    suites
}

/// What we offer; `None` when the proposals have nothing that IKEv1 can say.
pub(crate) fn offer(
    template: &ChildTemplate,
    nat: Option<NatNumbers>,
    inbound_spi: u32,
) -> Option<SecurityAssociation> {
    let suites = suites(&template.proposals, group(template));
    let encapsulation = encapsulation(template.mode, nat);
    let numbered = (1..=u8::MAX).zip(suites);
    let transforms: Vec<Transform> = numbered
        .map(|(number, suite)| transform(number, suite, encapsulation, template))
        .collect();
    (!transforms.is_empty()).then(|| SecurityAssociation {
        proposals: vec![Proposal {
            number: 1,
            protocol: ProtocolId::ESP,
            spi: inbound_spi.to_be_bytes().to_vec(),
            transforms,
        }],
    })
}

fn transform(
    number: u8,
    suite: EspSuite,
    encapsulation: u16,
    template: &ChildTemplate,
) -> Transform {
    let mut attributes = vec![Attribute::Short(SA_ENCAPSULATION, encapsulation)];
    let seconds = u32::try_from(template.lifetime.hard.as_secs()).unwrap_or(u32::MAX);
    let mut life = |kind, value: u32| {
        attributes.push(Attribute::Short(SA_LIFE_TYPE, kind));
        // Some peers take no duration in two octets.
        let octets = value.to_be_bytes().to_vec();
        attributes.push(Attribute::Long(SA_LIFE_DURATION, octets));
    };
    life(LIFE_SECONDS, seconds);
    if let Some(bytes) = template.lifetime.bytes {
        let kilobytes = u32::try_from(bytes / 1024).unwrap_or(u32::MAX);
        life(LIFE_KILOBYTES, kilobytes.max(1));
    }
    let mut short = |kind, value| attributes.push(Attribute::Short(kind, value));
    if let Some(group) = suite.group {
        short(SA_GROUP, group.id());
    }
    if let Some(integrity) = suite.integrity {
        short(SA_AUTHENTICATION, authentication_id(integrity));
    }
    if let Some(bits) = suite.encryption.key_bits_attribute() {
        short(SA_KEY_LENGTH, bits);
    }
    if suite.esn {
        short(SA_EXTENDED_SEQUENCE_NUMBER, 1);
    }
    Transform {
        number,
        id: esp_id(suite.encryption).unwrap_or_default(),
        attributes,
    }
}

fn encapsulation(mode: Mode, nat: Option<NatNumbers>) -> u16 {
    match (mode, nat) {
        (Mode::Tunnel, None) => ENCAPSULATION_TUNNEL,
        (Mode::Transport, None) => ENCAPSULATION_TRANSPORT,
        (Mode::Tunnel, Some(numbers)) => numbers.tunnel(),
        (Mode::Transport, Some(numbers)) => numbers.transport(),
    }
}

/// IKEv2 kept the numbers of ESP's ciphers; those of its time have none here.
fn esp_id(encryption: Encryption) -> Option<u8> {
    use wire::ike::numbers::{ENCR_3DES, ENCR_AES_CBC, ENCR_AES_GCM_16, ENCR_DES, ENCR_NULL};
    let known = [
        ENCR_DES,
        ENCR_3DES,
        ENCR_NULL,
        ENCR_AES_CBC,
        ENCR_AES_GCM_16,
    ];
    let id = encryption.id();
    u8::try_from(id).ok().filter(|_| known.contains(&id))
}

fn authentication_id(integrity: Integrity) -> u16 {
    match integrity.id() {
        wire::ike::numbers::AUTH_HMAC_MD5_96 => SA_HMAC_MD5,
        wire::ike::numbers::AUTH_HMAC_SHA1_96 => SA_HMAC_SHA1,
        wire::ike::numbers::AUTH_HMAC_SHA2_256_128 => SA_HMAC_SHA2_256,
        wire::ike::numbers::AUTH_HMAC_SHA2_384_192 => SA_HMAC_SHA2_384,
        _ => SA_HMAC_SHA2_512,
    }
}

/// Transport or tunnel, of a transform.
fn mode_of(transform: &Transform) -> Option<Mode> {
    match u16::try_from(transform.value(SA_ENCAPSULATION)?).ok()? {
        ENCAPSULATION_TUNNEL | ENCAPSULATION_UDP_TUNNEL | ENCAPSULATION_UDP_TUNNEL_DRAFT => {
            Some(Mode::Tunnel)
        }
        ENCAPSULATION_TRANSPORT
        | ENCAPSULATION_UDP_TRANSPORT
        | ENCAPSULATION_UDP_TRANSPORT_DRAFT => Some(Mode::Transport),
        _ => None,
    }
}

/// The mode that all transforms of an offer have in common: the one of the first.
pub(crate) fn mode(offered: &SecurityAssociation) -> Option<Mode> {
    let mut transforms = offered.proposals.iter().flat_map(|one| &one.transforms);
    transforms.find_map(mode_of)
}

/// Which of our suites a transform is.
fn read(transform: &Transform, suites: &[EspSuite]) -> Option<usize> {
    let short = |kind| u16::try_from(transform.value(kind)?).ok();
    let optional = |kind| match transform.attribute(kind) {
        Some(_) => short(kind).map(Some),
        None => Some(None),
    };
    let (bits, group) = (optional(SA_KEY_LENGTH)?, optional(SA_GROUP)?);
    let (authentication, esn) = (
        optional(SA_AUTHENTICATION)?,
        short(SA_EXTENDED_SEQUENCE_NUMBER),
    );
    let fits = |suite: &EspSuite| {
        esp_id(suite.encryption) == Some(transform.id)
            && suite.encryption.key_bits_attribute() == bits
            && suite.integrity.map(authentication_id) == authentication
            && suite.group.map(Group::id) == group
            && suite.esn == (esn == Some(1))
    };
    suites.iter().position(fits)
}

fn life(transform: &Transform) -> Life {
    Life::of(&transform.lifetimes(SA_LIFE_TYPE).unwrap_or_default())
}

/// Chooses among what a peer offers, by our own preference. `group` is the one of its KE payload's
/// exchange, if there is one.
///
/// # Errors
/// There is nothing in common: both sides are told.
pub(crate) fn choose(
    template: &ChildTemplate,
    offered: &SecurityAssociation,
    with_exchange: bool,
) -> Result<Chosen, Error> {
    let ours: Vec<EspSuite> = match with_exchange {
        true => {
            let groups = template.proposals.iter().flat_map(|one| one.groups.iter());
            groups
                .flat_map(|group| suites(&template.proposals, Some(*group)))
                .collect()
        }
        false => suites(&template.proposals, None),
    };
    let fits = |transform: &Transform| {
        let mode = mode_of(transform).is_none_or(|mode| mode == template.mode);
        read(transform, &ours).filter(|_| mode)
    };
    // Proposals of one number belong together, and we make no bundles.
    let alone = |one: &&Proposal| {
        let same = offered
            .proposals
            .iter()
            .filter(|other| other.number == one.number);
        one.protocol == ProtocolId::ESP && same.count() == 1
    };
    let all = offered.proposals.iter().filter(alone);
    let all = all.flat_map(|one| one.transforms.iter().map(move |transform| (one, transform)));
    let good = all.filter_map(|(one, transform)| Some((fits(transform)?, one, transform)));
    let best = good.min_by_key(|(rank, ..)| *rank);
    let (rank, proposal, transform) = best.ok_or_else(|| refusal(template, offered))?;
    let suite = *ours.get(rank).ok_or_else(|| refusal(template, offered))?;
    let spi = proposal.spi_u32().filter(|spi| *spi > 255);
    Ok(Chosen {
        suite,
        life: life(transform),
        outbound_spi: spi.ok_or(Error::Misbehaved(Misbehaved::Spi))?,
        proposal: Proposal {
            transforms: vec![transform.clone()],
            ..proposal.clone()
        },
    })
}

/// Checks a responder's answer against what we offered.
///
/// # Errors
/// It is something else.
pub(crate) fn accept(
    template: &ChildTemplate,
    group: Option<Group>,
    answer: &SecurityAssociation,
) -> Result<Chosen, Error> {
    let wrong = Error::Misbehaved(Misbehaved::ChoseWhatWasNotOffered);
    let [proposal] = answer.proposals.as_slice() else {
        return Err(wrong);
    };
    if proposal.transforms.len() != 1 {
        return Err(wrong);
    }
    let theirs = mode(answer).unwrap_or(template.mode);
    if theirs != template.mode {
        let ours = template.mode;
        return Err(Error::Incompatible(Incompatible::Mode { ours, theirs }));
    }
    let chosen = choose(template, answer, group.is_some()).map_err(|_| wrong.clone())?;
    (chosen.suite.group == group).then_some(chosen).ok_or(wrong)
}

fn refusal(template: &ChildTemplate, offered: &SecurityAssociation) -> Error {
    let ours: Vec<String> = template
        .proposals
        .iter()
        .map(EspProposal::to_string)
        .collect();
    let transforms = offered.proposals.iter().flat_map(|one| &one.transforms);
    let theirs: Vec<String> = transforms.map(describe).collect();
    Error::Incompatible(Incompatible::Offer {
        ours: format!("{} in {} mode", ours.join(" | "), template.mode),
        theirs: theirs.join(" | "),
    })
}

/// A transform of a peer in words, also one that we do not know.
fn describe(transform: &Transform) -> String {
    let id = transform.id;
    let mut words =
        vec![esp_transform_name(id).map_or_else(|| format!("ESP transform {id}"), str::to_owned)];
    let mut add = |kind, name: fn(u16) -> Option<&'static str>| {
        if let Some(value) = transform.value(kind) {
            let known = u16::try_from(value).ok().and_then(name);
            words.push(known.map_or_else(|| format!("number {value}"), str::to_owned));
        }
    };
    add(SA_AUTHENTICATION, sa_authentication_name);
    add(SA_GROUP, group_name);
    add(SA_ENCAPSULATION, encapsulation_name);
    let bits = transform.value(SA_KEY_LENGTH);
    words.extend(bits.map(|bits| format!("{bits} bits")));
    words.join(", ")
}
