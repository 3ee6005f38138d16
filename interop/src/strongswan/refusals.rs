//! What must be refused, with words that name what each side wanted.

use std::path::Path;
use std::time::Duration;

use crate::holdfast::PSK;
use crate::program::wait_for;
use crate::strongswan::session::{Place, Role, Session};
use crate::strongswan::{Auth, Connection, Hosts, connection, rules};
use crate::table::Table;

const PEER: &str = "strongSwan";
const IKE: &str = "aes128gcm16-prfsha256-x25519";
const ESP: &str = "aes128gcm16";

/// One disagreement: what strongSwan has instead, and words that our failure must contain.
struct Case {
    what: &'static str,
    change: fn(&mut Connection<'_>),
    words: [&'static [&'static str]; 2],
}

/// For each: what we say as the initiator, who learns no more than that the other side refused,
/// and as the responder, who knows what both sides want.
const CASES: [Case; 4] = [
    Case {
        what: "wrong key",
        change: |connection| {
            connection.auth = Auth::Psk("another-key-that-is-as-long-as-the-right-one");
        },
        words: [
            &["rule net", "swan", "AUTHENTICATION_FAILED", "both sides"],
            &["b.example", "key"],
        ],
    },
    Case {
        what: "no common IKE proposal",
        change: |connection| connection.ike = "aes256-sha512-modp4096",
        words: [
            &["rule net", "swan", "NO_PROPOSAL_CHOSEN", "both sides"],
            &["AES_GCM", "AES_CBC"],
        ],
    },
    Case {
        what: "no common ESP proposal",
        change: |connection| connection.esp = "aes256-sha512",
        words: [
            &["rule net", "swan", "NO_PROPOSAL_CHOSEN", "both sides"],
            &["AES_GCM", "AES_CBC"],
        ],
    },
    Case {
        what: "no common selectors",
        change: |connection| {
            connection.local_selector = "10.99.7.1";
            connection.remote_selector = "10.99.8.1";
        },
        words: [
            &["rule net", "swan", "TS_UNACCEPTABLE", "both sides"],
            &["10.99.2.1", "10.99.7.1"],
        ],
    },
];

/// Every disagreement in both roles.
pub(crate) fn run(program: &Path, hosts: &Hosts, scratch: &Path, folder: &Path, table: &mut Table) {
    for (number, case) in CASES.iter().enumerate() {
        for (role, words) in [Role::WeInitiate, Role::TheyInitiate]
            .into_iter()
            .zip(case.words)
        {
            let name = format!("refused{number}{}", role.letter());
            let place = Place {
                program,
                hosts,
                scratch,
                folder,
                name: &name,
            };
            let what = format!("{}, {}", case.what, role.words());
            table.add(&what, PEER, refused(&place, case, role, words));
        }
    }
}

fn refused(place: &Place<'_>, case: &Case, role: Role, words: &[&str]) -> Result<String, String> {
    let session = Session::bare(place, &rules(IKE, ESP, PSK))?;
    let mut theirs = connection(IKE, ESP);
    (case.change)(&mut theirs);
    session.them.load(&theirs)?;
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
    let mut text = String::new();
    let named = wait_for(Duration::from_secs(3), || {
        text = session.complaints();
        words.iter().all(|word| text.contains(word))
    });
    match named {
        Some(_) => Ok(text),
        None => Err(format!("we do not say {words:?} but: {text}")),
    }
}
