//! Network namespaces of this harness, named `hfi-...`, removed at the end.

use std::fs;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::Command;

use linux::netns::{self, End};
use linux::process::{self, Signal};

/// What the names of our namespaces begin with.
const PREFIX: &str = "hfi-";

/// A network namespace.
pub(crate) struct Space {
    name: String,
}

impl Space {
    /// Makes it, in the place of one that a killed predecessor left.
    pub(crate) fn new(name: &str) -> Result<Self, String> {
        if !process::is_root() {
            return Err("run it as root: it makes network namespaces".into());
        }
        let name = format!("{PREFIX}{name}");
        end_leftovers(&name);
        netns::delete(&name).map_err(text)?;
        netns::create(&name).map_err(text)?;
        Ok(Space { name })
    }

    /// Its whole name.
    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    /// Gives an interface an address: `192.0.2.1/24`.
    pub(crate) fn address(&self, interface: &str, prefix: &str) -> Result<(), String> {
        let parsed = prefix.parse().map_err(|why| format!("{prefix}: {why}"))?;
        netns::add_address(self.end(interface), parsed).map_err(text)
    }

    /// Runs a closure in it.
    pub(crate) fn run<T: Send>(&self, work: impl FnOnce() -> T + Send) -> Result<T, String> {
        netns::run(&self.name, work).map_err(text)
    }

    /// Runs a short program in it and answers what it printed; it must succeed.
    pub(crate) fn output(&self, program: &str, arguments: &[&str]) -> Result<String, String> {
        let mut command = Command::new(program);
        command.args(arguments);
        let shown = format!("{program} {}", arguments.join(" "));
        let output = self
            .run(|| command.output())?
            .map_err(|why| format!("{program} cannot be started: {why}"))?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        match output.status.success() {
            true => Ok(said),
            false => {
                let errors = String::from_utf8_lossy(&output.stderr);
                let errors = if errors.trim().is_empty() {
                    said.trim()
                } else {
                    errors.trim()
                };
                Err(format!("`{shown}` in {} failed: {errors}", self.name))
            }
        }
    }

    /// One end of a cable.
    pub(crate) fn end<'a>(&'a self, interface: &'a str) -> End<'a> {
        End {
            namespace: &self.name,
            interface,
        }
    }
}

impl Drop for Space {
    fn drop(&mut self) {
        let _ = netns::delete(&self.name);
    }
}

/// Lays a cable between two namespaces, both ends called `eth0`.
pub(crate) fn cable(a: &Space, b: &Space) -> Result<(), String> {
    netns::cable(a.end("eth0"), b.end("eth0")).map_err(text)
}

/// Text as an address.
pub(crate) fn ip(text: &str) -> Result<IpAddr, String> {
    text.parse().map_err(|why| format!("{text}: {why}"))
}

/// Ends the processes that a killed predecessor left in its namespace; it was the only one.
fn end_leftovers(name: &str) {
    let inode = |path: &Path| fs::metadata(path).map(|namespace| namespace.ino()).ok();
    let Some(wanted) = inode(&Path::new("/run/netns").join(name)) else {
        return;
    };
    let Ok(processes) = fs::read_dir("/proc") else {
        return;
    };
    for process in processes.flatten() {
        let pid = process
            .file_name()
            .to_str()
            .and_then(|name| name.parse().ok());
        if let Some(pid) = pid
            && inode(&process.path().join("ns/net")) == Some(wanted)
        {
            let _ = process::kill(pid, Signal::Kill);
        }
    }
}

fn text(error: linux::Error) -> String {
    error.to_string()
}
