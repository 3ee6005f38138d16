//! Keying material: SKEYSEED, SK_* and KEYMAT (RFC 7296 sections 2.13, 2.14, 2.17 and 2.18).

use std::ops::Range;

use crypto::cipher::KeyError;
use crypto::{OpeningKey, Prf, SealingKey, Secret, prf_plus};
use policy::proposal::{EspSuite, IkeSuite};
use policy::sa::KeyMaterial;

use crate::output::IkeKeys;
use crate::record::codec::{Reader, Writer};

/// Where the epoch of an ownership stands in the number of a message: above 48 bits of count.
const EPOCH_SHIFT: u32 = 48;

/// What keeps the keys of a resumed IKE SA apart from all others.
const RESUMPTION: &[u8] = b"Resumption";

/// Both nonces of an exchange, its initiator's first.
#[derive(Clone, Copy)]
pub(crate) struct Nonces<'a> {
    pub(crate) initiator: &'a [u8],
    pub(crate) responder: &'a [u8],
}

/// Both SPIs of an IKE SA, its original initiator's first.
#[derive(Clone, Copy)]
pub(crate) struct Spis {
    pub(crate) initiator: u64,
    pub(crate) responder: u64,
}

/// SK_d, SK_ai, SK_ar, SK_ei, SK_er, SK_pi, SK_pr of one IKE SA, and how often they sealed.
///
/// The octets are kept and not the prepared keys: these would be ten times as large, and an IKE SA
/// has a message to seal once in minutes.
pub(crate) struct Keys {
    suite: IkeSuite,
    stream: Secret,
    sealed: u64,
}

impl Keys {
    /// The keys of an IKE SA that IKE_SA_INIT made (section 2.14).
    pub(crate) fn initial(
        suite: IkeSuite,
        shared: &Secret,
        nonces: Nonces<'_>,
        spis: Spis,
    ) -> Self {
        let key = [nonces.initiator, nonces.responder].concat();
        let skeyseed = suite.prf.compute(&key, &[shared.as_bytes()]);
        Keys::derive(suite, &skeyseed, nonces, spis)
    }

    /// The keys of the IKE SA that replaces this one (section 2.18), with the secrets of additional
    /// key exchanges (RFC 9370 section 2.2.4).
    pub(crate) fn rekeyed(
        &self,
        suite: IkeSuite,
        shared: &Secret,
        additional: &[Secret],
        nonces: Nonces<'_>,
        spis: Spis,
    ) -> Self {
        let mut parts = vec![shared.as_bytes(), nonces.initiator, nonces.responder];
        parts.extend(additional.iter().map(Secret::as_bytes));
        let skeyseed = self.suite.prf.compute(self.sk_d(), &parts);
        Keys::derive(suite, &skeyseed, nonces, spis)
    }

    /// The keys of the same IKE SA after an IKE_INTERMEDIATE exchange that agreed on another secret
    /// (RFC 9370 section 2.2.2).
    pub(crate) fn continued(&self, shared: &Secret, nonces: Nonces<'_>, spis: Spis) -> Self {
        self.rekeyed(self.suite, shared, &[], nonces, spis)
    }

    /// The keys of an IKE SA that resumes another, which had this SK_d (RFC 5723 section 5.1).
    pub(crate) fn resumed(suite: IkeSuite, sk_d: &Secret, nonces: Nonces<'_>, spis: Spis) -> Self {
        let parts = [RESUMPTION, nonces.initiator, nonces.responder];
        let skeyseed = suite.prf.compute(sk_d.as_bytes(), &parts);
        Keys::derive(suite, &skeyseed, nonces, spis)
    }

    /// These keys with a post-quantum pre-shared key in SK_d, SK_pi and SK_pr (RFC 8784 section 3).
    /// What seals messages stays, and its count goes on.
    pub(crate) fn mixed(&self, ppk: &Secret) -> Self {
        let prf = self.suite.prf;
        let mix = |part| {
            let mixed = prf_plus(prf, ppk.as_bytes(), &[self.get(part)], prf.output_length());
            mixed.unwrap_or_else(|_| Secret::empty())
        };
        let (d, pi, pr) = (mix(Part::D), mix(Part::Pi), mix(Part::Pr));
        let (start, end) = (d.len(), Keys::part(self.suite, Part::Er).end);
        let sealing = self.stream.as_bytes().get(start..end).unwrap_or_default();
        Keys {
            suite: self.suite,
            stream: Secret::joined(&[d.as_bytes(), sealing, pi.as_bytes(), pr.as_bytes()]),
            sealed: self.sealed,
        }
    }

    fn derive(suite: IkeSuite, skeyseed: &Secret, nonces: Nonces<'_>, spis: Spis) -> Self {
        let (spi_i, spi_r) = (spis.initiator.to_be_bytes(), spis.responder.to_be_bytes());
        let seed = [nonces.initiator, nonces.responder, &spi_i, &spi_r];
        let length = Keys::part(suite, Part::Pr).end;
        let stream = prf_plus(suite.prf, skeyseed.as_bytes(), &seed, length);
        // The longest stream is a twentieth of what the shortest PRF can give.
        let stream = stream.unwrap_or_else(|_| Secret::empty());
        Keys {
            suite,
            stream,
            sealed: 0,
        }
    }

    /// What was agreed.
    pub(crate) fn suite(&self) -> IkeSuite {
        self.suite
    }

    fn lengths(suite: IkeSuite) -> [usize; 7] {
        let prf = suite.prf.output_length();
        let integrity = suite
            .integrity
            .map_or(0, |integrity| integrity.key_length());
        let encryption = suite.encryption.key_length();
        [prf, integrity, integrity, encryption, encryption, prf, prf]
    }

