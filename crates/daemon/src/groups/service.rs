//! One command of a group's service, with its end or its time limit.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;
use tokio::io::AsyncReadExt;
use tokio::process::{ChildStderr, Command as Process};

/// Output kept for the sentence about a failure, in bytes.
const MAX_OUTPUT: usize = 300;
/// How long the end of the output of a command that has failed is waited for.
const LAST_WORDS: Duration = Duration::from_millis(100);

/// A program and its arguments.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Command(pub(crate) Vec<String>);

/// Runs a command to its end.
///
/// # Errors
/// A sentence: it cannot be started, fails, or takes longer than `timeout`, after which it is
/// killed.
pub(crate) async fn run(command: &Command, timeout: Duration) -> Result<(), String> {
    let shown = command.0.join(" ");
    let Some((program, arguments)) = command.0.split_first() else {
        return Ok(());
    };
    let mut process = Process::new(program);
    process
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    let mut child = process
        .spawn()
        .map_err(|error| format!("`{shown}` cannot be started: {error}"))?;
    let said = Arc::new(Mutex::new(Vec::new()));
    // What a service that goes on in the background still says is read as long as it lives:
    // nobody waits for that, and it does not write into a closed pipe.
    let listener = child
        .stderr
        .take()
        .map(|stderr| tokio::spawn(listen(stderr, Arc::clone(&said))));
    match tokio::time::timeout(timeout, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => {
            if let Some(listener) = listener {
                let _ = tokio::time::timeout(LAST_WORDS, listener).await;
            }
            let said = said.lock().map(|said| said.clone()).unwrap_or_default();
            let text = String::from_utf8_lossy(&said);
            Err(format!("`{shown}` failed ({status}): {}", text.trim()))
        }
        Ok(Err(error)) => Err(format!("`{shown}` cannot be waited for: {error}")),
        Err(_) => Err(format!(
            "`{shown}` did not end within {} s",
            timeout.as_secs()
        )),
    }
}

/// Reads to the end and keeps the last of it.
async fn listen(mut stderr: ChildStderr, said: Arc<Mutex<Vec<u8>>>) {
    let mut buffer = [0; 4096];
    while let Ok(length @ 1..) = stderr.read(&mut buffer).await {
        let Ok(mut said) = said.lock() else { return };
        said.extend_from_slice(buffer.get(..length).unwrap_or_default());
        let surplus = said.len().saturating_sub(MAX_OUTPUT);
        said.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    async fn shell(text: &str) -> Result<(), String> {
        let words = ["/bin/sh", "-c", text].map(str::to_owned);
        run(&Command(words.to_vec()), Duration::from_secs(5)).await
    }

    #[tokio::test]
    async fn a_service_that_stays_in_the_background_has_been_started() {
        let begun = Instant::now();
        assert_eq!(shell("sleep 4 &").await, Ok(()));
        assert!(begun.elapsed() < Duration::from_secs(3));
    }

    #[tokio::test]
    async fn a_failure_tells_its_last_words() {
        let why = shell("echo no mail today >&2; exit 3").await.unwrap_err();
        assert!(
            why.contains("no mail today") && why.contains("exit status: 3"),
            "{why}"
        );
    }
}
