//! The packet filter's own thread: `nft` may take longer than a heartbeat may be late.

use linux::Error;
use linux::nft::{self, Ruleset};
use std::sync::mpsc as orders;
use std::thread::JoinHandle;
use tokio::sync::mpsc;

/// What became of one ruleset.
pub(crate) type Applied = Result<(), Error>;

/// The filter rules in force, or on their way there.
pub(crate) struct Filter {
    /// `None` when it is not known what is in force.
    wanted: Option<Ruleset>,
    pending: usize,
    orders: orders::Sender<Ruleset>,
    thread: JoinHandle<()>,
}

impl Filter {
    /// Puts the first rules into force before it returns; later ones follow in a thread, which
    /// tells what became of each.
    ///
    /// # Errors
    /// When the first rules cannot be applied.
    pub(crate) fn begin(first: Ruleset) -> Result<(Self, mpsc::UnboundedReceiver<Applied>), Error> {
        nft::apply(&first)?;
        let (orders, queue) = orders::channel::<Ruleset>();
        let (told, applied) = mpsc::unbounded_channel();
        let work = move || {
            for ruleset in queue {
                if told.send(nft::apply(&ruleset)).is_err() {
                    return;
                }
            }
        };
        let thread = std::thread::Builder::new()
            .name("hf-filter".to_owned())
            .spawn(work)
            .map_err(|why| Error::other("start the packet filter's thread", why.to_string()))?;
        Ok((
            Self {
                wanted: Some(first),
                pending: 0,
                orders,
                thread,
            },
            applied,
        ))
    }

    /// Has other rules put into force; the same ones cost nothing, so that an address that comes
    /// or goes does not wait for `nft`.
    pub(crate) fn want(&mut self, ruleset: Ruleset) {
        if self.wanted.as_ref() != Some(&ruleset) && self.orders.send(ruleset.clone()).is_ok() {
            self.wanted = Some(ruleset);
            self.pending += 1;
        }
    }

    /// Takes note of what became of one. After a failure the same rules are tried again when they
    /// are wanted again.
    pub(crate) fn applied(&mut self, outcome: &Applied) {
        self.pending = self.pending.saturating_sub(1);
        if outcome.is_err() {
            self.wanted = None;
        }
    }

    /// Whether all that was wanted is in force, or has failed.
    pub(crate) fn settled(&self) -> bool {
        self.pending == 0
    }

    /// Waits until the last order is carried out, then ends the thread.
    pub(crate) fn end(self) {
        drop(self.orders);
        let _ = self.thread.join();
    }
}
