//! A foreign front end: Debian's strongSwan with its user-space ESP, in the place of our daemon.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use linux::netns;

use crate::addresses::*;
use crate::config::PSK;
use crate::error::{Error, file, kernel};
use crate::kinds::Ike;
use crate::program::find;

/// The IKE daemon.
const CHARON: &str = "/usr/lib/ipsec/charon";
/// What it loads: user-space ESP, and only algorithms that it agrees on with ours.
const PLUGINS: &str = "random nonce openssl aes sha2 hmac kdf gcm curve25519 kernel-libipsec \
    kernel-netlink socket-default vici";
/// Where it is asked, in the front end's namespace: `/run` is hidden from it.
const VICI: &str = "tcp://127.0.0.1:4502";
/// Marks its own packets: what goes to the virtual address otherwise goes into the tunnel.
const MARK: &str = "0x42";
/// The connection and its CHILD SA.
const NAME: &str = "mail";

/// Its IKE daemon; its settings go to `folder`, its words to its standard output.
///
/// # Errors
/// A sentence, when it is not installed; when the settings cannot be written.
pub(crate) fn charon(folder: &Path) -> Result<Command, Error> {
    if !Path::new(CHARON).is_file() || find("swanctl").is_none() {
        return Err(Error::Program {
            name: "strongSwan".into(),
            detail: "is not installed; on Debian install strongswan-charon, strongswan-swanctl \
                     and libcharon-extra-plugins"
                .into(),
        });
    }
    let settings = settings_file(folder);
    write(&settings, &strongswan_conf())?;
    let mut command = Command::new(CHARON);
    command.env("STRONGSWAN_CONF", settings);
    Ok(command)
}

/// Gives it the connection and has it negotiate; says why not, if it does not answer yet.
///
/// # Errors
/// When files cannot be written or programs not be started.
pub(crate) fn connect(folder: &Path, state: &Path, ike: Ike) -> Result<Result<(), String>, Error> {
    let home = state.join("swanctl");
    fs::create_dir_all(home.join("conf.d")).map_err(file(&home))?;
    write(&home.join("swanctl.conf"), &swanctl_conf(ike))?;
    let steps: [&[&str]; 2] = [
        &["--load-all"],
        &["--initiate", "--child", NAME, "--timeout", "2"],
    ];
    for words in steps {
        let mut command = Command::new("swanctl");
        command
            .args(words)
            .args(["--uri", VICI])
            .env("STRONGSWAN_CONF", settings_file(folder))
            .env("SWANCTL_DIR", &home);
        let output = netns::run(FE, || command.output())?.map_err(kernel("start swanctl"))?;
        if !output.status.success() {
            let text = String::from_utf8_lossy(&output.stderr);
            let last = text.lines().last().unwrap_or("it said nothing");
            return Ok(Err(format!("swanctl {}: {last}", words.join(" "))));
        }
    }
    Ok(Ok(()))
}

fn settings_file(folder: &Path) -> PathBuf {
    folder.join("strongswan.conf")
}

/// It holds keys: root reads it, nobody else.
fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(file(path))?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).map_err(file(path))
}

/// Its peer is what the tunnel leads to: only its own packets, which are marked, go there outside
/// the tunnel.
fn strongswan_conf() -> String {
    format!(
        "charon {{
  load = {PLUGINS}
  plugins {{
    vici {{ socket = {VICI} }}
    kernel-libipsec {{ allow_peer_ts = yes }}
    kernel-netlink {{ fwmark = !{MARK} }}
    socket-default {{ fwmark = {MARK} }}
  }}
  filelog {{ stdout {{ time_format = %H:%M:%S
    time_add_ms = yes
    flush_line = yes
    default = 1 }} }}
}}
"
    )
}

/// One tunnel between the front end's address and the virtual one, never asked whether it lives.
fn swanctl_conf(ike: Ike) -> String {
    let (version, proposal) = match ike {
        Ike::V2 => (2, "aes128gcm16-prfsha256-x25519"),
        Ike::V1 => (1, "aes128-sha256-ecp256"),
    };
    format!(
        "connections {{ {NAME} {{
  version = {version}
  mobike = no
  local_addrs = {FE_BACK}
  remote_addrs = {VIP}
  proposals = {proposal}
  local {{ auth = psk
    id = {FE_BACK} }}
  remote {{ auth = psk
    id = {VIP} }}
  children {{ {NAME} {{
    mode = tunnel
    local_ts = {FE_BACK}/32
    remote_ts = {VIP}/32
    esp_proposals = aes128gcm16 }} }} }} }}
secrets {{ ike-{NAME} {{ secret = \"{PSK}\" }} }}
"
    )
}
