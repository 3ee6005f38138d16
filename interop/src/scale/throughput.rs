//! What replication costs a TCP stream: the same owner with a standby in sync, and with one that
//! would negotiate anew, in turn.

use std::path::Path;

use crate::bench::{iperf, median};
use crate::folder::{self, Scratch};
use crate::holdfast::{self, Daemon, PSK, Place};
use crate::scale::until;
use crate::scale::world::{FRONT, VIP, World};

const WAYS: [&str; 2] = ["renegotiate", "replicate"];
const ROUNDS: usize = 5;
/// Replication may cost so much of the throughput.
const COST: f64 = 0.05;

/// Measures both ways in turn and prints the ratio of their medians.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "scale-throughput")?;
    let program = holdfast::build()?;
    let mut measured = [Vec::new(), Vec::new()];
    for round in 0..ROUNDS {
        // Whoever is first in one round is last in the next.
        for turn in 0..WAYS.len() {
            let way = (round + turn) % WAYS.len();
            let logs = folder.join(format!("{round}-{}", WAYS[way]));
            std::fs::create_dir_all(&logs).map_err(|why| why.to_string())?;
            let mbits = measure(WAYS[way], &program, &logs)?;
            println!(
                "  round {}: {:<12} {mbits:>7.0} Mbit/s",
                round + 1,
                WAYS[way]
            );
            measured[way].push(mbits);
        }
    }
    let [without, with] = measured.map(|values| median(&values));
    let cost = 1.0 - with / without;
    let text = format!(
        "TCP, transport mode in UDP, medians of {ROUNDS}: renegotiate {without:.0} Mbit/s, \
         replicate {with:.0} Mbit/s: replication costs {:.1} %\n",
        cost * 100.0
    );
    print!("{text}");
    folder::write(&folder.join("table.txt"), &text)?;
    match cost <= COST {
        true => Ok(()),
        false => Err("that is more than 5 %".into()),
    }
}

fn measure(way: &str, program: &Path, logs: &Path) -> Result<f64, String> {
    let world = World::new()?;
    let scratch = Scratch::new()?;
    let rules = server();
    let start = |index| world.start_as(index, program, scratch.path(), logs, &rules, way);
    let mut owner = start(0)?;
    until(&mut owner, "mail is up here")?;
    let mut standby = start(1)?;
    let ready = match way {
        "replicate" => "copy is in sync",
        _ => "be1 is up",
    };
    until(&mut standby, ready)?;
    let place = Place {
        program,
        space: &world.front,
        scratch: scratch.path(),
        folder: logs,
        name: "fe",
    };
    let front = Daemon::start(&place, &client(), None)?;
    front.command(&["sa", "initiate", "tcp"])?;
    iperf::tcp(&world.front, &world.nodes[0], FRONT, VIP, logs)
}

fn server() -> String {
    let port = iperf::PORT;
    rules(
        FRONT,
        &format!("local = \"{VIP}\"\nremote = \"{FRONT}\"\n"),
        &format!("local_ports = {port}\n"),
    )
}

fn client() -> String {
    let port = iperf::PORT;
    rules(
        VIP,
        &format!("remote = \"{VIP}\"\n"),
        &format!("remote_ports = {port}\n"),
    )
}

fn rules(peer: &str, sides: &str, ports: &str) -> String {
    format!(
        "[plane]\nencapsulation = \"udp\"\n\n\
         [[peer]]\nname = \"other\"\naddress = \"{peer}\"\npsk = \"{PSK}\"\n\n\
         [[rule]]\nname = \"tcp\"\naction = \"require\"\n{sides}protocol = \"tcp\"\n{ports}\n"
    )
}
