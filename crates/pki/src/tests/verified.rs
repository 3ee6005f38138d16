//! Others believe what is made: rustls' verifier, OpenSSL, strongSwan.

#![allow(clippy::disallowed_methods)] // strongSwan's verifier has only the real time.

use crate::tests::{
    DAY, Folder, PASSWORD, authority, identities, make, moment_of_tests, request, run, text,
};
use crate::{Authority, Bundle, KeyKind, NewAuthority, Request, Usage, limits};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, anchor_from_trusted_cert,
};

/// IKE's rule (RFC 4945 section 5.1.3.12): no extended key usage, or ipsecIKE among them.
struct Ike;

impl ExtendedKeyUsageValidator for Ike {
    fn validate(&self, found: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let (mut count, mut named) = (0, false);
        for purpose in found {
            count += 1;
            named |= purpose?.to_decoded_oid() == [1, 3, 6, 1, 5, 5, 7, 3, 17];
        }
        match count == 0 || named {
            true => Ok(()),
            false => Err(webpki::Error::UnsupportedCriticalExtension),
        }
    }
}

/// Whether rustls' verifier accepts the certificate at this time.
fn webpki_accepts(ca: &Path, certificate: &Path, now: SystemTime) -> Result<(), webpki::Error> {
    let authority = CertificateDer::from_pem_file(ca.join("ca.pem")).unwrap();
    let anchor = anchor_from_trusted_cert(&authority)?;
    let der = CertificateDer::from_pem_file(certificate).unwrap();
    let end = EndEntityCert::try_from(&der)?;
    let now = UnixTime::since_unix_epoch(now.duration_since(UNIX_EPOCH).unwrap());
    end.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[anchor],
        &[],
        now,
        Ike,
        None,
        None,
    )?;
    let name = ServerName::try_from("mail.example.org").unwrap();
    end.verify_is_valid_for_subject_name(&name)?;
    let address = ServerName::from(std::net::IpAddr::from([10, 0, 0, 100]));
    end.verify_is_valid_for_subject_name(&address)
}

#[test]
fn every_kind_of_key_is_believed_by_rustls_and_openssl() {
    let folder = Folder::new();
    let ids = identities();
    let now = moment_of_tests() + DAY;
    let at = now
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        .to_string();
    for kind in KeyKind::ALL {
        let ca = folder.path(kind.name());
        let authority = authority(&ca, kind);
        let asked = Request {
            key: kind,
            usages: &[Usage::ServerAuth],
            ..request("mail", &ids)
        };
        let made = make(&authority, &ca, &asked, None).unwrap();
        webpki_accepts(&ca, &made.certificate, now).unwrap_or_else(|why| panic!("{kind}: {why}"));
        let late = now + limits::LIFETIME;
        let error = webpki_accepts(&ca, &made.certificate, late).unwrap_err();
        assert!(
            matches!(error, webpki::Error::CertExpired { .. }),
            "{error}"
        );
        let ca_file = ca.join("ca.pem");
        let arguments = ["verify", "-x509_strict", "-attime", &at, "-CAfile"];
        let files = [text(&ca_file), text(&made.certificate)];
        let arguments: Vec<&str> = arguments.into_iter().chain(files).collect();
        match run("openssl", &arguments) {
            Some(said) => said.unwrap_or_else(|why| panic!("{kind}: {why}")),
            None => continue,
        };
        let key = made.key;
        let public = |what: &[&str]| run("openssl", what).unwrap().unwrap();
        assert_eq!(
            public(&["pkey", "-pubout", "-in", text(&key)]),
            public(&["x509", "-pubkey", "-noout", "-in", text(&made.certificate)]),
        );
    }
    let (ours, theirs) = (folder.path("ecdsa-p256"), folder.path("ed25519"));
    let error = webpki_accepts(&theirs, &ours.join("mail.pem"), now).unwrap_err();
    assert!(
        matches!(
            error,
            webpki::Error::InvalidSignatureForPublicKey
                | webpki::Error::UnsupportedSignatureAlgorithmForPublicKeyContext(_)
        ),
        "{error:?}"
    );
}

#[test]
fn certificates_have_what_ike_asks_for() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    let authority = authority(&ca, KeyKind::EcdsaP256);
    let ids = identities();
    let made = make(&authority, &ca, &request("mail", &ids), None).unwrap();
    let other = make(&authority, &ca, &request("other", &ids), None).unwrap();
    let Some(shown) = run(
        "openssl",
        &["x509", "-text", "-noout", "-in", text(&made.certificate)],
    ) else {
        return;
    };
    let shown = shown.unwrap();
    for wanted in [
        "Issuer: CN = Mail CA",
        "Subject: CN = mail",
        "DNS:mail.example.org, IP Address:10.0.0.100, IP Address:2001:DB8:0:0:0:0:0:100, \
         email:post@example.org",
        "Key Usage: critical\n                Digital Signature\n",
        "CA:FALSE",
        "Authority Key Identifier",
        "Subject Key Identifier",
    ] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
    assert!(!shown.contains("Extended Key Usage"), "{shown}");
    let serial = |path: &Path| run("openssl", &["x509", "-serial", "-noout", "-in", text(path)]);
    let (a, b) = (serial(&made.certificate), serial(&other.certificate));
    assert_ne!(a, b, "numbers are random");
    assert_eq!(a.unwrap().unwrap().trim().len(), "serial=".len() + 32);
    let ca_file = ca.join("ca.pem");
    let shown = run(
        "openssl",
        &["x509", "-text", "-noout", "-in", text(&ca_file)],
    );
    let shown = shown.unwrap().unwrap();
    for wanted in ["CA:TRUE, pathlen:0", "Certificate Sign, CRL Sign"] {
        assert!(shown.contains(wanted), "{wanted}\n{shown}");
    }
}

