//! The guard's own process: it reads a pipe to its end, and then acts.

use crate::guard::{Order, Will};
use linux::netlink::{Netlink, index_of};
use linux::process::{self, Signal};
use linux::udp::{SocketOptions, UdpSocket};
use linux::{Family, Prefix};
use std::io::{BufRead, BufReader, Read};
use std::time::Duration;

/// Pauses after each farewell: one may be lost.
const PAUSES: [Duration; 3] = [
    Duration::from_millis(2),
    Duration::from_millis(10),
    Duration::ZERO,
];
/// A socket that sends a few short datagrams.
const BUFFER: usize = 64 << 10;

/// Runs the guard on its standard input, until the daemon has ended.
pub fn guard() {
    // A supervisor that ends everything of a daemon that died would end the guard too early.
    for signal in [Signal::Terminate, Signal::Interrupt, Signal::HangUp] {
        let _ = process::ignore(signal);
    }
    // When memory runs out the daemon may go, but not who cleans up behind it.
    let _ = std::fs::write("/proc/self/oom_score_adj", "-1000");
    let _ = process::run_first();
    if let Some(will) = last_will(std::io::stdin().lock()) {
        carry_out(&will);
    }
}

/// What was said last before the end; `None` when nothing is to be done.
fn last_will(orders: impl Read) -> Option<Will> {
    let mut orders = BufReader::new(orders);
    let (mut will, mut line) = (None, Vec::new());
    loop {
        line.clear();
        // A line that the daemon did not live to finish says nothing.
        match orders.read_until(b'\n', &mut line) {
            Ok(_) if line.ends_with(b"\n") => {}
            _ => return will,
        }
        match serde_json::from_slice(&line) {
            Ok(Order::Watch(new)) => will = Some(new),
            Ok(Order::Dismiss) => return None,
            Err(_) => {}
        }
    }
}

/// The addresses go first: whoever is told takes them over at once.
fn carry_out(will: &Will) {
    let mut netlink = Netlink::open().ok();
    for pause in PAUSES {
        for (interface, address, length) in &will.addresses {
            let Some(netlink) = &mut netlink else { break };
            let Ok(link) = index_of(interface) else {
                continue;
            };
            // Tried again in the next round.
            let _ = netlink.delete_address(link, Prefix::new(*address, *length));
        }
        farewell(will);
        std::thread::sleep(pause);
    }
}

fn farewell(will: &Will) {
    let options = SocketOptions {
        mark: Some(will.mark),
        buffer: BUFFER,
        gro: false,
        ..SocketOptions::default()
    };
    for family in Family::BOTH {
        let mut to = will.to.iter();
        if !to.any(|to| Family::of(to.ip()) == family) {
            continue;
        }
        // From the daemon's own port, which is free by now: a firewall may know it.
        let socket = UdpSocket::bind(family, will.port, &options);
        let Ok(socket) = socket.or_else(|_| UdpSocket::bind(family, 0, &options)) else {
            continue;
        };
        for to in &will.to {
            if Family::of(to.ip()) == family {
                let _ = socket.send_to(None, *to, &will.farewell);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(order: &Order) -> Vec<u8> {
        let mut line = serde_json::to_vec(order).unwrap();
        line.push(b'\n');
        line
    }

    fn watch(farewell: &[u8]) -> Vec<u8> {
        line(&Order::Watch(Will {
            addresses: vec![("eth1".into(), "10.0.0.100".parse().unwrap(), 24)],
            port: 4511,
            mark: 1,
            to: vec!["10.0.0.2:4511".parse().unwrap()],
            farewell: farewell.to_vec(),
        }))
    }

    #[test]
    fn the_last_whole_order_counts() {
        let said = |orders: &[Vec<u8>]| {
            let will = last_will(orders.concat().as_slice());
            will.map(|will| will.farewell)
        };
        let torn = watch(&[9; 3]);
        let torn = torn[..torn.len() - 1].to_vec();
        assert_eq!(said(&[]), None);
        assert_eq!(said(&[watch(&[1])]), Some(vec![1]));
        assert_eq!(said(&[watch(&[1]), watch(&[2]), torn]), Some(vec![2]));
        assert_eq!(said(&[watch(&[1]), b"?\n".to_vec()]), Some(vec![1]));
        assert_eq!(said(&[watch(&[1]), line(&Order::Dismiss)]), None);
    }
}
