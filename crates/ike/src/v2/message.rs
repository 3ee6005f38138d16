//! Protection of whole messages by the SK payload (RFC 7296 section 3.14), or in fragments by SKF
//! payloads (RFC 7383 section 2.5).

use crypto::hash::sha256;
use wire::ike::{
    Decoded, Encrypted, Fragment, Header, Layout, Malformed, Payload, PayloadType, decode_payloads,
    encode_payloads, encode_protected, limits, unpad,
};
use zeroize::Zeroizing;

use crate::discard::Discard;
use crate::v2::fragments::{Fragments, Piece, Whole};
use crate::v2::keys::Keys;

/// The datagrams of one message: itself, or its fragments in their order. They are sent again as
/// they are, for a key never seals one message twice.
pub(crate) type Sealed = Vec<Vec<u8>>;

/// A message that the peer's key authenticates.
pub(crate) struct Opened {
    /// By which it is known again: of the message, or of its first fragment (RFC 7383 section
    /// 2.6.1).
    pub(crate) digest: [u8; 32],
    /// The error is for octets that the peer itself sealed and that are no payloads.
    pub(crate) payloads: Result<Vec<Payload>, Malformed>,
    /// The payloads as they were written.
    pub(crate) inner: Inner,
}

/// A chain of payloads that is or will be encrypted.
pub(crate) struct Inner {
    /// The type of the first.
    pub(crate) first: PayloadType,
    pub(crate) text: Zeroizing<Vec<u8>>,
}

impl Default for Inner {
    fn default() -> Self {
        Inner {
            first: PayloadType::NONE,
            text: Zeroizing::default(),
        }
    }
}

impl Inner {
    /// Writes payloads; `None` when they do not fit a message.
    pub(crate) fn of(payloads: &[Payload]) -> Option<Self> {
        let (first, text) = encode_payloads(payloads).ok()?;
        let text = Zeroizing::new(text);
        Some(Inner { first, text })
    }
}

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

/// A message sealed by the side that `header` says sends it: in fragments if it has more than
/// `longest` octets. `None` when it does not fit a datagram, which nothing that is sent here comes
/// near.
pub(crate) fn protect(
    keys: &mut Keys,
    header: &Header,
    payloads: &[Payload],
    longest: Option<usize>,
) -> Option<Sealed> {
    protect_inner(keys, header, &Inner::of(payloads)?, longest)
}

/// As [`protect`], of payloads that are written already.
pub(crate) fn protect_inner(
    keys: &mut Keys,
    header: &Header,
    inner: &Inner,
    longest: Option<usize>,
) -> Option<Sealed> {
    let (first, inner) = (inner.first, &inner.text[..]);
    match longest.and_then(|longest| piece(layout(keys), inner.len(), longest)) {
        None => Some(vec![seal(keys, header, first, None, inner)?]),
        Some(piece) => cut(keys, header, first, inner, piece),
    }
}

/// Into pieces of how many octets a message is cut; `None` when it is not. What would need more
/// pieces than anybody puts together is left to the fragments of IP.
fn piece(layout: Layout, inner: usize, longest: usize) -> Option<usize> {
    let piece = layout.piece(longest);
    let possible = piece > 0 && inner.div_ceil(piece) <= usize::from(limits::FRAGMENTS);
    (possible && layout.message(inner) > longest).then_some(piece)
}

fn cut(
    keys: &mut Keys,
    header: &Header,
    first: PayloadType,
    inner: &[u8],
    piece: usize,
) -> Option<Sealed> {
    let total = u16::try_from(inner.len().div_ceil(piece)).ok()?;
    let pieces = (1..=total).zip(inner.chunks(piece));
    let sealed = pieces.map(|(number, piece)| {
        let first = match number {
            1 => first,
            _ => PayloadType::NONE,
        };
        seal(keys, header, first, Some(Fragment { number, total }), piece)
    });
    sealed.collect()
}

