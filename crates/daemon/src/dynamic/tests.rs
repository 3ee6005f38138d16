//! Pieces come and go one by one, stay through reloads, and are refused where they contradict.

use super::*;
use api::PolicyText;
use policy::Origin;
use std::os::unix::fs::PermissionsExt;

const KEY: &str = "psk = \"xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE\"";
const NOWHERE: &str = "/nonexistent/holdfast.toml";

fn parse(text: &str) -> Config {
    let mut none = |_: &str, _| Err("no files".to_owned());
    match crate::config::parse("holdfast.toml", text, &mut none) {
        Ok(loaded) => loaded.config,
        Err(report) => panic!("{}", report.render(false)),
    }
}

fn peer(name: &str, address: &str) -> String {
    format!("[[peer]]\nname = \"{name}\"\naddress = \"{address}\"\n{KEY}\n")
}

fn rule(name: &str, remote: &str, action: &str) -> String {
    format!("[[rule]]\nname = \"{name}\"\nremote = \"{remote}\"\naction = \"{action}\"\n")
}

fn files() -> Config {
    parse(&(peer("mail", "10.0.0.1") + &rule("mail", "10.0.0.1", "require")))
}

fn add(text: &str) -> DynamicChange {
    DynamicChange {
        add: Some(PolicyText(text.to_owned())),
        name: Some("piece.toml".to_owned()),
        ..DynamicChange::default()
    }
}

fn delete(name: &str) -> DynamicChange {
    DynamicChange {
        delete: vec![name.to_owned()],
        ..DynamicChange::default()
    }
}

fn change(dynamic: &Dynamic, change: &DynamicChange) -> Composed {
    match dynamic.change(change, Path::new(NOWHERE)) {
        Ok(composed) => composed,
        Err(refusal) => panic!("{refusal:?}"),
    }
}

fn refused(dynamic: &Dynamic, change: &DynamicChange) -> String {
    match dynamic.change(change, Path::new(NOWHERE)) {
        Ok(_) => panic!("it is taken: {change:?}"),
        Err(Refusal::NotFound(why) | Refusal::Wrong(why)) => why,
    }
}

/// The rules in force, without what is exempt; `+` marks dynamic ones.
fn rules(config: &Config) -> Vec<String> {
    let shown = |rule: &policy::Rule| match rule.origin {
        Origin::Dynamic => format!("+{}", rule.name),
        _ => rule.name.to_string(),
    };
    let rules = config.rules.iter();
    let rules = rules.filter(|rule| rule.action != policy::Action::Exempt);
    rules.map(shown).collect()
}

#[test]
fn rules_come_and_go() {
    let dynamic = Dynamic::new(files());
    let text = rule("evil", "10.6.6.6", "block") + &rule("guest", "10.0.0.2", "permit");
    let two = change(&dynamic, &add(&text));
    assert_eq!(rules(&two.config), ["mail", "+evil", "+guest"]);
    let with_peer = peer("lab", "10.0.0.3") + &rule("lab", "10.0.0.3", "require");
    let three = change(&two.dynamic, &add(&with_peer));
    assert_eq!(rules(&three.config), ["mail", "+evil", "+guest", "+lab"]);
    assert_eq!(three.config.pad.peers().len(), 2);
    assert_eq!(three.dynamic.peers().count(), 1);
    // One by one; the peer goes with the last rule of its piece.
    let less = change(&three.dynamic, &delete("evil"));
    assert_eq!(rules(&less.config), ["mail", "+guest", "+lab"]);
    let less = change(&less.dynamic, &delete("lab"));
    assert_eq!(rules(&less.config), ["mail", "+guest"]);
    assert_eq!(less.config.pad.peers().len(), 1);
    assert_eq!(less.dynamic.peers().count(), 0);
    let all = DynamicChange {
        delete_all: true,
        ..DynamicChange::default()
    };
    assert_eq!(rules(&change(&three.dynamic, &all).config), ["mail"]);
    // A name may be used again, and one step may do both.
    let mut instead = add(&rule("evil", "10.6.6.0/24", "block"));
    instead.delete = vec!["evil".to_owned()];
    let instead = change(&two.dynamic, &instead);
    assert_eq!(rules(&instead.config), ["mail", "+guest", "+evil"]);
}

#[test]
fn what_is_not_there_cannot_be_deleted() {
    let dynamic = Dynamic::new(files());
    assert!(refused(&dynamic, &delete("nobody")).contains("no dynamic rule `nobody`"));
    // What the file has is the file's.
    assert!(refused(&dynamic, &delete("mail")).contains("deleted in the file"));
    // A change that cannot be done as a whole does nothing.
    let two = change(&dynamic, &add(&rule("a", "10.0.0.5", "block")));
    let mut both = delete("a");
    both.delete.push("nobody".to_owned());
    refused(&two.dynamic, &both);
    assert_eq!(two.dynamic.rules().count(), 1);
}

#[test]
fn a_piece_of_peers_alone_goes_by_their_name() {
    let text = "[[rule]]\nname = \"any\"\nremote = \"10.0.0.0/24\"\naction = \"request\"\n";
    let dynamic = Dynamic::new(parse(&(peer("mail", "10.0.0.1") + text)));
    let more = change(&dynamic, &add(&peer("new", "10.0.0.9")));
    assert_eq!(more.config.pad.peers().len(), 2);
    let less = change(&more.dynamic, &delete("new"));
    assert_eq!(less.config.pad.peers().len(), 1);
}

