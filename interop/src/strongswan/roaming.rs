//! A tunnel with strongSwan goes on while one of its ends gets another address (RFC 4555).

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::holdfast::PSK;
use crate::program::wait_for;
use crate::space::Space;
use crate::strongswan::session::{Place, Role, Session};
use crate::strongswan::{Connection, Hosts, INNER, OUTER, connection, rules};
use crate::table::Table;
use crate::traffic::Pings;

const PEER: &str = "strongSwan";
const IKE: &str = "aes128gcm16-prfsha256-x25519";
const ESP: &str = "aes128gcm16";
/// Where each comes to, ours first.
const MOVED: [&str; 2] = ["10.99.0.11", "10.99.0.12"];
/// Pings that run while an address changes, and the milliseconds between them.
const PINGS: u32 = 300;
const INTERVAL: u32 = 10;
/// How long the move may take.
const PATIENCE: Duration = Duration::from_secs(5);
/// The longest that no ping may come back; it waits for 100 ms before it does anything.
const LONGEST: Duration = Duration::from_secs(1);
/// How often each moves, there and back.
const MOVES: usize = 4;

/// Runs both: it moves, and we do.
pub(crate) fn run(
    program: &Path,
    scratch: &Path,
    folder: &Path,
    table: &mut Table,
) -> Result<(), String> {
    for (moves, role, name) in [
        (Moves::Peer, Role::TheyInitiate, "it"),
        (Moves::Us, Role::WeInitiate, "we"),
    ] {
        let hosts = Hosts::new(&format!("mob-{name}"))?;
        let place = Place {
            program,
            hosts: &hosts,
            scratch,
            folder,
            name,
        };
        table.add(moves.words(), PEER, roam(&place, moves, role));
    }
    Ok(())
}

/// Who gets another address.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Moves {
    Peer,
    Us,
}

impl Moves {
    fn words(self) -> &'static str {
        match self {
            Moves::Peer => "it begins, and its address changes",
            Moves::Us => "we begin, and our address changes",
        }
    }

    /// Its place in pairs of which ours is the first.
    fn side(self) -> usize {
        match self {
            Moves::Us => 0,
            Moves::Peer => 1,
        }
    }
}

/// One end has another address, several times, and the pings go on under the IKE SA that there was.
/// strongSwan's ESP in user space cannot move its SAs, so that it makes new ones each time.
fn roam(place: &Place<'_>, moves: Moves, role: Role) -> Result<String, String> {
    let network = format!(
        "address = [\"{}\", \"10.99.0.0/24\"]\nmobike = true",
        OUTER[1]
    );
    let address = format!("address = \"{}\"", OUTER[1]);
    let rules = rules(IKE, ESP, PSK).replacen(&address, &network, 1);
    let session = Session::bare(place, &rules)?;
    let fixed = connection(IKE, ESP);
    let connection = match moves {
        Moves::Peer => Connection {
            local: "%any",
            ..fixed
        },
        Moves::Us => Connection {
            remote: "%any",
            ..fixed
        },
    };
    session.them.load(&connection)?;
    session.establish(role)?;
    let before = session.settled()?;
    if !before.extensions.iter().any(|word| word == "mobike") {
        return Err(format!("it was not agreed: {:?}", before.extensions));
    }
    session.traffic()?;
    let side = moves.side();
    let space = [&place.hosts.ours, &place.hosts.theirs][side];
    let mut gaps = Vec::new();
    for step in 0..MOVES {
        let places = [OUTER[side], MOVED[side]];
        let (old, new) = (places[step % 2], places[(step + 1) % 2]);
        gaps.push(one_move(place, &session, space, (old, new))?);
    }
    let after = session.settled()?;
    if before.initiator_spi != after.initiator_spi {
        return Err("the IKE SA is another than before".to_owned());
    }
    let traffic = session.traffic()?;
    gaps.sort_unstable();
    Ok(format!(
        "{MOVES} moves of one IKE SA, no ping came back for {gaps:?} ms; {traffic}"
    ))
}

/// Moves once; answers for how many milliseconds no ping came back.
fn one_move(
    place: &Place<'_>,
    session: &Session<'_>,
    space: &Space,
    (old, new): (&str, &str),
) -> Result<u128, String> {
    let pings = Pings::start(&place.hosts.ours, INNER[0], INNER[1], PINGS, INTERVAL)?;
    let begun = Instant::now();
    thread::sleep(Duration::from_millis(500));
    let change = |verb: &str, address: &str| {
        let network = format!("{address}/24");
        space.output("ip", &["address", verb, &network, "dev", "eth0"])
    };
    change("del", old)?;
    change("add", new)?;
    let mut last = String::new();
    let arrived = wait_for(PATIENCE, || {
        let sa = session.us.only_sa();
        last = match &sa {
            Ok(sa) => format!("we have it between {} and {}", sa.local, sa.remote),
            Err(why) => why.clone(),
        };
        sa.is_ok_and(|sa| sa.local.starts_with(new) || sa.remote.starts_with(new))
    });
    arrived.ok_or_else(|| format!("{old} to {new}: {last}; {}", session.complaints()))?;
    let pinged = pings.finish()?;
    // On a busy machine they are further apart than they should be.
    let lost = pinged.sent - pinged.received;
    let gap = begun.elapsed() / pinged.sent * lost;
    match gap < LONGEST {
        true => Ok(gap.as_millis()),
        false => Err(format!("{lost} of {} pings were lost", pinged.sent)),
    }
}