fn seal(
    keys: &mut Keys,
    header: &Header,
    first: PayloadType,
    fragment: Option<Fragment>,
    inner: &[u8],
) -> Option<Vec<u8>> {
    let number = keys.next_number();
    let message = encode_protected(header, first, fragment, inner, layout(keys)).ok()?;
    let (mut octets, parts) = (message.octets, message.parts);
    let key = keys.sealing(header.flags.initiator).ok()?;
    let (aad, rest) = octets.split_at_mut(parts.iv.start);
    let (iv, rest) = rest.split_at_mut(parts.iv.len());
    let (text, icv) = rest.split_at_mut(parts.ciphertext.len());
    key.write_iv(number, iv).ok()?;
    key.seal(iv, aad, &[], text, icv).ok()?;
    Some(octets)
}

/// The payloads of a message that the peer's key authenticates; `None` while fragments of it are
/// missing.
///
/// # Errors
/// The message is not one that the peer sealed, or has no place here; nothing changed.
pub(crate) fn open(
    keys: &Keys,
    fragments: &mut Fragments,
    decoded: &Decoded<'_>,
) -> Result<Option<Opened>, Discard> {
    let encrypted = decoded.encrypted.as_ref().ok_or(Discard::NotEncrypted)?;
    let header = &decoded.header;
    if let Some(fragment) = encrypted.fragment {
        fragments.admit(header, fragment)?;
    }
    let (digest, first) = (sha256(&[decoded.octets]), encrypted.first);
    let text = match unsealed(keys, encrypted, decoded)? {
        Ok(text) => text,
        Err(why) => {
            return Ok(Some(Opened {
                digest,
                payloads: Err(why),
                inner: Inner::default(),
            }));
        }
    };
    let whole = match encrypted.fragment {
        None => {
            fragments.forget(header.flags.response);
            Ok(Some(Whole {
                first,
                digest,
                text,
            }))
        }
        Some(fragment) => fragments.add(
            header,
            Piece {
                fragment,
                first,
                digest,
                text,
            },
        ),
    };
    Ok(whole.transpose().map(|whole| match whole {
        Ok(whole) => Opened {
            digest: whole.digest,
            payloads: decode_payloads(whole.first, &whole.text),
            inner: Inner {
                first: whole.first,
                text: whole.text,
            },
        },
        Err(why) => Opened {
            digest,
            payloads: Err(why),
            inner: Inner::default(),
        },
    }))
}

/// As [`open`], of a message that is never a fragment.
///
/// # Errors
/// The message is not one that the peer sealed.
pub(crate) fn open_whole(
    keys: &Keys,
    decoded: &Decoded<'_>,
) -> Result<Result<Vec<Payload>, Malformed>, Discard> {
    let encrypted = decoded.encrypted.as_ref().ok_or(Discard::NotEncrypted)?;
    if encrypted.fragment.is_some() {
        return Err(Discard::Fragmented);
    }
    let text = unsealed(keys, encrypted, decoded)?;
    Ok(text.and_then(|text| decode_payloads(encrypted.first, &text)))
}

/// Whether the peer's key authenticates a message, or a fragment of one.
pub(crate) fn is_authentic(keys: &Keys, decoded: &Decoded<'_>) -> bool {
    let encrypted = decoded.encrypted.as_ref();
    encrypted.is_some_and(|encrypted| unsealed(keys, encrypted, decoded).is_ok())
}

/// What an encrypted payload holds, without padding; the inner error is the peer's own.
fn unsealed(
    keys: &Keys,
    encrypted: &Encrypted,
    decoded: &Decoded<'_>,
) -> Result<Result<Zeroizing<Vec<u8>>, Malformed>, Discard> {
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
    let mut text = Zeroizing::new(part(parts.ciphertext)?.to_vec());
    let key = keys
        .opening(decoded.header.flags.initiator)
        .map_err(|_| Discard::AuthenticationFailed)?;
    key.open(iv, aad, &[], &mut text, icv)
        .map_err(|_| Discard::AuthenticationFailed)?;
    let length = unpad(&text).map(<[u8]>::len);
    Ok(length.map(|length| {
        text.truncate(length);
        text
    }))
}
