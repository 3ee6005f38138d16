//! The JSON documents that `nft -j` reads and writes (libnftables-json(5)).

use std::net::IpAddr;

use serde_json::{Value, json};

use crate::nft::model::{
    Action, Addresses, Counter, Direction, Guard, Protection, Ruleset, Selector,
};
use crate::prefix::Family;

/// After defragmentation (-400); before connection tracking (-200) and before destination
/// address translation (-100) could turn a guarded port into another one.
const ARRIVING_PRIORITY: i32 = -300;
/// After everything that may choose another route for a packet, before source address
/// translation (100).
const FILTER_PRIORITY: i32 = 0;
/// ESP as a protocol number.
const ESP: u8 = 50;
/// ICMPv6 without which no IPv6 neighbour is found: multicast listener messages (130 to 132,
/// RFC 2710), neighbour discovery (133 to 137, RFC 4861) and MLDv2 reports (143, RFC 3810).
pub(crate) const NEIGHBOUR_TYPES: [(u16, u16); 2] = [(130, 137), (143, 143)];

/// The transaction that replaces the table.
pub(crate) fn ruleset(ruleset: &Ruleset, before: &[Counter]) -> Result<Value, String> {
    check_name(&ruleset.table)?;
    let table = json!({"family": "inet", "name": ruleset.table});
    // Deleting what may not exist is an error; adding what may exist is none.
    let mut commands = vec![
        json!({"add": {"table": table}}),
        json!({"delete": {"table": table}}),
        json!({"add": {"table": table}}),
    ];
    for guard in &ruleset.guards {
        check_name(&guard.name)?;
        if guard.action != Action::Permit {
            for direction in Direction::ALL {
                commands.push(counter(ruleset, guard, direction, before));
            }
        }
    }
    for direction in Direction::ALL {
        commands.push(chain(ruleset, direction));
        let mut rules = exemptions(ruleset, direction);
        for guard in &ruleset.guards {
            guard_rules(ruleset, guard, direction, &mut rules)?;
        }
        commands.extend(rules.into_iter().map(|expressions| {
            json!({"add": {"rule": {
                "family": "inet",
                "table": ruleset.table,
                "chain": direction.name(),
                "expr": expressions,
            }}})
        }));
    }
    Ok(json!({"nftables": commands}))
}

/// Reads the answer of `nft -j list counters`.
pub(crate) fn counters(document: &Value) -> Vec<Counter> {
    let objects = document["nftables"]
        .as_array()
        .map_or(&[][..], Vec::as_slice);
    let read = |object: &Value| {
        let counter = object.get("counter")?;
        let (guard, direction) = counter.get("name")?.as_str()?.rsplit_once('.')?;
        let direction = Direction::ALL
            .into_iter()
            .find(|known| known.name() == direction)?;
        Some(Counter {
            guard: guard.to_string(),
            direction,
            packets: counter.get("packets")?.as_u64()?,
            bytes: counter.get("bytes")?.as_u64()?,
        })
    };
    objects.iter().filter_map(read).collect()
}

/// Names go into rules and counters and must read back from `nft list`.
pub(crate) fn check_name(name: &str) -> Result<(), String> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let letter_first = name
        .bytes()
        .next()
        .is_some_and(|byte| byte.is_ascii_alphabetic());
    if letter_first && name.len() <= 64 && name.bytes().all(plain) {
        return Ok(());
    }
    Err(format!(
        "\"{name}\" is not a name: it has at most 64 letters, digits, '-' and '_', a letter first"
    ))
}

fn counter_name(guard: &Guard, direction: Direction) -> String {
    format!("{}.{}", guard.name, direction.name())
}

fn counter(ruleset: &Ruleset, guard: &Guard, direction: Direction, before: &[Counter]) -> Value {
    let old = before
        .iter()
        .find(|counter| counter.guard == guard.name && counter.direction == direction);
    json!({"add": {"counter": {
        "family": "inet",
        "table": ruleset.table,
        "name": counter_name(guard, direction),
        "packets": old.map_or(0, |old| old.packets),
        "bytes": old.map_or(0, |old| old.bytes),
    }}})
}

fn chain(ruleset: &Ruleset, direction: Direction) -> Value {
    let (hook, priority) = match direction {
        Direction::Arriving => ("prerouting", ARRIVING_PRIORITY),
        // A packet that waits in the kernel for its SA has none yet at its output: it is judged
        // when it goes on.
        Direction::Leaving if ruleset.protection == Protection::Ipsec => {
            ("postrouting", FILTER_PRIORITY)
        }
        Direction::Leaving => ("output", FILTER_PRIORITY),
        Direction::Forwarding => ("forward", FILTER_PRIORITY),
    };
    json!({"add": {"chain": {
        "family": "inet",
        "table": ruleset.table,
        "name": direction.name(),
        "type": "filter",
        "hook": hook,
        "prio": priority,
        "policy": "accept",
    }}})
}

