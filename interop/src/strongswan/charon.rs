//! A foreign IKE daemon: Debian's strongSwan with its user-space ESP, in a namespace.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use crate::folder;
use crate::program::Program;
use crate::space::Space;

const CHARON: &str = "/usr/lib/ipsec/charon";
const START: Duration = Duration::from_secs(15);
const PLUGINS: &str = "random nonce openssl aes sha1 sha2 hmac kdf gcm chapoly curve25519 gmp \
    x509 pem pkcs1 pkcs8 pubkey mgf1 revocation constraints \
    kernel-libipsec kernel-netlink socket-default vici updown";

/// A running daemon.
pub(crate) struct Charon<'a> {
    space: &'a Space,
    settings: PathBuf,
    swanctl: PathBuf,
    socket: String,
    process: Program,
}

/// Settings beside the usual ones.
pub(crate) struct Tuning {
    /// Lines for the section `charon`.
    pub(crate) charon: &'static str,
    /// The level of its log.
    pub(crate) log: u8,
}

impl Default for Tuning {
    fn default() -> Self {
        Tuning { charon: "", log: 1 }
    }
}

/// One connection with one CHILD SA, both named `net`.
#[derive(Clone, Debug)]
pub(crate) struct Connection<'a> {
    /// Of IKE.
    pub(crate) version: u8,
    pub(crate) local: &'a str,
    pub(crate) remote: &'a str,
    pub(crate) local_id: &'a str,
    pub(crate) remote_id: &'a str,
    pub(crate) auth: Auth<'a>,
    pub(crate) ike: &'a str,
    pub(crate) mode: &'a str,
    pub(crate) esp: &'a str,
    pub(crate) local_selector: &'a str,
    pub(crate) remote_selector: &'a str,
    /// More lines of the connection, and more secrets.
    pub(crate) more: &'a str,
    pub(crate) secrets: &'a str,
}

/// How both sides prove who they are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Auth<'a> {
    /// By this pre-shared key.
    Psk(&'a str),
    /// By keys: a line about its own, and one about the other's.
    Keys(&'a str, &'a str),
}

impl<'a> Charon<'a> {
    /// Starts it, its sockets in `scratch` and its logs in `folder`, and waits until it answers.
    pub(crate) fn start(
        space: &'a Space,
        name: &str,
        scratch: &Path,
        folder: &Path,
    ) -> Result<Self, String> {
        Self::start_tuned(space, name, scratch, folder, &Tuning::default())
    }

    /// The same, with other settings.
    pub(crate) fn start_tuned(
        space: &'a Space,
        name: &str,
        scratch: &Path,
        folder: &Path,
        tuning: &Tuning,
    ) -> Result<Self, String> {
        let home = scratch.join(name);
        let swanctl = home.join("swanctl");
        fs::create_dir_all(swanctl.join("conf.d"))
            .map_err(|why| format!("{}: {why}", swanctl.display()))?;
        let socket = format!("unix://{}", home.join("vici").display());
        let settings = home.join("strongswan.conf");
        let log = folder.join(format!("{name}-charon.log"));
        folder::write(&settings, &strongswan_conf(&socket, &log, tuning))?;
        let mut command = Command::new(CHARON);
        command.env("STRONGSWAN_CONF", &settings);
        // Its pid file is in /run, and two of them would meet there.
        let process = Program::start(name, space.name(), folder, &["/run"], command)?;
        let mut charon = Charon {
            space,
            settings,
            swanctl,
            socket,
            process,
        };
        let asks = charon.swanctl_command(&["--stats"]);
        charon.process.until(START, || {
            let mut ask = Command::new("swanctl");
            ask.args(&asks.0).envs(asks.1.iter().cloned());
            ask.output().is_ok_and(|output| output.status.success())
        })?;
        Ok(charon)
    }

    /// Gives it a connection in the place of the one before.
    pub(crate) fn load(&self, connection: &Connection<'_>) -> Result<(), String> {
        folder::write(&self.swanctl.join("swanctl.conf"), &connection.text())?;
        self.swanctl(&["--load-all", "--clear"]).map(drop)
    }

    /// Puts a file where it looks for certificates and keys.
    pub(crate) fn copy(&self, kind: &str, file: &Path) -> Result<(), String> {
        let place = self.swanctl.join(kind);
        let name = file.file_name().unwrap_or_default();
        fs::create_dir_all(&place)
            .and_then(|()| fs::copy(file, place.join(name)))
            .map(drop)
            .map_err(|why| format!("{}: {why}", place.display()))
    }

