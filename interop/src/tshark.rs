//! `tshark`: what the lab captured can be read with the key tables that its daemons wrote, and not
//! without them.

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::folder;
use crate::holdfast;
use crate::table::Table;

const PEER: &str = "tshark";
/// tshark 4.0 reads ESP with AES-CBC; of AES-GCM it takes the ICV for payload, and of 64-bit
/// sequence numbers, whose upper half is under the ICV too, it knows nothing.
const ESP: &str = "aes256-sha256-noesn";
/// The exchange that must be readable.
const IKE_AUTH: &str = "isakmp.exchangetype == 35";

/// Runs the lab, or reads what a lab has left in `given`, and decrypts it.
pub(crate) fn run(out: &Path, given: Option<&Path>) -> Result<(), String> {
    let folder = folder::results(out, "tshark")?;
    let lab = match given {
        Some(given) => given.to_owned(),
        None => capture(&folder)?,
    };
    let protect = lab.join("protect");
    let reader = Reader {
        pcap: protect.join("fe.pcap"),
        keys: protect.join("logs").join("keys").join("fe"),
        none: folder.join("no-keys"),
    };
    std::fs::create_dir_all(&reader.none).map_err(|why| why.to_string())?;
    let mut table = Table::new("tshark");
    table.add("IKE_AUTH exchanges in clear", PEER, reader.ike());
    table.add(
        "ESP packets with the right ICV, their TCP and UDP inside",
        PEER,
        reader.esp(),
    );
    for (what, filter) in [
        ("a POP3 password", "pop.request.command == \"PASS\""),
        (
            "a mail over POP3",
            "pop.response.description contains \"octets\"",
        ),
        ("an IMAP login", "imap.request contains \"LOGIN\""),
        ("POP3 over IPv6", "ipv6 && pop"),
    ] {
        table.add(what, PEER, reader.only_with_keys(filter));
    }
    table.finish(&folder)
}

/// Has the lab protect its mail with a cipher that tshark reads.
fn capture(folder: &Path) -> Result<PathBuf, String> {
    let program = holdfast::build()?;
    let lab = folder.join("lab");
    let mut command = Command::new(program);
    command.args([
        "lab",
        "protect",
        "--keys",
        "--quiet",
        "--builtin-mail",
        "--esp",
        ESP,
        "--out",
    ]);
    let output = command
        .arg(&lab)
        .output()
        .map_err(|why| format!("holdfast lab cannot be started: {why}"))?;
    match output.status.success() {
        true => Ok(lab),
        false => {
            let errors = String::from_utf8_lossy(&output.stderr);
            Err(format!("`holdfast lab protect` failed: {}", errors.trim()))
        }
    }
}

/// One capture, with its keys and without.
struct Reader {
    pcap: PathBuf,
    keys: PathBuf,
    none: PathBuf,
}

impl Reader {
    /// Every IKE_AUTH message is decrypted, and both sides say in it who they are.
    fn ike(&self) -> Result<String, String> {
        let all = self.count(IKE_AUTH, &self.keys)?;
        let identities = format!("{IKE_AUTH} && isakmp.id.type && isakmp.auth.data");
        let open = self.count(&identities, &self.keys)?;
        let shut = self.count(&identities, &self.none)?;
        match all > 0 && open == all && shut == 0 {
            true => Ok(format!("{open} of {all} messages; without keys {shut}")),
            false => Err(format!("{open} of {all} messages; without keys {shut}")),
        }
    }

    /// Every ESP packet is authentic and has something inside.
    fn esp(&self) -> Result<String, String> {
        let all = self.count("esp", &self.keys)?;
        let open = self.count("esp.icv_good == 1 && (tcp || udp)", &self.keys)?;
        let bad = self.count("esp.icv_bad == 1", &self.keys)?;
        let shut = self.count("esp && (tcp || udp)", &self.none)?;
        let figure = format!("{open} of {all}, {bad} bad; without keys {shut}");
        match all > 0 && open == all && bad == 0 && shut == 0 {
            true => Ok(figure),
            false => Err(figure),
        }
    }

    /// Something can be read, and cannot be read without keys.
    fn only_with_keys(&self, filter: &str) -> Result<String, String> {
        let (open, shut) = (
            self.count(filter, &self.keys)?,
            self.count(filter, &self.none)?,
        );
        match open > 0 && shut == 0 {
            true => Ok(format!("{open} frames; without keys none")),
            false => Err(format!("{open} frames; without keys {shut}")),
        }
    }

    /// How many frames a display filter lets through.
    fn count(&self, filter: &str, keys: &Path) -> Result<usize, String> {
        let output = Command::new("tshark")
            .args(["-o", "esp.enable_encryption_decode:TRUE"])
            .args(["-o", "esp.enable_authentication_check:TRUE"])
            .args(["-T", "fields", "-e", "frame.number", "-Y", filter, "-r"])
            .arg(&self.pcap)
            .env("WIRESHARK_CONFIG_DIR", keys)
            .output()
            .map_err(|why| format!("tshark cannot be started: {why}"))?;
        match output.status.success() {
            true => Ok(String::from_utf8_lossy(&output.stdout).lines().count()),
            false => {
                let errors = String::from_utf8_lossy(&output.stderr);
                let last = errors.lines().last().unwrap_or_default();
                Err(format!("tshark: {last}"))
            }
        }
    }
}
