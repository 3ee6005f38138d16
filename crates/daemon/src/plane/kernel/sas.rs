//! Bringing SAs into the kernel and taking them out of it, with their policies and numbers.

use crate::plane::kernel::KernelPlane;
use crate::plane::kernel::pair::Way;
use crate::plane::usage::Way as Direction;
use crate::plane::{Closed, Report};
use esp::{Refill, WindowImage};
use linux::Error;
use linux::xfrm::{Direction as PolicyDirection, Offload, Replay, Sa, SaInfo, Xfrm, is_refused};
use policy::{Bucket, ChildId};
use std::net::IpAddr;

/// Numbers that are left out where the kernel does not say which was the last.
const LEAP: u64 = 1 << 24;

impl KernelPlane {
    pub(crate) fn pairs_of(&self, bucket: Bucket) -> Vec<ChildId> {
        let ours = self.pairs.values().filter(|pair| pair.bucket == bucket);
        ours.map(|pair| pair.child()).collect()
    }

    /// The directions of a pair that are in the kernel.
    pub(crate) fn ways_of(&self, child: ChildId) -> Vec<Way> {
        let Some(pair) = self.pairs.get(&child) else {
            return Vec::new();
        };
        let inbound = pair.inbound.then_some(Way::In);
        let outbound = pair.outbound.map(|_| Way::Out);
        inbound.into_iter().chain(outbound).collect()
    }

    /// What could not be done to an SA is told where everything else is.
    pub(crate) fn complain(&mut self, outcome: Result<(), Error>) {
        if let Err(error) = outcome {
            let _ = self.report.try_send(Report::Trouble(error.to_string()));
        }
    }

    /// Lets the outbound SA carry traffic: the peer is ready for it.
    pub(crate) fn start_sending(&mut self, child: ChildId) -> Result<(), Error> {
        if let Some(pair) = self.pairs.get_mut(&child) {
            pair.active = true;
        }
        self.bring_up(child, Way::Out)
    }

    /// Puts an SA into the kernel, where this host may use it now.
    pub(crate) fn bring_up(&mut self, child: ChildId, way: Way) -> Result<(), Error> {
        let Some(pair) = self.pairs.get_mut(&child) else {
            return Ok(());
        };
        let Some(epoch) = self.open.get(&pair.bucket) else {
            return Ok(());
        };
        let Some(slot) = self.slots.get(pair.slot) else {
            return Ok(());
        };
        match way {
            Way::In if pair.inbound => return Ok(()),
            Way::In => {
                let sa = pair.inbound_sa(slot.inbound_reqid);
                add(&mut self.door, sa, self.offload, way)?;
                pair.inbound = true;
            }
            Way::Out if pair.outbound.is_some() || !pair.active => return Ok(()),
            Way::Out => {
                pair.enter(*epoch);
                if !pair.has_numbers() {
                    return self.starve(child);
                }
                let first = pair.next;
                let sa = pair.outbound_sa(slot.outbound_reqid, first, self.mark);
                add(&mut self.door, sa, self.offload, way)?;
                pair.outbound = Some(first);
                self.starved.remove(&child);
            }
        }
        let (id, slot) = (pair.id(way), pair.slot);
        self.sas.insert(id, (child, way));
        self.loud.insert(id);
        let (spd, claims) = (&self.spd, &mut self.claims);
        self.slots
            .set(slot, child, policies(way), true, spd, claims);
        if way == Way::Out {
            self.end_waits_of(child);
        }
        Ok(())
    }

    /// Takes SAs out of the kernel, and notes how far they had come.
    pub(crate) fn take_down(&mut self, children: &[ChildId], ways: &[Way]) {
        let mut names = Vec::new();
        for (child, way) in children
            .iter()
            .flat_map(|child| ways.iter().map(|way| (*child, *way)))
        {
            let Some(pair) = self.pairs.get(&child) else {
                continue;
            };
            let there = match way {
                Way::In => pair.inbound,
                Way::Out => pair.outbound.is_some(),
            };
            if there {
                names.push((pair.id(way), pair.source(way)));
            }
        }
        // Even where the kernel does not answer they count as gone: then from their ceilings on.
        let ended = self.door.end_sas(&names);
        let ended = match ended {
            Ok(ended) => ended,
            Err(error) => {
                self.complain(Err(error));
                vec![None; names.len()]
            }
        };
        for ((id, _), info) in names.iter().zip(ended) {
            if let Some((child, way)) = self.sas.remove(id) {
                self.took_down(child, way, info);
            }
        }
    }

