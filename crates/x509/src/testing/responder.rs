//! OCSP responses for tests, made octet by octet (RFC 6960 section 4.2.1).

use crypto::hash::{sha1, sha256};
use rcgen::{KeyPair, PublicKeyData, SigningKey};

/// One element of DER.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let body = parts.concat();
    let length = u16::try_from(body.len()).unwrap();
    let [high, low] = length.to_be_bytes();
    let mut der = match length {
        0..0x80 => vec![tag, low],
        0x80..0x100 => vec![tag, 0x81, low],
        _ => vec![tag, 0x82, high, low],
    };
    der.extend(body);
    der
}

fn extension(oid: &[u8], critical: bool, value: &[u8]) -> Vec<u8> {
    let critical: &[u8] = if critical { &[1, 1, 0xff] } else { &[] };
    tlv(0x30, &[&tlv(6, &[oid]), critical, &tlv(4, &[value])])
}

/// What a responder says, and how.
#[derive(Clone)]
pub(crate) struct Say<'a> {
    /// The issuer's name, in DER, and its key.
    pub(crate) issuer: (&'a [u8], &'a KeyPair),
    /// Of the certificate.
    pub(crate) serial: &'a [u8],
    /// The certificate is named by hashes of this kind, else of SHA-1.
    pub(crate) sha256: bool,
    pub(crate) status: Vec<u8>,
    pub(crate) this: &'a str,
    pub(crate) next: Option<&'a str>,
    pub(crate) nonce: Option<&'a [u8]>,
    /// There is an extension that nobody knows and nobody may skip.
    pub(crate) critical: bool,
    /// The key that signs.
    pub(crate) signer: &'a KeyPair,
    /// The certificate of a responder, and its subject.
    pub(crate) certificate: Option<(&'a [u8], &'a [u8])>,
    /// The responder is named, else its key is.
    pub(crate) by_name: bool,
}

impl<'a> Say<'a> {
    /// The issuer itself says that a certificate is good, at this time.
    pub(crate) fn good(
        issuer: &'a [u8],
        serial: &'a [u8],
        signer: &'a KeyPair,
        this: &'a str,
    ) -> Self {
        Say {
            issuer: (issuer, signer),
            serial,
            sha256: false,
            status: tlv(0x80, &[]),
            this,
            next: None,
            nonce: None,
            critical: false,
            signer,
            certificate: None,
            by_name: true,
        }
    }

    /// That it was revoked.
    #[allow(dead_code)] // Not every test that has this file takes something back.
    pub(crate) fn revoked(self, at: &str) -> Self {
        let status = tlv(0xa1, &[&tlv(0x18, &[at.as_bytes()])]);
        Say { status, ..self }
    }

    fn id(&self) -> Vec<u8> {
        let (name, key) = (self.issuer.0, self.issuer.1.der_bytes());
        let (hash, name, key) = match self.sha256 {
            true => (
                tlv(
                    0x30,
                    &[&tlv(6, &[&[0x60, 0x86, 0x48, 1, 0x65, 3, 4, 2, 1]])],
                ),
                sha256(&[name]).to_vec(),
                sha256(&[key]).to_vec(),
            ),
            false => (
                tlv(0x30, &[&tlv(6, &[&[0x2b, 0x0e, 3, 2, 0x1a]]), &[5, 0]]),
                sha1(&[name]).to_vec(),
                sha1(&[key]).to_vec(),
            ),
        };
        let serial = tlv(2, &[self.serial]);
        tlv(0x30, &[&hash, &tlv(4, &[&name]), &tlv(4, &[&key]), &serial])
    }

    fn data(&self) -> Vec<u8> {
        let name = self.certificate.map_or(self.issuer.0, |(_, name)| name);
        let responder = match self.by_name {
            true => tlv(0xa1, &[name]),
            false => tlv(0xa2, &[&tlv(4, &[&sha1(&[self.signer.der_bytes()])])]),
        };
        let this = tlv(0x18, &[self.this.as_bytes()]);
        let next = self
            .next
            .map(|next| tlv(0xa0, &[&tlv(0x18, &[next.as_bytes()])]));
        let next = next.unwrap_or_default();
        let single = tlv(0x30, &[&self.id(), &self.status, &this, &next]);
        let nonce = self.nonce.map(|nonce| {
            let oid = [0x2b, 6, 1, 5, 5, 7, 0x30, 1, 2];
            extension(&oid, false, &tlv(4, &[nonce]))
        });
        let critical = self.critical.then(|| extension(&[0x2a, 3, 4], true, &[]));
        let extensions: Vec<Vec<u8>> = nonce.into_iter().chain(critical).collect();
        let extensions = match extensions.is_empty() {
            true => Vec::new(),
            false => tlv(0xa1, &[&tlv(0x30, &[&extensions.concat()])]),
        };
        let responses = tlv(0x30, &[&single]);
        tlv(0x30, &[&responder, &this, &responses, &extensions])
    }

    /// All of it, signed by ECDSA with SHA-256.
    pub(crate) fn response(&self) -> Vec<u8> {
        let data = self.data();
        let kind = tlv(6, &[&[0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
        let signature = self.signer.sign(&data).unwrap();
        let certs = self.certificate;
        let certs = certs.map(|(der, _)| tlv(0xa0, &[&tlv(0x30, &[der])]));
        let basic = tlv(
            0x30,
            &[
                &data,
                &tlv(0x30, &[&kind]),
                &tlv(3, &[&[0], &signature]),
                &certs.unwrap_or_default(),
            ],
        );
        let kind = tlv(6, &[&[0x2b, 6, 1, 5, 5, 7, 0x30, 1, 1]]);
        let bytes = tlv(0x30, &[&kind, &tlv(4, &[&basic])]);
        tlv(0x30, &[&[0x0a, 1, 0], &tlv(0xa0, &[&bytes])])
    }
}
