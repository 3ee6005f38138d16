//! `kernel`: transport-mode ESP on manual keys with a real Linux kernel (RFC 4303).

mod end;

use std::net::IpAddr;
use std::path::Path;
use std::time::{Duration, Instant};

use crypto::suite::{Encryption, Integrity};
use linux::Family;
use linux::netns;
use policy::child::Mode;
use policy::sa::SaSpec;

use crate::capture::Capture;
use crate::folder::{self, Scratch};
use crate::guest::{Guest, Site};
use crate::host::Host;
use crate::packet::Echo;
use crate::space::{Space, ip};
use crate::suite::{Suite, hex};
use crate::table::Table;
use end::End;

const US: [&str; 2] = ["10.88.0.1", "fd88::1"];
const GUEST: [&str; 2] = ["10.88.0.2", "fd88::2"];
/// Bytes behind the ICMP header: every remainder of a block, and large ones.
const LENGTHS: [usize; 22] = [
    0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 100, 500, 1000, 1300, 1400,
];
/// With 64-bit numbers both sides begin here, so that they cross 2^32 on the way. A window of 64
/// packets begins behind it: a number within the window below 2^32 would be taken for one of the
/// last cycle (RFC 4303 appendix A2).
const BEFORE_2_32: u64 = 0xffff_ffb0;
const ESN_WINDOW: u32 = 64;
/// So many times all lengths, with 64-bit numbers: enough to cross 2^32.
const ESN_ROUNDS: usize = 4;
/// Echo requests that the kernel sends.
const PINGS: usize = 5;

/// Runs every suite over IPv4 and IPv6.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "kernel")?;
    let scratch = Scratch::new()?;
    let space = Space::new("kernel")?;
    space.output("ip", &["tuntap", "add", "dev", "tap0", "mode", "tap"])?;
    space.output("ip", &["link", "set", "tap0", "up"])?;
    netns::bridge(space.end("br0"), &["tap0"]).map_err(|why| why.to_string())?;
    space.address("br0", &format!("{}/24", US[0]))?;
    space.address("br0", &format!("{}/64", US[1]))?;
    let mut table = Table::new("kernel");
    let site = Site {
        space: &space,
        tap: "tap0",
        scratch: scratch.path(),
        writable: &[],
    };
    let mut guest = Guest::boot(&site)?;
    guest.run(&format!("ip address add {}/24 dev eth0", GUEST[0]))?;
    guest.run(&format!("ip address add {}/64 dev eth0 nodad", GUEST[1]))?;
    let peer = format!("Linux {}", guest.release());
    let took = guest.took().as_secs_f64();
    table.add("boots in QEMU", &peer, Ok(format!("{took:.1} s")));
    let capture = Capture::start(&space, "br0", &folder.join("br0.pcap"), (), |_, _| {})?;
    let mut ends = [
        End::open(&space, Family::V4)?,
        End::open(&space, Family::V6)?,
    ];
    let mut number = 0;
    for suite in Suite::all() {
        for (end, (us, them)) in ends.iter_mut().zip(US.iter().zip(GUEST)) {
            number += 1;
            let (us, them) = (ip(us)?, ip(them)?);
            let family = if us.is_ipv4() { "IPv4" } else { "IPv6" };
            let name = format!("{} transport {family}", suite.name());
            let mut spec = suite.pair(Mode::Transport, us, them, number);
            if suite.esn {
                spec.replay_window = ESN_WINDOW;
            }
            let done = Trial::new(&mut guest, end, spec)
                .and_then(|mut trial| trial.run(&name, &peer, &mut table));
            if let Err(why) = done {
                table.add(&name, &peer, Err(why));
            }
        }
    }
    capture.stop()?;
    table.finish(&folder)
}

/// One SA pair, we at one end and the kernel at the other.
struct Trial<'a> {
    guest: &'a mut Guest,
    end: &'a mut End,
    host: Host,
    us: IpAddr,
    them: IpAddr,
}

