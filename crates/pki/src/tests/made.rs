//! Files: which, for whom, and that none is ever replaced.

use crate::tests::{Folder, PASSWORD, authority, identities, make, moment_of_tests, request};
use crate::{Authority, Bundle, Error, KeyKind, NewAuthority, limits, moment};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

fn mode(path: &Path) -> u32 {
    std::fs::metadata(path).unwrap().permissions().mode() & 0o7777
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).unwrap();
    let names = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let mut names: Vec<String> = names.collect();
    names.sort();
    names
}

#[test]
fn secrets_are_closed_and_certificates_are_open() {
    let folder = Folder::new();
    let ca = folder.path("deep/ca");
    let authority = authority(&ca, KeyKind::EcdsaP256);
    let password = folder.write("password", PASSWORD, 0o600);
    let bundle = Bundle {
        password_file: &password,
        legacy: false,
    };
    let out = folder.path("out");
    let made = make(
        &authority,
        &out,
        &request("mail", &identities()),
        Some(&bundle),
    )
    .unwrap();
    assert_eq!((mode(&ca), mode(&out)), (0o700, 0o700));
    assert_eq!(
        (mode(&ca.join("ca.key")), mode(&ca.join("ca.pem"))),
        (0o600, 0o644)
    );
    assert_eq!((mode(&made.key), mode(&made.certificate)), (0o600, 0o644));
    assert_eq!(mode(&made.bundle.unwrap()), 0o600);
    assert_eq!(names(&out), ["mail.key", "mail.p12", "mail.pem"]);
    let key = std::fs::read_to_string(&made.key).unwrap();
    assert!(key.starts_with("-----BEGIN PRIVATE KEY-----"));
    for path in [&made.certificate, &ca.join("ca.pem")] {
        assert!(!std::fs::read_to_string(path).unwrap().contains("PRIVATE"));
    }
    // A folder that was there keeps its permissions.
    let shared = folder.path("shared");
    std::fs::create_dir(&shared).unwrap();
    std::fs::set_permissions(&shared, PermissionsExt::from_mode(0o755)).unwrap();
    make(&authority, &shared, &request("mail", &identities()), None).unwrap();
    assert_eq!(mode(&shared), 0o755);
}

#[test]
fn nothing_is_ever_overwritten_and_nothing_is_half_made() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    let authority = authority(&ca, KeyKind::EcdsaP256);
    let again = NewAuthority {
        name: "Other CA",
        key: KeyKind::EcdsaP256,
        lifetime: limits::AUTHORITY_LIFETIME,
    };
    let before = std::fs::read(ca.join("ca.pem")).unwrap();
    let error = Authority::make(&ca, &again, moment_of_tests())
        .map(drop)
        .unwrap_err();
    assert!(matches!(&error, Error::Exists { .. }), "{error}");
    assert!(error.to_string().contains("ever overwritten"), "{error}");
    assert_eq!(std::fs::read(ca.join("ca.pem")).unwrap(), before);
    let password = folder.write("password", PASSWORD, 0o600);
    let bundle = Bundle {
        password_file: &password,
        legacy: true,
    };
    for taken in ["mail.pem", "mail.key", "mail.p12"] {
        let out = folder.path(format!("with-{taken}"));
        std::fs::create_dir(&out).unwrap();
        std::fs::write(out.join(taken), "mine").unwrap();
        let error = make(
            &authority,
            &out,
            &request("mail", &identities()),
            Some(&bundle),
        );
        let error = error.unwrap_err();
        assert!(
            matches!(&error, Error::Exists { path } if path.ends_with(taken)),
            "{error}"
        );
        assert_eq!(names(&out), [taken]);
        assert_eq!(std::fs::read(out.join(taken)).unwrap(), b"mine");
    }
}

