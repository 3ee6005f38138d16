//! `peers`: foreign IKE daemons with a kernel's ESP in a guest, in both roles (RFC 7296, RFC 4303).

mod case;
mod foreign;
mod ground;
mod libreswan;
mod lives;
mod openiked;
mod page;
mod scan;
mod strongswan;
mod trial;
mod wire;

use std::path::Path;
use std::time::Instant;

use crate::folder::{self, Scratch};
use crate::guest::Guest;
use crate::holdfast;
use crate::table::Table;
use case::{Case, Family, Nat, PLAIN, Role};
pub(crate) use foreign::{Foreign, kernel_sas};
use ground::Ground;
use libreswan::Libreswan;
use lives::Scene;
use openiked::OpenIked;
use page::{Mark, Page};
pub(crate) use strongswan::StrongSwan;
use trial::Stage;

/// Tunnels, and IPv6, where nothing else is said.
const TUNNEL: Case = Case {
    tunnel: true,
    ..PLAIN
};
const PLAIN6: Case = Case {
    family: Family::V6,
    ..PLAIN
};
const TUNNEL6: Case = Case {
    tunnel: true,
    ..PLAIN6
};

/// With strongSwan: each algorithm, each mode, each family, ports, NAT on each side.
const WITH_STRONGSWAN: [Case; 14] = [
    Case {
        rekeys: true,
        ..PLAIN
    },
    Case {
        esp: "aes256gcm16-esn",
        rekeys: true,
        ..PLAIN6
    },
    Case {
        esp: "chacha20poly1305-esn",
        ike: "chacha20poly1305-prfsha256-x25519",
        ..PLAIN
    },
    Case {
        esp: "aes128-sha256-noesn",
        ike: "aes128-sha256-ecp256",
        ..PLAIN6
    },
    Case {
        esp: "aes256-sha512-esn",
        ike: "aes256-sha512-ecp384",
        rekeys: true,
        ..PLAIN
    },
    Case {
        esp: "aes256gcm16-esn",
        rekeys: true,
        ..TUNNEL
    },
    Case {
        esp: "chacha20poly1305-noesn",
        ..TUNNEL6
    },
    Case {
        esp: "aes256-sha384-esn",
        ike: "aes256-sha384-modp3072",
        ..TUNNEL6
    },
    Case {
        esp: "aes128gcm16-esn",
        ports: true,
        ..PLAIN
    },
    Case {
        esp: "aes128-sha256-esn",
        ports: true,
        ..PLAIN6
    },
    Case {
        nat: Nat::BeforeThem,
        ..PLAIN
    },
    Case {
        nat: Nat::BeforeUs,
        ..PLAIN
    },
    Case {
        nat: Nat::BeforeThem,
        esp: "aes128gcm16-esn",
        rekeys: true,
        ..TUNNEL
    },
    Case {
        nat: Nat::BeforeUs,
        esp: "aes128-sha256-esn",
        rekeys: true,
        ..TUNNEL
    },
];

/// With Libreswan.
const WITH_LIBRESWAN: [Case; 7] = [
    Case {
        rekeys: true,
        ..PLAIN
    },
    Case {
        esp: "aes256gcm16-esn",
        ..PLAIN6
    },
    Case {
        esp: "aes128gcm16-esn",
        rekeys: true,
        ..TUNNEL
    },
    Case {
        esp: "aes256-sha512-noesn",
        ike: "aes256-sha512-ecp256",
        ..TUNNEL6
    },
    Case {
        esp: "chacha20poly1305-noesn",
        ..PLAIN
    },
    Case {
        ports: true,
        ..PLAIN
    },
    Case {
        nat: Nat::BeforeThem,
        ..TUNNEL
    },
];

/// With OpenIKED, as far as its Linux port goes.
const WITH_OPENIKED: [Case; 3] = [
    Case {
        esp: "aes256-sha512-noesn",
        ike: "aes128-sha256-ecp256",
        ..PLAIN
    },
    Case {
        esp: "aes256-sha384-noesn",
        ike: "aes128-sha256-ecp256",
        ..TUNNEL
    },
    Case {
        esp: "aes256-sha512-noesn",
        ike: "aes128-sha256-ecp256",
        ..PLAIN6
    },
];

