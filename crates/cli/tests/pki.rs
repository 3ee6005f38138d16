//! Certificates with the real program: what it prints can be parsed and pasted.

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn holdfast(folder: &Path, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_holdfast"));
    let command = command.current_dir(folder).args(arguments);
    command.output().expect("the program runs")
}

/// An empty folder of this test.
fn scratch(what: &str) -> PathBuf {
    let path = Path::new(env!("CARGO_TARGET_TMPDIR")).join(what);
    let _ = std::fs::remove_dir_all(&path);
    std::fs::create_dir_all(&path).expect("a folder");
    path
}

fn good(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{text}{error}");
    text
}

fn result(folder: &Path, arguments: &[&str]) -> Value {
    let arguments: Vec<&str> = arguments.iter().copied().chain(["--json"]).collect();
    let reply: Value = serde_json::from_str(&good(&holdfast(folder, &arguments))).expect("JSON");
    assert_eq!(reply["schema"], 1);
    reply["result"].clone()
}

#[test]
fn an_authority_a_node_a_peer_and_a_list() {
    let folder = scratch("pki");
    let made = result(&folder, &["pki", "ca", "--name", "Mail CA", "ca"]);
    let ca = folder.join("ca");
    assert_eq!(
        made["authority"],
        ca.join("ca.pem").to_str().expect("a path")
    );
    let ids = ["--id", "mail.example.org", "--id", "10.0.0.100"];
    let node = ["pki", "node", "--ca", "ca", "mail"];
    let node: Vec<&str> = node.into_iter().chain(ids).collect();
    let text = good(&holdfast(&folder, &node));
    let certificate = ca.join("mail.pem");
    for wanted in [
        format!("certificate = \"{}\"", certificate.display()),
        format!("authorities = [\"{}\"]", ca.join("ca.pem").display()),
        "local_id = \"mail.example.org\"".to_owned(),
        "cacerts = ca.pem".to_owned(),
    ] {
        assert!(text.contains(&wanted), "{wanted}\n{text}");
    }
    let again = holdfast(&folder, &node);
    let error = String::from_utf8_lossy(&again.stderr).into_owned();
    assert_eq!(again.status.code(), Some(1));
    assert!(error.contains("is there already"), "{error}");
    let password = good(&holdfast(&folder, &["psk"]));
    std::fs::write(folder.join("password"), password).expect("a file");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    std::fs::set_permissions(folder.join("password"), mode).expect("a mode");
    let made = result(
        &folder,
        &[
            "pki",
            "peer",
            "--ca",
            "ca",
            "--id",
            "fe1.example.org",
            "--key",
            "rsa-2048",
            "--out",
            "fe1",
            "--p12",
            "--password-file",
            "password",
            "--days",
            "90",
            "fe1",
        ],
    );
    let p12 = folder.join("fe1/fe1.p12");
    assert_eq!(made["pkcs12"], p12.to_str().expect("a path"));
    assert!(p12.is_file() && folder.join("fe1/fe1.key").is_file());
    let swanctl = made["swanctl"].as_str().expect("lines");
    assert!(swanctl.contains("certs = fe1.pem"), "{swanctl}");
    let revoke = ["pki", "crl", "--ca", "ca", "--revoke", "fe1/fe1.pem"];
    let list = result(&folder, &revoke);
    assert_eq!(
        (&list["revoked"], list["added"].as_array().map(Vec::len)),
        (&1.into(), Some(1))
    );
    let shown = result(&folder, &["pki", "show", "ca/crl.pem"]);
    assert_eq!(shown["found"][0]["revoked"], list["added"]);
    let shown = result(&folder, &["pki", "show", "ca/mail.pem"]);
    let ids = serde_json::json!(["mail.example.org", "10.0.0.100"]);
    assert_eq!(shown["found"][0]["identities"], ids);
    assert_eq!(shown["found"][0]["notes"], serde_json::json!([]));
}

