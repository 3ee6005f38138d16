//! `[cluster]`, `[[cluster.node]]` and `[[cluster.group]]`.

mod witness;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ::cluster::{Failback, GroupName, NodeName};

use crate::config::diagnostic::{Problems, Span};
use crate::config::key::{self, Keys};
use crate::config::node::interface;
use crate::config::section::{Bad, Section, Value};
use crate::config::settings::{
    ClusterGroup, ClusterNode, ClusterSettings, ServiceCommand, Takeover,
};
use crate::config::timing::{DAY, SECOND};
use crate::config::value;

/// UDP port of the heartbeats.
const PORT: u16 = 4511;
/// TCP port of the links.
const LINK_PORT: u16 = 4512;
/// Where `holdfast cluster join` puts certificates.
const CERTIFICATES: &str = "/etc/holdfast/cluster";
/// Exactly this many nodes without a witness: three cannot agree on more than two can.
const NODES: usize = 2;
/// Most nodes with a witness.
const NODES_WITH_WITNESS: usize = ::cluster::limits::MAX_PEERS + 1;
const MAX_ADDRESSES: usize = 32;
const MAX_PATHS: usize = 8;

/// Reads `[cluster]`, if it is there and complete.
pub(crate) fn read(
    root: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
) -> Option<ClusterSettings> {
    let mut section = root.table(problems, "cluster", "[cluster]")?;
    let key = key::read(&mut section, problems, keys, "key", "key_file");
    if let Some(key) = &key {
        weigh(key, problems);
    }
    let ways = [
        ("replicate", Takeover::Replicate),
        ("renegotiate", Takeover::Renegotiate),
    ];
    let takeover = section.read(problems, "takeover", |value| value::word(value, &ways));
    let windows = [("bounded", false), ("strict", true)];
    let strict = section.read(problems, "inbound_window", |value| {
        value::word(value, &windows)
    });
    let certificates = section.read(problems, "certificates", path);
    let link_port = section.read(problems, "link_port", |value| {
        value::number(value, 1..=65_535)
    });
    let link_port = link_port.and_then(|port| u16::try_from(port).ok());
    let witness = witness::read(&mut section, problems);
    let bounds = Duration::from_millis(5)..=10 * SECOND;
    let heartbeat = section
        .read(problems, "heartbeat", |value| {
            value::duration(value, bounds)
        })
        .unwrap_or(Duration::from_millis(20));
    let missed = section
        .read(problems, "missed", |value| value::number32(value, 2..=100))
        .unwrap_or(5);
    let port = section.read(problems, "port", |value| value::number(value, 1..=65_535));
    let port = port
        .and_then(|port| u16::try_from(port).ok())
        .unwrap_or(PORT);
    let span = section.span.clone();
    let tables = section.tables(problems, "node", "[[cluster.node]]");
    let count = tables.len();
    let nodes: Vec<ClusterNode> = tables
        .into_iter()
        .filter_map(|table| read_node(table, problems, port))
        .collect();
    check_count(count, witness.is_some(), &span, problems);
    let tables = section.tables(problems, "group", "[[cluster.group]]");
    if tables.is_empty() {
        let remedy = "write a `[[cluster.group]]` with the virtual address".to_owned();
        let message = "the cluster has no group, so there is nothing to move".to_owned();
        problems.warn(span, message, "in [cluster]".to_owned(), remedy);
    }
    let groups = tables
        .into_iter()
        .filter_map(|table| read_group(table, problems, &nodes));
    let groups = groups.collect();
    section.finish(problems);
    Some(ClusterSettings {
        key: Arc::new(key?.secret),
        takeover: takeover.unwrap_or(Takeover::Replicate),
        strict: strict.unwrap_or(false),
        certificates: certificates.unwrap_or_else(|| CERTIFICATES.into()),
        link_port: link_port.unwrap_or(LINK_PORT),
        witness,
        heartbeat,
        missed,
        nodes,
        groups,
    })
}

/// Whether a key is good enough for the heartbeats.
fn weigh(key: &key::FoundKey, problems: &mut Problems) {
    match ::cluster::ClusterKey::from_slice(key.secret.as_bytes()) {
        Ok(_) => key::weigh(key, "[cluster]", false, problems),
        Err(bad) => {
            let remedy = "use the output of `holdfast psk`".to_owned();
            problems.error(
                key.span.clone(),
                bad.to_string(),
                "too short".into(),
                remedy,
            );
        }
    }
}

