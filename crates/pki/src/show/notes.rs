//! What is wrong with a certificate or a list, or soon will be, and what to do about it.

use crate::error::moment;
use crate::limits::SOON;
use crate::show::fields::IPSEC_IKE;
use x509_parser::certificate::X509Certificate;
use x509_parser::public_key::PublicKey;

/// The smallest RSA key that is worth its name (NIST SP 800-131A).
const RSA_BITS: usize = 2048;

/// Signatures over hashes for which collisions can be made.
const BROKEN: [(&str, &str); 4] = [
    ("1.2.840.113549.1.1.2", "MD2"),
    ("1.2.840.113549.1.1.4", "MD5"),
    ("1.2.840.113549.1.1.5", "SHA-1"),
    ("1.2.840.10045.4.1", "SHA-1"),
];

/// From when to when something is valid, and the time of day, in seconds since 1970.
#[derive(Clone, Copy)]
pub(crate) struct Life {
    pub(crate) from: u64,
    pub(crate) until: u64,
    pub(crate) now: u64,
}

/// Sentences.
#[derive(Default)]
pub(crate) struct Notes(pub(crate) Vec<String>);

impl Notes {
    fn add(&mut self, text: impl Into<String>) {
        self.0.push(text.into());
    }

    /// Whether it is valid now, and for long enough: a month, or a third of a short life.
    pub(crate) fn life(&mut self, life: Life, remedy: &str) {
        let Life { from, until, now } = life;
        let soon = SOON.as_secs().min(until.saturating_sub(from) / 3);
        if until < now {
            self.add(format!(
                "it is not valid any more, since {}: {remedy}",
                moment(until)
            ));
        } else if now < from {
            let from = moment(from);
            self.add(format!(
                "it is valid from {from} on only: correct this machine's clock"
            ));
        } else if until - now < soon {
            self.add(format!(
                "its time is soon over: {remedy}, before {}",
                moment(until)
            ));
        }
    }

    /// Keys and hashes that can be broken.
    pub(crate) fn strength(&mut self, certificate: &X509Certificate<'_>) {
        if let Ok(PublicKey::RSA(key)) = certificate.public_key().parsed()
            && key.key_size() < RSA_BITS
        {
            self.add(format!(
                "its RSA key has {} bits, which is too short: make one with {RSA_BITS} or more, \
                 or use ECDSA",
                key.key_size()
            ));
        }
        let signature = certificate.signature_algorithm.algorithm.to_id_string();
        if let Some((_, hash)) = BROKEN.iter().find(|(known, _)| *known == signature) {
            self.add(format!(
                "it is signed over {hash}, which can be forged: have it signed anew with SHA-256"
            ));
        }
    }

    /// What IKE asks of the certificate of a peer (RFC 4945 section 5.1.3).
    pub(crate) fn end_entity(&mut self, certificate: &X509Certificate<'_>, identities: &[String]) {
        if identities.is_empty() {
            self.add(
                "it names no identity in subjectAltName, so that peers can know it by its subject \
                 only: make one with --id",
            );
        }
        let usage = certificate.key_usage().ok().flatten();
        if usage
            .is_some_and(|usage| !usage.value.digital_signature() && !usage.value.non_repudiation())
        {
            self.add(
                "its keyUsage permits no signature, so that IKE must refuse it: make one with \
                 digitalSignature",
            );
        }
        let extended = certificate.extended_key_usage().ok().flatten();
        if extended.is_some_and(|extended| {
            let ike = extended.value.other.iter();
            !extended.value.any && !ike.map(ToString::to_string).any(|other| other == IPSEC_IKE)
        }) {
            self.add(
                "its extendedKeyUsage does not name ipsecIKE, so that peers may refuse it: leave \
                 the extension out or add ipsecIKE",
            );
        }
    }
}
