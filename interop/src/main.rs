//! `cargo run --release -p interop -- VERB`: our software against foreign software, as root.
#![forbid(unsafe_code)]
#![allow(clippy::disallowed_methods)] // A harness has a clock, waits and reads the environment.

mod bench;
mod capture;
mod crowd;
mod flood;
mod folder;
mod front;
mod gaps;
mod guest;
mod handshakes;
mod holdfast;
mod host;
mod hostile;
mod kerberos;
mod kernel;
mod kernel_cluster;
mod lanes;
mod moves;
mod nat;
mod packet;
mod peers;
mod plane;
mod program;
mod scale;
mod scapy;
mod space;
mod strongswan;
mod suite;
mod table;
mod tcp;
mod traffic;
mod tshark;
mod windows;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Instant;

const USAGE: &str = "\
cargo run --release -p interop -- VERB [--out DIR]
  scapy       scapy opens our ESP and we open its, for every algorithm
  kernel      transport-mode ESP with a real Linux kernel, on manual keys
  plane       our daemon with ESP in that kernel, and with ESP in user space
  strongswan  IKE and ESP with Debian's strongSwan, both roles, rekeys, deletes, refusals
  peers       strongSwan, Libreswan and OpenIKED with a kernel's ESP in a guest, and ike-scan;
              compares with docs/interop.md (peers write: writes it; peers only TEXT: some of it)
  ikev1       IKEv1 with strongSwan and Libreswan in the guest, and ike-scan: as peers does
  certificates  strongSwan with certificates of every kind, raw public keys, refusals of each
  ocsp        certificates of strongSwan, of which `openssl ocsp` says whether they still hold
  mobike      a tunnel with strongSwan, or a kernel, goes on while either end moves
  nat         two clients behind nftables and one server, in transport mode
  tcp         two of our daemons with UDP blocked: connections that break, floods, tshark
  windows     policies imported from scripts of netsh: inpass, soft SAs, boot modes
  kerberos    hosts that know each other by Kerberos, with Debian's KDC
  hostile     a million bad datagrams, daemons that are killed, a short flood
  tshark [LAB]  tshark reads what the lab captures, with the key tables that the daemons write
  hybrid      X25519 with ML-KEM between two of ours, as tshark dissects it
  all         scapy, kernel, plane, strongswan, certificates, ocsp, mobike, peers, ikev1, nat, tcp,
              kerberos, windows, hostile, tshark, hybrid, that 200 pairs survive a takeover,
              front-end and kernel-cluster in short
  front-end [MOVES [CUTS]]  the guest's strongSwan before a replicated cluster: gaps
  kernel-cluster [MOVES [CUTS]]  two nodes with ESP in their guests' kernels, before us: gaps
  scale [COUNT ...]  a replicated cluster with so many SA pairs: fill, memory, takeover
  scale throughput  what replication costs a TCP stream
  handshakes [COUNT ...]  so many IKE SAs with us and with strongSwan: rate, CPU, memory
  flood [RATE [SECONDS]]  forged first messages, while known peers connect
  bench       throughput and latency beside plain veth and strongSwan
";

