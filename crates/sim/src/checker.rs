//! What must hold whatever the network does; every breach is kept with its moment.

mod clear;
mod delivery;
mod messages;
mod owner;
mod pairs;
mod secrets;
mod unique;

use std::fmt;
use std::time::Duration;

use crate::frame::{Content, Frame, HostId};
use crate::settings::Settings;

use clear::Clear;
use messages::Messages;
use owner::Owner;
use secrets::Secrets;
use unique::Unique;

pub use delivery::{Delivery, Outage};
pub use owner::Holders;
pub use pairs::{Ends, disagreements, incomplete};

/// Breaches that are kept; one is enough to fail.
const KEPT: usize = 20;

/// Who found a breach.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Checker {
    /// No packet of a protected selector is on the wire in clear, or is accepted in clear.
    Clear,
    /// No sequence number and no IV is used twice under a key.
    Unique,
    /// No IKE message ID is used again with another content.
    Messages,
    /// What is delivered was sent, and is delivered once.
    Delivery,
    /// After quiet both ends hold the same pairs.
    Pairs,
    /// No key is on the network outside a link.
    Secrets,
    /// A healthy network has one owner per group.
    Owner,
    /// Tables and queues stay under their limits.
    Bounds,
    /// After the faults are mended traffic flows.
    Progress,
    /// Nobody breaks the contract between node and driver.
    Contract,
}

impl fmt::Display for Checker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Checker::Clear => "clear text",
            Checker::Unique => "unique numbers",
            Checker::Messages => "message IDs",
            Checker::Delivery => "delivery",
            Checker::Pairs => "same pairs",
            Checker::Secrets => "secrets",
            Checker::Owner => "one owner",
            Checker::Bounds => "bounds",
            Checker::Progress => "progress",
            Checker::Contract => "contract",
        })
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// When, since the world began.
    pub at: Duration,
    /// Who found it.
    pub checker: Checker,
    /// What it was, as a sentence.
    pub what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:.6} s, {}: {}",
            self.at.as_secs_f64(),
            self.checker,
            self.what
        )
    }
}

/// All checkers of a world.
pub struct Checkers {
    clear: Clear,
    unique: Unique,
    messages: Messages,
    delivery: Delivery,
    owner: Owner,
    secrets: Secrets,
    violations: Vec<Violation>,
}

impl Checkers {
    /// Checkers that have seen nothing.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        let addresses = settings.addresses();
        Checkers {
            clear: Clear::new(addresses),
            unique: Unique::default(),
            messages: Messages::default(),
            delivery: Delivery::new(settings),
            owner: Owner::new(settings.groups, settings.settle, settings.linger()),
            secrets: Secrets::default(),
            violations: Vec::new(),
        }
    }

    /// A host puts a datagram on the wire.
    pub fn sent(&mut self, at: Duration, host: HostId, frame: &Frame) {
        let found = self.secrets.on_wire(frame.bytes());
        self.note(at, Checker::Secrets, found);
        match &frame.content {
            Content::Clear(packet) => {
                let found = self.clear.on_wire(packet);
                self.note(at, Checker::Clear, found);
            }
            Content::Esp { key, bytes, .. } => {
                let found = self.unique.on_wire(host, *key, bytes);
                self.note(at, Checker::Unique, found);
            }
            Content::Ike { bytes, .. } => {
                let found = self.messages.on_wire(frame.src, bytes);
                self.note(at, Checker::Messages, found);
            }
            Content::Heartbeat { .. } => {}
        }
    }

    /// An application gives its host a packet.
    pub fn offered(&mut self, at: Duration, packet: &[u8]) {
        self.delivery.offered(at, packet);
    }

    /// An application gets a packet, which came in clear or did not.
    pub fn delivered(&mut self, at: Duration, host: HostId, packet: &[u8], clear: bool) {
        if clear {
            let found = self.clear.accepted(packet);
            self.note(
                at,
                Checker::Clear,
                found.map(|what| format!("host {host}: {what}")),
            );
        }
        let found = self.delivery.delivered(at, host, packet);
        self.note(
            at,
            Checker::Delivery,
            found.map(|what| format!("host {host}: {what}")),
        );
    }

    /// A host holds a key that begins with these octets.
    pub fn key(&mut self, marker: u64) {
        self.secrets.key(marker);
    }

    /// A member has heard from another, over their link, how far its inbound windows had moved at
    /// that moment.
    pub fn told(&mut self, from: HostId, to: HostId, reported: Duration) {
        self.delivery.told(from, to, reported);
    }

    /// A host may use the SAs of a group from now on.
    pub fn opened(&mut self, at: Duration, host: HostId, group: usize) {
        self.delivery.opened(at, host, group);
    }

    /// Who has the groups now, and since when nothing has disturbed the cluster.
    pub fn owners(&mut self, at: Duration, quiet_since: Duration, holders: &[Holders]) {
        let found = self.owner.look(at, quiet_since, holders);
        self.note(at, Checker::Owner, found);
    }

    /// Somebody else found something.
    pub fn note(&mut self, at: Duration, checker: Checker, what: Option<String>) {
        if let Some(what) = what.filter(|_| self.violations.len() < KEPT) {
            self.violations.push(Violation { at, checker, what });
        }
    }

    /// Every breach so far, up to a limit.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// What was sent and what arrived.
    #[must_use]
    pub fn delivery(&self) -> &Delivery {
        &self.delivery
    }
}
