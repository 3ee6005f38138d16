//! `nat`: clients behind a real NAT and one server, in transport mode (RFC 7296 2.23, RFC 3948).

use std::io::{Read, Write};
use std::net::{IpAddr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::time::{Duration, Instant};

use linux::netns;
use socket2::{Domain, Socket, Type};

use crate::folder::{self, Scratch};
use crate::holdfast::{self, Daemon, PSK};
use crate::program::wait_for;
use crate::space::{Space, ip};
use crate::table::Table;

const SERVER: &str = "10.99.5.2";
const PUBLIC: [&str; 2] = ["10.99.5.1", "10.99.5.7"];
const PORT: u16 = 110;
const PEER: &str = "nftables";
const PATIENCE: Duration = Duration::from_secs(10);
/// A new connection that nobody answers.
const REFUSED: Duration = Duration::from_secs(2);

/// The hosts: clients on cables of their own to a router, and a server on its other side.
struct World {
    server: Space,
    router: Space,
    clients: [Space; 2],
}

impl World {
    fn new() -> Result<Self, String> {
        let world = World {
            server: Space::new("nat-s")?,
            router: Space::new("nat-r")?,
            clients: [Space::new("nat-c0")?, Space::new("nat-c1")?],
        };
        let World {
            server,
            router,
            clients,
        } = &world;
        let lay = |a: &Space, b: &Space, port: &str| {
            netns::cable(a.end("eth0"), b.end(port)).map_err(|why| why.to_string())
        };
        lay(server, router, "out")?;
        server.address("eth0", &format!("{SERVER}/24"))?;
        router.address("out", &format!("{}/24", PUBLIC[0]))?;
        for (index, client) in clients.iter().enumerate() {
            let port = format!("in{index}");
            lay(client, router, &port)?;
            client.address("eth0", &format!("{}/24", private(index)))?;
            router.address(&port, &format!("192.168.{index}.1/24"))?;
            let gateway = format!("192.168.{index}.1");
            client.output("ip", &["route", "add", "default", "via", &gateway])?;
        }
        let forward = "echo 1 > /proc/sys/net/ipv4/ip_forward";
        router.output("sh", &["-c", forward])?;
        let rules = "add table ip nat; \
             add chain ip nat post { type nat hook postrouting priority 100; }; \
             add rule ip nat post oifname out masquerade";
        router.output("nft", &[rules])?;
        Ok(world)
    }
}

fn private(client: usize) -> String {
    format!("192.168.{client}.9")
}

fn client_rules(index: usize) -> String {
    format!(
        "[[peer]]
name = \"server\"
address = \"{SERVER}\"
psk = \"{PSK}\"
local_id = \"c{index}.example\"
remote_id = \"server.example\"

[[rule]]
name = \"mail\"
action = \"require\"
remote = \"{SERVER}\"
protocol = \"tcp\"
remote_ports = [{PORT}]
"
    )
}

fn server_rules() -> String {
    let peer = |index: usize| {
        format!(
            "[[peer]]
name = \"c{index}\"
address = \"any\"
psk = \"{PSK}\"
local_id = \"server.example\"
remote_id = \"c{index}.example\"

"
        )
    };
    format!(
        "{}{}[[rule]]
name = \"mail\"
action = \"require\"
remote = \"10.99.5.0/24\"
protocol = \"tcp\"
local_ports = [{PORT}]
",
        peer(0),
        peer(1)
    )
}

/// A connection with an echo at its other end.
struct Talk(TcpStream);

impl Talk {
    /// From this port of a client, or from any.
    fn begin(client: &Space, port: u16, patience: Duration) -> Result<Self, String> {
        let server: SocketAddr = SocketAddr::new(ip(SERVER)?, PORT);
        let connect = || -> std::io::Result<TcpStream> {
            let socket = Socket::new(Domain::IPV4, Type::STREAM, None)?;
            let any = SocketAddr::new(IpAddr::from([0, 0, 0, 0]), port);
            socket.set_reuse_address(true)?;
            socket.bind(&any.into())?;
            socket.connect_timeout(&server.into(), patience)?;
            let stream = TcpStream::from(socket);
            stream.set_read_timeout(Some(PATIENCE))?;
            Ok(stream)
        };
        let stream = client.run(connect)?;
        stream.map(Talk).map_err(|why| format!("connect: {why}"))
    }

    /// Has so many bytes come back.
    fn echo(&mut self, length: usize, seed: u8) -> Result<(), String> {
        let sent: Vec<u8> = (0..length).map(|at| (at % 251) as u8 ^ seed).collect();
        let (mut out, data) = (self.0.try_clone().map_err(text)?, sent.clone());
        let writer = std::thread::spawn(move || out.write_all(&data));
        let mut back = vec![0; length];
        self.0.read_exact(&mut back).map_err(text)?;
        let written = writer.join().is_ok_and(|done| done.is_ok());
        match written && back == sent {
            true => Ok(()),
            false => Err("what came back is not what was sent".to_owned()),
        }
    }
}

fn text(why: std::io::Error) -> String {
    format!("echo: {why}")
}

/// Answers connections in the server's namespace until this program ends.
fn serve(server: &Space) -> Result<(), String> {
    let at = SocketAddr::new(ip(SERVER)?, PORT);
    let listener = server.run(|| TcpListener::bind(at))?.map_err(text)?;
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            std::thread::spawn(move || {
                let mut out = stream.try_clone()?;
                let mut stream = stream;
                std::io::copy(&mut stream, &mut out)
            });
        }
    });
    Ok(())
}

