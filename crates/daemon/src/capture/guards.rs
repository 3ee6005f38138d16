//! The policy as the kernel's packet filter holds it: the copy that survives the daemon.

use crate::capture::{NFT_TABLE, Settings};
use linux::Family;
use linux::nft::{Action as Fate, Addresses, Guard, Protection, Ruleset, Selector};
use policy::{Action, AddressRange, Directions, Entry, PortRange, RuleName, Spd, TrafficSelector};
use std::collections::BTreeSet;
use std::net::IpAddr;

/// One guard for each line of the policy, in its order.
///
/// Where a rule requires protection, those of `soft` that are spoken to in clear text come before
/// it.
pub(crate) fn ruleset(
    spd: &Spd,
    settings: &Settings,
    soft: &BTreeSet<(RuleName, IpAddr)>,
) -> Ruleset {
    let lines = spd.entries().iter().enumerate();
    Ruleset {
        table: NFT_TABLE.to_owned(),
        protection: match &settings.tun {
            Some((tun, _)) => Protection::Tun(tun.clone()),
            None => Protection::Ipsec,
        },
        mark: Some(settings.mark),
        ike_ports: vec![500, 4500],
        tcp_port: settings.tcp.listens,
        tcp_by_mark: settings.tcp.calls,
        guards: lines
            .flat_map(|(place, entry)| {
                let mut guards = softened(spd, entry, place, soft);
                guards.extend(guards_of(spd, entry, place));
                guards
            })
            .collect(),
    }
}

/// Those that a line would protect, and that are spoken to in clear text.
fn softened(
    spd: &Spd,
    entry: &Entry,
    place: usize,
    soft: &BTreeSet<(RuleName, IpAddr)>,
) -> Vec<Guard> {
    let Some(rule) = spd.rule_of(entry).filter(|_| !entry.dormant) else {
        return Vec::new();
    };
    let range = &entry.pair.remote.addresses;
    let hosts = soft
        .iter()
        .filter(|(of, host)| *of == rule.name && range.contains(*host));
    let guard = |(number, (_, host)): (usize, &(RuleName, IpAddr))| {
        let remote = TrafficSelector {
            addresses: AddressRange::host(*host),
            ..entry.pair.remote
        };
        Guard {
            name: format!("soft{number}-{place}"),
            action: Fate::Permit,
            selectors: vec![selector(&entry.pair.local, &remote)],
            mirrored: true,
        }
    };
    hosts.enumerate().map(guard).collect()
}

/// What holds for one line: two guards where what comes and what goes are treated differently.
fn guards_of(spd: &Spd, entry: &Entry, place: usize) -> Vec<Guard> {
    let action = spd.rule_of(entry).map(|rule| &rule.action);
    let inpass = match action {
        Some(Action::Negotiate(negotiate)) => negotiate.required && negotiate.inpass,
        _ => false,
    };
    if !inpass || entry.dormant {
        return guard(spd, entry, place).into_iter().collect();
    }
    let one_way = |directions| Entry {
        directions,
        ..entry.clone()
    };
    let out = guard(spd, &one_way(Directions::Outbound), place);
    let back = guard(spd, &one_way(Directions::Inbound), place).map(|guard| Guard {
        name: format!("{}-in", guard.name),
        action: Fate::Permit,
        ..guard
    });
    out.into_iter().chain(back).collect()
}

fn guard(spd: &Spd, entry: &Entry, place: usize) -> Option<Guard> {
    let rule = spd.rule_of(entry)?;
    let action = match &rule.action {
        Action::Exempt | Action::Permit => Fate::Permit,
        Action::Block => Fate::Block,
        // A dormant line protects an address that is elsewhere: nothing of it passes here.
        Action::Negotiate(negotiate) if negotiate.required || entry.dormant => Fate::Protect,
        // Requested, not required: clear text is the fall-back, so the filter lets it pass.
        Action::Negotiate(_) => Fate::Permit,
    };
    let outbound = selector(&entry.pair.local, &entry.pair.remote);
    let (selector, mirrored) = match entry.directions {
        Directions::Both => (outbound, true),
        Directions::Outbound => (outbound, false),
        Directions::Inbound => (outbound.mirrored(), false),
    };
    let name = name(rule.name.as_str(), place);
    Some(Guard {
        name,
        action,
        selectors: vec![selector],
        mirrored,
    })
}

