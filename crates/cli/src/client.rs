//! One request to the running daemon over its control socket.

use crate::failure::Failure;
use api::{ErrorCode, Reply, Request};
use serde_json::Value;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// Where a daemon listens that is not told otherwise.
const USUAL: &str = "/run/holdfast/control.sock";
/// A planned move waits for its services; nothing else takes this long.
const PATIENCE: Duration = Duration::from_secs(60);
/// A status of 100,000 SAs has this order of size; more is no answer of ours.
const MAX_REPLY: u64 = 256 << 20;

/// The way to a daemon.
pub(crate) struct Client {
    socket: PathBuf,
}

impl Client {
    /// A client of the daemon that listens on `socket`, or on the usual one.
    pub(crate) fn new(socket: Option<&Path>) -> Self {
        Self {
            socket: socket.unwrap_or(Path::new(USUAL)).to_owned(),
        }
    }

    /// Asks, and waits for the answer.
    ///
    /// # Errors
    /// When the daemon is not there, does not answer or refuses.
    pub(crate) fn ask(&self, request: &Request) -> Result<Value, Failure> {
        let reply = self
            .exchange(request)
            .map_err(|error| self.explain(&error))?;
        let reply: Reply = serde_json::from_str(&reply).map_err(|error| {
            let message = format!("the daemon's answer cannot be read: {error}");
            Failure::new(ErrorCode::Failed, message)
        })?;
        match (reply.result, reply.error) {
            (Some(result), _) => Ok(result),
            (None, Some(failure)) => Err(Failure::new(failure.code, failure.message)),
            (None, None) => Ok(Value::Null),
        }
    }

    fn exchange(&self, request: &Request) -> std::io::Result<String> {
        let mut stream = UnixStream::connect(&self.socket)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let mut line = serde_json::to_vec(request)?;
        line.push(b'\n');
        stream.write_all(&line)?;
        let mut reply = String::new();
        BufReader::new(stream.take(MAX_REPLY)).read_line(&mut reply)?;
        match reply.is_empty() {
            true => Err(ErrorKind::UnexpectedEof.into()),
            false => Ok(reply),
        }
    }

    fn explain(&self, error: &std::io::Error) -> Failure {
        let socket = self.socket.display();
        match error.kind() {
            ErrorKind::NotFound | ErrorKind::ConnectionRefused => Failure::new(
                ErrorCode::NotRunning,
                format!(
                    "no daemon listens on {socket}; start one with `holdfast daemon`, or name \
                     its socket with --socket"
                ),
            ),
            ErrorKind::PermissionDenied => Failure::new(
                ErrorCode::NoPermission,
                format!("{socket} may be used by root only; try again with sudo"),
            ),
            ErrorKind::WouldBlock | ErrorKind::TimedOut => Failure::new(
                ErrorCode::Timeout,
                format!(
                    "the daemon on {socket} did not answer within {} s",
                    PATIENCE.as_secs()
                ),
            ),
            ErrorKind::UnexpectedEof => Failure::new(
                ErrorCode::Failed,
                format!("the daemon on {socket} closed the connection without an answer"),
            ),
            _ => Failure::new(
                ErrorCode::Failed,
                format!("{socket} cannot be used: {error}"),
            ),
        }
    }
}
