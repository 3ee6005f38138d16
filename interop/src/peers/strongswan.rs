//! strongSwan in the guest, its SAs in the guest's kernel (kernel-netlink).

use std::path::{Path, PathBuf};

use crate::folder;
use crate::guest::Guest;
use crate::holdfast::{Key, PSK};
use crate::peers::case::{Case, OUR_ID, Ports, Proof, THEIR_ID, Version};
use crate::peers::foreign::{Foreign, crash};
use crate::peers::ground::{ECHO, Ends, SECOND_ECHO};
use crate::peers::papers::{Papers, Side};
use crate::strongswan::{self, Auth, Connection};

const CHARON: &str = "/usr/lib/ipsec/charon";
const LOG: &str = "strongswan.log";
/// With IKEv1 it asks us often whether we are there.
const DPD: &str = "dpd_delay = 1s\n    dpd_timeout = 6s";
const PLUGINS: &str = "random nonce openssl aes sha1 sha2 hmac kdf gcm chapoly curve25519 gmp \
    x509 pem pkcs1 pkcs8 pubkey mgf1 constraints kernel-netlink socket-default vici";

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
    delete_rekeyed = yes
    delete_rekeyed_delay = 1
    dos_protection = no
    plugins {{ vici {{ socket = unix:///run/vici }} }}
    filelog {{ log {{ path = {}
        time_format = %H:%M:%S
        time_add_ms = yes
        flush_line = yes
        default = 1 }} }} }}
swanctl {{ load = random openssl x509 pem pkcs1 pkcs8 }}
",
            log.display()
        );
        folder::write(&folder.join("strongswan.conf"), &settings)?;
        Ok(StrongSwan {
            folder: folder.to_owned(),
        })
    }

    /// Puts the certificates where it looks for them.
    pub(crate) fn furnish(&self, papers: &Papers) -> Result<(), String> {
        for proof in Proof::BY_CERTIFICATE {
            let name = proof.word();
            for (kind, file) in [
                ("x509", papers.file(proof, Side::Them, "pem")),
                ("private", papers.file(proof, Side::Them, "key")),
                ("x509ca", papers.authority(proof)),
            ] {
                let place = self.folder.join(kind);
                folder::make(&place)?;
                let place = place.join(format!("{name}.pem"));
                std::fs::copy(&file, &place)
                    .map_err(|why| format!("{}: {why}", place.display()))?;
            }
        }
        Ok(())
    }

    /// Gives it a connection and has it call.
    pub(crate) fn connect(&self, guest: &mut Guest, to: &Connection<'_>) -> Result<(), String> {
        self.configure(guest, to)?;
        self.initiate(guest)
    }

    /// Gives it a connection in the place of the one before.
    fn configure(&self, guest: &mut Guest, to: &Connection<'_>) -> Result<(), String> {
        folder::write(&self.folder.join("swanctl.conf"), &to.text())?;
        self.swanctl(guest, "--load-all --clear").map(drop)
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
        let ends = Ends::of(case);
        let [local, remote] = ends.theirs;
        let (local_selector, remote_selector) = match (case.tunnel, case.ports) {
            (true, _) => (local.to_owned(), remote.to_owned()),
            (false, Ports::All) => ("dynamic".into(), "dynamic".into()),
            (false, Ports::One) => (format!("dynamic[tcp/{ECHO}]"), "dynamic[tcp]".into()),
            (false, Ports::Two) => (
                format!("dynamic[tcp/{ECHO}],dynamic[tcp/{SECOND_ECHO}]"),
                "dynamic[tcp]".into(),
            ),
        };
        let own = format!("certs = {}.pem", case.proof.word());
        let auth = match case.proof.theirs() {
            Proof::Psk => Auth::Psk(PSK),
            _ => Auth::Keys(&own, "revocation = relaxed"),
        };
        let (version, more) = match case.version {
            Version::V2 => (2, ""),
            _ => (1, DPD),
        };
        let connection = Connection {
            version,
            more,
            auth,
            local: ends.them,
            remote: ends.us_seen,
            local_id: THEIR_ID,
            remote_id: OUR_ID,
            mode: case.mode(),
            local_selector: &local_selector,
            remote_selector: &remote_selector,
            ..strongswan::connection(case.ike, case.esp)
        };
        if version == 1 {
            // Of IKE SAs without a child the kernel tells nothing.
            let all = "--terminate --ike net --force --timeout 1";
            let _ = self.swanctl(guest, all);
        }
        self.configure(guest, &connection)
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

    fn delete_child(&self, guest: &mut Guest) -> Result<(), String> {
        self.swanctl(guest, "--terminate --child net --timeout 10")
            .map(drop)
    }

    fn crash(&self, guest: &mut Guest) -> Result<(), String> {
        crash(guest, CHARON)
    }

    fn log(&self) -> &'static str {
        LOG
    }
}
