//! Libreswan in the guest. Its package conflicts with strongSwan's, so it runs from a folder.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::folder;
use crate::guest::Guest;
use crate::holdfast::{Key, PSK};
use crate::peers::case::{Case, OUR_ID, Ports, Proof, Rekeys, THEIR_ID, Version};
use crate::peers::foreign::{Foreign, crash};
use crate::peers::ground::{ECHO, Ends};
use crate::peers::papers::{PASSWORD, Papers, Side};

/// Where `cargo xtask packages` has unpacked it, with its libraries and an empty NSS database.
const UNPACKED: &str = "target/debian/libreswan";
/// It insists on its helpers in this folder, which the host does not have.
const HELPERS: &str = "/usr/libexec/ipsec";
const SOCKET: &str = "/run/pluto/pluto.ctl";
const LOG: &str = "libreswan.log";

/// With IKEv1 it asks us often whether we are there.
const DPD: &str = "\tdpddelay=1\n\tdpdtimeout=6\n\tdpdaction=clear\n";
/// It says so whenever it begins a main mode, also to rekey one.
const CONTACT: &str = "\tinitial-contact=yes\n";

/// In this time its keys are old: it begins so many seconds before.
const CLOCK: &str = "\tsalifetime=11\n\tikelifetime=13\n\trekeymargin=6\n\trekeyfuzz=0%\n";

/// Its files are in a folder that the guest shares.
pub(crate) struct Libreswan {
    tree: String,
    folder: PathBuf,
}

impl Libreswan {
    /// Writes its key, and puts its certificates into a database.
    pub(crate) fn new(folder: &Path, papers: &Papers) -> Result<Self, String> {
        let tree = std::fs::canonicalize(UNPACKED)
            .map_err(|why| format!("{UNPACKED}: {why}; `cargo xtask packages` unpacks it there"))?;
        folder::write(&folder.join("ipsec.secrets"), &format!(": PSK \"{PSK}\"\n"))?;
        let libreswan = Libreswan {
            tree: tree.display().to_string(),
            folder: folder.to_owned(),
        };
        libreswan.import(papers)?;
        Ok(libreswan)
    }

    /// Makes the database: the empty one, and each certificate with its key and its authority,
    /// which is to be trusted.
    fn import(&self, papers: &Papers) -> Result<(), String> {
        let (tree, database) = (&self.tree, self.folder.join("nss"));
        let at = format!("-d sql:{}", database.display());
        let mut script = format!("cp -r {tree}/nss {}\n", database.display());
        for proof in Proof::BY_CERTIFICATE {
            let bundle = papers.file(proof, Side::Them, "p12");
            let authority = papers.authority(proof);
            let (bundle, authority) = (bundle.display(), authority.display());
            let name = Papers::name(proof, Side::Them);
            script += &format!(
                "{tree}/usr/bin/certutil -A {at} -n {name}-authority -t CT,, -i {authority}\n\
                 {tree}/usr/bin/pk12util -i {bundle} {at} -W {PASSWORD} -K ''\n\
                 {tree}/usr/bin/certutil --rename {at} -n CN={name} --new-n {name}\n"
            );
        }
        let output = Command::new("sh")
            .args(["-ec", &script])
            .env("LD_LIBRARY_PATH", libraries(tree)?)
            .output()
            .map_err(|why| format!("sh cannot be started: {why}"))?;
        match output.status.success() {
            true => Ok(()),
            false => Err(format!(
                "the certificates cannot be imported: {}",
                String::from_utf8_lossy(&output.stderr).trim()
            )),
        }
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
            "rm -rf /run/pluto /run/nss; mkdir -p /run/pluto; cp -r {folder}/nss /run/nss; \
             printf 'config setup\\n\\tdnssec-enable=no\\n\\tikev1-policy=accept\\n' \
             >/run/pluto/ipsec.conf"
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

    fn delete_child(&self, guest: &mut Guest) -> Result<(), String> {
        // `#2: "net":500 STATE_V2_ESTABLISHED_CHILD_SA ...`
        let states = self.whack(guest, "--showstates")?;
        let child = states
            .lines()
            .find(|line| line.contains("ESTABLISHED_CHILD_SA") || line.contains("STATE_QUICK_"))
            .and_then(|line| line.split_once('#')?.1.split(':').next())
            .ok_or_else(|| format!("it has no child SA: {states}"))?;
        self.whack(guest, &format!("--deletestate {child}"))
            .map(drop)
    }

    fn crash(&self, guest: &mut Guest) -> Result<(), String> {
        crash(guest, &format!("{HELPERS}/pluto"))
    }

    fn log(&self) -> &'static str {
        LOG
    }
}

/// The folder of its libraries: one for each kind of processor.
fn libraries(tree: &str) -> Result<PathBuf, String> {
    let above = Path::new(tree).join("usr/lib");
    let entries = std::fs::read_dir(&above).map_err(|why| format!("{}: {why}", above.display()))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    paths
        .find(|path| path.to_string_lossy().ends_with("-linux-gnu"))
        .ok_or_else(|| format!("{} has no libraries", above.display()))
}

fn connection(case: &Case) -> String {
    let ends = Ends::of(case);
    let [local, remote] = ends.theirs;
    let host = if local.contains(':') { 128 } else { 32 };
    let mode = case.mode();
    let inside = match case.tunnel {
        true => format!("\tleftsubnet={local}/{host}\n\trightsubnet={remote}/{host}\n"),
        false => String::new(),
    };
    let ports = match case.ports {
        Ports::All => String::new(),
        _ => format!("\tleftprotoport=tcp/{ECHO}\n\trightprotoport=tcp\n"),
    };
    let esn = if case.esn() { "yes" } else { "no" };
    let (ike, esp) = (words(case.ike), words(case.algorithms()));
    let pfs = if case.group().is_some() { "yes" } else { "no" };
    let (version, more) = match case.version {
        Version::V2 => ("insist", ""),
        _ => ("no", DPD),
    };
    let clock = match (case.version, case.rekeys) {
        (Version::V2, _) => "",
        (_, Rekeys::ByItsClock) => CLOCK,
        _ => CONTACT,
    };
    let (by, cert) = match (case.proof, case.version) {
        (Proof::Psk | Proof::PskSecond, _) => ("secret", String::new()),
        (Proof::Ecdsa, _) => ("ecdsa", certificate(case.proof)),
        (Proof::Rsa, Version::V2) => ("rsa-sha2", certificate(case.proof)),
        (Proof::Rsa | Proof::RsaSecond, _) => ("rsasig", certificate(case.proof)),
    };
    let (them, us) = (ends.them, ends.us_seen);
    format!(
        "conn net
\tleft={them}
\tright={us}
\tleftid=@{THEIR_ID}
\trightid=@{OUR_ID}
\tauthby={by}
\tikev2={version}
\ttype={mode}
\tike={ike}
\tesp={esp}
\tesn={esn}
\tpfs={pfs}
\tleftupdown=%disabled
\tauto=add
{more}{clock}{cert}{inside}{ports}"
    )
}

/// The name of its certificate in the database, which it sends whether it is asked or not.
fn certificate(proof: Proof) -> String {
    let name = Papers::name(proof, Side::Them);
    format!("\tleftcert={name}\n\tleftsendcert=always\n")
}

/// Algorithms as it writes them.
fn words(ours: &str) -> String {
    let word = |word: &str| {
        match word {
            "prfsha1" => "sha1",
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
