//! What a piece is judged by: what is in force, and the rules of policy files.

use super::*;
use crate::config::parse;
use policy::{Direction, Flow, Spd};

const KEY: &str = "psk = \"xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE\"";

fn in_force(text: &str) -> Config {
    let mut none = |_: &str, _| Err("no files".to_owned());
    match parse("holdfast.toml", text, &mut none) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{}", report.render(false)),
    }
}

fn with(config: &Config, text: &str) -> Result<Composed, Box<Report>> {
    let piece = Piece {
        name: "piece.toml".to_owned(),
        text: std::sync::Arc::new(Secret::new(text.as_bytes().to_vec())),
        without: Vec::new(),
    };
    let mut none = |_: &str, _| Err("no files".to_owned());
    let mut nobody = |address: &Address| Err(format!("`{address}` is not looked up"));
    compose_with(config, &piece, &mut none, &mut nobody)
}

/// What is wrong with a piece: line, column, message.
fn wrong(config: &Config, text: &str) -> Vec<(usize, usize, String)> {
    let report = with(config, text).err().expect("it is refused");
    let shown = report.render(false);
    assert!(!shown.contains("Vb2cQ4mW0"), "the key is shown: {shown}");
    let found = report.diagnostics.iter();
    found
        .inspect(|one| assert!(!one.remedy.is_empty(), "{one:?}"))
        .map(|one| (one.line, one.column, one.message.clone()))
        .collect()
}

fn base() -> Config {
    in_force(&format!(
        "[[peer]]\nname = \"mail\"\naddress = \"10.0.0.1\"\n{KEY}\n\
         [[filter_list]]\nname = \"pop\"\n[[filter_list.filter]]\nsource = \"me\"\n\
         destination = \"10.0.0.1\"\nprotocol = \"tcp\"\ndestination_port = 110\n\
         [[filter_action]]\nname = \"protect\"\naction = \"require\"\n\
         [[rule]]\nname = \"closed\"\nremote = \"10.6.6.6\"\naction = \"block\"\n"
    ))
}

#[test]
fn it_may_name_what_is_in_force() {
    let text = "[[rule]]\nname = \"pop\"\nfilter_list = \"pop\"\nfilter_action = \"protect\"\n\
                peer = \"mail\"\n";
    let composed = with(&base(), text).ok().unwrap();
    assert_eq!(composed.rules, ["pop"]);
    assert_eq!(composed.config.rules.len(), base().rules.len() + 1);
    let child = composed
        .config
        .rules
        .last()
        .unwrap()
        .action
        .child()
        .unwrap();
    assert!(
        !child.proposals.is_empty(),
        "it has the algorithms of its peer"
    );
}

#[test]
fn between_equals_it_decides() {
    let text = "[[rule]]\nname = \"open\"\nremote = \"10.6.6.6\"\naction = \"permit\"\n";
    let composed = with(&base(), text).ok().unwrap();
    assert!(composed.report.diagnostics.is_empty(), "that is no tie");
    let me = "10.0.0.9".parse().unwrap();
    let spd = Spd::build(composed.config.rules, &[me]);
    let flow = Flow {
        src: me,
        dst: "10.6.6.6".parse().unwrap(),
        protocol: 6,
        src_port: 4000,
        dst_port: 80,
    };
    let found = spd.lookup(&flow, Direction::Outbound).rule().unwrap();
    assert_eq!(found.rule.name.as_str(), "open");
}

#[test]
fn every_fault_has_its_place_in_the_piece() {
    let base = base();
    for (text, place, message) in [
        ("[[rule]\n", (1, 8), "this is no TOML"),
        ("", (1, 1), "this adds nothing"),
        (
            "\n[node]\nname = \"x\"\n",
            (2, 1),
            "`node` is about the whole host",
        ),
        ("profile = \"kb821839\"\n", (1, 11), "`profile` is about"),
        (
            "[[rule]]\nname = \"closed\"\nremote = \"10.0.0.2\"\naction = \"permit\"\n",
            (1, 1),
            "there is a rule `closed` already",
        ),
        (
            "[[rule]]\nname = \"a\"\nremote = \"10.0.0.2\"\naction = \"require\"\n",
            (3, 10),
            "addresses that no peer has",
        ),
        (
            "[[rule]]\nname = \"a\"\nremote = \"10.0.0.1\"\naction = \"allow\"\n",
            (4, 10),
            "allow",
        ),
        (
            "[[rule]]\nname = \"a\"\nfilter_list = \"popp\"\naction = \"block\"\n",
            (3, 15),
            "there is no filter list `popp`",
        ),
        (
            "[[filter_list]]\nname = \"pop\"\n",
            (1, 1),
            "two of the filter lists are called `pop`",
        ),
    ] {
        let found = wrong(&base, text);
        let (line, column, first) = found.first().unwrap();
        assert!(first.contains(message), "{text}: {found:?}");
        assert_eq!((*line, *column), place, "{text}: {found:?}");
    }
}

#[test]
fn its_peers_must_be_told_from_those_in_force() {
    let other = KEY.replace("xT1v", "xT1w");
    let twin = format!("\n[[peer]]\nname = \"other\"\naddress = \"10.0.0.1\"\n{other}\n");
    let found = wrong(&base(), &twin);
    assert!(
        found[0].2.contains("the same addresses and identity"),
        "{found:?}"
    );
    assert_eq!(found[0].0, 2);
    let same = format!("[[peer]]\nname = \"mail\"\naddress = \"10.0.0.4\"\n{KEY}\n");
    assert!(wrong(&base(), &same)[0].2.contains("a peer `mail` already"));
    // A rule in force that names no peer would get one of another generation.
    let text = format!(
        "[[peer]]\nname = \"mail\"\naddress = \"10.0.0.1\"\n{KEY}\n\
         [[rule]]\nname = \"all\"\nremote = \"10.0.0.0/24\"\naction = \"request\"\n"
    );
    let old = format!(
        "[[peer]]\nname = \"old\"\naddress = \"10.0.0.7\"\nlegacy = \"windows2003\"\n{KEY}\n"
    );
    let found = wrong(&in_force(&text), &old);
    assert!(found[0].2.contains("different generations"), "{found:?}");
}

#[test]
fn a_rule_that_never_decides_is_warned_of_in_the_piece_alone() {
    let text = "[[rule]]\nname = \"closed too\"\nremote = \"10.6.6.6\"\naction = \"block\"\n\
                [[rule]]\nname = \"never\"\nremote = \"10.6.6.6\"\naction = \"permit\"\n";
    let composed = with(&base(), text).ok().unwrap();
    let warnings: Vec<&str> = composed
        .report
        .diagnostics
        .iter()
        .map(|one| one.message.as_str())
        .collect();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(
        warnings[0].contains("`never` never decides"),
        "{warnings:?}"
    );
}

#[test]
fn a_peer_in_force_may_be_said_again_by_another_name() {
    for name in ["again", "mail"] {
        let text = format!(
            "[[peer]]\nname = \"{name}\"\naddress = \"10.0.0.1\"\n{KEY}\n\
             [[rule]]\nname = \"pop\"\nremote = \"10.0.0.1\"\naction = \"require\"\n\
             peer = \"{name}\"\n"
        );
        let composed = with(&base(), &text).ok().unwrap();
        assert_eq!(composed.config.pad.peers().len(), 1);
        assert!(composed.peers.is_empty());
        let rule = composed.config.rules.last().unwrap();
        assert_eq!(rule.peer.as_ref().map(PeerName::as_str), Some("mail"));
    }
}
