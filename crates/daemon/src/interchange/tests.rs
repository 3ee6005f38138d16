//! Scripts become policy files that are checked and explained, and what cannot is refused.

use std::net::IpAddr;

use policy::explain::{Outcome, explain};
use policy::{Direction, Flow, Spd};

use super::*;
use crate::config::piece::{self, Piece};
use crate::config::{self, Loaded, Secrecy};

const MAIL: &str = include_str!("../../../netsh/tests/data/mail.cmd");

fn imported(text: &str, modern: bool) -> String {
    let options = Options {
        modern,
        ..Options::default()
    };
    match import("mail.cmd", text, &options) {
        Ok(imported) => imported.text,
        Err(report) => panic!("{}", report.render(false)),
    }
}

fn refused(text: &str) -> String {
    match import("mail.cmd", text, &Options::default()) {
        Ok(imported) => panic!("this was accepted:\n{}", imported.text),
        Err(report) => report.render(false),
    }
}

fn loaded(text: &str) -> Loaded {
    let mut no_files = |_: &str, _: Secrecy| Err("there are no files in this test".to_owned());
    match config::parse("holdfast.toml", text, &mut no_files) {
        Ok(loaded) => loaded,
        Err(report) => panic!("{text}\n{}", report.render(false)),
    }
}

/// What happens to a packet at a node that has the virtual address: the rule and the sentence.
fn packet(policy: &Loaded, protocol: u8, source: &str, destination: &str) -> (String, String) {
    let own: Vec<IpAddr> = ["10.20.0.10", "10.30.0.1", "192.0.2.10"]
        .map(|text| text.parse().unwrap())
        .to_vec();
    let side = |text: &str| -> (IpAddr, u16) {
        let (address, port) = text.split_once(':').unwrap_or((text, "0"));
        (address.parse().unwrap(), port.parse().unwrap())
    };
    let ((src, src_port), (dst, dst_port)) = (side(source), side(destination));
    let flow = Flow {
        src,
        dst,
        protocol,
        src_port,
        dst_port,
    };
    let direction = match own.contains(&dst) {
        true => Direction::Inbound,
        false => Direction::Outbound,
    };
    let spd = Spd::build(policy.config.rules.clone(), &own);
    let found = explain(&spd, &policy.config.pad, &flow, direction);
    let rule = match &found.outcome {
        Outcome::Rule(decision) => decision.rule.to_string(),
        _ => String::new(),
    };
    (rule, found.to_string())
}

#[test]
fn the_script_is_explained_packet_by_packet() {
    for modern in [false, true] {
        explained(&loaded(&imported(MAIL, modern)));
    }
}

fn explained(policy: &Loaded) {
    let (tcp, udp, icmp) = (6, 17, 1);
    for (protocol, source, destination, rule, says) in [
        (
            tcp,
            "10.20.0.7:4000",
            "10.20.0.10:110",
            "passwords",
            "protected or not at all",
        ),
        (
            tcp,
            "10.20.0.10:143",
            "10.20.0.7:4000",
            "passwords",
            "with the peer `passwords`",
        ),
        (
            tcp,
            "10.20.0.7:4000",
            "10.20.0.10:80",
            "http",
            "What comes in clear text is taken",
        ),
        (
            tcp,
            "10.20.0.10:80",
            "10.20.0.7:4000",
            "http",
            "says nothing for 3 s",
        ),
        (
            tcp,
            "10.30.0.1:4000",
            "10.30.0.20:873",
            "backup",
            "protected or not at all",
        ),
        (
            tcp,
            "10.30.0.1:4000",
            "10.30.0.30:873",
            "",
            "no rule is about it",
        ),
        (
            tcp,
            "10.30.0.1:4000",
            "10.40.0.5:389",
            "directory",
            "permits it",
        ),
        (
            udp,
            "10.40.0.5:389",
            "10.30.0.1:4000",
            "directory",
            "permits it",
        ),
        (
            tcp,
            "10.20.0.7:4000",
            "10.99.3.4:22",
            "branch out",
            "in tunnel mode",
        ),
        (
            tcp,
            "172.16.0.1:4000",
            "10.20.0.10:445",
            "shield",
            "blocks it",
        ),
        (
            udp,
            "172.16.0.1:4000",
            "10.20.0.10:137",
            "shield",
            "blocks it",
        ),
        (
            udp,
            "172.16.0.1:4000",
            "10.20.0.10:138",
            "",
            "no rule is about it",
        ),
        // A host is more specific than a port.
        (
            tcp,
            "10.50.0.7:4000",
            "10.20.0.10:445",
            "administration",
            "permits it",
        ),
        (icmp, "172.16.0.1", "10.20.0.10", "echo", "permits it"),
        (
            tcp,
            "10.30.0.1:4000",
            "172.16.0.1:23",
            "telnet",
            "blocks it",
        ),
        // Only packets from here are meant.
        (
            tcp,
            "172.16.0.1:23",
            "10.30.0.1:4000",
            "",
            "no rule is about it",
        ),
        // The rule is there, and does not hold.
        (47, "172.16.0.1", "10.20.0.10", "", "no rule is about it"),
        // A source port of 88 opens nothing.
        (
            tcp,
            "172.16.0.1:88",
            "10.20.0.10:445",
            "shield",
            "blocks it",
        ),
    ] {
        let (found, text) = packet(policy, protocol, source, destination);
        assert_eq!(found, rule, "{source} -> {destination}\n{text}");
        assert!(text.contains(says), "{source} -> {destination}\n{text}");
    }
}

