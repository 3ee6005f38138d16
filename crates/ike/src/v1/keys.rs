//! SKEYID and what comes of it: the hashes that authenticate, and KEYMAT (RFC 2409 section 5).

use crypto::cipher::KeyError;
use crypto::{Encryption, Group, Integrity, Prf, Secret};
use policy::Additional;
use policy::auth::Method;
use policy::proposal::{EspSuite, IkeSuite, prf_of};
use policy::sa::KeyMaterial;

use crate::id::{IkeSaId, Role};
use crate::record::codec::{Reader, Writer};
use crate::v1::cipher::{Cipher, Iv};

/// What phase 1 agreed on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suite {
    /// The cipher, in CBC mode.
    pub(crate) encryption: Encryption,
    /// The hash that was negotiated, and the PRF, which is its HMAC (section 4).
    pub(crate) hash: Prf,
    /// The Diffie-Hellman group.
    pub(crate) group: Group,
    /// How both sides prove who they are.
    pub(crate) method: Method,
}

/// What phase 1 agreed on, in the words that the policy has.
pub(crate) fn suite_of(suite: Suite) -> IkeSuite {
    IkeSuite {
        encryption: suite.encryption,
        // The hash that was negotiated is both.
        integrity: Integrity::ALL
            .into_iter()
            .find(|one| prf_of(*one) == suite.hash),
        prf: suite.hash,
        group: suite.group,
        additional: Additional::default(),
    }
}

/// Ni_b and Nr_b: the bodies of both nonces of an exchange, its initiator's first.
#[derive(Clone, Copy)]
pub(crate) struct Nonces<'a> {
    pub(crate) initiator: &'a [u8],
    pub(crate) responder: &'a [u8],
}

/// CKY-I and CKY-R: both cookies of an ISAKMP SA.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Cookies {
    pub(crate) initiator: [u8; 8],
    pub(crate) responder: [u8; 8],
}

impl Cookies {
    /// Both cookies, for the one whose role and cookie these are.
    pub(crate) fn new(role: Role, own: IkeSaId, peer: u64) -> Self {
        let (own, peer) = (own.0.to_be_bytes(), peer.to_be_bytes());
        let (initiator, responder) = match role {
            Role::Initiator => (own, peer),
            Role::Responder => (peer, own),
        };
        Cookies {
            initiator,
            responder,
        }
    }
}

/// What both sides of phase 1 have seen, and HASH_I and HASH_R are made of.
#[derive(Clone, Copy)]
pub(crate) struct Transcript<'a> {
    /// g^xi: the body of the initiator's KE payload.
    pub(crate) g_xi: &'a [u8],
    /// g^xr: the body of the responder's KE payload.
    pub(crate) g_xr: &'a [u8],
    pub(crate) cookies: Cookies,
    /// SAi_b: the body of the SA payload with which the initiator began, every proposal in it.
    pub(crate) sa_i: &'a [u8],
}

/// SKEYID_d, SKEYID_a, SKEYID itself and the key that encrypts: the secrets of an ISAKMP SA.
pub(crate) struct Keys {
    suite: Suite,
    skeyid: Secret,
    skeyid_d: Secret,
    skeyid_a: Secret,
    /// The cipher's own key.
    key: Secret,
    cipher: Cipher,
}

impl Keys {
    /// The keys where a pre-shared key authenticates: SKEYID = prf(pre-shared-key, Ni_b | Nr_b).
    ///
    /// # Errors
    /// [`KeyError`]: the cipher of the suite has no CBC mode, or a weak key came out.
    pub(crate) fn with_psk(
        suite: Suite,
        psk: &Secret,
        shared: &Secret,
        nonces: Nonces<'_>,
        cookies: Cookies,
    ) -> Result<Self, KeyError> {
        let parts = [nonces.initiator, nonces.responder];
        let skeyid = suite.hash.compute(psk.as_bytes(), &parts);
        Keys::derive(suite, skeyid, shared, cookies)
    }

    /// The keys where signatures or tokens of GSS authenticate: SKEYID = prf(Ni_b | Nr_b, g^xy).
    ///
    /// # Errors
    /// [`KeyError`]: the cipher of the suite has no CBC mode, or a weak key came out.
    pub(crate) fn with_signatures(
        suite: Suite,
        shared: &Secret,
        nonces: Nonces<'_>,
        cookies: Cookies,
    ) -> Result<Self, KeyError> {
        let key = [nonces.initiator, nonces.responder].concat();
        let skeyid = suite.hash.compute(&key, &[shared.as_bytes()]);
        Keys::derive(suite, skeyid, shared, cookies)
    }

