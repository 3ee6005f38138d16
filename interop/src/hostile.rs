//! `hostile`: bad datagrams by the million, a daemon that is killed, and a flood of forged first
//! messages, against a real daemon.

pub(crate) mod attack;
mod mutate;
mod sender;
mod wire;

use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::capture::Capture;
use crate::flood;
use crate::folder::{self, Scratch};
use crate::holdfast::{self, Daemon, PSK, Place};
use crate::program::wait_for;
use crate::space::{Space, cable, ip};
use crate::table::Table;
use attack::{Aftermath, attack};
use mutate::Mutator;
use sender::Sender;
use wire::{Counts, PROTECTED, Shapes};

const ADDRESSES: [&str; 2] = ["10.97.0.1", "10.97.0.2"];
/// Datagrams, and the seed that all of them follow from.
const DATAGRAMS: u64 = 1_000_000;
const SEED: u64 = 0x4846_2024;
/// Memory may grow so much in the second half, in KiB: it is flat.
const FLAT: u64 = 2_048;
/// A genuine peer is served within this.
const GENUINE: Duration = Duration::from_secs(1);
/// How long each state of a killed daemon is watched.
const WATCH: Duration = Duration::from_secs(1);
const PEER: &str = "";

/// Two hosts with a daemon each.
struct Scene<'a> {
    program: &'a Path,
    spaces: [Space; 2],
    scratch: &'a Path,
    folder: &'a Path,
}

impl Scene<'_> {
    fn daemon(&self, side: usize) -> Result<Daemon<'_>, String> {
        let space = self.spaces.get(side).ok_or("there are two sides")?;
        let place = Place {
            program: self.program,
            space,
            scratch: self.scratch,
            folder: self.folder,
            name: ["victim", "friend"][side],
        };
        Daemon::start(&place, &rules(ADDRESSES[side], ADDRESSES[1 - side]), None)
    }

    fn capture<T: Send + 'static>(
        &self,
        name: &str,
        counter: T,
        see: fn(&mut T, &linux::packet::Frame<'_>),
    ) -> Result<Capture<T>, String> {
        Capture::start(
            &self.spaces[1],
            "eth0",
            &self.folder.join(name),
            counter,
            see,
        )
    }

    fn sender(&self, to: IpAddr) -> Result<Sender, String> {
        Sender::start(
            &self.spaces[0],
            &self.spaces[1],
            SocketAddr::new(to, PROTECTED),
        )
    }
}

/// The protected port, as a client and as a server. Liveness is off, so that an attack on an SA
/// whose peer is gone lasts.
fn rules(own: &str, other: &str) -> String {
    let rule = |name: &str, ports: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\naction = \"require\"\nlocal = \"{own}\"\n\
             remote = \"{other}\"\nprotocol = \"udp\"\n{ports} = {PROTECTED}\n\n"
        )
    };
    format!(
        "[[peer]]\nname = \"other\"\naddress = \"{other}\"\npsk = \"{PSK}\"\n\
         liveness = \"off\"\n\n{}{}",
        rule("call", "remote_ports"),
        rule("serve", "local_ports")
    )
}

/// Runs all parts.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "hostile")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let spaces = [Space::new("victim")?, Space::new("friend")?];
    cable(&spaces[0], &spaces[1])?;
    for (space, address) in spaces.iter().zip(ADDRESSES) {
        space.address("eth0", &format!("{address}/24"))?;
    }
    let scene = Scene {
        program: &program,
        spaces,
        scratch: scratch.path(),
        folder: &folder,
    };
    let mut table = Table::new("hostile");
    if let Err(why) = datagrams(&scene, &mut table) {
        table.add("bad datagrams", PEER, Err(why));
    }
    if let Err(why) = killed(&scene, &mut table) {
        table.add("killed daemons", PEER, Err(why));
    }
    if let Err(why) = flood::short(&program, scratch.path(), &folder, &mut table) {
        table.add("a flood of forged first messages", PEER, Err(why));
    }
    table.finish(&folder)
}

/// A handshake of a genuine peer: how long it took.
fn handshake(peer: &Daemon<'_>) -> Result<Duration, String> {
    let begun = Instant::now();
    peer.command(&["sa", "initiate", "call"])?;
    Ok(begun.elapsed())
}

