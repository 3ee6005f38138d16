//! `[cluster.witness]`: the etcd that decides between nodes which do not hear each other.

use std::path::PathBuf;
use std::time::Duration;

use crate::config::diagnostic::Problems;
use crate::config::section::{Bad, Section, Value};
use crate::config::settings::WitnessSettings;
use crate::config::timing::SECOND;
use crate::config::value;

/// What keys begin with, unless the file says otherwise.
const PREFIX: &str = "holdfast/";
/// Most members of an etcd that are named.
const MAX_ENDPOINTS: usize = 9;

/// Reads `[cluster.witness]`, if it is there.
pub(crate) fn read(cluster: &mut Section<'_>, problems: &mut Problems) -> Option<WitnessSettings> {
    let mut section = cluster.table(problems, "witness", "[cluster.witness]")?;
    let etcd = section.require(problems, "etcd", "[\"https://10.30.0.11:2379\"]", |value| {
        value::list(value, MAX_ENDPOINTS, url)
    });
    let ca = section.read(problems, "ca", path);
    let certificate = section.read(problems, "certificate", path);
    let key = section.read(problems, "key", path);
    let prefix = section.read(problems, "prefix", |value| value::short_text(value, 200));
    let bounds = Duration::from_millis(50)..=60 * SECOND;
    let timeout = section.read(problems, "timeout", |value| value::duration(value, bounds));
    let span = section.span.clone();
    section.finish(problems);
    let etcd = etcd?;
    let secure = etcd.iter().filter(|url| url.starts_with("https:")).count();
    let tls = ca.zip(certificate).zip(key);
    let tls = tls.map(|((ca, certificate), key)| (ca, certificate, key));
    let fault = match (secure, tls.is_some()) {
        (0, false) => None,
        (secure, true) if secure == etcd.len() => None,
        (0, true) => Some("the addresses are `http`, and certificates are only for `https`"),
        (secure, _) if secure < etcd.len() => Some("the addresses are `http` and `https`"),
        _ => Some("the addresses are `https`, and certificates are missing"),
    };
    if let Some(fault) = fault {
        let remedy = "use `https` everywhere with `ca`, `certificate` and `key`, or `http` \
                      everywhere with none of them on a network that nobody else reaches";
        let label = "in [cluster.witness]".to_owned();
        problems.error(span, fault.to_owned(), label, remedy.to_owned());
        return None;
    }
    Some(WitnessSettings {
        etcd,
        tls,
        prefix: prefix.unwrap_or_else(|| PREFIX.to_owned()),
        timeout: timeout.unwrap_or(2 * SECOND),
    })
}

fn path(value: &Value<'_>) -> Result<PathBuf, Bad> {
    value::short_text(value, 4096).map(PathBuf::from)
}

fn url(value: &Value<'_>) -> Result<String, Bad> {
    let text = value::short_text(value, 200)?;
    match text.starts_with("http://") || text.starts_with("https://") {
        true => Ok(text),
        false => Err(Bad::new(
            format!("`{}` is not the address of an etcd", text.escape_debug()),
            "write `https://ADDRESS:2379`",
        )),
    }
}