    /// SKEYID_d = prf(SKEYID, g^xy | CKY-I | CKY-R | 0), and _a and _e each with the one before.
    fn derive(
        suite: Suite,
        skeyid: Secret,
        shared: &Secret,
        cookies: Cookies,
    ) -> Result<Self, KeyError> {
        let next = |previous: &[u8], number: u8| {
            let (g_xy, i, r) = (shared.as_bytes(), &cookies.initiator, &cookies.responder);
            let parts = [previous, g_xy, i, r, &[number]];
            suite.hash.compute(skeyid.as_bytes(), &parts)
        };
        let skeyid_d = next(&[], 0);
        let skeyid_a = next(skeyid_d.as_bytes(), 1);
        let skeyid_e = next(skeyid_a.as_bytes(), 2);
        let key = encryption_key(suite, &skeyid_e);
        let cipher = Cipher::new(suite.encryption, key.as_bytes())?;
        Ok(Keys {
            suite,
            skeyid,
            skeyid_d,
            skeyid_a,
            key,
            cipher,
        })
    }

    /// Writes down what goes on after phase 1: SKEYID itself is of no more use.
    pub(crate) fn write(&self, to: &mut Writer) {
        to.ike_suite(suite_of(self.suite));
        to.u8(match self.suite.method {
            Method::Psk => 0,
            Method::Signature => 1,
            Method::Kerberos => 2,
        });
        to.octets(self.skeyid_d.as_bytes());
        to.octets(self.skeyid_a.as_bytes());
        to.octets(self.key.as_bytes());
    }

    /// Reads what [`Keys::write`] wrote.
    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let suite = from.ike_suite()?;
        let method = match from.u8()? {
            0 => Method::Psk,
            1 => Method::Signature,
            2 => Method::Kerberos,
            _ => return None,
        };
        let suite = Suite {
            encryption: suite.encryption,
            hash: suite.prf,
            group: suite.group,
            method,
        };
        let mut secret = || from.octets().map(Secret::from_slice);
        let (skeyid_d, skeyid_a, key) = (secret()?, secret()?, secret()?);
        let cipher = Cipher::new(suite.encryption, key.as_bytes()).ok()?;
        Some(Keys {
            suite,
            skeyid: Secret::from_slice(&[]),
            skeyid_d,
            skeyid_a,
            key,
            cipher,
        })
    }

    /// The key that encrypts, for a protocol analyser.
    pub(crate) fn key(&self) -> &Secret {
        &self.key
    }

    /// What was agreed.
    pub(crate) fn suite(&self) -> Suite {
        self.suite
    }

    /// What encrypts every message from here on.
    pub(crate) fn cipher(&self) -> &Cipher {
        &self.cipher
    }

    /// The IV of the first message that is encrypted.
    pub(crate) fn first_iv(&self, g_xi: &[u8], g_xr: &[u8]) -> Iv {
        Iv::of_phase_1((self.suite.encryption, self.suite.hash), g_xi, g_xr)
    }

    /// The IV of the first message of another exchange; `phase_1` is the IV after phase 1.
    pub(crate) fn exchange_iv(&self, phase_1: &Iv, message_id: u32) -> Iv {
        phase_1.of_exchange(self.suite.hash, message_id)
    }

    /// HASH_I = prf(SKEYID, g^xi | g^xr | CKY-I | CKY-R | SAi_b | IDii_b). `id` is the body of the
    /// initiator's ID payload, and `more` what GSS adds: names and tokens.
    pub(crate) fn hash_i(&self, seen: &Transcript<'_>, id: &[u8], more: &[&[u8]]) -> Secret {
        let Cookies {
            initiator,
            responder,
        } = &seen.cookies;
        let parts = [seen.g_xi, seen.g_xr, initiator, responder, seen.sa_i, id];
        self.of_skeyid(&parts, more)
    }

    /// HASH_R = prf(SKEYID, g^xr | g^xi | CKY-R | CKY-I | SAi_b | IDir_b). `id` is the body of the
    /// responder's ID payload.
    pub(crate) fn hash_r(&self, seen: &Transcript<'_>, id: &[u8], more: &[&[u8]]) -> Secret {
        let Cookies {
            initiator,
            responder,
        } = &seen.cookies;
        let parts = [seen.g_xr, seen.g_xi, responder, initiator, seen.sa_i, id];
        self.of_skeyid(&parts, more)
    }

    fn of_skeyid(&self, parts: &[&[u8]], more: &[&[u8]]) -> Secret {
        let all = [parts, more].concat();
        self.suite.hash.compute(self.skeyid.as_bytes(), &all)
    }

    /// HASH(1) = prf(SKEYID_a, M-ID | what follows it in the message, less the padding): of Quick
    /// Mode, of an Informational exchange, and of the first message of an acknowledged delete.
    pub(crate) fn hash_1(&self, message_id: u32, payloads: &[&[u8]]) -> Secret {
        self.of_skeyid_a(&[&message_id.to_be_bytes()], payloads)
    }

    /// HASH(2) = prf(SKEYID_a, M-ID | Ni_b | what follows it in the message, less the padding).
    pub(crate) fn hash_2(&self, message_id: u32, ni_b: &[u8], payloads: &[&[u8]]) -> Secret {
        self.of_skeyid_a(&[&message_id.to_be_bytes(), ni_b], payloads)
    }

    /// HASH(3) = prf(SKEYID_a, 0 | M-ID | Ni_b | Nr_b).
    pub(crate) fn hash_3(&self, message_id: u32, nonces: Nonces<'_>) -> Secret {
        let nonces = [nonces.initiator, nonces.responder];
        self.of_skeyid_a(&[&[0], &message_id.to_be_bytes()], &nonces)
    }

    /// HASH(2) of the answer to an acknowledged delete (MS-IKEE section 3.8):
    /// prf(SKEYID_a, Ni_b | M-ID | Nr | Delete). `payloads` are Nr and the Delete payload, in this
    /// order.
    pub(crate) fn hash_2_of_delete(
        &self,
        message_id: u32,
        ni_b: &[u8],
        payloads: &[&[u8]],
    ) -> Secret {
        self.of_skeyid_a(&[ni_b, &message_id.to_be_bytes()], payloads)
    }

    fn of_skeyid_a(&self, first: &[&[u8]], more: &[&[u8]]) -> Secret {
        let all = [first, more].concat();
        self.suite.hash.compute(self.skeyid_a.as_bytes(), &all)
    }

    /// KEYMAT of one SA: the first `length` octets of K1 | K2 | ..., where each is
    /// prf(SKEYID_d, the one before | \[g(qm)^xy |\] protocol | SPI | Ni_b | Nr_b) (section 5.5).
    pub(crate) fn keymat(&self, of: &Keymat<'_>, length: usize) -> Secret {
        let shared = of.shared.map_or(&[][..], Secret::as_bytes);
        let seed = [
            shared,
            &[of.protocol],
            of.spi,
            of.nonces.initiator,
            of.nonces.responder,
        ];
        expanded(self.suite.hash, &self.skeyid_d, &[], &seed, length)
    }

    /// The keys of one SA of ESP, whose receiver chose the SPI.
    pub(crate) fn esp(&self, suite: EspSuite, of: &Keymat<'_>) -> KeyMaterial {
        let encryption = suite.encryption.key_length();
        let integrity = suite.integrity.map_or(0, |one| one.key_length());
        let stream = self.keymat(of, encryption + integrity);
        let (first, second) = stream.as_bytes().split_at(encryption);
        KeyMaterial {
            encryption: Secret::from_slice(first),
            integrity: Secret::from_slice(second),
        }
    }
}