#[test]
fn a_peer_that_another_piece_needs_stays() {
    let dynamic = Dynamic::new(files());
    let first = peer("lab", "10.0.0.3") + &rule("first", "10.0.0.3", "require");
    let first = change(&dynamic, &add(&first));
    let second = "[[rule]]\nname = \"second\"\nremote = \"10.0.0.3\"\nremote_ports = 25\n\
                  action = \"require\"\npeer = \"lab\"\n";
    let both = change(&first.dynamic, &add(second));
    let why = refused(&both.dynamic, &delete("first"));
    assert!(why.contains("there is no peer `lab`"), "{why}");
    let mut whole = delete("first");
    whole.delete.push("second".to_owned());
    assert_eq!(rules(&change(&both.dynamic, &whole).config), ["mail"]);
}

#[test]
fn a_reload_keeps_what_is_dynamic() {
    let dynamic = Dynamic::new(files());
    let piece = "[[rule]]\nname = \"pop\"\nremote = \"10.0.0.1\"\nremote_ports = 110\n\
                 action = \"require\"\npeer = \"mail\"\n";
    let before = change(&dynamic, &add(piece));
    let again = parse(&(peer("mail", "10.0.0.1") + &rule("web", "10.0.0.1", "request")));
    let after = before
        .dynamic
        .reload(again, Path::new(NOWHERE))
        .ok()
        .unwrap();
    assert_eq!(rules(&after.config), ["web", "+pop"]);
    // The file has lost the peer, or has a rule of that name itself.
    let lost = parse(&rule("web", "10.0.0.1", "block"));
    let why = before
        .dynamic
        .reload(lost, Path::new(NOWHERE))
        .err()
        .unwrap();
    assert!(
        why.contains("do not go together") && why.contains("piece.toml"),
        "{why}"
    );
    let twin = parse(&(peer("mail", "10.0.0.1") + &rule("pop", "10.0.0.1", "request")));
    let why = before
        .dynamic
        .reload(twin, Path::new(NOWHERE))
        .err()
        .unwrap();
    assert!(why.contains("there is a rule `pop` already"), "{why}");
}

#[test]
fn dynamic_rules_are_bounded() {
    let mut dynamic = Dynamic::new(files());
    for number in 0..MAX_PIECES {
        let text = rule(&format!("r{number}"), &format!("10.6.0.{number}"), "block");
        let one = change(&Dynamic::new(files()), &add(&text)).dynamic;
        dynamic.pieces.extend(one.pieces);
    }
    let why = refused(&dynamic, &add(&rule("more", "10.7.0.1", "block")));
    assert!(why.contains("no more may be"), "{why}");
    let mut instead = add(&rule("more", "10.7.0.1", "block"));
    instead.delete = vec!["r0".to_owned()];
    assert_eq!(rules(&change(&dynamic, &instead).config).len(), 65);
}

#[test]
fn pieces_share_a_peer_and_each_could_do_without_the_others() {
    let dynamic = Dynamic::new(parse(&rule("web", "10.0.0.1", "block")));
    let piece = |name: &str, port: u16| {
        let more = format!("remote_ports = {port}\npeer = \"{name}\"\n");
        peer(name, "10.0.0.3") + &rule(name, "10.0.0.3", "require") + &more
    };
    let one = change(&dynamic, &add(&piece("pop", 110)));
    let two = change(&one.dynamic, &add(&piece("imap", 143)));
    assert_eq!(two.config.pad.peers().len(), 1);
    let left = change(&two.dynamic, &delete("pop"));
    assert_eq!(rules(&left.config), ["web", "+imap"]);
    let peers: Vec<String> = left.dynamic.peers().map(|name| name.to_string()).collect();
    assert_eq!(peers, ["imap"]);
}

#[test]
fn what_only_comes_asks_nothing_of_the_files_of_the_others() {
    let folder = std::env::temp_dir().join(format!("holdfast-dynamic-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (key, beside) = (folder.join("key"), folder.join("holdfast.toml"));
    std::fs::write(&key, "xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE\n").unwrap();
    let private = std::fs::Permissions::from_mode(0o600);
    std::fs::set_permissions(&key, private).unwrap();
    let of_file = "[[peer]]\nname = \"lab\"\naddress = \"10.0.0.9\"\npsk_file = \"key\"\n";
    let text = of_file.to_owned() + &rule("lab", "10.0.0.9", "require");
    let dynamic = Dynamic::new(files());
    let one = dynamic
        .change(&add(&text), &beside)
        .unwrap_or_else(|why| panic!("{why:?}"));
    std::fs::remove_dir_all(&folder).unwrap();
    let two = one
        .dynamic
        .change(&add(&rule("evil", "10.6.6.6", "block")), &beside);
    let two = two.unwrap_or_else(|why| panic!("{why:?}"));
    assert_eq!(two.dynamic.rules().count(), 2);
    assert_eq!(rules(&two.config).len(), 3);
    // With another set of pieces all are read anew, and the one whose key is gone is named.
    let why = two.dynamic.change(&delete("evil"), &beside).err();
    assert!(matches!(why, Some(Refusal::Wrong(why)) if why.contains("piece.toml")));
}
