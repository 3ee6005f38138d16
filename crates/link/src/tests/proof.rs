//! Only proven members get a link; everybody else costs little and is named.

use crate::error::Error;
use crate::limits::{MAX_HANDSHAKES, MAX_MESSAGE, MAX_NAME};
use crate::pki::Identity;
use crate::provider::provider;
use crate::session::welcomed;
use crate::testing::{Cluster, down, message, next, refused, settings, up};
use crate::tls::{PROTOCOL, Stream, Tls};
use crate::{Down, Inbox, Links, News, Refusal};
use rustls::ClientConfig;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, SystemTime};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::TlsConnector;

const YEARS: Duration = Duration::from_secs(11 * 365 * 24 * 3600);

/// Node `b`, which waits for `a`, and must connect to `c`.
fn listener(cluster: &Cluster) -> (Links, Inbox, SocketAddr) {
    let nowhere: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let mut settings = cluster.settings("b", &[("a", &[]), ("c", &[nowhere])]);
    settings.timing.handshake = Duration::from_millis(500);
    let (links, inbox) = Links::start(settings).unwrap();
    let address = links.listening()[0];
    (links, inbox, address)
}

/// Connects by hand to the node `b`.
async fn connect(tls: &TlsConnector, address: SocketAddr) -> io::Result<Stream> {
    let tcp = TcpStream::connect(address).await.unwrap();
    let name = crate::pki::server_name("b").unwrap();
    Ok(Stream::from(tls.connect(name, tcp).await?))
}

/// Connects by hand with this identity, and waits to be welcomed.
async fn connect_as(identity: &Identity, address: SocketAddr) -> io::Result<Stream> {
    let tls = Tls::new(identity).unwrap().connector;
    let mut stream = connect(&tls, address).await?;
    let welcome = timeout(Duration::from_secs(10), welcomed(&mut stream));
    assert!(welcome.await.expect("an answer within ten seconds")?);
    Ok(stream)
}

#[tokio::test]
async fn both_sides_are_proven_and_talk() {
    let cluster = Cluster::new();
    // The longest name, and one that is no DNS name by itself.
    let longest = "z".repeat(MAX_NAME);
    let (right, mut right_inbox) =
        Links::start(cluster.settings(&longest, &[("-A_.", &[])])).unwrap();
    let peers: &[(&str, &[SocketAddr])] = &[(&longest, right.listening())];
    let (left, mut left_inbox) = Links::start(cluster.settings("-A_.", peers)).unwrap();
    up(&mut left_inbox, &longest).await;
    up(&mut right_inbox, "-A_.").await;
    for length in [0, 1, 100, MAX_MESSAGE] {
        let sent = vec![length as u8; length];
        left.send(&longest, sent.clone()).unwrap();
        assert!(message(&mut right_inbox, "-A_.").await == sent);
        right.send("-A_.", sent.clone()).unwrap();
        assert!(message(&mut left_inbox, &longest).await == sent);
    }
}

#[tokio::test]
async fn only_tls_1_3_with_one_protocol_and_no_tickets() {
    let cluster = Cluster::new();
    let (_links, mut inbox, address) = listener(&cluster);
    let mut stream = connect_as(&cluster.identity("a"), address).await.unwrap();
    up(&mut inbox, "a").await;
    let session = stream.get_ref().1;
    assert_eq!(
        session.protocol_version(),
        Some(rustls::ProtocolVersion::TLSv1_3)
    );
    assert_eq!(session.alpn_protocol(), Some(PROTOCOL));
    let Stream::Client(client) = &mut stream else {
        panic!("this is the client");
    };
    assert_eq!(client.get_ref().1.tls13_tickets_received(), 0);
}

#[tokio::test]
async fn an_authority_of_another_cluster_proves_nothing() {
    let (cluster, other) = (Cluster::new(), Cluster::new());
    let (_links, mut inbox, address) = listener(&cluster);
    // It does not trust us, and ends the handshake itself.
    let error = connect_as(&other.identity("a"), address).await.unwrap_err();
    assert_eq!(Refusal::of(&error, None), Refusal::OtherAuthority);
    assert!(matches!(refused(&mut inbox).await, Refusal::ByPeer(_)));
    // It trusts us, and we must not trust it.
    let mut mixed = other.identity("a");
    mixed.roots = cluster.identity("a").roots;
    let error = connect_as(&mixed, address).await.unwrap_err();
    assert!(
        matches!(Refusal::of(&error, None), Refusal::ByPeer(_)),
        "{error}"
    );
    assert_eq!(refused(&mut inbox).await, Refusal::OtherAuthority);
    // In TLS 1.3 it has done its part by then, and must not believe that there is a link.
    let (_a, mut a_inbox) = Links::start(settings(mixed, &[("b", &[address])])).unwrap();
    for _ in 0..3 {
        assert!(matches!(refused(&mut a_inbox).await, Refusal::ByPeer(_)));
    }
}

