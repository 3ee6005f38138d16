//! What dies, freezes and falls silent, and what the witness makes of it.

use crate::proxy::Proxy;
use crate::reader::Reader;
use std::time::Duration;
use tokio::time::{Instant, sleep};
use witness::{News, NotDone};

#[tokio::test]
async fn one_member_may_die_and_two_may_not() {
    let mut cluster = cluster!(3, true);
    let mut one = Reader::reachable(cluster.settings()).await;
    let mut stands = one.propose("g", 0, "all").await.unwrap();
    for dead in 0..3 {
        cluster.kill(dead);
        let began = Instant::now();
        stands = one
            .propose("g", stands, &format!("without {dead}"))
            .await
            .unwrap();
        eprintln!(
            "proposal after the death of member {dead}: {:?}",
            began.elapsed()
        );
        one.stands("g", stands).await;
        cluster.bring(dead);
        let mut alone = cluster.settings();
        alone.endpoints = vec![cluster.endpoint(dead)];
        Reader::reachable(alone).await;
    }
    // Who watches through a member that lives must not believe it.
    let mut survivor = cluster.settings();
    survivor.endpoints.truncate(1);
    let mut two = Reader::reachable(survivor).await;
    sleep(Duration::from_millis(500)).await;
    while one.has(|news| matches!(news, News::Reachable | News::Unreachable(_))) {}
    cluster.kill(1);
    cluster.kill(2);
    let began = Instant::now();
    for reader in [&mut one, &mut two] {
        let why = reader.trouble().await;
        assert!(why.contains("majority") || why.contains("leader"), "{why}");
    }
    eprintln!(
        "loss of the majority noticed by both: {:?}",
        began.elapsed()
    );
    let failed = one.propose("g", stands, "nobody").await;
    let failed = failed.unwrap_err();
    assert!(!matches!(failed, NotDone::Conflict { .. }), "{failed:?}");
    cluster.bring(1);
    cluster.bring(2);
    one.wait(|news| *news == News::Reachable).await;
    two.wait(|news| *news == News::Reachable).await;
    // Whatever became of the doubtful proposal, the two agree on what stands.
    let late = Reader::reachable(cluster.settings()).await.state().await;
    let next = one.propose("g", late.2, "again").await.unwrap();
    one.stands("g", next).await;
    two.stands("g", next).await;
}

#[tokio::test]
async fn a_frozen_leader_costs_an_election_and_nothing_else() {
    let cluster = cluster!(3, false);
    let mut settings = cluster.settings();
    let mut stands = Reader::reachable(settings.clone())
        .await
        .propose("g", 0, "first")
        .await
        .unwrap();
    let leader = cluster.leader().await;
    // The first endpoint is the one that is asked.
    settings.endpoints.swap(0, leader);
    let mut one = Reader::reachable(settings).await;
    one.stands("g", stands).await;
    cluster.signal(leader, "STOP");
    let began = Instant::now();
    let mut values = vec![];
    for i in 0..5 {
        values.push(format!("frozen {i}"));
        stands = one.propose("g", stands, &values[i]).await.unwrap();
        eprintln!("proposal {i} after the leader froze: {:?}", began.elapsed());
    }
    // The watch was on the frozen member, and moves.
    one.stands("g", stands).await;
    eprintln!("watch after the leader froze: {:?}", began.elapsed());
    cluster.signal(leader, "CONT");
    sleep(Duration::from_millis(700)).await;
    let next = one.propose("g", stands, "thawed").await.unwrap();
    one.stands("g", next).await;
    let mut late = Reader::reachable(cluster.settings()).await;
    assert_eq!(late.state().await, ("g".into(), "thawed".into(), next));
}

#[tokio::test]
async fn a_success_whose_answer_was_lost_is_recognised() {
    let cluster = cluster!(3, false);
    let proxy = Proxy::start(cluster.client_port(0)).await;
    let mut settings = cluster.settings();
    settings.endpoints[0] = format!("http://127.0.0.1:{}", proxy.port);
    let mut one = Reader::reachable(settings).await;
    let stands = one.propose("g", 0, "first").await.unwrap();
    proxy.silence(true);
    let began = Instant::now();
    let next = one.propose("g", stands, "second").await.unwrap();
    let took = began.elapsed();
    eprintln!("proposal through a member that fell silent: {took:?}");
    assert!(took < Duration::from_secs(1), "{took:?}");
    let mut late = Reader::reachable(cluster.settings()).await;
    assert_eq!(late.state().await, ("g".into(), "second".into(), next));
    // The second copy did nothing: one change, one revision.
    assert_eq!(next, stands + 1);
    one.stands("g", next).await;
}

#[tokio::test]
async fn without_an_answer_the_outcome_is_unknown_and_the_state_tells() {
    let cluster = cluster!(1, false);
    let proxy = Proxy::start(cluster.client_port(0)).await;
    let mut settings = cluster.settings();
    settings.endpoints = vec![format!("http://127.0.0.1:{}", proxy.port)];
    settings.request_timeout = Duration::from_millis(400);
    let mut one = Reader::reachable(settings).await;
    let stands = one.propose("g", 0, "first").await.unwrap();
    one.stands("g", stands).await;
    proxy.silence(true);
    let outcome = one.propose("g", stands, "second").await;
    assert!(matches!(outcome, Err(NotDone::Unknown(_))), "{outcome:?}");
    let why = one.trouble().await;
    assert!(why.contains(&proxy.port.to_string()), "{why}");
    proxy.silence(false);
    assert_eq!(one.state().await, ("g".into(), "second".into(), stands + 1));
    one.wait(|news| *news == News::Reachable).await;
}

#[tokio::test]
async fn what_changed_meanwhile_is_told_even_when_history_is_gone() {
    let mut cluster = cluster!(1, false);
    let proxy = Proxy::start(cluster.client_port(0)).await;
    let mut settings = cluster.settings();
    settings.endpoints = vec![format!("http://127.0.0.1:{}", proxy.port)];
    settings.request_timeout = Duration::from_millis(400);
    let mut far = Reader::reachable(settings).await;
    let mut near = Reader::reachable(cluster.settings()).await;
    let mut stands = near.propose("g", 0, "0").await.unwrap();
    let other = near.propose("h", 0, "0").await.unwrap();
    far.stands("h", other).await;
    proxy.silence(true);
    far.trouble().await;
    for i in 1..10 {
        stands = near.propose("g", stands, &i.to_string()).await.unwrap();
    }
    // "holdfast/test/h"
    let body = r#"{"key":"aG9sZGZhc3QvdGVzdC9o"}"#;
    cluster.gateway(0, "kv/deleterange", body).await.unwrap();
    let body = format!("{{\"revision\":\"{stands}\"}}");
    cluster.gateway(0, "kv/compaction", &body).await.unwrap();
    cluster.kill(0);
    cluster.bring(0);
    proxy.silence(false);
    far.wait(|news| *news == News::Reachable).await;
    far.stands("g", stands).await;
    far.wait(|news| matches!(news, News::Gone { key, .. } if key == "h"))
        .await;
}
