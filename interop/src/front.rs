//! `front-end`: an unmodified strongSwan with a kernel's ESP before two nodes that replicate.

use std::fs;
use std::mem;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use crate::folder::{self, Scratch};
use crate::gaps::{self, Probed, Series};
use crate::guest::{Guest, Site};
use crate::holdfast::{self, PSK};
use crate::often;
use crate::peers::{Foreign, StrongSwan, kernel_sas};
use crate::scale::until;
use crate::scale::world::{NODES, VIP, World};
use crate::strongswan::{self, Connection};
use crate::table::Table;

const PEER: &str = "strongSwan 5.9.8";
const TAP: &str = "tap0";
const FRONT: &str = "10.63.0.20";
/// Planned moves, there and back in turn.
const MOVES: usize = 4;
/// Losses of the owner's power, each node in turn, after the moves.
const CUTS: usize = 2;
/// From a probe's begin to what happens.
const BEFORE: Duration = Duration::from_millis(800);
/// How long the pings may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// Moves the group and cuts its owner's power while the front end's pings go through ESP. The words
/// say how often: `MOVES CUTS`.
pub(crate) fn run(out: &Path, words: &[&str]) -> Result<(), String> {
    let (moves, cuts) = (often(words, 0, MOVES)?, often(words, 1, CUTS)?);
    let folder = folder::results(out, "front-end")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let world = World::new()?;
    let front = &world.front;
    front.output("ip", &["tuntap", "add", "dev", TAP, "mode", "tap"])?;
    front.output("ip", &["link", "set", TAP, "master", "br0", "up"])?;
    let mut guest = Guest::boot(&Site {
        space: front,
        tap: TAP,
        scratch: scratch.path(),
        writable: &[&folder],
    })?;
    guest.run(&format!("ip address add {FRONT}/24 dev eth0"))?;
    let swan = StrongSwan::new(&folder)?;
    swan.start(&mut guest)?;
    let rules = rules();
    let start = |index| world.start(index, &program, scratch.path(), &folder, &rules);
    let mut owner = start(0)?;
    until(&mut owner, "mail is up here")?;
    let mut standby = start(1)?;
    until(&mut standby, "copy is in sync")?;
    swan.connect(&mut guest, &connection())?;
    let before = spis(&mut guest)?;
    let mut table = Table::new("front-end");
    let mut series = Series::new("planned move", PEER);
    for number in 1..=moves {
        let to = NODES[number % 2];
        let probed = probe(&mut guest, || {
            let words = ["cluster", "move", "mail", "--to", to];
            owner.command(&words).map(drop)
        });
        series.add(&mut table, probed);
    }
    series.finish(&mut table);
    // Which of the two has it: an odd number of moves has left it with the second.
    let mut index = moves % 2;
    if index == 1 {
        mem::swap(&mut owner, &mut standby);
    }
    let mut series = Series::new("power cut of the owner", PEER);
    for _ in 0..cuts {
        let probed = probe(&mut guest, || {
            world.unplug(index, true)?;
            owner.crash();
            Ok(())
        });
        series.add(&mut table, probed);
        world.unplug(index, false)?;
        owner = mem::replace(&mut standby, start(index)?);
        until(&mut standby, "copy is in sync")?;
        index = 1 - index;
    }
    series.finish(&mut table);
    let log = folder.join(swan.log());
    judge(&mut table, &log, before == spis(&mut guest)?)?;
    table.finish(&folder)
}

/// It has heard of nothing: one IKE SA, the first, and its pair or what that was rekeyed to, as
/// an inherited SA is in the background, half a minute after a takeover.
fn judge(table: &mut Table, log: &Path, same: bool) -> Result<(), String> {
    let log = fs::read_to_string(log).map_err(|why| format!("{}: {why}", log.display()))?;
    let count = |text: &str| log.lines().filter(|line| line.contains(text)).count();
    let (begun, rekeyed) = (
        count("IKE_SA_INIT request"),
        count("parsed CREATE_CHILD_SA request"),
    );
    table.check(
        "it has begun one IKE SA in all, and has its pair or what we rekeyed that to",
        PEER,
        begun == 1 && (rekeyed > 0 || same),
        format!("{begun} IKE_SA_INIT, {rekeyed} rekeys by the survivors"),
    );
    Ok(())
}

fn rules() -> String {
    format!(
        "[[peer]]\nname = \"front\"\naddress = \"{FRONT}\"\npsk = \"{PSK}\"\n\n\
         [[rule]]\nname = \"ping\"\naction = \"require\"\nlocal = \"{VIP}\"\n\
         remote = \"{FRONT}\"\nprotocol = \"icmp\"\n\n"
    )
}

fn connection() -> Connection<'static> {
    let ike = "aes128gcm16-prfsha256-x25519";
    Connection {
        local: FRONT,
        remote: VIP,
        local_id: FRONT,
        remote_id: VIP,
        mode: "transport",
        local_selector: "dynamic[icmp]",
        remote_selector: "dynamic[icmp]",
        ..strongswan::connection(ike, "aes128gcm16-esn")
    }
}

fn spis(guest: &mut Guest) -> Result<Vec<String>, String> {
    let mut spis: Vec<String> = kernel_sas(guest)?.into_iter().map(|sa| sa.spi).collect();
    spis.sort();
    match spis.len() {
        2 => Ok(spis),
        _ => Err(format!("its kernel has the SPIs {spis:?} and not two")),
    }
}

/// Has something happen while the guest pings.
fn probe(guest: &mut Guest, event: impl FnOnce() -> Result<(), String>) -> Result<Probed, String> {
    let command = gaps::ping(VIP);
    guest.begin(&command)?;
    thread::sleep(BEFORE);
    let happened = event();
    let begun = Instant::now();
    let said = loop {
        if let Some(said) = guest.ended(&command) {
            break said?;
        }
        if begun.elapsed() > PATIENCE {
            return Err("the pings did not end".into());
        }
        thread::sleep(Duration::from_millis(20));
    };
    happened?;
    Ok(Probed::read(&said))
}
