//! The SA payload of main mode: what we offer, choose and accept (RFC 2409 appendix A, RFC 2407
//! section 4.4.1).

use std::time::Duration;

use crypto::{Encryption, Group, Prf};
use policy::auth::Method;
use policy::kerberos::Principal;
use policy::pad::Peer;
use policy::proposal::IkeProposal;
use wire::isakmp::limits::TRANSFORMS;
use wire::isakmp::numbers::{
    KEY_IKE, LIFE_SECONDS, OAKLEY_3DES_CBC, OAKLEY_AES_CBC, OAKLEY_AUTHENTICATION, OAKLEY_DES_CBC,
    OAKLEY_ENCRYPTION, OAKLEY_GROUP, OAKLEY_GSS_IDENTITY, OAKLEY_HASH, OAKLEY_KEY_LENGTH,
    OAKLEY_LIFE_DURATION, OAKLEY_LIFE_TYPE, OAKLEY_MD5, OAKLEY_SHA1, OAKLEY_SHA2_256,
    OAKLEY_SHA2_384, OAKLEY_SHA2_512, group_name, oakley_authentication_name,
    oakley_encryption_name, oakley_hash_name,
};
use wire::isakmp::{Attribute, Proposal, ProtocolId, SecurityAssociation, Transform};

use crate::error::{Error, Incompatible, Misbehaved};
use crate::v1::gss;
use crate::v1::keys::{Suite, suite_of};
use crate::v1::methods::number_of;

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

impl Chosen {
    /// Who the peer says it is, where Kerberos is to prove it. `knows`: its vendor IDs say that it
    /// knows Kerberos.
    ///
    /// # Errors
    /// It may not answer for the peer, says nothing, or means something else by the number.
    pub(crate) fn claimed(&self, peer: &Peer, knows: bool) -> Result<Option<Principal>, Error> {
        match self.suite.method {
            Method::Kerberos => gss::claim(peer, self.identity.as_deref(), knows).map(Some),
            Method::Psk | Method::Signature => Ok(None),
        }
    }
}

/// Every suite that a peer's proposals allow, best first, with the first of these ways to
/// authenticate, and then with each other.
pub(crate) fn suites(peer: &Peer, methods: &[Method]) -> Vec<Suite> {
    let by = |method: &Method| suites_by(&peer.ike.proposals, *method, TRANSFORMS);
    methods.iter().flat_map(by).collect()
}

/// As [`suites`], no more than one offer holds: a long list leaves no way to authenticate out.
pub(crate) fn offered(peer: &Peer, methods: &[Method]) -> Vec<Suite> {
    let most = TRANSFORMS / methods.len().max(1);
    let by = |method: &Method| suites_by(&peer.ike.proposals, *method, most);
    methods.iter().flat_map(by).collect()
}

fn suites_by(proposals: &[IkeProposal], method: Method, most: usize) -> Vec<Suite> {
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
                        method,
                    };
                    if !suites.contains(&suite) {
                        suites.push(suite);
                    }
                }
            }
        }
    }
    suites.truncate(most);
    suites
}

