//! Scripts from outside: one with objects of every kind, spellings, faults, and what is exported.

use proptest::prelude::*;

use super::script as parse;
use crate::authentication::{Authentication, PresharedKey, RootCa};
use crate::export;
use crate::finding::Finding;
use crate::lexer;
use crate::methods::{Cipher, Esp, Group, Hash, KeyExchangeMethod, SecurityMethod};
use crate::model::{
    ActionKind, Address, BootMode, Connections, DefaultRule, Driver, Filter, FilterAction,
    FilterList, Negotiation, Policy, Rule, Server, Store,
};
use crate::script::Location;
use policy::AddressRange;

const MAIL: &str = include_str!("../../tests/data/mail.cmd");

fn read(text: &str) -> Store {
    parse(text).unwrap().store(Location::Local)
}

/// What is wrong with a script, each with the part of it that is meant.
fn wrong(text: &str) -> Vec<(String, String)> {
    let refusal = parse(text).err().unwrap_or_default();
    let show = |fault: &Finding| {
        assert!(!fault.remedy.is_empty(), "{fault:?}");
        (text[fault.span.clone()].to_owned(), fault.message.clone())
    };
    refusal.faults.iter().map(show).collect()
}

#[test]
fn the_mail_cluster() {
    let script = parse(MAIL).unwrap();
    let store = script.store(Location::Local);
    assert_eq!(script.driver.exemptions, Some(3));
    assert_eq!(script.driver.boot_mode, Some(BootMode::Stateful));
    assert_eq!(
        (store.filter_lists.len(), store.filter_actions.len()),
        (11, 5)
    );
    let policy = store.assigned().unwrap();
    assert_eq!(
        (policy.name.as_str(), policy.rules.len()),
        ("Mail cluster", 11)
    );
    assert!(!policy.default_rule.active);
    assert_eq!(store.filter_lists[0].filters.len(), 2);
    assert_eq!(store.filter_lists[0].filters[1].description, "IMAP4");
    let services = &store
        .filter_lists
        .iter()
        .find(|list| list.name == "Windows services");
    assert_eq!(services.unwrap().filters.len(), 3);
    let ask = &store.filter_actions[4];
    let ActionKind::Negotiate(ask) = &ask.kind else {
        panic!("{ask:?}")
    };
    assert!(ask.inpass && ask.soft && ask.methods.len() == 2);
    assert_eq!(
        policy
            .rules
            .iter()
            .filter(|rule| rule.tunnel.is_some())
            .count(),
        2
    );
    assert_eq!(policy.rules[8].name, "echo");
    assert_eq!(script.secrets.len(), 5);
    assert!(
        script
            .secrets
            .iter()
            .all(|span| MAIL[span.clone()].starts_with("psk="))
    );
}

#[test]
fn exported_and_read_again_it_is_the_same() {
    let script = parse(MAIL).unwrap();
    let store = script.store(Location::Local);
    let text = export::script(&store, Location::Local, &script.driver).unwrap();
    let again = parse(&text).unwrap();
    assert_eq!(again.store(Location::Local), store);
    assert_eq!(again.driver, script.driver);
    assert_eq!(again.remarks, []);
}

#[test]
fn commands_are_said_in_many_ways() {
    let long = "netsh ipsec static add filterlist name=a description=b\n";
    for short in [
        "NETSH IPSEC STATIC ADD FILTERLIST NAME=a DESCRIPTION=b",
        "netsh ipsec static add filterlist a b",
        "netsh ipsec static add filterlist a desc=b",
        "pushd ipsec static\nadd filterlist name=a description=b\npopd",
        "netsh\nipsec static\nadd filterlist name=\"a\" \"description=b\"",
        "ipsec\nstatic add filterlist name=a description=b",
    ] {
        assert_eq!(read(short), read(long), "{short}");
    }
    let filter = "netsh ipsec static add filter filter=a srca=any dsta=me prot=tcp dstp=any";
    assert_eq!(read(filter).filter_lists[0].filters[0].protocol, 6);
}