fn selector(source: &TrafficSelector, destination: &TrafficSelector) -> Selector {
    let with_ports = matches!(source.protocol, 6 | 17 | 132);
    Selector {
        family: Family::of(source.addresses.start()),
        protocol: (source.protocol != 0).then_some(source.protocol),
        source: addresses(&source.addresses),
        destination: addresses(&destination.addresses),
        source_ports: ports(source.ports, with_ports),
        destination_ports: ports(destination.ports, with_ports),
    }
}

fn addresses(range: &AddressRange) -> Addresses {
    match range.is_any() {
        true => Addresses::Any,
        false => Addresses::Range(range.start(), range.end()),
    }
}

fn ports(range: PortRange, apply: bool) -> Option<(u16, u16)> {
    (apply && !range.is_any()).then_some((range.start, range.end))
}

/// A name that the filter accepts, different for every line of the policy.
fn name(rule: &str, place: usize) -> String {
    let plain = rule
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '_' });
    format!("r{place}-{}", plain.take(40).collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::Tcp;
    use policy::{AddressSpec, ChildTemplate, Exemptions, Filter, Negotiate, Rule, Soft};

    fn guards(rules: Vec<Rule>, soft: &[(&str, &str)]) -> Vec<(String, Fate, bool)> {
        let settings = Settings {
            tun: None,
            mtu: 1400,
            table: 1,
            mark: 1,
            priority: 1,
            tcp: Tcp::default(),
        };
        let spd = Spd::build(rules, &["10.0.0.1".parse().unwrap()]);
        let soft = soft
            .iter()
            .map(|(rule, host)| ((*rule).into(), host.parse().unwrap()));
        let ruleset = ruleset(&spd, &settings, &soft.collect());
        let shown = |guard: Guard| (guard.name, guard.action, guard.mirrored);
        ruleset.guards.into_iter().map(shown).collect()
    }

    fn rule(change: impl FnOnce(&mut Negotiate)) -> Rule {
        let mut negotiate = Negotiate::require(ChildTemplate::transport().into());
        change(&mut negotiate);
        let network = AddressRange::subnet("10.0.0.0".parse().unwrap(), 24).unwrap();
        Rule {
            name: "ask".into(),
            filters: vec![Filter::between(
                AddressSpec::Me,
                AddressSpec::Range(network),
            )],
            action: Action::Negotiate(negotiate),
            peer: None,
            origin: policy::Origin::File,
        }
    }

    fn named(name: &str, action: Fate, mirrored: bool) -> (String, Fate, bool) {
        (name.to_owned(), action, mirrored)
    }

    #[test]
    fn what_comes_in_clear_text_is_taken_and_what_goes_is_not() {
        let found = guards(vec![rule(|negotiate| negotiate.inpass = true)], &[]);
        let expected = [
            named("r0-ask", Fate::Protect, false),
            named("r0-ask-in", Fate::Permit, false),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn one_host_in_clear_text_opens_nothing_to_others() {
        let soft = || rule(|negotiate| negotiate.soft = Some(Soft::WINDOWS));
        let protect = named("r0-ask", Fate::Protect, true);
        assert_eq!(guards(vec![soft()], &[]), std::slice::from_ref(&protect));
        let hosts = [
            ("ask", "10.0.0.7"),
            ("ask", "10.9.9.9"),
            ("other", "10.0.0.8"),
        ];
        let expected = [named("soft0-0", Fate::Permit, true), protect];
        assert_eq!(guards(vec![soft()], &hosts), expected);
    }

    #[test]
    fn a_rule_of_peers_alone_drops_nothing() {
        let passive = rule(|negotiate| {
            negotiate.required = false;
            negotiate.passive = true;
        });
        assert_eq!(
            guards(vec![passive], &[]),
            [named("r0-ask", Fate::Permit, true)]
        );
    }

    #[test]
    fn what_is_exempt_comes_first() {
        let mut rules = vec![rule(|_| {})];
        rules.extend(Exemptions::Services.rules());
        let found = guards(rules, &[]);
        let (last, exempt) = found.split_last().unwrap();
        assert_eq!(last.1, Fate::Protect);
        // RSVP, and port 88 of either side by TCP and UDP, in both families.
        assert_eq!(exempt.len(), 10);
        assert!(exempt.iter().all(|(_, action, _)| *action == Fate::Permit));
    }
}
