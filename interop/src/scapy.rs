//! `scapy`: an ESP implementation that shares nothing with ours opens what we sealed, and back.

mod helper;

use std::net::IpAddr;
use std::path::Path;

use policy::child::Mode;
use policy::sa::SaSpec;
use wire::ip::{Packet, protocol};

use crate::folder;
use crate::host::Host;
use crate::packet::{self, Echo};
use crate::suite::{Suite, hex};
use crate::table::Table;
use helper::Helper;

/// Sequence numbers in the order in which they are used: with 64 bits the last one has high bits.
const NUMBERS: [u64; 5] = [1, 2, 3, 0x7fff_ffff, 0xf000_0000];
const EXTENDED_NUMBERS: [u64; 5] = [1, 2, 0x7fff_ffff, 0xf000_0000, 0x1_0000_0005];
/// Bytes behind the UDP or ICMP header, one length for each number.
const LENGTHS: [usize; 5] = [0, 1, 13, 512, 1300];
const PEER: &str = "scapy";

/// Runs every suite in both modes and families.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "scapy")?;
    let mut helper = Helper::start(&folder)?;
    let mut table = Table::new("scapy");
    let mut number = 0;
    for suite in Suite::all() {
        let name = suite.name();
        if suite.esn && suite.integrity.is_some() {
            table.not_tried(&name, PEER, "scapy has 64-bit numbers with AEADs only");
            continue;
        }
        let trials = trials(suite)?;
        let mut every = |name: &str, way: Way| {
            let mut packets = 0;
            for trial in &trials {
                number += 1;
                let done = way(trial, &mut helper, number);
                packets += done.map_err(|why| format!("{}: {why}", trial.name()))?;
            }
            Ok(format!("{packets} packets, {name}"))
        };
        let what = "transport and tunnel, IPv4 and IPv6";
        let (ours, its) = (every(what, Trial::ours), every(what, Trial::its));
        table.add(&format!("{name}: it opens ours"), PEER, ours);
        table.add(&format!("{name}: we open its"), PEER, its);
    }
    table.finish(&folder)
}

type Way = fn(&Trial, &mut Helper, u32) -> Result<usize, String>;

/// Both modes, both families.
fn trials(suite: Suite) -> Result<Vec<Trial>, String> {
    let mut trials = Vec::new();
    for mode in [Mode::Transport, Mode::Tunnel] {
        for (here, there) in [("192.0.2.1", "192.0.2.2"), ("2001:db8::1", "2001:db8::2")] {
            let address = |text: &str| -> Result<IpAddr, String> {
                text.parse().map_err(|why| format!("{text}: {why}"))
            };
            trials.push(Trial {
                suite,
                mode,
                here: address(here)?,
                there: address(there)?,
            });
        }
    }
    Ok(trials)
}

/// One SA pair, we at one end and scapy at the other.
struct Trial {
    suite: Suite,
    mode: Mode,
    here: IpAddr,
    there: IpAddr,
}

impl Trial {
    fn name(&self) -> String {
        format!(
            "{} {}",
            self.mode,
            if self.here.is_ipv4() { "IPv4" } else { "IPv6" }
        )
    }

    /// What we seal, scapy opens; what is damaged, it refuses.
    fn ours(&self, helper: &mut Helper, number: u32) -> Result<usize, String> {
        let mut host = Host::new(self.spec(number))?;
        for (sequence, packet) in self.packets(self.here, self.there) {
            host.continue_at(sequence)?;
            let datagram = host.seal(&packet)?;
            let mut sealed = packet::ip(self.here, self.there, protocol::ESP, &datagram);
            let keys = &host.spec().outbound_keys;
            let spi = host.spec().outbound_spi;
            let tunnel = self.tunnel(self.here, self.there);
            let ask = helper::Ask {
                spec: host.spec(),
                keys,
                spi,
                sequence,
                tunnel,
            };
            let opened = helper.open(&ask, &sealed)?;
            same(&opened, &packet, sequence)?;
            if let Some(last) = sealed.last_mut() {
                *last ^= 1;
            }
            if helper.open(&ask, &sealed).is_ok() {
                return Err(format!("it took number {sequence} with a damaged ICV"));
            }
        }
        Ok(LENGTHS.len())
    }

    /// What scapy seals, we open; what is damaged or comes twice, we refuse.
    fn its(&self, helper: &mut Helper, number: u32) -> Result<usize, String> {
        let mut host = Host::new(self.spec(number))?;
        for (sequence, packet) in self.packets(self.there, self.here) {
            let keys = &host.spec().inbound_keys;
            let spi = host.spec().inbound_spi;
            let tunnel = self.tunnel(self.there, self.here);
            let ask = helper::Ask {
                spec: host.spec(),
                keys,
                spi,
                sequence,
                tunnel,
            };
            let sealed = helper.seal(&ask, &packet)?;
            let outer = Packet::parse(&sealed).map_err(|why| format!("outer header: {why:?}"))?;
            let mut datagram = outer.payload().to_vec();
            flip_last(&mut datagram);
            if host.open(self.there, self.here, &datagram).is_ok() {
                return Err(format!("we took number {sequence} with a damaged ICV"));
            }
            flip_last(&mut datagram);
            let opened = host.open(self.there, self.here, &datagram);
            same(
                &opened.map_err(|why| format!("number {sequence}: {why}"))?,
                &packet,
                sequence,
            )?;
            if host.open(self.there, self.here, &datagram).is_ok() {
                return Err(format!("we took number {sequence} twice"));
            }
        }
        Ok(LENGTHS.len())
    }

    /// The outer addresses that scapy is told.
    fn tunnel(&self, source: IpAddr, destination: IpAddr) -> Option<(IpAddr, IpAddr)> {
        (self.mode == Mode::Tunnel).then_some((source, destination))
    }

    fn spec(&self, number: u32) -> SaSpec {
        self.suite.pair(self.mode, self.here, self.there, number)
    }

    /// Echo requests and UDP datagrams in turn, each with its sequence number.
    fn packets(&self, source: IpAddr, destination: IpAddr) -> Vec<(u64, Vec<u8>)> {
        let numbers = if self.suite.esn {
            EXTENDED_NUMBERS
        } else {
            NUMBERS
        };
        let packet = |(place, (number, length)): (usize, (u64, usize))| {
            let data: Vec<u8> = (0..length).map(|at| (at * 7 + place) as u8).collect();
            let packet = match place % 2 {
                0 => {
                    let echo = Echo {
                        source,
                        destination,
                        reply: false,
                        identifier: 7,
                        sequence: place as u16,
                        data,
                    };
                    echo.emit()
                }
                _ => packet::udp(source, destination, [40_000, 7], &data),
            };
            (number, packet)
        };
        numbers
            .into_iter()
            .zip(LENGTHS)
            .enumerate()
            .map(packet)
            .collect()
    }
}

fn flip_last(bytes: &mut [u8]) {
    if let Some(last) = bytes.last_mut() {
        *last ^= 1;
    }
}

/// The same packet. In transport mode the IP header is written anew behind a raw socket, so that
/// of it only addresses and protocol are compared.
fn same(opened: &[u8], packet: &[u8], sequence: u64) -> Result<(), String> {
    let essence = |bytes: &[u8]| {
        let packet = Packet::parse(bytes).ok()?;
        Some((
            packet.src(),
            packet.dst(),
            packet.protocol(),
            packet.payload().to_vec(),
        ))
    };
    match essence(opened) == essence(packet) {
        true => Ok(()),
        false => Err(format!(
            "number {sequence} came out as another packet: {} instead of {}",
            hex(opened),
            hex(packet)
        )),
    }
}
