//! Our own certificate and key, the peer's authorities and its public keys.

use std::sync::Arc;

use crypto::PrivateKey;
use policy::auth::{Credential, LocalAuth, RemoteAuth};
use policy::{Identity, Secret};
use x509::{Authorities, Certificate, Revocation, Usage};

use crate::config::credentials::{files, online, watch};
use crate::config::diagnostic::{Problems, Span};
use crate::config::key::{Keys, Secrecy};
use crate::config::section::{Bad, Section, Value};
use crate::config::value;

/// Files of one list.
const MAX_FILES: usize = 64;
/// Public keys of one peer: the peer's signature is tried with each.
const MAX_KEYS: usize = 16;

/// Reads a file that a value names, and what is in it.
fn file<T>(
    value: &Value<'_>,
    keys: &mut Keys<'_>,
    secrecy: Secrecy,
    parse: impl FnOnce(Vec<u8>) -> Result<T, String>,
) -> Result<T, Bad> {
    let path = value::text(value)?;
    let shown = path.escape_debug();
    let octets = (keys.read_file)(path, secrecy).map_err(|reason| {
        let reason = format!("`{shown}` cannot be read: {reason}");
        Bad::new(reason, "name another file, or put it there")
    })?;
    parse(octets).map_err(|reason| {
        let remedy = "see `openssl x509`, `openssl pkey` and `openssl crl` for what is in it";
        Bad::new(format!("`{shown}` cannot be used: {reason}"), remedy)
    })
}

/// As [`file()`], for one file or a list of them.
fn all<T>(
    value: &Value<'_>,
    keys: &mut Keys<'_>,
    parse: fn(&[u8]) -> Result<Vec<T>, String>,
) -> Result<Vec<T>, Bad> {
    let mut found = Vec::new();
    for item in value::items(value, MAX_FILES)? {
        let one = file(item, keys, Secrecy::Public, |octets| parse(&octets));
        found.extend(one.map_err(|bad| bad.at(item.span()))?);
    }
    Ok(found)
}

/// Whether our RSA key signs with PKCS #1 v1.5.
fn pkcs1(section: &mut Section<'_>, problems: &mut Problems) -> bool {
    let words = [("pss", false), ("pkcs1", true)];
    let read = section.read(problems, "rsa_padding", |value| value::word(value, &words));
    read.unwrap_or(false)
}

fn private_key(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
) -> Option<PrivateKey> {
    section.require(problems, "private_key", "\"node.key\"", |value| {
        let parse = |octets| files::private_key(Secret::new(octets));
        file(value, keys, Secrecy::Secret, parse)
    })
}

/// We prove ourselves by certificate, as whom it is for.
pub(crate) fn own(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
    wanted: Identity,
) -> Option<(LocalAuth, Identity)> {
    let now = keys.now;
    let pkcs1 = pkcs1(section, problems);
    let (key, certificates) = match section.has("password_file") {
        true => in_pkcs12(section, problems, keys)?,
        false => {
            let key = private_key(section, problems, keys);
            let certificates = section.require(problems, "certificate", "\"node.crt\"", |value| {
                file(value, keys, Secrecy::Public, |octets| {
                    files::certificates(&octets)
                })
            });
            (key?, certificates?)
        }
    };
    let span = section.span_of("certificate");
    let own = Credential {
        key,
        certificates,
        pkcs1,
    };
    watch::own(&own, &span, now, problems);
    online::response(&own, section, problems, keys);
    let checked = check(&own).and_then(|first| called(first, wanted));
    match checked {
        Ok(identity) => Some((LocalAuth::Signature(Arc::new(own)), identity)),
        Err((message, remedy)) => {
            let label = format!("in `certificate` of {}", section.title);
            problems.error(span, message, label, remedy.to_owned());
            None
        }
    }
}

