//! What the inbound worker has to tell of its SAs: how far their windows have moved, and which of
//! them need higher ceilings.

use crate::plane::Report;
use esp::Inbound;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How often the members of a cluster hear how far inbound windows have come: what arrived since
/// is what could be replayed after a crash.
const WINDOWS: Duration = Duration::from_millis(10);
/// Windows told at a time.
const MAX_WINDOWS: usize = 4096;

/// Tells the control thread, which may be behind: what its queue has no room for stays on the
/// lists of the SAs, and is told when there is room.
pub(crate) struct Telling {
    /// When windows were told last, or something found no room.
    tried: Instant,
}

impl Telling {
    pub(crate) fn new(now: Instant) -> Self {
        Telling { tried: now }
    }

    /// How long the worker may wait for datagrams; `None`: for as long as none come.
    pub(crate) fn wait(&self, inbound: &Inbound) -> Option<Duration> {
        let waits = inbound.has_windows() || inbound.has_refills();
        waits.then(|| WINDOWS.saturating_sub(self.tried.elapsed()))
    }

    /// Tells what there is to tell.
    pub(crate) fn tell(&mut self, inbound: &mut Inbound, report: &mpsc::Sender<Report>) {
        while inbound.has_refills() {
            let Ok(room) = report.try_reserve() else {
                self.tried = Instant::now();
                break;
            };
            if let Some(refill) = inbound.poll_refill() {
                room.send(Report::RefillInbound(refill));
            }
        }
        if inbound.has_windows() && self.tried.elapsed() >= WINDOWS {
            self.tried = Instant::now();
            let Ok(room) = report.try_reserve() else {
                return;
            };
            let mut windows = Vec::new();
            inbound.poll_windows(MAX_WINDOWS, &mut windows);
            if !windows.is_empty() {
                room.send(Report::Windows(windows));
            }
        }
    }
}

#[cfg(test)]
mod tests;