#[tokio::test]
async fn a_member_must_be_the_expected_one() {
    let cluster = Cluster::new();
    let (_links, mut inbox, address) = listener(&cluster);
    let wrong_direction = Refusal::WrongDirection { node: "c".into() };
    for (name, why) in [
        ("x", Refusal::Stranger),
        ("A", Refusal::Stranger),
        ("b", Refusal::OurName),
        ("c", wrong_direction),
    ] {
        let connected = connect_as(&cluster.identity(name), address).await;
        assert!(connected.is_err(), "{name}");
        assert_eq!(refused(&mut inbox).await, why, "{name}");
    }
    // The one that connects finds another node than it looked for.
    let settings = cluster.settings("a", &[("bb", &[address])]);
    let (_a, mut a_inbox) = Links::start(settings).unwrap();
    let expected = "bb".to_owned();
    assert_eq!(refused(&mut a_inbox).await, Refusal::WrongName { expected });
    assert!(matches!(refused(&mut inbox).await, Refusal::ByPeer(_)));
}

#[tokio::test]
async fn a_certificate_that_is_not_valid_now_is_refused_by_both_sides() {
    let cluster = Cluster::new();
    let (_links, mut inbox, address) = listener(&cluster);
    for made in [SystemTime::now() - YEARS, SystemTime::now() + YEARS / 11] {
        let wrong_time = cluster.identity_of("a", made);
        assert!(connect_as(&wrong_time, address).await.is_err());
        assert_eq!(refused(&mut inbox).await, Refusal::NotValidNow);
    }
    let expired = cluster.identity_of("z", SystemTime::now() - YEARS);
    let (z, mut z_inbox) = Links::start(settings(expired, &[("y", &[])])).unwrap();
    let peers: &[(&str, &[SocketAddr])] = &[("z", z.listening())];
    let (_y, mut y_inbox) = Links::start(cluster.settings("y", peers)).unwrap();
    assert_eq!(refused(&mut y_inbox).await, Refusal::NotValidNow);
    assert!(matches!(refused(&mut z_inbox).await, Refusal::ByPeer(_)));
}