/// What passes whatever the policy says.
fn exemptions(ruleset: &Ruleset, direction: Direction) -> Vec<Vec<Value>> {
    let port = |field: &str, port: &u16| {
        let udp = is(meta("l4proto"), json!(libc::IPPROTO_UDP));
        vec![udp, is(transport(field), json!(port)), accept()]
    };
    let esp = vec![is(meta("l4proto"), json!(ESP)), accept()];
    let mut rules = Vec::new();
    match direction {
        // What is forwarded is not ours: the policy alone decides.
        Direction::Forwarding => return rules,
        Direction::Arriving => {
            rules.push(vec![device("iifname", "lo"), accept()]);
            // A packet to this host is judged by its first fragment, the one with the ports;
            // without that the others come to nothing.
            for family in Family::BOTH {
                rules.push(vec![of_family(family), fragment(family), accept()]);
            }
            rules.push(esp);
            rules.extend(ruleset.ike_ports.iter().map(|number| port("dport", number)));
            rules.extend(arriving_tcp(ruleset));
        }
        Direction::Leaving => {
            rules.push(vec![device("oifname", "lo"), accept()]);
            if ruleset.protection == Protection::Ipsec {
                // What is forwarded passes here as well, and was judged before.
                rules.push(vec![is_not(meta("iif"), json!(0)), accept()]);
            }
            if let Some(mark) = ruleset.mark {
                rules.push(vec![is(meta("mark"), json!(mark)), accept()]);
            } else {
                rules.push(esp);
                rules.extend(ruleset.ike_ports.iter().map(|number| port("sport", number)));
                rules.extend(ruleset.tcp_port.map(|number| tcp("sport", number)));
            }
            rules.extend(ruleset.tcp_port.map(reset));
        }
    }
    for (first, last) in NEIGHBOUR_TYPES {
        let kind = json!({"payload": {"protocol": "icmpv6", "field": "type"}});
        let icmp = is(meta("l4proto"), json!(libc::IPPROTO_ICMPV6));
        rules.push(vec![icmp, is(kind, range(first, last)), accept()]);
    }
    rules
}

/// TCP of this port passes.
fn tcp(field: &str, port: u16) -> Vec<Value> {
    let tcp = is(meta("l4proto"), json!(libc::IPPROTO_TCP));
    vec![tcp, is(transport(field), json!(port)), accept()]
}

/// The kernel says by itself, without the mark, that it knows nothing of a connection: that is how
/// the peer of a host that was restarted, or whose address has moved here, learns to open another.
fn reset(port: u16) -> Vec<Value> {
    let tcp = is(meta("l4proto"), json!(libc::IPPROTO_TCP));
    let flags = json!({"payload": {"protocol": "tcp", "field": "flags"}});
    let reset = json!({"match": {"op": "in", "left": flags, "right": "rst"}});
    vec![tcp, is(transport("sport"), json!(port)), reset, accept()]
}

/// TCP that carries IKE and ESP to this host. What its own sockets send has the mark.
fn arriving_tcp(ruleset: &Ruleset) -> Vec<Vec<Value>> {
    let listens = ruleset.tcp_port.map(|number| tcp("dport", number));
    let calls = ruleset.mark.filter(|_| ruleset.tcp_by_mark).map(|mark| {
        let tcp = is(meta("l4proto"), json!(libc::IPPROTO_TCP));
        let ours = is(json!({"socket": {"key": "mark"}}), json!(mark));
        vec![tcp, ours, accept()]
    });
    listens.into_iter().chain(calls).collect()
}

fn guard_rules(
    ruleset: &Ruleset,
    guard: &Guard,
    direction: Direction,
    rules: &mut Vec<Vec<Value>>,
) -> Result<(), String> {
    let mut selectors = guard.selectors.clone();
    if guard.mirrored {
        let other = guard.selectors.iter().map(Selector::mirrored);
        let new = other.filter(|selector| !guard.selectors.contains(selector));
        selectors.extend(new.collect::<Vec<_>>());
    }
    for selector in &selectors {
        let packets = expressions(selector)?;
        verdicts(ruleset, guard, direction, packets, rules);
        if direction == Direction::Forwarding && has_ports(selector) {
            // The later fragments of a forwarded packet have no ports: those between guarded
            // hosts go nowhere, or they would carry clear text past the guard.
            let whole = Selector {
                source_ports: None,
                destination_ports: None,
                ..*selector
            };
            let mut fragments = expressions(&whole)?;
            fragments.push(fragment(selector.family));
            if guard.action != Action::Permit {
                verdicts(ruleset, guard, direction, fragments, rules);
            }
        }
    }
    Ok(())
}