    /// Runs `swanctl`; answers what it printed, or its error.
    pub(crate) fn swanctl(&self, words: &[&str]) -> Result<String, String> {
        let (arguments, environment) = self.swanctl_command(words);
        let mut command = Command::new("swanctl");
        command.args(&arguments).envs(environment);
        let output = self
            .space
            .run(|| command.output())?
            .map_err(|why| format!("swanctl cannot be started: {why}"))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        match output.status.success() {
            true => Ok(said),
            false => {
                let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
                Err(format!("swanctl {}: {errors} {said}", words.join(" ")))
            }
        }
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it has.
    pub(crate) fn sas(&self) -> Result<Sas, String> {
        Ok(Sas::parse(&self.swanctl(&["--list-sas"])?))
    }

    fn swanctl_command(&self, words: &[&str]) -> (Vec<String>, Vec<(String, PathBuf)>) {
        let mut arguments: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        arguments.extend(["--uri".to_owned(), self.socket.clone()]);
        let environment = vec![
            ("STRONGSWAN_CONF".to_owned(), self.settings.clone()),
            ("SWANCTL_DIR".to_owned(), self.swanctl.clone()),
        ];
        (arguments, environment)
    }
}

/// What `swanctl --list-sas` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Sas {
    /// The SPIs of each IKE SA that is established: `7f..._i* 12..._r`.
    pub(crate) ike: Vec<String>,
    /// The inbound SPI of each CHILD SA that is installed.
    pub(crate) children: Vec<String>,
    /// Everything.
    pub(crate) text: String,
}

impl Sas {
    fn parse(text: &str) -> Sas {
        let mut sas = Sas {
            text: text.to_owned(),
            ..Sas::default()
        };
        let mut installed = false;
        for line in text.lines() {
            let line = line.trim();
            if let Some((_, rest)) = line.split_once("ESTABLISHED, IKEv2, ") {
                sas.ike.push(rest.to_owned());
            } else if line.contains(", reqid ") {
                installed = line.contains(", INSTALLED,");
            } else if let Some(rest) = line.strip_prefix("in ").filter(|_| installed) {
                let spi = rest.trim().split([',', ' ']).next().unwrap_or_default();
                sas.children.push(spi.to_owned());
            }
        }
        sas
    }
}

impl Connection<'_> {
    /// In swanctl's words.
    pub(crate) fn text(&self) -> String {
        let Connection {
            version,
            local,
            remote,
            local_id,
            remote_id,
            ike,
            mode,
            esp,
            local_selector,
            remote_selector,
            more,
            secrets,
            ..
        } = self;
        let (word, own, other, psk) = match self.auth {
            Auth::Psk(psk) => {
                let psk = format!("ike-net {{ secret = \"{psk}\" }}");
                ("psk", "", "", psk)
            }
            Auth::Keys(own, other) => ("pubkey", own, other, String::new()),
        };
        format!(
            "connections {{ net {{
    version = {version}
    local_addrs = {local}
    remote_addrs = {remote}
    proposals = {ike}
    {more}
    local {{ auth = {word}
        {own}
        id = \"{local_id}\" }}
    remote {{ auth = {word}
        {other}
        id = \"{remote_id}\" }}
    children {{ net {{
        mode = {mode}
        local_ts = {local_selector}
        remote_ts = {remote_selector}
        esp_proposals = {esp} }} }} }} }}
secrets {{ {psk} {secrets} }}
"
        )
    }
}

fn strongswan_conf(socket: &str, log: &Path, tuning: &Tuning) -> String {
    let (log, Tuning { charon, log: level }) = (log.display(), tuning);
    format!(
        "charon {{
    load = {PLUGINS}
    plugins {{ vici {{ socket = {socket} }}
        kernel-libipsec {{ load = yes }} }}
    filelog {{ log {{ path = {log}
        time_format = %H:%M:%S
        time_add_ms = yes
        flush_line = yes
        default = {level} }} }}
    {charon} }}
"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_a_list() {
        let text = "net: #1, ESTABLISHED, IKEv2, 81ac_i* 1f2e_r
  local  'a' @ 10.0.0.1[4500]
  net: #2, reqid 1, REKEYED, TUNNEL-in-UDP, ESP:AES_GCM_16-128
    in  c111, 0 bytes
    out c222, 0 bytes
  net: #3, reqid 1, INSTALLED, TUNNEL-in-UDP, ESP:AES_GCM_16-128
    in  c333,    840 bytes,    10 packets
    out c444, 0 bytes";
        let sas = Sas::parse(text);
        assert_eq!(sas.ike, ["81ac_i* 1f2e_r"]);
        assert_eq!(sas.children, ["c333"]);
    }
}
