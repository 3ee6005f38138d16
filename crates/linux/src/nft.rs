//! Fail-closed packet filter rules, applied in one transaction by `nft` (RFC 4301 §4.4.1, §5).
//!
//! The rules are the kernel's copy of the policy: whatever happens to the daemon, a packet that
//! must be protected is dropped when it arrives in clear and when it would leave in clear, and
//! it is counted. One `inet` table has three chains:
//!
//! * `arriving` (prerouting, before connection tracking and address translation) judges what
//!   is addressed to this host; what comes out of the TUN was decrypted.
//! * `leaving` (output) judges what this host sends; what goes into the TUN will be encrypted.
//! * `forwarding` judges what this host forwards: one of its two devices must be the TUN.
//!
//! Where the kernel itself does ESP, it is asked instead whether it has decrypted a packet, or has
//! an SA for it; `leaving` is then at postrouting, where a packet that waited has its SA.
//!
//! Loopback traffic is exempt, as are the messages without which nothing works: ESP, IKE, the
//! TCP connections that carry both, and IPv6 neighbour discovery. Fragments follow their first one;
//! where packets are forwarded, later fragments between the addresses of a guard with ports are
//! dropped too.

use std::io::{self, Write};
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::error::Error;

mod boot;
mod document;
mod model;

pub use boot::{Boot, boot};
pub use model::{Action, Addresses, Counter, Direction, Guard, Protection, Ruleset, Selector};

/// Replaces the whole table by these rules, in one transaction: no packet meets half of them.
/// Counters of guards that were there before go on counting.
///
/// # Errors
/// A sentence: `nft` is missing, a name or a selector cannot be expressed, or `nft`'s own words.
pub fn apply(ruleset: &Ruleset) -> Result<(), Error> {
    let before = counters(&ruleset.table)?;
    let document = document::ruleset(ruleset, &before)
        .map_err(|why| Error::other("build the packet filter rules", why))?;
    nft(
        &["-j", "-f", "-"],
        Some(&document),
        "apply the packet filter rules",
    )
    .map(drop)
}

/// Reads the counters of a table; none when there is no such table.
///
/// # Errors
/// A sentence: `nft` is missing, or its own words.
pub fn counters(table: &str) -> Result<Vec<Counter>, Error> {
    let arguments = ["-j", "list", "counters", "table", "inet", table];
    let text = match nft(&arguments, None, "read the packet filter counters") {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        answer => answer?,
    };
    let document: Value = serde_json::from_slice(&text)
        .map_err(|why| Error::other("read the packet filter counters", why.to_string()))?;
    Ok(document::counters(&document))
}

/// Removes the table. Answers whether there was one.
///
/// # Errors
/// A sentence: `nft` is missing, or its own words.
pub fn delete(table: &str) -> Result<bool, Error> {
    match nft(
        &["delete", "table", "inet", table],
        None,
        "remove the packet filter rules",
    ) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Where `nft` is. Root's PATH has the sbin directories nearly everywhere; others' often has not.
const PROGRAMS: [&str; 3] = ["nft", "/usr/sbin/nft", "/sbin/nft"];

/// Runs `nft` in this thread's network namespace and answers what it wrote.
fn nft(arguments: &[&str], input: Option<&Value>, what: &str) -> Result<Vec<u8>, Error> {
    run_nft(&PROGRAMS, arguments, input, what)
}

/// Runs the first of these programs that exists.
fn run_nft(
    programs: &[&str],
    arguments: &[&str],
    input: Option<&Value>,
    what: &str,
) -> Result<Vec<u8>, Error> {
    let missing = || {
        let why = "nftables is not installed: apt-get install nftables";
        Error::new(what, io::Error::new(io::ErrorKind::Unsupported, why))
    };
    let found = programs.iter().find_map(|program| {
        let mut command = Command::new(program);
        command
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command.stdin(if input.is_some() {
            Stdio::piped()
        } else {
            Stdio::null()
        });
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            answer => Some(answer),
        }
    });
    let mut child = found
        .ok_or_else(missing)?
        .map_err(|why| Error::new(what, why))?;
    if let (Some(mut stdin), Some(input)) = (child.stdin.take(), input) {
        // When nft stops reading it says why on its standard error.
        let _ = stdin.write_all(input.to_string().as_bytes());
    }
    let output = child
        .wait_with_output()
        .map_err(|why| Error::new(what, why))?;
    if output.status.success() {
        return Ok(output.stdout);
    }
    let words = String::from_utf8_lossy(&output.stderr);
    let kind = if words.contains("No such file or directory") {
        io::ErrorKind::NotFound
    } else if words.contains("File exists") {
        io::ErrorKind::AlreadyExists
    } else if words.contains("Operation not permitted") {
        io::ErrorKind::PermissionDenied
    } else {
        io::ErrorKind::Other
    };
    let first = words
        .lines()
        .find(|line| !line.trim().is_empty())
        .unwrap_or("it gave no reason");
    Err(Error::new(
        what,
        io::Error::new(kind, format!("nft says: {}", first.trim())),
    ))
}

#[cfg(test)]
mod tests;
