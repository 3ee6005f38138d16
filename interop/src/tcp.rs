//! `tcp`: two of our daemons between which no UDP passes, under a policy that protects everything
//! (RFC 9329).

mod capture;

use std::io::Write;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use socket2::{Domain, Socket, Type};

use crate::folder::{self, Scratch};
use crate::holdfast::{self, Daemon, PSK, Place};
use crate::program::wait_for;
use crate::space::{Space, cable, ip};
use crate::table::Table;
use crate::traffic::{Pings, echo_tcp, ping};
use capture::Recorded;

const CLIENT: [&str; 2] = ["10.99.6.1", "fd99:6::1"];
const SERVER: [&str; 2] = ["10.99.6.2", "fd99:6::2"];
/// Whoever is on the server itself may be a peer too, so that a flood can come from many addresses.
const STRANGERS: &str = "127.0.0.0/8";
const PORT: u16 = 4500;
const PEER: &str = "holdfast";
const PATIENCE: Duration = Duration::from_secs(10);
/// What the server's firewall does with datagrams and raw ESP.
const NO_UDP: &str = "add table inet wall; \
     add chain inet wall in { type filter hook prerouting priority -400; }; \
     add rule inet wall in iifname eth0 udp dport { 500, 4500 } drop; \
     add rule inet wall in iifname eth0 meta l4proto 50 drop";
/// Has the client's kernel end its connections as if the other end had reset them (ss(8)).
const BREAK: [&str; 6] = ["-K", "-t", "-n", "dport", "=", "4500"];

/// How the client's log tells of it.
const BROKEN: &str = "is lost, the SAs stay";
/// The server's kernel ends its connections, and meanwhile nothing of that gets out.
const FORGET: [&str; 6] = ["-K", "-t", "-n", "sport", "=", "4500"];
const SILENT: &str = "add table inet silent; \
     add chain inet silent out { type filter hook postrouting priority 500; }; \
     add rule inet silent out tcp sport 4500 tcp flags rst,fin drop";

/// Two hosts on a cable.
struct World {
    client: Space,
    server: Space,
}

impl World {
    fn new() -> Result<Self, String> {
        let world = World {
            client: Space::new("tcp-c")?,
            server: Space::new("tcp-s")?,
        };
        cable(&world.client, &world.server)?;
        for (space, own) in [(&world.client, CLIENT), (&world.server, SERVER)] {
            space.address("eth0", &format!("{}/24", own[0]))?;
            space.address("eth0", &format!("{}/64", own[1]))?;
        }
        world.server.output("nft", &[NO_UDP])?;
        Ok(world)
    }
}

/// Everything between the two is protected, TCP to port 4500 too: only what is the daemons' own may
/// pass in clear.
fn rules(own: [&str; 2], other: [&str; 2], peer: &str) -> String {
    let mut text = format!(
        "[[peer]]\nname = \"other\"\naddress = [\"{}\", \"{}\"]\npsk = \"{PSK}\"\n\
{peer}\n\n",
        other[0], other[1]
    );
    for (name, (own, other)) in ["v4", "v6"].iter().zip(own.iter().zip(other)) {
        text += &format!(
            "[[rule]]\nname = \"{name}\"\nlocal = \"{own}\"\nremote = \"{other}\"\n\
             esp_proposals = \"aes256-sha256-noesn\"\naction = \"require\"\n\n"
        );
    }
    text
}