/// What the keys of one SA are made of, besides SKEYID_d.
#[derive(Clone, Copy)]
pub(crate) struct Keymat<'a> {
    /// g(qm)^xy, where the Quick Mode had a key exchange of its own.
    pub(crate) shared: Option<&'a Secret>,
    /// The protocol of the proposal: ESP is 3 (RFC 2407 section 4.4.1).
    pub(crate) protocol: u8,
    /// The SPI of this direction: the two SAs of a pair have different keys.
    pub(crate) spi: &'a [u8],
    /// The nonces of the Quick Mode.
    pub(crate) nonces: Nonces<'a>,
}

/// Whether a hash that came is the one it must be, in constant time.
pub(crate) fn is_hash(expected: &Secret, received: &[u8]) -> bool {
    crypto::constant_time_eq(expected.as_bytes(), received)
}

/// The key of the cipher: SKEYID_e, or where that is too short the first octets of
/// K1 = prf(SKEYID_e, 0), K2 = prf(SKEYID_e, K1), ... (RFC 2409 appendix B).
fn encryption_key(suite: Suite, skeyid_e: &Secret) -> Secret {
    let length = suite.encryption.key_length();
    match skeyid_e.as_bytes().get(..length) {
        Some(key) => Secret::from_slice(key),
        None => expanded(suite.hash, skeyid_e, &[0], &[], length),
    }
}

/// The first `length` octets of K1 | K2 | ..., where K1 = prf(key, first | seed) and each other
/// K = prf(key, the one before | seed).
fn expanded(prf: Prf, key: &Secret, first: &[u8], seed: &[&[u8]], length: usize) -> Secret {
    let mut blocks: Vec<Secret> = Vec::with_capacity(length.div_ceil(prf.output_length()));
    while blocks.len() * prf.output_length() < length {
        let previous = blocks.last().map_or(first, Secret::as_bytes);
        let parts = [&[previous], seed].concat();
        blocks.push(prf.compute(key.as_bytes(), &parts));
    }
    let mut rest = length;
    let parts: Vec<&[u8]> = blocks
        .iter()
        .map(|block| {
            let taken = rest.min(block.len());
            rest -= taken;
            block.as_bytes().get(..taken).unwrap_or_default()
        })
        .collect();
    Secret::joined(&parts)
}

#[cfg(test)]
mod tests;
