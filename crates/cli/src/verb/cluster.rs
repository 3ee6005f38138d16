//! `holdfast cluster`: nodes and groups, planned moves, pauses.

use crate::arguments::ClusterAction;
use crate::client::Client;
use crate::failure::Failure;
use crate::verb::output::{self, say};
use api::{ClusterStatus, Request};

/// Does what was asked of the cluster.
///
/// # Errors
/// When the daemon does not answer, or the cluster refuses.
pub(crate) fn run(action: &ClusterAction, ask: &Client, json: bool) -> Result<(), Failure> {
    let request = match action {
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
