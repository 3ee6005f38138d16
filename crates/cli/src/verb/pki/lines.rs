//! What to paste where: the policy file, swanctl.conf, a Windows machine.

use pki::{Identity, Made};
use std::path::{Path, absolute};

/// What a new certificate needs in configurations.
pub(crate) struct Lines {
    /// For the policy file.
    pub(crate) holdfast: String,
    /// For swanctl.conf of the other side.
    pub(crate) swanctl: String,
    holdfast_title: &'static str,
    swanctl_title: String,
    windows: Option<String>,
}

/// The text of a TOML string: paths may have anything in them.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            letter if letter.is_control() => quoted += &format!("\\u{:04X}", u32::from(letter)),
            letter => quoted.push(letter),
        }
    }
    quoted + "\""
}

fn path(path: &Path) -> String {
    let whole = absolute(path).unwrap_or_else(|_| path.to_owned());
    quoted(&whole.display().to_string())
}

fn file_name(path: &Path) -> String {
    let name = path.file_name().unwrap_or_default();
    name.to_string_lossy().into_owned()
}

impl Lines {
    /// For a node of ours: it proves itself with the certificate, the other side checks it.
    pub(crate) fn of_node(made: &Made, authority: &Path, id: &Identity) -> Self {
        Self {
            holdfast: format!(
                "auth = \"certificate\"\ncertificate = {}\nprivate_key = {}\nauthorities = [{}]\n\
                 local_id = {}\n",
                path(&made.certificate),
                path(&made.key),
                path(authority),
                quoted(&id.to_string())
            ),
            swanctl: format!(
                "remote {{\n    auth = pubkey\n    id = {id}\n    cacerts = {}\n}}\n",
                file_name(authority)
            ),
            holdfast_title: "In this node's policy file, in its [[peer]]:",
            swanctl_title: format!(
                "In swanctl.conf of a strongSwan peer, with {} in /etc/swanctl/x509ca:",
                file_name(authority)
            ),
            windows: made
                .bundle
                .as_deref()
                .map(|bundle| windows(bundle, authority)),
        }
    }

    /// For a peer: we check it, and it proves itself with the certificate.
    pub(crate) fn of_peer(made: &Made, authority: &Path, id: &Identity) -> Self {
        let (certificate, key) = (file_name(&made.certificate), file_name(&made.key));
        Self {
            holdfast: format!("remote_id = {}\n", quoted(&id.to_string())),
            swanctl: format!(
                "local {{\n    auth = pubkey\n    certs = {certificate}\n    id = {id}\n}}\n"
            ),
            holdfast_title: "In our policy file, in the peer's [[peer]], beside the lines that \
                             `pki node` has printed:",
            swanctl_title: format!(
                "In the peer's swanctl.conf, if it is strongSwan, with {certificate} in \
                 /etc/swanctl/x509, {key} in /etc/swanctl/private and {} in /etc/swanctl/x509ca:",
                file_name(authority)
            ),
            windows: made
                .bundle
                .as_deref()
                .map(|bundle| windows(bundle, authority)),
        }
    }

    /// All of it, for people.
    pub(crate) fn text(&self) -> String {
        let mut text = format!("\n{}\n\n{}", self.holdfast_title, indented(&self.holdfast));
        text += &format!("\n{}\n\n{}", self.swanctl_title, indented(&self.swanctl));
        if let Some(windows) = &self.windows {
            text += &format!("\nOn Windows, in PowerShell as administrator:\n\n{windows}");
        }
        text.trim_end().to_owned()
    }
}

fn windows(bundle: &Path, authority: &Path) -> String {
    indented(&format!(
        "Import-PfxCertificate -FilePath {} -CertStoreLocation Cert:\\LocalMachine\\My -Password \
         (Read-Host -AsSecureString)\nImport-Certificate -FilePath {} -CertStoreLocation \
         Cert:\\LocalMachine\\Root\n",
        file_name(bundle),
        file_name(authority)
    ))
}

/// What a new list needs.
pub(crate) fn of_list(list: &str) -> String {
    format!(
        "\nIn policy files, beside `authorities`; then `holdfast reload`:\n\n    crls = [{}]\n\n\
         For strongSwan copy it to /etc/swanctl/x509crl and run `swanctl --load-creds`.",
        quoted(list)
    )
}

fn indented(lines: &str) -> String {
    lines.lines().map(|line| format!("    {line}\n")).collect()
}
