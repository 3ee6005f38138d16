//! Our daemon in a namespace, and the command line that talks to it.

mod rules;

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use api::{IkeSa, Reply, Status};

use crate::folder;
use crate::program::Program;
use crate::space::Space;
pub(crate) use rules::{Rules, by_certificate, by_psk};

/// How long the daemon may take until its control socket answers.
const START: Duration = Duration::from_secs(10);
/// A key for tests on one machine, nowhere else.
pub(crate) const PSK: &str = "xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE";

/// Has cargo build the binary `holdfast`, and answers where it is: beside this program.
pub(crate) fn build() -> Result<PathBuf, String> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut command = Command::new(cargo);
    command.args(["build", "--quiet", "-p", "cli"]);
    // The same as this program is, so that both lie side by side.
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    let status = command
        .status()
        .map_err(|why| format!("cargo cannot be started: {why}"))?;
    if !status.success() {
        return Err("`cargo build -p cli` failed".into());
    }
    let own = std::env::current_exe().map_err(|why| format!("this program's path: {why}"))?;
    let program = own.with_file_name("holdfast");
    match program.exists() {
        true => Ok(program),
        false => Err(format!(
            "{} is missing: use `cargo run --release -p interop`",
            program.display()
        )),
    }
}

/// Which keys change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Child,
    Ike,
}

impl Key {
    /// The SPI that changes with them.
    pub(crate) fn of(self, sa: &api::IkeSa) -> String {
        let spis = sa.child_sas.iter().map(|child| child.inbound_spi.as_str());
        match self {
            Key::Child => spis.collect(),
            Key::Ike => sa.initiator_spi.clone(),
        }
    }
}

/// A running daemon.
pub(crate) struct Daemon<'a> {
    space: &'a Space,
    program: PathBuf,
    socket: PathBuf,
    process: Program,
}

/// Where a daemon's files go.
pub(crate) struct Place<'a, 'p> {
    /// The binary.
    pub(crate) program: &'p Path,
    /// The namespace.
    pub(crate) space: &'a Space,
    /// For sockets: short paths.
    pub(crate) scratch: &'p Path,
    /// For logs.
    pub(crate) folder: &'p Path,
    /// Of the daemon, in file names.
    pub(crate) name: &'p str,
}

impl<'a> Daemon<'a> {
    /// Starts it on a configuration file made of `rules`, and waits until it serves. With
    /// `keys` it writes Wireshark's key tables there.
    pub(crate) fn start(
        place: &Place<'a, '_>,
        rules: &str,
        keys: Option<&Path>,
    ) -> Result<Self, String> {
        Daemon::start_with(place, "", rules, keys)
    }

    /// The same, with more lines in `[node]`.
    pub(crate) fn start_with(
        place: &Place<'a, '_>,
        node: &str,
        rules: &str,
        keys: Option<&Path>,
    ) -> Result<Self, String> {
        Daemon::start_in(place, &[], node, rules, keys)
    }

    /// The same, with more in its environment.
    pub(crate) fn start_in(
        place: &Place<'a, '_>,
        environment: &[(&str, &Path)],
        node: &str,
        rules: &str,
        keys: Option<&Path>,
    ) -> Result<Self, String> {
        let run_dir = place.scratch.join(place.name);
        let name = place.name;
        let config = place.folder.join(format!("{name}.toml"));
        let head = format!(
            "[node]\nname = \"{name}\"\nrun_dir = \"{}\"\n{node}\n",
            run_dir.display()
        );
        folder::write(&config, &(head + rules))?;
        let socket = run_dir.join("control.sock");
        let mut command = Command::new(place.program);
        command
            .arg("daemon")
            .arg("--config")
            .arg(&config)
            .arg("--socket")
            .arg(&socket)
            .envs(environment.iter().copied());
        if let Some(keys) = keys {
            std::fs::create_dir_all(keys).map_err(|why| format!("{}: {why}", keys.display()))?;
            command.arg("--wireshark-keys").arg(keys);
        }
        // A killed predecessor leaves its socket, and only a new one says that this one serves.
        let _ = std::fs::remove_file(&socket);
        let title = format!("{name}-daemon");
        let mut process = Program::start(&title, place.space.name(), place.folder, &[], command)?;
        process.until(START, || socket.exists())?;
        let program = place.program.to_owned();
        Ok(Daemon {
            space: place.space,
            program,
            socket,
            process,
        })
    }

    /// Its process.
    pub(crate) fn process(&mut self) -> &mut Program {
        &mut self.process
    }

    /// Ends it as a crash does.
    pub(crate) fn crash(self) {
        self.process.crash();
    }

    /// Runs a verb of the command line; answers what it printed, or its error.
    pub(crate) fn command(&self, words: &[&str]) -> Result<String, String> {
        let mut command = Command::new(&self.program);
        command.arg("--socket").arg(&self.socket).args(words);
        let output = self
            .space
            .run(|| command.output())?
            .map_err(|why| format!("holdfast cannot be started: {why}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned()),
            false => Err(String::from_utf8_lossy(&output.stderr).trim().to_owned()),
        }
    }

    /// `holdfast status --json`.
    pub(crate) fn status(&self) -> Result<Status, String> {
        let text = self.command(&["--json", "status"])?;
        let reply: Reply = serde_json::from_str(&text).map_err(|why| format!("{why}: {text}"))?;
        let result = reply.result.ok_or("the status has no result")?;
        serde_json::from_value(result).map_err(|why| format!("the status is unexpected: {why}"))
    }

    /// The one IKE SA that is established, with exactly one CHILD SA that is installed.
    pub(crate) fn only_sa(&self) -> Result<IkeSa, String> {
        let status = self.status()?;
        match status.ike_sas.as_slice() {
            [sa] if sa.state == "established" => match sa.child_sas.as_slice() {
                [child] if child.state == "installed" => Ok(sa.clone()),
                children => {
                    let states: Vec<&str> = children.iter().map(|c| c.state.as_str()).collect();
                    Err(format!("we have CHILD SAs that are {states:?}"))
                }
            },
            sas => {
                let states: Vec<&str> = sas.iter().map(|sa| sa.state.as_str()).collect();
                Err(format!("we have IKE SAs that are {states:?}"))
            }
        }
    }
}
