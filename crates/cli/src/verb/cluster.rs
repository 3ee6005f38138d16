//! `holdfast cluster`: nodes and groups, planned moves, pauses, what has moved.

mod history;
mod text;

use crate::arguments::ClusterAction;
use crate::client::Client;
use crate::failure::Failure;
use crate::verb::output::{self, say};
use api::{ErrorCode, Request};
use link::pki;
use std::time::SystemTime;

pub(crate) use text::print;

/// Does what was asked of the cluster.
///
/// # Errors
/// When the daemon does not answer, or the cluster refuses.
pub(crate) fn run(action: &ClusterAction, ask: &Client, json: bool) -> Result<(), Failure> {
    let request = match action {
        ClusterAction::Init { nodes, dir, renew } => {
            let made = pki::init(dir, nodes, *renew, today());
            return told(made.map(|made| made.to_string()), json);
        }
        ClusterAction::Join { file, dir } => {
            let joined = pki::join(file, dir, today());
            return told(joined.map(|joined| joined.to_string()), json);
        }
        ClusterAction::Status => Request::ClusterStatus,
        ClusterAction::History { last } => return history::run(*last, ask, json),
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

/// The day on which a certificate is made or read.
#[expect(
    clippy::disallowed_methods,
    reason = "a person asks; the clock is theirs"
)]
fn today() -> SystemTime {
    SystemTime::now()
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
