//! tshark, which reads a capture with key tables and without.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The exchange that must be readable.
const IKE_AUTH: &str = "isakmp.exchangetype == 35";

/// One capture, with its keys and without.
pub(crate) struct Reader {
    pub(crate) pcap: PathBuf,
    /// Folders of tables, in one of which there are none.
    pub(crate) keys: PathBuf,
    pub(crate) none: PathBuf,
}

impl Reader {
    /// Every IKE_AUTH message is decrypted, and both sides say in it who they are.
    pub(crate) fn ike(&self) -> Result<String, String> {
        let all = self.count(IKE_AUTH, &self.keys)?;
        let identities = format!("{IKE_AUTH} && isakmp.id.type && isakmp.auth.data");
        let open = self.count(&identities, &self.keys)?;
        let shut = self.count(&identities, &self.none)?;
        match all > 0 && open == all && shut == 0 {
            true => Ok(format!("{open} of {all} messages; without keys {shut}")),
            false => Err(format!("{open} of {all} messages; without keys {shut}")),
        }
    }

    /// Every message of IKEv1 is well-formed, and every one that is encrypted is opened. For one
    /// that is sent again tshark takes the wrong IV.
    pub(crate) fn isakmp(&self) -> Result<String, String> {
        let fields = [
            "udp.payload",
            "isakmp.flag_e",
            "isakmp.hash",
            "_ws.malformed",
        ];
        let mut seen = BTreeSet::new();
        let mut all = self.fields("isakmp", &fields, &self.keys)?;
        all.retain(|row| seen.insert(row.first().cloned()));
        let has = |row: &&Vec<String>, at: usize| row.get(at).is_some_and(|text| !text.is_empty());
        let bad = all.iter().filter(|row| has(row, 3)).count();
        let shut = || {
            all.iter()
                .filter(|row| row.get(1).is_some_and(|flag| flag == "1"))
        };
        let open = shut().filter(|row| has(row, 2)).count();
        let without = self.count("isakmp.flag_e == 1 && isakmp.hash", &self.none)?;
        let (all, shut) = (all.len(), shut().count());
        let figure = format!(
            "{all} messages of IKE, {bad} malformed, {open} of {shut} opened; without keys \
             {without}"
        );
        match shut > 0 && open == shut && bad + without == 0 {
            true => Ok(figure),
            false => Err(figure),
        }
    }

    /// Every ESP packet is authentic and has something inside.
    pub(crate) fn esp(&self) -> Result<String, String> {
        let all = self.count("esp", &self.keys)?;
        let inside = "esp.icv_good == 1 && (tcp || udp || icmp)";
        let open = self.count(inside, &self.keys)?;
        let bad = self.count("esp.icv_bad == 1", &self.keys)?;
        let shut = self.count("esp && (tcp || udp)", &self.none)?;
        let figure = format!("{open} of {all}, {bad} bad; without keys {shut}");
        match all > 0 && open == all && bad == 0 && shut == 0 {
            true => Ok(figure),
            false => Err(figure),
        }
    }

    /// Something can be read, and cannot be read without keys.
    pub(crate) fn only_with_keys(&self, filter: &str) -> Result<String, String> {
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
    pub(crate) fn count(&self, filter: &str, keys: &Path) -> Result<usize, String> {
        Ok(self.fields(filter, &["frame.number"], keys)?.len())
    }

    /// The fields of every frame that a display filter lets through.
    pub(crate) fn fields(
        &self,
        filter: &str,
        fields: &[&str],
        keys: &Path,
    ) -> Result<Vec<Vec<String>>, String> {
        let mut command = Command::new("tshark");
        command
            .args(["-o", "esp.enable_encryption_decode:TRUE"])
            .args(["-o", "esp.enable_authentication_check:TRUE"])
            .args(["-T", "fields", "-Y", filter]);
        for field in fields {
            command.args(["-e", field]);
        }
        let output = command
            .arg("-r")
            .arg(&self.pcap)
            .env("WIRESHARK_CONFIG_DIR", keys)
            .output()
            .map_err(|why| format!("tshark cannot be started: {why}"))?;
        match output.status.success() {
            true => {
                let said = String::from_utf8_lossy(&output.stdout);
                let line = |line: &str| line.split('\t').map(str::to_owned).collect();
                Ok(said.lines().map(line).collect())
            }
            false => {
                let errors = String::from_utf8_lossy(&output.stderr);
                let last = errors.lines().last().unwrap_or_default();
                Err(format!("tshark: {last}"))
            }
        }
    }
}