#[test]
fn authentication_is_in_the_order_of_the_script() {
    let text = "pushd ipsec static\nadd filterlist l\nadd filteraction a\nadd policy p\n\
                add rule name=r policy=p filterlist=l filteraction=a psk=\" k \" \
                rootca=\"C=US, CN=\\'A\\' certmap:yes\" kerberos=y\n";
    let rule = &read(text).policies[0].rules[0];
    let root = RootCa {
        name: "C=US, CN=\"A\"".to_owned(),
        certmap: true,
        exclude_ca_name: false,
    };
    let expected = [
        Authentication::Psk(PresharedKey::new(" k ")),
        Authentication::RootCa(root),
        Authentication::Kerberos,
    ];
    assert_eq!(rule.authentication, expected);
}

#[test]
fn every_fault_has_its_place() {
    let text = "netsh ipsec static add polcy name=a\n\
                netsh ipsec static ad policy name=a\n\
                netsh ipsec static add policy nam2=a\n\
                netsh ipsec static add policy\n\
                netsh ipsec static add policy name=a assign=perhaps\n\
                netsh ipsec static add filter filterlist=l srcaddr=10.0.0.999 dstaddr=me\n\
                netsh ipsec static add filter l 10.0.0.1 dsta=me srcmask=255.0.255.0\n\
                netsh ipsec static add filter filterlist=l srcaddr=any dstaddr=me dstport=80\n\
                netsh ipsec static add rule name=r policy=p filterlist=l filtera=a psk=secret\n\
                netsh ipsec static add filteraction x action=permit qmsec=\"ESP[DES,MD5]\"\n\
                netsh ipsec static add filteraction name=x qmsecmethods=\"AES128-SHA256\"\n\
                netsh ipsec static set policy guid={1} assign=y\n\
                netsh ipsec static importpolicy file=a.ipsec\n\
                netsh ipsec dynamic add rule srcaddr=me\n\
                netsh interface ip show config\n\
                netsh ipsec static set store location=domain\n";
    let found = wrong(text);
    let places: Vec<&str> = found.iter().map(|(place, _)| place.as_str()).collect();
    let expected = [
        "polcy",
        "ad",
        "nam2",
        "netsh ipsec static add policy",
        "assign=perhaps",
        "srcaddr=10.0.0.999",
        "srcmask=255.0.255.0",
        "dstport=80",
        "filterlist=l",
        "qmsec=\"ESP[DES,MD5]\"",
        "qmsecmethods=\"AES128-SHA256\"",
        "guid={1}",
        "netsh ipsec static importpolicy file=a.ipsec",
        "netsh ipsec dynamic add rule srcaddr=me",
        "interface",
        "location=domain",
    ];
    assert_eq!(places, expected);
    let refusal = parse(text).unwrap_err();
    assert_eq!(refusal.secrets.len(), 1);
    assert_eq!(&text[refusal.secrets[0].clone()], "psk=secret");
}

#[test]
fn what_is_in_use_stays() {
    let text = "pushd ipsec static\nadd filterlist l\nadd filteraction a action=block\n\
                add policy p\nadd rule r p l a\n";
    for delete in ["delete filterlist l", "delete filteraction name=a"] {
        let found = wrong(&format!("{text}{delete}"));
        assert!(found[0].1.starts_with("a rule needs"), "{found:?}");
    }
    let gone = read(&format!("{text}delete policy all\ndelete filterlist all\n"));
    assert_eq!((gone.policies.len(), gone.filter_lists.len()), (0, 0));
    assert!(read(&format!("{text}delete all")).is_empty());
    let renamed = read(&format!(
        "{text}set filterlist l newname=m\nset filteraction a new=b"
    ));
    let rule = &renamed.policies[0].rules[0];
    assert_eq!(
        (rule.filter_list.as_str(), rule.filter_action.as_str()),
        ("m", "b")
    );
}

#[test]
fn one_policy_is_in_force_in_each_store() {
    let text = "pushd ipsec static\nadd policy a assign=y\nadd policy b assign=y\n\
                set store location=persistent\nadd policy c assign=y\n";
    let script = parse(text).unwrap();
    assert_eq!(script.store(Location::Local).assigned().unwrap().name, "b");
    let persistent = script.store(Location::Persistent);
    assert_eq!(persistent.assigned().unwrap().name, "c");
    let text = export::script(&persistent, Location::Persistent, &Driver::default()).unwrap();
    assert_eq!(
        parse(&text).unwrap().stores,
        [(Location::Persistent, persistent)].into()
    );
}