impl<'a> Trial<'a> {
    fn new(guest: &'a mut Guest, end: &'a mut End, spec: SaSpec) -> Result<Self, String> {
        guest.run(&format!(
            "printf '%s\\n' {} | ip -batch -",
            quoted(&commands(&spec))
        ))?;
        let (us, them, esn) = (spec.local, spec.remote, spec.esn);
        let mut host = Host::new(spec)?;
        end.forget();
        if esn {
            host.continue_at(BEFORE_2_32)?;
        }
        Ok(Trial {
            guest,
            end,
            host,
            us,
            them,
        })
    }

    fn run(&mut self, name: &str, peer: &str, table: &mut Table) -> Result<(), String> {
        table.add(
            &format!("{name}: it answers our echoes"),
            peer,
            self.echoes(),
        );
        table.add(&format!("{name}: we answer its echoes"), peer, self.pings());
        table.add(
            &format!("{name}: replay, damage, clear text"),
            peer,
            self.refusals(),
        );
        Ok(())
    }

    fn echo(&self, sequence: u16, length: usize) -> Echo {
        Echo {
            source: self.us,
            destination: self.them,
            reply: false,
            identifier: 0x4846,
            sequence,
            data: (0..length).map(|at| (at * 7 + length) as u8).collect(),
        }
    }

    fn echoes(&mut self) -> Result<String, String> {
        let mut times = Vec::new();
        let rounds = if self.host.spec().esn { ESN_ROUNDS } else { 1 };
        let lengths = std::iter::repeat_n(LENGTHS, rounds).flatten();
        for (number, length) in lengths.enumerate() {
            let echo = self.echo(number as u16, length);
            times.push(self.end.echo(&mut self.host, &echo)?);
        }
        times.sort();
        let median = times.get(times.len() / 2).copied().unwrap_or_default();
        let all = times.len();
        let late = times.iter().filter(|time| **time >= end::NUDGE).count();
        let late = if late == 0 {
            String::new()
        } else {
            format!(", {late} after a nudge")
        };
        Ok(format!(
            "{all}/{all}, median {:.2} ms{late}",
            median.as_secs_f64() * 1e3
        ))
    }

    fn pings(&mut self) -> Result<String, String> {
        let command = format!("ping -n -c {PINGS} -i 0.02 -W 2 -s 1000 {}", self.us);
        self.guest.begin(&command)?;
        let end = Instant::now() + Duration::from_secs(10);
        let said = loop {
            if let Some(said) = self.guest.ended(&command) {
                break said?;
            }
            if Instant::now() > end {
                return Err("the kernel's ping did not end".into());
            }
            let wait = Duration::from_millis(2);
            let Some(packet) = self.end.receive(&mut self.host, wait)? else {
                continue;
            };
            match Echo::parse(&packet) {
                Some(echo) if !echo.reply => {
                    let datagram = self.host.seal(&echo.answer().emit())?;
                    self.end.send(self.them, &datagram)?;
                    // Its ping has little patience with the last answer.
                    self.end.nudge();
                }
                other => return Err(format!("the kernel sent {other:?}")),
            }
        };
        match said.contains(&format!(" {PINGS} received")) {
            true => Ok(format!("{PINGS}/{PINGS}")),
            false => Err(format!("the kernel's ping says: {said}")),
        }
    }

    /// What must not be answered is followed by an echo that is: answers come in order, so the
    /// first one that comes shows that there was none before it.
    fn refusals(&mut self) -> Result<String, String> {
        let before = self.guest.refusals()?;
        let replayed = self.host.seal(&self.echo(100, 10).emit())?;
        self.end.send(self.them, &replayed)?;
        self.end
            .receive(&mut self.host, Duration::from_secs(2))?
            .ok_or("no answer")?;
        let mut damaged = self.host.seal(&self.echo(101, 10).emit())?;
        if let Some(last) = damaged.last_mut() {
            *last ^= 1;
        }
        self.end.send(self.them, &replayed)?;
        self.end.send(self.them, &damaged)?;
        self.end.send_clear(self.them, &self.echo(102, 10).emit())?;
        let echo = self.echo(103, 10);
        self.end
            .echo(&mut self.host, &echo)
            .map_err(|why| format!("something bad was answered: {why}"))?;
        let after = self.guest.refusals()?;
        let grown: Vec<String> = before
            .iter()
            .zip(&after)
            .filter(|((_, before), (_, after))| before != after)
            .map(|((name, before), (_, after))| format!("{name}+{}", after - before))
            .collect();
        let expected = [
            "XfrmInStateProtoError+1",
            "XfrmInStateSeqError+1",
            "XfrmInTmplMismatch+1",
        ];
        match grown.len() == 3
            && expected
                .iter()
                .all(|one| grown.iter().any(|had| had == one))
        {
            true => Ok(format!("refused, {}", grown.join(" "))),
            false => Err(format!(
                "the kernel counted {grown:?} instead of {expected:?}"
            )),
        }
    }
}

