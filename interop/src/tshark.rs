//! `tshark`: what the lab captured can be read with the key tables that its daemons wrote, and not
//! without them.

pub(crate) mod hybrid;
mod reader;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::folder;
use crate::holdfast;
use crate::table::Table;
pub(crate) use reader::Reader;

const PEER: &str = "tshark";
/// tshark 4.0 reads ESP with AES-CBC; of AES-GCM it takes the ICV for payload, and of 64-bit
/// sequence numbers, whose upper half is under the ICV too, it knows nothing.
const ESP: &str = "aes256-sha256-noesn";

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
