//! A configuration with one peer and one rule, which is called `net`.

use crate::holdfast::PSK;

/// What is in it. Names and values are those of the configuration file.
#[derive(Clone, Debug)]
pub(crate) struct Rules<'a> {
    /// The peer's name.
    pub(crate) name: &'a str,
    pub(crate) address: &'a str,
    /// Ours and the peer's.
    pub(crate) ids: [&'a str; 2],
    /// How both prove who they are, and more of the peer: whole lines.
    pub(crate) proof: String,
    pub(crate) ike: &'a str,
    /// What is protected: our side, the peer's side.
    pub(crate) inside: [&'a str; 2],
    pub(crate) mode: &'a str,
    pub(crate) esp: &'a str,
    /// More of the rule: whole lines.
    pub(crate) more: String,
}

/// The proof by the pre-shared key of the tests.
pub(crate) fn by_psk() -> String {
    format!("psk = \"{PSK}\"\n")
}

/// The proof by certificates: our chain, its key, and who vouches for the peer.
pub(crate) fn by_certificate(chain: &str, key: &str, authority: &str) -> String {
    format!(
        "auth = \"certificate\"\ncertificate = \"{chain}\"\nprivate_key = \"{key}\"\n\
         authorities = \"{authority}\"\n"
    )
}

impl Rules<'_> {
    /// The text of the file.
    pub(crate) fn text(&self) -> String {
        let Rules {
            name,
            address,
            ids: [local_id, remote_id],
            proof,
            ike,
            inside: [local, remote],
            mode,
            esp,
            more,
        } = self;
        format!(
            "[[peer]]
name = \"{name}\"
address = \"{address}\"
{proof}local_id = \"{local_id}\"
remote_id = \"{remote_id}\"
ike_proposals = \"{ike}\"

[[rule]]
name = \"net\"
action = \"require\"
local = \"{local}\"
remote = \"{remote}\"
mode = \"{mode}\"
peer = \"{name}\"
esp_proposals = \"{esp}\"
{more}"
        )
    }
}
