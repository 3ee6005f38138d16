//! `kernel-cluster`: two nodes that replicate, guests with ESP in their kernels, before our daemon.

use std::collections::HashSet;
use std::fs;
use std::mem;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use linux::netns;
use linux::packet::Frame;
use wire::ip::{Packet, protocol};

use crate::capture::Capture;
use crate::folder::{self, Scratch};
use crate::gaps::{self, Probed, Series};
use crate::guest::{Guest, Site};
use crate::holdfast::{self, Daemon, PSK, Place};
use crate::often;
use crate::scale::world::{CLUSTER_KEY, NODES, certify};
use crate::space::Space;
use crate::table::Table;

const PEER: &str = "Linux in guests";
const VIP: &str = "10.65.0.100";
const FRONT: &str = "10.65.0.20";
const BACK: [&str; 2] = ["10.65.0.1", "10.65.0.2"];
const TAPS: [&str; 2] = ["tap1", "tap2"];
/// Planned moves, there and back in turn; losses of the owner's power.
const MOVES: usize = 4;
const CUTS: usize = 2;
const ETHERNET: usize = 14;
const UDP_HEADER: usize = 8;
/// Both ports of IKE's first message.
const IKE_PORTS: [u8; 4] = [1, 0xf4, 1, 0xf4];
const IKE_SA_INIT: u8 = 34;
/// From a probe's begin to what happens.
const BEFORE: Duration = Duration::from_millis(800);
/// A guest is slow, the more so with another one beside it.
const READY: Duration = Duration::from_secs(60);

/// Moves the group and switches its owner off while our pings go through ESP.
pub(crate) fn run(out: &Path, words: &[&str]) -> Result<(), String> {
    let (moves, cuts) = (often(words, 0, MOVES)?, often(words, 1, CUTS)?);
    let folder = folder::results(out, "kernel-cluster")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let space = Space::new("kernels")?;
    for tap in TAPS {
        space.output("ip", &["tuntap", "add", "dev", tap, "mode", "tap"])?;
        space.output("ip", &["link", "set", tap, "up"])?;
    }
    netns::bridge(space.end("br0"), &TAPS).map_err(|why| why.to_string())?;
    space.address("br0", &format!("{FRONT}/24"))?;
    let capture = folder.join("wire.pcap");
    let oracle = Capture::start(&space, "br0", &capture, Oracle::default(), Oracle::look)?;
    let boot = |index| Node::boot(index, &space, &program, scratch.path());
    let mut owner = boot(0)?;
    owner.says("mail is up here")?;
    let mut standby = boot(1)?;
    standby.says("copy is in sync")?;
    let place = Place {
        program: &program,
        space: &space,
        scratch: scratch.path(),
        folder: &folder,
        name: "front",
    };
    let _front = Daemon::start(&place, &rules(FRONT, VIP), None)?;
    probe(&space, || Ok(()))?;
    let mut table = Table::new("kernel-cluster");
    let mut series = Series::new("planned move", PEER);
    for _ in 0..moves {
        let order = format!("cluster move mail --to {}", standby.name());
        series.add(&mut table, probe(&space, || owner.holdfast(&order)));
        mem::swap(&mut owner, &mut standby);
    }
    series.finish(&mut table);
    let mut series = Series::new("power cut of the owner", PEER);
    for _ in 0..cuts {
        let probed = probe(&space, || {
            owner.guest.reset();
            Ok(())
        });
        series.add(&mut table, probed);
        let lost = owner.index;
        owner = mem::replace(&mut standby, boot(lost)?);
        standby.says("copy is in sync")?;
    }
    series.finish(&mut table);
    oracle.stop()?.judge(&mut table);
    table.finish(&folder)
}

/// A member in a guest.
struct Node<'a> {
    index: usize,
    guest: Guest,
    program: &'a Path,
}

impl<'a> Node<'a> {
    /// Boots it and starts its daemon.
    fn boot(
        index: usize,
        space: &Space,
        program: &'a Path,
        scratch: &Path,
    ) -> Result<Self, String> {
        let name = NODES[index];
        let certificates = scratch.join(format!("{name}-certificates"));
        certify(name, scratch, &certificates)?;
        // Before the guest begins: it keeps what it has seen of the host's files.
        let config = scratch.join(format!("{name}.toml"));
        let head = format!(
            "[node]\nname = \"{name}\"\nrun_dir = \"/run/hf\"\n\n[plane]\nkind = \"kernel\"\n\n"
        );
        let text = format!("{head}{}{}", rules(VIP, FRONT), cluster(&certificates));
        folder::write(&config, &text)?;
        let folder = scratch.join(format!("{name}-guest"));
        fs::create_dir_all(&folder).map_err(|why| format!("{}: {why}", folder.display()))?;
        let mut guest = Guest::boot(&Site {
            space,
            tap: TAPS[index],
            scratch: &folder,
            writable: &[],
        })?;
        let address = BACK[index];
        guest.run(&format!("ip address add {address}/24 dev eth0"))?;
        guest.run(&format!(
            "mkdir -p /run/hf; {} daemon --config {} >/run/hf/log 2>&1 &",
            program.display(),
            config.display()
        ))?;
        let mut node = Node {
            index,
            guest,
            program,
        };
        node.says(" ready ")?;
        Ok(node)
    }