/// Runs what is to be seen, one after the other.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "tcp")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let world = World::new()?;
    let mut table = Table::new("tcp");
    let log = |name| folder.join(format!("{name}-daemon.log"));
    let place = |space, name| Place {
        program: &program,
        space,
        scratch: scratch.path(),
        folder: &folder,
        name,
    };
    let listen =
        format!("[[peer]]\nname = \"stranger\"\naddress = \"{STRANGERS}\"\npsk = \"{PSK}\"\n\n");
    let text = listen + &rules(SERVER, CLIENT, "");
    let place_of_server = place(&world.server, "tcp-server");
    let node = format!("tcp_listen = {PORT}\n");
    let mut server = Daemon::start_with(&place_of_server, &node, &text, None)?;
    let recorded = Recorded::start(&world.client, &folder)?;
    let keys = folder.join("keys");
    let fallback = rules(CLIENT, SERVER, "tcp = \"fallback\"");
    let client = Daemon::start(&place(&world.client, "tcp-client"), &fallback, Some(&keys))?;
    let trial = Trial {
        world: &world,
        client: &client,
        log: &log("tcp-client"),
    };
    table.add(
        "TCP follows where UDP gets no answer",
        PEER,
        trial.carries(),
    );
    let hosts = [[CLIENT[0], SERVER[0]], [CLIENT[1], SERVER[1]]];
    let done = recorded
        .stop()
        .and_then(|pcap| capture::read(&pcap, &keys, hosts));
    table.add("tshark reads IKE and ESP in the stream", "tshark", done);
    table.add(
        "a connection breaks under traffic",
        PEER,
        trial.breaks(&server),
    );
    table.add(
        "the server forgets a connection without a word",
        PEER,
        trial.forgotten(&server),
    );
    table.add("both sides rekey", PEER, trial.rekeys(&server));
    table.add(
        "strangers and silent connections",
        PEER,
        trial.floods(&mut server),
    );
    drop(client);
    let always = rules(CLIENT, SERVER, "tcp = \"always\"");
    let client = Daemon::start(&place(&world.client, "tcp-always"), &always, None)?;
    let trial = Trial {
        world: &world,
        client: &client,
        log: &log("tcp-always"),
    };
    table.add("TCP from the first message", PEER, trial.at_once());
    table.finish(&folder)
}

struct Trial<'a> {
    world: &'a World,
    client: &'a Daemon<'a>,
    /// What the client says.
    log: &'a Path,
}

