//! The ground on which a lab is built: alone on the machine, cleaned of what others left.

use std::fs;
use std::path::PathBuf;

use linux::process;

use crate::bench::Bench;
use crate::error::{Error, file};
use crate::hosts::Mail;
use crate::leftovers;
use crate::lock::Lock;
use crate::options::Options;
use crate::progress::Progress;
use crate::setup;
use crate::stop::Stop;

/// Nobody else's while it lives.
pub(crate) struct Ground<'a> {
    /// What a run needs.
    pub(crate) bench: Bench<'a>,
    /// Where results go.
    pub(crate) out: PathBuf,
    /// Tells people.
    pub(crate) progress: Progress,
    _lock: Lock,
}

impl<'a> Ground<'a> {
    /// Takes the lock, listens for signals, installs what is missing if that is wanted, and
    /// removes what a killed predecessor left.
    ///
    /// # Errors
    /// When another lab is running, or the system refuses.
    pub(crate) fn prepare(options: &'a Options) -> Result<Self, Error> {
        if !process::is_root() {
            return Err(Error::NotRoot);
        }
        let progress = Progress::new(options.progress);
        let lock = Lock::take()?;
        let stop = Stop::listen()?;
        if options.setup {
            setup::install(&options.out, &progress)?;
        }
        match leftovers::remove()? {
            0 => {}
            n => progress.say(format!("removed {n} namespaces that an earlier lab left")),
        }
        fs::create_dir_all(&options.out).map_err(file(&options.out))?;
        let out = options.out.canonicalize().map_err(file(&options.out))?;
        let program = match &options.program {
            Some(program) => program.clone(),
            None => std::env::current_exe().map_err(file("/proc/self/exe"))?,
        };
        let bench = Bench {
            options,
            program,
            mail: Mail::choose(options),
            stop,
        };
        Ok(Self {
            bench,
            out,
            progress,
            _lock: lock,
        })
    }
}
