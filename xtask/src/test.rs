//! `cargo xtask test`: every check and every test, as a fresh machine and CI run them.

use crate::{chore, packages, tidy};

/// How much is run.
#[derive(PartialEq, Eq, Clone, Copy)]
pub(crate) enum Extent {
    /// What needs no package, no peer and no namespace of its own.
    Quick,
    /// All of it.
    Everything,
}

/// Runs the checks in the order in which they are cheap.
///
/// # Errors
/// A sentence that names the first step that failed.
pub(crate) fn run(extent: Extent) -> Result<(), String> {
    if extent == Extent::Everything {
        packages::install()?;
    }
    tidy::run()?;
    chore::run("cargo", &["fmt", "--all", "--check"])?;
    let lints = [
        "clippy",
        "--workspace",
        "--all-targets",
        "--quiet",
        "--",
        "-D",
        "warnings",
    ];
    chore::run("cargo", &lints)?;
    let docs = [
        "doc",
        "--workspace",
        "--no-deps",
        "--document-private-items",
        "--quiet",
    ];
    chore::run_with("cargo", &docs, &[("RUSTDOCFLAGS", "-D warnings")])?;
    chore::run("cargo", &["test", "--workspace", "--quiet"])?;
    if extent == Extent::Everything {
        interop("all")?;
    }
    Ok(())
}

/// Measures throughput beside plain veth and strongSwan; says nothing about good and bad.
///
/// # Errors
/// A sentence, when a package or a measurement is not to be had.
pub(crate) fn bench() -> Result<(), String> {
    packages::install()?;
    interop("bench")
}

/// Our software against foreign software.
fn interop(verb: &str) -> Result<(), String> {
    chore::run(
        "cargo",
        &["run", "--quiet", "--release", "-p", "interop", "--", verb],
    )
}
