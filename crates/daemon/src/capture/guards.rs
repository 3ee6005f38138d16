//! The policy as the kernel's packet filter holds it: the copy that survives the daemon.

use crate::capture::{NFT_TABLE, Settings};
use linux::Family;
use linux::nft::{Action as Fate, Addresses, Guard, Protection, Ruleset, Selector};
use policy::{Action, AddressRange, Directions, Entry, PortRange, Spd, TrafficSelector};

/// One guard for each line of the policy, in its order.
pub(crate) fn ruleset(spd: &Spd, settings: &Settings) -> Ruleset {
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
            .flat_map(|(place, entry)| guards_of(spd, entry, place))
            .collect(),
    }
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
        Action::Permit => Fate::Permit,
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
