//! `hostile`: bad datagrams by the million, a daemon that is killed, and a flood of forged first
//! messages, against a real daemon.

pub(crate) mod attack;
mod mutate;
mod sender;
mod wire;

use std::net::SocketAddr;
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
/// The same with a peer that speaks IKEv1, on a cable of its own.
const OLD: [&str; 2] = ["10.98.0.1", "10.98.0.2"];
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
/// Who begins with the victim: a peer of IKEv2, and one of IKEv1.
const PEERS: [Peer; 2] = [
    Peer {
        name: "friend",
        version: "IKEv2",
        rule: "call",
        ends: ADDRESSES,
    },
    Peer {
        name: "elder",
        version: "IKEv1",
        rule: "old-call",
        ends: OLD,
    },
];

/// A host that the victim serves.
#[derive(Clone, Copy)]
struct Peer {
    name: &'static str,
    version: &'static str,
    /// The rule by which it calls.
    rule: &'static str,
    /// The victim's address and its own.
    ends: [&'static str; 2],
}

/// Three hosts with a daemon each: the victim, and two that call it.
struct Scene<'a> {
    program: &'a Path,
    spaces: [Space; 3],
    scratch: &'a Path,
    folder: &'a Path,
}

impl Scene<'_> {
    fn victim(&self) -> Result<Daemon<'_>, String> {
        let [ours, old] = PEERS.map(|one| rules(one.rule, one.version, one.ends));
        self.start(&self.spaces[0], "victim", &(ours + &old))
    }

    fn peer(&self, which: usize) -> Result<Daemon<'_>, String> {
        let (space, peer) = (self.spaces.get(which + 1), PEERS.get(which));
        let (space, peer) = space.zip(peer).ok_or("there are two peers")?;
        let [theirs, own] = peer.ends;
        let rules = rules(peer.rule, peer.version, [own, theirs]);
        self.start(space, peer.name, &rules)
    }

    fn start<'a>(
        &'a self,
        space: &'a Space,
        name: &str,
        rules: &str,
    ) -> Result<Daemon<'a>, String> {
        let place = Place {
            program: self.program,
            space,
            scratch: self.scratch,
            folder: self.folder,
            name,
        };
        Daemon::start(&place, rules, None)
    }

    /// What passes at a peer.
    fn capture<T: Send + 'static>(
        &self,
        which: usize,
        name: &str,
        counter: T,
        see: fn(&mut T, &linux::packet::Frame<'_>),
    ) -> Result<Capture<T>, String> {
        let space = &self.spaces.get(which + 1).ok_or("there are two peers")?;
        Capture::start(space, "eth0", &self.folder.join(name), counter, see)
    }

    fn sender(&self, to: &Peer) -> Result<Sender, String> {
        let [_, address] = to.ends;
        let peer = PEERS.iter().position(|one| one.name == to.name);
        let space = peer.and_then(|at| self.spaces.get(at + 1));
        let space = space.ok_or("there are two peers")?;
        Sender::start(
            &self.spaces[0],
            space,
            SocketAddr::new(ip(address)?, PROTECTED),
        )
    }
}

/// The protected port, as a client and as a server. Liveness is off, so that an attack on an SA
/// whose peer is gone lasts.
fn rules(call: &str, version: &str, [own, other]: [&str; 2]) -> String {
    let rule = |name: &str, ports: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\naction = \"require\"\nlocal = \"{own}\"\n\
             remote = \"{other}\"\nprotocol = \"udp\"\n{ports} = {PROTECTED}\n\n"
        )
    };
    format!(
        "[[peer]]\nname = \"by-{version}\"\naddress = \"{other}\"\npsk = \"{PSK}\"\n\
         version = \"{}\"\nliveness = \"off\"\n\n{}{}",
        version.to_lowercase(),
        rule(call, "remote_ports"),
        rule(&format!("{call}-back"), "local_ports")
    )
}

/// Runs all parts.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "hostile")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let spaces = [
        Space::new("victim")?,
        Space::new("friend")?,
        Space::new("elder")?,
    ];
    lay(&spaces)?;
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

/// A cable from the victim to each of its peers.
fn lay([victim, friend, elder]: &[Space; 3]) -> Result<(), String> {
    cable(victim, friend)?;
    let (near, far) = (victim.end("eth1"), elder.end("eth0"));
    linux::netns::cable(near, far).map_err(|why| why.to_string())?;
    for (peer, space, near) in [(0, friend, "eth0"), (1, elder, "eth1")] {
        let [ours, theirs] = PEERS[peer].ends;
        victim.address(near, &format!("{ours}/24"))?;
        space.address("eth0", &format!("{theirs}/24"))?;
    }
    Ok(())
}

