//! What people read about a file.

use crate::tests::{DAY, Folder, authority, identities, make, moment_of_tests, request, run, text};
use crate::{Error, KeyKind, Shown, Usage, Value, limits, show};
use std::path::Path;
use std::time::SystemTime;

fn one(path: &Path, now: SystemTime) -> Shown {
    let mut found = show(path, now).unwrap();
    assert_eq!(found.len(), 1);
    found.remove(0)
}

fn field<'a>(shown: &'a Shown, name: &str) -> &'a Value {
    let found = shown.fields.iter().find(|(known, _)| *known == name);
    &found.unwrap_or_else(|| panic!("{name}: {shown:?}")).1
}

fn is(shown: &Shown, name: &str, value: &str) {
    assert_eq!(*field(shown, name), Value::One(value.to_owned()));
}

#[test]
fn certificates_lists_and_keys_are_shown() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    let now = moment_of_tests();
    let authority = authority(&ca, KeyKind::Rsa3072);
    let ids = identities();
    let asked = crate::Request {
        usages: &[Usage::IpsecIke],
        responder: Some(&"http://ocsp.example.org:8080/a".parse().unwrap()),
        ..request("mail", &ids)
    };
    let made = make(&authority, &ca, &asked, None).unwrap();
    let shown = one(&made.certificate, now);
    assert_eq!(
        (shown.kind, shown.notes.len()),
        ("certificate", 0),
        "{shown:?}"
    );
    is(&shown, "subject", "CN=mail");
    is(&shown, "issuer", "CN=Mail CA");
    is(&shown, "key", "ECDSA on P-256");
    is(&shown, "until", "2022-09-13T12:26:40Z");
    is(&shown, "left", "730 days");
    let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
    assert_eq!(*field(&shown, "identities"), Value::Many(ids));
    let usage = ["Digital Signature", "ipsecIKE"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(*field(&shown, "usage"), Value::Many(usage));
    let ocsp = vec!["http://ocsp.example.org:8080/a".to_owned()];
    assert_eq!(*field(&shown, "ocsp"), Value::Many(ocsp));
    let serial = authority.serial_of(&made.certificate).unwrap();
    is(&shown, "serial", &serial.to_string());
    let shown = one(&ca.join("ca.pem"), now);
    assert_eq!(
        (shown.kind, shown.notes.len()),
        ("authority", 0),
        "{shown:?}"
    );
    is(&shown, "key", "RSA with 3072 bits");
    let reason = crate::Reason::Superseded;
    let list = authority
        .revoke(
            &ca,
            std::slice::from_ref(&serial),
            reason,
            limits::CRL_LIFETIME,
            now,
        )
        .unwrap();
    let shown = one(&list.path, now);
    assert_eq!(
        (shown.kind, shown.notes.len()),
        ("revocation list", 0),
        "{shown:?}"
    );
    assert_eq!(
        *field(&shown, "revoked"),
        Value::Many(vec![serial.to_string()])
    );
    let shown = one(&made.key, now);
    assert_eq!(
        (shown.kind, shown.notes.len()),
        ("private key", 0),
        "{shown:?}"
    );
    is(&shown, "key", "ECDSA on P-256");
    // All of them in one file, which others can read.
    let parts = [&made.certificate, &ca.join("ca.pem"), &list.path, &made.key];
    let all = parts
        .map(|path| std::fs::read_to_string(path).unwrap())
        .concat();
    let shown = show(&folder.write("all.pem", &all, 0o644), now).unwrap();
    assert_eq!(shown.len(), 4);
    assert!(shown[3].notes[0].contains("chmod 600"), "{:?}", shown[3]);
    let secret = std::fs::read_to_string(&made.key).unwrap();
    let body = secret.lines().nth(1).unwrap();
    assert!(!format!("{shown:?}").contains(body));
}

#[test]
fn what_is_soon_over_says_so_with_a_remedy() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    let authority = authority(&ca, KeyKind::EcdsaP256);
    let ids = identities();
    let now = moment_of_tests();
    let made = make(&authority, &ca, &request("mail", &ids), None).unwrap();
    let list = authority
        .revoke(
            &ca,
            &[],
            crate::Reason::Unspecified,
            limits::CRL_LIFETIME,
            now,
        )
        .unwrap();
    let note = |path: &Path, now: SystemTime| one(path, now).notes.concat();
    for (path, days, words) in [
        (&made.certificate, 699, ""),
        (&made.certificate, 701, "soon over: make a new one"),
        (
            &made.certificate,
            731,
            "not valid any more, since 2022-09-13T12:26:40Z",
        ),
        (&list.path, 19, ""),
        (&list.path, 21, "`holdfast pki crl --ca DIR`"),
        (&list.path, 31, "not valid any more"),
        (&ca.join("ca.pem"), 3623, "soon over: make a new authority"),
    ] {
        let said = note(path, now + DAY * days);
        assert_eq!(said.is_empty(), words.is_empty(), "{days}: {said}");
        assert!(said.contains(words), "{days}: {said}");
    }
    let said = note(&made.certificate, now - DAY * 2);
    assert!(said.contains("correct this machine's clock"), "{said}");
}

#[test]
fn certificates_that_ike_may_refuse_are_told_why() {
    let folder = Folder::new();
    let (key, path) = (folder.path("key"), folder.path("bad.pem"));
    let made = run(
        "openssl",
        &[
            "req",
            "-x509",
            "-newkey",
            "rsa:1024",
            "-nodes",
            "-sha1",
            "-subj",
            "/CN=\x1b[2Jold",
            "-addext",
            "basicConstraints=critical,CA:FALSE",
            "-addext",
            "keyUsage=keyEncipherment",
            "-addext",
            "extendedKeyUsage=serverAuth",
            "-utf8",
            "-keyout",
            text(&key),
            "-out",
            text(&path),
            "-days",
            "20000",
        ],
    );
    let Some(made) = made else { return };
    made.unwrap();
    let shown = one(&path, moment_of_tests() + limits::AUTHORITY_LIFETIME);
    for (note, words) in shown.notes.iter().zip([
        "1024 bits",
        "SHA-1",
        "no identity",
        "permits no signature",
        "ipsecIKE",
    ]) {
        assert!(note.contains(words), "{note}");
    }
    assert_eq!(shown.notes.len(), 5, "{:?}", shown.notes);
    // A terminal is not moved by what a stranger wrote.
    assert!(!format!("{:?}", field(&shown, "subject")).contains('\x1b'));
    // The same in DER form.
    let der = folder.path("bad.der");
    run(
        "openssl",
        &[
            "x509",
            "-in",
            text(&path),
            "-outform",
            "DER",
            "-out",
            text(&der),
        ],
    );
    assert_eq!(
        one(&der, moment_of_tests() + limits::AUTHORITY_LIFETIME).notes,
        shown.notes
    );
}

#[test]
fn other_files_are_refused() {
    let folder = Folder::new();
    for content in [
        "",
        "anything",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    ] {
        let path = folder.write("file", content, 0o600);
        let error = show(&path, moment_of_tests()).unwrap_err();
        assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    }
    assert!(matches!(
        show(&folder.path("none"), moment_of_tests()),
        Err(Error::File(_))
    ));
}
