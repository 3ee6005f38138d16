//! Libreswan in the guest. Its package conflicts with strongSwan's, so it runs from a folder.

use std::path::{Path, PathBuf};

use crate::folder;
use crate::guest::Guest;
use crate::holdfast::PSK;
use crate::peers::case::Case;
use crate::peers::foreign::{Foreign, Key, crash};
use crate::peers::ground::{ECHO, Ends};
use crate::peers::trial::{OUR_ID, THEIR_ID};

/// Where `cargo xtask packages` has unpacked it, with its libraries and an empty NSS database.
const UNPACKED: &str = "target/debian/libreswan";
/// It insists on its helpers in this folder, which the host does not have.
const HELPERS: &str = "/usr/libexec/ipsec";
const SOCKET: &str = "/run/pluto/pluto.ctl";
const LOG: &str = "libreswan.log";

/// Its files are in a folder that the guest shares.
pub(crate) struct Libreswan {
    tree: String,
    folder: PathBuf,
}

impl Libreswan {
    /// Writes its key.
    pub(crate) fn new(folder: &Path) -> Result<Self, String> {
        let tree = std::fs::canonicalize(UNPACKED)
            .map_err(|why| format!("{UNPACKED}: {why}; `cargo xtask packages` unpacks it there"))?;
        folder::write(&folder.join("ipsec.secrets"), &format!(": PSK \"{PSK}\"\n"))?;
        Ok(Libreswan {
            tree: tree.display().to_string(),
            folder: folder.to_owned(),
        })
    }

    /// Runs one of its programs in the guest.
    fn program(&self, guest: &mut Guest, words: &str) -> Result<String, String> {
        let tree = &self.tree;
        guest.run(&format!(
            "LD_LIBRARY_PATH=$(echo {tree}/usr/lib/*-linux-gnu) {HELPERS}/{words}"
        ))
    }

    /// Speaks to its daemon. Its exit codes tell more than failure: what counts is what is there.
    fn whack(&self, guest: &mut Guest, words: &str) -> Result<String, String> {
        self.program(guest, &format!("whack --ctlsocket {SOCKET} {words}; true"))
    }
}

impl Foreign for Libreswan {
    fn name(&self) -> &'static str {
        "Libreswan 4.10"
    }

    fn start(&self, guest: &mut Guest) -> Result<(), String> {
        let (tree, folder) = (&self.tree, self.folder.display());
        guest.run(&format!(
            "[ -d {HELPERS} ] || {{ mount -t tmpfs libexec /usr/libexec && mkdir -p {HELPERS} && \
             mount --bind {tree}{HELPERS} {HELPERS}; }}"
        ))?;
        guest.run(&format!(
            "rm -rf /run/pluto /run/nss; mkdir -p /run/pluto; cp -r {tree}/nss /run/nss; \
             printf 'config setup\\n\\tdnssec-enable=no\\n' >/run/pluto/ipsec.conf"
        ))?;
        self.program(
            guest,
            &format!(
                "pluto --config /run/pluto/ipsec.conf --secretsfile {folder}/ipsec.secrets \
                 --nssdir /run/nss --ipsecdir /run/pluto --rundir /run/pluto \
                 --logfile {folder}/{LOG} --log-no-append"
            ),
        )?;
        guest.run(&format!(
            "for i in $(seq 50); do [ -S {SOCKET} ] && break; sleep 0.2; done"
        ))?;
        self.whack(guest, "--listen").map(drop)
    }

    fn load(&self, guest: &mut Guest, case: &Case) -> Result<(), String> {
        let path = self.folder.join("ipsec.conf");
        folder::write(&path, &connection(case))?;
        self.whack(guest, "--delete --name net")?;
        let words = format!(
            "addconn --config {} --ctlsocket {SOCKET} net",
            path.display()
        );
        self.program(guest, &words).map(drop)
    }

    fn initiate(&self, guest: &mut Guest) -> Result<(), String> {
        self.whack(guest, "--initiate --name net").map(drop)
    }

    fn rekey(&self, guest: &mut Guest, key: Key) -> Result<(), String> {
        let what = match key {
            Key::Child => "--rekey-ipsec",
            Key::Ike => "--rekey-ike",
        };
        self.whack(guest, &format!("{what} --name net")).map(drop)
    }

    fn delete(&self, guest: &mut Guest) -> Result<(), String> {
        self.whack(guest, "--terminate --name net").map(drop)
    }

    fn crash(&self, guest: &mut Guest) -> Result<(), String> {
        crash(guest, &format!("{HELPERS}/pluto"))
    }

    /// Seen to be one or two at 50 a second: its kernel has the SA before its answer is sent.
    fn early(&self) -> u32 {
        2
    }

    fn log(&self) -> &'static str {
        LOG
    }
}

fn connection(case: &Case) -> String {
    let ends = Ends::of(case);
    let [local, remote] = ends.theirs;
    let host = if local.contains(':') { 128 } else { 32 };
    let mode = if case.tunnel { "tunnel" } else { "transport" };
    let inside = match case.tunnel {
        true => format!("\tleftsubnet={local}/{host}\n\trightsubnet={remote}/{host}\n"),
        false => String::new(),
    };
    let ports = match case.ports {
        true => format!("\tleftprotoport=tcp/{ECHO}\n\trightprotoport=tcp\n"),
        false => String::new(),
    };
    let esn = if case.esn() { "yes" } else { "no" };
    let (ike, esp) = (words(case.ike), words(case.algorithms()));
    let (them, us) = (ends.them, ends.us_seen);
    format!(
        "conn net
\tleft={them}
\tright={us}
\tleftid=@{THEIR_ID}
\trightid=@{OUR_ID}
\tauthby=secret
\tikev2=insist
\ttype={mode}
\tike={ike}
\tesp={esp}
\tesn={esn}
\tpfs=no
\tleftupdown=%disabled
\tauto=add
{inside}{ports}"
    )
}

/// Algorithms as it writes them.
fn words(ours: &str) -> String {
    let word = |word: &str| {
        match word {
            "aes128gcm16" => "aes_gcm128",
            "aes256gcm16" => "aes_gcm256",
            "chacha20poly1305" => "chacha20_poly1305",
            "sha256" | "prfsha256" => "sha2_256",
            "sha384" | "prfsha384" => "sha2_384",
            "sha512" | "prfsha512" => "sha2_512",
            "x25519" => "dh31",
            "ecp256" => "dh19",
            "ecp384" => "dh20",
            other => other,
        }
        .to_owned()
    };
    ours.split('-').map(word).collect::<Vec<_>>().join("-")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn its_words() {
        assert_eq!(
            words("aes128gcm16-prfsha256-x25519"),
            "aes_gcm128-sha2_256-dh31"
        );
        assert_eq!(words("aes256-sha512"), "aes256-sha2_512");
    }
}