type Wrong = (String, &'static str);

/// Our certificate, if it belongs to our key.
fn check(own: &Credential) -> Result<&Certificate, Wrong> {
    let first = own.certificates.first().ok_or_else(|| {
        let message = "there is no certificate that belongs to the private key".to_owned();
        (
            message,
            "put it into the file, before those that lead to the authority",
        )
    })?;
    match first.key() {
        Ok(key) if key == own.key.public() => {}
        Ok(_) => {
            let message = format!("the first certificate, {first}, is not of the private key");
            return Err((message, "put our own certificate first, or name its key"));
        }
        Err(why) => {
            let message = format!("the certificate {first} cannot be used: {why}");
            return Err((message, "have one signed for a stronger key"));
        }
    }
    match first.signs() && !first.is_authority() {
        true => Ok(first),
        false => {
            let message = format!("the certificate {first} is an authority's, or may not sign");
            Err((
                message,
                "have one signed for this host, with keyUsage digitalSignature",
            ))
        }
    }
}

/// Who we are: whom the policy wants, if the certificate is for it; or else its subject.
fn called(certificate: &Certificate, wanted: Identity) -> Result<Identity, Wrong> {
    let subject = || Identity::Dn(certificate.subject().clone());
    let own = certificate.own_identity();
    let own = own.map(|(kind, data)| Identity::from_wire(kind, &data));
    match wanted {
        Identity::Any => own.ok_or_else(|| {
            let message = format!("the certificate {certificate} is for nobody");
            (message, "have one signed with a subject")
        }),
        // The octets of the certificate, and its order.
        Identity::Dn(_) if wanted.accepts(&subject()) => Ok(subject()),
        named => {
            let (kind, data) = named.to_wire(std::net::Ipv4Addr::UNSPECIFIED.into());
            let checked = certificate.check_identity(kind, &data, &named.to_string());
            let wrong = |why: x509::Refusal| (why.to_string(), "correct `local_id`");
            checked.map(|()| named).map_err(wrong)
        }
    }
}

fn in_pkcs12(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
) -> Option<(PrivateKey, Vec<Certificate>)> {
    let password = section.read(problems, "password_file", |value| {
        file(value, keys, Secrecy::Secret, |octets| {
            Ok(Secret::new(octets))
        })
    })?;
    if section.take("private_key").is_some() {
        let message = format!("{} has two private keys", section.title);
        let remedy = "with `password_file` the key is in the PKCS #12 file: remove `private_key`";
        let label = "another is in `certificate`".to_owned();
        problems.error(
            section.span_of("private_key"),
            message,
            label,
            remedy.to_owned(),
        );
    }
    section.require(problems, "certificate", "\"node.p12\"", |value| {
        let parse = |octets| files::pkcs12(&Secret::new(octets), &password);
        file(value, keys, Secrecy::Secret, parse)
    })
}

/// We prove ourselves by a raw public key.
pub(crate) fn own_key(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
    wanted: Identity,
) -> Option<(LocalAuth, Identity)> {
    let pkcs1 = pkcs1(section, problems);
    let own = Credential {
        key: private_key(section, problems, keys)?,
        certificates: Vec::new(),
        pkcs1,
    };
    Some((LocalAuth::Signature(Arc::new(own)), wanted))
}

/// The peer proves itself by a certificate of these authorities.
pub(crate) fn authorities(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
) -> Option<RemoteAuth> {
    let now = keys.now;
    let found = section.require(problems, "authorities", "\"ca.crt\"", |value| {
        all(value, keys, files::certificates)
    });
    let lists = section.read(problems, "crls", |value| {
        all(value, keys, files::revocations)
    });
    let words = [
        ("strict", Revocation::Strict),
        ("relaxed", Revocation::Relaxed),
    ];
    let revocation = section.read(problems, "revocation", |value| value::word(value, &words));
    let revocation = revocation.unwrap_or(Revocation::Strict);
    let usage = match section.read(problems, "tls_certificates", value::boolean) {
        Some(true) => Usage::IpsecOrTls,
        _ => Usage::Ipsec,
    };
    let online = online::read(section, problems);
    let spans: [Span; 2] = ["authorities", "crls"].map(|key| section.span_of(key));
    match Authorities::new(found?, lists.unwrap_or_default(), usage, revocation) {
        Ok(trusted) => {
            let [authorities, lists] = &spans;
            watch::trusted(&trusted, revocation, (authorities, lists), now, problems);
            let trusted = match online {
                Some(online) => trusted.with_online(online),
                None => trusted,
            };
            Some(RemoteAuth::Certificate(Arc::new(trusted)))
        }
        Err(why) => {
            let [span, _] = spans;
            let label = format!("in `authorities` of {}", section.title);
            let remedy = "name the certificate of another authority".to_owned();
            problems.error(span, why.to_string(), label, remedy);
            None
        }
    }
}

/// The peer proves itself by one of these keys.
pub(crate) fn pinned(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
) -> Option<RemoteAuth> {
    let found = section.require(problems, "public_key", "\"peer.pub\"", |value| {
        let found = all(value, keys, files::public_keys)?;
        match found.len() {
            1..=MAX_KEYS => Ok(found),
            count => {
                let reason = format!("there are {count} public keys");
                Err(Bad::new(reason, format!("name 1 to {MAX_KEYS}")))
            }
        }
    });
    Some(RemoteAuth::PublicKey(Arc::new(found?)))
}
