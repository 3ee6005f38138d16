//! Signatures in AUTH payloads: method 14 of RFC 7427, and methods 9 to 11 of RFC 4754 for peers
//! that say nothing of hashes. Method 1 is RSA with SHA-1, and neither made nor taken here.

use crypto::signature::{HashAlgorithm, KeyKind, SignatureScheme};
use crypto::{PrivateKey, PublicKey};
use policy::auth::Credential;
use wire::ike::numbers::{
    AUTH_METHOD_DIGITAL_SIGNATURE, AUTH_METHOD_ECDSA_SHA256_P256, AUTH_METHOD_ECDSA_SHA384_P384,
    AUTH_METHOD_ECDSA_SHA512_P521, AUTH_METHOD_RSA_SIGNATURE, HASH_IDENTITY,
};
use wire::ike::{AuthPayload, Notify, NotifyType, Payload};

use crate::error::NotAuthentic;

/// What we verify signatures over: SIGNATURE_HASH_ALGORITHMS (RFC 7427 section 4).
pub(crate) fn hashes() -> Payload {
    let ids = HashAlgorithm::ALL.into_iter().map(HashAlgorithm::id);
    let data = ids.chain([HASH_IDENTITY]).flat_map(u16::to_be_bytes);
    Payload::Notify(Notify::new(
        NotifyType::SIGNATURE_HASH_ALGORITHMS,
        data.collect(),
    ))
}

/// The numbers of the hashes that a peer verifies signatures over.
pub(crate) fn hashes_of(notify: &Notify) -> Vec<u16> {
    let (pairs, _) = notify.data.as_chunks::<2>();
    pairs.iter().map(|pair| u16::from_be_bytes(*pair)).collect()
}

/// The method of RFC 4754 that belongs to a key.
fn rfc4754(kind: KeyKind) -> Option<u8> {
    match kind {
        KeyKind::P256 => Some(AUTH_METHOD_ECDSA_SHA256_P256),
        KeyKind::P384 => Some(AUTH_METHOD_ECDSA_SHA384_P384),
        KeyKind::P521 => Some(AUTH_METHOD_ECDSA_SHA512_P521),
        KeyKind::Rsa(_) | KeyKind::Ed25519 => None,
    }
}

/// Signs for a peer that verifies over these hashes, or has said nothing of any.
///
/// # Errors
/// There is no way to sign that it would understand.
pub(crate) fn sign(
    credential: &Credential,
    hashes: Option<&[u16]>,
    octets: &[u8],
) -> Result<AuthPayload, NotAuthentic> {
    let key = &credential.key;
    let kind = key.public().kind();
    let cannot = |why: String| NotAuthentic::CannotSign { why };
    let Some(hashes) = hashes else {
        let method = rfc4754(kind).ok_or_else(|| {
            let sha1 = "the peer does not know RFC 7427";
            cannot(format!(
                "{sha1}, and our key ({kind}) needs it: SHA-1 is not used here"
            ))
        })?;
        let failed = |failed: crypto::signature::SigningFailed| cannot(failed.to_string());
        let data = key.sign_rfc4754(octets).map_err(failed)?;
        return Ok(AuthPayload { method, data });
    };
    let scheme = scheme(key, credential.pkcs1, hashes).ok_or_else(|| {
        cannot(format!(
            "the peer takes no hash that our key ({kind}) signs over"
        ))
    })?;
    let signature = key
        .sign(scheme, octets)
        .map_err(|why| cannot(why.to_string()))?;
    let identifier = scheme.algorithm_identifier();
    // Every identifier is shorter than 128 octets.
    let length = u8::try_from(identifier.len()).unwrap_or(u8::MAX);
    Ok(AuthPayload {
        method: AUTH_METHOD_DIGITAL_SIGNATURE,
        data: [&[length][..], &identifier, &signature].concat(),
    })
}

fn scheme(key: &PrivateKey, pkcs1: bool, hashes: &[u16]) -> Option<SignatureScheme> {
    let fits = |scheme: &SignatureScheme| {
        let padding = !(pkcs1 && matches!(scheme, SignatureScheme::RsaPss(_)));
        padding && hashes.contains(&scheme.hash_id())
    };
    key.schemes().iter().copied().find(fits)
}

/// Whether an AUTH payload is a signature by this key.
///
/// # Errors
/// Why not: what follows "the signature of .. ".
pub(crate) fn verify(key: &PublicKey, auth: &AuthPayload, octets: &[u8]) -> Result<(), String> {
    let kind = key.kind();
    let wrong = |_| format!("is not by its key ({kind})");
    match auth.method {
        AUTH_METHOD_DIGITAL_SIGNATURE => {
            let read = || {
                let (length, rest) = auth.data.split_first()?;
                rest.split_at_checked(usize::from(*length))
            };
            let (identifier, signature) = read().ok_or("is malformed")?;
            let scheme = SignatureScheme::from_algorithm_identifier(identifier);
            let scheme = scheme.ok_or_else(|| unknown(identifier))?;
            key.verify(scheme, octets, signature).map_err(wrong)
        }
        AUTH_METHOD_RSA_SIGNATURE => {
            Err("is of method 1, RSA with SHA-1, which is not accepted: enable RFC 7427".into())
        }
        method if rfc4754(kind) == Some(method) => {
            key.verify_rfc4754(octets, &auth.data).map_err(wrong)
        }
        method => Err(format!(
            "is of method {method}, which its key ({kind}) does not have"
        )),
    }
}

fn unknown(identifier: &[u8]) -> String {
    let shown: String = identifier
        .iter()
        .take(80)
        .map(|octet| format!("{octet:02x}"))
        .collect();
    format!(
        "is of an algorithm that is not accepted ({shown}): RSA and ECDSA with SHA-2, RSA-PSS with \
         a salt as long as the hash, and Ed25519 are"
    )
}

#[cfg(test)]
mod tests;
