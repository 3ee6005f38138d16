//! Scripts of `netsh ipsec dynamic`: what goes, what comes, what is refused.

use super::*;
use crate::parse;

const POLICIES: &str = "pushd ipsec dynamic\n\
     add mmpolicy name=m mmlifetime=60 mmsecmethods=\"3DES-SHA1-2 3DES-MD5-2\"\n\
     add qmpolicy name=q soft=yes pfsgroup=GRP3 qmsecmethods=\"ESP[3DES,SHA1]:1000k/600s\"\n\
     add qmpolicy name=mm pfs=GRPMM\n";

fn done(script: &str) -> Change {
    let script = match parse::script(script) {
        Ok(script) => script,
        Err(refusal) => panic!("{refusal:?}"),
    };
    change(&script, false).unwrap()
}

/// What is wrong with a script: the part of it that is meant, and the message.
fn wrong(text: &str) -> (String, String) {
    let faults = match parse::script(text) {
        Ok(script) => change(&script, false).unwrap_err(),
        Err(refusal) => refusal.faults,
    };
    let fault = faults.first().unwrap();
    assert!(!fault.remedy.is_empty(), "{fault:?}");
    (text[fault.span.clone()].to_owned(), fault.message.clone())
}

#[test]
fn a_rule_becomes_tables() {
    let script = format!(
        "{POLICIES}add rule me 10.20.0.10 m q protocol=tcp dstport=110 actionin=permit psk=k\n"
    );
    let change = done(&script);
    assert!(!change.delete_all && change.delete.is_empty());
    let expected = "
[[filter_list]]
name = \"me_10.20.0.10_tcp_110\"

[[filter_list.filter]]
source = \"me\"
destination = \"10.20.0.10\"
protocol = \"tcp\"
destination_port = 110

[[filter_action]]
name = \"me_10.20.0.10_tcp_110\"
action = \"require\"
inpass = true
soft = true
esp_proposals = \"3des-sha1-modp2048\"
rekey = \"600s\"
rekey_bytes = \"1000KiB\"

[[peer]]
name = \"me_10.20.0.10_tcp_110\"
address = \"10.20.0.10\"
legacy = \"windows2003\"
ike_proposals = [\"3des-sha1-modp1024\", \"3des-md5-modp1024\"]
rekey = \"60m\"
auth = \"psk\"
psk = \"k\"
allow_weak_psk = true

[[rule]]
name = \"me_10.20.0.10_tcp_110\"
filter_list = \"me_10.20.0.10_tcp_110\"
filter_action = \"me_10.20.0.10_tcp_110\"
peer = \"me_10.20.0.10_tcp_110\"
";
    assert_eq!(change.text.unwrap(), expected);
}

#[test]
fn the_group_of_main_mode_may_be_meant() {
    let script = format!("{POLICIES}add rule me 10.20.0.10 m mm psk=k\n");
    let text = done(&script).text.unwrap();
    let list = "[\"3des-sha1-modp1024\", \"3des-md5-modp1024\"]";
    assert!(text.contains(&format!("esp_proposals = {list}")), "{text}");
}

#[test]
fn what_is_blocked_needs_no_policies_and_has_no_peer() {
    let text = done(
        "netsh ipsec dynamic add rule srcaddr=10.6.6.6 dstaddr=me mirrored=no \
         actioninbound=block actionoutbound=block\n",
    );
    let text = text.text.unwrap();
    assert!(
        text.contains("action = \"block\"") && text.contains("mirrored = false"),
        "{text}"
    );
    assert!(!text.contains("[[peer]]"), "{text}");
}

#[test]
fn rules_are_found_again_by_what_they_are_about() {
    let block = "actioni=block actiono=block";
    let text = format!(
        "pushd ipsec dynamic\ndelete rule me 10.1.0.1 tcp 0 25 yes conntype=all\n\
         add rule me 10.1.0.2 {block}\nadd rule me 10.1.0.3 {block}\n\
         set rule me 10.1.0.2 actioni=permit actiono=permit\ndelete rule me 10.1.0.3\n"
    );
    let change = done(&text);
    assert_eq!(change.delete, ["me_10.1.0.1_tcp_25"]);
    let made = change.text.unwrap();
    assert!(made.contains("permit") && !made.contains("block"), "{made}");
    assert!(!made.contains("10.1.0.3"), "{made}");
    // What comes before `delete all` is gone with the rest.
    let all = done(&format!("{text}delete all\n"));
    assert!(all.delete_all && all.delete.is_empty() && all.text.is_none());
    let all = done(&format!("{text}delete rule all\n"));
    assert!(all.delete_all && all.text.is_none());
}

#[test]
fn what_has_no_meaning_is_refused_at_its_place() {
    let rule = "add rule me 10.1.0.1";
    for (line, place, message) in [
        (rule.to_owned(), rule, "needs an `mmpolicy`"),
        (format!("{rule} mm=x qm=q"), "mm=x", "no mmpolicy `x`"),
        (
            format!("{rule} m q actioni=block"),
            "add rule me 10.1.0.1 m q actioni=block",
            "both ways",
        ),
        (
            "add mmpolicy n qmpermm=1".to_owned(),
            "qmpermm=1",
            "of the whole host",
        ),
        (
            "add qmpolicy n pfs=GRP9".to_owned(),
            "pfs=GRP9",
            "`GRP9` is not known",
        ),
        (
            "delete rule me 10.1.0.1 tcp 0 25 yes all".to_owned(),
            "all",
            "`all` is every rule",
        ),
        ("delete sa".to_owned(), "delete sa", "SAs are no part"),
        (
            format!("{rule} m q\ndelete mmpolicy m"),
            "m",
            "a rule needs the mmpolicy",
        ),
        (
            "set rule me 10.9.9.9 actioni=permit".to_owned(),
            "set rule me 10.9.9.9 actioni=permit",
            "the script makes no rule about",
        ),
        (
            format!("{rule} m q psk=k\n{rule} m mm psk=k"),
            "add rule me 10.1.0.1 m mm psk=k",
            "a rule about `me_10.1.0.1` already",
        ),
        (
            format!("{rule} m q psk=a\n{rule} m q tcp dstport=25 psk=b"),
            "add rule me 10.1.0.1 m q tcp dstport=25 psk=b",
            "prove itself in two ways",
        ),
        (
            format!("add mmpolicy n\n{rule} m q psk=a\n{rule} n q tcp dstport=25 psk=a"),
            "add rule me 10.1.0.1 n q tcp dstport=25 psk=a",
            "main mode would be of two ways",
        ),
        (
            format!("{rule} m q conntype=dialup psk=k"),
            "add rule me 10.1.0.1 m q conntype=dialup psk=k",
            "dial-up",
        ),
        (
            format!("add rule me {}.example m q psk=k", "x".repeat(60)),
            &format!("add rule me {}.example m q psk=k", "x".repeat(60)),
            "would be the rule's name",
        ),
        (
            "show all".to_owned(),
            POLICIES.lines().nth(1).unwrap(),
            "changes no dynamic rule",
        ),
        (
            "popd\npushd ipsec static\nadd filterlist l".to_owned(),
            "add filterlist l",
            "belongs into a policy file",
        ),
        (
            "delete all\nset config bootmode block".to_owned(),
            "",
            "about the whole host",
        ),
    ] {
        let found = wrong(&format!("{POLICIES}{line}\n"));
        assert!(found.1.contains(message), "{line}: {found:?}");
        assert_eq!(found.0, place, "{line}");
    }
}

#[test]
fn a_policy_file_has_none_of_it() {
    let script = parse::script("netsh ipsec dynamic delete all\n").unwrap();
    let faults = crate::policy_file::write(&script, &crate::policy_file::Options::default());
    let fault = faults.unwrap_err().remove(0);
    assert!(
        fault.message.contains("no policy file has them"),
        "{fault:?}"
    );
}
