//! The SA payload of main mode: what we offer, choose and accept (RFC 2409 appendix A, RFC 2407
//! section 4.4.1).

use std::time::Duration;

use crypto::{Encryption, Group, Prf};
use policy::auth::{LocalAuth, RemoteAuth};
use policy::pad::Peer;
use policy::proposal::IkeProposal;
use wire::isakmp::numbers::{
    KEY_IKE, LIFE_SECONDS, OAKLEY_3DES_CBC, OAKLEY_AES_CBC, OAKLEY_AUTHENTICATION, OAKLEY_DES_CBC,
    OAKLEY_ENCRYPTION, OAKLEY_GROUP, OAKLEY_GSS_IDENTITY, OAKLEY_GSS_KERBEROS, OAKLEY_HASH,
    OAKLEY_KEY_LENGTH, OAKLEY_LIFE_DURATION, OAKLEY_LIFE_TYPE, OAKLEY_MD5, OAKLEY_PRESHARED_KEY,
    OAKLEY_RSA_SIGNATURE, OAKLEY_SHA1, OAKLEY_SHA2_256, OAKLEY_SHA2_384, OAKLEY_SHA2_512,
    group_name, oakley_authentication_name, oakley_encryption_name, oakley_hash_name,
};
use wire::isakmp::{Attribute, Proposal, ProtocolId, SecurityAssociation, Transform};

use crate::error::{Error, Incompatible, Misbehaved};
use crate::v1::gss;
use crate::v1::keys::Suite;

/// What one transform says, as far as it is known here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Said {
    suite: Suite,
    authentication: u16,
}

/// What a transform of a peer came to.
pub(crate) struct Chosen {
    pub(crate) suite: Suite,
    /// The peer's name in GSS, if it says one.
    pub(crate) identity: Option<Vec<u8>>,
    /// How long the ISAKMP SA may live, if the peer says so.
    pub(crate) lifetime: Option<Duration>,
    /// The proposal with this transform alone, as it is answered.
    pub(crate) answer: SecurityAssociation,
}

/// The authentication method that both sides use with a peer: there is one number for both.
pub(crate) fn method(peer: &Peer) -> Option<u16> {
    match (&peer.auth.local, &peer.auth.remote) {
        (LocalAuth::Psk(_), RemoteAuth::Psk(_)) => Some(OAKLEY_PRESHARED_KEY),
        (LocalAuth::Signature(_), RemoteAuth::Certificate(_) | RemoteAuth::PublicKey(_)) => {
            Some(OAKLEY_RSA_SIGNATURE)
        }
        (LocalAuth::Kerberos(_), RemoteAuth::Kerberos(_)) => Some(OAKLEY_GSS_KERBEROS),
        _ => None,
    }
}

/// Every suite that a peer's proposals allow, best first.
fn suites(proposals: &[IkeProposal]) -> Vec<Suite> {
    let mut suites = Vec::new();
    for one in proposals {
        for encryption in one
            .encryption
            .iter()
            .filter(|one| encryption_id(**one).is_some())
        {
            for hash in &one.prf {
                for group in one.groups.iter().filter(|group| !group.is_kem()) {
                    let suite = Suite {
                        encryption: *encryption,
                        hash: *hash,
                        group: *group,
                    };
                    if !suites.contains(&suite) {
                        suites.push(suite);
                    }
                }
            }
        }
    }
    suites.truncate(wire::isakmp::limits::TRANSFORMS);
    suites
}

/// What we offer a peer; `None` when its proposals have nothing that IKEv1 can say, or the two
/// sides authenticate in different ways.
pub(crate) fn offer(peer: &Peer) -> Option<SecurityAssociation> {
    let method = method(peer)?;
    let seconds = u32::try_from(peer.ike.lifetime.hard.as_secs()).unwrap_or(u32::MAX);
    let numbered = (1..=u8::MAX).zip(suites(&peer.ike.proposals));
    let transforms: Vec<Transform> = numbered
        .map(|(number, suite)| {
            let mut one = transform(number, suite, method, seconds);
            name(&mut one, peer);
            one
        })
        .collect();
    (!transforms.is_empty()).then(|| SecurityAssociation {
        proposals: vec![Proposal {
            number: 1,
            protocol: ProtocolId::ISAKMP,
            spi: Vec::new(),
            transforms,
        }],
    })
}

