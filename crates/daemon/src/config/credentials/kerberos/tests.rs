//! Peers with Kerberos, keytabs that are good or not, and rules that would cover the KDC.

use policy::auth::{LocalAuth, Method, RemoteAuth};
use policy::kerberos::Principal;

use super::principals;
use crate::config::{Loaded, Secrecy, parse};

const OURS: &str = "host/fe.example@EXAMPLE";

/// A keytab with a key of each: number of parts, realm, parts, name type, time, version and key.
fn keytab(owners: &[(&str, &[&str])]) -> Vec<u8> {
    let mut octets = vec![5, 2];
    for (realm, parts) in owners {
        let mut entry = u16::try_from(parts.len()).unwrap().to_be_bytes().to_vec();
        for text in [realm].into_iter().chain(*parts) {
            entry.extend(u16::try_from(text.len()).unwrap().to_be_bytes());
            entry.extend(text.as_bytes());
        }
        entry.extend([0, 0, 0, 1, 0, 0, 0, 0, 1, 0, 18, 0, 4, 1, 2, 3, 4]);
        octets.extend(u32::try_from(entry.len()).unwrap().to_be_bytes());
        octets.extend(entry);
    }
    octets
}

/// A file of one peer and what comes after it, with our keytab and a `krb5.conf` beside it.
fn load(peer: &str, more: &str) -> Result<Loaded, String> {
    load_by("\"kerberos\"\nversion = \"ikev1\"", peer, more)
}

fn load_by(auth: &str, peer: &str, more: &str) -> Result<Loaded, String> {
    let text =
        format!("[[peer]]\nname = \"be\"\naddress = \"10.20.0.10\"\nauth = {auth}\n{peer}\n{more}");
    let mut files = |file: &str, secrecy: Secrecy| match (file, secrecy) {
        ("fe.keytab" | "/etc/krb5.keytab", Secrecy::Secret) => Ok(keytab(&[
            ("EXAMPLE", &["host", "other"]),
            ("EXAMPLE", &["host", "fe.example"]),
        ])),
        ("junk", _) => Ok(b"no keytab".to_vec()),
        ("/etc/krb5.conf", Secrecy::Public) => {
            Ok(b"[realms]\nEXAMPLE = {\n kdc = 10.20.0.88\n}\n".to_vec())
        }
        _ => Err("it does not exist".to_owned()),
    };
    parse("test.toml", &text, &mut files).map_err(|report| report.render(false))
}

#[test]
fn it_is_a_method_of_version_1() {
    let peer = "[[peer]]\nname = \"be\"\naddress = \"10.20.0.10\"\nauth = \"kerberos\"\n";
    let text = format!("{peer}{PEER}");
    let mut files = |_: &str, secrecy: Secrecy| match secrecy {
        Secrecy::Secret => Ok(keytab(&[("EXAMPLE", &["host", "fe.example"])])),
        Secrecy::Public => Err("it does not exist".to_owned()),
    };
    let report = parse("test.toml", &text, &mut files).err().unwrap();
    let report = report.render(false);
    assert!(
        report.contains("has Kerberos, and IKEv2 has not"),
        "{report}"
    );
    assert!(report.contains("test.toml:4:8"), "{report}");
}

const PEER: &str = "principal = \"host/fe.example@EXAMPLE\"\nkeytab = \"fe.keytab\"\n\
                    peer_principals = [\"host/be1.example@EXAMPLE\", \"host/be2.*@EXAMPLE\"]\n";

fn rule(more: &str) -> String {
    format!("[[rule]]\nname = \"all\"\naction = \"require\"\nmode = \"transport\"\n{more}\n")
}

#[test]
fn a_peer_with_kerberos() {
    let loaded = load(PEER, &rule("remote = \"10.20.0.10\"")).unwrap_or_else(|why| panic!("{why}"));
    let auth = &loaded.config.pad.peers()[0].auth;
    let (LocalAuth::Kerberos(key), RemoteAuth::Kerberos(members)) = (&auth.local, &auth.remote)
    else {
        panic!("it is by Kerberos");
    };
    assert_eq!(key.principal.as_str(), OURS);
    assert_eq!(key.keytab.to_str(), Some("fe.keytab"));
    let may = |name: &str| {
        let principal = Principal::parse(name).unwrap();
        members.iter().any(|member| member.accepts(&principal))
    };
    assert!(may("host/be2.anywhere@EXAMPLE"));
    assert!(!may("host/be3.example@EXAMPLE"));
    assert_eq!(loaded.report.diagnostics, []);
    // The keytab that every host has.
    load(&PEER.replace("keytab = \"fe.keytab\"", ""), "").unwrap_or_else(|why| panic!("{why}"));
}

