//! Peers that prove themselves by certificates and raw public keys (RFC 7427, RFC 4945, RFC 7670).

use std::path::Path;
use std::time::Duration;

use crate::capture::Capture;
use crate::folder::{self, Scratch};
use crate::holdfast::{self, Rules, by_certificate};
use crate::program::wait_for;
use crate::strongswan::pki::{Kind, Pki, SIDES};
use crate::strongswan::session::{Place, Role, Session};
use crate::strongswan::{self, Auth, Connection, Hosts, IDS, proven};
use crate::table::Table;

const PEER: &str = "strongSwan";
const IKE: &str = "aes128gcm16-prfsha256-x25519";
const ESP: &str = "aes128gcm16";
const SUBJECTS: [&str; 2] = [
    "C=DE, O=Interop, CN=a.example",
    "C=DE, O=Interop, CN=b.example",
];

/// What both sides are called.
#[derive(Clone, Copy)]
pub(crate) enum Names {
    /// By the subjects of their certificates.
    Subjects,
    /// By domain names in them.
    Domains,
}

impl Names {
    fn of(self) -> [&'static str; 2] {
        match self {
            Names::Subjects => SUBJECTS,
            Names::Domains => IDS,
        }
    }
}

/// What is agreed on, or not.
#[derive(Clone, Copy)]
pub(crate) struct Case {
    pub(crate) what: &'static str,
    pub(crate) kind: Kind,
    pub(crate) names: Names,
    /// RSA signs with PSS on both sides.
    pub(crate) pss: bool,
    /// Keys without certificates.
    pub(crate) raw: bool,
    pub(crate) flaw: Option<Flaw>,
    /// More lines for our `[[peer]]`.
    pub(crate) more: &'static str,
}

/// Why it is refused, and by whom.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Flaw {
    WeRevoked,
    TheyRevoked,
    WeUnknown,
    TheyUnknown,
}

pub(crate) const GOOD: Case = Case {
    what: "",
    kind: Kind::EcdsaP256,
    names: Names::Subjects,
    pss: true,
    raw: false,
    flaw: None,
    more: "",
};

const CASES: [Case; 12] = [
    Case {
        what: "ECDSA P-256, subjects",
        ..GOOD
    },
    Case {
        what: "ECDSA P-256, domain names",
        names: Names::Domains,
        ..GOOD
    },
    Case {
        what: "RSA-2048 with PSS",
        kind: Kind::Rsa2048,
        ..GOOD
    },
    Case {
        what: "RSA-2048 with PKCS #1 v1.5",
        kind: Kind::Rsa2048,
        pss: false,
        names: Names::Domains,
        ..GOOD
    },
    Case {
        what: "Ed25519",
        kind: Kind::Ed25519,
        ..GOOD
    },
    Case {
        what: "raw public keys, ECDSA P-256",
        raw: true,
        names: Names::Domains,
        ..GOOD
    },
    Case {
        what: "raw public keys, RSA-2048",
        raw: true,
        kind: Kind::Rsa2048,
        names: Names::Domains,
        ..GOOD
    },
    Case {
        what: "raw public keys, Ed25519",
        raw: true,
        kind: Kind::Ed25519,
        names: Names::Domains,
        ..GOOD
    },
    Case {
        what: "its certificate is revoked",
        flaw: Some(Flaw::WeRevoked),
        ..GOOD
    },
    Case {
        what: "our certificate is revoked",
        flaw: Some(Flaw::TheyRevoked),
        ..GOOD
    },
    Case {
        what: "its authority is unknown here",
        flaw: Some(Flaw::WeUnknown),
        ..GOOD
    },
    Case {
        what: "our authority is unknown there",
        flaw: Some(Flaw::TheyUnknown),
        ..GOOD
    },
];

/// Every case in both roles.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "certificates")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let hosts = Hosts::new("cert")?;
    let mut table = Table::new("certificates");
    let pcap = folder.join("eth0.pcap");
    let capture = Capture::start(&hosts.ours, "eth0", &pcap, (), |_, _| {})?;
    for (number, case) in CASES.iter().enumerate() {
        let pki = Pki::new(&folder.join(format!("pki{number}")), "root", case.kind)?;
        let other = Pki::new(&folder.join(format!("other{number}")), "another", case.kind)?;
        for role in [Role::WeInitiate, Role::TheyInitiate] {
            let name = format!("c{number}{}", role.letter());
            let place = Place {
                program: &program,
                hosts: &hosts,
                scratch: scratch.path(),
                folder: &folder,
                name: &name,
            };
            let done = prepare(&place, case, &pki, &other).and_then(|session| match case.flaw {
                None => accepted(&session, case, role),
                Some(flaw) => refused(&session, &place, flaw, role),
            });
            table.add(&format!("{}, {}", case.what, role.words()), PEER, done);
        }
    }
    capture.stop()?;
    table.finish(&folder)
}