fn transform(number: u8, suite: Suite, method: u16, seconds: u32) -> Transform {
    let encryption = encryption_id(suite.encryption).unwrap_or_default();
    let mut attributes = vec![Attribute::Short(OAKLEY_ENCRYPTION, encryption)];
    if let Some(bits) = suite.encryption.key_bits_attribute() {
        attributes.push(Attribute::Short(OAKLEY_KEY_LENGTH, bits));
    }
    attributes.extend([
        Attribute::Short(OAKLEY_HASH, hash_id(suite.hash)),
        Attribute::Short(OAKLEY_GROUP, suite.group.id()),
        Attribute::Short(OAKLEY_AUTHENTICATION, method),
        Attribute::Short(OAKLEY_LIFE_TYPE, LIFE_SECONDS),
        // Some peers take no duration in two octets.
        Attribute::Long(OAKLEY_LIFE_DURATION, seconds.to_be_bytes().to_vec()),
    ]);
    Transform {
        number,
        id: KEY_IKE,
        attributes,
    }
}

/// Puts our own name in GSS into a transform, in the place of another.
fn name(transform: &mut Transform, peer: &Peer) {
    if let Some((own, _)) = gss::of(peer) {
        let of_gss = |one: &Attribute| one.kind() == OAKLEY_GSS_IDENTITY;
        transform.attributes.retain(|one| !of_gss(one));
        let own = gss::identity(&own.principal);
        transform
            .attributes
            .push(Attribute::Long(OAKLEY_GSS_IDENTITY, own));
    }
}

fn encryption_id(encryption: Encryption) -> Option<u16> {
    match encryption.id() {
        wire::ike::numbers::ENCR_DES => Some(OAKLEY_DES_CBC),
        wire::ike::numbers::ENCR_3DES => Some(OAKLEY_3DES_CBC),
        wire::ike::numbers::ENCR_AES_CBC => Some(OAKLEY_AES_CBC),
        _ => None,
    }
}

fn hash_id(hash: Prf) -> u16 {
    match hash.id() {
        wire::ike::numbers::PRF_HMAC_MD5 => OAKLEY_MD5,
        wire::ike::numbers::PRF_HMAC_SHA1 => OAKLEY_SHA1,
        wire::ike::numbers::PRF_HMAC_SHA2_256 => OAKLEY_SHA2_256,
        wire::ike::numbers::PRF_HMAC_SHA2_384 => OAKLEY_SHA2_384,
        _ => OAKLEY_SHA2_512,
    }
}

/// What a transform says, when we can do it.
fn read(transform: &Transform, suites: &[Suite]) -> Option<Said> {
    let short = |kind| u16::try_from(transform.value(kind)?).ok();
    let (cipher, hash) = (short(OAKLEY_ENCRYPTION)?, short(OAKLEY_HASH)?);
    let (group, authentication) = (short(OAKLEY_GROUP)?, short(OAKLEY_AUTHENTICATION)?);
    let bits = match transform.attribute(OAKLEY_KEY_LENGTH) {
        Some(_) => Some(short(OAKLEY_KEY_LENGTH)?),
        None => None,
    };
    let fits = |suite: &&Suite| {
        encryption_id(suite.encryption) == Some(cipher)
            && suite.encryption.key_bits_attribute() == bits
            && hash_id(suite.hash) == hash
            && suite.group.id() == group
    };
    let suite = *suites
        .iter()
        .find(fits)
        .filter(|_| transform.id == KEY_IKE)?;
    Some(Said {
        suite,
        authentication,
    })
}

fn lifetime(transform: &Transform) -> Option<Duration> {
    let lifetimes = transform.lifetimes(OAKLEY_LIFE_TYPE)?;
    let seconds = |(kind, value): &(u64, u64)| (*kind == u64::from(LIFE_SECONDS)).then_some(*value);
    // 0 is no lifetime, and some peers mean none by it.
    let seconds = lifetimes
        .iter()
        .find_map(seconds)
        .filter(|seconds| *seconds > 0);
    seconds.map(Duration::from_secs)
}

