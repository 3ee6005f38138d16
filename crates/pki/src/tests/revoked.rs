//! Lists: what they name, that they forget nothing, and who believes them.

use crate::tests::{DAY, Folder, authority, identities, make, moment_of_tests, request, run, text};
use crate::{Authority, Error, KeyKind, MadeList, Reason, Serial, limits};
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

fn revoke(
    authority: &Authority,
    folder: &Path,
    serials: &[Serial],
    now: SystemTime,
) -> Result<MadeList, Error> {
    authority.revoke(
        folder,
        serials,
        Reason::KeyCompromise,
        limits::CRL_LIFETIME,
        now,
    )
}

#[test]
fn a_list_keeps_what_it_named_and_openssl_believes_it() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    let authority = authority(&ca, KeyKind::EcdsaP256);
    let ids = identities();
    let now = moment_of_tests();
    let files = ["a", "b", "c"].map(|name| {
        let made = make(&authority, &ca, &request(name, &ids), None).unwrap();
        made.certificate
    });
    let serials = files
        .clone()
        .map(|file| authority.serial_of(&file).unwrap());
    let list = revoke(&authority, &ca, &[], now).unwrap();
    assert_eq!((list.revoked, list.added.len()), (0, 0));
    let list = revoke(&authority, &ca, &serials[..1], now).unwrap();
    assert_eq!((list.revoked, &list.added[..]), (1, &serials[..1]));
    // The same again, and one more, a day later.
    let authority = Authority::load(&ca).unwrap().unwrap();
    let list = revoke(&authority, &ca, &serials[..2], now + DAY).unwrap();
    assert_eq!((list.revoked, &list.added[..]), (2, &serials[1..2]));
    let at = (now + DAY)
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_secs()
        .to_string();
    let (ca_file, crl) = (ca.join("ca.pem"), ca.join("crl.pem"));
    for (index, file) in files.iter().enumerate() {
        let arguments = [
            "verify",
            "-x509_strict",
            "-crl_check",
            "-attime",
            &at,
            "-CAfile",
        ];
        let files = [text(&ca_file), "-CRLfile", text(&crl), text(file)];
        let arguments: Vec<&str> = arguments.into_iter().chain(files).collect();
        let Some(said) = run("openssl", &arguments) else {
            return;
        };
        assert_eq!(said.is_ok(), index == 2, "{said:?}");
    }
    let shown = run("openssl", &["crl", "-text", "-noout", "-in", text(&crl)])
        .unwrap()
        .unwrap();
    assert_eq!(shown.matches("Key Compromise").count(), 2, "{shown}");
    assert_eq!(
        shown
            .matches("Revocation Date: Sep 13 12:26:40 2020")
            .count(),
        1,
        "{shown}"
    );
    let number = |now: SystemTime| now.duration_since(UNIX_EPOCH).unwrap().as_secs();
    assert!(
        shown.contains(&format!("0x{:X}", number(now + DAY)))
            || shown.contains(&number(now + DAY).to_string()),
        "{shown}"
    );
}

#[test]
fn numbers_only_grow_even_when_a_clock_goes_back() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    let authority = authority(&ca, KeyKind::EcdsaP256);
    let number = || {
        let shown = crate::show(&ca.join("crl.pem"), moment_of_tests()).unwrap();
        let field = shown[0].fields.iter().find(|(name, _)| *name == "number");
        match &field.unwrap().1 {
            crate::Value::One(number) => number.parse::<u64>().unwrap(),
            other => panic!("{other:?}"),
        }
    };
    revoke(&authority, &ca, &[], moment_of_tests() + DAY).unwrap();
    let first = number();
    revoke(&authority, &ca, &[], moment_of_tests()).unwrap();
    assert_eq!(number(), first + 1);
}

#[test]
fn a_list_or_certificate_of_another_authority_is_refused() {
    let folder = Folder::new();
    let (ours, theirs) = (folder.path("ours"), folder.path("theirs"));
    let ids = identities();
    // Of the same name: only the signature tells.
    let our = authority(&ours, KeyKind::EcdsaP256);
    let their = authority(&theirs, KeyKind::EcdsaP256);
    let foreign = make(&their, &theirs, &request("mail", &ids), None).unwrap();
    let error = our.serial_of(&foreign.certificate).unwrap_err();
    assert!(matches!(error, Error::OtherAuthority { .. }), "{error}");
    let now = moment_of_tests();
    let list = revoke(&their, &theirs, &[], now).unwrap();
    std::fs::copy(&list.path, ours.join("crl.pem")).unwrap();
    let before = std::fs::read(&list.path).unwrap();
    let error = revoke(&our, &ours, &[], now).unwrap_err();
    assert!(matches!(error, Error::Unreadable { .. }), "{error}");
    assert_eq!(std::fs::read(ours.join("crl.pem")).unwrap(), before);
    let error = our.serial_of(&ours.join("none.pem")).unwrap_err();
    assert!(matches!(error, Error::File(_)), "{error}");
}
