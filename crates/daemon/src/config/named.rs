//! What has a name of its own in a policy file: the objects of Windows, read and checked.

use std::net::IpAddr;
use std::ops::Range;
use std::time::Duration;

use netsh::authentication::Authentication;
use netsh::model::{BootMode, Connections, FilterList};
use policy::{Action, EspProposal, IkeProposal, PeerName};

/// `[policy]`: the policy as a whole, and what its main mode is like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PolicyObject {
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// Each pair is to have an IKE SA of its own.
    pub master_pfs: bool,
    /// Pairs of one IKE SA; 0 for any number.
    pub session_limit: u32,
    /// Where one of the two stands.
    pub(crate) limit_span: Range<usize>,
    /// How often Windows looks for changes; kept for it.
    pub polling_interval: Duration,
    /// The level of default exemptions; `None` when the file says nothing.
    pub exemptions: Option<u8>,
    /// Where that stands.
    pub(crate) exemptions_span: Range<usize>,
    /// What holds before the policy does; `None` when the file says nothing.
    pub boot_mode: Option<BootMode>,
    /// Algorithms of IKE for peers that name none.
    pub ike_proposals: Option<(Vec<IkeProposal>, Range<usize>)>,
    /// Lifetime of IKE SAs for peers that name none.
    pub rekey: Option<Duration>,
}

impl Default for PolicyObject {
    fn default() -> Self {
        PolicyObject {
            name: "holdfast".to_owned(),
            description: String::new(),
            master_pfs: false,
            session_limit: 0,
            limit_span: 0..0,
            polling_interval: Duration::from_secs(180 * 60),
            exemptions: None,
            exemptions_span: 0..0,
            boot_mode: None,
            ike_proposals: None,
            rekey: None,
        }
    }
}

impl PolicyObject {
    /// How many pairs an SA of IKEv1 may make; 0 for any number.
    pub(crate) fn quick_modes(&self) -> u32 {
        match self.master_pfs {
            true => 1,
            false => self.session_limit,
        }
    }
}

/// `[[filter_action]]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAction {
    /// Its name.
    pub name: String,
    /// Words about it.
    pub description: String,
    /// What it does.
    pub action: Action,
    /// The proposals that it names and where: whether peers may have them is not known here.
    pub proposals: Option<(Vec<EspProposal>, Range<usize>)>,
    /// Whether it says after which idle time a pair goes.
    pub has_idle: bool,
}

/// A rule as it stands in the file, beside what it became.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuleObject {
    /// What it became.
    pub rule: policy::Rule,
    /// Words about it.
    pub description: String,
    /// Its filter list, if it refers to one.
    pub filter_list: Option<String>,
    /// Its filter action, if it refers to one.
    pub filter_action: Option<String>,
    /// The other end of the tunnel, if the rule names it.
    pub tunnel: Option<IpAddr>,
    /// On which connections it was meant to hold.
    pub connections: Connections,
    /// Whether it holds.
    pub active: bool,
}

/// How a peer may prove itself, in order, in the words of Windows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PeerObject {
    /// The peer.
    pub name: PeerName,
    /// The list; `None` for what Windows does not know.
    pub authentication: Option<Vec<Authentication>>,
}

/// `[default_response]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DefaultResponse {
    /// Whether it holds.
    pub active: bool,
    /// The proposals that it names.
    pub proposals: Option<Vec<EspProposal>>,
    /// What it accepts, from whom.
    pub rule: policy::Rule,
}

/// Everything that has a name of its own in the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Objects {
    /// The policy.
    pub policy: PolicyObject,
    /// Filter lists.
    pub filter_lists: Vec<FilterList>,
    /// Filter actions.
    pub filter_actions: Vec<NamedAction>,
    /// Rules, those that do not hold among them.
    pub rules: Vec<RuleObject>,
    /// Peers.
    pub peers: Vec<PeerObject>,
    /// The default response rule.
    pub default_response: Option<DefaultResponse>,
}

impl Objects {
    /// The filter list of this name.
    #[must_use]
    pub fn list(&self, name: &str) -> Option<&FilterList> {
        self.filter_lists.iter().find(|list| list.name == name)
    }

    /// The filter action of this name.
    #[must_use]
    pub fn action(&self, name: &str) -> Option<&NamedAction> {
        self.filter_actions
            .iter()
            .find(|action| action.name == name)
    }
}
