//! The policy file from outside: examples of the book, refusals, warnings, and mutated texts.

use std::time::Duration;

use policy::pad::IkePort;
use policy::{Action, AddressSpec, Direction, Flow, Retransmission, Spd};
use proptest::prelude::*;

use super::*;

const BOOK: &str = include_str!("../../../../docs/configuration.md");
const KEY: &str = "xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE";

fn no_files(_: &str, _: Secrecy) -> Result<Vec<u8>, String> {
    Err("there are no files in this test".to_owned())
}

fn good(text: &str) -> Loaded {
    match parse("test.toml", text, &mut no_files) {
        Ok(loaded) => loaded,
        Err(report) => panic!("{}", report.render(false)),
    }
}

fn bad(text: &str) -> Report {
    match parse("test.toml", text, &mut no_files) {
        Ok(_) => panic!("this was accepted:\n{text}"),
        Err(report) => *report,
    }
}

/// The examples of the operator's book.
fn examples() -> Vec<&'static str> {
    let blocks = BOOK.split("```toml\n").skip(1);
    blocks
        .map(|block| block.split("```").next().unwrap())
        .collect()
}

fn front_end() -> String {
    examples()[0].to_owned()
}

fn back_end() -> String {
    examples()[1].to_owned()
}

fn address(text: &str) -> std::net::IpAddr {
    text.parse().unwrap()
}

#[test]
fn the_front_end_of_the_book_protects_mail() {
    let text = front_end();
    let lines = text.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 10, "ten lines are promised, not {lines}");
    let Loaded { config, report } = good(&text);
    assert!(report.diagnostics.is_empty(), "{}", report.render(false));
    let spd = Spd::build(config.rules, &[address("10.20.0.1")]);
    let flow = |dst_port| Flow {
        src: address("10.20.0.1"),
        dst: address("10.20.0.10"),
        protocol: 6,
        src_port: 40_000,
        dst_port,
    };
    let action = |port| {
        let flow = flow(port);
        let found = spd.lookup(&flow, Direction::Outbound);
        found.rule().map(|found| found.rule.action.word())
    };
    assert_eq!(
        [110, 143, 25].map(action),
        [Some("require"), Some("require"), None]
    );
    assert_eq!(config.pad.peers().len(), 1);
    assert!(config.cluster.is_none());
}

#[test]
fn the_back_end_of_the_book_is_a_cluster() {
    let Loaded { config, report } = good(&back_end());
    assert!(report.diagnostics.is_empty(), "{}", report.render(false));
    let cluster = config.cluster.unwrap();
    let member = cluster.member("be2").unwrap();
    assert_eq!(member.peers.len(), 1);
    assert_eq!(
        member.peers[0].addresses,
        ["10.30.0.1:4511".parse().unwrap()]
    );
    assert_eq!(member.heartbeat, Duration::from_millis(20));
    assert!(
        cluster
            .member("be3")
            .err()
            .unwrap()
            .contains("no `[[cluster.node]]`")
    );
    let group = &cluster.groups[0];
    assert_eq!(group.addresses, [(address("10.20.0.10"), 24)]);
    let stop = group.stop.as_ref().unwrap().arguments().join(" ");
    assert_eq!(stop, "/bin/sh -c systemctl stop dovecot");
    // The services are here: a client's packet to them is protected, an answer too.
    let spd = Spd::build(config.rules, &[address("10.20.0.10")]);
    let request = Flow {
        src: address("10.20.0.1"),
        dst: address("10.20.0.10"),
        protocol: 6,
        src_port: 40_000,
        dst_port: 110,
    };
    assert!(spd.lookup(&request, Direction::Inbound).rule().is_some());
}

/// The first column of the table below a heading.
fn cells(heading: &str) -> Vec<&'static str> {
    let (_, after) = BOOK
        .split_once(heading)
        .unwrap_or_else(|| panic!("no {heading}"));
    let table = after.split("\n#").next().unwrap_or_default();
    let rows = table.lines().filter(|line| line.starts_with("| `"));
    rows.filter_map(|row| row.split('|').nth(1)).collect()
}