#[test]
fn imported_exported_and_imported_again_it_is_the_same_policy() {
    let script = parse::script(MAIL).unwrap();
    let before = script.store(Location::Local);
    let before = before.only(before.assigned().unwrap());
    let first = imported(MAIL, false);
    let (store, driver) = store(&loaded(&first).config).unwrap();
    assert_eq!(store, before);
    assert_eq!(driver, script.driver);
    let text = netsh::export::script(&store, Location::Local, &driver).unwrap();
    assert_eq!(imported(&text, false), first);
    assert_eq!(parse::script(&text).unwrap().store(Location::Local), before);
}

#[test]
fn every_object_of_the_script_is_in_the_file() {
    let script = parse::script(MAIL).unwrap();
    let store = script.store(Location::Local);
    let policy = store.assigned().unwrap();
    let objects = loaded(&imported(MAIL, true)).config.objects;
    assert_eq!(objects.filter_lists, store.filter_lists);
    let actions = objects
        .filter_actions
        .iter()
        .map(|one| (&one.name, &one.description));
    let expected = store
        .filter_actions
        .iter()
        .map(|one| (&one.name, &one.description));
    assert!(actions.eq(expected));
    assert_eq!(objects.policy.name, policy.name);
    assert_eq!(objects.policy.exemptions, script.driver.exemptions);
    assert_eq!(objects.policy.boot_mode, script.driver.boot_mode);
    assert_eq!(objects.rules.len(), policy.rules.len());
    for (object, rule) in objects.rules.iter().zip(&policy.rules) {
        assert_eq!(object.rule.name.as_str(), rule.name);
        assert_eq!(object.filter_list.as_ref(), Some(&rule.filter_list));
        assert_eq!(object.filter_action.as_ref(), Some(&rule.filter_action));
        assert_eq!(object.tunnel.map(|end| end.to_string()), rule.tunnel);
        assert_eq!(
            (object.active, object.connections),
            (rule.active, rule.connections)
        );
        assert_eq!(object.description, rule.description);
        let peer = object.rule.peer.as_ref();
        let peer = peer.map(|name| {
            objects
                .peers
                .iter()
                .find(|peer| peer.name == *name)
                .unwrap()
        });
        if let Some(peer) = peer {
            assert_eq!(peer.authentication.as_ref(), Some(&rule.authentication));
        }
    }
}

#[test]
fn a_script_that_cannot_be_used_shows_its_places_and_no_key() {
    let key = "Zk9wQ2x7Lr4TnV1sYb8mHc3eJd6fGa5uPo0iRq2tMwE";
    let text = format!(
        "netsh ipsec static add filterlist name=l\n\
         netsh ipsec static add filteraction name=a action=negotiate\n\
         netsh ipsec static add policy name=p\n\
         netsh ipsec static add rule r p l filteraction=b psk={key} activ=y\n"
    );
    let report = refused(&text);
    assert!(report.contains("mail.cmd:4:"), "{report}");
    assert!(report.contains("there is no filter action `b`"), "{report}");
    assert!(report.contains("did you mean `a`?"), "{report}");
    assert!(!report.contains("Zk9wQ2x7"), "{report}");
}

