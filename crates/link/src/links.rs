//! All links of a node: started together, ended together.

use crate::accept::{Expected, accept, take};
use crate::context::{Context, Member, Places, Refusals};
use crate::dial::dial;
use crate::error::{Error, NotSent};
use crate::inbox::{Inbox, Streams};
use crate::limits::MAX_NEWS;
use crate::outbox::Rejected;
use crate::pki::server_name;
use crate::settings::{Peer, Settings};
use crate::socket::Options;
use crate::tls::Tls;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;
use tokio::sync::{Notify, mpsc};
use tokio::task::JoinSet;
use zeroize::Zeroizing;

/// The links of a node to its peers. Dropping it ends them and all their tasks as soon as the
/// runtime gets its turn; all sockets are closed when the [`Inbox`] gives `None`.
pub struct Links {
    streams: Arc<Streams>,
    listening: Vec<SocketAddr>,
    /// The peers to which this node connects, and how they are told to begin anew.
    dialled: BTreeMap<Arc<str>, Arc<Notify>>,
    // Dropped with this, and then every task ends.
    _tasks: JoinSet<()>,
}

fn member(name: &str, addresses: &[SocketAddr]) -> Result<Member, Error> {
    let certified = server_name(name).map_err(|_| Error::BadPeer(name.to_owned()))?;
    Ok(Member {
        name: name.into(),
        certified,
        addresses: addresses.to_vec(),
    })
}

/// Refuses peers that cannot be told apart or cannot be reached.
fn check(own: &str, peers: &[Peer]) -> Result<(), Error> {
    let mut names = BTreeSet::from([own]);
    for peer in peers {
        if !names.insert(&peer.name) {
            return Err(Error::BadPeer(peer.name.clone()));
        }
        if own < peer.name.as_str() && peer.addresses.is_empty() {
            return Err(Error::NoAddress(peer.name.clone()));
        }
    }
    Ok(())
}

impl Links {
    /// Starts the links on the caller's runtime: listens, and connects to every peer with a
    /// higher name.
    ///
    /// # Errors
    /// When an address cannot be listened on, the mark is not allowed, a peer is wrong, or there
    /// is no runtime. A peer that cannot be reached is no error.
    pub fn start(settings: Settings) -> Result<(Self, Inbox), Error> {
        tokio::runtime::Handle::try_current().map_err(|_| Error::NoRuntime)?;
        let own = member(settings.identity.name(), &[])?;
        check(&own.name, &settings.peers)?;
        let options = Options::new(settings.mark, &settings.timing)?;
        let (news, items) = mpsc::channel(MAX_NEWS);
        let addresses = settings.peers.iter().flat_map(|peer| &peer.addresses);
        let context = Arc::new(Context {
            own,
            tls: Tls::new(&settings.identity)?,
            options,
            timing: settings.timing,
            queue: settings.queue,
            news,
            refusals: Refusals::new(Instant::now()),
            places: Places::new(addresses.map(SocketAddr::ip).collect()),
        });
        let mut listeners = Vec::with_capacity(settings.listen.len());
        for address in settings.listen {
            let listener = options
                .listen(address)
                .map_err(|source| Error::Listen { address, source })?;
            listeners.push(listener);
        }
        let listening = listeners.iter().flat_map(|listener| listener.local_addr());
        let listening = listening.collect();
        let mut tasks = JoinSet::new();
        let mut expected = Vec::with_capacity(settings.peers.len());
        let mut names = Vec::with_capacity(settings.peers.len());
        let mut dialled = BTreeMap::new();
        for peer in &settings.peers {
            let member = member(&peer.name, &peer.addresses)?;
            names.push(member.name.clone());
            expected.push(spawn(&mut tasks, &context, member, &mut dialled));
        }
        let expected = Arc::new(expected);
        for listener in listeners {
            tasks.spawn(accept(context.clone(), listener, expected.clone()));
        }
        let streams = Arc::new(Streams::new(names.into_iter()));
        let links = Self {
            streams: streams.clone(),
            listening,
            dialled,
            _tasks: tasks,
        };
        Ok((links, Inbox { items, streams }))
    }

    /// Queues a message for the stream whose `Up` was taken from the [`Inbox`] last. It never
    /// waits, and the message is wiped when it has been sent or cannot be.
    ///
    /// # Errors
    /// [`NotSent`]. `Ok` does not say that the message arrives: it does, or a `Down` follows.
    pub fn send(&self, to: &str, message: Vec<u8>) -> Result<(), NotSent> {
        let message = Zeroizing::new(message);
        let stream = self.streams.get(to).ok_or(NotSent::Unknown)?;
        let stream = stream.ok_or(NotSent::Down)?;
        stream.push(message).map_err(|why| match why {
            Rejected::Closed => NotSent::Down,
            Rejected::Overflow => NotSent::Overflow,
            Rejected::TooLong => NotSent::TooLong,
        })
    }

    /// Makes the link to a peer anew, at once: for who learns from elsewhere that a peer that had
    /// fallen silent is heard again. TCP would only find out when it sends again, and its pauses
    /// have grown meanwhile. Does nothing at the side that is connected to.
    pub fn renew(&self, to: &str) {
        if let Some(renew) = self.dialled.get(to) {
            renew.notify_one();
        }
    }

    /// Bytes that wait for the peer, for senders that can pace themselves; `None` without a
    /// link.
    #[must_use]
    pub fn waiting(&self, to: &str) -> Option<usize> {
        Some(self.streams.get(to)??.bytes())
    }

    /// The addresses that are listened on, with their ports.
    #[must_use]
    pub fn listening(&self) -> &[SocketAddr] {
        &self.listening
    }
}

/// Starts the task of one peer: this node connects to it, or waits for it.
fn spawn(
    tasks: &mut JoinSet<()>,
    context: &Arc<Context>,
    peer: Member,
    dialled: &mut BTreeMap<Arc<str>, Arc<Notify>>,
) -> Expected {
    let recognised = Member {
        name: peer.name.clone(),
        certified: peer.certified.clone(),
        addresses: Vec::new(),
    };
    let connections = if context.own.name < peer.name {
        let renew = Arc::new(Notify::new());
        dialled.insert(peer.name.clone(), renew.clone());
        tasks.spawn(dial(context.clone(), peer, renew));
        None
    } else {
        // One that waits is enough: it replaces the one that is served.
        let (sender, receiver) = mpsc::channel(1);
        tasks.spawn(take(context.clone(), peer.name, receiver));
        Some(sender)
    };
    Expected {
        member: recognised,
        connections,
    }
}
