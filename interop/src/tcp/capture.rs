//! The cable while the two daemons talk, and what tshark reads of it.

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use linux::packet::Frame;
use wire::esp::{Piece, STREAM_PREFIX, StreamReader};
use wire::pcap::{ETHERNET, header, record_header};

use crate::capture::Capture;
use crate::packet::udp;
use crate::space::{Space, ip};

/// What an Ethernet frame has inside.
const IPV4: [u8; 2] = [0x08, 0x00];
const IPV6: [u8; 2] = [0x86, 0xdd];

/// A capture that runs.
pub(crate) struct Recorded {
    capture: Capture<u64>,
    path: PathBuf,
}

impl Recorded {
    pub(crate) fn start(space: &Space, folder: &Path) -> Result<Self, String> {
        let path = folder.join("tcp.pcap");
        let count = |count: &mut u64, _: &Frame<'_>| *count += 1;
        let capture = Capture::start(space, "eth0", &path, 0, count)?;
        Ok(Recorded { capture, path })
    }

    pub(crate) fn stop(self) -> Result<PathBuf, String> {
        self.capture.stop()?;
        Ok(self.path)
    }
}

/// Everything on the cable is in TCP with port 4500. tshark puts the streams together; it knows
/// nothing of RFC 9329, so their messages are written as the datagrams that they would be in UDP,
/// and these it opens with our key tables. `hosts` are
/// the client and the server of each stream.
pub(crate) fn read(pcap: &Path, keys: &Path, hosts: [[&str; 2]; 2]) -> Result<String, String> {
    let clear = count(
        pcap,
        keys,
        "(tcp && tcp.port != 4500) || icmp || icmpv6.type == 128",
    )?;
    let (path, mut prefixes, mut out) = (pcap.with_file_name("datagrams.pcap"), 0, Vec::new());
    out.extend(header(ETHERNET));
    for (stream, [client, server]) in [0, 1].into_iter().zip(hosts) {
        let (client, server) = (ip(client)?, ip(server)?);
        let [there, back] = followed(pcap, stream)?;
        for (octets, from, to) in [(there, client, server), (back, server, client)] {
            prefixes += usize::from(octets.starts_with(&STREAM_PREFIX));
            datagrams(&octets, [from, to], &mut out)?;
        }
    }
    std::fs::write(&path, out).map_err(|why| format!("{}: {why}", path.display()))?;
    let count = |filter: &str| count(&path, keys, filter);
    let ike = count("isakmp.exchangetype == 35 && isakmp.auth.data")?;
    let esp = count("esp.icv_good == 1")?;
    let bad = count("esp.icv_bad == 1 || _ws.malformed || (esp && !esp.icv_good)")?;
    let figure = format!("{prefixes} streams, {ike} IKE_AUTH, {esp} ESP, {bad} bad, {clear} clear");
    match prefixes == 2 && ike == 4 && esp > 100 && bad == 0 && clear == 0 {
        true => Ok(figure),
        false => Err(figure),
    }
}

/// Both directions of a stream, as tshark puts them together.
fn followed(pcap: &Path, stream: u32) -> Result<[Vec<u8>; 2], String> {
    let follow = format!("follow,tcp,raw,{stream}");
    let output = Command::new("tshark")
        .args(["-q", "-z", &follow, "-r"])
        .arg(pcap)
        .output()
        .map_err(|why| format!("tshark cannot be started: {why}"))?;
    let mut directions = [Vec::new(), Vec::new()];
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        // What the second host sent is indented.
        let digits = line.trim_start();
        let octets = (0..digits.len() / 2).map(|at| digits.get(2 * at..2 * at + 2));
        let octets = octets.map(|pair| u8::from_str_radix(pair?, 16).ok());
        if let Some(octets) = octets
            .collect::<Option<Vec<u8>>>()
            .filter(|_| digits.len() > 1)
        {
            directions[usize::from(line.starts_with('\t'))].extend(octets);
        }
    }
    match directions.iter().all(|octets| !octets.is_empty()) {
        true => Ok(directions),
        false => Err(format!("tshark finds no stream {stream}")),
    }
}

/// The messages of one direction as datagrams of UDP port 4500.
fn datagrams(stream: &[u8], [from, to]: [IpAddr; 2], out: &mut Vec<u8>) -> Result<(), String> {
    let mut reader = match stream.starts_with(&STREAM_PREFIX) {
        true => StreamReader::accepted(),
        false => StreamReader::originated(),
    };
    let kind = if from.is_ipv4() { IPV4 } else { IPV6 };
    let mut at = 0;
    loop {
        let rest = stream.get(at..).unwrap_or_default();
        match reader.next(rest).map_err(|why| why.to_string())? {
            Piece::Prefix(length) => at += length,
            Piece::Message(range) => {
                let message = rest.get(range.clone()).unwrap_or_default();
                let packet = udp(from, to, [4500, 4500], message);
                let frame = [&[0; 12][..], &kind, &packet].concat();
                out.extend(record_header(
                    Duration::ZERO,
                    frame.len() as u32,
                    frame.len() as u32,
                ));
                out.extend(frame);
                at += range.end;
            }
            Piece::Part(_) => return Ok(()),
        }
    }
}

fn count(pcap: &Path, keys: &Path, filter: &str) -> Result<usize, String> {
    let output = Command::new("tshark")
        .args(["-o", "esp.enable_encryption_decode:TRUE"])
        .args(["-o", "esp.enable_authentication_check:TRUE"])
        .args(["-T", "fields", "-e", "frame.number", "-Y", filter, "-r"])
        .arg(pcap)
        .env("WIRESHARK_CONFIG_DIR", keys)
        .output()
        .map_err(|why| format!("tshark cannot be started: {why}"))?;
    match output.status.success() {
        true => Ok(String::from_utf8_lossy(&output.stdout).lines().count()),
        false => {
            let errors = String::from_utf8_lossy(&output.stderr);
            let last = errors.lines().last().unwrap_or_default();
            Err(format!("tshark: {last}"))
        }
    }
}