fn main() -> ExitCode {
    let mut words: Vec<String> = std::env::args().skip(1).collect();
    let mut out = PathBuf::from("target/interop");
    if let Some(at) = words.iter().position(|word| word == "--out") {
        if at + 1 >= words.len() {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
        out = words.remove(at + 1).into();
        words.remove(at);
    }
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let outcome = match words.as_slice() {
        ["scapy"] => scapy::run(&out),
        ["kernel"] => alone(|| kernel::run(&out)),
        ["plane"] => alone(|| plane::run(&out)),
        ["strongswan"] => alone(|| strongswan::run(&out)),
        ["peers", words @ ..] => alone(|| peers::run(&out, words)),
        ["ikev1", words @ ..] => alone(|| peers::run_ikev1(&out, words)),
        ["front-end", words @ ..] => alone(|| front::run(&out, words)),
        // Our end and the guest's of a TCP connection.
        ["echo-server", port] => echo_server(port),
        ["echo-client", address, port, length] => echo_client(address, port, length),
        // Both ends of a Kerberos context, with a `krb5.conf` in the environment.
        [kerberos::contexts::VERB, words @ ..] => kerberos::contexts::both_ends(words),
        ["kernel-cluster", words @ ..] => alone(|| kernel_cluster::run(&out, words)),
        ["certificates"] => alone(|| strongswan::certificates::run(&out)),
        ["ocsp"] => alone(|| strongswan::ocsp::run(&out)),
        ["mobike"] => alone(|| moves::run(&out)),
        ["nat"] => alone(|| nat::run(&out)),
        ["tcp"] => alone(|| tcp::run(&out)),
        ["windows"] => alone(|| windows::run(&out)),
        ["kerberos"] => alone(|| kerberos::run(&out)),
        ["hostile"] => alone(|| hostile::run(&out)),
        ["tshark"] => alone(|| tshark::run(&out, None)),
        ["tshark", lab] => tshark::run(&out, Some(Path::new(lab))),
        ["hybrid"] => alone(|| tshark::hybrid::run(&out)),
        ["all"] => alone(|| all(&out)),
        ["scale", "throughput"] => alone(|| scale::throughput::run(&out)),
        ["scale", counts @ ..] => alone(|| scale::run(&out, counts)),
        ["handshakes", counts @ ..] => alone(|| handshakes::run(&out, counts)),
        ["flood", words @ ..] => alone(|| flood::run(&out, words)),
        ["bench"] => alone(|| bench::run(&out)),
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(why) => {
            eprintln!("{why}");
            ExitCode::FAILURE
        }
    }
}

fn echo_server(port: &str) -> Result<(), String> {
    traffic::serve_echo(number(port)?)
}

fn echo_client(address: &str, port: &str, length: &str) -> Result<(), String> {
    let at = (space::ip(address)?, number(port)?).into();
    traffic::exchange_here(at, number(length)?)
}

fn number<T: std::str::FromStr>(text: &str) -> Result<T, String> {
    text.parse().map_err(|_| format!("{text} is no number"))
}

/// How often, as a word says or as usual.
fn often(words: &[&str], at: usize, usual: usize) -> Result<usize, String> {
    words.get(at).map_or(Ok(usual), |word| number(word))
}

/// Runs a verb that makes namespaces, unless another one runs.
fn alone(verb: impl FnOnce() -> Result<(), String>) -> Result<(), String> {
    let _lock = match lanes::is_one() {
        true => None,
        false => Some(folder::Lock::take()?),
    };
    verb()
}

/// Every verb that judges: those that mostly wait two at a time, the longest first, and then those
/// that measure, each of which has the machine for itself.
fn all(out: &Path) -> Result<(), String> {
    const WAIT: [&str; 14] = [
        "peers",
        "ikev1",
        "kernel",
        "plane",
        "strongswan",
        "certificates",
        "ocsp",
        "mobike",
        "nat",
        "tcp",
        "kerberos",
        "windows",
        "hybrid",
        "scapy",
    ];
    type Verb = fn(&Path) -> Result<(), String>;
    const MEASURE: [Verb; 5] = [
        |out| front::run(out, &["2", "1"]),
        |out| kernel_cluster::run(out, &["2", "1"]),
        hostile::run,
        scale::survives,
        |out| tshark::run(out, None),
    ];
    let begun = Instant::now();
    let mut failed = lanes::run(&WAIT, out);
    failed.extend(MEASURE.iter().filter_map(|verb| verb(out).err()));
    println!(
        "interop all: {} failed, {} s",
        failed.len(),
        begun.elapsed().as_secs()
    );
    match failed.is_empty() {
        true => Ok(()),
        false => Err(failed.join("\n")),
    }
}
