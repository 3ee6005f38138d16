//! `mobike`: a tunnel goes on while one of its ends gets another address (RFC 4555).
//!
//! strongSwan's, ours in user space, or ours in the kernel of a guest: there the same SAs go on.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use linux::netns;

use crate::folder::{self, Scratch};
use crate::guest::{Guest, Site};
use crate::holdfast::{self, Daemon, PSK, Place};
use crate::program::wait_for;
use crate::space::Space;
use crate::strongswan::roaming;
use crate::table::Table;
use crate::traffic::Pings;

/// The outer addresses of both, ours first: the usual one and another one.
const OUTER: [[&str; 2]; 2] = [["10.88.0.1", "10.88.0.11"], ["10.88.0.2", "10.88.0.12"]];
const INNER: [&str; 2] = ["10.77.1.1", "10.77.2.1"];
const PINGS: u32 = 200;
const INTERVAL: u32 = 10;
const PATIENCE: Duration = Duration::from_secs(10);
/// The longest that no ping may come back: an emulated guest takes a while to change its address.
const LONGEST: Duration = Duration::from_secs(3);
const MOVES: usize = 4;
/// A guest without hardware's help is slow, the more so with others beside it.
const READY: Duration = Duration::from_secs(60);

/// The file's text for one side: 0 for us, 1 for the guest.
fn config(side: usize) -> String {
    let (kind, peer) = [("user", "guest"), ("kernel", "us")][side];
    format!(
        "[plane]
kind = \"{kind}\"

[[peer]]
name = \"{peer}\"
address = [\"{}\", \"10.88.0.0/24\"]
psk = \"{PSK}\"
mobike = true

[[rule]]
name = \"net\"
action = \"require\"
local = \"{}\"
remote = \"{}\"
mode = \"tunnel\"
peer = \"{peer}\"
",
        OUTER[1 - side][0],
        INNER[side],
        INNER[1 - side]
    )
}

/// Runs both: with strongSwan, and with the kernel of a guest.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "mobike")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let mut table = Table::new("mobike");
    roaming::run(&program, scratch.path(), &folder, &mut table)?;
    let space = Space::new("moves")?;
    let place = Place {
        program: &program,
        space: &space,
        scratch: scratch.path(),
        folder: &folder,
        name: "us",
    };
    let done = with_kernel(&place);
    table.add("our ESP and a kernel's, each moves", "Linux", done);
    table.finish(&folder)
}

/// A guest with its daemon, and ours: the guest begins and moves, then we do.
fn with_kernel(place: &Place<'_, '_>) -> Result<String, String> {
    let space = place.space;
    space.output("ip", &["tuntap", "add", "dev", "tap0", "mode", "tap"])?;
    space.output("ip", &["link", "set", "tap0", "up"])?;
    netns::bridge(space.end("br0"), &["tap0"]).map_err(|why| why.to_string())?;
    space.address("br0", &format!("{}/24", OUTER[0][0]))?;
    space.address("lo", &format!("{}/32", INNER[0]))?;
    let theirs = place.scratch.join("guest.toml");
    let head = "[node]\nname = \"guest\"\nrun_dir = \"/run/hf\"\n\n";
    folder::write(&theirs, &format!("{head}{}", config(1)))?;
    let site = Site {
        space,
        tap: "tap0",
        scratch: place.scratch,
        writable: &[],
    };
    let mut guest = Guest::boot(&site)?;
    guest.run(&format!("ip address add {}/24 dev eth0", OUTER[1][0]))?;
    guest.run(&format!("ip address add {}/32 dev lo", INNER[1]))?;
    guest.run(&route())?;
    // Programs read what they are given by this name.
    guest.run("ln -sf /proc/self/fd/0 /dev/stdin")?;
    let us = Daemon::start(place, &config(0), None)?;
    start(&mut guest, place.program, &theirs)?;
    let mut told = Vec::new();
    for side in [1, 0] {
        // Whose packet asks for the SA begins, and decides.
        let ping = format!("-n -c 5 -W 2 -I {} {}", INNER[side], INNER[1 - side]);
        let words: Vec<&str> = ping.split(' ').collect();
        let _ = match side {
            1 => guest.run(&format!("ping {ping}")),
            _ => space.output("ping", &words),
        };
        let gaps = moves(&mut guest, place, &us, side)?;
        let who = ["we move", "the kernel moves"][side];
        told.push(format!("{who}, nothing came for {gaps:?} ms"));
        us.command(&["sa", "delete", "--peer", "guest"])?;
        let gone = || us.status().is_ok_and(|status| status.ike_sas.is_empty());
        wait_for(PATIENCE, gone).ok_or("the SAs do not go")?;
    }
    Ok(format!(
        "{MOVES} moves each of the same SAs: {}",
        told.join("; ")
    ))
}

/// What gives the guest a way to what is behind us.
fn route() -> String {
    format!("ip route add {} dev eth0 src {}", INNER[0], INNER[1])
}

/// Starts the guest's daemon on a file, and waits until it serves.
fn start(guest: &mut Guest, program: &Path, file: &Path) -> Result<(), String> {
    let (program, file) = (program.display(), file.display());
    // Its console is the log, and a quiet one.
    let daemon = format!("rm -f /run/hf/log; {program} daemon --config {file} >/run/hf/log 2>&1 &");
    guest.run(&format!("mkdir -p /run/hf; {daemon}"))?;
    let mut serves = || guest.run("grep ' ready ' /run/hf/log").is_ok();
    wait_for(READY, &mut serves)
        .ok_or("the guest's daemon does not serve")
        .map(drop)?;
    Ok(())
}

/// One end moves, there and back; the SAs stay.
fn moves(
    guest: &mut Guest,
    place: &Place<'_, '_>,
    us: &Daemon<'_>,
    side: usize,
) -> Result<Vec<u128>, String> {
    wait_for(PATIENCE, || us.only_sa().is_ok());
    let before = us.only_sa()?;
    let spis = |sa: &api::IkeSa| -> Vec<String> {
        let pair = |one: &api::ChildSa| [one.inbound_spi.clone(), one.outbound_spi.clone()];
        sa.child_sas.iter().flat_map(pair).collect()
    };
    let mut gaps = Vec::new();
    for step in 0..MOVES {
        let (old, new) = (OUTER[side][step % 2], OUTER[side][(step + 1) % 2]);
        let pings = Pings::start(place.space, INNER[0], INNER[1], PINGS, INTERVAL)?;
        let begun = Instant::now();
        thread::sleep(Duration::from_millis(500));
        let device = ["br0", "eth0"][side];
        let change =
            format!("ip address del {old}/24 dev {device} && ip address add {new}/24 dev {device}");
        match side {
            // With its last address an interface loses its routes.
            1 => guest.run(&format!("{change} && {}", route()))?,
            _ => place.space.output("sh", &["-c", &change])?,
        };
        let here = |sa: &api::IkeSa| sa.local.starts_with(new) || sa.remote.starts_with(new);
        wait_for(PATIENCE, || us.only_sa().is_ok_and(|sa| here(&sa)))
            .ok_or_else(|| format!("{old} to {new}: nobody follows"))?;
        let pinged = pings.finish()?;
        let lost = pinged.sent - pinged.received;
        let gap = begun.elapsed() / pinged.sent * lost;
        if gap >= LONGEST {
            return Err(format!("{lost} of {} pings were lost", pinged.sent));
        }
        gaps.push(gap.as_millis());
    }
    match spis(&us.only_sa()?) == spis(&before) {
        true => Ok(gaps),
        false => Err("the SAs are others than before".to_owned()),
    }
}
