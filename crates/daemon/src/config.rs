//! The policy file: TOML in, checked settings or a report with line, column and remedy out.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use netsh::filters::Resolve;
use netsh::model::{Address, BootMode};
use policy::{Pad, Timers};
use toml::Spanned;
use toml::de::DeTable;

use crate::clock;
use crate::config::basis::Basis;
use crate::config::diagnostic::Problems;
use crate::config::key::Keys;
use crate::config::named::Objects;
use crate::config::section::Section;

mod action;
mod algorithms;
mod basis;
mod cluster;
mod credentials;
pub mod diagnostic;
pub mod diff;
mod failover;
mod kdc;
mod key;
mod lint;
mod lookup;
pub mod named;
mod node;
mod objects;
mod peer;
pub(crate) mod piece;
mod ppk;
mod rule;
mod section;
pub mod settings;
mod timing;
mod value;
mod version;

pub use diagnostic::{Diagnostic, Report, Severity};
pub use diff::{Changes, diff};
pub use key::{OwnStatus, ReadFile, Secrecy};
pub use settings::{
    ClusterGroup, ClusterNode, ClusterSettings, Config, NodeSettings, PlaneKind, PlaneSettings,
    ServiceCommand, Takeover, WitnessSettings,
};

/// Longest policy file in bytes; far more than anybody writes.
pub const MAX_FILE: usize = 1 << 20;
/// Longest file that holds no secret: lists of revocations have millions of entries.
const MAX_PUBLIC_FILE: usize = 64 << 20;

/// A policy that can be used, with what is unwise in it.
pub struct Loaded {
    /// What it says.
    pub config: Config,
    /// Warnings only.
    pub report: Report,
}

/// Reads and checks the policy file at `path`. Files that it names are sought beside it.
///
/// # Errors
/// The [`Report`] with every error that was found; nothing has been applied.
pub fn load(path: &Path) -> Result<Loaded, Box<Report>> {
    let name = path.display().to_string();
    let bytes = match read_bounded(path, MAX_FILE) {
        Ok(bytes) => bytes,
        Err(reason) => return Err(unreadable(&name, &format!("cannot be read: {reason}"))),
    };
    let Ok(text) = String::from_utf8(bytes) else {
        return Err(unreadable(&name, "is no UTF-8 text"));
    };
    let mut read_file = |file: &str, secrecy| read_beside(path, file, secrecy);
    let open = is_open(path);
    parse_checked(&name, &text, &mut read_file, &mut lookup::addresses, open)
}

/// A file that the policy at `policy` names.
fn read_beside(policy: &Path, file: &str, secrecy: Secrecy) -> Result<Vec<u8>, String> {
    let path = policy.parent().unwrap_or(Path::new(".")).join(file);
    let most = match secrecy {
        Secrecy::Secret => MAX_FILE,
        Secrecy::Public => MAX_PUBLIC_FILE,
    };
    let bytes = read_bounded(&path, most)?;
    match secrecy == Secrecy::Secret && is_open(&path) {
        true => Err("others than its owner may read it (`chmod 600` helps)".to_owned()),
        false => Ok(bytes),
    }
}

fn read_bounded(path: &Path, most: usize) -> Result<Vec<u8>, String> {
    let sentence = |error: std::io::Error| error.to_string();
    let length = fs::metadata(path).map_err(sentence)?.len();
    if length > most as u64 {
        return Err(format!("it has {length} bytes, more than {most}"));
    }
    fs::read(path).map_err(sentence)
}

/// Whether others than the owner may read the file.
fn is_open(path: &Path) -> bool {
    fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o044 != 0)
}

fn unreadable(file: &str, reason: &str) -> Box<Report> {
    let mut problems = Problems::new();
    let message = format!("the policy file {reason}");
    let remedy = "name another file, or write one as docs/configuration.md shows".to_owned();
    problems.error(0..0, message, "nothing was read".to_owned(), remedy);
    Box::new(problems.into_report(file, ""))
}

/// What the policy file at `path` wants to hold before the policy does. Only `[policy]` is looked
/// at: when a host starts no name can be looked up yet.
///
/// # Errors
/// The [`Report`], when the file cannot be read, is no TOML, or `[policy]` is wrong.
pub fn boot_mode(path: &Path) -> Result<BootMode, Box<Report>> {
    let name = path.display().to_string();
    let bytes = read_bounded(path, MAX_FILE)
        .map_err(|reason| unreadable(&name, &format!("cannot be read: {reason}")))?;
    let text = String::from_utf8(bytes).map_err(|_| unreadable(&name, "is no UTF-8 text"))?;
    let mut problems = Problems::new();
    let document = read_toml(&text, &mut problems);
    let mut root = Section::new("the policy", 0..0, document.get_ref());
    let policy = objects::read_policy(&mut root, &mut problems);
    match problems.has_errors() {
        true => Err(Box::new(problems.into_report(&name, &text))),
        false => Ok(policy.boot_mode.unwrap_or(BootMode::Permit)),
    }
}