/// A handshake of a genuine peer: how long it took.
fn handshake(peer: &Daemon<'_>, rule: &str) -> Result<Duration, String> {
    let begun = Instant::now();
    peer.command(&["sa", "initiate", rule])?;
    Ok(begun.elapsed())
}

/// Has a peer do all that it can with the victim, and crash: what passed, and how long its
/// handshake took. The SAs stay at the victim, so that messages and packets for them are looked at.
fn record(scene: &Scene<'_>, which: usize) -> Result<(Shapes, Duration), String> {
    let peer = PEERS[which];
    let name = format!("{}.pcap", peer.name);
    let capture = scene.capture(which, &name, Shapes::default(), Shapes::see)?;
    let daemon = scene.peer(which)?;
    let first = handshake(&daemon, peer.rule)?;
    let sender = scene.sender(&peer)?;
    wait_for(Duration::from_secs(5), || sender.answered() >= 20)
        .ok_or("no traffic between the two hosts")?;
    daemon.command(&["sa", "rekey", "--rule", peer.rule])?;
    let of_peer = format!("by-{}", peer.version);
    daemon.command(&["sa", "rekey", "--peer", &of_peer])?;
    std::thread::sleep(Duration::from_millis(300));
    // Deletes, and what comes after them.
    daemon.command(&["sa", "delete", "--rule", peer.rule])?;
    std::thread::sleep(Duration::from_millis(100));
    handshake(&daemon, peer.rule)?;
    std::thread::sleep(Duration::from_millis(100));
    drop(sender);
    daemon.crash();
    Ok((capture.stop()?, first))
}

fn datagrams(scene: &Scene<'_>, table: &mut Table) -> Result<(), String> {
    let mut victim = scene.victim()?;
    let (friend, first) = record(scene, 0)?;
    let (elder, old_first) = record(scene, 1)?;
    let counted = format!(
        "{} IKEv2 and {} IKEv1 messages, {} ESP packets",
        friend.ike.len(),
        elder.ike.len(),
        friend.esp.len() + elder.esp.len()
    );
    table.add("real shapes captured", PEER, Ok(counted));
    let esp = [friend.esp, elder.esp].concat();
    let mut mutator =
        Mutator::new(SEED, [friend.ike, elder.ike], esp).ok_or("no shapes were captured")?;
    let [victims, friends, elders] = &scene.spaces;
    let at = [(friends, ip(ADDRESSES[0])?), (elders, ip(OLD[0])?)];
    // Once before the count begins: tables grow to their limits, buffers to their sizes.
    let warm = DATAGRAMS / 10;
    attack(at, &mut victim, victims, &mut mutator, warm)?;
    let done = attack(at, &mut victim, victims, &mut mutator, DATAGRAMS)?;
    judge(&done, table);
    for (which, first) in [(0, first), (1, old_first)] {
        let peer = PEERS[which];
        let daemon = scene.peer(which)?;
        let after = handshake(&daemon, peer.rule)?;
        let figure = format!("{} ms; before {} ms", after.as_millis(), first.as_millis());
        table.check(
            &format!(
                "a genuine {} handshake afterwards, within 1 s",
                peer.version
            ),
            PEER,
            after <= GENUINE,
            figure,
        );
    }
    monitored(&victim, table)?;
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

/// Both monitors have SAs of both versions, and what was refused.
fn monitored(victim: &Daemon<'_>, table: &mut Table) -> Result<(), String> {
    let mut figures = Vec::new();
    let mut good = true;
    for (verb, counter) in [
        ("main-mode", "Invalid Packets Received"),
        ("quick-mode", "Packets Not Authenticated"),
    ] {
        let shown = victim.command(&["sa", verb])?;
        let of = |version| {
            shown
                .lines()
                .filter(|line| line.starts_with(version))
                .count()
        };
        let count = shown.lines().find_map(|line| line.strip_prefix(counter));
        let count = count.map_or("nothing", str::trim);
        let rows = PEERS.map(|peer| of(peer.version));
        good &= !rows.contains(&0) && count.parse().is_ok_and(|count: u64| count > 0);
        figures.push(format!(
            "{} of IKEv2, {} of IKEv1, {counter}: {count}",
            rows[0], rows[1]
        ));
    }
    let figure = figures.join("; ");
    let what = "`sa main-mode` and `sa quick-mode` show both versions";
    table.check(what, PEER, good, figure);
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
    let victim = scene.victim()?;
    let friend = scene.peer(0)?;
    let capture = scene.capture(0, "killed.pcap", Counts::default(), Counts::see)?;
    let sender = scene.sender(&PEERS[0])?;
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
    let _daemons = (scene.victim()?, scene.peer(0)?);
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
    for space in scene.spaces.iter().take(2) {
        space.output("nft", &["delete", "table", "inet", "holdfast"])?;
    }
    let capture = scene.capture(0, "control.pcap", Counts::default(), Counts::see)?;
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
