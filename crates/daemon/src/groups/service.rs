//! One command of a group's service, with its end or its time limit.

use std::process::Stdio;
use std::time::Duration;
use tokio::process::Command as Process;

/// Output kept for the sentence about a failure, in bytes.
const MAX_OUTPUT: usize = 300;

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
        .kill_on_drop(true);
    let ended = tokio::time::timeout(timeout, process.output()).await;
    match ended {
        Ok(Ok(output)) if output.status.success() => Ok(()),
        Ok(Ok(output)) => {
            let text = String::from_utf8_lossy(&output.stderr);
            let text = text.trim();
            let start = text.len().saturating_sub(MAX_OUTPUT);
            let tail = text.get(start..).unwrap_or(text);
            Err(format!("`{shown}` failed ({}): {tail}", output.status))
        }
        Ok(Err(error)) => Err(format!("`{shown}` cannot be started: {error}")),
        Err(_) => Err(format!(
            "`{shown}` did not end within {} s",
            timeout.as_secs()
        )),
    }
}