fn name() -> impl Strategy<Value = String> {
    "[A-Za-z0-9äß:(][A-Za-z0-9 =^#&>%ä'\\\\]{0,12}[a-z0-9]"
        .prop_filter("no variable", |name| !lexer::has_variable(name))
}

fn words() -> impl Strategy<Value = String> {
    prop_oneof![Just(String::new()), name()]
}

fn range() -> impl Strategy<Value = AddressRange> {
    let v4 = any::<[u8; 4]>().prop_map(std::net::IpAddr::from);
    let v6 = any::<[u8; 16]>().prop_map(std::net::IpAddr::from);
    let ends = (any::<[u8; 4]>(), any::<[u8; 4]>());
    prop_oneof![
        (v4, 1u8..=32).prop_filter_map("", |(address, length)| AddressRange::subnet(
            address, length
        )),
        (v6, 1u8..=128).prop_filter_map("", |(address, length)| AddressRange::subnet(
            address, length
        )),
        ends.prop_filter_map("", |(a, b)| AddressRange::new(
            a.min(b).into(),
            a.max(b).into()
        )),
    ]
    .prop_filter("that is any", |range| {
        !range.is_any() && !range.start().is_unspecified()
    })
}

fn address() -> impl Strategy<Value = Address> {
    prop_oneof![
        Just(Address::Me),
        Just(Address::Any),
        range().prop_map(Address::Range),
        (0usize..4).prop_map(|index| Address::Special(Server::ALL[index])),
        "[a-z][a-z0-9]{1,9}\\.[a-z]{2,5}".prop_map(Address::Name),
    ]
}

prop_compose! {
    fn filter()(
        source in address(), destination in address(),
        protocol in prop_oneof![Just(0u8), Just(6), Just(17), Just(1), Just(255), Just(50)],
        ports in any::<(u16, u16)>(), mirrored in any::<bool>(), description in words(),
    ) -> Filter {
        let has = policy::protocol::has_ports(protocol);
        let (source_port, destination_port) = if has { ports } else { (0, 0) };
        Filter {
            source, destination, protocol, source_port, destination_port, mirrored, description,
        }
    }
}

fn hash() -> impl Strategy<Value = Hash> {
    prop_oneof![Just(Hash::Md5), Just(Hash::Sha1)]
}

fn cipher() -> impl Strategy<Value = Cipher> {
    prop_oneof![Just(Cipher::Des), Just(Cipher::TripleDes)]
}

fn method() -> impl Strategy<Value = SecurityMethod> {
    let esp = (proptest::option::of(cipher()), proptest::option::of(hash()))
        .prop_map(|(cipher, hash)| Esp { cipher, hash })
        .prop_filter("nothing", |esp| esp.cipher.is_some() || esp.hash.is_some());
    let parts = (proptest::option::of(hash()), proptest::option::of(esp));
    (parts, 1u32.., 1u32..)
        .prop_map(|((ah, esp), kilobytes, seconds)| SecurityMethod {
            ah,
            esp,
            kilobytes,
            seconds,
        })
        .prop_filter("nothing", |method| {
            method.ah.is_some() || method.esp.is_some()
        })
}

fn methods() -> impl Strategy<Value = Vec<SecurityMethod>> {
    proptest::collection::vec(method(), 1..4)
}

fn exchange() -> impl Strategy<Value = KeyExchangeMethod> {
    let group = prop_oneof![Just(Group::Low), Just(Group::Medium), Just(Group::High)];
    (cipher(), hash(), group).prop_map(|(cipher, hash, group)| KeyExchangeMethod {
        cipher,
        hash,
        group,
    })
}

fn authentication() -> impl Strategy<Value = Vec<Authentication>> {
    let name = name().prop_filter("a quote", |name| !name.contains('\\'));
    let root = (name, any::<[bool; 2]>()).prop_map(|(name, [certmap, exclude])| RootCa {
        name,
        certmap,
        exclude_ca_name: exclude,
    });
    let key = " ?[!-$&-~]{1,20} ?".prop_filter("a quote", |key| !key.contains('"'));
    let one = prop_oneof![
        root.prop_map(Authentication::RootCa),
        key.prop_map(|key| Authentication::Psk(PresharedKey::new(&key))),
    ];
    (
        any::<bool>(),
        proptest::collection::vec(one, 0..3),
        0usize..3,
    )
        .prop_map(|(kerberos, mut list, at)| {
            if kerberos || list.is_empty() {
                list.insert(at.min(list.len()), Authentication::Kerberos);
            }
            list
        })
}