#[test]
fn each_fault_has_its_sentence() {
    let without = |line: &str| PEER.replace(line, "");
    for (peer, says) in [
        (
            without("principal = \"host/fe.example@EXAMPLE\"\n"),
            "needs a `principal`",
        ),
        (
            PEER.replace("fe.example", "fe2.example"),
            "has no key of `host/fe2.example@EXAMPLE`",
        ),
        (
            PEER.replace("fe.keytab", "none"),
            "cannot be read: it does not exist",
        ),
        (PEER.replace("fe.keytab", "junk"), "`junk` is no keytab"),
        (
            PEER.replace("host/fe.example@EXAMPLE", "host/*@EXAMPLE"),
            "a `*` stands only in",
        ),
        (PEER.replace("be2.*@EXAMPLE", "be2@*"), "never in the realm"),
        (
            PEER.replace("peer_principals", "# "),
            "needs a `peer_principals`",
        ),
        (
            format!("{PEER}remote_auth = \"psk\"\npsk = \"x\"\n"),
            "on one side only",
        ),
        (
            format!("{PEER}psk = \"x\"\n"),
            "`psk` of [[peer]] `be` has no effect",
        ),
        (
            format!("{PEER}kdc = \"kdc.example\"\n"),
            "`kdc.example` is no address",
        ),
    ] {
        let report = load(&peer, "").err().unwrap_or_default();
        assert!(report.contains(says), "{says}: {report}");
    }
    let other = "[[peer]]\nname = \"x\"\naddress = \"10.20.0.11\"\nkdc = \"10.20.0.88\"\n\
                 psk = \"xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE\"\n";
    let report = load(PEER, other).err().unwrap_or_default();
    assert!(
        report.contains("write `auth = \"kerberos\"`, or remove the key"),
        "{report}"
    );
    let elsewhere = PEER
        .replace("EXAMPLE\", \"", "A\", \"")
        .replace("@EXAMPLE", "@B");
    let report = load(&elsewhere, "").err().unwrap_or_default();
    assert!(
        report.contains("it is not known where the KDCs"),
        "{report}"
    );
}

const PSK: &str = "psk = \"xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE\"\n";

#[test]
fn every_way_of_a_list_is_used_with_version_1() {
    for (list, expected) in [
        ("[\"kerberos\", \"psk\"]", [Method::Kerberos, Method::Psk]),
        ("[\"psk\", \"kerberos\"]", [Method::Psk, Method::Kerberos]),
    ] {
        let auth = format!("{list}\nversion = \"ikev1\"");
        let host = rule("remote = \"10.20.0.10\"");
        let loaded = load_by(&auth, &format!("{PEER}{PSK}"), &host);
        let loaded = loaded.unwrap_or_else(|why| panic!("{why}"));
        assert_eq!(loaded.report.diagnostics, [], "{list}");
        let peer = &loaded.config.pad.peers()[0];
        let methods = peer.ways().map(|(auth, _)| auth.method());
        assert!(methods.eq(expected.map(Some)), "{list}");
        assert!(peer.same(&peer.clone()));
        let mut other = peer.clone();
        other.alternatives.clear();
        assert!(!peer.same(&other), "the list is part of the peer");
        // A ticket is needed first, wherever it stands.
        let rules = rule("remote = \"10.20.0.0/24\"\npeer = \"be\"");
        let report = load_by(&auth, &format!("{PEER}{PSK}"), &rules);
        assert!(
            report.err().unwrap_or_default().contains("KB254949"),
            "{list}"
        );
    }
}

#[test]
fn version_2_uses_the_first_of_a_list_and_says_so() {
    let list = "[\"psk\", \"kerberos\"]";
    let loaded = load_by(list, &format!("{PEER}{PSK}"), "").unwrap_or_else(|why| panic!("{why}"));
    let peer = &loaded.config.pad.peers()[0];
    assert!(
        peer.ways()
            .map(|(auth, _)| auth.method())
            .eq([Some(Method::Psk)])
    );
    let report = loaded.report.render(false);
    assert!(report.contains("only the first is used"), "{report}");
    assert!(report.contains("IKEv2 does not negotiate it"), "{report}");
}

