//! How a `[[peer]]` and we prove who we are: keys, certificates, authorities, and the files in
//! which they are.

mod certificate;
mod files;
mod kerberos;
mod online;
mod order;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use crypto::signature::KeyKind;
use netsh::authentication::{Authentication, RootCa};
use policy::auth::{Alternative, Auth, LocalAuth, RemoteAuth};
use policy::{Identity, IkeVersion, Secret};

use crate::config::credentials::order::{Listed, MAX_METHODS, Method};
use crate::config::diagnostic::Problems;
use crate::config::key::{self, Keys};
use crate::config::section::{Bad, Section, Value};
use crate::config::value;

/// A key of the file, and in which case somebody looks at it: our method, the peer's method.
type Use = (&'static str, &'static str, fn(Method, Method) -> bool);

/// Keys that only some methods have, with what to write so that they have an effect.
const USES: &[Use] = &[
    ("psk", "psk", |ours, theirs| {
        either(ours, theirs, Method::Psk)
    }),
    ("psk_file", "psk", |ours, theirs| {
        either(ours, theirs, Method::Psk)
    }),
    ("allow_weak_psk", "psk", |ours, theirs| {
        either(ours, theirs, Method::Psk)
    }),
    ("certificate", "certificate", |ours, _| {
        ours == Method::Certificate
    }),
    ("password_file", "certificate", |ours, _| {
        ours == Method::Certificate
    }),
    ("private_key", "certificate", signs),
    ("rsa_padding", "certificate", signs),
    ("authorities", "certificate", |_, theirs| {
        theirs == Method::Certificate
    }),
    ("crls", "certificate", |_, theirs| {
        theirs == Method::Certificate
    }),
    ("revocation", "certificate", |_, theirs| {
        theirs == Method::Certificate
    }),
    ("root_ca", "certificate", |_, theirs| {
        theirs == Method::Certificate
    }),
    ("tls_certificates", "certificate", |_, theirs| {
        theirs == Method::Certificate
    }),
    ("ocsp", "certificate", |_, theirs| {
        theirs == Method::Certificate
    }),
    ("ocsp_responder", "certificate", |_, theirs| {
        theirs == Method::Certificate
    }),
    ("ocsp_response", "certificate", |ours, _| {
        ours == Method::Certificate
    }),
    ("public_key", "public_key", |_, theirs| {
        theirs == Method::PublicKey
    }),
    ("principal", "kerberos", by_kerberos),
    ("keytab", "kerberos", by_kerberos),
    ("peer_principals", "kerberos", by_kerberos),
    ("kdc", "kerberos", by_kerberos),
];

fn signs(ours: Method, _: Method) -> bool {
    matches!(ours, Method::Certificate | Method::PublicKey)
}

fn by_kerberos(ours: Method, theirs: Method) -> bool {
    either(ours, theirs, Method::Kerberos)
}

fn either(ours: Method, theirs: Method, method: Method) -> bool {
    ours == method || theirs == method
}

/// What a peer's section says of both sides' proofs.
pub(crate) struct ReadAuth {
    pub(crate) auth: Auth,
    pub(crate) local_id: Identity,
    pub(crate) remote_id: Identity,
    /// The ways after the first, for a peer of IKEv1.
    pub(crate) alternatives: Vec<Alternative>,
    /// KDCs that are known by their addresses.
    pub(crate) kdcs: Vec<SocketAddr>,
    /// How both sides prove it, in the words of Windows.
    pub(crate) authentication: Option<Vec<Authentication>>,
}

/// What several ways may have in common.
struct Shared {
    psk: Option<Arc<Secret>>,
    tickets: Option<kerberos::ReadKerberos>,
    /// Who we are to be.
    local_id: Identity,
}

