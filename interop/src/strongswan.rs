//! `strongswan`: IKE and ESP in tunnel mode with Debian's strongSwan, both roles (RFC 7296).

pub(crate) mod certificates;
mod charon;
mod extensions;
pub(crate) mod fragments;
pub(crate) mod ocsp;
mod pki;
mod redirect;
mod refusals;
pub(crate) mod roaming;
mod session;

use std::path::Path;

use crate::capture::Capture;
use crate::folder::{self, Scratch};
use crate::holdfast::{self, PSK, Rules};
use crate::space::{Space, cable};
use crate::table::Table;
pub(crate) use charon::{Auth, Charon, Connection, Tuning};
use session::{Role, Session};

/// The outer addresses, ours first, and the networks behind them.
pub(crate) const OUTER: [&str; 2] = ["10.99.0.1", "10.99.0.2"];
pub(crate) const INNER: [&str; 2] = ["10.99.1.1", "10.99.2.1"];
pub(crate) const IDS: [&str; 2] = ["a.example", "b.example"];
const PEER: &str = "strongSwan";

/// Algorithms for IKE and for ESP, all with 32-bit numbers: its user-space ESP has no others. A
/// group at the end of the latter is perfect forward secrecy.
const SUITES: [(&str, &str); 8] = [
    ("aes128gcm16-prfsha256-x25519", "aes128gcm16"),
    ("aes256-sha256-modp2048", "aes256-sha256"),
    ("aes256gcm16-prfsha384-ecp384", "aes256gcm16-ecp384"),
    ("aes128-sha256-ecp256", "aes128-sha256-ecp256"),
    ("aes256-sha512-ecp521", "aes256-sha512-ecp521"),
    (
        "chacha20poly1305-prfsha256-x25519",
        "chacha20poly1305-x25519",
    ),
    ("aes192-sha384-modp3072", "aes192-sha384-modp3072"),
    ("aes256gcm16-prfsha512-modp4096", "aes256gcm16-modp4096"),
];

/// Two hosts on a cable, each with an address behind it.
pub(crate) struct Hosts {
    pub(crate) ours: Space,
    pub(crate) theirs: Space,
}

impl Hosts {
    /// Makes them; `name` begins the names of the namespaces.
    pub(crate) fn new(name: &str) -> Result<Self, String> {
        let ours = Space::new(&format!("{name}-a"))?;
        let theirs = Space::new(&format!("{name}-b"))?;
        cable(&ours, &theirs)?;
        for (space, side) in [(&ours, 0), (&theirs, 1)] {
            space.address("eth0", &format!("{}/24", OUTER[side]))?;
            space.address("lo", &format!("{}/32", INNER[side]))?;
        }
        Ok(Hosts { ours, theirs })
    }
}

/// strongSwan's side, as the one of `OUTER[1]`.
pub(crate) fn connection<'a>(ike: &'a str, esp: &'a str) -> Connection<'a> {
    Connection {
        version: 2,
        local: OUTER[1],
        remote: OUTER[0],
        local_id: IDS[1],
        remote_id: IDS[0],
        auth: Auth::Psk(PSK),
        ike,
        mode: "tunnel",
        esp,
        local_selector: INNER[1],
        remote_selector: INNER[0],
        more: "",
        secrets: "",
    }
}

/// Our side: peer `swan`, rule `net`.
fn rules(ike: &str, esp: &str, psk: &str) -> String {
    proven(format!("psk = \"{psk}\"\n"), ike, esp).text()
}

/// The same with another proof.
fn proven<'a>(proof: String, ike: &'a str, esp: &'a str) -> Rules<'a> {
    Rules {
        name: "swan",
        address: OUTER[1],
        ids: IDS,
        proof,
        ike,
        inside: INNER,
        mode: "tunnel",
        esp,
        more: String::new(),
    }
}

/// Runs every suite in both roles, then what must be refused.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "strongswan")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let hosts = Hosts::new("swan")?;
    let mut table = Table::new("strongswan");
    let pcap = folder.join("eth0.pcap");
    let capture = Capture::start(&hosts.ours, "eth0", &pcap, (), |_, _| {})?;
    for (number, (ike, esp)) in SUITES.into_iter().enumerate() {
        for role in [Role::WeInitiate, Role::TheyInitiate] {
            let name = format!("{}{}", number, role.letter());
            let place = session::Place {
                program: &program,
                hosts: &hosts,
                scratch: scratch.path(),
                folder: &folder,
                name: &name,
            };
            let what = format!("{ike} / {esp}, {}", role.words());
            let done = Session::start(&place, ike, esp).and_then(|session| session.run(role));
            table.add(&what, PEER, done);
        }
    }
    let place = session::Place {
        program: &program,
        hosts: &hosts,
        scratch: scratch.path(),
        folder: &folder,
        name: "redirect",
    };
    extensions::run(&place, &mut table);
    refusals::run(&program, &hosts, scratch.path(), &folder, &mut table);
    redirect::run(&place, &mut table, PEER)?;
    capture.stop()?;
    table.finish(&folder)
}
