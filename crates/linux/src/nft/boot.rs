//! What holds from the start of a host until its policy does.

use serde_json::{Value, json};

use crate::error::Error;
use crate::nft::document::{
    NEIGHBOUR_TYPES, accept, check_name, device, is, meta, range, transport,
};
use crate::nft::nft;

/// How much passes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Boot {
    /// What goes out passes, and the answers to it.
    Stateful,
    /// Nothing passes, except what a host needs to get an address.
    Block,
}

/// Ports of DHCP, server and client (RFC 2131 section 4.1, RFC 8415 section 7.2).
const DHCP: [(u16, u16); 2] = [(67, 68), (547, 546)];

/// Puts these rules into force, unless there is a table of this name already: it may hold a policy.
/// Answers whether it did. [`crate::nft::apply`] replaces them.
///
/// # Errors
/// A sentence: `nft` is missing, the name cannot be one, or `nft`'s own words.
pub fn boot(table: &str, mode: Boot) -> Result<bool, Error> {
    let what = "apply the packet filter rules of the start";
    check_name(table).map_err(|why| Error::other(what, why))?;
    match nft(&["-j", "-f", "-"], Some(&document(table, mode)), what) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

fn document(table: &str, mode: Boot) -> Value {
    // `create` fails where `add` would not: then somebody else's rules are in force.
    let mut commands = vec![json!({"create": {"table": {"family": "inet", "name": table}}})];
    for hook in ["input", "output", "forward"] {
        let open = hook == "output" && mode == Boot::Stateful;
        commands.push(json!({"add": {"chain": {
            "family": "inet",
            "table": table,
            "name": hook,
            "type": "filter",
            "hook": hook,
            "prio": 0,
            "policy": if open { "accept" } else { "drop" },
        }}}));
        for expressions in rules(hook, mode) {
            commands.push(json!({"add": {"rule": {
                "family": "inet",
                "table": table,
                "chain": hook,
                "expr": expressions,
            }}}));
        }
    }
    json!({"nftables": commands})
}

fn rules(hook: &str, mode: Boot) -> Vec<Vec<Value>> {
    let (lo, from_server) = match hook {
        "input" => ("iifname", true),
        "output" => ("oifname", false),
        _ => return Vec::new(),
    };
    let mut rules = vec![vec![device(lo, "lo"), accept()]];
    if from_server && mode == Boot::Stateful {
        let state = json!({"ct": {"key": "state"}});
        let known = json!(["established", "related"]);
        let answers = json!({"match": {"op": "in", "left": state, "right": known}});
        rules.push(vec![answers, accept()]);
    }
    for (server, client) in DHCP {
        let (source, destination) = match from_server {
            true => (server, client),
            false => (client, server),
        };
        rules.push(vec![
            is(meta("l4proto"), json!(libc::IPPROTO_UDP)),
            is(transport("sport"), json!(source)),
            is(transport("dport"), json!(destination)),
            accept(),
        ]);
    }
    for (first, last) in NEIGHBOUR_TYPES {
        let kind = json!({"payload": {"protocol": "icmpv6", "field": "type"}});
        let icmp = is(meta("l4proto"), json!(libc::IPPROTO_ICMPV6));
        rules.push(vec![icmp, is(kind, range(first, last)), accept()]);
    }
    rules
}