/// Reads it; `None` when something essential is missing, which has been reported.
pub(crate) fn read(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
    version: IkeVersion,
) -> Option<ReadAuth> {
    let listed = order::read(section, problems, version);
    let psk = (listed.has(Method::Psk) || listed.order.contains(&Method::Psk))
        .then(|| read_psk(section, problems, keys))
        .flatten();
    let mut identities = |key| {
        section
            .read(problems, key, identity)
            .unwrap_or(Identity::Any)
    };
    let (local_id, remote_id) = (identities("local_id"), identities("remote_id"));
    let tickets = listed
        .has(Method::Kerberos)
        .then(|| read_tickets(section, problems, keys, listed.is_same()))
        .flatten();
    let kdcs = tickets.as_ref().map(|read| read.kdcs.clone());
    let roots = section.read(problems, "root_ca", |value| {
        value::list(value, MAX_METHODS, root_ca)
    });
    let authentication = authentication(&listed.order, psk.as_ref(), &roots.unwrap_or_default());
    let shared = Shared {
        psk,
        tickets,
        local_id,
    };
    let ways = listed.ways.iter();
    let ways: Vec<Option<Alternative>> = ways
        .map(|way| read_way(section, problems, keys, *way, &shared))
        .collect();
    report_unused(section, problems, &listed);
    let mut ways: Vec<Alternative> = ways.into_iter().collect::<Option<_>>()?;
    for way in &ways {
        check_version(section, problems, &way.auth, version);
    }
    let Alternative { auth, local_id } = ways.remove(0);
    Some(ReadAuth {
        auth,
        local_id,
        remote_id,
        alternatives: ways,
        kdcs: kdcs.unwrap_or_default(),
        authentication: authentication.filter(|_| listed.is_same()),
    })
}

/// One way: how we prove it and as whom, and how the peer must.
fn read_way(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
    (ours, theirs): (Method, Method),
    shared: &Shared,
) -> Option<Alternative> {
    let (psk, wanted) = (shared.psk.as_ref(), shared.local_id.clone());
    let tickets = shared.tickets.as_ref();
    let local = match ours {
        Method::Kerberos => tickets.map(|read| (read.local.clone(), wanted)),
        Method::Psk => psk.map(|psk| (LocalAuth::Psk(Arc::clone(psk)), wanted)),
        Method::Certificate => certificate::own(section, problems, keys, wanted),
        Method::PublicKey => certificate::own_key(section, problems, keys, wanted),
    };
    let remote = match theirs {
        Method::Kerberos => tickets.map(|read| read.remote.clone()),
        Method::Psk => psk.map(|psk| RemoteAuth::Psk(Arc::clone(psk))),
        Method::Certificate => certificate::authorities(section, problems, keys),
        Method::PublicKey => certificate::pinned(section, problems, keys),
    };
    let ((local, local_id), remote) = (local?, remote?);
    Some(Alternative {
        auth: Auth { local, remote },
        local_id,
    })
}

/// Kerberos, which has no half: each side's ticket is made for the other.
fn read_tickets(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
    both: bool,
) -> Option<kerberos::ReadKerberos> {
    if !both {
        let message = format!("{} has Kerberos on one side only", section.title);
        let remedy = "write `auth = \"kerberos\"`, or another method on both sides".to_owned();
        let label = "one exchange of tickets proves both sides".to_owned();
        problems.error(section.span.clone(), message, label, remedy);
    }
    kerberos::read(section, problems, keys)
}

/// What a version of IKE has no method for.
fn check_version(section: &Section<'_>, problems: &mut Problems, auth: &Auth, version: IkeVersion) {
    if version == IkeVersion::V2 && matches!(auth.local, LocalAuth::Kerberos(_)) {
        let message = format!("{} has Kerberos, and IKEv2 has not", section.title);
        let remedy = "add `version = \"ikev1\"`, or use certificates".to_owned();
        let label = "a method of IKEv1".to_owned();
        problems.error(section.span_of("auth"), message, label, remedy);
    }
    if version == IkeVersion::V1 {
        check_version_1(section, problems, auth);
    }
}

