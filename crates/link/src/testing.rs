//! What the tests of several modules share: folders that go away, clusters on loopback.

use crate::pki::{self, Identity};
use crate::{Down, Inbox, News, Peer, Refusal, Settings};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A folder below the system's temporary one, removed when dropped.
pub(crate) struct Folder(PathBuf);

impl Folder {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let number = COUNT.fetch_add(1, Ordering::Relaxed);
        let name = format!("holdfast-link-{}-{number}", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self, name: impl AsRef<Path>) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The same in every run: in September 2020.
pub(crate) fn moment_of_tests() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_600_000_000)
}

/// An authority and what it has made, now.
pub(crate) struct Cluster {
    folder: Folder,
}

impl Cluster {
    pub(crate) fn new() -> Self {
        Self {
            folder: Folder::new(),
        }
    }

    /// A new identity of this node, made at this time.
    pub(crate) fn identity_of(&self, name: &str, made: SystemTime) -> Identity {
        let ca = self.folder.path("ca");
        if !ca.exists() {
            pki::init(&ca, &[], false, SystemTime::now()).unwrap();
        }
        let file = &pki::init(&ca, &[name.to_owned()], true, made)
            .unwrap()
            .nodes[0]
            .1;
        let node = self.folder.path(name);
        pki::join(file, &node, made).unwrap();
        Identity::load(&node, name, made).unwrap()
    }

    pub(crate) fn identity(&self, name: &str) -> Identity {
        self.identity_of(name, SystemTime::now())
    }

    /// Settings on loopback, at any port, with these peers.
    pub(crate) fn settings(&self, name: &str, peers: &[(&str, &[SocketAddr])]) -> Settings {
        settings(self.identity(name), peers)
    }
}

/// Settings on loopback, at any port, with these peers.
pub(crate) fn settings(identity: Identity, peers: &[(&str, &[SocketAddr])]) -> Settings {
    let peers = peers.iter().map(|(name, addresses)| Peer {
        name: (*name).to_owned(),
        addresses: addresses.to_vec(),
    });
    Settings {
        listen: vec![SocketAddr::from(([127, 0, 0, 1], 0))],
        peers: peers.collect(),
        ..Settings::new(identity)
    }
}

/// The next news, which must come soon.
pub(crate) async fn next(inbox: &mut Inbox) -> News {
    let news = tokio::time::timeout(Duration::from_secs(10), inbox.recv());
    news.await.expect("news within ten seconds").expect("links")
}

/// Waits for a link with the peer.
pub(crate) async fn up(inbox: &mut Inbox, peer: &str) {
    let news = next(inbox).await;
    assert_eq!(news, News::Up { node: peer.into() });
}

/// Waits for the end of the link with the peer, and passes over messages.
pub(crate) async fn down(inbox: &mut Inbox, peer: &str) -> Down {
    loop {
        match next(inbox).await {
            News::Message { .. } => {}
            News::Down { node, why } if &*node == peer => return why,
            other => panic!("{other}"),
        }
    }
}

/// Waits for a message from the peer.
pub(crate) async fn message(inbox: &mut Inbox, peer: &str) -> Vec<u8> {
    match next(inbox).await {
        News::Message { node, message } if &*node == peer => message,
        other => panic!("{other}"),
    }
}

/// Waits for a connection that is refused.
pub(crate) async fn refused(inbox: &mut Inbox) -> Refusal {
    match next(inbox).await {
        News::Refused { why, .. } => why,
        other => panic!("{other}"),
    }
}
