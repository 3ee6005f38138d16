//! The news of all links in one queue, and with it which stream a message belongs to.

use crate::frame::Message;
use crate::news::{Down, News};
use crate::outbox::Outbox;
use crate::refusal::Refusal;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;

/// News on their way to the owner.
pub(crate) enum Item {
    Up(Arc<str>, Arc<Outbox>),
    Down(Arc<str>, Down),
    Message(Arc<str>, Message),
    Refused(SocketAddr, Refusal),
}

/// Each peer, and the stream that is open to it as far as the owner knows.
pub(crate) struct Streams(Mutex<BTreeMap<Arc<str>, Option<Arc<Outbox>>>>);

impl Streams {
    /// No stream yet.
    pub(crate) fn new(peers: impl Iterator<Item = Arc<str>>) -> Self {
        Self(Mutex::new(peers.map(|peer| (peer, None)).collect()))
    }

    fn set(&self, peer: &Arc<str>, outbox: Option<Arc<Outbox>>) {
        let mut streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.insert(peer.clone(), outbox);
    }

    /// The open stream to the peer, `None` in it while there is none; `None` for a node that is
    /// no peer.
    pub(crate) fn get(&self, peer: &str) -> Option<Option<Arc<Outbox>>> {
        let streams = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        streams.get(peer).cloned()
    }
}

/// Gives the news of all links, in order.
///
/// A stream opens for [`Links::send`](crate::Links::send) when its `Up` is taken from here, and
/// closes when its `Down` is: a message that was meant for one stream cannot get into the next.
pub struct Inbox {
    pub(crate) items: mpsc::Receiver<Item>,
    pub(crate) streams: Arc<Streams>,
}

impl Inbox {
    /// Waits for the next news; `None` when the links have ended. Nothing is lost when this is
    /// dropped while it waits.
    pub async fn recv(&mut self) -> Option<News> {
        let item = self.items.recv().await?;
        Some(self.take(item))
    }

    /// The next news if there are any.
    pub fn try_recv(&mut self) -> Option<News> {
        let item = self.items.try_recv().ok()?;
        Some(self.take(item))
    }

    fn take(&self, item: Item) -> News {
        match item {
            Item::Up(node, outbox) => {
                self.streams.set(&node, Some(outbox));
                News::Up { node }
            }
            Item::Down(node, why) => {
                self.streams.set(&node, None);
                News::Down { node, why }
            }
            Item::Message(node, mut message) => News::Message {
                node,
                message: std::mem::take(&mut *message),
            },
            Item::Refused(from, why) => News::Refused { from, why },
        }
    }
}
