//! `plane`: our daemon with ESP in the kernel of a guest, and our daemon with ESP in user space.

use std::io::{BufRead, BufReader, Write};
use std::net::TcpListener;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use linux::netns;

use crate::folder::{self, Scratch};
use crate::guest::{Guest, Site};
use crate::holdfast::{self, Daemon, PSK, Place};
use crate::peers::Version;
use crate::space::Space;
use crate::table::Table;
use crate::traffic::ping;

const US: [&str; 2] = ["10.88.0.1", "fd88::1"];
const GUEST: [&str; 2] = ["10.88.0.2", "fd88::2"];
/// Within the range of ports that is protected, and beside it.
const PORTS: [u16; 2] = [8003, 8011];
const OFFLOADED: &str = "aes128gcm16-noesn";
const PROPOSALS: [&str; 6] = [
    "aes128gcm16-esn",
    "aes256gcm16",
    "chacha20poly1305",
    "aes128-sha256",
    "aes256-sha384",
    "aes256-sha512-esn",
];
const HEAD: &str = "[node]\nname = \"guest\"\nrun_dir = \"/run/hf\"\n\n";
/// A guest without hardware's help is slow, the more so with others beside it.
const READY: Duration = Duration::from_secs(60);

/// What a trial is about.
#[derive(Clone, Copy)]
struct What {
    version: Version,
    proposal: &'static str,
    encapsulation: &'static str,
}

/// What is offered to a device.
const DEVICE: What = What {
    version: Version::V2,
    proposal: OFFLOADED,
    encapsulation: "auto",
};

impl What {
    /// Every proposal raw and in UDP, and IKEv1.
    fn all() -> Vec<What> {
        let mut all = Vec::new();
        for proposal in PROPOSALS {
            all.extend(["auto", "udp"].map(|encapsulation| What {
                version: Version::V2,
                proposal,
                encapsulation,
            }));
        }
        let old = [
            (Version::V1, "aes128gcm16-modp2048"),
            (Version::V1, "aes256-sha256"),
            (Version::Windows2003, "3des-sha1"),
        ];
        all.extend(old.map(|(version, proposal)| What {
            version,
            proposal,
            encapsulation: "auto",
        }));
        all
    }

    /// For people.
    fn words(self) -> String {
        let version = match self.version {
            Version::V2 => "",
            _ => "IKEv1, ",
        };
        format!(
            "{version}{}, encapsulation {}",
            self.proposal, self.encapsulation
        )
    }

    /// The configuration file of a side.
    fn file(self, side: &str) -> String {
        let version = self.version.word();
        format!(
            "{side}-{version}-{}-{}.toml",
            self.proposal, self.encapsulation
        )
    }
}

/// Runs every proposal, raw and in UDP, over IPv4 and IPv6, and IKEv1; then SAs are offered to a
/// device.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "plane")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let space = Space::new("plane")?;
    space.output("ip", &["tuntap", "add", "dev", "tap0", "mode", "tap"])?;
    space.output("ip", &["link", "set", "tap0", "up"])?;
    netns::bridge(space.end("br0"), &["tap0"]).map_err(|why| why.to_string())?;
    space.address("br0", &format!("{}/24", US[0]))?;
    space.address("br0", &format!("{}/64", US[1]))?;
    let site = Site {
        space: &space,
        tap: "tap0",
        scratch: scratch.path(),
        writable: &[],
    };
    configure(scratch.path())?;
    let mut table = Table::new("plane");
    let mut guest = Guest::boot(&site)?;
    guest.run(&format!("ip address add {}/24 dev eth0", GUEST[0]))?;
    guest.run(&format!("ip address add {}/64 dev eth0 nodad", GUEST[1]))?;
    serve(&space)?;
    let peer = format!("Linux {}", guest.release());
    let place = || Place {
        program: &program,
        space: &space,
        scratch: scratch.path(),
        folder: &folder,
        name: "us",
    };
    for what in What::all() {
        let mut trial = Trial {
            guest: &mut guest,
            place: place(),
            what,
        };
        let done = trial.run();
        table.add(&what.words(), &peer, done);
    }
    let done = offered(&mut guest, place());
    let what = format!("{OFFLOADED}, offered to a device that refuses");
    table.add(&what, &peer, done);
    table.finish(&folder)
}