#[tokio::test]
async fn without_a_certificate_or_the_protocol_there_is_no_link() {
    let cluster = Cluster::new();
    let (_links, mut inbox, address) = listener(&cluster);
    let identity = cluster.identity("a");
    let mut anonymous = ClientConfig::builder_with_provider(Arc::new(provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(identity.roots.clone())
        .with_no_client_auth();
    anonymous.alpn_protocols = vec![PROTOCOL.to_vec()];
    let connector = TlsConnector::from(Arc::new(anonymous));
    let mut stream = connect(&connector, address).await.unwrap();
    assert!(welcomed(&mut stream).await.is_err());
    assert_eq!(refused(&mut inbox).await, Refusal::NoCertificate);
    for protocols in [vec![], vec![b"h2".to_vec()]] {
        let tls = Tls::new(&identity).unwrap().connector;
        let mut config = ClientConfig::clone(tls.config());
        config.alpn_protocols = protocols;
        let connector = TlsConnector::from(Arc::new(config));
        if let Ok(mut stream) = connect(&connector, address).await {
            assert!(welcomed(&mut stream).await.is_err());
        }
        assert_eq!(refused(&mut inbox).await, Refusal::OtherProtocol);
    }
}

/// A ClientHello of TLS 1.2 (RFC 5246 section 7.4.1.2): one suite, curve and signature scheme.
fn hello_of_tls_1_2() -> Vec<u8> {
    let extensions = [
        &[0, 10, 0, 4, 0, 2, 0, 23][..],
        &[0, 11, 0, 2, 1, 0],
        &[0, 13, 0, 4, 0, 2, 4, 3],
    ]
    .concat();
    let mut body = vec![3, 3];
    body.extend_from_slice(&[7; 32]);
    body.extend_from_slice(&[0, 0, 2, 0xc0, 0x2b, 1, 0, 0, extensions.len() as u8]);
    body.extend_from_slice(&extensions);
    let length = body.len() as u8;
    let mut record = vec![22, 3, 1, 0, length + 4, 1, 0, 0, length];
    record.extend_from_slice(&body);
    record
}

#[tokio::test]
async fn noise_and_old_tls_are_refused() {
    let cluster = Cluster::new();
    let (_links, mut inbox, address) = listener(&cluster);
    let mut noise = TcpStream::connect(address).await.unwrap();
    noise.write_all(b"GET / HTTP/1.1\r\n\r\n").await.unwrap();
    assert_eq!(refused(&mut inbox).await, Refusal::NotTls);
    let mut old = TcpStream::connect(address).await.unwrap();
    old.write_all(&hello_of_tls_1_2()).await.unwrap();
    assert_eq!(refused(&mut inbox).await, Refusal::NotTls13);
    let mut alert = Vec::new();
    old.read_to_end(&mut alert).await.unwrap();
    // Fatal, protocol_version (RFC 8446 section 6).
    assert_eq!(alert[..1], [21]);
    assert_eq!(alert[5..], [2, 70]);
    let gone = TcpStream::connect(address).await.unwrap();
    drop(gone);
    assert!(matches!(refused(&mut inbox).await, Refusal::Lost(_)));
}

#[tokio::test]
async fn a_crowd_of_strangers_is_bounded_in_number_and_time() {
    let cluster = Cluster::new();
    let (_links, mut inbox, address) = listener(&cluster);
    let mut silent = Vec::new();
    for _ in 0..MAX_HANDSHAKES {
        silent.push(TcpStream::connect(address).await.unwrap());
    }
    let mut late = TcpStream::connect(address).await.unwrap();
    assert_eq!(late.read(&mut [0]).await.unwrap(), 0, "closed at once");
    assert_eq!(refused(&mut inbox).await, Refusal::Busy);
    // 500 ms later the places are free again. A byte now and then does not keep one.
    for stream in &mut silent {
        stream.write_all(&[22]).await.unwrap();
    }
    assert_eq!(refused(&mut inbox).await, Refusal::Slow);
    tokio::time::sleep(Duration::from_millis(100)).await;
    let _stream = connect_as(&cluster.identity("a"), address).await.unwrap();
    let mut reports = 2;
    loop {
        match next(&mut inbox).await {
            News::Refused { why, .. } => {
                assert_eq!(why, Refusal::Slow);
                reports += 1;
            }
            News::Up { .. } => break,
            other => panic!("{other}"),
        }
    }
    assert!(reports <= 2 * crate::limits::MAX_REFUSALS, "{reports}");
}

#[tokio::test]
async fn a_frame_that_is_too_long_ends_the_link() {
    let cluster = Cluster::new();
    let (_links, mut inbox, address) = listener(&cluster);
    let mut stream = connect_as(&cluster.identity("a"), address).await.unwrap();
    up(&mut inbox, "a").await;
    let length = MAX_MESSAGE as u32 + 1;
    stream.write_all(&[0, 0, 0, 1, 9]).await.unwrap();
    stream.write_all(&length.to_be_bytes()).await.unwrap();
    stream.flush().await.unwrap();
    assert_eq!(message(&mut inbox, "a").await, [9]);
    assert_eq!(down(&mut inbox, "a").await, Down::TooLong(length));
}

#[tokio::test]
async fn a_new_connection_of_a_peer_replaces_the_old_one() {
    let cluster = Cluster::new();
    let (links, mut inbox, address) = listener(&cluster);
    let identity = cluster.identity("a");
    let mut old = connect_as(&identity, address).await.unwrap();
    up(&mut inbox, "a").await;
    let mut new = connect_as(&identity, address).await.unwrap();
    assert_eq!(down(&mut inbox, "a").await, Down::Replaced);
    links.send("a", vec![1]).expect_err("no link is known yet");
    up(&mut inbox, "a").await;
    links.send("a", vec![2]).unwrap();
    let mut frame = [0; 5];
    new.read_exact(&mut frame).await.unwrap();
    assert_eq!(frame, [0, 0, 0, 1, 2]);
    assert!(old.read_u8().await.is_err(), "the old one is closed");
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let cluster = Cluster::new();
    let address: SocketAddr = "127.0.0.1:1".parse().unwrap();
    let start = |peers: &[(&str, &[SocketAddr])]| {
        let started = Links::start(cluster.settings("b", peers));
        started.map(|_| ()).unwrap_err()
    };
    for peers in [&["b"][..], &["a", "a"], &["a/b"]] {
        let peers: Vec<_> = peers
            .iter()
            .map(|name| (*name, std::slice::from_ref(&address)))
            .collect();
        assert!(matches!(start(&peers), Error::BadPeer(_)));
    }
    assert!(matches!(start(&[("c", &[])]), Error::NoAddress(_)));
    let mut settings = cluster.settings("b", &[]);
    settings.listen = vec!["192.0.2.1:1".parse().unwrap()];
    let error = Links::start(settings).map(|_| ()).unwrap_err();
    assert!(error.to_string().contains("192.0.2.1:1"), "{error}");
    let settings = cluster.settings("b", &[]);
    let outside = std::thread::spawn(|| Links::start(settings).map(|_| ()));
    assert!(matches!(outside.join().unwrap(), Err(Error::NoRuntime)));
}
