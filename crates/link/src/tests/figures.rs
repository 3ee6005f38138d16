//! How fast a link is: printed by `cargo test --release -p link -- --ignored --nocapture`.

use crate::testing::{Cluster, message, up};
use crate::{Inbox, Links, Settings};
use std::net::SocketAddr;
use std::sync::mpsc;
use std::time::{Duration, Instant};
use tokio::runtime::Builder;

const ROUNDS: usize = 5_000;

/// Runs node `b` on a thread and runtime of its own: it answers the first messages, counts the
/// others, and says when it has all.
fn answerer(settings: Settings) -> (SocketAddr, std::thread::JoinHandle<()>) {
    let (address, found) = mpsc::channel();
    let thread = std::thread::spawn(move || {
        let runtime = Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (links, mut inbox) = Links::start(settings).unwrap();
            address.send(links.listening()[0]).unwrap();
            up(&mut inbox, "a").await;
            for _ in 0..ROUNDS {
                let asked = message(&mut inbox, "a").await;
                links.send("a", asked).unwrap();
            }
            loop {
                let count = message(&mut inbox, "a").await;
                let count = u32::from_be_bytes(count.try_into().unwrap());
                for _ in 0..count {
                    message(&mut inbox, "a").await;
                }
                links.send("a", vec![]).unwrap();
                if count == 0 {
                    break;
                }
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        });
    });
    (found.recv().unwrap(), thread)
}

async fn throughput(links: &Links, inbox: &mut Inbox, length: usize, count: u32) {
    let began = Instant::now();
    links.send("b", count.to_be_bytes().to_vec()).unwrap();
    for _ in 0..count {
        // A sender that paces itself, as one of a large copy does.
        while links.waiting("b").unwrap() > 8 << 20 {
            tokio::task::yield_now().await;
        }
        links.send("b", vec![7; length]).unwrap();
    }
    message(inbox, "b").await;
    let seconds = began.elapsed().as_secs_f64();
    let rate = f64::from(count) / seconds;
    println!(
        "{length:>8} bytes x {count}: {rate:.0} messages/s, {:.1} MB/s",
        rate * length as f64 / 1e6
    );
}

#[test]
#[ignore = "prints figures, which depend on the machine"]
fn latency_and_throughput() {
    let cluster = Cluster::new();
    let (address, thread) = answerer(cluster.settings("b", &[("a", &[])]));
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let began = Instant::now();
        let settings = cluster.settings("a", &[("b", &[address])]);
        let started = Instant::now();
        let (links, mut inbox) = Links::start(settings).unwrap();
        up(&mut inbox, "b").await;
        println!(
            "link up: {:?} ({:?} with certificates)",
            started.elapsed(),
            began.elapsed()
        );
        let mut times = Vec::with_capacity(ROUNDS);
        for _ in 0..ROUNDS {
            let asked = Instant::now();
            links.send("b", vec![7; 100]).unwrap();
            message(&mut inbox, "b").await;
            times.push(asked.elapsed() / 2);
        }
        times.sort_unstable();
        let at = |share: usize| times[ROUNDS * share / 1000];
        println!(
            "one way, 100 bytes, idle: p50 {:?}, p99 {:?}, p99.9 {:?}",
            at(500),
            at(990),
            at(999)
        );
        throughput(&links, &mut inbox, 100, 1_000_000).await;
        throughput(&links, &mut inbox, 1_000, 500_000).await;
        throughput(&links, &mut inbox, 65_536, 20_000).await;
        throughput(&links, &mut inbox, 4 << 20, 200).await;
        throughput(&links, &mut inbox, 0, 0).await;
    });
    thread.join().unwrap();
}