    fn part(suite: IkeSuite, part: Part) -> Range<usize> {
        let lengths = Keys::lengths(suite);
        let index = part as usize;
        let start: usize = lengths[..index].iter().sum();
        start..start + lengths[index]
    }

    fn get(&self, part: Part) -> &[u8] {
        self.stream
            .as_bytes()
            .get(Keys::part(self.suite, part))
            .unwrap_or_default()
    }

    /// SK_d, from which children and successors get their keys.
    pub(crate) fn sk_d(&self) -> &[u8] {
        self.get(Part::D)
    }

    /// SK_pi or SK_pr, which AUTH is made with (section 2.15).
    pub(crate) fn sk_p(&self, of_initiator: bool) -> &[u8] {
        self.get(if of_initiator { Part::Pi } else { Part::Pr })
    }

    /// The key that protects what the original initiator, or responder, sends.
    pub(crate) fn sealing(&self, by_initiator: bool) -> Result<SealingKey, KeyError> {
        let (encryption, integrity) = self.direction(by_initiator);
        SealingKey::new(
            self.suite.encryption,
            self.suite.integrity,
            encryption,
            integrity,
        )
    }

    /// The key that opens what the original initiator, or responder, sent.
    pub(crate) fn opening(&self, by_initiator: bool) -> Result<OpeningKey, KeyError> {
        let (encryption, integrity) = self.direction(by_initiator);
        OpeningKey::new(
            self.suite.encryption,
            self.suite.integrity,
            encryption,
            integrity,
        )
    }

    fn direction(&self, by_initiator: bool) -> (&[u8], &[u8]) {
        if by_initiator {
            (self.get(Part::Ei), self.get(Part::Ai))
        } else {
            (self.get(Part::Er), self.get(Part::Ar))
        }
    }

    /// The number of the next message to seal, never the same twice: it makes the IV.
    pub(crate) fn next_number(&mut self) -> u64 {
        self.sealed = self.sealed.wrapping_add(1);
        self.sealed
    }

    /// Goes on with the keys of another member of the cluster: the epoch in the top 16 bits keeps
    /// the numbers of both apart, however many the other one has used since it was recorded.
    pub(crate) fn take_over(&mut self, epoch: u16) {
        let count = self.sealed & ((1 << EPOCH_SHIFT) - 1);
        self.sealed = u64::from(epoch) << EPOCH_SHIFT | count;
    }

    /// Writes the keys down for another member of the cluster.
    pub(crate) fn write(&self, to: &mut Writer) {
        to.ike_suite(self.suite);
        to.octets(self.stream.as_bytes());
        to.u64(self.sealed);
    }

    /// Reads what [`Keys::write`] wrote.
    pub(crate) fn read(from: &mut Reader<'_>) -> Option<Self> {
        let suite = from.ike_suite()?;
        let stream = Secret::from_slice(from.octets()?);
        let fits = stream.len() == Keys::part(suite, Part::Pr).end;
        let sealed = from.u64()?;
        fits.then_some(Keys {
            suite,
            stream,
            sealed,
        })
    }

    /// KEYMAT of a child: the keys of what the exchange's initiator sends, then of what its
    /// responder sends (section 2.17). `secrets` are those of the key exchanges of its own, the
    /// first and additional ones (RFC 9370 section 2.2.4).
    pub(crate) fn child(
        &self,
        suite: EspSuite,
        secrets: &[Secret],
        nonces: Nonces<'_>,
    ) -> (KeyMaterial, KeyMaterial) {
        let (first, additional) = match secrets {
            [] => (&[][..], secrets),
            [first, additional @ ..] => (first.as_bytes(), additional),
        };
        let mut seed = vec![first, nonces.initiator, nonces.responder];
        seed.extend(additional.iter().map(Secret::as_bytes));
        child_keys(self.suite.prf, self.sk_d(), suite, &seed)
    }

    /// A copy for a protocol analyser.
    pub(crate) fn export(&self, spis: Spis) -> IkeKeys {
        let copy = |part| Secret::from_slice(self.get(part));
        IkeKeys {
            initiator_spi: spis.initiator,
            responder_spi: spis.responder,
            suite: self.suite,
            sk_ei: copy(Part::Ei),
            sk_er: copy(Part::Er),
            sk_ai: copy(Part::Ai),
            sk_ar: copy(Part::Ar),
        }
    }
}

/// The pieces of the key stream, in their order.
#[derive(Clone, Copy)]
enum Part {
    D,
    Ai,
    Ar,
    Ei,
    Er,
    Pi,
    Pr,
}

fn child_keys(
    prf: Prf,
    sk_d: &[u8],
    suite: EspSuite,
    seed: &[&[u8]],
) -> (KeyMaterial, KeyMaterial) {
    let encryption = suite.encryption.key_length();
    let integrity = suite
        .integrity
        .map_or(0, |integrity| integrity.key_length());
    let length = 2 * (encryption + integrity);
    let stream = prf_plus(prf, sk_d, seed, length).unwrap_or_else(|_| Secret::empty());
    let mut offset = 0;
    let mut take = |length: usize| {
        let range = offset..offset + length;
        offset += length;
        Secret::from_slice(stream.as_bytes().get(range).unwrap_or_default())
    };
    let from_initiator = KeyMaterial {
        encryption: take(encryption),
        integrity: take(integrity),
    };
    let from_responder = KeyMaterial {
        encryption: take(encryption),
        integrity: take(integrity),
    };
    (from_initiator, from_responder)
}
