//! From the configuration file to what node, plane and groups are told.

use crate::capture;
use crate::config::{self, ClusterSettings, Config, Takeover};
use crate::error::Error;
use crate::groups::{Command, Group};
use crate::plane;
use linux::gss::Gss;
use linux::{Family, Prefix};
use node::{ClusterConfig, GroupAddresses, Replicate};
use policy::{Action, Method, Peer};
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

/// Reads and judges a file; the warnings come back rendered.
///
/// # Errors
/// Every fault of the file with its place and remedy, or that it cannot be read.
pub(crate) fn read(path: &Path) -> Result<(Config, Vec<String>), Error> {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let loaded =
        config::load(path).map_err(|report| Error::Configuration(report.render(colour)))?;
    let mut warnings = match loaded.report.diagnostics.is_empty() {
        true => Vec::new(),
        false => vec![loaded.report.render(colour)],
    };
    let by_kerberos = |peer: &Peer| peer.by(Method::Kerberos).is_some();
    if loaded.config.pad.peers().iter().any(by_kerberos)
        && let Err(why) = Gss::load()
    {
        warnings.push(format!("no peer can be reached by Kerberos: {why}"));
    }
    Ok((loaded.config, warnings))
}

/// The node's own name.
pub(crate) fn node_name(config: &Config) -> String {
    config.node.name.clone().unwrap_or_else(host_name)
}

fn host_name() -> String {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    match name.trim() {
        "" => "localhost".to_owned(),
        name => name.to_owned(),
    }
}

/// The node's settings. `export_keys` is asked for on the command line or in the file.
///
/// # Errors
/// When this node is not one of its cluster's.
pub(crate) fn node(
    config: &Config,
    export_keys: bool,
    recovery: node::Recovery,
) -> Result<node::Config, Error> {
    let name = node_name(config);
    let cluster = config
        .cluster
        .as_ref()
        .map(|cluster| cluster_config(cluster, &name));
    Ok(node::Config {
        rules: config.rules.clone(),
        pad: Arc::new(config.pad.clone()),
        cookies: ike::Cookies::From(ike::limits::HALF_OPEN / 10),
        puzzles: config.node.puzzles.map(ike::Puzzles::of),
        export_keys,
        recovery,
        cluster: cluster.transpose()?,
    })
}

fn cluster_config(cluster: &ClusterSettings, name: &str) -> Result<ClusterConfig, Error> {
    let member = cluster.member(name).map_err(Error::Configuration)?;
    let groups = cluster.groups.iter().map(|group| GroupAddresses {
        group: group.name.clone(),
        addresses: group
            .addresses
            .iter()
            .map(|(address, _)| *address)
            .collect(),
    });
    let replicate = match cluster.takeover {
        Takeover::Replicate => Some(Replicate {
            strict: cluster.strict,
        }),
        Takeover::Renegotiate => None,
    };
    Ok(ClusterConfig {
        member,
        groups: groups.collect(),
        replicate,
    })
}

/// The groups as their driver wants them.
pub(crate) fn groups(config: &Config) -> Vec<Group> {
    let groups = config.cluster.iter().flat_map(|cluster| &cluster.groups);
    let command = |command: &Option<crate::config::ServiceCommand>| {
        let words = command.as_ref()?.arguments();
        Some(Command(words.into_iter().map(str::to_owned).collect()))
    };
    groups
        .map(|group| Group {
            name: group.name.clone(),
            addresses: group
                .addresses
                .iter()
                .map(|(address, length)| Prefix::new(*address, *length))
                .collect(),
            interface: group.interface.clone(),
            start: command(&group.start),
            stop: command(&group.stop),
            check: command(&group.check),
            check_interval: group.check_interval,
            timeout: group.command_timeout,
        })
        .collect()
}

/// The port of this node's heartbeats and the families they come by; `None` on a single host.
pub(crate) fn heartbeat_paths(config: &Config) -> Option<(u16, Vec<Family>)> {
    let cluster = config.cluster.as_ref()?;
    let own = cluster.node(&node_name(config))?;
    let port = own.addresses.first()?.port();
    let mut families: Vec<Family> = own
        .addresses
        .iter()
        .map(|address| Family::of(address.ip()))
        .collect();
    families.sort_unstable();
    families.dedup();
    Some((port, families))
}

/// Whether the rule gives up on protection for peers that say nothing.
pub(crate) fn is_soft(rule: &policy::Rule) -> bool {
    matches!(&rule.action, Action::Negotiate(negotiate) if negotiate.soft.is_some())
}

/// The plane that this host gets, for what its configuration needs.
///
/// # Errors
/// A sentence, where the one that was asked for cannot be.
pub(crate) fn choose_plane(config: &Config, sabotage: bool) -> Result<plane::Choice, Error> {
    let cluster = config.cluster.as_ref();
    let needs = plane::Needs {
        strict: cluster.is_some_and(|one| one.strict),
        tcp: config.wants_tcp(),
        replicate: cluster.is_some_and(|one| one.takeover == Takeover::Replicate),
        offload: config.plane.offload,
        soft: config.rules.iter().any(is_soft),
        sabotage,
    };
    plane::choose(config.plane.kind, needs).map_err(Error::Kernel)
}

/// The plane's settings.
pub(crate) fn plane(config: &Config, sabotage: bool) -> plane::Settings {
    plane::Settings {
        strict: config.cluster.as_ref().is_some_and(|one| one.strict),
        offload: config.plane.offload,
        sabotage,
        tun: config.plane.tun.clone(),
        mtu: u32::from(config.plane.mtu),
        mark: config.plane.mark,
    }
}

/// The capture's settings, for a plane with this device, or without one.
pub(crate) fn capture(config: &Config, device: Option<(&str, u32)>) -> capture::Settings {
    capture::Settings {
        tun: device.map(|(name, index)| (name.to_owned(), index)),
        mtu: u32::from(config.plane.mtu),
        table: config.plane.table,
        mark: config.plane.mark,
        priority: config.plane.rule_priority,
        tcp: tcp(config),
    }
}

/// The TCP packets that are IKE's own.
pub(crate) fn tcp(config: &Config) -> capture::Tcp {
    capture::Tcp {
        listens: config.node.tcp_listen,
        calls: config.calls_by_tcp(),
    }
}
