//! What it costs: run by hand, with `--ignored --nocapture`.

use crate::reader::Reader;
use std::time::Duration;
use tokio::time::{Instant, sleep};

#[tokio::test]
#[ignore = "it measures, and takes a minute"]
async fn figures() {
    latency(true).await;
    latency(false).await;
    deaths().await;
    idle().await;
}

/// What a session costs when nothing happens: its thread's time on a processor.
async fn idle() {
    let cluster = cluster!(3, true);
    let one = Reader::reachable(cluster.settings()).await;
    let used = || -> u64 {
        let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
        text.split(' ').next().unwrap().parse().unwrap()
    };
    let before = used();
    sleep(Duration::from_secs(10)).await;
    let took = Duration::from_nanos(used() - before) / 10;
    eprintln!("idle, three members, TLS: {took:?} of processor time a second");
    drop(one);
}

fn show(what: &str, mut took: Vec<Duration>) {
    took.sort();
    let at = |part: usize| took[(took.len() * part / 100).min(took.len() - 1)];
    let count = took.len();
    eprintln!(
        "{what}: {count} times, p50 {:?}, p99 {:?}, longest {:?}",
        at(50),
        at(99),
        at(100)
    );
}

async fn latency(tls: bool) {
    let cluster = cluster!(3, tls);
    let mut one = Reader::reachable(cluster.settings()).await;
    let mut stands = 0;
    let mut took = vec![];
    for round in 0..2000 {
        let began = Instant::now();
        stands = one.propose("g", stands, &round.to_string()).await.unwrap();
        took.push(began.elapsed());
        one.stands("g", stands).await;
    }
    show(if tls { "swap, TLS" } else { "swap, in clear" }, took);
}

/// A proposal at the moment of a member's death, by the way in which it dies.
async fn deaths() {
    let mut cluster = cluster!(3, false);
    for (frozen, led) in [(false, false), (false, true), (true, false), (true, true)] {
        let mut took = vec![];
        for round in 0..10 {
            let leader = cluster.leader().await;
            let victim = if led { leader } else { (leader + 1) % 3 };
            let mut settings = cluster.settings();
            settings.endpoints.swap(0, victim);
            let mut one = Reader::reachable(settings).await;
            let key = format!("{frozen}/{led}/{round}");
            // It is the member that was asked last.
            let stands = one.propose(&key, 0, "before").await.unwrap();
            sleep(Duration::from_millis(300)).await;
            match frozen {
                true => cluster.signal(victim, "STOP"),
                false => cluster.kill(victim),
            }
            let began = Instant::now();
            one.propose(&key, stands, "after").await.unwrap();
            took.push(began.elapsed());
            match frozen {
                true => cluster.signal(victim, "CONT"),
                false => cluster.bring(victim),
            }
            let mut alone = cluster.settings();
            alone.endpoints = vec![cluster.endpoint(victim)];
            Reader::reachable(alone).await;
        }
        let how = if frozen { "frozen" } else { "killed" };
        let who = if led { "leader" } else { "follower" };
        show(
            &format!("swap when the {who} it is connected to is {how}"),
            took,
        );
    }
}
