//! strongSwan in the guest, its SAs in the guest's kernel (kernel-netlink).

use std::path::{Path, PathBuf};

use crate::folder;
use crate::guest::Guest;
use crate::holdfast::PSK;
use crate::peers::case::Case;
use crate::peers::foreign::{Foreign, Key, crash};
use crate::peers::ground::{ECHO, Ends};
use crate::peers::trial::{OUR_ID, THEIR_ID};

const CHARON: &str = "/usr/lib/ipsec/charon";
const LOG: &str = "strongswan.log";
const PLUGINS: &str = "random nonce openssl aes sha1 sha2 hmac kdf gcm chapoly curve25519 gmp \
    kernel-netlink socket-default vici";

/// Its files are in a folder that the guest shares.
pub(crate) struct StrongSwan {
    folder: PathBuf,
}

impl StrongSwan {
    /// Writes its settings: old SAs leave soon. Without its protection against floods, for it asks
    /// for cookies when its host has just come up, and begins twice when we ask again meanwhile.
    pub(crate) fn new(folder: &Path) -> Result<Self, String> {
        let log = folder.join(LOG);
        let settings = format!(
            "charon {{
    load = {PLUGINS}
    delete_rekeyed_delay = 1
    dos_protection = no
    plugins {{ vici {{ socket = unix:///run/vici }} }}
    filelog {{ log {{ path = {}
        time_format = %H:%M:%S
        time_add_ms = yes
        flush_line = yes
        default = 1 }} }} }}
swanctl {{ load = random openssl }}
",
            log.display()
        );
        folder::write(&folder.join("strongswan.conf"), &settings)?;
        Ok(StrongSwan {
            folder: folder.to_owned(),
        })
    }

    /// Gives it a connection and has it call.
    pub(crate) fn connect(&self, guest: &mut Guest, connection: &str) -> Result<(), String> {
        folder::write(&self.folder.join("swanctl.conf"), connection)?;
        self.swanctl(guest, "--load-all --clear")?;
        self.initiate(guest)
    }

    /// Runs `swanctl` in the guest.
    pub(crate) fn swanctl(&self, guest: &mut Guest, words: &str) -> Result<String, String> {
        let folder = self.folder.display();
        guest.run(&format!(
            "STRONGSWAN_CONF={folder}/strongswan.conf SWANCTL_DIR={folder} \
             swanctl {words} --uri unix:///run/vici"
        ))
    }
}

impl Foreign for StrongSwan {
    fn name(&self) -> &'static str {
        "strongSwan 5.9.8"
    }

    fn start(&self, guest: &mut Guest) -> Result<(), String> {
        let folder = self.folder.display();
        guest.run(&format!(
            "rm -f /run/vici /run/charon.pid; \
             STRONGSWAN_CONF={folder}/strongswan.conf setsid {CHARON} >/run/charon.out 2>&1 &"
        ))?;
        let mut last = String::new();
        for _ in 0..20 {
            guest.run("for i in 1 2 3 4 5; do [ -S /run/vici ] || sleep 0.2; done")?;
            match self.swanctl(guest, "--stats") {
                Ok(_) => return Ok(()),
                Err(why) => last = why,
            }
        }
        Err(format!("charon does not answer: {last}"))
    }

    fn load(&self, guest: &mut Guest, case: &Case) -> Result<(), String> {
        folder::write(&self.folder.join("swanctl.conf"), &connection(case))?;
        self.swanctl(guest, "--load-all --clear").map(drop)
    }

    fn initiate(&self, guest: &mut Guest) -> Result<(), String> {
        self.swanctl(guest, "--initiate --child net --timeout 20")
            .map(drop)
    }

    fn rekey(&self, guest: &mut Guest, key: Key) -> Result<(), String> {
        let what = match key {
            Key::Child => "--child",
            Key::Ike => "--ike",
        };
        self.swanctl(guest, &format!("--rekey {what} net"))
            .map(drop)
    }

    fn delete(&self, guest: &mut Guest) -> Result<(), String> {
        self.swanctl(guest, "--terminate --ike net --timeout 10")
            .map(drop)
    }

    fn crash(&self, guest: &mut Guest) -> Result<(), String> {
        crash(guest, CHARON)
    }

    fn log(&self) -> &'static str {
        LOG
    }
}

fn connection(case: &Case) -> String {
    let ends = Ends::of(case);
    let [local, remote] = ends.theirs;
    let mode = if case.tunnel { "tunnel" } else { "transport" };
    let (local_ts, remote_ts) = match (case.tunnel, case.ports) {
        (true, _) => (local.to_owned(), remote.to_owned()),
        (false, true) => (format!("dynamic[tcp/{ECHO}]"), "dynamic[tcp]".into()),
        (false, false) => ("dynamic".into(), "dynamic".into()),
    };
    let Case { ike, esp, .. } = case;
    let (them, us) = (ends.them, ends.us_seen);
    format!(
        "connections {{ net {{
    version = 2
    local_addrs = {them}
    remote_addrs = {us}
    proposals = {ike}
    local {{ auth = psk
        id = {THEIR_ID} }}
    remote {{ auth = psk
        id = {OUR_ID} }}
    children {{ net {{
        mode = {mode}
        local_ts = {local_ts}
        remote_ts = {remote_ts}
        esp_proposals = {esp} }} }} }} }}
secrets {{ ike-net {{ secret = \"{PSK}\" }} }}
"
    )
}