/// Every key that the book's tables name is read, and no other.
#[test]
fn the_book_has_every_key() {
    let sections = [
        ("## Top level", String::new(), front_end()),
        ("## `[node]`", "[node]\n".to_owned(), front_end()),
        ("## `[plane]`", "[plane]\n".to_owned(), front_end()),
        ("## `[[peer]]`", "[[peer]]\n".to_owned(), String::new()),
        ("## `[[rule]]`", "[[rule]]\n".to_owned(), String::new()),
        ("### `[policy]`", "[policy]\n".to_owned(), front_end()),
        (
            "### `[[filter_list]]`",
            "[[filter_list]]\n".to_owned(),
            front_end(),
        ),
        (
            "### `[[filter_list.filter]]`",
            "[[filter_list.filter]]\n".to_owned(),
            format!("{}\n[[filter_list]]\nname = \"a\"", front_end()),
        ),
        (
            "### `[[filter_action]]`",
            "[[filter_action]]\n".to_owned(),
            front_end(),
        ),
        (
            "### `[default_response]`",
            "[default_response]\n".to_owned(),
            front_end(),
        ),
        ("## `[cluster]`", "[cluster]\n".to_owned(), String::new()),
        (
            "### `[cluster.witness]`",
            "[cluster.witness]\n".to_owned(),
            "[cluster]\n".to_owned(),
        ),
        (
            "### `[[cluster.node]]`",
            "[[cluster.node]]\n".to_owned(),
            "[cluster]\n".to_owned(),
        ),
        (
            "### `[[cluster.group]]`",
            "[[cluster.group]]\n".to_owned(),
            "[cluster]\n".to_owned(),
        ),
    ];
    for (heading, header, rest) in sections {
        let mut cells = cells(heading);
        if heading.contains("peer") {
            cells.extend(self::cells("### Certificates and public keys"));
            cells.extend(self::cells("### Kerberos"));
        }
        assert!(!cells.is_empty(), "{heading}");
        let book: Vec<&str> = cells
            .iter()
            .flat_map(|cell| cell.split('`').skip(1).step_by(2))
            .collect();
        // An unknown key makes the reader list the ones that it knows.
        let text = match header.is_empty() {
            true => format!("qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1\n{rest}"),
            false => format!("{rest}\n{header}qqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqqq = 1\n"),
        };
        let report = bad(&text);
        let unknown = |found: &&Diagnostic| found.message.contains("has no key `qqq");
        let remedy = &report.diagnostics.iter().find(unknown).unwrap().remedy;
        let mut read: Vec<&str> = remedy.split('`').skip(1).step_by(2).collect();
        let tables = [
            "node",
            "plane",
            "peer",
            "rule",
            "cluster",
            "group",
            "witness",
            "policy",
            "filter_list",
            "filter_action",
            "default_response",
        ];
        if !["rule", "default"]
            .iter()
            .any(|word| heading.contains(word))
        {
            read.retain(|key| !tables.contains(key));
        }
        let mut book = book;
        book.sort_unstable();
        book.dedup();
        assert_eq!(book, read, "{heading}");
    }
}

/// The three files of the book about Windows: nothing to warn of, and each protects what it says at
/// either end.
#[test]
fn the_three_policies_of_kb821839() {
    const FILES: [(&str, &str); 3] = [
        (
            "passwords",
            include_str!("../../../../docs/policies/passwords.toml"),
        ),
        (
            "messages",
            include_str!("../../../../docs/policies/messages.toml"),
        ),
        (
            "everything",
            include_str!("../../../../docs/policies/everything.toml"),
        ),
    ];
    let mut keys = |_: &str, _| Ok(KEY.as_bytes().to_vec());
    let (front_end, mail, directory) = ("10.10.0.7", "10.20.0.10", "10.40.0.1");
    let action = |spd: &Spd, me: &str, to: &str, protocol, port| {
        let flow = Flow {
            src: address(me),
            dst: address(to),
            protocol,
            src_port: 40_000,
            dst_port: port,
        };
        let own = spd.local_addresses().contains(&flow.src);
        let direction = if own {
            Direction::Outbound
        } else {
            Direction::Inbound
        };
        let found = spd.lookup(&flow, direction).rule();
        found.map_or("clear", |found| {
            assert!(!found.entry.dormant);
            found.rule.action.word()
        })
    };
    for (name, text) in FILES {
        let loaded = match parse(name, text, &mut keys) {
            Ok(loaded) => loaded,
            Err(report) => panic!("{}", report.render(false)),
        };
        assert!(
            loaded.report.diagnostics.is_empty(),
            "{}",
            loaded.report.render(false)
        );
        assert_eq!(loaded.config.objects.policy.name, name);
        let here = Spd::build(loaded.config.rules.clone(), &[address(front_end)]);
        let there = Spd::build(loaded.config.rules, &[address(mail)]);
        let (messages, everything) = (name != "passwords", name == "everything");
        for (protocol, port, protected) in [
            (6, 110, true),
            (6, 143, true),
            (6, 80, messages),
            (6, 25, everything),
            (17, 110, everything),
        ] {
            let expected = if protected { "require" } else { "clear" };
            let found = action(&here, front_end, mail, protocol, port);
            assert_eq!(found, expected, "{name} {protocol} {port}");
            if !everything {
                let found = action(&there, front_end, mail, protocol, port);
                assert_eq!(found, expected, "{name} {protocol} {port} at the cluster");
            }
        }
        for (protocol, port, with) in [
            (6, 389, "require"),
            (17, 389, "require"),
            (6, 3268, "require"),
            (6, 135, "require"),
            (6, 445, "require"),
            (6, 88, "permit"),
            (17, 88, "permit"),
            (17, 53, "permit"),
        ] {
            let expected = if everything { with } else { "clear" };
            let found = action(&here, front_end, directory, protocol, port);
            assert_eq!(found, expected, "{name} {protocol} {port}");
        }
    }
}