/// What we offer a peer; `None` when there is no suite: the policy has nothing that IKEv1 can say.
pub(crate) fn offer(peer: &Peer, suites: &[Suite]) -> Option<SecurityAssociation> {
    let seconds = u32::try_from(peer.ike.lifetime.hard.as_secs()).unwrap_or(u32::MAX);
    let numbered = (1..=u8::MAX).zip(suites);
    let transforms: Vec<Transform> = numbered
        .map(|(number, suite)| {
            let mut one = transform(number, *suite, seconds);
            name(&mut one, peer, suite.method);
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

fn transform(number: u8, suite: Suite, seconds: u32) -> Transform {
    let encryption = encryption_id(suite.encryption).unwrap_or_default();
    let mut attributes = vec![Attribute::Short(OAKLEY_ENCRYPTION, encryption)];
    if let Some(bits) = suite.encryption.key_bits_attribute() {
        attributes.push(Attribute::Short(OAKLEY_KEY_LENGTH, bits));
    }
    attributes.extend([
        Attribute::Short(OAKLEY_HASH, hash_id(suite.hash)),
        Attribute::Short(OAKLEY_GROUP, suite.group.id()),
        Attribute::Short(OAKLEY_AUTHENTICATION, number_of(suite.method)),
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

/// Puts our own name in GSS into a transform with Kerberos, in the place of another.
fn name(transform: &mut Transform, peer: &Peer, method: Method) {
    if let (Method::Kerberos, Some((own, _))) = (method, gss::of(peer)) {
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

/// What a transform says, when it is one of these.
fn read(transform: &Transform, suites: &[Suite]) -> Option<Suite> {
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
            && number_of(suite.method) == authentication
    };
    let found = suites.iter().find(fits);
    found.copied().filter(|_| transform.id == KEY_IKE)
}

/// Whether the number of Kerberos means XAUTH, from who does not say that it knows Kerberos: it
/// says no principal either. No hash covers a vendor ID; one covers the principal, so that nobody
/// in between makes us go on to another way.
fn is_xauth(suite: Suite, transform: &Transform) -> bool {
    suite.method == Method::Kerberos && transform.attribute(OAKLEY_GSS_IDENTITY).is_none()
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

/// Chooses among what a peer offers: of the ways to authenticate that we have the one that it has
/// first, and with that the best of our own suites. `knows`: its vendor IDs say that it knows
/// Kerberos.
///
/// # Errors
/// There is nothing in common: both sides are told.
pub(crate) fn choose(
    peer: &Peer,
    suites: &[Suite],
    offered: &SecurityAssociation,
    knows: bool,
) -> Result<Chosen, Error> {
    let of_isakmp = |one: &&Proposal| one.protocol == ProtocolId::ISAKMP;
    let all = offered.proposals.iter().filter(of_isakmp);
    let all = all.flat_map(|one| one.transforms.iter().map(move |transform| (one, transform)));
    let mut good = all
        .filter_map(|(proposal, transform)| Some((read(transform, suites)?, proposal, transform)))
        .filter(|(suite, _, transform)| knows || !is_xauth(*suite, transform))
        .peekable();
    let method = good.peek().map(|(suite, ..)| suite.method);
    let rank = |suite: Suite| suites.iter().position(|one| *one == suite);
    let best = good
        .filter(|(suite, ..)| Some(suite.method) == method)
        .min_by_key(|(suite, ..)| rank(*suite));
    let (suite, proposal, transform) = best.ok_or_else(|| refusal(suites, offered))?;
    let identity = match transform.attribute(OAKLEY_GSS_IDENTITY) {
        Some(Attribute::Long(_, value)) => Some(value.clone()),
        _ => None,
    };
    let mut chosen = transform.clone();
    name(&mut chosen, peer, suite.method);
    Ok(Chosen {
        suite,
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
pub(crate) fn accept(
    peer: &Peer,
    suites: &[Suite],
    answer: &SecurityAssociation,
) -> Result<Chosen, Error> {
    let wrong = Error::Misbehaved(Misbehaved::ChoseWhatWasNotOffered);
    let [proposal] = answer.proposals.as_slice() else {
        return Err(wrong);
    };
    if proposal.transforms.len() != 1 {
        return Err(wrong);
    }
    choose(peer, suites, answer, true).map_err(|_| wrong)
}

fn refusal(suites: &[Suite], offered: &SecurityAssociation) -> Error {
    let method = |suite: &Suite| oakley_authentication_name(number_of(suite.method));
    let ours: Vec<String> = suites
        .iter()
        .map(|suite| {
            let method = method(suite).unwrap_or("unnamed");
            format!("{} with {method}", suite_of(*suite))
        })
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
