//! What is in a file, for people and for scripts, and what is wrong with it.

mod fields;
mod notes;

use crate::error::Error;
use crate::files::{self, Text};
use crate::{crl, paper, time};
use fields::{Fields, key_algorithm};
use notes::{Life, Notes};
use rcgen::KeyPair;
use rustls_pki_types::pem::{PemObject, SectionKind};
use std::path::Path;
use std::time::SystemTime;
use x509_parser::certificate::X509Certificate;
use x509_parser::prelude::FromDer;
use x509_parser::revocation_list::CertificateRevocationList;
use x509_parser::x509::SubjectPublicKeyInfo;
use zeroize::Zeroizing;

pub use fields::Value;

/// Most things that are shown of one file.
const MAX_ITEMS: usize = 100;
/// Most numbers that are shown of one list.
const MAX_NUMBERS: usize = 1000;

/// A certificate, a list or a key.
#[derive(Debug)]
pub struct Shown {
    /// What it is.
    pub kind: &'static str,
    /// Names and what they have, in the order in which people want them.
    pub fields: Vec<(&'static str, Value)>,
    /// What is wrong or soon will be, each with its remedy.
    pub notes: Vec<String>,
}

/// Everything in the file, in PEM or DER form. `now` is the time of day.
///
/// # Errors
/// [`Error::File`], [`Error::Unreadable`].
pub fn show(path: &Path, now: SystemTime) -> Result<Vec<Shown>, Error> {
    let text = files::read(path)?.ok_or_else(|| paper::missing(path))?;
    let now = time::now(now)?;
    let sections = <(SectionKind, Vec<u8>)>::pem_slice_iter(&text.bytes);
    let sections = sections.filter_map(Result::ok).take(MAX_ITEMS);
    let mut found = Vec::new();
    for (kind, der) in sections {
        let der = Zeroizing::new(der);
        found.extend(match kind {
            SectionKind::Certificate => certificate(&der, now),
            SectionKind::Crl => list(&der, now),
            SectionKind::PrivateKey | SectionKind::RsaPrivateKey | SectionKind::EcPrivateKey => {
                private_key(&der, &text)
            }
            _ => None,
        });
    }
    if found.is_empty() {
        found.extend(certificate(&text.bytes, now).or_else(|| list(&text.bytes, now)));
    }
    match found.is_empty() {
        false => Ok(found),
        true => Err(Error::Unreadable {
            path: path.to_owned(),
            wanted: "certificate, revocation list or private key in PEM or DER form (for PKCS#12: \
                     `openssl pkcs12 -info -in FILE`)",
        }),
    }
}

fn certificate(der: &[u8], now: u64) -> Option<Shown> {
    let (rest, parsed) = x509_parser::parse_x509_certificate(der).ok()?;
    rest.is_empty().then(|| certificate_shown(&parsed, now))
}

fn certificate_shown(certificate: &X509Certificate<'_>, now: u64) -> Shown {
    let (from, until) = paper::validity(certificate);
    let constraints = certificate.basic_constraints().ok().flatten();
    let authority = constraints.is_some_and(|constraints| constraints.value.ca);
    let mut fields = Fields::default();
    fields.one("subject", paper::distinguished_name(certificate.subject()));
    fields.one("issuer", paper::distinguished_name(certificate.issuer()));
    let identities = fields::identities(certificate);
    if !authority || !identities.is_empty() {
        fields.many("identities", identities.clone());
    }
    let key = certificate.public_key();
    fields.one("key", key_algorithm(key));
    fields.one(
        "serial",
        crate::Serial::new(certificate.raw_serial()).to_string(),
    );
    fields.life(from, until, now);
    fields.many("usage", fields::usages(certificate));
    let responders = fields::responders(certificate);
    if !responders.is_empty() {
        fields.many("ocsp", responders);
    }
    let mut notes = Notes::default();
    let life = Life { from, until, now };
    match authority {
        true => notes.life(
            life,
            "make a new authority in another folder and give it to all",
        ),
        false => notes.life(life, "make a new one and put it in this one's place"),
    }
    notes.strength(certificate);
    if !authority {
        notes.end_entity(certificate, &identities);
    }
    Shown {
        kind: if authority {
            "authority"
        } else {
            "certificate"
        },
        fields: fields.0,
        notes: notes.0,
    }
}

fn list(der: &[u8], now: u64) -> Option<Shown> {
    let (rest, list) = x509_parser::parse_x509_crl(der).ok()?;
    rest.is_empty().then(|| list_shown(&list, now))
}

fn list_shown(list: &CertificateRevocationList<'_>, now: u64) -> Shown {
    let from = time::seconds(list.last_update().timestamp());
    let next = list.next_update();
    let until = next.map_or(u64::MAX, |next| time::seconds(next.timestamp()));
    let mut fields = Fields::default();
    fields.one("issuer", paper::distinguished_name(list.issuer()));
    fields.one("number", crl::number(list).to_string());
    fields.life(from, until, now);
    let entries = list.iter_revoked_certificates().take(MAX_NUMBERS);
    let numbers = entries.map(|entry| crate::Serial::new(entry.raw_serial()).to_string());
    fields.many("revoked", numbers.collect());
    let mut notes = Notes::default();
    notes.life(
        Life { from, until, now },
        "run `holdfast pki crl --ca DIR` and give the new list to all, who may refuse every \
         certificate otherwise",
    );
    Shown {
        kind: "revocation list",
        fields: fields.0,
        notes: notes.0,
    }
}

fn private_key(der: &[u8], text: &Text) -> Option<Shown> {
    let pair = Zeroizing::new(KeyPair::try_from(der).ok()?);
    let mut fields = Fields::default();
    let public = rcgen::PublicKeyData::subject_public_key_info(&*pair);
    let (_, public) = SubjectPublicKeyInfo::from_der(&public).ok()?;
    fields.one("key", key_algorithm(&public));
    fields.one("permissions", format!("{:04o}", text.mode));
    let mut notes = Notes::default();
    if text.is_open() {
        let path = text.path.display();
        notes.0.push(format!(
            "others can read it: run `chmod 600 {path}`, and make a new one if somebody may have"
        ));
    }
    Some(Shown {
        kind: "private key",
        fields: fields.0,
        notes: notes.0,
    })
}
