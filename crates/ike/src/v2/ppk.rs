//! A post-quantum pre-shared key in IKE_AUTH: named by the initiator, mixed into SK_d and into what
//! AUTH is made with (RFC 8784 section 3).

use policy::pad::Peer;
use policy::ppk::Ppk;
use wire::ike::{AuthPayload, Notify, NotifyType, Payload};

use crate::error::{Error, NotAuthentic, PpkRefusal};
use crate::v2::contents::Contents;
use crate::v2::keys::Keys;

/// The type of an identity that both sides were given (RFC 8784 section 5.1).
const FIXED: u8 = 2;

/// N(PPK_IDENTITY) of an initiator.
pub(crate) fn identity(ppk: &Ppk) -> Payload {
    let data = [&[FIXED][..], ppk.id.as_bytes()].concat();
    Payload::Notify(Notify::new(NotifyType::PPK_IDENTITY, data))
}

/// N(NO_PPK_AUTH): what AUTH would be for a responder that does not have the key.
pub(crate) fn without(auth: Payload) -> Option<Payload> {
    match auth {
        Payload::Auth(auth) => {
            let kind = NotifyType::NO_PPK_AUTH;
            Some(Payload::Notify(Notify::new(kind, auth.data)))
        }
        _ => None,
    }
}

/// What a responder goes on with.
pub(crate) enum Verdict {
    /// The keys with the PPK, which its answer says.
    Mixed(Keys),
    /// The keys without, and this AUTH.
    Plain(Option<AuthPayload>),
}

/// Whether an initiator uses the key that the policy has for it, if there is one. `agreed`: both
/// said that they know of such keys.
///
/// # Errors
/// The policy demands one, and it is not used.
pub(crate) fn judge(
    agreed: bool,
    peer: &Peer,
    keys: &Keys,
    contents: &Contents<'_>,
) -> Result<Verdict, Error> {
    let own = peer.ike.ppk.as_ref();
    let refuse = |why| Err(Error::NotAuthentic(NotAuthentic::Ppk(why)));
    let required = own.is_some_and(|ppk| ppk.required);
    let named = contents.notify(NotifyType::PPK_IDENTITY).filter(|_| agreed);
    let Some(named) = named else {
        return match required {
            true => refuse(PpkRefusal::NotUsed),
            false => Ok(Verdict::Plain(None)),
        };
    };
    let same = |ppk: &&Ppk| named.data.split_first() == Some((&FIXED, ppk.id.as_bytes()));
    if let Some(ppk) = own.filter(same) {
        return Ok(Verdict::Mixed(keys.mixed(&ppk.secret)));
    }
    let without = contents.notify(NotifyType::NO_PPK_AUTH);
    match (without, contents.auth()) {
        (Some(without), Ok(auth)) if !required => Ok(Verdict::Plain(Some(AuthPayload {
            method: auth.method,
            data: without.data.clone(),
        }))),
        _ => refuse(PpkRefusal::Unknown {
            named: String::from_utf8_lossy(named.data.get(1..).unwrap_or_default()).into_owned(),
        }),
    }
}
