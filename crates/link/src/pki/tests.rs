//! What the verbs make, what a node accepts of it, and that no key gets out.

use super::{Error, Fault, Identity, init, join};
use crate::testing::{Folder, moment_of_tests};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

const YEAR: Duration = Duration::from_secs(365 * 24 * 3600);

fn names(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

fn joined(folder: &Path, name: &str, into: &Path) {
    let file = folder.join(format!("{name}.join"));
    join(&file, into, moment_of_tests()).unwrap();
}

fn fault(error: &Error) -> &Fault {
    match error {
        Error::Certificate { fault, .. } => fault,
        other => panic!("{other}"),
    }
}

fn set_mode(path: &Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

#[test]
fn a_node_becomes_what_its_file_says() {
    let folder = Folder::new();
    let now = moment_of_tests();
    let name = "Node_1.a-b";
    let made = init(&folder.path("ca"), &names(&[name]), false, now).unwrap();
    assert!(made.new_authority);
    let file = &made.nodes[0].1;
    set_mode(file, 0o644);
    let joined = join(file, &folder.path("node"), now).unwrap();
    assert_eq!((joined.name.as_str(), joined.until), (name, made.until));
    assert!(joined.exposed && joined.to_string().contains("Others could read"));
    let identity = Identity::load(&folder.path("node"), name, now).unwrap();
    assert_eq!((identity.name(), identity.until()), (name, made.until));
    assert!(!format!("{identity:?}").contains("certified"));
}

#[test]
fn nothing_made_is_open_to_others_and_nothing_printed_holds_a_key() {
    let folder = Folder::new();
    let now = moment_of_tests();
    let (ca, node) = (folder.path("ca"), folder.path("node"));
    // A folder that was there before may have been open.
    std::fs::create_dir(&ca).unwrap();
    set_mode(&ca, 0o755);
    let made = init(&ca, &names(&["a", "b"]), false, now).unwrap();
    let joined = join(&made.nodes[0].1, &node, now).unwrap();
    let identity = Identity::load(&node, "a", now).unwrap();
    let mut files = 0;
    for folder in [&ca, &node] {
        let mode = std::fs::metadata(folder).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700, "{}", folder.display());
        for entry in std::fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let mode = entry.metadata().unwrap().permissions().mode();
            // Certificates are no secret.
            let public = entry.path().extension().is_some_and(|end| end == "pem");
            let expected = if public { 0o644 } else { 0o600 };
            assert_eq!(mode & 0o777, expected, "{}", entry.path().display());
            files += 1;
        }
    }
    assert_eq!(files, 2 + 2 + 3);
    let printed = format!("{made} {made:?} {joined} {joined:?} {identity:?}");
    for path in [ca.join("ca.key"), node.join("node.key")] {
        let key = std::fs::read_to_string(path).unwrap();
        for line in key.lines().filter(|line| !line.starts_with("-----")) {
            assert!(!printed.contains(line));
        }
    }
    assert!(!printed.contains("BEGIN") && printed.contains("Carry"));
}

#[test]
fn a_second_run_adds_nodes_of_the_same_authority() {
    let folder = Folder::new();
    let now = moment_of_tests();
    let ca = folder.path("ca");
    init(&ca, &names(&["a"]), false, now).unwrap();
    let before = std::fs::read(ca.join("ca.pem")).unwrap();
    let error = init(&ca, &names(&["b", "a"]), false, now).unwrap_err();
    assert!(
        matches!(&error, Error::Exists { name, .. } if name == "a"),
        "{error}"
    );
    assert!(!ca.join("b.join").exists(), "refused as a whole");
    // Nine years later the authority ends in one, and so does what it signs.
    let made = init(&ca, &names(&["b"]), false, now + 9 * YEAR).unwrap();
    assert!(!made.new_authority);
    assert_eq!(std::fs::read(ca.join("ca.pem")).unwrap(), before);
    let later = join(&ca.join("b.join"), &folder.path("b"), now + 9 * YEAR).unwrap();
    assert_eq!(later.until, made.until);
    let error = init(&ca, &names(&["c"]), false, now + 11 * YEAR).unwrap_err();
    assert!(matches!(error, Error::AuthorityExpired { .. }), "{error}");
    let first = std::fs::read(ca.join("a.join")).unwrap();
    init(&ca, &names(&["a"]), true, now).unwrap();
    assert_ne!(std::fs::read(ca.join("a.join")).unwrap(), first);
    joined(&ca, "a", &folder.path("a"));
}

