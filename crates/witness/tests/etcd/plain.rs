//! What a healthy cluster does: compare, swap, watch.

use crate::reader::Reader;
use std::collections::HashSet;
use witness::{News, NotDone};

#[tokio::test]
async fn a_value_is_put_only_over_the_expected_revision() {
    let cluster = cluster!(3, true);
    let mut one = Reader::reachable(cluster.settings()).await;
    let first = one.propose("group/a", 0, "one").await.unwrap();
    assert_eq!(one.state().await, ("group/a".into(), "one".into(), first));
    let refused = one.propose("group/a", 0, "two").await;
    let current = Some((b"one".to_vec(), first));
    assert_eq!(refused, Err(NotDone::Conflict { current }));
    let missing = one.propose("group/b", 7, "two").await;
    assert_eq!(missing, Err(NotDone::Conflict { current: None }));
    let second = one.propose("group/a", first, "two").await.unwrap();
    assert!(second > first);
    let most = "x".repeat(witness::limits::VALUE_MAX);
    let third = one.propose("group/a", second, &most).await.unwrap();

    // Whoever comes later learns what stands before it hears that all is well.
    let (late, mut news) = witness::Witness::start(cluster.settings()).unwrap();
    let state = News::State {
        key: "group/a".into(),
        value: most.into(),
        revision: third,
    };
    assert_eq!(news.recv().await, Some(state));
    assert_eq!(news.recv().await, Some(News::Reachable));
    drop(late);
    assert_eq!(news.recv().await, None);
}

#[tokio::test]
async fn of_two_that_compete_exactly_one_wins() {
    let cluster = cluster!(3, false);
    let mut one = Reader::reachable(cluster.settings()).await;
    let mut settings = cluster.settings();
    settings.endpoints.reverse();
    let mut two = Reader::reachable(settings).await;
    let (mut stands, mut wins) = (0, [0, 0]);
    for round in 0..100 {
        let asked = (
            one.ask("owner", stands, &format!("one {round}")),
            two.ask("owner", stands, &format!("two {round}")),
        );
        let outcomes = (one.outcome(asked.0).await, two.outcome(asked.1).await);
        let (winner, revision, loser) = match outcomes {
            (Ok(revision), Err(loser)) => (0, revision, loser),
            (Err(loser), Ok(revision)) => (1, revision, loser),
            both => panic!("round {round}: {both:?}"),
        };
        let value = format!("{} {round}", ["one", "two"][winner]);
        wins[winner] += 1;
        stands = revision;
        let current = Some((value.clone().into_bytes(), revision));
        assert_eq!(loser, NotDone::Conflict { current });
        for reader in [&mut one, &mut two] {
            assert_eq!(
                reader.state().await,
                ("owner".into(), value.clone(), revision)
            );
        }
    }
    eprintln!("rounds won: {wins:?}");
}

#[tokio::test]
async fn proposals_for_one_key_keep_their_order_and_changes_theirs() {
    let cluster = cluster!(3, false);
    let mut writer = Reader::reachable(cluster.settings()).await;
    let mut watcher = Reader::reachable(cluster.settings()).await;
    // Sent without waiting: only the first of each key can fit.
    let keys = ["a", "b", "c", "d"];
    let tags: Vec<u64> = (0..40)
        .map(|i| writer.ask(keys[i % 4], 0, &i.to_string()))
        .collect();
    let mut last = 0;
    for (i, tag) in tags.into_iter().enumerate() {
        assert_eq!(writer.outcome(tag).await.is_ok(), i < 4, "proposal {i}");
    }
    for _ in keys {
        let (_, value, revision) = watcher.state().await;
        assert!(value.parse::<usize>().unwrap() < 4 && revision > last);
        last = revision;
    }
    // More records than one answer holds.
    let tags: Vec<u64> = (0..300)
        .map(|i| writer.ask(&format!("many/{i:03}"), 0, "x"))
        .collect();
    for tag in tags {
        writer.outcome(tag).await.unwrap();
    }
    for _ in 0..300 {
        let (_, _, revision) = watcher.state().await;
        assert!(revision > last);
        last = revision;
    }
    let mut late = Reader::reachable(cluster.settings()).await;
    let mut found = HashSet::new();
    last = 0;
    for _ in 0..304 {
        let (key, _, revision) = late.state().await;
        assert!(found.insert(key) && revision > last);
        last = revision;
    }
}

#[tokio::test]
async fn a_removed_key_is_told_and_can_be_made_again() {
    let cluster = cluster!(1, false);
    let mut one = Reader::reachable(cluster.settings()).await;
    let first = one.propose("g", 0, "one").await.unwrap();
    // "holdfast/test/g"
    let body = r#"{"key":"aG9sZGZhc3QvdGVzdC9n"}"#;
    cluster.gateway(0, "kv/deleterange", body).await.unwrap();
    let gone = one.wait(|news| matches!(news, News::Gone { .. })).await;
    assert!(matches!(gone, News::Gone { key, revision } if key == "g" && revision > first));
    let conflict = Err(NotDone::Conflict { current: None });
    assert_eq!(one.propose("g", first, "two").await, conflict);
    one.propose("g", 0, "three").await.unwrap();
}