/// The lines of the text that are indented by four, which are to be pasted, without that.
fn pasted(text: &str, title: &str) -> String {
    let after = text.split(title).nth(1).expect("a title");
    let lines = after.lines().skip_while(|line| !line.starts_with("    "));
    let lines = lines.take_while(|line| line.starts_with("    "));
    lines.map(|line| line.trim().to_owned() + "\n").collect()
}

#[test]
fn what_is_printed_can_be_pasted_into_the_policy_file() {
    let folder = scratch("pki-pasted");
    good(&holdfast(
        &folder,
        &["pki", "ca", "--name", "Mail CA", "ca"],
    ));
    for key in ["ecdsa-p256", "ecdsa-p384", "ed25519", "rsa-2048"] {
        let text = |verb: &str, id: &str, name: &str| {
            let words = ["pki", verb, "--ca", "ca", "--key", key, "--id", id, name];
            good(&holdfast(&folder, &words))
        };
        let node = text("node", "mail.example.org", &format!("mail-{key}"));
        let peer = text("peer", "10.0.0.1", &format!("fe1-{key}"));
        let list = good(&holdfast(&folder, &["pki", "crl", "--ca", "ca"]));
        let policy = format!(
            "[[peer]]\nname = \"fe1\"\naddress = \"10.0.0.1\"\n{}{}{}[[rule]]\nname = \"r\"\n\
             remote = \"10.0.0.1\"\naction = \"require\"\n",
            pasted(&node, "In this node's policy file"),
            pasted(&peer, "In our policy file"),
            pasted(&list, "In policy files"),
        );
        std::fs::write(folder.join("holdfast.toml"), &policy).expect("a file");
        let checked = result(&folder, &["check", "holdfast.toml"]);
        assert_eq!(checked["warnings"], serde_json::json!([]), "{policy}");
    }
}

#[test]
fn what_cannot_be_done_is_a_sentence_and_a_code() {
    let folder = scratch("pki-refused");
    for (arguments, code, words) in [
        (
            &["pki", "node", "--ca", "none", "--id", "a", "a"][..],
            1,
            "there is no authority",
        ),
        (&["pki", "ca", "--name", "", "ca"], 2, "1 to 64 characters"),
        (&["pki", "node", "--ca", "ca", "a"], 2, "--id"),
        (
            &["pki", "peer", "--ca", "ca", "--id", "a", "--p12", "a"],
            2,
            "--password-file",
        ),
        (
            &["pki", "ca", "--name", "a", "--days", "0", "ca"],
            2,
            "from 1 to 36525",
        ),
        (
            &["pki", "ca", "--name", "a", "--key", "dsa", "ca"],
            2,
            "ecdsa-p256",
        ),
        (&["pki", "show", "none"], 1, "none cannot be used"),
    ] {
        let output = holdfast(&folder, arguments);
        let error = String::from_utf8_lossy(&output.stderr);
        assert!(error.contains(words), "{arguments:?}: {error}");
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
    }
    assert!(!folder.join("ca").exists());
}

#[test]
fn a_fresh_key_is_strong_enough_for_check() {
    let folder = scratch("psk");
    let first = good(&holdfast(&folder, &["psk"]));
    let key = first.trim();
    assert_ne!(good(&holdfast(&folder, &["psk"])), first);
    let policy = |key: &str| {
        format!(
            "[[peer]]\nname = \"a\"\naddress = \"10.0.0.1\"\npsk = \"{key}\"\n[[rule]]\nname = \
             \"r\"\nremote = \"10.0.0.1\"\naction = \"require\"\n"
        )
    };
    let path = folder.join("holdfast.toml");
    std::fs::write(&path, policy(key)).expect("a file");
    good(&holdfast(&folder, &["check", "holdfast.toml"]));
    std::fs::write(&path, policy("correct horse battery staple")).expect("a file");
    let weak = holdfast(&folder, &["check", "holdfast.toml"]);
    let error = String::from_utf8_lossy(&weak.stderr);
    assert!(
        error.contains("holdfast psk") && !weak.status.success(),
        "{error}"
    );
}
