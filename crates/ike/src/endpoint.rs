//! The endpoint and its four verbs: every IKE SA of a host (RFC 7296 section 2).

mod acquire;
mod addresses;
mod bucket;
mod clock;
mod commands;
mod datagrams;
mod deadlines;
mod door;
mod effects;
mod elsewhere;
mod half_opens;
mod handshake;
mod inquiries;
mod isakmp;
mod isakmp_commands;
mod isakmp_effects;
mod members;
mod redirects;
mod reload;
mod responder;
mod resumption;
mod slot;
mod statuses;
mod streams;
mod tables;
mod tickets;
mod unknown;
mod way;

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::time::Instant;

use crypto::Random;

use crate::command::Command;
use crate::config::Config;
use crate::discard::Discards;
use crate::endpoint::tables::Tables;
use crate::error::ApiMisuse;
use crate::id::IkeSaId;
use crate::output::{Datagram, Output};
use crate::record::{BadRecord, Directory, Record, Recorded, Takeover};
use crate::status::{IkeStatus, Movable};

/// Every IKE SA of a host.
pub struct Endpoint {
    tables: Tables,
}

impl Endpoint {
    /// An endpoint without SAs. All randomness comes from `random`.
    #[must_use]
    pub fn new(config: Config, random: Box<dyn Random + Send>) -> Self {
        Endpoint {
            tables: Tables::new(config, random),
        }
    }

    /// Takes a datagram that came in, without its non-ESP marker.
    pub fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) {
        if let Err(reason) = datagrams::handle(&mut self.tables, datagram, now) {
            self.tables.discards.count(reason);
        }
    }

    /// Does what the host asks.
    ///
    /// # Errors
    /// [`ApiMisuse`] when the command names something that is not there; nothing changed.
    pub fn handle_command(&mut self, command: Command, now: Instant) -> Result<(), ApiMisuse> {
        commands::handle(&mut self.tables, command, now)
    }

    /// Does what is due. Early and repeated calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        clock::fire(&mut self.tables, now);
    }

    /// The next thing to do; [`Output::Wait`] when there is none.
    pub fn poll_output(&mut self) -> Output {
        while let Some(output) = self.tables.outputs.pop_front() {
            if self.tables.permits(&output) {
                return output;
            }
        }
        // What a handshake had, however it ended.
        match self.tables.unneeded_context() {
            Some(context) => Output::EndGss(context),
            None => Output::Wait(clock::due(&self.tables)),
        }
    }

    /// IKE SAs of addresses that move between members ([`Config::buckets`]) which have changed
    /// since this was asked last, with their local addresses. One may be gone.
    pub fn take_changes(&mut self) -> Vec<(IkeSaId, IpAddr)> {
        std::mem::take(&mut self.tables.changes)
            .into_iter()
            .collect()
    }

    /// What an IKE SA is now, for the other members; `None` when it is gone.
    #[must_use]
    pub fn record(&self, ike: IkeSaId, now: Instant) -> Option<Record> {
        members::record(&self.tables, ike, now)
    }

    /// The IKE SAs of these local addresses that come after `after`, in order, at most `count`: a
    /// walk through all of them that changes in between do not disturb.
    #[must_use]
    pub fn following(
        &self,
        local: &[IpAddr],
        after: Option<IkeSaId>,
        count: usize,
    ) -> Vec<IkeSaId> {
        members::following(&self.tables, local, after, count)
    }

    /// What a record of another member says before its IKE SA is needed.
    ///
    /// # Errors
    /// [`BadRecord`].
    pub fn inspect(record: &Record, directory: &Directory<'_>) -> Result<Recorded, BadRecord> {
        members::inspect(record, directory)
    }

    /// Whether an IKE SA or a handshake of ours uses the TCP connection between these ends. One
    /// that nobody uses for a while is of no use to its peer either (RFC 9329 section 6.1).
    #[must_use]
    pub fn uses_stream(&self, local: SocketAddr, remote: SocketAddr) -> bool {
        streams::is_used(&self.tables, local, remote)
    }

    /// How many frozen IKE SAs of a local address have not been replaced.
    #[must_use]
    pub fn frozen(&self, local: IpAddr) -> usize {
        self.tables.unreplaced(local).map_or(0, BTreeSet::len)
    }

    /// An inbound SPI that another member chose: it is not drawn here.
    pub fn claim_spi(&mut self, spi: u32) {
        self.tables.registry.claim_esp(spi);
    }

    /// The other member uses the SPI no longer.
    pub fn release_spi(&mut self, spi: u32) {
        self.tables.registry.release_esp(spi);
    }

    /// Goes on with an IKE SA that another member had; its pairs must be with ESP already.
    ///
    /// # Errors
    /// [`BadRecord`]; nothing has changed then.
    pub fn adopt(
        &mut self,
        record: &Record,
        directory: &Directory<'_>,
        takeover: Takeover,
        now: Instant,
    ) -> Result<IkeSaId, BadRecord> {
        members::adopt(&mut self.tables, record, directory, takeover, now)
    }

    /// A picture of every IKE SA and child, ages counted up to `now`.
    #[must_use]
    pub fn status(&self, now: Instant) -> Vec<IkeStatus> {
        self.tables
            .slots()
            .filter_map(|(ike, slot)| slot.status(ike, now))
            .collect()
    }

    /// The IKE SAs that this host may move to other addresses (RFC 4555).
    #[must_use]
    pub fn movable(&self) -> Vec<Movable> {
        members::movable(&self.tables)
    }

    /// How many responders are half-open.
    #[must_use]
    pub fn half_open(&self) -> usize {
        self.tables.half_opens.count()
    }

    /// How many datagrams were refused, by reason.
    #[must_use]
    pub fn discards(&self) -> &Discards {
        &self.tables.discards
    }
}