/// How many nodes there may be depends on whether somebody decides between them.
fn check_count(count: usize, witness: bool, span: &Span, problems: &mut Problems) {
    let (message, remedy) = match (count, witness) {
        (NODES, _) => return,
        (NODES..=NODES_WITH_WITNESS, true) => return,
        (_, true) => (
            format!("the cluster has {count} nodes, and it may have 2 to {NODES_WITH_WITNESS}"),
            "write a `[[cluster.node]]` for each node",
        ),
        (NODES.., false) => (
            format!("the cluster has {count} nodes, and without a witness it must have {NODES}"),
            "write a `[cluster.witness]`, or a `[[cluster.node]]` for this node and one other",
        ),
        (_, false) => (
            format!("the cluster has {count} nodes, and it must have {NODES}"),
            "write a `[[cluster.node]]` for this node and one for the other",
        ),
    };
    problems.error(
        span.clone(),
        message,
        "in [cluster]".to_owned(),
        remedy.to_owned(),
    );
}

fn path(value: &Value<'_>) -> Result<PathBuf, Bad> {
    value::short_text(value, 4096).map(PathBuf::from)
}

fn read_node(mut section: Section<'_>, problems: &mut Problems, port: u16) -> Option<ClusterNode> {
    let name = section.require(problems, "name", "\"be1\"", node_name);
    if let Some(name) = &name {
        section.title = format!("[[cluster.node]] `{name}`");
    }
    let addresses = section.require(problems, "address", "\"10.30.0.1\"", |value| {
        value::list(value, MAX_PATHS, |item| value::socket_address(item, port))
    });
    section.finish(problems);
    Some(ClusterNode {
        name: name?,
        addresses: addresses?,
    })
}

fn node_name(value: &Value<'_>) -> Result<NodeName, Bad> {
    let text = value::text(value)?;
    let reason = || format!("`{}` is not a name", text.escape_debug());
    NodeName::new(text).map_err(|bad| Bad::new(reason(), bad.to_string()))
}

fn group_name(value: &Value<'_>) -> Result<GroupName, Bad> {
    let text = value::text(value)?;
    let reason = || format!("`{}` is not a name", text.escape_debug());
    GroupName::new(text).map_err(|bad| Bad::new(reason(), bad.to_string()))
}

fn read_group(
    mut section: Section<'_>,
    problems: &mut Problems,
    nodes: &[ClusterNode],
) -> Option<ClusterGroup> {
    let name = section.require(problems, "name", "\"mail\"", group_name);
    if let Some(name) = &name {
        section.title = format!("[[cluster.group]] `{name}`");
    }
    let addresses = section.require(problems, "addresses", "[\"10.20.0.10/24\"]", |value| {
        value::list(value, MAX_ADDRESSES, value::interface_address)
    });
    let device = section.require(problems, "interface", "\"eth0\"", interface);
    let start = section.read(problems, "start", command);
    let stop = section.read(problems, "stop", command);
    let check = section.read(problems, "check", command);
    let check_interval = section.read(problems, "check_interval", |value| {
        value::duration(value, SECOND..=DAY / 24)
    });
    let bounds = SECOND..=DAY / 24;
    let command_timeout = section.read(problems, "command_timeout", |value| {
        value::duration(value, bounds)
    });
    let preferred = section.read(problems, "preferred", |value| {
        value::list(value, NODES_WITH_WITNESS, |item| {
            let name = node_name(item)?;
            if nodes.iter().any(|node| node.name == name) {
                return Ok(name);
            }
            let reason = format!("`{name}` is no node of the cluster");
            Err(Bad::new(reason, "write the name of a `[[cluster.node]]`"))
        })
    });
    let failback = section.read(problems, "failback", |value| {
        let words = [
            ("prevent", Failback::Never),
            ("immediate", Failback::After(Duration::ZERO)),
        ];
        let word = value::word(value, &words);
        let delay = || value::duration(value, Duration::ZERO..=DAY).map(Failback::After);
        word.or_else(|bad| delay().map_err(|_| bad))
    });
    let restarts = section.read(problems, "restart_threshold", |value| {
        value::number32(value, 0..=1000)
    });
    let period = section.read(problems, "restart_period", |value| {
        value::duration(value, SECOND..=DAY)
    });
    section.finish(problems);
    let every_node = || nodes.iter().map(|node| node.name.clone()).collect();
    Some(ClusterGroup {
        name: name?,
        addresses: addresses?,
        interface: device?,
        start,
        stop,
        check,
        check_interval: check_interval.unwrap_or(5 * SECOND),
        command_timeout: command_timeout.unwrap_or(30 * SECOND),
        preferred: preferred.unwrap_or_else(every_node),
        failback: failback.unwrap_or(Failback::Never),
        restart_threshold: restarts.unwrap_or(3),
        restart_period: period.unwrap_or(900 * SECOND),
    })
}

fn command(value: &Value<'_>) -> Result<ServiceCommand, Bad> {
    const LONGEST: usize = 4096;
    if let Ok(line) = value::text(value) {
        return match line.trim().is_empty() || line.len() > LONGEST || line.contains('\0') {
            true => Err(Bad::new(
                "this is no command",
                "write a command for `/bin/sh -c`",
            )),
            false => Ok(ServiceCommand::Shell(line.to_owned())),
        };
    }
    value::list(value, 64, |item| value::short_text(item, LONGEST)).map(ServiceCommand::Program)
}