    /// An SA is not in the kernel any more.
    pub(crate) fn took_down(&mut self, child: ChildId, way: Way, last: Option<SaInfo>) {
        let Some(pair) = self.pairs.get_mut(&child) else {
            return;
        };
        let replay = last.as_ref().and_then(|info| info.replay.as_ref());
        let direction = match way {
            Way::In => {
                pair.inbound = false;
                if let Some(replay) = replay.filter(|replay| replay.received > 0) {
                    pair.window = Some(image(replay));
                }
                Direction::In
            }
            Way::Out => {
                pair.outbound = None;
                pair.next = match replay {
                    Some(replay) => pair.next.max(replay.sent.saturating_add(1)),
                    // More than can have been sent since it was told last.
                    None if pair.bucket.is_host() => pair.next.saturating_add(LEAP),
                    None => pair.next.max(pair.ceiling),
                };
                Direction::Out
            }
        };
        if let Some(info) = &last {
            let sequence = info.replay.as_ref().map_or(0, |replay| match way {
                Way::In => replay.received,
                Way::Out => replay.sent,
            });
            let carried = (info.packets, info.bytes);
            self.book.note(child, direction, carried, sequence);
        }
        self.book.turn_page(child, direction);
        let (spd, claims) = (&self.spd, &mut self.claims);
        self.slots
            .set(pair.slot, child, policies(way), false, spd, claims);
    }

    /// More numbers, or how far the owner of a pair may go.
    pub(crate) fn take_grant(
        &mut self,
        child: ChildId,
        ceiling: u64,
        refill_at: u64,
    ) -> Result<(), Error> {
        let Some(pair) = self.pairs.get_mut(&child) else {
            return Ok(());
        };
        if pair.bucket.is_host() {
            return Ok(());
        }
        let Some(epoch) = self.open.get(&pair.bucket) else {
            pair.follow(ceiling);
            return Ok(());
        };
        pair.enter(*epoch);
        let before = pair.ceiling;
        pair.ceiling = before.max(ceiling);
        pair.refill_at = refill_at;
        let (Some(first), Some(slot)) = (pair.outbound, self.slots.get(pair.slot)) else {
            return self.bring_up(child, Way::Out);
        };
        let sa = pair.outbound_sa(slot.outbound_reqid, first, self.mark);
        match self.door.update_sa(&sa) {
            // It came to its limit in this moment, and is gone: all below that may be used.
            Err(error) if error.os_error().is_some() => {
                pair.next = pair.next.max(before);
                self.sas.remove(&pair.id(Way::Out));
                pair.outbound = None;
                self.book.turn_page(child, Direction::Out);
                let id = sa_name(pair);
                self.door.delete_sa(id.0, id.1, None)?;
                self.bring_up(child, Way::Out)
            }
            updated => updated,
        }
    }

    /// The outbound SA of a pair has no number left.
    pub(crate) fn starve(&mut self, child: ChildId) -> Result<(), Error> {
        self.starved.insert(child);
        self.ask(child);
        Ok(())
    }

    pub(crate) fn ask(&mut self, child: ChildId) {
        let Some(pair) = self.pairs.get(&child) else {
            return;
        };
        let refill = Refill {
            child,
            next: pair.next,
            waiting: true,
        };
        // What finds no room is asked for again.
        let _ = self.report.try_send(Report::Refill(refill));
    }

    /// From time to time: who has no numbers asks again.
    pub(crate) fn ask_again(&mut self) {
        for child in self.starved.clone() {
            let open = self.pairs.get(&child).map(|pair| pair.bucket);
            match open.is_some_and(|bucket| self.open.contains_key(&bucket)) {
                true => self.ask(child),
                false => {
                    self.starved.remove(&child);
                }
            }
        }
    }

    /// Where the pairs of a bucket have stopped.
    pub(crate) fn closed(&self, bucket: Bucket) -> Closed {
        let ours = || self.pairs.values().filter(|pair| pair.bucket == bucket);
        let next = ours().filter(|pair| pair.next > 1);
        let windows = ours().filter_map(|pair| Some((pair.child(), pair.window?)));
        Closed {
            bucket,
            next: next.map(|pair| (pair.child(), pair.next)).collect(),
            windows: windows.collect(),
        }
    }
}

/// Installs an SA: in the device that its packets use, where `offload` says so and the device can.
fn add(door: &mut Xfrm, mut sa: Sa<'_>, offload: bool, way: Way) -> Result<(), Error> {
    if offload {
        sa.offload = Some(Offload {
            interface: None,
            inbound: way == Way::In,
        });
        match door.add_sa(&sa) {
            Err(error) if is_refused(&error) => sa.offload = None,
            added => return added,
        }
    }
    door.add_sa(&sa)
}

fn sa_name(pair: &crate::plane::kernel::pair::Pair) -> (linux::xfrm::SaId, IpAddr) {
    (pair.id(Way::Out), pair.source(Way::Out))
}

/// The policies of an SA's direction.
fn policies(way: Way) -> PolicyDirection {
    match way {
        Way::In => PolicyDirection::In,
        Way::Out => PolicyDirection::Out,
    }
}

/// A window as the other members know it.
pub(crate) fn image(replay: &Replay) -> WindowImage {
    WindowImage::of(replay.received, |number| replay.has_seen(number))
}
