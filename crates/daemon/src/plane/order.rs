//! Orders of the control thread to the workers: a channel, and a wake-up.

use crate::plane::stream::{Ends, Stream};
use esp::{OutboundSa, WindowImage};
use linux::Error;
use linux::poll::EventFd;
use policy::{AddressRange, Bucket, ChildId, Encapsulation, RuleName, SaSpec, Spd};
use std::cell::Cell;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, TryRecvError, channel as queue};
use std::time::Duration;
use wire::ip::icmp::TooBig;

/// For the outbound worker.
///
/// Orders are small, and an SA is made by its worker: a standby that is filled gets very many pairs
/// at once, and its workers may be behind.
pub(crate) enum OutboundOrder {
    Install {
        spec: Arc<SaSpec>,
        bucket: Bucket,
        age: Duration,
    },
    /// An SA that has waited, as it has become meanwhile.
    Activate(Box<OutboundSa>),
    Remove(ChildId),
    Redirect {
        child: ChildId,
        between: (IpAddr, IpAddr),
        encapsulation: Encapsulation,
    },
    Grant {
        child: ChildId,
        ceiling: u64,
        refill_at: u64,
    },
    Exact {
        child: ChildId,
        next: u64,
    },
    OpenGate {
        bucket: Bucket,
        epoch: u16,
    },
    /// With `tell` the worker says where the bucket's SAs have stopped.
    CloseGate {
        bucket: Bucket,
        tell: bool,
    },
    Skip {
        child: ChildId,
        delta: u64,
    },
    Policy(Arc<Spd>),
    /// A router says that our packets are too big.
    TooBig(TooBig),
    /// What the link to a peer takes.
    PathMtu {
        remote: IpAddr,
        mtu: u32,
    },
    Failed {
        rule: RuleName,
        remote: Vec<AddressRange>,
        clear: Duration,
    },
    Stream(StreamOrder),
    Stop,
}

/// For the outbound worker, about a TCP connection.
pub(crate) enum StreamOrder {
    /// One to write to.
    Connect(Arc<Stream>),
    Disconnect {
        ends: Ends,
        number: u64,
    },
    /// An IKE message for one.
    Ike {
        ends: Ends,
        message: Vec<u8>,
    },
}

/// For the inbound worker.
pub(crate) enum InboundOrder {
    Install {
        spec: Arc<SaSpec>,
        bucket: Bucket,
        strict: bool,
    },
    Remove(ChildId),
    Grant {
        child: ChildId,
        ceiling: u64,
        refill_at: u64,
    },
    /// The owner of a strict SA has told its window to the number.
    Exact(ChildId),
    Restore {
        child: ChildId,
        image: Box<WindowImage>,
    },
    OpenGate {
        bucket: Bucket,
        epoch: u16,
    },
    CloseGate(Bucket),
    /// What comes for the bucket is passed on, and the worker tells of its windows.
    HandOver(Bucket),
    /// A datagram that came to another member.
    Inject {
        source: IpAddr,
        destination: IpAddr,
        bytes: Vec<u8>,
    },
    /// A TCP connection to read from.
    Connect(Arc<Stream>),
    Disconnect(u64),
    Stop,
}

/// The giving end.
pub(crate) struct Orders<T> {
    queue: Sender<T>,
    wake: Arc<EventFd>,
    /// Whether something was left that the worker may not know of.
    left: Cell<bool>,
}

impl<T> Orders<T> {
    /// Gives an order. A worker that has ended has reported why; its orders come to nothing.
    pub(crate) fn give(&self, order: T) {
        if self.queue.send(order).is_ok() {
            self.left.set(false);
            let _ = self.wake.notify();
        }
    }

    /// Leaves an order where the worker finds it before it looks at anything that it reads from
    /// now on. Of many that are left the worker is told once, by [`rouse`](Self::rouse).
    pub(crate) fn leave(&self, order: T) {
        self.left.set(self.queue.send(order).is_ok());
    }

    /// Wakes the worker for what was left.
    pub(crate) fn rouse(&self) {
        if self.left.take() {
            let _ = self.wake.notify();
        }
    }
}

/// The taking end.
pub(crate) struct Queue<T> {
    queue: Receiver<T>,
    pub(crate) wake: Arc<EventFd>,
}

impl<T> Queue<T> {
    /// The next order; `Err` when the control thread is gone.
    pub(crate) fn next(&self) -> Result<Option<T>, ()> {
        match self.queue.try_recv() {
            Ok(order) => Ok(Some(order)),
            Err(TryRecvError::Empty) => Ok(None),
            Err(TryRecvError::Disconnected) => Err(()),
        }
    }
}

/// Both ends.
///
/// # Errors
/// When the kernel has no more descriptors.
pub(crate) fn channel<T>() -> Result<(Orders<T>, Queue<T>), Error> {
    let wake = EventFd::new()
        .map_err(|why| Error::other("make a wake-up for a worker", why.to_string()))?;
    let wake = Arc::new(wake);
    let (sender, receiver) = queue();
    let orders = Orders {
        queue: sender,
        wake: Arc::clone(&wake),
        left: Cell::new(false),
    };
    Ok((
        orders,
        Queue {
            queue: receiver,
            wake,
        },
    ))
}