/// What a peer cannot do, and why.
const IMPOSSIBLE: [(&str, &str, &str); 3] = [
    (
        "OpenIKED 7.2",
        "AES-GCM and ChaCha20-Poly1305 for ESP",
        "its Linux port has none: it answers NO_PROPOSAL_CHOSEN",
    ),
    (
        "OpenIKED 7.2",
        "rekeying on demand",
        "it has no command for that",
    ),
    (
        "strongSwan, Libreswan and OpenIKED",
        "calling us behind a NAT",
        "a NAT without a rule for it lets nobody in",
    ),
];

/// Runs every case in both roles, then what happens when SAs are lost; `words` are those behind
/// the verb.
pub(crate) fn run(out: &Path, words: &[&str]) -> Result<(), String> {
    let begun = Instant::now();
    let only = match words {
        [] | ["write"] => None,
        ["only", text] => Some(*text),
        _ => return Err(format!("`peers {}` is unknown", words.join(" "))),
    };
    let folder = folder::results(out, "peers")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let ground = Ground::new()?;
    let mut guest = ground.boot(&scratch, &folder)?;
    let _echo = ground.echo(&folder)?;
    let mut run = Run {
        table: Table::new("peers"),
        page: Page::default(),
        only,
        count: 0,
    };
    let took = format!("{:.1} s", guest.took().as_secs_f64());
    run.table.add("boots in QEMU", guest.release(), Ok(took));
    let stage = |peer| Stage {
        ground: &ground,
        program: &program,
        scratch: scratch.path(),
        folder: &folder,
        peer,
    };
    let swan = StrongSwan::new(&folder)?;
    swan.start(&mut guest)?;
    run.cases(stage(&swan), &mut guest, &WITH_STRONGSWAN);
    let scene = Scene {
        stage: stage(&swan),
        swan: &swan,
        scratch: &scratch,
        folder: &folder,
    };
    run.lives(&scene, &mut guest);
    swan.crash(&mut guest)?;
    let libreswan = Libreswan::new(&folder)?;
    libreswan.start(&mut guest)?;
    run.cases(stage(&libreswan), &mut guest, &WITH_LIBRESWAN);
    libreswan.crash(&mut guest)?;
    let openiked = OpenIked::new(&folder);
    run.cases(stage(&openiked), &mut guest, &WITH_OPENIKED);
    openiked.crash(&mut guest)?;
    if run.wanted(scan::PEER) {
        for (what, done) in scan::run(stage(&swan)) {
            run.page.life(scan::PEER, what, Mark::of(&done));
            run.table.add(what, scan::PEER, done);
        }
    }
    for (peer, what, why) in IMPOSSIBLE {
        run.page.impossible(peer, what, why);
        run.table.not_tried(what, peer, why);
    }
    println!("interop peers: {} s", begun.elapsed().as_secs());
    let finished = run.table.finish(&folder);
    match (only, words) {
        (Some(_), _) => finished,
        (None, ["write"]) => finished.and_then(|()| run.page.write()),
        (None, _) => finished.and_then(|()| run.page.check()),
    }
}

/// What was tried so far.
struct Run<'a> {
    table: Table,
    page: Page,
    /// Only rows with this in their names.
    only: Option<&'a str>,
    count: usize,
}

impl Run<'_> {
    fn wanted(&self, name: &str) -> bool {
        self.only.is_none_or(|text| name.contains(text))
    }

    fn cases(&mut self, stage: Stage<'_>, guest: &mut Guest, cases: &[Case]) {
        let peer = stage.peer.name();
        for case in cases {
            self.count += 1;
            let mut marks = Vec::new();
            for role in Role::BOTH {
                let what = format!("{case}, {}", role.words());
                if !case.can_begin(role) || !self.wanted(&format!("{peer} {what}")) {
                    marks.push(Mark::Impossible);
                    continue;
                }
                let letter = if role == Role::We { 'i' } else { 'r' };
                let name = format!("{:02}{letter}", self.count);
                let done = trial::play(stage, guest, &name, *case, role);
                marks.push(Mark::of(&done));
                self.table.add(&what, peer, done);
            }
            self.page.case(peer, case, &marks);
        }
    }

    fn lives(&mut self, scene: &Scene<'_>, guest: &mut Guest) {
        let peer = scene.stage.peer.name();
        for life in lives::ALL {
            if !self.wanted(&format!("{peer} {}", life.name)) {
                continue;
            }
            let done = (life.play)(scene, guest);
            self.page.life(peer, life.name, Mark::of(&done));
            self.table.add(life.name, peer, done);
        }
    }
}
