//! The endpoint: tables of IKE SAs, dispatch by SPI, and the four verbs (RFC 7296 section 2).

use std::collections::VecDeque;
use std::time::Instant;

use crypto::Random;

use crate::command::Command;
use crate::config::Config;
use crate::discard::Discards;
use crate::error::ApiMisuse;
use crate::output::{Datagram, Output};
use crate::status::IkeStatus;

/// Every IKE SA of a host.
pub struct Endpoint {
    config: Config,
    random: Box<dyn Random + Send>,
    outputs: VecDeque<Output>,
    discards: Discards,
}

impl Endpoint {
    /// An endpoint without SAs. All randomness comes from `random`.
    #[must_use]
    pub fn new(config: Config, random: Box<dyn Random + Send>) -> Self {
        Endpoint {
            config,
            random,
            outputs: VecDeque::new(),
            discards: Discards::default(),
        }
    }

    /// Takes a datagram that came in, without its non-ESP marker.
    pub fn handle_datagram(&mut self, datagram: Datagram<'_>, now: Instant) {
        let _ = (datagram, now, &self.config, &mut self.random);
    }

    /// Does what the host asks.
    ///
    /// # Errors
    /// [`ApiMisuse`] when the command names something that is not there; nothing changed.
    pub fn handle_command(&mut self, command: Command, now: Instant) -> Result<(), ApiMisuse> {
        let _ = (command, now);
        Ok(())
    }

    /// Does what is due. Early and repeated calls do nothing.
    pub fn handle_timeout(&mut self, now: Instant) {
        let _ = now;
    }

    /// The next thing to do; [`Output::Wait`] when there is none.
    pub fn poll_output(&mut self) -> Output {
        self.outputs.pop_front().unwrap_or(Output::Wait(None))
    }

    /// A picture of every IKE SA and child, ages counted up to `now`.
    #[must_use]
    pub fn status(&self, now: Instant) -> Vec<IkeStatus> {
        let _ = now;
        Vec::new()
    }

    /// How many datagrams were refused, by reason.
    #[must_use]
    pub fn discards(&self) -> &Discards {
        &self.discards
    }
}