#[test]
fn every_error_is_reported_with_place_and_remedy() {
    let report = bad(r#"
[[peer]]
name = "mail"
adress = "10.20.0.10"
psk = "secret"
rekey = "4 weeks"

[[rule]]
name = "passwords"
remote = "10.20.0.300"
profile = "password"
action = "requires"
"#);
    let found: Vec<(usize, usize, &str, &str)> = report
        .diagnostics
        .iter()
        .map(|one| {
            (
                one.line,
                one.column,
                one.message.as_str(),
                one.remedy.as_str(),
            )
        })
        .collect();
    let has = |line, column, message: &str, remedy: &str| {
        let hit = |one: &&(usize, usize, &str, &str)| {
            one.0 == line && one.1 == column && one.2.contains(message) && one.3.contains(remedy)
        };
        assert!(
            found.iter().any(|one| hit(&one)),
            "{line}:{column} {message}: {found:#?}"
        );
    };
    has(4, 1, "no key `adress`", "did you mean `address`?");
    has(2, 1, "needs a `address`", "add `address = \"10.20.0.10\"`");
    has(5, 7, "is weak", "holdfast psk");
    has(6, 9, "this is no duration", "\"1m\"` to `\"30d\"");
    has(10, 10, "`10.20.0.300` is no address", "10.0.0.0/24");
    has(
        11,
        11,
        "`password` is not known here",
        "did you mean `\"passwords\"`?",
    );
    has(
        12,
        10,
        "`requires` is not known here",
        "did you mean `\"require\"`?",
    );
    let text = report.render(false);
    assert!(text.contains("--> test.toml:4:1"), "{text}");
    assert!(!text.contains("secret"), "the key is shown:\n{text}");
}

#[test]
fn what_is_no_toml_has_a_place_too() {
    let report = bad("[[peer]]\nname = \"mail\nkey = 1\n");
    let first = &report.diagnostics[0];
    assert_eq!(first.line, 2);
    assert!(first.message.starts_with("this is no TOML"), "{first:?}");
    assert!(!report.render(false).is_empty());
}

fn with_rule(lines: &str) -> String {
    format!(
        "[[peer]]\nname = \"p\"\naddress = \"10.0.0.0/24\"\npsk = \"{KEY}\"\n\n\
         [[rule]]\nname = \"r\"\nremote = \"10.0.0.5\"\naction = \"require\"\n{lines}\n"
    )
}

#[test]
fn contradictions_are_errors() {
    let cases = [
        (
            "protocol = \"icmp\"\nremote_ports = 80",
            "names ports of a protocol that has none",
        ),
        (
            "profile = \"messages\"\nremote_ports = 80",
            "has a profile and `remote_ports` too",
        ),
        ("side = \"server\"", "has a `side` and no `profile`"),
        ("mirrored = false", "one way only, which IPsec cannot do"),
        ("direction = \"in\"", "is mirrored, so it has no direction"),
        ("local = \"2001:db8::1\"", "IPv4 here, IPv6 there"),
        ("peer = \"q\"", "there is no peer `q`"),
        ("mode = \"tunnel\"", "without an end to call"),
        ("mode = \"tunnel\"\npeer = \"p\"", "without an end to call"),
        ("per_resource = 128", "128 is out of range"),
        ("replay_window = 100", "no multiple of 64"),
        ("dscp = 64", "64 is out of range"),
        ("df = \"maybe\"", "`maybe` is not known"),
        ("dscp = 10", "has `dscp` in transport mode"),
        ("df = \"copy\"", "has `df` in transport mode"),
        ("esp_proposals = \"3des-sha1\"", "can be broken"),
        ("profile = \"kb821839\"", "not known here"),
        ("remote_ports = 0", "0 is no port"),
        ("remote_ports = \"20-10\"", "is no port"),
        ("local = \"10.0.0.5/24\"", "bits set behind its prefix"),
        ("local = []", "the list is empty"),
        ("filter = 1", "must be an array of tables"),
        (
            "[[rule.filter]]\nremote = \"any\"",
            "has filters of its own and `remote` too",
        ),
        (
            "[[rule]]\nname = \"r\"\nremote = \"10.0.0.6\"\naction = \"block\"",
            "called `r`",
        ),
        (
            "[[rule]]\nname = \"s\"\nremote = \"10.9.0.6\"\naction = \"request\"",
            "no peer has",
        ),
        (
            "[[rule]]\nname = \"s\"\nremote = \"any\"\naction = \"block\"\nidle = 60",
            "negotiates",
        ),
        (
            "[[rule]]\nname = \"s\"\nremote = \"me\"\naction = \"block\"",
            "`me` is this side",
        ),
        (
            "[node]\ncontrol_socket = \"relative\"",
            "the path is not absolute",
        ),
        (
            "[plane]\ntun = \"a name that is too long\"",
            "is no name of an interface",
        ),
        ("[plane]\ntable = 254", "one of the kernel's own tables"),
        ("[plane]\nmtu = 100", "100 is out of range"),
        ("[cluster]", "the cluster has 0 nodes"),
    ];
    for (lines, message) in cases {
        let report = bad(&with_rule(lines));
        let said = |found: &Diagnostic| found.message.contains(message);
        assert!(
            report.diagnostics.iter().any(said),
            "{lines}:\n{}",
            report.render(false)
        );
        let with_remedy = |found: &Diagnostic| !found.remedy.is_empty() && found.line > 0;
        assert!(
            report.diagnostics.iter().all(with_remedy),
            "{}",
            report.render(false)
        );
    }
}

#[test]
fn contradictions_of_peers_and_clusters_are_errors() {
    let peer = format!("[[peer]]\nname = \"q\"\naddress = \"10.0.0.0/24\"\npsk = \"{KEY}\"\n");
    let report = bad(&with_rule(&peer));
    assert!(
        report
            .render(false)
            .contains("the same addresses and identity")
    );
    let both = with_rule("").replace("psk =", "psk_file = \"key\"\npsk =");
    assert!(bad(&both).render(false).contains("has two keys"));
    assert!(
        bad(&with_rule("").replace("psk = ", "hints = true #"))
            .render(false)
            .contains("no key")
    );
    assert!(
        bad(&format!("nlbs_flags = 1\n{}", with_rule("")))
            .render(false)
            .contains("nlbs_flags")
    );
    let cases = [
        ("\"10.30.0.1\"", "\"10.20.0.10\"", "own address"),
        ("\"be2\"]", "\"be3\"]", "no node of the cluster"),
        ("10.20.0.10/24", "10.20.0.10", "no such address"),
        (
            "[cluster]",
            "[node]\nname = \"be9\"\n[cluster]",
            "no such node",
        ),
        ("\"be2\"\naddress", "\"be1\"\naddress", "twice"),
        (
            "Jq0m5v3yZl8cX2nBf6kWgS9dRt4hPa7eUoI1uYiTxQM",
            KEY,
            "has the cluster's key",
        ),
        (
            "Jq0m5v3yZl8cX2nBf6kWgS9dRt4hPa7eUoI1uYiTxQM",
            "too-short",
            "32 to 256",
        ),
    ];
    for (from, to, message) in cases {
        let text = back_end().replace("name    = ", "name = ");
        let changed = text.replacen(from, to, 1);
        assert_ne!(text, changed, "{from}");
        let shown = bad(&changed);
        let shown = shown.render(false);
        assert!(shown.contains(message), "{from} -> {to}: {shown}");
        assert!(!shown.contains(KEY), "{shown}");
    }
}

#[test]
fn what_is_unwise_is_a_warning() {
    let warnings = |text: &str| {
        let report = good(text).report;
        assert!(!report.has_errors());
        report
            .diagnostics
            .iter()
            .map(|found| found.message.clone())
            .collect::<Vec<_>>()
    };
    let weak = with_rule("").replace(KEY, "secret\"\nallow_weak_psk = true #");
    assert!(warnings(&weak)[0].contains("is weak"));
    let tie = "[[rule]]\nname = \"s\"\nremote = \"10.0.0.5\"\naction = \"require\"";
    assert!(warnings(&with_rule(tie))[0].contains("`s` never decides anything: `r`"));
    let tie = "protocol = \"tcp\"\n[[rule]]\nname = \"s\"\nprotocol = \"tcp\"\n\
               remote = [\"10.0.0.5\", \"10.0.0.6\"]\naction = \"require\"";
    assert!(warnings(&with_rule(tie))[0].contains("`r` and `s` are equally specific"));
    let all = "[[rule]]\nname = \"s\"\nremote = \"any\"\naction = \"block\"";
    assert!(warnings(&with_rule(all))[0].contains("DHCP, DNS and SSH"));
    assert!(warnings(&with_rule("profile = \"everything\""))[0].contains("KB254949"));
    assert!(warnings("")[0].contains("no rule"));
    assert!(good("").report.render(true).contains("no rule"));
    assert!(warnings(&with_rule("[node]\nkey_log_dir = \"/tmp/keys\""))[0].contains("decrypt"));
}

#[test]
fn the_old_timers_and_their_exceptions() {
    let idle = |text: &str| {
        let config = good(text).config;
        let child = config.rules[0].action.child().unwrap().idle;
        let ike = &config.pad.peers()[0].ike;
        (
            child.map(|idle| idle.as_secs()),
            ike.retransmission.total().as_secs(),
            ike.liveness,
        )
    };
    let old = |flags: &str, rule: &str| {
        idle(&format!(
            "profile = \"kb821839\"\n{flags}\n{}",
            with_rule(rule)
        ))
    };
    assert_eq!(old("", ""), (Some(300), 63, None));
    assert_eq!(old("nlbs_flags = 1", ""), (Some(60), 63, None));
    assert_eq!(old("nlbs_flags = 1", "idle = \"90s\"").0, Some(90));
    assert_eq!(old("", "idle = \"off\"").0, None);
    let (none, total, liveness) = idle(&with_rule(""));
    assert_eq!((none, total), (None, 8));
    assert!(liveness.is_some());
    let one = with_rule("").replace("name = \"p\"", "name = \"p\"\nprofile = \"kb821839\"");
    assert_eq!(idle(&one), (Some(300), 63, None));
    let back = one.replace(
        "profile = \"kb821839\"",
        "profile = \"modern\"\nliveness = \"off\"",
    );
    assert_eq!(
        idle(&format!("profile = \"kb821839\"\n{back}")),
        (None, 8, None)
    );
}

#[test]
fn settings_arrive_where_they_belong() {
    let text = format!(
        r#"
[node]
name = "fe1"
run_dir = "/run/other"
[plane]
tun = "tun7"
mtu = 1380
encapsulation = "udp"
[[peer]]
name = "p"
address = ["10.0.0.1", "2001:db8::/64"]
psk = "0x{}"
local_id = "fe.example.org"
remote_id = "ops@example.org"
ike_proposals = ["aes256gcm16-prfsha384-ecp384", "aes256-sha256-modp2048"]
port = "4500"
retransmission = ["100ms", 1, "2s"]
liveness = "5s"
hints = false
[[rule]]
name = "t"
action = "request"
peer = "p"
mode = "tunnel"
esp_proposals = "aes256-sha256-modp2048-noesn"
rekey = "10m"
rekey_bytes = "10GiB"
rekey_packets = 1_000_000
replay_window = 4096
per_resource = 8
dscp = 10
df = "clear"
[[rule.filter]]
remote = ["192.0.2.0/24", "198.51.100.7-198.51.100.9"]
protocol = "udp"
remote_ports = [53, "5000-5010"]
[[rule.filter]]
local = ["me", "any"]
remote = "2001:db8:1::/48"
"#,
        "00112233445566778899aabbccddeeff0f1e2d3c4b5a69788796a5b4c3d2e1f0"
    );
    let config = good(&text).config;
    assert_eq!(
        config.node.control_socket,
        Path::new("/run/other/control.sock")
    );
    assert_eq!(
        (config.plane.tun.as_str(), config.plane.mtu),
        ("tun7", 1380)
    );
    let peer = &config.pad.peers()[0];
    assert_eq!(peer.addresses.len(), 2);
    assert_eq!(peer.local_id.to_string(), "fe.example.org");
    assert_eq!(peer.remote_id.to_string(), "ops@example.org");
    assert_eq!(
        (peer.ike.port, peer.ike.force_udp, peer.ike.hints),
        (IkePort::Only4500, true, false)
    );
    assert_eq!(
        peer.ike.proposals[0].to_string(),
        "aes256gcm16-prfsha384-ecp384"
    );
    let ladder = [100, 1000, 2000].map(Duration::from_millis);
    assert_eq!(
        Some(peer.ike.retransmission.clone()),
        Retransmission::new(&ladder)
    );
    let secret = peer.auth.secrets().next().unwrap();
    assert_eq!(secret.len(), 32);
    let rule = &config.rules[0];
    let Action::Negotiate(negotiate) = &rule.action else {
        panic!("{rule:?}")
    };
    assert!(!negotiate.required);
    let child = &negotiate.child;
    assert_eq!(
        child.proposals[0].to_string(),
        "aes256-sha256-modp2048-noesn"
    );
    assert_eq!(child.lifetime.rekey, Duration::from_secs(600));
    assert_eq!(child.lifetime.bytes, Some(10 << 30));
    assert_eq!(
        (child.lifetime.packets, child.replay_window),
        (1_000_000, 4096)
    );
    let outer = policy::child::OuterHeader {
        dscp: Some(10),
        dont_fragment: policy::child::DontFragment::Clear,
    };
    assert_eq!((child.outer, child.per_resource), (outer, 8));
    assert_eq!(rule.filters.len(), 2);
    assert_eq!(rule.filters[0].protocol, 17);
    assert_eq!(rule.filters[0].local, [AddressSpec::Me]);
    assert_eq!(rule.filters[1].local, [AddressSpec::Me, AddressSpec::Any]);
}

#[test]
fn keys_in_files_of_their_own() {
    let text = with_rule("").replace(&format!("psk = \"{KEY}\""), "psk_file = \"mail.key\"");
    let mut files = |name: &str, secrecy: Secrecy| {
        assert_eq!(secrecy, Secrecy::Secret);
        assert_eq!(name, "mail.key");
        Ok(format!("{KEY}\n").into_bytes())
    };
    let loaded = parse("test.toml", &text, &mut files).unwrap_or_else(|_| panic!());
    let secret = loaded.config.pad.peers()[0].auth.secrets().next().unwrap();
    assert_eq!(secret.as_bytes(), KEY.as_bytes());
    assert!(
        bad(&text)
            .render(false)
            .contains("cannot be read: there are no files")
    );
}

#[test]
fn files_that_others_may_read() {
    let directory = std::env::temp_dir().join(format!("holdfast-config-{}", std::process::id()));
    fs::create_dir_all(&directory).unwrap();
    let (policy, key) = (directory.join("policy.toml"), directory.join("mail.key"));
    let set = |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode));
    fs::write(&policy, with_rule("")).unwrap();
    set(&policy, 0o600).unwrap();
    assert_eq!(
        load(&policy)
            .map_err(|_| ())
            .unwrap()
            .report
            .diagnostics
            .len(),
        0
    );
    set(&policy, 0o644).unwrap();
    let report = load(&policy).map_err(|_| ()).unwrap().report;
    assert!(
        report
            .render(false)
            .contains("others than its owner may read"),
        "warned"
    );
    let text = with_rule("").replace(&format!("psk = \"{KEY}\""), "psk_file = \"mail.key\"");
    fs::write(&policy, text).unwrap();
    fs::write(&key, KEY).unwrap();
    set(&key, 0o640).unwrap();
    let report = load(&policy).err().unwrap();
    assert!(report.render(false).contains("chmod 600"));
    set(&key, 0o600).unwrap();
    assert!(load(&policy).is_ok());
    fs::remove_file(&key).unwrap();
    assert!(
        load(&policy)
            .err()
            .unwrap()
            .render(false)
            .contains("cannot be read")
    );
    assert!(
        load(&key)
            .err()
            .unwrap()
            .render(false)
            .contains("the policy file cannot be read")
    );
    fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn a_reload_knows_what_changed() {
    let before = good(&back_end()).config;
    assert!(diff(&before, &good(&format!("{}\n# note", back_end())).config).is_empty());
    let text = back_end()
        .replace("= \"passwords\"", "= \"messages\"")
        .replace("10.20.0.0/24", "any");
    let more = "[[peer]]\nname = \"new\"\naddress = \"10.9.0.1\"\npsk = \"";
    let text = format!(
        "{text}\n{more}{}\"\n[plane]\nmtu = 1300\n",
        KEY.replace('x', "y")
    );
    let changes = diff(&before, &good(&text).config);
    assert_eq!(changes.rules_changed, ["mail-passwords".into()]);
    assert_eq!(changes.peers_changed, ["front-ends".into()]);
    assert_eq!(changes.peers_added, ["new".into()]);
    assert_eq!(changes.needs_restart, ["plane.mtu"]);
    assert!(!changes.cluster);
    let back = diff(&good(&text).config, &before);
    assert_eq!(back.peers_removed, ["new".into()]);
    let key = good(&back_end().replacen("xT1v", "xT2v", 1)).config;
    assert_eq!(diff(&before, &key).peers_changed, ["front-ends".into()]);
    let cluster = good(&back_end().replacen("Jq0m", "Jq1m", 1)).config;
    let changes = diff(&before, &cluster);
    assert!(changes.cluster && changes.rules_changed.is_empty());
}