fn kind() -> impl Strategy<Value = ActionKind> {
    let negotiation = (any::<[bool; 3]>(), methods()).prop_map(|([pfs, inpass, soft], methods)| {
        ActionKind::Negotiate(Negotiation {
            pfs,
            inpass,
            soft,
            methods,
        })
    });
    prop_oneof![
        Just(ActionKind::Permit),
        Just(ActionKind::Block),
        negotiation
    ]
}

/// Names that differ whatever the case.
fn unique<T>(objects: Vec<T>, name: impl Fn(&T) -> String) -> Vec<T> {
    let mut seen = Vec::new();
    let fresh = |object: &T| {
        let name = name(object).to_ascii_lowercase();
        let new = !seen.contains(&name);
        seen.push(name);
        new
    };
    objects.into_iter().filter(fresh).collect()
}

prop_compose! {
    fn rule()(
        name in name(), description in words(), list in any::<prop::sample::Index>(),
        action in any::<prop::sample::Index>(), tunnel in proptest::option::of("[a-z]{1,5}"),
        connections in 0usize..3, active in any::<bool>(), authentication in authentication(),
    ) -> (Rule, prop::sample::Index, prop::sample::Index) {
        let kinds = [Connections::All, Connections::Lan, Connections::Dialup];
        let rule = Rule {
            name, description, filter_list: String::new(), filter_action: String::new(),
            tunnel, connections: kinds[connections], active, authentication,
        };
        (rule, list, action)
    }
}

prop_compose! {
    fn store()(
        lists in proptest::collection::vec(
            (name(), words(), proptest::collection::vec(filter(), 0..4)), 1..4),
        actions in proptest::collection::vec((name(), words(), kind()), 1..4),
        policy in (name(), words(), any::<(bool, u32, u32, u32, bool)>()),
        exchange in proptest::collection::vec(exchange(), 1..4),
        default in (any::<(bool, bool)>(), methods(), authentication()),
        rules in proptest::collection::vec(rule(), 0..5),
    ) -> Store {
        let lists = lists.into_iter().map(|(name, description, mut filters)| {
            let mut kept: Vec<Filter> = Vec::new();
            filters.retain(|filter| {
                let new = !kept.iter().any(|known| known.same_packets(filter));
                kept.push(filter.clone());
                new
            });
            FilterList { name, description, filters }
        });
        let lists = unique(lists.collect(), |list| list.name.clone());
        let action = |(name, description, kind)| FilterAction { name, description, kind };
        let actions = unique(actions.into_iter().map(action).collect(), |one| one.name.clone());
        let rules = rules.into_iter().map(|(rule, list, action)| Rule {
            filter_list: list.get(&lists).name.clone(),
            filter_action: action.get(&actions).name.clone(),
            ..rule
        });
        let (name, description, (master_pfs, session_limit, lifetime, polling_interval, assigned)) =
            policy;
        let ((active, pfs), methods, authentication) = default;
        let policy = Policy {
            name, description, master_pfs, session_limit, lifetime, polling_interval, assigned,
            methods: exchange,
            default_rule: DefaultRule { active, pfs, methods, authentication },
            rules: unique(rules.collect(), |rule| rule.name.clone()),
        };
        Store { policies: vec![policy], filter_lists: lists, filter_actions: actions }
    }
}

proptest! {
    #[test]
    fn what_is_exported_is_read_as_the_same(store in store()) {
        let text = export::script(&store, Location::Local, &Driver::default()).unwrap();
        let again = parse(&text).unwrap_or_else(|refusal| panic!("{text}\n{refusal:?}"));
        prop_assert_eq!(again.store(Location::Local), store, "{}", text);
    }

    #[test]
    fn no_text_makes_it_panic(text in "(?s)(netsh|ipsec|static|add|rule|[ -~\n^\"=%ä]){0,60}") {
        let places = |findings: &[Finding]| findings.iter().all(|finding| {
            text.get(finding.span.clone()).is_some()
        });
        match parse(&text) {
            Ok(script) => prop_assert!(places(&script.remarks)),
            Err(refusal) => prop_assert!(places(&refusal.faults)),
        }
    }
}