/// Writes both sides' files for every trial.
fn configure(scratch: &Path) -> Result<(), String> {
    for what in What::all() {
        let text = config(US, GUEST, "user", what);
        folder::write(&scratch.join(what.file("us")), &text)?;
        let text = config(GUEST, US, "kernel", what);
        folder::write(&scratch.join(what.file("guest")), &format!("{HEAD}{text}"))?;
    }
    let ours = config(US, GUEST, "user", DEVICE);
    folder::write(&scratch.join(DEVICE.file("us")), &ours)?;
    let kernel = "kind = \"kernel\"\n";
    let theirs = config(GUEST, US, "kernel", DEVICE);
    let theirs = theirs.replacen(kernel, &format!("{kernel}offload = true\n"), 1);
    let path = scratch.join(DEVICE.file("guest"));
    folder::write(&path, &format!("{HEAD}{theirs}"))
}

/// SAs are offered to a device, which refuses, and are in the kernel then.
fn offered(guest: &mut Guest, place: Place<'_, '_>) -> Result<String, String> {
    guest.run(BOND)?;
    let mut trial = Trial {
        guest: &mut *guest,
        place,
        what: DEVICE,
    };
    let told = trial.run()?;
    match guest.run("dmesg | grep -c 'does not support ipsec offload'") {
        Ok(offers) => Ok(format!("{told}; {} offers", offers.trim())),
        Err(_) => Err("no SA was offered to the device".into()),
    }
}

/// The device that a bare look-up of the way to us answers is asked for offload, and its port has
/// none: QEMU has no device that takes SAs. What is sent goes where we are.
const BOND: &str = "modprobe -d /run/root -aq esp4_offload bonding dummy; \
    ip link add port type dummy && ip link add bond type bond mode active-backup && \
    ip link set port master bond && ip link set bond up && \
    for kind in tcp udp icmp esp; do ip rule add ipproto $kind lookup 77; done && \
    ip route add 10.88.0.1 dev eth0 table 77 && \
    ip route add 10.88.0.1 dev bond src 10.88.0.2";

/// One proposal.
struct Trial<'a> {
    guest: &'a mut Guest,
    place: Place<'a, 'a>,
    what: What,
}

impl Trial<'_> {
    fn run(&mut self) -> Result<String, String> {
        let scratch = self.place.scratch;
        let ours = scratch.join(self.what.file("us"));
        let theirs = scratch.join(self.what.file("guest"));
        let rules = std::fs::read_to_string(&ours).map_err(|why| why.to_string())?;
        let daemon = Daemon::start(&self.place, &rules, None)?;
        let program = self.place.program.display();
        // Its console is the log, and a quiet one.
        self.guest.run(&format!(
            "mkdir -p /run/hf; rm -f /run/hf/log; {program} daemon --config {} >/run/hf/log 2>&1 & \
             echo $! >/run/hf/pid",
            theirs.display()
        ))?;
        let end = Instant::now() + READY;
        while self.guest.run("grep ' ready ' /run/hf/log").is_err() {
            if Instant::now() > end {
                return Err(self.guest.run("tail -3 /run/hf/log")?);
            }
            thread::sleep(Duration::from_millis(200));
        }
        let outcome = self.traffic(&daemon);
        let stopped = self
            .guest
            .run("kill $(cat /run/hf/pid); wait; ip xfrm state count");
        let left = self.closed();
        drop(daemon);
        let told = outcome?;
        if !stopped?.contains("count 0") {
            return Err("a daemon that ended in good order left SAs".into());
        }
        left.map(|()| told)
    }

    fn traffic(&mut self, daemon: &Daemon<'_>) -> Result<String, String> {
        let socket = format!(
            "{} --socket /run/hf/control.sock",
            self.place.program.display()
        );
        // Who asks first waits for IKE; then each side begins once.
        for (us, them) in US.iter().zip(GUEST) {
            self.exchange(us, PORTS[0])?;
            ping(self.place.space, us, them)?;
        }
        let status = self.guest.run(&format!("{socket} status"))?;
        if !status.contains("plane: the kernel") {
            return Err(format!("the guest's plane is another one: {status}"));
        }
        daemon.command(&["sa", "rekey", "--rule", "ports"])?;
        self.guest
            .run(&format!("{socket} sa rekey --peer us; sleep 1"))?;
        for us in US {
            self.exchange(us, PORTS[0])?;
        }
        self.guest
            .run(&format!("{socket} sa delete --peer us; sleep 1"))?;
        self.exchange(US[0], PORTS[0])?;
        self.exchange(US[0], PORTS[1])?;
        let carried = daemon.status()?.plane.packets_in;
        if carried == 0 {
            return Err("no ESP came to us".into());
        }
        let refused = self.guest.refusals()?;
        let refused: Vec<&(String, u64)> = refused.iter().filter(|(_, count)| *count > 0).collect();
        match refused
            .iter()
            .all(|(name, _)| BENIGN.contains(&name.as_str()))
        {
            true => Ok(format!("ports, rekeys, delete; {carried} packets came")),
            false => Err(format!("the guest's kernel refused {refused:?}")),
        }
    }

    /// The guest says something to a port of ours, and hears it again.
    fn exchange(&mut self, us: &str, port: u16) -> Result<(), String> {
        let command = format!(
            "exec 3<>/dev/tcp/{us}/{port} && echo word >&3 && read -t 10 -u 3 line && echo $line"
        );
        let said = self.guest.run(&format!("timeout 20 bash -c '{command}'"))?;
        match said.trim() {
            "word" => Ok(()),
            other => Err(format!("port {port} of {us} says {other:?}")),
        }
    }

    /// Without a daemon nothing passes that must be protected, and everything else does.
    fn closed(&mut self) -> Result<(), String> {
        let knock = |port| format!("timeout 2 bash -c 'exec 3<>/dev/tcp/{}/{port}'", US[0]);
        if self.guest.run(&knock(PORTS[0])).is_ok() {
            return Err("a protected port was reached in clear".into());
        }
        self.guest.run(&knock(PORTS[1])).map(drop)
    }
}