/// Chooses among what a peer offers, by our own preference.
///
/// # Errors
/// There is nothing in common: both sides are told.
pub(crate) fn choose(peer: &Peer, offered: &SecurityAssociation) -> Result<Chosen, Error> {
    let suites = suites(&peer.ike.proposals);
    let method = method(peer);
    let of_isakmp = |one: &&Proposal| one.protocol == ProtocolId::ISAKMP;
    let all = offered.proposals.iter().filter(of_isakmp);
    let all = all.flat_map(|one| one.transforms.iter().map(move |transform| (one, transform)));
    let good = all.filter_map(|(proposal, transform)| {
        let said = read(transform, &suites)?;
        let fits = Some(said.authentication) == method;
        let rank = suites.iter().position(|suite| *suite == said.suite)?;
        fits.then_some((rank, said, proposal, transform))
    });
    let best = good.min_by_key(|(rank, ..)| *rank);
    let (_, said, proposal, transform) = best.ok_or_else(|| refusal(peer, &suites, offered))?;
    let identity = match transform.attribute(OAKLEY_GSS_IDENTITY) {
        Some(Attribute::Long(_, value)) => Some(value.clone()),
        _ => None,
    };
    let mut chosen = transform.clone();
    name(&mut chosen, peer);
    Ok(Chosen {
        suite: said.suite,
        identity,
        lifetime: lifetime(transform),
        answer: SecurityAssociation {
            proposals: vec![Proposal {
                transforms: vec![chosen],
                ..proposal.clone()
            }],
        },
    })
}

/// Checks a responder's answer against what we offered: one proposal with one transform of ours.
///
/// # Errors
/// It is something else.
pub(crate) fn accept(peer: &Peer, answer: &SecurityAssociation) -> Result<Chosen, Error> {
    let wrong = Error::Misbehaved(Misbehaved::ChoseWhatWasNotOffered);
    let [proposal] = answer.proposals.as_slice() else {
        return Err(wrong);
    };
    if proposal.transforms.len() != 1 {
        return Err(wrong);
    }
    choose(peer, answer).map_err(|_| wrong)
}

fn refusal(peer: &Peer, suites: &[Suite], offered: &SecurityAssociation) -> Error {
    let method = method(peer).map_or("no one method", |method| {
        oakley_authentication_name(method).unwrap_or("unnamed")
    });
    let ours: Vec<String> = suites
        .iter()
        .map(|suite| format!("{} with {method}", crate::v1::keys::suite_of(*suite)))
        .collect();
    let theirs: Vec<String> = offered
        .proposals
        .iter()
        .flat_map(|one| one.transforms.iter().map(describe))
        .collect();
    Error::Incompatible(Incompatible::Offer {
        ours: ours.join(" | "),
        theirs: theirs.join(" | "),
    })
}

/// A transform of a peer in words, also one that we do not know.
fn describe(transform: &Transform) -> String {
    let named = |kind, name: fn(u16) -> Option<&'static str>| {
        let value = transform.value(kind);
        let known = value.and_then(|value| name(u16::try_from(value).ok()?));
        match (known, value) {
            (Some(name), _) => name.to_owned(),
            (None, Some(value)) => format!("number {value}"),
            (None, None) => "nothing".to_owned(),
        }
    };
    let bits = transform.value(OAKLEY_KEY_LENGTH);
    let bits = bits.map_or_else(String::new, |bits| format!("-{bits}"));
    format!(
        "{}{bits}, {}, {} with {}",
        named(OAKLEY_ENCRYPTION, oakley_encryption_name),
        named(OAKLEY_HASH, oakley_hash_name),
        named(OAKLEY_GROUP, group_name),
        named(OAKLEY_AUTHENTICATION, oakley_authentication_name),
    )
}

/// Whether a group has a key exchange of two messages that both sides could begin.
trait IsKem {
    fn is_kem(&self) -> bool;
}

impl IsKem for Group {
    fn is_kem(&self) -> bool {
        matches!(self, Group::MlKem768 | Group::MlKem1024)
    }
}
