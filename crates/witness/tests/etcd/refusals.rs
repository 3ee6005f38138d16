//! What is wrong with settings, certificates and permissions, in sentences.

use crate::cluster::Cluster;
use crate::reader::Reader;
use crate::{authority, proxy};
use std::time::Duration;
use witness::{NotDone, Settings, Tls, Witness};

async fn sentence(settings: Settings) -> String {
    Reader::start(settings).trouble().await
}

#[tokio::test]
async fn a_wrong_certificate_or_scheme_is_named() {
    let cluster = cluster!(1, true);
    let settings = cluster.settings();
    Reader::reachable(settings.clone()).await;
    let port = cluster.client_port(0);
    let other = cluster.folder().join("other");
    std::fs::create_dir(&other).unwrap();
    let other = authority::write(&other);
    let good = settings.tls.clone().unwrap();

    let with = |tls: Tls| Settings {
        tls: Some(tls),
        ..settings.clone()
    };
    let ca = other.ca.clone();
    let why = sentence(with(Tls { ca, ..good.clone() })).await;
    assert!(why.contains("CA file does not vouch"), "{why}");
    assert!(why.contains(&format!("https://127.0.0.1:{port}")), "{why}");

    let ca = good.ca.clone();
    let why = sentence(with(Tls { ca, ..other })).await;
    assert!(why.contains("does not accept our certificate"), "{why}");

    let clear = Settings {
        tls: None,
        endpoints: vec![format!("http://127.0.0.1:{port}")],
        ..settings.clone()
    };
    let why = sentence(clear).await;
    assert!(why.contains("https") || why.contains("TLS"), "{why}");

    let peer = cluster.peer_port(0);
    let wrong = Settings {
        endpoints: vec![format!("https://127.0.0.1:{peer}")],
        ..settings.clone()
    };
    let why = sentence(wrong).await;
    assert!(why.contains("does not speak TLS at this port"), "{why}");

    let closed = Settings {
        endpoints: vec!["https://127.0.0.1:1".to_owned()],
        ..settings
    };
    let why = sentence(closed).await;
    assert!(why.contains("is etcd running"), "{why}");
}

#[tokio::test]
async fn another_cluster_is_not_believed() {
    let cluster = cluster!(1, false);
    let other = cluster!(1, false);
    let mut settings = cluster.settings();
    let mut one = Reader::reachable(settings.clone()).await;
    one.propose("g", 0, "one").await.unwrap();
    // The wire to the other is silent until the first has answered.
    let late = proxy::Proxy::start(other.client_port(0)).await;
    late.silence(true);
    let first = proxy::Proxy::start(cluster.client_port(0)).await;
    settings.endpoints = [first.port, late.port]
        .map(|port| format!("http://127.0.0.1:{port}"))
        .into();
    let mut both = Reader::reachable(settings).await;
    late.silence(false);
    tokio::time::sleep(Duration::from_secs(3)).await;
    first.silence(true);
    let why = both.trouble().await;
    assert!(why.contains("belongs to another etcd cluster"), "{why}");
    let failed = both.propose("g", 0, "two").await;
    assert!(
        matches!(failed, Err(NotDone::Unknown(_) | NotDone::Unavailable(_))),
        "{failed:?}"
    );
}

/// Accounts: `root`, and `holdfast`, who may read and write keys below `holdfast/`.
async fn accounts(cluster: &Cluster) {
    cluster.leader().await;
    // "holdfast/" to "holdfast0"
    let grant = r#"{"name":"ours","perm":{"permType":"READWRITE",
        "key":"aG9sZGZhc3Qv","range_end":"aG9sZGZhc3Qw"}}"#;
    for (path, body) in [
        ("auth/user/add", r#"{"name":"root","password":"x"}"#),
        ("auth/user/grant", r#"{"user":"root","role":"root"}"#),
        ("auth/user/add", r#"{"name":"holdfast","password":"x"}"#),
        ("auth/role/add", r#"{"name":"ours"}"#),
        ("auth/role/grant", grant),
        ("auth/user/grant", r#"{"user":"holdfast","role":"ours"}"#),
        ("auth/enable", "{}"),
    ] {
        let answer = cluster.gateway(0, path, body).await;
        answer.unwrap_or_else(|| panic!("{path} was refused"));
    }
}

#[tokio::test]
async fn etcds_permissions_go_by_the_name_in_our_certificate() {
    let mut cluster = cluster!(1, false);
    accounts(&cluster).await;
    let why = sentence(cluster.settings()).await;
    assert!(why.contains("certificate whose common name"), "{why}");

    // The same data, now with certificates.
    cluster.kill(0);
    let folder = cluster.folder().to_owned();
    cluster.tls = Some(authority::write(&folder));
    cluster.bring(0);
    let mut one = Reader::reachable(cluster.settings()).await;
    one.propose("g", 0, "one").await.unwrap();
    let mut foreign = cluster.settings();
    foreign.prefix = "somebody/".to_owned();
    let mut other = Reader::start(foreign);
    let why = other.trouble().await;
    assert!(
        why.contains("permission denied") && why.contains("grant"),
        "{why}"
    );
    let failed = other.propose("g", 0, "one").await;
    assert!(matches!(failed, Err(NotDone::Unavailable(_))), "{failed:?}");
}

#[tokio::test]
async fn settings_are_checked_at_the_start() {
    let good = Settings {
        endpoints: vec!["http://127.0.0.1:1".to_owned()],
        tls: None,
        prefix: "p/".to_owned(),
        request_timeout: Duration::from_secs(1),
        mark: None,
    };
    let error = |settings| match Witness::start(settings) {
        Ok(_) => panic!("it started"),
        Err(error) => error.to_string(),
    };
    let endpoints = vec![];
    assert!(
        error(Settings {
            endpoints,
            ..good.clone()
        })
        .starts_with("0 endpoints")
    );
    let endpoints = vec!["https://127.0.0.1:1".to_owned()];
    assert!(
        error(Settings {
            endpoints,
            ..good.clone()
        })
        .contains("add ca")
    );
    let prefix = String::new();
    assert!(
        error(Settings {
            prefix,
            ..good.clone()
        })
        .contains("prefix")
    );
    let request_timeout = Duration::ZERO;
    assert!(
        error(Settings {
            request_timeout,
            ..good.clone()
        })
        .contains("timeout")
    );
    let absent = std::path::PathBuf::from("/does/not/exist.pem");
    let tls = Some(Tls {
        ca: absent.clone(),
        certificate: absent.clone(),
        key: absent,
    });
    assert!(
        error(Settings {
            tls,
            ..good.clone()
        })
        .contains("/does/not/exist.pem")
    );

    let (witness, news) = Witness::start(good).unwrap();
    assert_eq!(
        witness.propose("", 0, vec![], 0),
        Err(witness::Refused::Key)
    );
    let long = vec![0; witness::limits::VALUE_MAX + 1];
    assert_eq!(
        witness.propose("k", 0, long, 0),
        Err(witness::Refused::Value)
    );
    for tag in 0..witness::limits::PROPOSALS_MAX as u64 {
        witness.propose("k", 0, vec![], tag).unwrap();
    }
    assert_eq!(
        witness.propose("k", 0, vec![], 0),
        Err(witness::Refused::Full)
    );
    drop(news);
}
