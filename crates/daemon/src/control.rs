//! The control socket: a line of JSON in, a line of JSON out, for root only.

use crate::error::Error;
use api::{ErrorCode, Reply, Request};
use std::fs::Permissions;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{mpsc, oneshot};

/// A request longer than this is none of ours.
const MAX_REQUEST: u64 = api::MAX_REQUEST as u64;
/// Connections at once; more wait to be accepted.
const MAX_CONNECTIONS: usize = 64;
/// A client that says nothing for this long is let go.
const SILENCE: Duration = Duration::from_secs(60);

/// A request, and where its answer goes.
pub(crate) struct Question {
    pub(crate) request: Request,
    pub(crate) answer: oneshot::Sender<Reply>,
}

/// The listening socket; its file is removed when the daemon ends.
pub(crate) struct Control {
    path: PathBuf,
}

impl Control {
    /// Listens on `path` and passes on what is asked.
    ///
    /// # Errors
    /// When the socket cannot be made.
    pub(crate) fn listen(path: &Path, questions: mpsc::Sender<Question>) -> Result<Self, Error> {
        let file_error = |source| Error::File {
            path: path.to_owned(),
            source,
        };
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(file_error)?;
        }
        // What a killed predecessor left. A living one holds the UDP ports, so that it has been
        // noticed before.
        let _ = std::fs::remove_file(path);
        let listener = UnixListener::bind(path).map_err(file_error)?;
        std::fs::set_permissions(path, Permissions::from_mode(0o600)).map_err(file_error)?;
        tokio::spawn(accept(listener, questions));
        Ok(Self {
            path: path.to_owned(),
        })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.path);
    }
}

async fn accept(listener: UnixListener, questions: mpsc::Sender<Question>) {
    let places = std::sync::Arc::new(tokio::sync::Semaphore::new(MAX_CONNECTIONS));
    loop {
        let Ok(place) = std::sync::Arc::clone(&places).acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            continue;
        };
        let questions = questions.clone();
        tokio::spawn(async move {
            let _ = tokio::time::timeout(SILENCE * 2, serve(stream, questions)).await;
            drop(place);
        });
    }
}

async fn serve(stream: UnixStream, questions: mpsc::Sender<Question>) -> std::io::Result<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read.take(MAX_REQUEST));
    loop {
        let mut line = String::new();
        read.get_mut().set_limit(MAX_REQUEST);
        let length = tokio::time::timeout(SILENCE, read.read_line(&mut line)).await??;
        if length == 0 {
            return Ok(());
        }
        let reply = match serde_json::from_str::<Request>(&line) {
            Ok(request) => ask(request, &questions).await,
            Err(error) => Reply::failure(
                ErrorCode::Usage,
                format!("the request cannot be read: {error}; use the same version of holdfast"),
            ),
        };
        let mut text = serde_json::to_vec(&reply)?;
        text.push(b'\n');
        write.write_all(&text).await?;
    }
}

async fn ask(request: Request, questions: &mpsc::Sender<Question>) -> Reply {
    let (answer, reply) = oneshot::channel();
    let asked = questions.send(Question { request, answer }).await;
    match (asked, reply.await) {
        (Ok(()), Ok(reply)) => reply,
        _ => Reply::failure(ErrorCode::NotRunning, "the daemon is stopping"),
    }
}
