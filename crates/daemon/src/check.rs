//! A configuration file judged without a daemon: `holdfast check` and `holdfast explain --config`.

use crate::{explain as question, setup, status};
use linux::netlink::Netlink;
use policy::Spd;
use serde_json::Value;
use std::net::IpAddr;
use std::path::Path;

/// What a good file says.
pub struct Checked {
    /// The rules in the order in which they are tried, one line for each thing they cover.
    pub rules: Vec<String>,
    /// What works and is unwise, rendered with its place.
    pub warnings: Vec<String>,
}

/// Reads and judges a file for this host; nothing is changed.
///
/// # Errors
/// Every fault with its place and remedy, as a text.
pub fn check(path: &Path) -> Result<Checked, String> {
    let (config, warnings) = setup::read(path).map_err(|error| error.to_string())?;
    if config.cluster.is_some() {
        setup::node(&config, false, node::Recovery::default())
            .map_err(|error| error.to_string())?;
    }
    let spd = Spd::build(config.rules, &own_addresses());
    let rules = status::rules(&spd).into_iter().flat_map(|rule| {
        let dormant = if rule.dormant { " (dormant)" } else { "" };
        let head = format!("{:<8} {}{dormant}", rule.action, rule.name);
        let covers = rule
            .selectors
            .into_iter()
            .map(|selectors| format!("           {selectors}"));
        std::iter::once(head).chain(covers)
    });
    Ok(Checked {
        rules: rules.collect(),
        warnings,
    })
}

/// Explains a packet by a file, for a host with the addresses `me`, or with this host's.
///
/// # Errors
/// What is wrong with the file or the question, as a text.
pub fn explain(
    path: &Path,
    me: &[IpAddr],
    source: &str,
    destination: &str,
    protocol: &str,
) -> Result<Value, String> {
    let (config, _) = setup::read(path).map_err(|error| error.to_string())?;
    let own = if me.is_empty() {
        own_addresses()
    } else {
        me.to_vec()
    };
    let spd = Spd::build(config.rules, &own);
    question::explain(&spd, &config.pad, None, source, destination, protocol)
}

/// Without netlink (not on Linux's usual terms) the host counts as one without addresses.
fn own_addresses() -> Vec<IpAddr> {
    let addresses =
        Netlink::open().and_then(|mut netlink| crate::groups::Groups::host_addresses(&mut netlink));
    addresses.unwrap_or_default()
}