pub(crate) fn prepare<'a>(
    place: &Place<'a>,
    case: &Case,
    pki: &Pki,
    other: &Pki,
) -> Result<Session<'a>, String> {
    let extra = if case.pss { "rsa_pss = yes" } else { "" };
    let session = Session::with_settings(place, &rules(case, pki, other), extra)?;
    let (them, theirs) = (&session.them, |name: &str| pki.path(name));
    let root = match case.flaw {
        Some(Flaw::TheyUnknown) => other.path("root.crt"),
        _ => theirs("root.crt"),
    };
    them.copy("private", &theirs("b.key"))?;
    if case.raw {
        for side in SIDES {
            them.copy("pubkey", &theirs(&format!("{side}.pub")))?;
        }
    } else {
        them.copy("x509", &theirs("b.crt"))?;
        them.copy("x509ca", &root)?;
        them.copy("x509ca", &theirs("b-authority.crt"))?;
    }
    if case.flaw == Some(Flaw::TheyRevoked) {
        them.copy("x509crl", &theirs("a-revoked.crl"))?;
        them.copy("x509crl", &theirs("root.crl"))?;
    }
    them.load(&connection(case))?;
    Ok(session)
}

/// Our side: peer `swan`, rule `net`.
pub(crate) fn rules(case: &Case, pki: &Pki, other: &Pki) -> String {
    let path = |name: &str| pki.path(name).display().to_string();
    let root = match case.flaw {
        Some(Flaw::WeUnknown) => other.path("root.crt").display().to_string(),
        _ => path("root.crt"),
    };
    let mut proof = match case.raw {
        true => format!(
            "auth = \"public_key\"\nprivate_key = \"{}\"\npublic_key = \"{}\"\n",
            path("a.key"),
            path("b.pub")
        ),
        false => by_certificate(&path("a-chain.crt"), &path("a.key"), &root),
    };
    if case.flaw == Some(Flaw::WeRevoked) {
        let lists = (path("b-revoked.crl"), path("root.crl"));
        proof += &format!("crls = [\"{}\", \"{}\"]\n", lists.0, lists.1);
    }
    proof += case.more;
    if !case.pss {
        proof += "rsa_padding = \"pkcs1\"\n";
    }
    let ids = case.names.of();
    let rules = Rules {
        ids,
        ..proven(proof, IKE, ESP)
    };
    rules.text()
}

/// strongSwan's side.
fn connection(case: &Case) -> Connection<'static> {
    let [remote_id, local_id] = case.names.of();
    let auth = match case.raw {
        true => Auth::Keys("pubkeys = b.pub", "pubkeys = a.pub"),
        false => Auth::Keys("certs = b.crt", "revocation = relaxed"),
    };
    Connection {
        local_id,
        remote_id,
        auth,
        ..strongswan::connection(IKE, ESP)
    }
}

pub(crate) fn accepted(session: &Session<'_>, case: &Case, role: Role) -> Result<String, String> {
    let seen = session.brief(role)?;
    let [_, expected] = case.names.of();
    match seen.1.as_deref() {
        Some(name) if name == expected => Ok(seen.0),
        other => Err(format!("the peer is called {other:?} and not {expected}")),
    }
}

/// What each side says: the one that refuses knows why.
fn refused(
    session: &Session<'_>,
    place: &Place<'_>,
    flaw: Flaw,
    role: Role,
) -> Result<String, String> {
    let said = match role {
        Role::WeInitiate => session.us.command(&["sa", "initiate", "net"]),
        Role::TheyInitiate => {
            session
                .them
                .swanctl(&["--initiate", "--child", "net", "--timeout", "5"])
        }
    };
    if let Ok(said) = said {
        return Err(format!("it was established: {said}"));
    }
    let (ours, theirs): (&[&str], &[&str]) = match flaw {
        Flaw::WeRevoked => (
            &["CN=b.example` was revoked by", "CN=b-authority"],
            &["AUTHENTICATION_FAILED"],
        ),
        Flaw::WeUnknown => (
            &["CN=b.example` leads to", "none of our authorities"],
            &["AUTHENTICATION_FAILED"],
        ),
        Flaw::TheyRevoked => (&["AUTHENTICATION_FAILED"], &["revoked"]),
        Flaw::TheyUnknown => (&["AUTHENTICATION_FAILED"], &["no issuer certificate found"]),
    };
    let log = |name: &str| {
        let path = place.folder.join(format!("{}-{name}.log", place.name));
        std::fs::read_to_string(path).unwrap_or_default()
    };
    let (mut here, mut there) = (String::new(), String::new());
    let named = wait_for(Duration::from_secs(3), || {
        // Who refuses an answer says so afterwards, and then there was an IKE SA for a moment.
        here = log("daemon");
        there = log("swan-charon");
        // strongSwan writes AUTH_FAILED for the notification.
        let there = there.replace("AUTH_FAILED", "AUTHENTICATION_FAILED");
        ours.iter().all(|word| here.contains(word)) && theirs.iter().all(|w| there.contains(w))
    });
    match named {
        Some(_) => Ok(here
            .lines()
            .rfind(|line| ours.iter().any(|word| line.contains(word)))
            .unwrap_or_default()
            .to_owned()),
        None => Err(format!(
            "we do not say {ours:?} and it {theirs:?}, but: {here}"
        )),
    }
}
