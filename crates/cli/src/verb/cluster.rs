//! `holdfast cluster`: nodes and groups, planned moves, pauses.

use crate::arguments::ClusterAction;
use crate::client::Client;
use crate::failure::Failure;
use crate::verb::output::{self, say};
use api::{ClusterStatus, ErrorCode, Request};
use link::pki;
use std::time::SystemTime;

/// Does what was asked of the cluster.
///
/// # Errors
/// When the daemon does not answer, or the cluster refuses.
pub(crate) fn run(action: &ClusterAction, ask: &Client, json: bool) -> Result<(), Failure> {
    let request = match action {
        ClusterAction::Init { nodes, dir, renew } => {
            let made = pki::init(dir, nodes, *renew, SystemTime::now());
            return told(made.map(|made| made.to_string()), json);
        }
        ClusterAction::Join { file, dir } => {
            let joined = pki::join(file, dir, SystemTime::now());
            return told(joined.map(|joined| joined.to_string()), json);
        }
        ClusterAction::Status => Request::ClusterStatus,
        ClusterAction::Move { group, to } => Request::ClusterMove {
            group: group.clone(),
            to: to.clone(),
        },
        ClusterAction::Pause => Request::ClusterPause,
        ClusterAction::Resume => Request::ClusterResume,
    };
    let result = ask.ask(&request)?;
    if json {
        output::json(result);
        return Ok(());
    }
    print(&output::read(result)?);
    Ok(())
}

/// What became of certificates, which needs no daemon.
fn told(done: Result<String, pki::Error>, json: bool) -> Result<(), Failure> {
    let text = done.map_err(|error| Failure::new(ErrorCode::Failed, error.to_string()))?;
    match json {
        true => output::json(serde_json::json!({ "done": text })),
        false => say!("{text}"),
    }
    Ok(())
}

/// The nodes and groups as text.
pub(crate) fn print(status: &ClusterStatus) {
    say!(
        "cluster, as {} sees it (takeover: {})",
        status.node,
        status.takeover
    );
    for node in &status.nodes {
        let silence = node
            .silence_ms
            .map(|ms| format!(", heard {ms:.0} ms ago"))
            .unwrap_or_default();
        say!("  node  {:<12} {}{silence}", node.name, node.state);
    }
    for group in &status.groups {
        say!(
            "  group {:<12} {} on {} for {:.1} s, epoch {}, {}",
            group.name,
            group.state,
            group.owner.as_deref().unwrap_or("no node"),
            group.since_s,
            group.epoch,
            group.addresses.join(" "),
        );
    }
}
