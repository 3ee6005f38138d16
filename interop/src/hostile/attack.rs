//! A million bad datagrams, and what they do to the daemon's memory and answers.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use linux::raw::EspSocket;
use linux::udp::{SocketOptions, UdpSocket};
use linux::{Family, process};

use crate::holdfast::Daemon;
use crate::hostile::mutate::{Aim, Door, Mutator};
use crate::space::Space;

/// Datagrams between two questions to the daemon.
const ROUND: u64 = 20_000;
/// What the daemon must have been given before it is asked the next time: the sender waits.
const PAUSE: Duration = Duration::from_micros(200);
/// Datagrams sent without a pause.
const BURST: u64 = 32;

/// What came of an attack.
#[derive(Clone, Debug, Default)]
pub(crate) struct Aftermath {
    pub(crate) sent: u64,
    pub(crate) took: Duration,
    /// Datagrams that the kernel had no room for.
    pub(crate) dropped: u64,
    /// Memory of the daemon in KiB: before, and after each tenth.
    pub(crate) memory: Vec<u64>,
    /// The longest that `holdfast status` took in the meantime.
    pub(crate) slowest: Duration,
}

/// The sockets of the attacker.
struct Doors {
    ike: UdpSocket,
    nat: UdpSocket,
    esp: EspSocket,
    victim: IpAddr,
}

impl Doors {
    fn open(space: &Space, victim: IpAddr) -> Result<Self, String> {
        let open = || -> Result<(UdpSocket, UdpSocket, EspSocket), linux::Error> {
            let options = SocketOptions::default();
            let ike = UdpSocket::bind(Family::V4, 500, &options)?;
            let nat = UdpSocket::bind(Family::V4, 4500, &options)?;
            Ok((ike, nat, EspSocket::open(Family::V4, &options)?))
        };
        let (ike, nat, esp) = space.run(open)?.map_err(|why| why.to_string())?;
        Ok(Doors {
            ike,
            nat,
            esp,
            victim,
        })
    }

    /// Whether it was sent; what the kernel refuses to send is no loss.
    fn send(&self, door: Door, bytes: &[u8]) -> bool {
        let to = |port| SocketAddr::new(self.victim, port);
        let sent = match door {
            Door::Ike => self.ike.send_to(None, to(500), bytes),
            Door::NatTraversal => self.nat.send_to(None, to(4500), bytes),
            Door::Esp => self.esp.send_to(None, self.victim, bytes),
        };
        sent.is_ok()
    }
}

/// Sends `count` datagrams to the daemon, from where each of its peers is to the address that it
/// has for that peer, and asks it for its status all the while.
pub(crate) fn attack(
    from: [(&Space, IpAddr); 2],
    daemon: &mut Daemon<'_>,
    victims: &Space,
    mutator: &mut Mutator,
    count: u64,
) -> Result<Aftermath, String> {
    let [friend, elder] = from.map(|(space, victim)| Doors::open(space, victim));
    let doors = [friend?, elder?];
    let pid = daemon.process().pid();
    let before = memory(pid)?;
    let dropped = drops(victims)?;
    let mut aftermath = Aftermath {
        memory: vec![before],
        ..Aftermath::default()
    };
    let begun = Instant::now();
    let mut datagram = Vec::new();
    let mut tried = 0;
    while aftermath.sent < count {
        let Aim { door, peer } = mutator.next(&mut datagram);
        let doors = doors.get(peer).ok_or("there are two peers")?;
        aftermath.sent += u64::from(doors.send(door, &datagram));
        tried += 1;
        if tried % BURST == 0 {
            std::thread::sleep(PAUSE);
        }
        if tried % ROUND == 0 {
            let asked = Instant::now();
            daemon
                .status()
                .map_err(|why| format!("after {} datagrams: {why}", tried))?;
            aftermath.slowest = aftermath.slowest.max(asked.elapsed());
        }
        if aftermath.sent >= count * aftermath.memory.len() as u64 / 10 {
            aftermath.memory.push(memory(pid)?);
        }
        if !process::exists(pid) || !daemon.process().lives() {
            return Err(format!(
                "the daemon ended after {} datagrams",
                aftermath.sent
            ));
        }
    }
    aftermath.took = begun.elapsed();
    aftermath.dropped = drops(victims)? - dropped;
    Ok(aftermath)
}

/// The resident memory of a process, in KiB.
fn memory(pid: u32) -> Result<u64, String> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
    text.lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .ok_or_else(|| format!("{path} has no VmRSS"))
}

/// UDP datagrams that the kernel of a namespace dropped for want of room.
pub(crate) fn drops(space: &Space) -> Result<u64, String> {
    let read = || std::fs::read_to_string("/proc/thread-self/net/snmp");
    let text = space
        .run(read)?
        .map_err(|why| format!("/proc/net/snmp: {why}"))?;
    let mut lines = text.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let (names, values) = (
        lines.next().unwrap_or_default(),
        lines.next().unwrap_or_default(),
    );
    names
        .split(' ')
        .zip(values.split(' '))
        .find_map(|(name, value)| (name == "RcvbufErrors").then(|| value.parse().ok())?)
        .ok_or_else(|| "/proc/net/snmp has no RcvbufErrors".into())
}