/// The tables of a file; faults of their form are reported.
fn read_toml<'a>(text: &'a str, problems: &mut Problems) -> Spanned<DeTable<'a>> {
    let (document, errors) = DeTable::parse_recoverable(text);
    for error in &errors {
        let message = format!("this is no TOML: {}", error.message());
        let remedy = "texts need double quotes, lists brackets, tables `[name]`".to_owned();
        let span = error.span().unwrap_or(0..0);
        problems.error(span, message, "here".to_owned(), remedy);
    }
    document
}

/// Reads and checks a policy's text. `read_file` gives the bytes of the files it names; names are
/// not looked up.
///
/// # Errors
/// The [`Report`] with every error that was found.
pub fn parse(file: &str, text: &str, read_file: ReadFile<'_>) -> Result<Loaded, Box<Report>> {
    let mut nobody = |address: &Address| Err(format!("`{address}` is not looked up"));
    parse_checked(file, text, read_file, &mut nobody, false)
}

fn parse_checked(
    file: &str,
    text: &str,
    read_file: ReadFile<'_>,
    resolve: Resolve<'_>,
    open: bool,
) -> Result<Loaded, Box<Report>> {
    let mut problems = Problems::new();
    if text.len() > MAX_FILE {
        return Err(unreadable(file, &format!("has more than {MAX_FILE} bytes")));
    }
    let document = read_toml(text, &mut problems);
    // Half a file must not lead to half a policy, nor to complaints about the other half.
    if problems.has_errors() {
        return Err(Box::new(problems.into_report(file, text)));
    }
    let root = Section::new("the policy", 0..0, document.get_ref());
    let config = read(root, &mut problems, read_file, resolve, open);
    let failed = problems.has_errors();
    let report = problems.into_report(file, text);
    match config {
        Some(config) if !failed => Ok(Loaded { config, report }),
        _ => Err(Box::new(report)),
    }
}

fn read(
    mut root: Section<'_>,
    problems: &mut Problems,
    read_file: ReadFile<'_>,
    resolve: Resolve<'_>,
    open: bool,
) -> Option<Config> {
    let timers = timing::profile(&mut root, problems, &Timers::modern());
    let node = node::read_node(&mut root, problems);
    let plane = node::read_plane(&mut root, problems);
    let now = clock::seconds();
    let mut keys = Keys {
        read_file,
        open,
        now,
        own_statuses: Vec::new(),
        krb5_conf: krb5_conf(),
    };
    let policy = objects::read_policy(&mut root, problems);
    let inherited = peer::Inherited {
        timers: &timers,
        force_udp: plane.force_udp,
        policy: &policy,
    };
    let mut peers = Vec::new();
    for table in root.tables(problems, "peer", "[[peer]]") {
        peers.extend(peer::read(table, problems, &mut keys, &inherited));
    }
    objects::check_limit(&policy, &peers, problems);
    let mut objects = Objects {
        policy,
        ..Objects::default()
    };
    objects::read(&mut root, problems, &mut objects);
    let mut rules = Vec::new();
    let clustered = root.has("cluster");
    let mut resolve = |address: &Address| lookup::outside_clusters(clustered, address, resolve);
    for table in root.tables(problems, "rule", "[[rule]]") {
        rules.extend(rule::read(table, problems, &mut objects, &mut resolve));
    }
    rules.extend(rule::read_default(&mut root, problems, &mut objects));
    rules.extend(rule::exempt(&objects.policy));
    objects.peers = peers.iter().map(|read| read.object.clone()).collect();
    let cluster = cluster::read(&mut root, problems, &mut keys);
    let wants_cluster = root.has("cluster");
    let in_cluster = cluster.as_ref().map(|read| (read, root.span_of("cluster")));
    root.finish(problems);
    lint::check(&mut rules, &peers, &timers, in_cluster, &node, problems);
    if wants_cluster && cluster.is_none() {
        return None;
    }
    let own_statuses = keys.own_statuses;
    let pad = Pad::new(peers.iter().map(|read| read.peer.clone()).collect());
    let rules = rules.into_iter().map(|read| read.rule).collect();
    Some(Config {
        node,
        plane,
        pad,
        rules,
        own_statuses,
        cluster,
        objects,
        basis: Basis { timers, peers },
    })
}

/// Where MIT Kerberos looks for its configuration.
fn krb5_conf() -> Vec<String> {
    let named = std::env::var("KRB5_CONFIG").ok();
    let named = named.filter(|named| !named.is_empty());
    let files = named.as_deref().unwrap_or("/etc/krb5.conf");
    files.split(':').map(str::to_owned).collect()
}

#[cfg(test)]
mod tests;
