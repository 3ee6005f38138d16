//! The AUTH payload: with a pre-shared key (RFC 7296 section 2.15), or of an IKE SA that is resumed
//! (RFC 5723 section 5.1).

use std::borrow::Cow;

use crypto::{Prf, Secret};
use wire::ike::Identification;

/// What the key is padded with, so that it is used for this and nothing else.
const KEY_PAD: &[u8] = b"Key Pad for IKEv2";

/// What one side signs.
pub(crate) struct Signed<'a> {
    /// The octets of the first message that this side sent, header included.
    pub(crate) message: &'a [u8],
    /// The nonce of the other side.
    pub(crate) nonce: &'a [u8],
    /// The identity that this side claims.
    pub(crate) id: &'a Identification,
    /// What was exchanged in IKE_INTERMEDIATE (RFC 9242 section 3.3); empty without.
    pub(crate) int_auth: &'a [u8],
    /// SK_pi or SK_pr, of this side.
    pub(crate) sk_p: &'a [u8],
}

/// A side's key, in one of the two ways that need no signature.
#[derive(Clone, Copy)]
pub(crate) enum Credential<'a> {
    /// A pre-shared key.
    Psk(&'a Secret),
    /// The keys of an IKE SA that is being resumed (RFC 5723 section 5.1).
    Resumed,
}

/// What AUTH is over, in parts: the signed octets of RFC 7296 section 2.15.
pub(crate) fn octets<'a>(prf: Prf, signed: &Signed<'a>) -> [Cow<'a, [u8]>; 4] {
    let id = prf.compute(signed.sk_p, &[&signed.id.body()]);
    let id = Cow::Owned(id.as_bytes().to_vec());
    let (message, nonce, int_auth) = (signed.message, signed.nonce, signed.int_auth);
    [message.into(), nonce.into(), id, int_auth.into()]
}

/// The AUTH data of the side that signed.
pub(crate) fn sign(prf: Prf, credential: Credential<'_>, signed: &Signed<'_>) -> Secret {
    let [message, nonce, id, int_auth] = octets(prf, signed);
    let octets = [&message[..], &nonce, &id, &int_auth];
    match credential {
        Credential::Psk(key) => {
            let padded = prf.compute(key.as_bytes(), &[KEY_PAD]);
            prf.compute(padded.as_bytes(), &octets)
        }
        Credential::Resumed => prf.compute(signed.sk_p, &octets),
    }
}

/// Whether `received` is the AUTH data of the side that signed, in constant time.
pub(crate) fn verify(
    prf: Prf,
    credential: Credential<'_>,
    signed: &Signed<'_>,
    received: &[u8],
) -> bool {
    crypto::constant_time_eq(sign(prf, credential, signed).as_bytes(), received)
}