fn datagrams(scene: &Scene<'_>, table: &mut Table) -> Result<(), String> {
    let mut victim = scene.daemon(0)?;
    let capture = scene.capture("shapes.pcap", Shapes::default(), Shapes::see)?;
    let friend = scene.daemon(1)?;
    let first = handshake(&friend)?;
    let sender = scene.sender(ip(ADDRESSES[1])?)?;
    wait_for(Duration::from_secs(5), || sender.answered() >= 20)
        .ok_or("no traffic between the two hosts")?;
    friend.command(&["sa", "rekey", "--rule", "call"])?;
    friend.command(&["sa", "rekey", "--peer", "other"])?;
    std::thread::sleep(Duration::from_millis(300));
    drop(sender);
    // The SAs stay at the victim, so that messages and packets for them are looked at.
    friend.crash();
    let shapes = capture.stop()?;
    let counted = format!(
        "{} IKE messages, {} ESP packets",
        shapes.ike.len(),
        shapes.esp.len()
    );
    table.add("real shapes captured", PEER, Ok(counted));
    let mut mutator =
        Mutator::new(SEED, shapes.ike, shapes.esp).ok_or("no shapes were captured")?;
    let [victims, friends] = &scene.spaces;
    // Once before the count begins: tables grow to their limits, buffers to their sizes.
    let at = ip(ADDRESSES[0])?;
    attack(
        friends,
        at,
        &mut victim,
        victims,
        &mut mutator,
        DATAGRAMS / 10,
    )?;
    let done = attack(friends, at, &mut victim, victims, &mut mutator, DATAGRAMS)?;
    judge(&done, table);
    let friend = scene.daemon(1)?;
    let after = handshake(&friend)?;
    let figure = format!("{} ms; before {} ms", after.as_millis(), first.as_millis());
    table.check(
        "a genuine handshake afterwards, within 1 s",
        PEER,
        after <= GENUINE,
        figure,
    );
    let status = victim.status()?;
    let refused: u64 = status.discards.iter().map(|counter| counter.count).sum();
    let reasons = status.discards.len();
    let figure = format!("{refused} refused, for {reasons} reasons");
    table.check(
        "the daemon counted them",
        PEER,
        refused > DATAGRAMS / 2,
        figure,
    );
    Ok(())
}

fn judge(done: &Aftermath, table: &mut Table) {
    let seconds = done.took.as_secs_f64();
    let figure = format!(
        "{} in {seconds:.1} s, {} of them without room in the socket",
        done.sent, done.dropped
    );
    let enough = done.sent >= DATAGRAMS && done.dropped < DATAGRAMS / 2;
    table.check("bad datagrams", PEER, enough, figure);
    let tenths: Vec<String> = done.memory.iter().map(u64::to_string).collect();
    let middle = done
        .memory
        .get(done.memory.len() / 2)
        .copied()
        .unwrap_or_default();
    let after = done.memory.last().copied().unwrap_or(u64::MAX);
    let grown = after.saturating_sub(middle);
    let figure = format!("KiB, before and after each tenth: {}", tenths.join(" "));
    table.check("memory is flat", PEER, grown <= FLAT, figure);
    let figure = format!("{} ms at worst", done.slowest.as_millis());
    let quick = done.slowest <= GENUINE;
    table.check(
        "`holdfast status` answers all the while",
        PEER,
        quick,
        figure,
    );
}

/// A program goes on sending while the daemons of its own host and of the other are killed.
fn killed(scene: &Scene<'_>, table: &mut Table) -> Result<(), String> {
    let victim = scene.daemon(0)?;
    let friend = scene.daemon(1)?;
    let capture = scene.capture("killed.pcap", Counts::default(), Counts::see)?;
    let sender = scene.sender(ip(ADDRESSES[1])?)?;
    wait_for(Duration::from_secs(5), || sender.answered() >= 100)
        .ok_or("no traffic between the two hosts")?;
    let phase = |what: &str, table: &mut Table| {
        let (tried, answered) = (sender.tried(), sender.answered());
        std::thread::sleep(WATCH);
        let (tried, answered) = (sender.tried() - tried, sender.answered() - answered);
        table.add(what, PEER, Ok(format!("{tried} sent, {answered} answered")));
    };
    phase("both daemons live", table);
    victim.crash();
    phase("kill -9 of the sender's daemon", table);
    friend.crash();
    phase("kill -9 of the other one as well", table);
    let begun = Instant::now();
    let _daemons = (scene.daemon(0)?, scene.daemon(1)?);
    let answered = sender.answered();
    let back = wait_for(Duration::from_secs(10), || sender.answered() > answered);
    let figure = match back {
        Some(_) => Ok(format!(
            "{} ms after their start",
            begun.elapsed().as_millis()
        )),
        None => Err("nothing came back within 10 s".to_owned()),
    };
    table.add("protected again with new daemons", PEER, figure);
    let counts = capture.stop()?;
    let figure = format!("{} in clear, {} ESP", counts.clear, counts.esp);
    let none = counts.clear == 0 && counts.esp > 0;
    table.check("no packet of a protected port in clear", PEER, none, figure);
    // The counter must be able to count: without daemons and without the rules, all is in clear.
    drop(_daemons);
    for space in &scene.spaces {
        space.output("nft", &["delete", "table", "inet", "holdfast"])?;
    }
    let capture = scene.capture("control.pcap", Counts::default(), Counts::see)?;
    std::thread::sleep(WATCH / 4);
    let counts = capture.stop()?;
    let figure = format!("{} in clear", counts.clear);
    table.check(
        "control: counted when the rules are taken away",
        PEER,
        counts.clear > 0,
        figure,
    );
    Ok(())
}