#[test]
fn what_a_list_cannot_be() {
    let two = "[\"kerberos\", \"psk\"]";
    for (list, peer, says) in [
        (two, PEER.to_owned(), "has no key"),
        (two, PSK.to_owned(), "needs a `principal`"),
        (
            two,
            format!("{PEER}{PSK}remote_auth = \"psk\"\n"),
            "`remote_auth` would change one side",
        ),
        (
            "[\"psk\", \"kerberos\", \"psk\"]",
            format!("{PEER}{PSK}"),
            "has `psk` twice in its list",
        ),
        (
            "[\"certificate\", \"psk\", \"public_key\"]",
            PSK.to_owned(),
            "has two ways to sign",
        ),
        (
            two,
            format!("{PEER}{PSK}crls = \"a.crl\"\n"),
            "has no effect with `auth = [\"kerberos\", \"psk\"]`",
        ),
    ] {
        let report = load_by(&format!("{list}\nversion = \"ikev1\""), &peer, "");
        let report = report.err().unwrap_or_default();
        assert!(report.contains(says), "{says}: {report}");
    }
}

#[test]
fn a_rule_by_kerberos_does_not_cover_the_kdc() {
    let kdc = "\"10.20.0.88\"";
    let exempt = |more: &str| {
        format!("[[rule]]\nname = \"kdc\"\naction = \"permit\"\nremote = {kdc}\n{more}\n")
    };
    let psk = "[[peer]]\nname = \"dc\"\naddress = \"10.20.0.88\"\n\
               psk = \"xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE\"\n";
    let wide = "remote = \"10.20.0.0/24\"";
    let by_be = "remote = \"10.20.0.0/24\"\npeer = \"be\"";
    let ports = "protocol = \"udp\"\nremote_ports = 88";
    for (peer, rules, refused) in [
        ("", rule(wide), true),
        ("", rule("remote = \"any\""), true),
        ("", rule(by_be), true),
        ("", rule(&format!("{wide}\n{ports}")), true),
        (
            "",
            rule(&format!(
                "{wide}\nprotocol = \"tcp\"\nremote_ports = [80, 110]"
            )),
            false,
        ),
        ("", rule("remote = \"10.20.0.10\""), false),
        // Another KDC that only the policy knows.
        (
            "kdc = \"10.20.0.10\"\n",
            rule("remote = \"10.20.0.10\""),
            true,
        ),
        // What is exempt is exempt, if it is all of it.
        ("", exempt("") + &rule(wide), false),
        (
            "",
            exempt("protocol = \"tcp\"\nremote_ports = 88") + &rule(wide),
            true,
        ),
        // Who is there proves it otherwise.
        ("", psk.to_owned() + &rule(wide), false),
        ("", psk.to_owned() + &rule(by_be), true),
        // Without protection they talk in clear text, unless the peer there needs Kerberos.
        ("", rule(wide).replace("require", "request"), false),
        ("", rule(by_be).replace("require", "request"), true),
    ] {
        let report = load(&format!("{PEER}{peer}"), &rules)
            .err()
            .unwrap_or_default();
        assert_eq!(
            report.contains("KB254949"),
            refused,
            "{peer}{rules}: {report}"
        );
    }
    let report = load(PEER, &rule(wide)).err().unwrap_or_default();
    for part in [
        "the rule `all` is negotiated by Kerberos and covers the KDC 10.20.0.88 itself",
        "test.toml:14:10",
        "use certificates or a pre-shared key for this rule, or let the KDC pass",
    ] {
        assert!(report.contains(part), "{part}: {report}");
    }
}

#[test]
fn whose_keys_are_in_a_keytab() {
    let octets = keytab(&[("R", &["host", "a"]), ("R", &["FE$"])]);
    let owners = ["host/a@R".to_owned(), "FE$@R".to_owned()];
    assert_eq!(principals(&octets), Some(owners.to_vec()));
    // A hole, and room that was never used.
    let hole = [
        &octets[..],
        &[0xff, 0xff, 0xff, 0xfe, 9, 9],
        &[0, 0, 0, 0, 7],
    ]
    .concat();
    assert_eq!(principals(&hole), Some(owners.to_vec()));
    assert_eq!(principals(&[5, 2]), Some(Vec::new()));
    for cut in 3..octets.len() - 1 {
        // Cut off between two entries it is a keytab with one of them.
        let found = principals(&octets[..cut]);
        assert!(
            found.is_none() || found == Some(owners[..1].to_vec()),
            "{cut}"
        );
    }
}
