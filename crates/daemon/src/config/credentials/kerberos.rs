//! `auth = "kerberos"`: our principal and its keytab, who may answer for the peer, and where the
//! KDCs are (draft-ietf-ipsec-isakmp-gss-auth).

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use policy::Secret;
use policy::auth::{LocalAuth, RemoteAuth};
use policy::kerberos::{KerberosKey, Principal, PrincipalPattern};

use crate::config::diagnostic::Problems;
use crate::config::kdc;
use crate::config::key::{Keys, Secrecy};
use crate::config::peer::MAX_ITEMS;
use crate::config::section::{Bad, Section, Value};
use crate::config::value;

/// Where a host's own keys are by custom.
const KEYTAB: &str = "/etc/krb5.keytab";

/// Both sides' proof, and the KDCs that are known by their addresses.
pub(crate) struct ReadKerberos {
    pub(crate) local: LocalAuth,
    pub(crate) remote: RemoteAuth,
    pub(crate) kdcs: Vec<SocketAddr>,
}

/// Reads it; `None` when something essential is missing, which has been reported.
pub(crate) fn read(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
) -> Option<ReadKerberos> {
    let example = "\"host/fe.example@EXAMPLE\"";
    let principal = section.require(problems, "principal", example, |value| {
        let remedy = "write it as `klist -k` shows it, such as `host/fe.example@EXAMPLE`";
        Principal::parse(value::text(value)?).map_err(|why| Bad::new(why.to_string(), remedy))
    });
    let keytab = section
        .read(problems, "keytab", |value| {
            value::text(value).map(str::to_owned)
        })
        .unwrap_or_else(|| KEYTAB.to_owned());
    let example = "[\"host/be1.example@EXAMPLE\", \"host/be2.example@EXAMPLE\"]";
    let members = section.require(problems, "peer_principals", example, |value| {
        value::list(value, MAX_ITEMS, pattern)
    });
    let listed = section.read(problems, "kdc", |value| {
        value::list(value, MAX_ITEMS, |item| {
            value::socket_address(item, kdc::PORT)
        })
    });
    let (principal, members) = (principal?, members?);
    check_keytab(section, problems, keys, &keytab, &principal);
    let mut kdcs = from_krb5_conf(keys, &principal, &members);
    kdcs.extend(listed.into_iter().flatten());
    if kdcs.is_empty() {
        let message = format!(
            "it is not known where the KDCs of {} are, so nobody can tell whether a rule covers \
             them",
            section.title
        );
        let remedy = "list their addresses in `kdc`, as krb5.conf does not".to_owned();
        let span = section.span_of("principal");
        problems.warn(span, message, "no address of a KDC".to_owned(), remedy);
    }
    let keytab = PathBuf::from(keytab);
    Some(ReadKerberos {
        local: LocalAuth::Kerberos(Arc::new(KerberosKey { principal, keytab })),
        remote: RemoteAuth::Kerberos(Arc::new(members)),
        kdcs,
    })
}

fn pattern(value: &Value<'_>) -> Result<PrincipalPattern, Bad> {
    let remedy = "write `host/be1.example@EXAMPLE`, or `host/be*.example@EXAMPLE` for several";
    PrincipalPattern::parse(value::text(value)?).map_err(|why| Bad::new(why.to_string(), remedy))
}

/// That the keytab is there, is for us alone and has our key.
fn check_keytab(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
    keytab: &str,
    principal: &Principal,
) {
    let shown = keytab.escape_debug().to_string();
    let read = (keys.read_file)(keytab, Secrecy::Secret).map(Secret::new);
    let why = match read {
        Err(why) => format!("the keytab `{shown}` cannot be read: {why}"),
        Ok(octets) => match principals(octets.as_bytes()) {
            None => format!("`{shown}` is no keytab"),
            Some(found) if found.iter().any(|one| one == principal.as_str()) => return,
            Some(found) => format!(
                "the keytab `{shown}` has no key of `{principal}`, but of {}",
                short(&found)
            ),
        },
    };
    let remedy = "make it with `kadmin ktadd`, mode 0600; `klist -k` shows whose keys are in it";
    let label = format!("for {}", section.title);
    let span = match section.has("keytab") {
        true => section.span_of("keytab"),
        false => section.span_of("principal"),
    };
    problems.error(span, why, label, remedy.to_owned());
}

fn short(found: &[String]) -> String {
    let mut found = found.to_vec();
    found.dedup();
    let shown: Vec<String> = found
        .iter()
        .take(3)
        .map(|one| format!("`{}`", one.escape_debug()))
        .collect();
    match (shown.is_empty(), found.len() > shown.len()) {
        (true, _) => "nobody".to_owned(),
        (false, true) => format!("{} and others", shown.join(", ")),
        (false, false) => shown.join(", "),
    }
}

/// Whose keys are in a keytab of MIT's and Heimdal's format, version 2 (what all write today).
fn principals(octets: &[u8]) -> Option<Vec<String>> {
    let mut rest = octets.strip_prefix(&[5, 2])?;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = i32::from_be_bytes(*length);
        // Zero and what may come after it is room that was never used; a hole has a minus sign.
        let size = usize::try_from(length.unsigned_abs()).ok()?;
        if size == 0 {
            break;
        }
        let (entry, after) = after.split_at_checked(size)?;
        if length > 0 {
            found.push(entry_name(entry)?);
        }
        rest = after;
    }
    Some(found)
}

/// The number of parts, the realm, the parts, each with its length before it.
fn entry_name(entry: &[u8]) -> Option<String> {
    let (count, mut rest) = entry.split_first_chunk::<2>()?;
    let mut next = || {
        let (length, after) = rest.split_first_chunk::<2>()?;
        let length = usize::from(u16::from_be_bytes(*length));
        let (text, after) = after.split_at_checked(length)?;
        rest = after;
        Some(String::from_utf8_lossy(text).into_owned())
    };
    let realm = next()?;
    let parts: Option<Vec<String>> = (0..u16::from_be_bytes(*count)).map(|_| next()).collect();
    Some(format!("{}@{realm}", parts?.join("/")))
}

/// The KDCs of our realm and of those of the peer: their tickets are fetched as well.
fn from_krb5_conf(
    keys: &mut Keys<'_>,
    principal: &Principal,
    members: &[PrincipalPattern],
) -> Vec<SocketAddr> {
    let names = members.iter().map(PrincipalPattern::as_str);
    let realms: Vec<&str> = names
        .chain([principal.as_str()])
        .filter_map(|name| name.split_once('@').map(|(_, realm)| realm))
        .collect();
    let mut found = Vec::new();
    for file in keys.krb5_conf.clone() {
        let octets = (keys.read_file)(&file, Secrecy::Public).unwrap_or_default();
        found.extend(kdc::configured(&String::from_utf8_lossy(&octets), &realms));
    }
    found
}

#[cfg(test)]
mod tests;