#[test]
fn a_race_for_a_name_is_lost_without_a_trace() {
    let folder = Folder::new();
    std::fs::write(folder.path("b"), "theirs").unwrap();
    let files: [crate::files::NewFile<'_>; 2] = [("a", b"ours", 0o600), ("b", b"ours", 0o600)];
    let error = crate::files::write_new(&folder.0, &files).unwrap_err();
    assert_eq!(error.source.kind(), std::io::ErrorKind::AlreadyExists);
    assert_eq!(names(&folder.0), ["b"]);
    assert_eq!(std::fs::read(folder.path("b")).unwrap(), b"theirs");
}

#[test]
fn names_and_identities_that_do_not_serve_are_refused_with_a_remedy() {
    let folder = Folder::new();
    let authority = authority(&folder.path("ca"), KeyKind::EcdsaP256);
    let long = "a".repeat(65);
    for name in [
        "", "ca", "crl", ".hidden", "-x", "a/b", "../a", "a b", "ä", &long,
    ] {
        let made = make(&authority, &folder.0, &request(name, &identities()), None);
        let error = made.unwrap_err();
        assert!(matches!(error, Error::BadName { .. }), "{name}: {error}");
    }
    for name in ["", " CA", "a\nb", &long] {
        let new = NewAuthority {
            name,
            key: KeyKind::EcdsaP256,
            lifetime: limits::AUTHORITY_LIFETIME,
        };
        let made = Authority::make(&folder.path("new"), &new, moment_of_tests());
        let error = made.map(drop).unwrap_err();
        assert!(matches!(error, Error::BadName { .. }), "{name}: {error}");
    }
    let error = make(&authority, &folder.0, &request("mail", &[]), None).unwrap_err();
    assert!(error.to_string().contains("--id"), "{error}");
    let many = vec![identities().remove(0); limits::MAX_IDENTITIES + 1];
    let error = make(&authority, &folder.0, &request("mail", &many), None).unwrap_err();
    assert!(error.to_string().contains("65 identities"), "{error}");
    assert_eq!(names(&folder.0), ["ca"]);
}

#[test]
fn passwords_that_do_not_serve_are_refused_before_anything_is_written() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    let authority = authority(&ca, KeyKind::EcdsaP256);
    for (content, mode, sentence) in [
        ("", 0o600, "no password"),
        ("\r\nsecond line", 0o600, "no password"),
        (PASSWORD, 0o640, "chmod 600"),
    ] {
        let bundle = Bundle {
            password_file: &folder.write("password", content, mode),
            legacy: false,
        };
        let made = make(
            &authority,
            &ca,
            &request("mail", &identities()),
            Some(&bundle),
        );
        let error = made.unwrap_err().to_string();
        assert!(error.contains(sentence), "{error}");
        assert_eq!(names(&ca), ["ca.key", "ca.pem"]);
    }
}

#[test]
fn an_authority_that_is_not_whole_or_not_closed_or_not_one_is_refused() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    assert!(Authority::load(&ca).unwrap().is_none());
    let authority = authority(&ca, KeyKind::EcdsaP256);
    make(
        &authority,
        &folder.path("out"),
        &request("mail", &identities()),
        None,
    )
    .unwrap();
    let refused = |what: &str| {
        let error = Authority::load(&ca).map(drop).unwrap_err().to_string();
        assert!(error.contains(what), "{error}");
    };
    let key = ca.join("ca.key");
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o640)).unwrap();
    refused("chmod 600");
    std::fs::copy(folder.path("out/mail.key"), &key).unwrap();
    std::fs::set_permissions(&key, PermissionsExt::from_mode(0o600)).unwrap();
    refused("belong together");
    std::fs::copy(folder.path("out/mail.pem"), ca.join("ca.pem")).unwrap();
    refused("may not sign");
    std::fs::write(ca.join("ca.pem"), "anything").unwrap();
    refused("no certificate");
    std::fs::remove_file(&key).unwrap();
    refused("ca.key is missing");
}

#[test]
fn what_is_signed_ends_with_its_authority() {
    let folder = Folder::new();
    let ca = folder.path("ca");
    let authority = authority(&ca, KeyKind::EcdsaP256);
    let ids = identities();
    let later = moment_of_tests() + limits::AUTHORITY_LIFETIME - limits::LIFETIME / 2;
    let made = authority
        .make_certificate(&ca, &request("late", &ids), None, later)
        .unwrap();
    assert_eq!((made.until, made.shortened), (authority.until(), true));
    let made = make(&authority, &ca, &request("early", &ids), None).unwrap();
    assert_eq!(moment(made.until), "2022-09-13T12:26:40Z");
    assert!(!made.shortened);
    let over = moment_of_tests() + limits::AUTHORITY_LIFETIME;
    let made = authority.make_certificate(&ca, &request("over", &ids), None, over);
    let error = made.unwrap_err().to_string();
    assert!(error.contains("expired at 2030-09-13T12:26:40Z"), "{error}");
}

#[test]
fn the_authority_of_a_clusters_links_signs_for_no_peer() {
    let folder = Folder::new();
    let new = NewAuthority {
        name: crate::CLUSTER,
        key: KeyKind::EcdsaP256,
        lifetime: limits::AUTHORITY_LIFETIME,
    };
    let authority = Authority::make(&folder.0, &new, moment_of_tests()).unwrap();
    let made = make(&authority, &folder.0, &request("mail", &identities()), None);
    let error = made.unwrap_err().to_string();
    assert!(error.contains("pki ca"), "{error}");
}
