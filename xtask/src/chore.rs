//! Running one step of a chore: its command is shown, its failure is a sentence.

use std::process::Command;
use std::time::Instant;

/// Runs `program` with `arguments` in the repository's root and waits for it.
///
/// # Errors
/// A sentence, when it cannot be started or ends with another status than 0.
pub(crate) fn run(program: &str, arguments: &[&str]) -> Result<(), String> {
    run_with(program, arguments, &[])
}

/// As [`run`], with more environment variables.
pub(crate) fn run_with(
    program: &str,
    arguments: &[&str],
    environment: &[(&str, &str)],
) -> Result<(), String> {
    let shown = format!("{program} {}", arguments.join(" "));
    eprintln!("== {shown}");
    #[expect(
        clippy::disallowed_methods,
        reason = "a chore is not the core: it may time itself"
    )]
    let begun = Instant::now();
    let status = Command::new(program)
        .args(arguments)
        .envs(environment.iter().copied())
        .status()
        .map_err(|error| format!("`{shown}` could not be started: {error}."))?;
    eprintln!("== {:.1} s", begun.elapsed().as_secs_f64());
    match status.success() {
        true => Ok(()),
        false => Err(format!(
            "`{shown}` failed ({status}); what it printed is above."
        )),
    }
}
