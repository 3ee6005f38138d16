//! `bench`: throughput and latency of plain veth, strongSwan's user-space ESP and ours, in one run.

pub(crate) mod iperf;

use std::path::Path;
use std::time::Duration;

use crate::folder::{self, Scratch};
use crate::holdfast::{self, Daemon, PSK, Place};
use crate::program::wait_for;
use crate::strongswan::{Charon, Connection, Hosts, IDS, INNER, OUTER, connection};
use crate::traffic::Pings;

/// How often each path is measured, in turn.
const ROUNDS: usize = 2;
/// Pings and the milliseconds between them.
const PINGS: u32 = 200;
const INTERVAL: u32 = 10;
const IKE: &str = "aes128gcm16-prfsha256-x25519";
const ESP: &str = "aes128gcm16";

/// A way between the two hosts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Plain,
    StrongSwan,
    Ours { tunnel: bool, udp: bool },
}

impl Way {
    const ALL: [Way; 6] = [
        Way::Plain,
        Way::StrongSwan,
        Way::Ours {
            tunnel: true,
            udp: true,
        },
        Way::Ours {
            tunnel: true,
            udp: false,
        },
        Way::Ours {
            tunnel: false,
            udp: true,
        },
        Way::Ours {
            tunnel: false,
            udp: false,
        },
    ];

    fn name(self) -> &'static str {
        match self {
            Way::Plain => "plain veth",
            Way::StrongSwan => "strongSwan kernel-libipsec, tunnel in UDP",
            Way::Ours {
                tunnel: true,
                udp: true,
            } => "holdfast, tunnel in UDP",
            Way::Ours {
                tunnel: true,
                udp: false,
            } => "holdfast, tunnel, raw ESP",
            Way::Ours {
                tunnel: false,
                udp: true,
            } => "holdfast, transport in UDP",
            Way::Ours {
                tunnel: false,
                udp: false,
            } => "holdfast, transport, raw ESP",
        }
    }

    /// The addresses to measure between.
    fn ends(self) -> [&'static str; 2] {
        match self {
            Way::Plain | Way::Ours { tunnel: false, .. } => OUTER,
            Way::StrongSwan | Way::Ours { tunnel: true, .. } => INNER,
        }
    }
}

/// What was measured of one way.
#[derive(Clone, Debug, Default)]
struct Figures {
    mbits: Vec<f64>,
    ping_ms: Vec<f64>,
    error: Option<String>,
}

/// Measures every way in turn, twice, and prints medians and ratios.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "bench")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let hosts = Hosts::new("bench")?;
    let bench = Bench {
        hosts: &hosts,
        program: &program,
        scratch: scratch.path(),
        folder: &folder,
    };
    let mut all = vec![Figures::default(); Way::ALL.len()];
    for round in 1..=ROUNDS {
        for (way, figures) in Way::ALL.into_iter().zip(&mut all) {
            match bench.measure(way) {
                Ok((mbits, ping)) => {
                    let name = way.name();
                    println!("  round {round}: {name:<44} {mbits:>8.0} Mbit/s, ping {ping:.3} ms");
                    figures.mbits.push(mbits);
                    figures.ping_ms.push(ping);
                }
                Err(why) => figures.error = Some(why),
            }
        }
    }
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load = load.split(' ').next().unwrap_or_default();
    let text = report(&all) + &format!("  load of the machine at the end: {load}\n");
    print!("{text}");
    folder::write(&folder.join("table.txt"), &text)?;
    let failed: Vec<String> = Way::ALL
        .into_iter()
        .zip(&all)
        .filter_map(|(way, figures)| Some(format!("{}: {}", way.name(), figures.error.as_ref()?)))
        .collect();
    match failed.is_empty() {
        true => Ok(()),
        false => Err(format!("interop bench: {}", failed.join("; "))),
    }
}

fn report(all: &[Figures]) -> String {
    let medians: Vec<f64> = all.iter().map(|figures| median(&figures.mbits)).collect();
    let of = |way: Way| {
        let place = Way::ALL.iter().position(|known| *known == way);
        place
            .and_then(|place| medians.get(place))
            .copied()
            .unwrap_or(f64::NAN)
    };
    let (plain, swan) = (of(Way::Plain), of(Way::StrongSwan));
    let mut text = format!(
        "interop bench, TCP with one stream, {ESP}, medians of {ROUNDS}\n  {:<44} {:>10} {:>12} \
         {:>9} {:>9}\n",
        "way", "Mbit/s", "of strongSwan", "of plain", "ping ms"
    );
    for (way, figures) in Way::ALL.into_iter().zip(all) {
        let mbits = median(&figures.mbits);
        text += &format!(
            "  {:<44} {mbits:>10.0} {:>12.1}x {:>8.1}% {:>9.3}\n",
            way.name(),
            mbits / swan,
            mbits / plain * 100.0,
            median(&figures.ping_ms)
        );
    }
    text
}