#[test]
fn openssl_reads_both_kinds_of_pkcs12() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    let authority = authority(&ca, KeyKind::EcdsaP256);
    let password = folder.write("password", &format!("{PASSWORD}\n"), 0o600);
    let wrong = folder.write("wrong", "another\n", 0o600);
    for (name, key, legacy) in [
        ("new", KeyKind::EcdsaP256, false),
        ("old", KeyKind::Rsa2048, true),
    ] {
        let bundle = Bundle {
            password_file: &password,
            legacy,
        };
        let ids = identities();
        let asked = Request {
            key,
            ..request(name, &ids)
        };
        let made = make(&authority, &ca, &asked, Some(&bundle)).unwrap();
        let path = made.bundle.unwrap();
        let read = |password: &Path| {
            let pass = format!("file:{}", text(password));
            let mut arguments = vec!["pkcs12", "-info", "-nodes", "-in", text(&path)];
            arguments.extend(["-passin", &pass]);
            arguments.extend(legacy.then_some("-legacy"));
            run("openssl", &arguments)
        };
        let Some(shown) = read(&password) else { return };
        let shown = shown.unwrap();
        let scheme = if legacy {
            "pbeWithSHA1And3-KeyTripleDES-CBC"
        } else {
            "AES-256-CBC"
        };
        assert!(shown.contains(scheme), "{shown}");
        // Key and both certificates are what the files have.
        for file in [&made.key, &made.certificate, &ca.join("ca.pem")] {
            let pem = std::fs::read_to_string(file).unwrap();
            let body = pem.lines().nth(1).unwrap();
            assert!(shown.contains(body), "{}\n{shown}", file.display());
        }
        assert!(read(&wrong).unwrap().is_err());
    }
}

#[test]
fn an_authority_made_by_openssl_signs_too() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    std::fs::create_dir(&ca).unwrap();
    let (key, certificate) = (ca.join("ca.key"), ca.join("ca.pem"));
    let made = run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:2048",
            "-nodes",
            "-days",
            "3650",
            "-subj",
            "/C=DE/O=Example, Inc./CN=Old CA",
            "-keyout",
            text(&key),
            "-out",
            text(&certificate),
        ],
    );
    let Some(made) = made else { return };
    made.unwrap();
    let authority = Authority::load(&ca).unwrap().unwrap();
    let ids = identities();
    // Its validity begins now.
    let now = SystemTime::now() + Duration::from_secs(2);
    let made = authority
        .make_certificate(&ca, &request("mail", &ids), None, now)
        .unwrap();
    webpki_accepts(&ca, &made.certificate, now).unwrap();
    let arguments = [
        "verify",
        "-CAfile",
        text(&certificate),
        text(&made.certificate),
    ];
    run("openssl", &arguments).unwrap().unwrap();
}

#[test]
fn strongswan_believes_it_and_the_list_that_takes_it_back() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    let new = NewAuthority {
        name: "Mail CA",
        key: KeyKind::EcdsaP256,
        lifetime: limits::AUTHORITY_LIFETIME,
    };
    let now = SystemTime::now();
    let authority = Authority::make(&ca, &new, now).unwrap();
    let ids = identities();
    let made = authority
        .make_certificate(&ca, &request("mail", &ids), None, now)
        .unwrap();
    let ca_file = ca.join("ca.pem");
    let verify = |more: &[&str]| {
        let mut arguments = vec!["--verify", "--in", text(&made.certificate)];
        arguments.extend(["--cacert", text(&ca_file)]);
        arguments.extend(more);
        run("pki", &arguments)
    };
    let Some(said) = verify(&[]) else { return };
    said.unwrap();
    let reason = crate::Reason::KeyCompromise;
    let list = authority
        .revoke(&ca, &[], reason, limits::CRL_LIFETIME, now)
        .unwrap();
    verify(&["--online", "--crl", text(&list.path)])
        .unwrap()
        .unwrap();
    let serial = authority.serial_of(&made.certificate).unwrap();
    authority
        .revoke(&ca, &[serial], reason, limits::CRL_LIFETIME, now)
        .unwrap();
    let said = verify(&["--online", "--crl", text(&list.path)])
        .unwrap()
        .unwrap_err();
    assert!(said.contains("revoked"), "{said}");
}