#[test]
fn an_authority_that_is_not_whole_or_not_closed_is_refused() {
    let folder = Folder::new();
    let now = moment_of_tests();
    let ca = folder.path("ca");
    init(&ca, &[], false, now).unwrap();
    set_mode(&ca.join("ca.key"), 0o640);
    let error = init(&ca, &[], false, now).unwrap_err();
    assert!(matches!(error, Error::Open { mode: 0o640, .. }), "{error}");
    std::fs::remove_file(ca.join("ca.key")).unwrap();
    let error = init(&ca, &[], false, now).unwrap_err();
    assert!(error.to_string().contains("ca.key is missing"), "{error}");
    for bad in ["", "a/b", "../a"] {
        let error = init(&ca, &names(&[bad]), true, now).unwrap_err();
        assert!(matches!(error, Error::BadName(_)), "{error}");
    }
}

#[test]
fn a_file_with_a_strange_part_is_not_installed() {
    let folder = Folder::new();
    let now = moment_of_tests();
    let (ca, other) = (folder.path("ca"), folder.path("other"));
    init(&ca, &names(&["a", "b"]), false, now).unwrap();
    init(&other, &names(&["a"]), false, now).unwrap();
    let read = |path: &Path| std::fs::read_to_string(path).unwrap();
    let cut = |text: &str| -> Vec<String> {
        let parts = text.split_inclusive("-----\n").collect::<Vec<_>>();
        parts.chunks(2).map(<[_]>::concat).collect()
    };
    let (a, b, foreign) = (
        cut(&read(&ca.join("a.join"))),
        cut(&read(&ca.join("b.join"))),
        cut(&read(&other.join("a.join"))),
    );
    let claims_b = a[0].replace("node a\n", "node b\n");
    let try_with = |text: String| {
        let file = folder.path("try.join");
        std::fs::write(&file, text).unwrap();
        let error = join(&file, &folder.path("node"), now).unwrap_err();
        assert!(!folder.path("node").exists());
        error
    };
    let error = try_with([&a[0], &b[1], &a[2]].map(String::as_str).concat());
    assert!(matches!(fault(&error), Fault::KeyDoesNotFit), "{error}");
    let error = try_with([&a[0], &a[1], &foreign[2]].map(String::as_str).concat());
    assert!(matches!(fault(&error), Fault::OtherAuthority), "{error}");
    let error = try_with([&claims_b, &a[1], &a[2]].map(String::as_str).concat());
    assert!(matches!(fault(&error), Fault::WrongName { .. }), "{error}");
    let error = try_with([&a[0], &a[1]].map(String::as_str).concat());
    assert!(matches!(fault(&error), Fault::NotPem(_)), "{error}");
    let error = try_with("anything\n".to_owned());
    assert!(matches!(fault(&error), Fault::NotPem(_)), "{error}");
    let error = join(&folder.path("none"), &folder.path("node"), now).unwrap_err();
    assert!(matches!(error, Error::File { .. }), "{error}");
}

#[test]
fn an_identity_that_does_not_serve_is_refused_with_a_remedy() {
    let folder = Folder::new();
    let now = moment_of_tests();
    let (ca, node) = (folder.path("ca"), folder.path("node"));
    let error = Identity::load(&node, "a", now).unwrap_err();
    assert!(
        error.to_string().contains("`holdfast cluster join FILE`"),
        "{error}"
    );
    init(&ca, &names(&["a", "b"]), false, now).unwrap();
    joined(&ca, "a", &node);
    let error = Identity::load(&node, "b", now).unwrap_err();
    assert!(
        error.to_string().contains("is the identity of node `a`"),
        "{error}"
    );
    let error = Identity::load(&node, "a", now + 11 * YEAR).unwrap_err();
    assert!(matches!(fault(&error), Fault::Expired(_)), "{error}");
    let error = Identity::load(&node, "a", now - YEAR).unwrap_err();
    assert!(matches!(fault(&error), Fault::NotYetValid(_)), "{error}");
    assert!(error.to_string().contains("clock"), "{error}");
    // A claim that the certificate does not prove.
    let text = std::fs::read_to_string(node.join("node.pem")).unwrap();
    std::fs::write(node.join("node.pem"), text.replace("node a\n", "node b\n")).unwrap();
    let error = Identity::load(&node, "b", now).unwrap_err();
    assert!(matches!(fault(&error), Fault::WrongName { .. }), "{error}");
    joined(&ca, "a", &node);
    for mode in [0o640, 0o604] {
        set_mode(&node.join("node.key"), mode);
        let error = Identity::load(&node, "a", now).unwrap_err();
        assert!(error.to_string().contains("chmod 600"), "{error}");
    }
    joined(&ca, "b", &folder.path("b"));
    std::fs::copy(folder.path("b").join("node.key"), node.join("node.key")).unwrap();
    let error = Identity::load(&node, "a", now).unwrap_err();
    assert!(matches!(fault(&error), Fault::KeyDoesNotFit), "{error}");
}
