//! What the kernel tells: packets without an SA, limits, progress.

use crate::plane::kernel::pair::Way;
use crate::plane::kernel::sas::image;
use crate::plane::kernel::{KernelPlane, MAX_WAITS, number};
use crate::plane::usage::Way as Direction;
use crate::plane::{KernelEvent, Report};
use esp::Refill;
use linux::xfrm::{Acquire, Moved, SaInfo};
use policy::{Action, AddressRange, ChildId, Direction as Course, RuleName};
use wire::ip::Flow;

impl KernelPlane {
    /// Turns events into what the control thread acts on.
    pub(crate) fn hear(&mut self, events: Vec<KernelEvent>) -> Vec<Report> {
        let (mut reports, mut windows) = (Vec::new(), Vec::new());
        for event in events {
            match event {
                KernelEvent::Acquire(acquire) => reports.extend(self.acquire(acquire)),
                KernelEvent::Expire { sa, hard } => reports.extend(self.expired(&sa, hard)),
                KernelEvent::Moved(moved) => self.moved_on(&moved, &mut reports, &mut windows),
                // IKE finds out by itself where a peer is; what was lost is told again.
                KernelEvent::Mapping { .. } | KernelEvent::Lost => {}
            }
        }
        if !windows.is_empty() {
            reports.push(Report::Windows(windows));
        }
        reports
    }

    fn acquire(&mut self, acquire: Acquire) -> Option<Report> {
        let flow = flow(&acquire);
        let ours = number::is_ours(acquire.reqid);
        if ours {
            self.keep_wait(acquire);
        }
        // There is an SA, its numbers are used up, and a packet waits for more.
        let covers = |child: &&ChildId| {
            let pair = self.pairs.get(child);
            pair.is_some_and(|pair| pair.spec.selectors.contains(&flow, Course::Outbound))
        };
        if let Some(child) = self.starved.iter().find(covers).copied() {
            self.ask(child);
            return None;
        }
        // A pair of a daemon before this one may have left the policy that asks: until the new ones
        // are in force its packets wait as well, and nobody asks again for half a minute.
        let orphaned = ours && !self.slots.has_number(acquire.reqid);
        if !number::is_line(acquire.reqid) && !orphaned {
            return None;
        }
        let found = self.spd.lookup(&flow, Course::Outbound).rule()?;
        let negotiates = matches!(found.rule.action, Action::Negotiate(_));
        negotiates.then(|| Report::Acquire {
            rule: found.rule.name.clone(),
            flow,
        })
    }

    fn keep_wait(&mut self, acquire: Acquire) {
        if self.waits.len() >= MAX_WAITS {
            self.waits.pop_front();
        }
        self.waits.push_back(acquire);
    }

    fn expired(&mut self, info: &SaInfo, hard: bool) -> Option<Report> {
        let (child, way) = *self.sas.get(&info.id)?;
        let pair = self.pairs.get(&child)?;
        let first = pair.outbound.filter(|_| way == Way::Out)?;
        if !hard {
            // What was granted since is not asked for again: the node knows what it has given.
            return Some(Report::Refill(Refill {
                child,
                next: first.saturating_add(info.packets),
                waiting: false,
            }));
        }
        // It may have come back since: then this is old news.
        if self.door.sa(info.id).ok()?.is_some() {
            return None;
        }
        self.sas.remove(&info.id);
        self.took_down(child, way, Some(info.clone()));
        let up = self.bring_up(child, Way::Out);
        self.complain(up);
        None
    }

    fn moved_on(
        &mut self,
        moved: &Moved,
        reports: &mut Vec<Report>,
        windows: &mut Vec<(ChildId, esp::WindowImage)>,
    ) {
        let Some((child, way)) = self.sas.get(&moved.id).copied() else {
            return;
        };
        let Some(pair) = self.pairs.get_mut(&child) else {
            return;
        };
        let (bucket, local, source) = (pair.bucket, pair.local, pair.source(way));
        let (direction, sequence) = match way {
            Way::In => (Direction::In, moved.replay.received),
            Way::Out => (Direction::Out, moved.replay.sent),
        };
        if way == Way::In && !bucket.is_host() {
            let image = image(&moved.replay);
            pair.window = Some(image);
            windows.push((child, image));
        }
        if way == Way::Out {
            pair.next = pair.next.max(sequence.saturating_add(1));
        }
        let carried = (moved.packets, moved.bytes);
        self.book.note(child, direction, carried, sequence);
        match way {
            Way::In if self.unopened.remove(&bucket) => {
                reports.push(Report::FirstOpened(bucket));
            }
            Way::Out if self.unsealed.remove(&bucket) => {
                reports.push(Report::FirstSealed(local));
            }
            _ => {}
        }
        if self.loud.remove(&moved.id) {
            // It is gone again, or its clock runs.
            let _ = self.door.tell_by_time(moved.id, source);
        }
    }

    /// Nobody answers for what goes to these addresses: the next packet asks again.
    pub(crate) fn end_waits(&mut self, rule: &RuleName, remote: &[AddressRange]) {
        let waits = std::mem::take(&mut self.waits);
        for wait in waits {
            let flow = flow(&wait);
            let there = remote.iter().any(|range| range.contains(flow.dst));
            let found = self.spd.lookup(&flow, Course::Outbound).rule();
            let of_rule = found.is_some_and(|found| found.rule.name == *rule);
            match there && of_rule {
                true => self.end_wait(&wait),
                false => self.waits.push_back(wait),
            }
        }
    }

    /// What waited for this pair has it.
    pub(crate) fn end_waits_of(&mut self, child: ChildId) {
        let Some(pair) = self.pairs.get(&child) else {
            return;
        };
        let selectors = pair.spec.selectors.clone();
        let waits = std::mem::take(&mut self.waits);
        for wait in waits {
            match selectors.contains(&flow(&wait), Course::Outbound) {
                true => self.end_wait(&wait),
                false => self.waits.push_back(wait),
            }
        }
    }

    fn end_wait(&mut self, wait: &Acquire) {
        let ended = self.door.end_acquire(wait).map(drop);
        self.complain(ended);
    }
}

/// The packet that has found no SA.
fn flow(acquire: &Acquire) -> Flow {
    let selector = &acquire.selector;
    let (first, second) = (selector.source_ports.port, selector.destination_ports.port);
    let (src_port, dst_port) = match selector.protocol {
        // Type and code.
        1 | 58 => (first << 8 | second & 0xff, 0),
        _ => (first, second),
    };
    Flow {
        src: selector.source.address(),
        dst: selector.destination.address(),
        protocol: selector.protocol,
        src_port,
        dst_port,
    }
}
