//! How a `[[peer]]` and we prove who we are: keys, certificates, authorities, and the files in
//! which they are.

mod certificate;
mod files;
mod kerberos;
mod online;
mod watch;

use std::net::SocketAddr;
use std::sync::Arc;

use crypto::signature::KeyKind;
use netsh::authentication::{Authentication, RootCa};
use policy::auth::{Auth, LocalAuth, RemoteAuth};
use policy::{Identity, IkeVersion, Secret};

use crate::config::diagnostic::Problems;
use crate::config::key::{self, Keys};
use crate::config::section::{Bad, Section, Value};
use crate::config::value;

/// Most ways of one peer.
const MAX_METHODS: usize = 16;

/// A way to prove something.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Method {
    Psk,
    Certificate,
    PublicKey,
    Kerberos,
}

const METHODS: &[(&str, Method)] = &[
    ("psk", Method::Psk),
    ("certificate", Method::Certificate),
    ("public_key", Method::PublicKey),
    ("kerberos", Method::Kerberos),
];

impl Method {
    fn word(self) -> &'static str {
        let known = METHODS.iter().find(|(_, method)| *method == self);
        known.map_or("", |(word, _)| word)
    }
}

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
    /// KDCs that are known by their addresses.
    pub(crate) kdcs: Vec<SocketAddr>,
    /// How both sides prove it, in the words of Windows.
    pub(crate) authentication: Option<Vec<Authentication>>,
}

/// Reads it; `None` when something essential is missing, which has been reported.
pub(crate) fn read(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
) -> Option<ReadAuth> {
    let word = |value: &Value<'_>| value::word(value, METHODS);
    let order = section.read(problems, "auth", |value| {
        value::list(value, MAX_METHODS, word)
    });
    let order = order.unwrap_or(vec![Method::Psk]);
    let both = order.first().copied().unwrap_or(Method::Psk);
    if order.len() > 1 {
        report_order(section, problems, both);
    }
    let ours = section.read(problems, "local_auth", word).unwrap_or(both);
    let theirs = section.read(problems, "remote_auth", word).unwrap_or(both);
    let psk = (either(ours, theirs, Method::Psk) || order.contains(&Method::Psk))
        .then(|| read_psk(section, problems, keys))
        .flatten();
    let mut identities = |key| {
        section
            .read(problems, key, identity)
            .unwrap_or(Identity::Any)
    };
    let (wanted, remote_id) = (identities("local_id"), identities("remote_id"));
    let tickets = by_kerberos(ours, theirs)
        .then(|| read_tickets(section, problems, keys, ours == theirs))
        .flatten();
    let kdcs = tickets.as_ref().map(|read| read.kdcs.clone());
    let (by_ticket, of_ticket) = tickets.map(|read| (read.local, read.remote)).unzip();
    let roots = section.read(problems, "root_ca", |value| {
        value::list(value, MAX_METHODS, root_ca)
    });
    let authentication = authentication(&order, psk.as_ref(), &roots.unwrap_or_default());
    let local = match ours {
        Method::Kerberos => by_ticket.map(|ticket| (ticket, wanted)),
        Method::Psk => psk.clone().map(|psk| (LocalAuth::Psk(psk), wanted)),
        Method::Certificate => certificate::own(section, problems, keys, wanted),
        Method::PublicKey => certificate::own_key(section, problems, keys, wanted),
    };
    let remote = match theirs {
        Method::Kerberos => of_ticket,
        Method::Psk => psk.map(RemoteAuth::Psk),
        Method::Certificate => certificate::authorities(section, problems, keys),
        Method::PublicKey => certificate::pinned(section, problems, keys),
    };
    report_unused(section, problems, &order, ours, theirs);
    let ((local, local_id), remote) = (local?, remote?);
    Some(ReadAuth {
        auth: Auth { local, remote },
        local_id,
        remote_id,
        kdcs: kdcs.unwrap_or_default(),
        authentication: authentication.filter(|_| ours == theirs),
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
pub(crate) fn check_version(
    section: &Section<'_>,
    problems: &mut Problems,
    auth: &Auth,
    version: IkeVersion,
) {
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

/// Only the first way is used: what the others are kept for is a peer that is given other words.
fn report_order(section: &Section<'_>, problems: &mut Problems, first: Method) {
    let message = format!("of the ways of {} only the first is used", section.title);
    let label = format!("`{}` both ways", first.word());
    let remedy = "put the one that the peer has first".to_owned();
    problems.warn(section.span_of("auth"), message, label, remedy);
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
fn report_unused(
    section: &mut Section<'_>,
    problems: &mut Problems,
    order: &[Method],
    ours: Method,
    theirs: Method,
) {
    for (key, method, used) in USES {
        let listed = order.iter().any(|method| used(*method, *method));
        if listed {
            let _ = section.take(key);
        }
        if listed || used(ours, theirs) || section.take(key).is_none() {
            continue;
        }
        if *key == "psk" {
            problems.secret(section.span_of(key));
        }
        let methods = match ours == theirs {
            true => format!("`auth = \"{}\"`", ours.word()),
            false => format!("`{}` here and `{}` there", ours.word(), theirs.word()),
        };
        let message = format!("`{key}` of {} has no effect with {methods}", section.title);
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