/// Runs what is to be seen, one after the other.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "nat")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let world = World::new()?;
    let mut table = Table::new("nat");
    let place = |space, name| holdfast::Place {
        program: &program,
        space,
        scratch: scratch.path(),
        folder: &folder,
        name,
    };
    let [c0, c1] = &world.clients;
    let server = Daemon::start(&place(&world.server, "nat-server"), &server_rules(), None)?;
    let first = Daemon::start(&place(c0, "nat-c0"), &client_rules(0), None)?;
    let _second = Daemon::start(&place(c1, "nat-c1"), &client_rules(1), None)?;
    serve(&world.server)?;
    table.add(
        "two clients, ports of their own",
        PEER,
        each(&world, &server),
    );
    let same = same_port(&world, &server);
    table.add("two clients, one source port", PEER, same);
    table.add(
        "the public address changes",
        PEER,
        moves(&world, &first, &server),
    );
    table.add(
        "a link of the path takes 1300 bytes",
        PEER,
        narrow(&world, &first),
    );
    table.finish(&folder)
}

/// Both at once, twenty connections each, data both ways.
fn each(world: &World, server: &Daemon<'_>) -> Result<String, String> {
    let talk = |client: usize| -> Result<(), String> {
        for number in 0..20 {
            let mut talk = Talk::begin(&world.clients[client], 0, PATIENCE)?;
            talk.echo(200_000, (client * 100 + number) as u8)?;
        }
        Ok(())
    };
    let begun = Instant::now();
    std::thread::scope(|scope| {
        let second = scope.spawn(|| talk(1));
        let first = talk(0);
        let second = second.join().unwrap_or(Err("it panicked".to_owned()));
        first.and(second)
    })?;
    let took = begun.elapsed().as_millis();
    let sas = server.status()?.ike_sas;
    match sas
        .iter()
        .filter(|sa| sa.remote.contains(PUBLIC[0]))
        .count()
    {
        2 => Ok(format!(
            "40 connections in {took} ms, two IKE SAs from one address"
        )),
        other => Err(format!("{other} IKE SAs come from {}", PUBLIC[0])),
    }
}

/// The later of two that use one port gets nothing, and the earlier loses nothing.
fn same_port(world: &World, server: &Daemon<'_>) -> Result<String, String> {
    let port = 41_000;
    let mut earlier = Talk::begin(&world.clients[0], port, PATIENCE)?;
    earlier.echo(10_000, 1)?;
    if Talk::begin(&world.clients[1], port, REFUSED).is_ok() {
        return Err("the later one is connected as well".to_owned());
    }
    earlier.echo(300_000, 2)?;
    let mut other = Talk::begin(&world.clients[1], port + 1, PATIENCE)?;
    other.echo(10_000, 3)?;
    let failures = server.status()?.recent_failures;
    let told = failures
        .iter()
        .find(|text| text.contains("another host behind the same NAT"));
    told.cloned()
        .ok_or_else(|| format!("nothing is told of it: {failures:?}"))
}

/// A connection goes on when the NAT forgets its mappings and gets another address.
fn moves(world: &World, client: &Daemon<'_>, server: &Daemon<'_>) -> Result<String, String> {
    let mut talk = Talk::begin(&world.clients[0], 0, PATIENCE)?;
    talk.echo(10_000, 1)?;
    let router = &world.router;
    let address = |verb, address: &str| {
        router.output(
            "ip",
            &["address", verb, &format!("{address}/24"), "dev", "out"],
        )
    };
    // With its address the NAT forgets its mappings.
    address("del", PUBLIC[0])?;
    address("add", PUBLIC[1])?;
    let begun = Instant::now();
    client.command(&["sa", "rekey", "--peer", "server"])?;
    let here = || {
        let status = server.status().ok();
        let mut sas = status.iter().flat_map(|status| &status.ike_sas);
        sas.any(|sa| sa.remote.contains(PUBLIC[1]))
    };
    wait_for(PATIENCE, here).ok_or("the server does not follow")?;
    talk.echo(100_000, 2)?;
    Ok(format!(
        "the same connection went on after {} ms",
        begun.elapsed().as_millis()
    ))
}

/// The link between router and server takes less than the client's: the router's word is believed
/// there, the kernel's at the server, and TCP sends less both ways.
fn narrow(world: &World, client: &Daemon<'_>) -> Result<String, String> {
    let mut talk = Talk::begin(&world.clients[0], 0, PATIENCE)?;
    talk.echo(10_000, 1)?;
    let mtu = |device| ["link", "set", device, "mtu", "1300"];
    world.router.output("ip", &mtu("out"))?;
    world.server.output("ip", &mtu("eth0"))?;
    let begun = Instant::now();
    talk.echo(200_000, 2)?;
    let took = begun.elapsed().as_millis();
    let plane = client.status()?.plane;
    let known = plane
        .paths
        .iter()
        .any(|path| (path.remote.as_str(), path.mtu) == (SERVER, 1300));
    match known {
        true => Ok(format!(
            "200 kB came back in {took} ms, and the status shows it"
        )),
        false => Err(format!("the status shows {:?}", plane.paths)),
    }
}
