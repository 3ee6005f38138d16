//! What keeps a group from being where it cannot be reached: dead links are watched, and a guard is
//! told what to do should this daemon die.

use crate::error::Error;
use crate::guard::{Guard, Turn, Will};
use crate::run::Daemon;
use crate::setup;
use node::Command;
use std::time::Instant;
use tokio::sync::mpsc;

impl Daemon {
    /// At the start of a member: looks at the links, and starts the guard. What is answered
    /// tells of its end.
    ///
    /// # Errors
    /// When there can be no guard.
    pub(crate) fn begin_to_watch(
        &mut self,
        turn: Option<Turn>,
    ) -> Result<mpsc::Receiver<String>, Error> {
        let (ended, guards) = mpsc::channel(1);
        if let Some(turn) = turn {
            self.read_links();
            self.guard_ends = Some(ended);
            self.start_guard(turn)?;
        }
        self.carry_out();
        Ok(guards)
    }

    fn start_guard(&mut self, turn: Turn) -> Result<(), Error> {
        if let Some(ended) = self.guard_ends.clone() {
            self.guard = Some(Guard::start(turn, ended)?);
            self.tell_guard();
        }
        Ok(())
    }

    /// A guard has ended before this daemon: somebody killed it.
    pub(crate) fn guard_ended(&mut self, text: &str) {
        self.log
            .failure("guard", &format!("{text}; another is started"));
        self.guard = None;
        let turn = Turn::wait(&self.config.node.run_dir);
        if let Err(error) = turn.and_then(|turn| self.start_guard(turn)) {
            let text = format!(
                "this daemon goes on without a guard ({error}): should it die, the others notice \
                 by its silence"
            );
            self.log.failure("guard", &text);
        }
    }

    /// Tells the guard what to do in the present state of things.
    pub(crate) fn tell_guard(&mut self) {
        let (Some(guard), Some(member)) = (&mut self.guard, self.node.cluster()) else {
            return;
        };
        let farewell = member.farewell();
        let will = Will {
            addresses: self.groups.all_addresses(),
            port: setup::heartbeat_paths(&self.config).map_or(0, |(port, _)| port),
            mark: self.config.plane.mark,
            to: farewell.to,
            farewell: farewell.bytes,
        };
        if let Err(error) = guard.watch(will) {
            let text = format!("the guard of this daemon cannot be told anything: {error}");
            self.log.failure("guard", &text);
        }
    }

    /// Tells the node which groups cannot run here.
    pub(crate) fn read_links(&mut self) {
        if self.config.cluster.is_none() {
            return;
        }
        match self.groups.obstacles() {
            Ok(changed) => {
                for (group, why) in changed {
                    let command = Command::SetBarred { group, why };
                    let _ = self.node.handle_command(command, Instant::now());
                }
            }
            Err(error) => self.log.failure("kernel", &error.to_string()),
        }
    }
}
