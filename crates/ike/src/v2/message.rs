//! Protection of whole messages by the SK payload (RFC 7296 section 3.14).

use wire::ike::{
    Decoded, Header, Layout, Malformed, Payload, decode_payloads, encode_payloads,
    encode_protected, unpad,
};

use crate::discard::Discard;
use crate::v2::keys::Keys;

fn layout(keys: &Keys) -> Layout {
    let suite = keys.suite();
    let icv = suite
        .integrity
        .map_or(suite.encryption.icv_length(), |one| one.icv_length());
    Layout {
        iv: suite.encryption.iv_length(),
        icv,
        block: suite.encryption.block_length(),
    }
}

/// A message of one SK payload, sealed by the side that `header` says sends it. `None` when it
/// does not fit a datagram, which nothing that is sent here comes near.
pub(crate) fn protect(keys: &mut Keys, header: &Header, payloads: &[Payload]) -> Option<Vec<u8>> {
    let number = keys.next_number();
    let (first, inner) = encode_payloads(payloads).ok()?;
    let message = encode_protected(header, first, None, &inner, layout(keys)).ok()?;
    let (mut octets, parts) = (message.octets, message.parts);
    let key = keys.sealing(header.flags.initiator).ok()?;
    let (aad, rest) = octets.split_at_mut(parts.iv.start);
    let (iv, rest) = rest.split_at_mut(parts.iv.len());
    let (text, icv) = rest.split_at_mut(parts.ciphertext.len());
    key.write_iv(number, iv).ok()?;
    key.seal(iv, aad, &[], text, icv).ok()?;
    Some(octets)
}

/// The payloads of a message that the peer's key authenticates. The inner error is for octets
/// that the peer itself sealed and that are no payloads.
///
/// # Errors
/// The message is not one that the peer sealed.
pub(crate) fn open(
    keys: &Keys,
    decoded: &Decoded<'_>,
) -> Result<Result<Vec<Payload>, Malformed>, Discard> {
    let encrypted = decoded.encrypted.as_ref().ok_or(Discard::NotEncrypted)?;
    if encrypted.fragment.is_some() {
        return Err(Discard::Fragmented);
    }
    let parts = encrypted
        .parts(layout(keys))
        .map_err(|_| Discard::AuthenticationFailed)?;
    let part = |range| {
        decoded
            .octets
            .get(range)
            .ok_or(Discard::AuthenticationFailed)
    };
    let (aad, iv, icv) = (part(parts.aad)?, part(parts.iv)?, part(parts.icv)?);
    let mut text = part(parts.ciphertext)?.to_vec();
    let key = keys
        .opening(decoded.header.flags.initiator)
        .map_err(|_| Discard::AuthenticationFailed)?;
    key.open(iv, aad, &[], &mut text, icv)
        .map_err(|_| Discard::AuthenticationFailed)?;
    Ok(unpad(&text).and_then(|inner| decode_payloads(encrypted.first, inner)))
}