/// The middle one; of an even number the mean of both.
pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = |place: usize| sorted.get(place).copied().unwrap_or(f64::NAN);
    match sorted.len() {
        0 => f64::NAN,
        count if count % 2 == 1 => middle(count / 2),
        count => (middle(count / 2 - 1) + middle(count / 2)) / 2.0,
    }
}

struct Bench<'a> {
    hosts: &'a Hosts,
    program: &'a Path,
    scratch: &'a Path,
    folder: &'a Path,
}

impl Bench<'_> {
    /// Mbit/s and milliseconds.
    fn measure(&self, way: Way) -> Result<(f64, f64), String> {
        match way {
            Way::Plain => self.traffic(way),
            Way::StrongSwan => {
                let _daemons = self.strongswan()?;
                self.traffic(way)
            }
            Way::Ours { tunnel, udp } => {
                let daemons = self.ours(tunnel, udp)?;
                let measured = self.traffic(way);
                drop(daemons);
                // They leave their rules behind on purpose, and the next way may need the path.
                for space in [&self.hosts.ours, &self.hosts.theirs] {
                    space.output("nft", &["delete", "table", "inet", "holdfast"])?;
                }
                measured
            }
        }
    }

    fn strongswan(&self) -> Result<[Charon<'_>; 2], String> {
        let start = |side: usize, space| -> Result<Charon<'_>, String> {
            let name = format!("swan{side}");
            let charon = Charon::start(space, &name, self.scratch, self.folder)?;
            charon.load(&Connection {
                local: OUTER[side],
                remote: OUTER[1 - side],
                local_id: IDS[side],
                remote_id: IDS[1 - side],
                local_selector: INNER[side],
                remote_selector: INNER[1 - side],
                ..connection(IKE, ESP)
            })?;
            Ok(charon)
        };
        let daemons = [start(0, &self.hosts.ours)?, start(1, &self.hosts.theirs)?];
        daemons[0].swanctl(&["--initiate", "--child", "net", "--timeout", "10"])?;
        Ok(daemons)
    }

    fn ours(&self, tunnel: bool, udp: bool) -> Result<[Daemon<'_>; 2], String> {
        let start = |side: usize, space| {
            let place = Place {
                program: self.program,
                space,
                scratch: self.scratch,
                folder: self.folder,
                name: ["near", "far"][side],
            };
            Daemon::start(&place, &rules(side, tunnel, udp), None)
        };
        let daemons = [start(0, &self.hosts.ours)?, start(1, &self.hosts.theirs)?];
        daemons[0].command(&["sa", "initiate", "net"])?;
        Ok(daemons)
    }

    fn traffic(&self, way: Way) -> Result<(f64, f64), String> {
        let Hosts { ours, theirs } = self.hosts;
        let [near, far] = way.ends();
        // The first packet may have to wait for an SA of its own.
        let first = || Pings::start(ours, near, far, 1, 10).and_then(Pings::finish);
        wait_for(Duration::from_secs(5), || {
            first().is_ok_and(|done| done.received == 1)
        })
        .ok_or("no ping came back")?;
        let mbits = iperf::tcp(ours, theirs, near, far, self.folder)?;
        let pings = Pings::start(ours, near, far, PINGS, INTERVAL)?.finish()?;
        Ok((mbits, pings.mean_ms))
    }
}

/// One side's rules: everything between the inner addresses in a tunnel, or iperf's port and pings
/// between the outer ones in transport mode.
fn rules(side: usize, tunnel: bool, udp: bool) -> String {
    let encapsulation = if udp { "udp" } else { "auto" };
    let peer = format!(
        "[plane]\nencapsulation = \"{encapsulation}\"\n\n\
         [[peer]]\nname = \"other\"\naddress = \"{}\"\npsk = \"{PSK}\"\n\
         ike_proposals = \"{IKE}\"\n\n",
        OUTER[1 - side]
    );
    let rule = |name: &str, mode: &str, ends: [&str; 2], what: &str| {
        format!(
            "[[rule]]\nname = \"{name}\"\naction = \"require\"\nmode = \"{mode}\"\n\
             peer = \"other\"\nlocal = \"{}\"\nremote = \"{}\"\n\
             esp_proposals = \"{ESP}\"\n{what}\n",
            ends[side],
            ends[1 - side]
        )
    };
    let port = if side == 0 {
        "remote_ports"
    } else {
        "local_ports"
    };
    peer + &match tunnel {
        true => rule("net", "tunnel", INNER, ""),
        false => {
            let tcp = format!("protocol = \"tcp\"\n{port} = {}\n", iperf::PORT);
            rule("net", "transport", OUTER, &tcp)
                + &rule("ping", "transport", OUTER, "protocol = \"icmp\"\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn medians() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(&[3.0, 1.0]), 2.0);
        assert!(median(&[]).is_nan());
    }
}
