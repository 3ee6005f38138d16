//! What a link promises: order, nothing lost while it is up, a fresh stream after every `Up`.

use crate::testing::{Cluster, down, message, next, up};
use crate::{Down, Inbox, Links, News, NotSent};
use std::net::SocketAddr;
use std::time::Duration;
use tokio::net::TcpListener;

/// Two nodes with a link.
async fn pair(cluster: &Cluster, queue: usize) -> ((Links, Inbox), (Links, Inbox)) {
    let mut settings = cluster.settings("b", &[("a", &[])]);
    settings.queue = queue;
    let mut b = Links::start(settings).unwrap();
    let mut settings = cluster.settings("a", &[("b", b.0.listening())]);
    settings.queue = queue;
    let mut a = Links::start(settings).unwrap();
    up(&mut a.1, "b").await;
    up(&mut b.1, "a").await;
    (a, b)
}

/// A message with a number, of a length that depends on it.
fn numbered(number: u32) -> Vec<u8> {
    let length = match number % 1000 {
        0 => 300_000,
        7 => 16_384,
        rest => rest as usize % 200,
    };
    let mut message = number.to_be_bytes().to_vec();
    message.resize(4 + length, number as u8);
    message
}

#[tokio::test]
async fn order_holds_under_load_in_both_directions() {
    const COUNT: u32 = 20_000;
    let cluster = Cluster::new();
    let ((a, mut a_inbox), (b, mut b_inbox)) = pair(&cluster, 64 << 20).await;
    let send = async |links: &Links, to: &str| {
        for number in 0..COUNT {
            links.send(to, numbered(number)).unwrap();
            if number % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
    };
    let receive = async |inbox: &mut Inbox, from: &str| {
        for number in 0..COUNT {
            assert!(message(inbox, from).await == numbered(number), "{number}");
        }
    };
    tokio::join!(
        send(&a, "b"),
        send(&b, "a"),
        receive(&mut a_inbox, "b"),
        receive(&mut b_inbox, "a"),
    );
    assert_eq!((a.waiting("b"), b.waiting("a")), (Some(0), Some(0)));
}

#[tokio::test]
async fn a_peer_that_does_not_follow_loses_its_link() {
    let cluster = Cluster::new();
    let ((a, mut a_inbox), (_b, mut b_inbox)) = pair(&cluster, 1 << 20).await;
    assert_eq!(a.send("c", vec![]), Err(NotSent::Unknown));
    assert_eq!(a.send("b", vec![0; (4 << 20) + 1]), Err(NotSent::TooLong));
    // Nobody takes b's news: its queue, then the sockets, then a's queue fill up.
    let mut sent = 0u32;
    let why = loop {
        let mut message = sent.to_be_bytes().to_vec();
        message.resize(50_000, 0);
        match a.send("b", message) {
            Ok(()) => sent += 1,
            Err(why) => break why,
        }
        // Each has the chance to leave, and some stay: the bound is in bytes.
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        assert!(sent < 100_000);
    };
    assert_eq!(why, NotSent::Overflow);
    assert!(a.send("b", vec![]).is_err());
    assert_eq!(down(&mut a_inbox, "b").await, Down::Overflow);
    assert_eq!(a.send("b", vec![]), Err(NotSent::Down));
    // What arrived is a beginning of what was sent, without a gap, and then the link ends.
    let mut expected = 0u32;
    let why = loop {
        match next(&mut b_inbox).await {
            News::Message { message, .. } => {
                assert_eq!(message[..4], expected.to_be_bytes());
                expected += 1;
            }
            News::Down { why, .. } => break why,
            other => panic!("{other}"),
        }
    };
    assert!(expected < sent, "{expected} of {sent}; {why}");
    // The next stream is fresh.
    up(&mut a_inbox, "b").await;
    up(&mut b_inbox, "a").await;
    a.send("b", b"fresh".to_vec()).unwrap();
    assert_eq!(message(&mut b_inbox, "a").await, b"fresh");
}

#[tokio::test]
async fn a_restart_of_the_peer_is_down_then_up_and_nothing_stale() {
    let cluster = Cluster::new();
    let ((a, mut a_inbox), b) = pair(&cluster, 64 << 20).await;
    let address = b.0.listening()[0];
    let mut b = Some(b);
    for life in 0..5u8 {
        // Some of these arrive in this life of b, none in the next.
        for _ in 0..100 {
            a.send("b", vec![life; 10_000]).unwrap();
        }
        tokio::task::yield_now().await;
        let (links, mut ended) = b.take().unwrap();
        drop(links);
        while ended.recv().await.is_some() {}
        let mut settings = cluster.settings("b", &[("a", &[])]);
        settings.listen = vec![address];
        let (links, mut inbox) = Links::start(settings).unwrap();
        up(&mut inbox, "a").await;
        // a is connected anew by now; until its owner knows, nothing is sent on the new stream.
        assert_eq!(a.send("b", b"stale".to_vec()), Err(NotSent::Down));
        let why = down(&mut a_inbox, "b").await;
        assert!(matches!(why, Down::Closed | Down::Lost(_)), "{why}");
        assert_eq!(a.send("b", b"stale".to_vec()), Err(NotSent::Down));
        up(&mut a_inbox, "b").await;
        a.send("b", vec![life, 1]).unwrap();
        links.send("a", vec![life, 2]).unwrap();
        assert_eq!(message(&mut inbox, "a").await, [life, 1]);
        assert_eq!(message(&mut a_inbox, "b").await, [life, 2]);
        b = Some((links, inbox));
    }
}

#[tokio::test]
async fn a_path_that_does_not_work_is_passed_over() {
    let cluster = Cluster::new();
    let (b, mut b_inbox) = Links::start(cluster.settings("b", &[("a", &[])])).unwrap();
    // Nobody listens at the first, nobody answers at the second.
    let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let nobody: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let addresses = [nobody, silent.local_addr().unwrap(), b.listening()[0]];
    let mut settings = cluster.settings("a", &[("b", &addresses)]);
    settings.timing.handshake = Duration::from_millis(300);
    let (_a, mut a_inbox) = Links::start(settings).unwrap();
    let refused = next(&mut a_inbox).await;
    assert!(
        matches!(refused, News::Refused { from, .. } if from == addresses[1]),
        "{refused}"
    );
    up(&mut a_inbox, "b").await;
    up(&mut b_inbox, "a").await;
}

#[tokio::test]
async fn dropping_the_links_ends_everything() {
    let cluster = Cluster::new();
    let ((a, mut a_inbox), (b, mut b_inbox)) = pair(&cluster, 64 << 20).await;
    let address = b.listening()[0];
    drop(b);
    assert_eq!(b_inbox.recv().await, None);
    assert!(matches!(
        down(&mut a_inbox, "b").await,
        Down::Closed | Down::Lost(_)
    ));
    drop(TcpListener::bind(address).await.unwrap());
    drop(a);
    assert_eq!(a_inbox.recv().await, None);
}

#[tokio::test]
async fn three_nodes_have_three_links() {
    let cluster = Cluster::new();
    let (c, mut c_inbox) = Links::start(cluster.settings("c", &[("a", &[]), ("b", &[])])).unwrap();
    let at_c = c.listening();
    let (b, mut b_inbox) = Links::start(cluster.settings("b", &[("a", &[]), ("c", at_c)])).unwrap();
    up(&mut b_inbox, "c").await;
    up(&mut c_inbox, "b").await;
    let peers = [("b", b.listening()), ("c", at_c)];
    let (a, mut a_inbox) = Links::start(cluster.settings("a", &peers)).unwrap();
    up(&mut b_inbox, "a").await;
    up(&mut c_inbox, "a").await;
    next(&mut a_inbox).await;
    next(&mut a_inbox).await;
    for to in ["b", "c"] {
        a.send(to, to.into()).unwrap();
    }
    assert_eq!(message(&mut b_inbox, "a").await, b"b");
    assert_eq!(message(&mut c_inbox, "a").await, b"c");
}

/// Who hears otherwise that the peer is back does not wait for TCP.
#[tokio::test]
async fn a_link_is_made_anew_when_asked_for() {
    let cluster = Cluster::new();
    let ((a, mut a_inbox), (b, mut b_inbox)) = pair(&cluster, 64 << 20).await;
    b.renew("a");
    a.send("b", b"before".to_vec()).unwrap();
    assert_eq!(message(&mut b_inbox, "a").await, b"before");
    a.renew("b");
    assert_eq!(down(&mut a_inbox, "b").await, Down::Replaced);
    up(&mut a_inbox, "b").await;
    down(&mut b_inbox, "a").await;
    up(&mut b_inbox, "a").await;
    a.send("b", b"after".to_vec()).unwrap();
    assert_eq!(message(&mut b_inbox, "a").await, b"after");
}