/// Texts as words of a shell.
fn quoted(texts: &[String]) -> String {
    texts
        .iter()
        .map(|text| format!("\"{text}\""))
        .collect::<Vec<_>>()
        .join(" ")
}

/// The commands of `ip` that give the kernel its end of an SA pair.
fn commands(spec: &SaSpec) -> Vec<String> {
    let (us, them) = (spec.local, spec.remote);
    let window = spec.replay_window;
    let esn = match spec.esn {
        true => format!("flag esn replay-window {window} replay-oseq {BEFORE_2_32:#x}"),
        false => format!("replay-window {window}"),
    };
    let state = |from, to, spi, keys| {
        format!(
            "xfrm state add src {from} dst {to} proto esp spi {spi:#x} reqid 1 \
             mode transport {esn} {}",
            algorithm(spec, keys)
        )
    };
    let mut commands = vec![
        "xfrm policy flush".to_owned(),
        "xfrm state flush".to_owned(),
        state(us, them, spec.outbound_spi, &spec.outbound_keys),
        state(them, us, spec.inbound_spi, &spec.inbound_keys),
    ];
    // Neighbour discovery is ICMPv6 too and stays in clear: only echoes are protected.
    let whats = match us.is_ipv4() {
        true => vec!["proto icmp"],
        false => vec!["proto ipv6-icmp type 128", "proto ipv6-icmp type 129"],
    };
    for what in whats {
        for (from, to, direction) in [(us, them, "in"), (them, us, "out")] {
            commands.push(format!(
                "xfrm policy add src {from} dst {to} {what} dir {direction} \
                 tmpl src {from} dst {to} proto esp reqid 1 mode transport"
            ));
        }
    }
    commands
}

/// The kernel's words for the algorithms, with the keys of one direction.
fn algorithm(spec: &SaSpec, keys: &policy::sa::KeyMaterial) -> String {
    let key = hex(keys.encryption.as_bytes());
    let aead = match spec.encryption {
        Encryption::AesGcm16 { .. } => "rfc4106(gcm(aes))",
        Encryption::ChaCha20Poly1305 => "rfc7539esp(chacha20,poly1305)",
        Encryption::AesCbc { .. } => return with_hmac("cbc(aes)", spec, keys),
        Encryption::TripleDesCbc => return with_hmac("cbc(des3_ede)", spec, keys),
        Encryption::DesCbc => return with_hmac("cbc(des)", spec, keys),
        Encryption::Null => return with_hmac("ecb(cipher_null)", spec, keys),
    };
    format!("aead '{aead}' 0x{key} 128")
}

fn with_hmac(cipher: &str, spec: &SaSpec, keys: &policy::sa::KeyMaterial) -> String {
    let (hash, bits) = match spec.integrity {
        Some(Integrity::HmacSha2_384_192) => ("sha384", 192),
        Some(Integrity::HmacSha2_512_256) => ("sha512", 256),
        Some(Integrity::HmacSha1_96) => ("sha1", 96),
        Some(Integrity::HmacMd5_96) => ("md5", 96),
        Some(Integrity::HmacSha2_256_128) | None => ("sha256", 128),
    };
    let key = match keys.encryption.as_bytes() {
        [] => "''".to_owned(),
        key => format!("0x{}", hex(key)),
    };
    let integrity_key = hex(keys.integrity.as_bytes());
    format!("enc '{cipher}' {key} auth-trunc 'hmac({hash})' 0x{integrity_key} {bits}")
}
