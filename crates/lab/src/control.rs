//! Talks to a daemon's control socket: one line of JSON out, one back.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use api::{ClusterStatus, ReplicationStatus, Reply, Request};
use serde::de::DeserializeOwned;

/// An answer longer than this, in bytes, is not taken.
const LONGEST: u64 = 1 << 20;

/// The daemon's socket in its folder.
pub(crate) const SOCKET: &str = "control.sock";

/// Asks one question.
///
/// # Errors
/// A sentence: nobody answers, or the daemon refuses.
pub(crate) fn ask<T: DeserializeOwned>(
    socket: &Path,
    request: &Request,
    patience: Duration,
) -> Result<T, String> {
    let exchange = || -> std::io::Result<Reply> {
        let mut stream = UnixStream::connect(socket)?;
        stream.set_read_timeout(Some(patience))?;
        stream.set_write_timeout(Some(patience))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut answer = String::new();
        BufReader::new(stream.take(LONGEST)).read_line(&mut answer)?;
        Ok(serde_json::from_str(&answer)?)
    };
    let reply = exchange().map_err(|e| format!("the daemon does not answer: {e}"))?;
    match (reply.result, reply.error) {
        (_, Some(failure)) => Err(failure.message),
        (Some(result), None) => {
            serde_json::from_value(result).map_err(|e| format!("the answer is unexpected: {e}"))
        }
        (None, None) => Err("the daemon gave an empty answer".into()),
    }
}

/// Who owns a group and whether it is online there, as the node behind `socket` sees it.
pub(crate) fn owner(socket: &Path, group: &str) -> Option<String> {
    let status: ClusterStatus =
        ask(socket, &Request::ClusterStatus, Duration::from_millis(500)).ok()?;
    let group = status.groups.into_iter().find(|g| g.name == group)?;
    group.owner.filter(|_| group.state == "online")
}

/// Asks the node behind `socket` to move a group.
///
/// # Errors
/// Its refusal.
pub(crate) fn move_group(
    socket: &Path,
    group: &str,
    to: &str,
    patience: Duration,
) -> Result<(), String> {
    let request = Request::ClusterMove {
        group: group.into(),
        to: Some(to.into()),
    };
    ask::<serde_json::Value>(socket, &request, patience).map(drop)
}

/// Whether the node behind `socket` reaches its witness.
pub(crate) fn witnessed(socket: &Path) -> bool {
    let patience = Duration::from_millis(500);
    let status = ask::<ClusterStatus>(socket, &Request::ClusterStatus, patience);
    status.is_ok_and(|status| status.witness == Some(true))
}

/// How the node behind `socket` stands in the replication of a group, as it sees it itself.
pub(crate) fn replication(socket: &Path, group: &str) -> Option<ReplicationStatus> {
    let status: ClusterStatus =
        ask(socket, &Request::ClusterStatus, Duration::from_millis(500)).ok()?;
    let group = status.groups.into_iter().find(|g| g.name == group)?;
    group.replication
}
