//! What we allow (SPD), whom we trust (PAD), what was agreed ([`sa::SaSpec`]). Pure: no clock, no
//! files, no randomness (RFC 4301 section 4.4).
//!
//! - [`selector`], [`range`], [`protocol`]: one side of a flow, and both; [`narrowing`] of them.
//! - [`rule`], [`entry`], [`spd`], [`order`], [`exemption`]: what happens to a packet.
//! - [`explain`](mod@explain), [`difference`], [`lint`]: why it happens, and what looks wrong.
//! - [`pad`], [`identity`], [`auth`], [`psk`]: peers, who they are, how they prove it, how strong
//!   their key is.
//! - [`child`], [`proposal`], [`proposal_text`], [`bad_proposal`], [`timers`], [`profile`]: what we
//!   ask for; [`version`], [`admission`]: and of whom.
//! - [`sa`]: a CHILD SA pair as IKE hands it to ESP.
//! - [`names`], [`suggest`]: names that people give, and mistype.
#![forbid(unsafe_code)]

pub mod additional;
pub mod admission;
pub mod auth;
pub mod bad_proposal;
pub mod child;
pub mod difference;
pub mod entry;
pub mod exemption;
pub mod explain;
pub mod identity;
pub mod kerberos;
pub mod lint;
pub mod names;
pub mod narrowing;
pub mod order;
pub mod pad;
pub mod ppk;
pub mod profile;
pub mod proposal;
pub mod proposal_text;
pub mod protocol;
pub mod psk;
pub mod range;
pub mod rule;
pub mod sa;
pub mod selector;
pub mod spd;
pub mod suggest;
pub mod timers;
pub mod version;

pub use additional::{Additional, AdditionalOffer};
pub use auth::{Alternative, Auth, Credential, LocalAuth, Method, RemoteAuth};
pub use child::{ChildTemplate, Mode};
pub use crypto::secret::Secret;
pub use entry::Entry;
pub use exemption::{Exemption, Exemptions};
pub use identity::Identity;
pub use kerberos::{KerberosKey, Principal, PrincipalPattern};
pub use names::{PeerName, RuleName};
pub use pad::{Claim, IkePort, IkeTemplate, NoPeer, Pad, Peer, PeerDifference, Tcp};
pub use proposal::{EspProposal, EspSuite, IkeProposal, IkeSuite};
pub use range::{AddressRange, PortRange};
pub use rule::{Action, AddressSpec, Directions, Filter, Negotiate, Origin, Rule, Soft};
pub use sa::{Bucket, ChildId, Encapsulation, Hosts, KeyMaterial, SaSpec, Translation, Transport};
pub use selector::{Direction, SelectorPair, Selectors, TrafficSelector};
pub use spd::{ChildRule, Match, Spd, Verdict};
pub use timers::{ChildLifetime, IkeLifetime, Liveness, Retransmission, Timers};
pub use version::{IkeVersion, Legacy};
pub use wire::ip::Flow;
