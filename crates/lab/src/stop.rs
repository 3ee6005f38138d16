//! Ctrl-C and SIGTERM: every wait of the lab ends early, and the lab is taken down as usual.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM};

use crate::error::{Error, kernel};

/// A wait looks this often whether it shall end.
const LOOK: Duration = Duration::from_millis(5);

/// Whether somebody asked the lab to stop.
#[derive(Clone, Debug)]
pub(crate) struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Listens for the signals from now on, for the rest of the process's life.
    ///
    /// # Errors
    /// When the kernel refuses the handlers.
    pub(crate) fn listen() -> Result<Self, Error> {
        let asked = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM, SIGHUP] {
            signal_hook::flag::register(signal, Arc::clone(&asked))
                .map_err(kernel("listen for Ctrl-C"))?;
        }
        Ok(Self(asked))
    }

    /// Fails once somebody asked.
    ///
    /// # Errors
    /// [`Error::Interrupted`].
    pub(crate) fn check(&self) -> Result<(), Error> {
        if self.0.load(Ordering::Relaxed) {
            Err(Error::Interrupted)
        } else {
            Ok(())
        }
    }

    /// Waits for `time`.
    ///
    /// # Errors
    /// [`Error::Interrupted`], as soon as somebody asks.
    pub(crate) fn sleep(&self, time: Duration) -> Result<(), Error> {
        self.until(time, || false).map(drop)
    }

    /// Waits until `done` says so, for `patience` at most; says whether it did.
    ///
    /// # Errors
    /// [`Error::Interrupted`], as soon as somebody asks.
    pub(crate) fn until(
        &self,
        patience: Duration,
        mut done: impl FnMut() -> bool,
    ) -> Result<bool, Error> {
        let end = Instant::now() + patience;
        loop {
            self.check()?;
            if done() {
                return Ok(true);
            }
            let Some(left) = end.checked_duration_since(Instant::now()) else {
                return Ok(false);
            };
            thread::sleep(left.min(LOOK));
        }
    }
}
