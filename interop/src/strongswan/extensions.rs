//! What goes beyond RFC 7296 with strongSwan: fragments (RFC 7383), an IKE SA without a child at
//! first (RFC 6023), post-quantum pre-shared keys (RFC 8784).

use std::fs;

use api::IkeSa;

use crate::capture::Capture;
use crate::holdfast::{Rules, by_certificate, by_psk};
use crate::strongswan::fragments::Fragments;
use crate::strongswan::pki::{Kind, Pki};
use crate::strongswan::session::{Check, Place, Role, Session};
use crate::strongswan::{Auth, Connection, connection, proven};
use crate::table::Table;

const PEER: &str = "strongSwan";
const IKE: &str = "aes128gcm16-prfsha256-x25519";
const ESP: &str = "aes128gcm16-x25519";
const PPK: &str = "Zk9wQ2x7Lr4TnV1sYb8mHc3eJd6fGa5uPo0iRq2tMwE";

/// What both sides have besides, and what must be seen of it.
struct Cell {
    what: &'static str,
    /// More lines of our peer, and of its connection, by who initiates.
    ours: String,
    theirs: [&'static str; 2],
    /// More of its secrets, and of its settings.
    secrets: String,
    settings: &'static str,
    /// Both sides have chains of RSA certificates, too long for one fragment.
    certificates: bool,
    check: Check,
    /// What its log must say, by who initiates.
    says: [&'static [&'static str]; 2],
}

fn with(sa: &IkeSa, extension: &str) -> Result<(), String> {
    match sa.extensions.iter().any(|one| one == extension) {
        true => Ok(()),
        false => Err(format!("no {extension} in {:?}", sa.extensions)),
    }
}

fn without_ppk(sa: &IkeSa) -> Result<(), String> {
    with(sa, "ppk").map_or(Ok(()), |()| Err("a PPK is used after all".to_owned()))
}

/// The first child of a childless IKE SA has had a key exchange of its own.
fn own_exchange(sa: &IkeSa) -> Result<(), String> {
    let has = |child: &api::ChildSa| child.proposal.contains("x25519");
    match sa.child_sas.iter().all(has) {
        true => Ok(()),
        false => Err(format!("the first child has no group: {:?}", sa.child_sas)),
    }
}

fn ppk(id: &str, required: bool) -> String {
    format!("ppk_id = \"{id}\"\nppk = \"{PPK}\"\nppk_required = {required}\n")
}

fn cells() -> [Cell; 4] {
    let secrets = format!("ppk-one {{ secret = \"{PPK}\"\n id = one }}");
    [
        Cell {
            what: "fragments (RFC 7383)",
            ours: "fragment_size = 576\n".to_owned(),
            theirs: ["fragmentation = yes"; 2],
            secrets: String::new(),
            settings: "fragment_size = 576",
            certificates: true,
            check: |sa| with(sa, "fragmentation"),
            says: [
                &["received fragment #1 of", "splitting IKE message"],
                &["received fragment #1 of", "splitting IKE message"],
            ],
        },
        Cell {
            what: "no child at first (RFC 6023)",
            ours: "childless = \"prefer\"\n".to_owned(),
            theirs: ["childless = force"; 2],
            secrets: String::new(),
            settings: "",
            certificates: false,
            check: own_exchange,
            says: [
                &["parsed CREATE_CHILD_SA request 2 [ SA No KE TSi TSr ]"],
                &["generating CREATE_CHILD_SA request 2 [ SA No KE TSi TSr ]"],
            ],
        },
        Cell {
            what: "PPK, required (RFC 8784)",
            ours: ppk("one", true),
            theirs: ["ppk_id = one\n    ppk_required = yes"; 2],
            secrets: secrets.clone(),
            settings: "",
            certificates: false,
            check: |sa| with(sa, "ppk"),
            says: [
                &["using PPK for PPK_ID 'one'"],
                &["using PPK for PPK_ID 'one'"],
            ],
        },
        Cell {
            what: "another PPK, not required (RFC 8784)",
            ours: ppk("two", false),
            // As the responder it insists on the one that it is told of, required or not.
            theirs: ["ppk_required = no", "ppk_id = one\n    ppk_required = no"],
            secrets,
            settings: "",
            certificates: false,
            check: without_ppk,
            says: [
                &["no PPK available, using NO_PPK_AUTH notify"],
                &["peer didn't use PPK for PPK_ID 'one'"],
            ],
        },
    ]
}

/// Runs every one in both roles.
pub(crate) fn run(place: &Place<'_>, table: &mut Table) {
    for (number, cell) in cells().into_iter().enumerate() {
        for role in [Role::WeInitiate, Role::TheyInitiate] {
            let name = format!("x{number}{}", role.letter());
            let place = Place {
                name: &name,
                ..*place
            };
            let what = format!("{}, {}", cell.what, role.words());
            table.add(&what, PEER, one(&place, &cell, role));
        }
    }
}

/// One in one role, its wire in a capture of its own.
fn one(place: &Place<'_>, cell: &Cell, role: Role) -> Result<String, String> {
    let pcap = place.folder.join(format!("{}.pcap", place.name));
    let counter = Fragments::default();
    let capture = Capture::start(&place.hosts.ours, "eth0", &pcap, counter, Fragments::look)?;
    let played = prepare(place, cell, role).and_then(|session| session.run(role));
    let fragments = capture.stop()?;
    let seen = played?;
    let log = place.folder.join(format!("{}-swan-charon.log", place.name));
    let log = fs::read_to_string(&log).map_err(|why| format!("{}: {why}", log.display()))?;
    if let Some(missing) = cell.says[index(role)]
        .iter()
        .find(|words| !log.contains(**words))
    {
        return Err(format!("its log does not say `{missing}`"));
    }
    match cell.certificates {
        true => Ok(format!("{}; {seen}", fragments.both_ways()?)),
        false => Ok(seen),
    }
}

/// The place in what differs by who initiates.
fn index(role: Role) -> usize {
    match role {
        Role::WeInitiate => 0,
        Role::TheyInitiate => 1,
    }
}

/// Starts both daemons with what the cell gives them.
fn prepare<'a>(place: &Place<'a>, cell: &Cell, role: Role) -> Result<Session<'a>, String> {
    let made = place.folder.join(format!("{}-pki", place.name));
    let pki = match cell.certificates {
        true => Some(Pki::new(&made, "root", Kind::Rsa2048)?),
        false => None,
    };
    let proof = pki.as_ref().map_or_else(by_psk, |pki| {
        let path = |name: &str| pki.path(name).display().to_string();
        by_certificate(&path("a-chain.crt"), &path("a.key"), &path("root.crt"))
    });
    let rules: Rules<'_> = proven(proof + &cell.ours, IKE, ESP);
    let mut session = Session::with_settings(place, &rules.text(), cell.settings)?;
    session.check = Some(cell.check);
    let mut theirs = Connection {
        more: cell.theirs[index(role)],
        secrets: &cell.secrets,
        ..connection(IKE, ESP)
    };
    if let Some(pki) = pki {
        for (kind, file) in [
            ("private", "b.key"),
            ("x509", "b.crt"),
            ("x509ca", "root.crt"),
            ("x509ca", "b-authority.crt"),
        ] {
            session.them.copy(kind, &pki.path(file))?;
        }
        theirs.auth = Auth::Keys("certs = b.crt", "revocation = relaxed");
    }
    session.them.load(&theirs)?;
    Ok(session)
}