#[test]
fn what_has_no_meaning_here_is_refused_and_not_left_out() {
    let script = |rules: &str| {
        format!(
            "pushd ipsec static\n\
             add filter filterlist=l srcaddr=me dstaddr=10.0.0.1\n\
             add filteraction name=a\nadd filteraction name=ah qmsecmethods=AH[SHA1]\n\
             add policy name=p activatedefaultrule=no\n{rules}"
        )
    };
    for (rules, says) in [
        (
            "add rule r p l ah psk=k",
            "AH or ESP without authentication",
        ),
        (
            "add rule r p l a psk=k\nadd rule s p l a psk=j",
            "prove itself in two ways",
        ),
        (
            "add rule r p l a conntype=dialup psk=k",
            "for dial-up connections only",
        ),
        (
            "add policy q\ndelete policy p\nadd policy s",
            "assigns none",
        ),
    ] {
        let text = script(rules).replace(
            "action name=ah",
            match says.starts_with("AH") {
                true => "action name=ah",
                false => "action action=block name=ah",
            },
        );
        let text = match says.starts_with("AH") {
            true => text,
            false => text.replace(" qmsecmethods=AH[SHA1]", ""),
        };
        let report = refused(&text);
        assert!(report.contains(says), "{rules}\n{report}");
    }
}

#[test]
fn a_list_of_authentication_comes_whole_and_in_its_order() {
    let script = |list: &str| {
        format!(
            "pushd ipsec static\nadd filter l srca=me dsta=10.0.0.1\nadd filteraction a\n\
             add policy p activatedefaultrule=no\nadd rule r p l a {list}\n"
        )
    };
    let read = |list: &str| {
        let options = Options::default();
        let read = import("mail.cmd", &script(list), &options);
        let read = read.unwrap_or_else(|report| panic!("{}", report.render(false)));
        (read.text, read.remarks.unwrap_or_default())
    };
    let roots = "rootca=\"CN=A\" rootca=\"CN=B\"";
    let (text, remarks) = read(&format!("psk=k {roots} kerberos=y"));
    for line in [
        "auth = [\"psk\", \"certificate\", \"kerberos\"]",
        "root_ca = [\"CN=A certmap:no excludecaname:no\", \"CN=B certmap:no excludecaname:no\"]",
        "psk = \"k\"",
    ] {
        assert!(text.contains(line), "{text}");
    }
    assert!(
        remarks.contains("take `kerberos` out of its list"),
        "{remarks}"
    );
    assert!(!remarks.contains("behind another way"), "{remarks}");
    let (text, remarks) = read("rootca=\"CN=A\" psk=k rootca=\"CN=B\"");
    assert!(text.contains("auth = [\"certificate\", \"psk\"]"), "{text}");
    assert!(text.contains("CN=B"), "{text}");
    assert!(
        remarks.contains("an authority stands behind another way"),
        "{remarks}"
    );
    assert!(refused(&script("psk=k kerberos=y psk=j")).contains("two pre-shared keys"));
}

#[test]
fn scripts_are_read_as_windows_writes_them() {
    let text = "add policy name=\u{e4}\r\n";
    let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
    assert_eq!(decode(text.as_bytes()).as_deref(), Some(text));
    assert_eq!(
        decode(&[&[0xff, 0xfe][..], &little].concat()).as_deref(),
        Some(text)
    );
    assert_eq!(
        decode(&[&[0xfe, 0xff][..], &big].concat()).as_deref(),
        Some(text)
    );
    assert_eq!(decode(&[0xff, 0xfe, 0x41]), None);
    assert_eq!(decode(&[0xc3]), None);
}

/// A filter for the cluster's address, and one for `me`: asleep on a standby, and awake as soon as
/// the address is there.
#[test]
fn rules_of_a_virtual_address_sleep_where_it_is_not() {
    let script = "pushd ipsec static\n\
                  add filter l srca=10.20.0.0 srcm=24 dsta=10.20.0.10 prot=tcp dstport=110\n\
                  add filter m srca=10.20.0.0 srcm=24 dsta=me prot=tcp dstport=143\n\
                  add filteraction a\nadd policy p activatedefaultrule=no\n\
                  add rule l p l a psk=kT9wQ2x7Lr4TnV1sYb8mHc3eJd6fGa5uPo0iRq2tMwE\n\
                  add rule m p m a psk=kT9wQ2x7Lr4TnV1sYb8mHc3eJd6fGa5uPo0iRq2tMwE\n";
    let policy = loaded(&imported(script, true)).config;
    let own: IpAddr = "10.30.0.1".parse().unwrap();
    let virtual_address: IpAddr = "10.20.0.10".parse().unwrap();
    let mut spd = Spd::build(policy.rules, &[own]);
    let says = |spd: &Spd, port| {
        let flow = Flow {
            src: virtual_address,
            dst: "10.20.0.7".parse().unwrap(),
            protocol: 6,
            src_port: port,
            dst_port: 4000,
        };
        explain(spd, &policy.pad, &flow, Direction::Outbound).to_string()
    };
    assert!(
        says(&spd, 110).contains("does not have the local address"),
        "{}",
        says(&spd, 110)
    );
    assert!(
        says(&spd, 143).contains("no rule is about it"),
        "{}",
        says(&spd, 143)
    );
    assert!(spd.set_local_addresses(&[own, virtual_address]));
    for port in [110, 143] {
        assert!(
            says(&spd, port).contains("negotiated with the peer"),
            "{}",
            says(&spd, port)
        );
    }
    assert!(spd.set_local_addresses(&[own]));
    assert!(says(&spd, 110).contains("does not have the local address"));
}