    fn name(&self) -> &'static str {
        NODES[self.index]
    }

    /// Waits until its log says so.
    fn says(&mut self, text: &str) -> Result<(), String> {
        let end = Instant::now() + READY;
        while self
            .guest
            .run(&format!("grep -q '{text}' /run/hf/log"))
            .is_err()
        {
            if Instant::now() > end {
                let last = self.guest.run("tail -5 /run/hf/log")?;
                return Err(format!("{} never said `{text}`: {last}", self.name()));
            }
            thread::sleep(Duration::from_millis(200));
        }
        Ok(())
    }

    fn holdfast(&mut self, words: &str) -> Result<(), String> {
        let program = self.program.display();
        let command = format!("{program} --socket /run/hf/control.sock {words}");
        self.guest.run(&command).map(drop)
    }
}

/// Has something happen while we ping.
fn probe(space: &Space, event: impl FnOnce() -> Result<(), String>) -> Result<Probed, String> {
    let ping = format!("{} || true", gaps::ping(VIP));
    thread::scope(|scope| {
        let pinging = scope.spawn(|| space.output("sh", &["-c", &ping]));
        thread::sleep(BEFORE);
        let happened = event();
        let said = pinging.join().map_err(|_| "the pings ended early")??;
        happened.map(|()| Probed::read(&said))
    })
}

fn rules(own: &str, other: &str) -> String {
    format!(
        "[[peer]]\nname = \"other\"\naddress = \"{other}\"\npsk = \"{PSK}\"\n\n\
         [[rule]]\nname = \"ping\"\naction = \"require\"\nlocal = \"{own}\"\n\
         remote = \"{other}\"\nprotocol = \"icmp\"\n\n"
    )
}

/// Greetings that a guest can keep up with.
fn cluster(certificates: &Path) -> String {
    let nodes: String = NODES
        .iter()
        .zip(BACK)
        .map(|(name, address)| {
            format!("[[cluster.node]]\nname = \"{name}\"\naddress = \"{address}\"\n\n")
        })
        .collect();
    format!(
        "[cluster]\nkey = \"{CLUSTER_KEY}\"\ntakeover = \"replicate\"\n\
         heartbeat = \"100ms\"\nmissed = 5\ncertificates = {:?}\n\n{nodes}\
         [[cluster.group]]\nname = \"mail\"\naddresses = [\"{VIP}/24\"]\n\
         interface = \"eth0\"\npreferred = [\"be1\", \"be2\"]\n",
        certificates.display().to_string()
    )
}

/// What must not be on the cable: a sequence number or an IV twice, another IKE SA, a clear ping.
#[derive(Default)]
struct Oracle {
    numbers: HashSet<(u32, u32)>,
    ivs: HashSet<(u32, u64)>,
    twice: u64,
    clear: u64,
    initiators: HashSet<u64>,
}

impl Oracle {
    fn look(oracle: &mut Oracle, frame: &Frame<'_>) {
        let bytes = frame.bytes.get(ETHERNET..).unwrap_or_default();
        let Ok(packet) = Packet::parse(bytes) else {
            return;
        };
        let payload = packet.payload();
        match packet.protocol() {
            protocol::ESP => oracle.esp(payload),
            protocol::ICMP if matches!(payload.first(), Some(0 | 8)) => oracle.clear += 1,
            protocol::UDP => oracle.ike(payload),
            _ => {}
        }
    }

    /// SPI, sequence number, IV (RFC 4303 section 2, RFC 4106 section 3).
    fn esp(&mut self, payload: &[u8]) {
        let Some((head, _)) = payload.split_first_chunk::<16>() else {
            return;
        };
        let word =
            |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
        let iv = u64::from(word(8)) << 32 | u64::from(word(12));
        let new = self.numbers.insert((word(0), word(4))) & self.ivs.insert((word(0), iv));
        self.twice += u64::from(!new);
    }

    /// Who began an IKE SA (RFC 7296 section 3.1).
    fn ike(&mut self, payload: &[u8]) {
        let is_ike = payload.get(..4).is_some_and(|ports| ports == IKE_PORTS);
        if let Some(message) = payload.get(UDP_HEADER..).filter(|_| is_ike)
            && let Some((spi, rest)) = message.split_first_chunk()
            && rest.get(10) == Some(&IKE_SA_INIT)
        {
            self.initiators.insert(u64::from_be_bytes(*spi));
        }
    }

    fn judge(self, table: &mut Table) {
        let figure = format!("{} ESP packets, {} twice", self.numbers.len(), self.twice);
        let holds = self.twice == 0 && !self.numbers.is_empty();
        table.check(
            "no sequence number and no IV came twice",
            PEER,
            holds,
            figure,
        );
        let figure = format!(
            "{} begun, {} pings in clear",
            self.initiators.len(),
            self.clear
        );
        let holds = self.initiators.len() == 1 && self.clear == 0;
        table.check(
            "the front end began one IKE SA, and nothing was clear",
            PEER,
            holds,
            figure,
        );
    }
}