/// IKEv1 has one number for the way of both sides, signs with RSA alone, and asks no responder.
fn check_version_1(section: &Section<'_>, problems: &mut Problems, auth: &Auth) {
    let title = &section.title;
    let mut refuse = |key: &str, what: &str, label: &str, remedy: &str| {
        let message = format!("{title} speaks IKEv1, and {what}");
        let (label, remedy) = (label.to_owned(), remedy.to_owned());
        problems.error(section.span_of(key), message, label, remedy);
    };
    let by_key = matches!(auth.local, LocalAuth::Psk(_));
    let of_key = matches!(auth.remote, RemoteAuth::Psk(_));
    if by_key != of_key {
        let what = "there both sides prove themselves in the same way";
        refuse("auth", what, "two ways", "write one way, or use IKEv2");
    }
    if let LocalAuth::Signature(own) = &auth.local
        && !matches!(own.key.public().kind(), KeyKind::Rsa(_))
    {
        let (what, label) = ("signs with RSA keys only", "a key of another kind");
        refuse("key", what, label, "give it an RSA key, or use IKEv2");
    }
    if let RemoteAuth::Certificate(authorities) = &auth.remote
        && authorities.online().is_some()
    {
        let (what, label) = ("asks no responder there", "it would not be asked");
        let remedy = "remove it and give lists of revocations (`crl`), or use IKEv2";
        refuse("ocsp", what, label, remedy);
    }
}

/// The list in the words of Windows; `None` if it does not know one of them.
fn authentication(
    order: &[Method],
    psk: Option<&Arc<Secret>>,
    roots: &[RootCa],
) -> Option<Vec<Authentication>> {
    let mut list = Vec::new();
    for method in order {
        match method {
            Method::Kerberos => list.push(Authentication::Kerberos),
            Method::Psk => list.push(Authentication::Psk(Arc::clone(psk?).into())),
            Method::Certificate if !roots.is_empty() => {
                list.extend(roots.iter().cloned().map(Authentication::RootCa));
            }
            Method::Certificate | Method::PublicKey => return None,
        }
    }
    Some(list)
}

/// `root_ca`: an authority as Windows names it.
fn root_ca(value: &Value<'_>) -> Result<RootCa, Bad> {
    RootCa::parse(value::text(value)?)
        .map_err(|reason| Bad::new(reason, "write `C=US, O=Corp, CN=Root certmap:no`"))
}

fn read_psk(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
) -> Option<Arc<Secret>> {
    let key = key::read(section, problems, keys, "psk", "psk_file");
    let weak = section.read(problems, "allow_weak_psk", value::boolean);
    let key = key?;
    key::weigh(&key, &section.title, weak.unwrap_or(false), problems);
    Some(Arc::new(key.secret))
}

/// A key that nobody looks at: somebody thinks that it protects something.
fn report_unused(section: &mut Section<'_>, problems: &mut Problems, listed: &Listed) {
    for (key, method, used) in USES {
        // Further ways of IKEv2 are kept for an export.
        let kept = listed.order.iter().any(|method| used(*method, *method));
        if kept {
            let _ = section.take(key);
        }
        let mut ways = listed.ways.iter();
        let is_used = ways.any(|(ours, theirs)| used(*ours, *theirs));
        if kept || is_used || section.take(key).is_none() {
            continue;
        }
        if *key == "psk" {
            problems.secret(section.span_of(key));
        }
        let (title, written) = (&section.title, listed.written());
        let message = format!("`{key}` of {title} has no effect with {written}");
        let remedy = format!("write `auth = \"{method}\"`, or remove the key");
        problems.error(
            section.span_of(key),
            message,
            "nobody looks at it".into(),
            remedy,
        );
    }
}

fn identity(value: &Value<'_>) -> Result<Identity, Bad> {
    let remedy = "write an address, a domain name, `user@domain`, `C=.., O=.., CN=..`, `@#hex` or \
                  `any`";
    Identity::parse(value::text(value)?).map_err(|bad| Bad::new(bad.to_string(), remedy))
}

#[cfg(test)]
mod tests;
