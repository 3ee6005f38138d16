//! One question, one answer: the lines that travel over the control socket.

use crate::dynamic::DynamicChange;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The longest request in bytes, its line break included.
pub const MAX_REQUEST: usize = 256 * 1024;

/// The version of this contract; it grows when a field changes its meaning or goes.
pub const SCHEMA: u32 = 1;

/// What a client may ask of a running daemon.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Everything: SAs, rules, plane, counters. Answer: [`crate::Status`].
    Status,
    /// SAs of main mode and IKE SAs, and IKE's statistics. Answer: [`crate::MainMode`].
    MainMode,
    /// Pairs of SAs of quick mode, and ESP's statistics. Answer: [`crate::QuickMode`].
    QuickMode,
    /// What happens to a packet, and why. Answer: [`crate::Explanation`].
    Explain {
        /// `ADDRESS:PORT` or `[ADDRESS]:PORT`; port 0 stands for none.
        source: String,
        /// As `source`.
        destination: String,
        /// A protocol's name or IANA number.
        protocol: String,
    },
    /// Nodes and groups. Answer: [`crate::ClusterStatus`].
    ClusterStatus,
    /// Who moved what, when and why, as this member knows it. Answer: [`crate::History`].
    ClusterHistory {
        /// So many of the latest; all that are remembered when absent.
        last: Option<u32>,
    },
    /// Moves a group to another node, planned; answered when it has arrived.
    ClusterMove {
        /// The group's name.
        group: String,
        /// The node's name; any other node that may own it when absent.
        to: Option<String>,
    },
    /// This node takes nothing over until it is resumed; what it owns it keeps.
    ClusterPause,
    /// Ends a pause.
    ClusterResume,
    /// Reads the configuration file again: all of it is applied, or nothing.
    Reload,
    /// Changes dynamic rules: all of it is applied, or nothing. Answer: [`crate::DynamicChanged`].
    DynamicChange(DynamicChange),
    /// The dynamic rules. Answer: [`crate::DynamicRules`].
    DynamicShow,
    /// Negotiates the SAs of a rule now, without waiting for a packet.
    SaInitiate {
        /// The rule's name.
        rule: String,
    },
    /// Rekeys SAs now: every CHILD_SA of a rule, or the IKE SAs of a peer.
    SaRekey {
        /// The rule whose CHILD_SAs are rekeyed.
        rule: Option<String>,
        /// The peer whose IKE SAs are rekeyed.
        peer: Option<String>,
    },
    /// Sends peers to another gateway (RFC 5685); answered when all that know how have confirmed it
    /// or are gone.
    SaRedirect {
        /// The peer; every peer when absent.
        peer: Option<String>,
        /// The IP address of the other gateway.
        to: std::net::IpAddr,
    },
    /// Deletes SAs now, telling the peer: every CHILD_SA of a rule, or all of a peer.
    SaDelete {
        /// The rule whose CHILD_SAs are deleted.
        rule: Option<String>,
        /// The peer whose IKE SAs, with all below them, are deleted.
        peer: Option<String>,
    },
}

/// What comes back.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reply {
    /// [`SCHEMA`].
    pub schema: u32,
    /// The daemon's version.
    pub version: String,
    /// The answer, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<Value>,
    /// Why there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<Failure>,
}

impl Reply {
    /// An answer.
    #[must_use]
    pub fn success(result: Value) -> Self {
        Self {
            schema: SCHEMA,
            version: version(),
            result: Some(result),
            error: None,
        }
    }

    /// A refusal; `message` is a sentence: what happened, why, what to do.
    #[must_use]
    pub fn failure(code: ErrorCode, message: impl Into<String>) -> Self {
        let error = Failure {
            code,
            message: message.into(),
        };
        Self {
            schema: SCHEMA,
            version: version(),
            result: None,
            error: Some(error),
        }
    }
}

fn version() -> String {
    env!("CARGO_PKG_VERSION").to_owned()
}

/// Why a request was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Failure {
    /// For programs.
    pub code: ErrorCode,
    /// For people: a sentence or more.
    pub message: String,
}

/// The classes of failure; each is an exit code of the command line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ErrorCode {
    /// It was tried and did not work.
    Failed,
    /// The request makes no sense.
    Usage,
    /// No daemon answers.
    NotRunning,
    /// The operating system refused.
    NoPermission,
    /// There is no such rule, peer, group or node.
    NotFound,
    /// It took too long.
    Timeout,
    /// The peer refused.
    RefusedByPeer,
    /// Some of it was done.
    PartlyDone,
}

impl ErrorCode {
    /// The exit code of the command line: 1 to 8.
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotRunning => 3,
            Self::NoPermission => 4,
            Self::NotFound => 5,
            Self::Timeout => 6,
            Self::RefusedByPeer => 7,
            Self::PartlyDone => 8,
        }
    }
}