/// What a kernel counts when an SA goes or comes while packets are on their way.
const BENIGN: [&str; 5] = [
    "XfrmInNoStates",
    "XfrmOutNoStates",
    "XfrmInPolBlock",
    "XfrmInTmplMismatch",
    "XfrmOutStateInvalid",
];

/// Answers every line on both ports with itself, in both families, for as long as we run.
fn serve(space: &Space) -> Result<(), String> {
    for port in PORTS {
        let bound = space.run(|| TcpListener::bind(("::", port)))?;
        let listener = bound.map_err(|why| format!("listen on port {port}: {why}"))?;
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                thread::spawn(move || -> std::io::Result<()> {
                    let mut out = stream.try_clone()?;
                    for line in BufReader::new(stream).lines() {
                        writeln!(out, "{}", line?)?;
                    }
                    Ok(())
                });
            }
        });
    }
    Ok(())
}

/// A side's peers, rules and plane: our ports 8000 to 8010, and pings.
fn config(own: [&str; 2], other: [&str; 2], kind: &str, what: What) -> String {
    let What {
        version,
        proposal,
        encapsulation,
    } = what;
    let version = version.line();
    let (peer, ports) = match kind {
        "user" => ("guest", "local_ports"),
        _ => ("us", "remote_ports"),
    };
    let mut text = format!(
        "[plane]\nkind = \"{kind}\"\nencapsulation = \"{encapsulation}\"\n\n\
         [[peer]]\nname = \"{peer}\"\naddress = [\"{}\", \"{}\"]\n\
         psk = \"{PSK}\"\n{version}\n",
        other[0], other[1]
    );
    for (name, what) in [
        (
            "ports",
            format!("protocol = \"tcp\"\n{ports} = \"8000-8010\"\n"),
        ),
        ("ping", "protocol = \"icmp\"\n".to_owned()),
        ("ping6", "protocol = \"icmpv6\"\n".to_owned()),
    ] {
        for (family, (own, other)) in own.iter().zip(other).enumerate() {
            if (name, family) == ("ping", 1) || (name, family) == ("ping6", 0) {
                continue;
            }
            let name = if family == 1 && name == "ports" {
                "ports6"
            } else {
                name
            };
            text += &format!(
                "[[rule]]\nname = \"{name}\"\nlocal = \"{own}\"\nremote = \"{other}\"\n{what}\
                 action = \"require\"\nesp_proposals = \"{proposal}\"\n\n"
            );
        }
    }
    text
}