/// The rules for the packets of a guard that match `packets`.
fn verdicts(
    ruleset: &Ruleset,
    guard: &Guard,
    direction: Direction,
    packets: Vec<Value>,
    rules: &mut Vec<Vec<Value>>,
) {
    if guard.action == Action::Permit {
        rules.push([packets, vec![accept()]].concat());
        return;
    }
    if guard.action == Action::Protect {
        for plane in protected(&ruleset.protection, direction) {
            rules.push([vec![plane], packets.clone(), vec![accept()]].concat());
        }
    }
    let mut dropped = packets;
    if direction == Direction::Arriving {
        // A packet that will be forwarded is judged where both its devices are known.
        let kind = json!({"fib": {"result": "type", "flags": ["daddr"]}});
        dropped.push(is_not(kind, json!("unicast")));
    }
    dropped.push(json!({"counter": counter_name(guard, direction)}));
    dropped.push(json!({"drop": null}));
    rules.push(dropped);
}

/// Matches what was protected as it came in, and what will be as it goes out.
fn protected(protection: &Protection, direction: Direction) -> Vec<Value> {
    let (came, goes) = match protection {
        Protection::Tun(tun) => (device("iifname", tun), device("oifname", tun)),
        Protection::Ipsec => (
            is(meta("ipsec"), json!(true)),
            is(json!({"rt": {"key": "ipsec"}}), json!(true)),
        ),
    };
    match direction {
        Direction::Arriving => vec![came],
        Direction::Leaving => vec![goes],
        // From a host behind us to the peer, or from the peer to a host behind us.
        Direction::Forwarding => vec![came, goes],
    }
}

pub(crate) fn accept() -> Value {
    json!({"accept": null})
}

fn has_ports(selector: &Selector) -> bool {
    selector.source_ports.is_some() || selector.destination_ports.is_some()
}

/// Matches every fragment of a packet but the first (RFC 791 §3.1, RFC 8200 §4.5).
fn fragment(family: Family) -> Value {
    let field = match family {
        Family::V4 => json!({"&": [{"payload": {"protocol": "ip", "field": "frag-off"}}, 0x1fff]}),
        Family::V6 => json!({"exthdr": {"name": "frag", "field": "frag-off"}}),
    };
    is_not(field, json!(0))
}

/// The matches of a selector.
fn expressions(selector: &Selector) -> Result<Vec<Value>, String> {
    let header = match selector.family {
        Family::V4 => "ip",
        Family::V6 => "ip6",
    };
    let mut matches = vec![of_family(selector.family)];
    for (field, addresses) in [("saddr", selector.source), ("daddr", selector.destination)] {
        if let Some(right) = address_set(selector.family, addresses)? {
            matches.push(is(
                json!({"payload": {"protocol": header, "field": field}}),
                right,
            ));
        }
    }
    if let Some(protocol) = selector.protocol {
        matches.push(is(meta("l4proto"), json!(protocol)));
    } else if has_ports(selector) {
        return Err("ports were given without a protocol".to_string());
    }
    for (field, ports) in [
        ("sport", selector.source_ports),
        ("dport", selector.destination_ports),
    ] {
        match ports {
            Some((first, last)) if first > last => {
                return Err(format!("the ports {first} to {last} run backwards"));
            }
            Some((first, last)) => {
                matches.push(is(transport(field), range(first, last)));
            }
            None => {}
        }
    }
    Ok(matches)
}

fn address_set(family: Family, addresses: Addresses) -> Result<Option<Value>, String> {
    let right_family = |address: IpAddr| {
        if Family::of(address) == family {
            return Ok(());
        }
        Err(format!("{address} is not an {family} address"))
    };
    match addresses {
        Addresses::Any => Ok(None),
        Addresses::Prefix(prefix) => {
            right_family(prefix.address())?;
            let prefix = prefix.network();
            let address = prefix.address().to_string();
            Ok(match prefix.length() {
                0 => None,
                _ if prefix.is_host() => Some(json!(address)),
                length => Some(json!({"prefix": {"addr": address, "len": length}})),
            })
        }
        Addresses::Range(first, last) => {
            right_family(first)?;
            right_family(last)?;
            if first > last {
                return Err(format!("the addresses {first} to {last} run backwards"));
            }
            let (first_text, last_text) = (first.to_string(), last.to_string());
            Ok(Some(if first == last {
                json!(first_text)
            } else {
                json!({"range": [first_text, last_text]})
            }))
        }
    }
}

/// Matches the device by which a packet came (`iifname`) or goes (`oifname`).
pub(crate) fn device(key: &str, name: &str) -> Value {
    is(meta(key), json!(name))
}

fn of_family(family: Family) -> Value {
    let name = match family {
        Family::V4 => "ipv4",
        Family::V6 => "ipv6",
    };
    is(meta("nfproto"), json!(name))
}

pub(crate) fn meta(key: &str) -> Value {
    json!({"meta": {"key": key}})
}

pub(crate) fn transport(field: &str) -> Value {
    json!({"payload": {"protocol": "th", "field": field}})
}

pub(crate) fn range(first: u16, last: u16) -> Value {
    if first == last {
        json!(first)
    } else {
        json!({"range": [first, last]})
    }
}

fn is_not(left: Value, right: Value) -> Value {
    json!({"match": {"op": "!=", "left": left, "right": right}})
}

pub(crate) fn is(left: Value, right: Value) -> Value {
    json!({"match": {"op": "==", "left": left, "right": right}})
}