impl Trial<'_> {
    /// IPv4 and IPv6, pings and a stream, none of it outside the connection.
    fn carries(&self) -> Result<String, String> {
        let begun = Instant::now();
        let connected = || {
            let first = Pings::start(&self.world.client, CLIENT[0], SERVER[0], 1, 20);
            first
                .and_then(Pings::finish)
                .is_ok_and(|done| done.received == 1)
        };
        wait_for(PATIENCE, connected).ok_or("no ping is answered")?;
        let took = begun.elapsed().as_millis();
        for (own, other) in CLIENT.iter().zip(SERVER) {
            let answered = || ping(&self.world.client, own, other).is_ok();
            wait_for(PATIENCE, answered).ok_or(format!("{other} does not answer"))?;
            echo_tcp(
                &self.world.client,
                &self.world.server,
                ip(other)?,
                2_000_000,
            )?;
        }
        self.goes_by_tcp()?;
        Ok(format!(
            "first ping after {took} ms, then 2 MB both ways, IPv4 and IPv6"
        ))
    }

    fn goes_by_tcp(&self) -> Result<(), String> {
        let sas = self.client.status()?.ike_sas;
        let by_tcp = |sa: &api::IkeSa| sa.extensions.iter().any(|word| word == "tcp");
        match !sas.is_empty() && sas.iter().all(by_tcp) {
            true => Ok(()),
            false => Err(format!("some IKE SAs do not go by TCP: {sas:?}")),
        }
    }

    /// What tells SAs apart: the SPIs of all.
    fn spis(daemon: &Daemon<'_>) -> Result<Vec<String>, String> {
        let sas = daemon.status()?.ike_sas;
        let spis = |sa: &api::IkeSa| {
            let children = sa.child_sas.iter().map(|child| child.inbound_spi.clone());
            let mut all: Vec<String> = children.collect();
            all.push(sa.initiator_spi.clone());
            all
        };
        let mut all: Vec<String> = sas.iter().flat_map(spis).collect();
        all.sort();
        Ok(all)
    }

    /// Connections break while packets flow; the same SAs go on in another connection.
    fn breaks(&self, server: &Daemon<'_>) -> Result<String, String> {
        let before = (Trial::spis(self.client)?, Trial::spis(server)?);
        let pings = Pings::start(&self.world.client, CLIENT[0], SERVER[0], 300, 20)?;
        let transfer = thread::scope(|scope| {
            let transfer = scope.spawn(|| {
                echo_tcp(
                    &self.world.client,
                    &self.world.server,
                    ip(SERVER[0])?,
                    4_000_000,
                )
            });
            for _ in 0..3 {
                thread::sleep(Duration::from_millis(700));
                self.world.client.output("ss", &BREAK)?;
            }
            transfer.join().unwrap_or(Err("it panicked".to_owned()))
        });
        transfer?;
        let done = pings.finish()?;
        let after = (Trial::spis(self.client)?, Trial::spis(server)?);
        if before != after {
            return Err(format!("other SAs than before: {before:?}, {after:?}"));
        }
        let lost = done.sent - done.received;
        let text = std::fs::read_to_string(self.log).unwrap_or_default();
        let broken = text.lines().filter(|line| line.ends_with(BROKEN)).count();
        let figure = format!(
            "{broken} ends, a stream of 4 MB whole, {lost} of {} pings lost, same SAs",
            done.sent
        );
        match broken >= 3 && lost < 100 {
            true => Ok(figure),
            false => Err(figure),
        }
    }

    /// As after a takeover: whoever has the address knows nothing of the connection, and its kernel
    /// says so when the client sends in it.
    fn forgotten(&self, server: &Daemon<'_>) -> Result<String, String> {
        let before = (Trial::spis(self.client)?, Trial::spis(server)?);
        let space = &self.world.server;
        space.output("nft", &[SILENT])?;
        let forgotten = space.output("ss", &FORGET);
        thread::sleep(Duration::from_millis(300));
        space.output("nft", &["delete", "table", "inet", "silent"])?;
        forgotten?;
        let begun = Instant::now();
        let answered = || ping(&self.world.client, CLIENT[0], SERVER[0]).is_ok();
        wait_for(PATIENCE, answered).ok_or("no ping is answered any more")?;
        let took = begun.elapsed().as_millis();
        match (Trial::spis(self.client)?, Trial::spis(server)?) == before {
            true => Ok(format!("five pings in a row after {took} ms, same SAs")),
            false => Err("other SAs than before".to_owned()),
        }
    }

    fn rekeys(&self, server: &Daemon<'_>) -> Result<String, String> {
        for daemon in [self.client, server] {
            daemon.command(&["sa", "rekey", "--rule", "v4"])?;
            daemon.command(&["sa", "rekey", "--peer", "other"])?;
            thread::sleep(Duration::from_millis(500));
            ping(&self.world.client, CLIENT[0], SERVER[0])?;
        }
        self.goes_by_tcp()?;
        Ok("children and IKE SAs".to_owned())
    }

    /// Many connections that say nothing, or nonsense: memory stays, and the peer is served.
    fn floods(&self, server: &mut Daemon<'_>) -> Result<String, String> {
        let pid = server.process().pid();
        let before = resident(pid)?;
        let held = self.world.server.run(|| {
            let each = (0..2_000).filter_map(|number| knock(number).ok());
            each.collect::<Vec<TcpStream>>()
        })?;
        ping(&self.world.client, CLIENT[0], SERVER[0])?;
        let after = resident(pid)?;
        let status = server.status()?;
        let discards = status.discards.iter();
        let refused = discards.filter(|one| one.name == "IKE: TcpRefused");
        let refused: u64 = refused.map(|one| one.count).sum();
        let (count, grown) = (held.len(), after.saturating_sub(before));
        let figure =
            format!("{count} connected, {refused} refused or displaced, memory +{grown} kB");
        match count == 2_000 && refused > 500 && grown < 12_000 {
            true => Ok(figure),
            false => Err(figure),
        }
    }

    fn at_once(&self) -> Result<String, String> {
        let begun = Instant::now();
        let first = || ping(&self.world.client, CLIENT[0], SERVER[0]).is_ok();
        wait_for(PATIENCE, first).ok_or("no ping is answered")?;
        self.goes_by_tcp()?;
        Ok(format!("pings after {} ms", begun.elapsed().as_millis()))
    }
}

/// Connects from one of many addresses, and says something that nobody waits for.
fn knock(number: u16) -> std::io::Result<TcpStream> {
    let words: [&[u8]; 4] = [
        b"",
        b"GET / HTTP/1.1\r\n\r\n",
        b"IKETCP\0\0",
        b"IKETCP\xff\xff",
    ];
    let [high, low] = (number / 10 + 256).to_be_bytes();
    let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
    let own = SocketAddr::from(([127, high, low, 1], 0));
    socket.bind(&own.into())?;
    let at = SocketAddr::from(([127, 0, 0, 1], PORT));
    socket.connect_timeout(&at.into(), Duration::from_secs(2))?;
    let mut stream = TcpStream::from(socket);
    // One that was refused may be closed by now.
    let _ = stream.write_all(words[usize::from(number % 4)]);
    Ok(stream)
}

/// Resident memory of a process, in kB.
fn resident(pid: u32) -> Result<u64, String> {
    let path = format!("/proc/{pid}/status");
    let text = std::fs::read_to_string(&path).map_err(|why| format!("{path}: {why}"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let number = line.and_then(|line| line.trim().split(' ').next());
    number
        .and_then(|number| number.parse().ok())
        .ok_or_else(|| format!("{path} has no VmRSS"))
}