#[test]
fn names_and_servers_are_looked_up_when_the_file_is_read() {
    let text = "[[filter_list]]\nname = \"l\"\n[[filter_list.filter]]\nsource = \"me\"\n\
                destination = \"WHERE\"\n[[rule]]\nname = \"r\"\nfilter_list = \"l\"\n\
                action = \"block\"\n";
    let mut no_files = |_: &str, _: Secrecy| Err("there are no files in this test".to_owned());
    for (place, says) in [
        ("mail.example", "`mail.example` is not looked up"),
        ("gateway", "`gateway` is not looked up"),
        ("10.0.0.300", "is no address"),
    ] {
        let text = text.replace("WHERE", place);
        let report = config::parse("test.toml", &text, &mut no_files)
            .err()
            .unwrap();
        assert!(
            report.render(false).contains(says),
            "{}",
            report.render(false)
        );
    }
}

#[test]
fn master_pfs_is_one_quick_mode_for_each_main_mode() {
    let script = |more: &str| {
        format!(
            "pushd ipsec static\nadd filter l srca=me dsta=10.0.0.1\nadd filteraction a\n\
             add policy p activatedefaultrule=no {more}\nadd rule r p l a \
             psk=kT9wQ2x7Lr4TnV1sYb8mHc3eJd6fGa5uPo0iRq2tMwE\n"
        )
    };
    for (more, expected) in [("", 0), ("qmpermm=7", 7), ("qmpermm=7 mmpfs=yes", 1)] {
        let config = loaded(&imported(&script(more), false)).config;
        assert_eq!(config.pad.peers()[0].ike.quick_modes, expected, "{more}");
        let (store, _) = store(&config).unwrap();
        let read = parse::script(&script(more)).unwrap().store(Location::Local);
        let (found, policy) = (&store.policies[0], &read.policies[0]);
        assert_eq!(found.session_limit, policy.session_limit);
        assert_eq!(found.master_pfs, policy.master_pfs);
    }
    let newer = loaded(&imported(&script("mmpfs=yes"), true));
    let warned = |found: &config::Diagnostic| found.message.contains("it speaks IKEv2");
    assert!(newer.report.diagnostics.iter().any(warned));
}

#[test]
fn a_dynamic_script_is_judged_by_what_is_in_force() {
    let base = "[[rule]]\nname = \"closed\"\nremote = \"10.6.0.0/16\"\naction = \"block\"\n";
    let script = "pushd ipsec dynamic\n\
                  add mmpolicy m\nadd qmpolicy q pfsgroup=GRP2\n\
                  add rule me 10.6.0.1 m q protocol=tcp dstport=110 psk=K3y-of-two-hosts-0n1y\n\
                  add rule 10.6.0.2 me actioninbound=permit actionoutbound=permit\n";
    for modern in [false, true] {
        let done = match dynamic("dynamic.cmd", script, modern) {
            Ok(done) => done,
            Err(report) => panic!("{}", report.render(false)),
        };
        assert!(!done.delete_all && done.delete.is_empty());
        let text = done.add.unwrap();
        let piece = Piece {
            name: "dynamic.cmd".to_owned(),
            text: std::sync::Arc::new(policy::Secret::new(text.clone().into_bytes())),
            without: Vec::new(),
        };
        let nowhere = Path::new("/nonexistent/holdfast.toml");
        let composed = match piece::compose(&loaded(base).config, &piece, nowhere) {
            Ok(composed) => composed,
            Err(report) => panic!("{text}\n{}", report.render(false)),
        };
        assert_eq!(composed.rules, ["me_10.6.0.1_tcp_110", "10.6.0.2_me"]);
        let old = text.contains("windows2003") && text.contains("modp1024");
        assert_eq!(old, !modern, "{text}");
    }
    // A key is not shown, whatever is wrong.
    let report = dynamic(
        "dynamic.cmd",
        &script.replace("mmpolicy m", "mmpolicy n"),
        false,
    );
    let shown = report.err().unwrap().render(false);
    assert!(
        shown.contains("no mmpolicy `m`") && !shown.contains("0n1y"),
        "{shown}"
    );
}
