//! Our host, a router, and behind it the guest: addresses, routes, and the router's NAT.

use std::path::Path;

use linux::netns;

use crate::folder::Scratch;
use crate::guest::{Guest, Site};
use crate::peers::case::{Case, Nat};
use crate::program::Program;
use crate::space::{Space, cable};

/// The addresses on the wires, IPv4 and IPv6: ours, the peer's.
pub(crate) const US: [&str; 2] = ["10.99.0.1", "fd99::1"];
pub(crate) const THEM: [&str; 2] = ["10.98.0.2", "fd98::2"];
/// The router's, on our side and on theirs.
const ROUTER: [[&str; 2]; 2] = [["10.99.0.254", "fd99::fe"], ["10.98.0.254", "fd98::fe"]];
/// What a tunnel connects.
pub(crate) const US_INSIDE: [&str; 2] = ["10.99.1.1", "fd99:1::1"];
pub(crate) const THEM_INSIDE: [&str; 2] = ["10.98.1.1", "fd98:1::1"];
const PREFIX: [u8; 2] = [24, 64];
const HOST: [u8; 2] = [32, 128];
/// The router's cable to us, and the guest's wire.
pub(crate) const CABLE: &str = "eth0";
const BRIDGE: &str = "br0";
const TAP: &str = "tap0";
/// The echo service of both sides: RFC 862's port.
pub(crate) const ECHO: u16 = 7;
/// Another one, of the guest alone.
pub(crate) const SECOND_ECHO: u16 = 9;

/// The namespaces; the guest hangs on the router.
pub(crate) struct Ground {
    pub(crate) ours: Space,
    pub(crate) router: Space,
}

impl Ground {
    /// Makes them.
    pub(crate) fn new() -> Result<Self, String> {
        let ours = Space::new("peers-a")?;
        let router = Space::new("peers-r")?;
        cable(&ours, &router)?;
        router.output("ip", &["tuntap", "add", "dev", TAP, "mode", "tap"])?;
        router.output("ip", &["link", "set", TAP, "up"])?;
        netns::bridge(router.end(BRIDGE), &[TAP]).map_err(|why| why.to_string())?;
        for family in 0..2 {
            let [near, far] = ROUTER;
            let (prefix, host) = (PREFIX[family], HOST[family]);
            ours.address(CABLE, &format!("{}/{prefix}", US[family]))?;
            ours.address("lo", &format!("{}/{host}", US_INSIDE[family]))?;
            router.address(CABLE, &format!("{}/{prefix}", near[family]))?;
            router.address(BRIDGE, &format!("{}/{prefix}", far[family]))?;
            let gateway = near[family];
            ours.output("ip", &["route", "add", "default", "via", gateway])?;
            let (inside, own) = (THEM_INSIDE[family], US_INSIDE[family]);
            ours.output("ip", &["route", "add", inside, "via", gateway, "src", own])?;
        }
        let forward = ["net.ipv4.ip_forward=1", "net.ipv6.conf.all.forwarding=1"];
        for setting in forward {
            router.output("sysctl", &["-q", "-w", setting])?;
        }
        Ok(Ground { ours, router })
    }

    /// Boots the guest, gives it its addresses, and has it echo what comes by TCP.
    pub(crate) fn boot(&self, scratch: &Scratch, folder: &Path) -> Result<Guest, String> {
        let site = Site {
            space: &self.router,
            tap: TAP,
            scratch: scratch.path(),
            writable: &[folder],
        };
        let mut guest = Guest::boot(&site)?;
        for family in 0..2 {
            let (them, inside, own) = (THEM[family], THEM_INSIDE[family], US_INSIDE[family]);
            let gateway = ROUTER[1][family];
            let (prefix, host) = (PREFIX[family], HOST[family]);
            guest.run(&format!(
                "ip address add {them}/{prefix} dev eth0 nodad && \
                 ip address add {inside}/{host} dev lo nodad && \
                 ip route add default via {gateway} && \
                 ip route add {own} via {gateway} src {inside}"
            ))?;
        }
        let program = own_path()?;
        for port in [ECHO, SECOND_ECHO] {
            guest.run(&format!("setsid {program} echo-server {port} &"))?;
        }
        Ok(guest)
    }

    /// Starts our end of the echo.
    pub(crate) fn echo(&self, folder: &Path) -> Result<Program, String> {
        let mut command = std::process::Command::new(own_path()?);
        command.args(["echo-server", &ECHO.to_string()]);
        Program::start("echo", self.ours.name(), folder, &[], command)
    }

    /// Has the router hide what is behind it, or nothing.
    pub(crate) fn hide(&self, nat: Nat) -> Result<(), String> {
        let to = match nat {
            Nat::None => None,
            Nat::BeforeUs => Some(BRIDGE),
            Nat::BeforeThem => Some(CABLE),
        };
        let rule = to.map_or(String::new(), |to| {
            format!(
                "table ip nat {{\n chain out {{\n type nat hook postrouting priority 100\n\
                 oifname \"{to}\" masquerade\n }}\n }}\n"
            )
        });
        let rules = format!("flush ruleset\n{rule}");
        self.router.output("nft", &[&rules]).map(drop)
    }
}

/// This program, which runs in the guest too: the root is the same.
pub(crate) fn own_path() -> Result<String, String> {
    let path = std::env::current_exe().map_err(|why| format!("this program's path: {why}"))?;
    Ok(path.display().to_string())
}

/// The addresses of one case: on the wire as each side sees the other, and what is protected.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ends {
    /// Our address as they see it.
    pub(crate) us_seen: &'static str,
    /// Their address, and as we see it.
    pub(crate) them: &'static str,
    pub(crate) them_seen: &'static str,
    /// Between which we talk, and between which they do.
    pub(crate) ours: [&'static str; 2],
    pub(crate) theirs: [&'static str; 2],
}

impl Ends {
    /// Of a case.
    pub(crate) fn of(case: &Case) -> Self {
        let family = case.family.index();
        let (us, them) = (US[family], THEM[family]);
        let us_seen = match case.nat {
            Nat::BeforeUs => ROUTER[1][family],
            _ => us,
        };
        let them_seen = match case.nat {
            Nat::BeforeThem => ROUTER[0][family],
            _ => them,
        };
        let (ours, theirs) = match case.tunnel {
            true => {
                let inside = [US_INSIDE[family], THEM_INSIDE[family]];
                (inside, [inside[1], inside[0]])
            }
            false => ([us, them_seen], [them, us_seen]),
        };
        Ends {
            us_seen,
            them,
            them_seen,
            ours,
            theirs,
        }
    }
}
