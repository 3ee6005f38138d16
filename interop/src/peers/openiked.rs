//! OpenIKED's Linux port in the guest: one rule in one file, read at its start.

use std::cell::Cell;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::folder;
use crate::guest::Guest;
use crate::holdfast::{Key, PSK};
use crate::peers::case::{Case, OUR_ID, Ports, Proof, Rekeys, THEIR_ID};
use crate::peers::foreign::{Foreign, crash};
use crate::peers::ground::{ECHO, Ends};
use crate::peers::papers::{Papers, Side};

const IKED: &str = "/usr/sbin/iked";
const LOG: &str = "openiked.log";

/// Its files are in a folder that the guest shares.
pub(crate) struct OpenIked<'a> {
    folder: PathBuf,
    papers: &'a Papers,
    case: Cell<Option<Case>>,
}

impl<'a> OpenIked<'a> {
    pub(crate) fn new(folder: &Path, papers: &'a Papers) -> Self {
        OpenIked {
            papers,
            folder: folder.to_owned(),
            case: Cell::new(None),
        }
    }

    /// Puts certificates and its one key where it looks for them.
    fn furnish(&self, guest: &mut Guest, proof: Proof) -> Result<(), String> {
        if proof.theirs() == Proof::Psk {
            return Ok(());
        }
        let file = |kind| self.papers.file(proof, Side::Them, kind);
        let (certificate, key) = (file("pem"), file("key"));
        let authority = self.papers.authority(proof);
        let copies = format!(
            "grep -q ' /etc/iked ' /proc/mounts || mount -t tmpfs iked /etc/iked; \
             (cd /etc/iked && rm -rf * && mkdir -p ca certs crls private pubkeys && \
             cp {} ca/ca.crt && cp {} certs/{THEIR_ID}.crt && cp {} private/local.key)",
            authority.display(),
            certificate.display(),
            key.display()
        );
        guest.run(&copies).map(drop)
    }

    /// Starts it on a rule; `active` has it call at once.
    fn begin(&self, guest: &mut Guest, case: &Case, how: &str) -> Result<(), String> {
        crash(guest, IKED)?;
        self.furnish(guest, case.proof)?;
        let path = self.folder.join("iked.conf");
        let rule = rule(case, how);
        folder::write(&path, &format!("set enforcesingleikesa\n{rule}"))?;
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600))
            .map_err(|why| format!("{}: {why}", path.display()))?;
        let (path, log) = (path.display(), self.folder.join(LOG));
        let log = log.display();
        guest.run(&format!("setsid {IKED} -dv -f {path} >>{log} 2>&1 &"))?;
        // It forgets what it began before its parts have told each other their configuration.
        guest
            .run("for i in $(seq 50); do ikectl show sa >/dev/null 2>&1 && break; sleep 0.2; done")
            .map(drop)
    }
}

impl Foreign for OpenIked<'_> {
    fn name(&self) -> &'static str {
        "OpenIKED 7.2"
    }

    fn start(&self, _guest: &mut Guest) -> Result<(), String> {
        Ok(())
    }

    fn load(&self, guest: &mut Guest, case: &Case) -> Result<(), String> {
        self.case.set(Some(*case));
        self.begin(guest, case, "passive")
    }

    fn initiate(&self, guest: &mut Guest) -> Result<(), String> {
        let case = self.case.get().ok_or("it has no rule")?;
        self.begin(guest, &case, "active")
    }

    fn rekey(&self, _guest: &mut Guest, _key: Key) -> Result<(), String> {
        Err("it has no command for that".into())
    }

    fn delete(&self, guest: &mut Guest) -> Result<(), String> {
        guest.run("ikectl reset sa").map(drop)
    }

    fn delete_child(&self, _guest: &mut Guest) -> Result<(), String> {
        Err("it has no command for that".into())
    }

    fn crash(&self, guest: &mut Guest) -> Result<(), String> {
        crash(guest, IKED)
    }

    /// Seen at one of several rekeyings: its kernel has the old SA for a moment longer.
    fn late(&self) -> u32 {
        3
    }

    /// Its default is to send none.
    fn fragments(&self) -> bool {
        false
    }

    fn log(&self) -> &'static str {
        LOG
    }
}

fn rule(case: &Case, how: &str) -> String {
    let ends = Ends::of(case);
    let [local, remote] = ends.theirs;
    let mode = case.mode();
    let (proto, port) = match case.ports != Ports::All {
        true => (" proto tcp", format!(" port {ECHO}")),
        false => ("", String::new()),
    };
    let (them, us) = (ends.them, ends.us_seen);
    let esn = if case.esn() { "esn" } else { "noesn" };
    let child = algorithms(case.algorithms());
    let lifetimes = match case.rekeys {
        Rekeys::ByItsClock => "ikelifetime 8 lifetime 4 ",
        _ => "",
    };
    let proof = match case.proof.theirs() {
        Proof::Psk => format!("psk \"{PSK}\""),
        _ => "rfc7427".to_owned(),
    };
    format!(
        "ikev2 \"net\" {how} {mode} esp{proto} from {local}{port} to {remote} \
         local {them} peer {us} \
         ikesa enc aes-128 prf hmac-sha2-256 auth hmac-sha2-256 group ecp256 \
         childsa {child} {esn} \
         srcid {THEIR_ID} dstid {OUR_ID} {lifetimes}{proof}\n"
    )
}

/// Algorithms as it writes them.
fn algorithms(ours: &str) -> String {
    let word = |word: &str| match word {
        "sha256" => "auth hmac-sha2-256".to_owned(),
        "sha384" => "auth hmac-sha2-384".to_owned(),
        "sha512" => "auth hmac-sha2-512".to_owned(),
        cipher => format!("enc {}", cipher.replace("aes", "aes-")),
    };
    ours.split('-').map(word).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_words() {
        let words = algorithms("aes256-sha512");
        assert_eq!(words, "enc aes-256 auth hmac-sha2-512");
    }
}
