//! The endpoint and its four verbs: every IKE SA of a host (RFC 7296 section 2).

mod acquire;
mod addresses;
mod bucket;
mod clock;
mod commands;
mod datagrams;
mod deadlines;
mod effects;
mod half_opens;
mod handshake;
mod reload;
mod responder;
mod resumption;
mod slot;
mod tables;
mod tickets;
mod unknown;
mod way;

use std::time::Instant;

use crypto::Random;

use crate::command::Command;
use crate::config::Config;
use crate::discard::Discards;
use crate::endpoint::tables::Tables;
use crate::error::ApiMisuse;
use crate::output::{Datagram, Output};
use crate::status::IkeStatus;

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
        Output::Wait(clock::due(&self.tables))
    }

    /// A picture of every IKE SA and child, ages counted up to `now`.
    #[must_use]
    pub fn status(&self, now: Instant) -> Vec<IkeStatus> {
        self.tables
            .slots()
            .filter_map(|(ike, slot)| slot.status(ike, now))
            .collect()
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