#[test]
fn deep_nesting_and_size_are_bounded() {
    for open in ["[", "{a=", "[{a="] {
        let report = bad(&format!("a = {}", open.repeat(100_000)));
        assert!(report.diagnostics.len() <= diagnostic::MAX_PROBLEMS);
        assert!(!report.render(false).is_empty());
    }
    let many = "x = 1\n".repeat(1_000);
    let report = bad(&many);
    assert!(report.diagnostics.len() + report.more >= 999);
    assert!(report.render(false).contains("more."));
    assert!(
        bad(&" ".repeat(MAX_FILE + 1))
            .render(false)
            .contains("has more than")
    );
}

/// A change somewhere in a text: bytes gone, doubled, or replaced by what means something in TOML.
fn mutate(text: &str, changes: &[(u16, u8, u8)]) -> String {
    let pieces = [
        "\"",
        "'",
        "[",
        "]",
        "[[",
        "]]",
        "=",
        "\n",
        ".",
        "{",
        "}",
        "#",
        ",",
        "-",
        "/",
        "\\",
        "0",
        "\u{0}",
        "é",
        "me",
        "any",
        "true",
        "1e9",
        "9999999999999999999",
        "\"\"\"",
        "10.0.0.0/8",
        "::",
        "rule",
        "peer",
        "filter",
        "cluster",
        "profile",
        "[cluster]\n",
        "[[rule]]\n",
    ];
    let mut chars: Vec<char> = text.chars().collect();
    for (place, kind, choice) in changes {
        let place = usize::from(*place) % (chars.len() + 1);
        let piece = pieces[usize::from(*choice) % pieces.len()];
        let end = (place + usize::from(*choice)).min(chars.len());
        match kind % 4 {
            0 => drop(chars.drain(place..end)),
            1 => drop(chars.splice(place..place, piece.chars())),
            2 => drop(chars.splice(place..end, piece.chars())),
            _ => {
                let again: Vec<char> = chars[place..end].to_vec();
                chars.splice(place..place, again);
            }
        }
    }
    chars.into_iter().collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn no_text_makes_it_panic(
        which in 0..2usize,
        changes in proptest::collection::vec(any::<(u16, u8, u8)>(), 1..6),
    ) {
        let text = mutate(examples()[which], &changes);
        let report = match parse("mutated.toml", &text, &mut no_files) {
            Ok(loaded) => {
                prop_assert!(!loaded.report.has_errors());
                // What is accepted can be used.
                let local = [address("10.20.0.10"), address("2001:db8::1")];
                let spd = Spd::build(loaded.config.rules, &local);
                prop_assert!(spd.entries().len() < 10_000);
                loaded.report
            }
            Err(report) => {
                prop_assert!(report.has_errors());
                *report
            }
        };
        for found in &report.diagnostics {
            prop_assert!(text.get(found.span.clone()).is_some());
            prop_assert!(found.line >= 1 && found.column >= 1);
        }
        let shown = report.render(false);
        prop_assert!(!shown.contains(&KEY[10..30]), "{}", shown);
    }
}
