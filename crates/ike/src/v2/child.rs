//! Negotiation of a child SA pair: offer, answer, acceptance (RFC 7296 sections 1.3.1 and 2.9).

use crypto::{DhKeyPair, Group, Secret};
use policy::child::{ChildTemplate, Mode};
use policy::names::PeerName;
use policy::narrowing;
use policy::proposal::EspSuite;
use policy::sa::Hosts;
use policy::selector::{Direction, SelectorPair, Selectors};
use wire::ike::{KePayload, Nonce, Notify, NotifyType, Payload, SaPayload};

use crate::command::Acquire;
use crate::config::ChildRule;
use crate::context::Context;
use crate::error::{Error, Incompatible, Misbehaved, SelectorRefusal};
use crate::pair::Agreed;
use crate::path::{Nat, Path};
use crate::v2::contents::Contents;
use crate::v2::secrets::{Followups, is_complete};
use crate::v2::{proposal, selectors};

/// Which exchange negotiates: IKE_AUTH has neither nonces nor groups for the child (section 1.2).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Within {
    IkeAuth,
    CreateChildSa,
}

/// A pair that we asked for.
pub(crate) struct ChildOffer {
    pub(crate) acquire: Acquire,
    pub(crate) inbound_spi: u32,
    /// Our nonce; empty in IKE_AUTH.
    pub(crate) nonce: Vec<u8>,
    pub(crate) dh: Option<DhKeyPair>,
    pub(crate) followups: Followups,
    within: Within,
}

impl ChildOffer {
    /// Prepares an offer; `group` is the one that the peer asked for instead of our first.
    pub(crate) fn new(
        acquire: Acquire,
        within: Within,
        group: Option<Group>,
        ctx: &mut Context<'_>,
    ) -> Self {
        let (mut nonce, mut dh) = (Vec::new(), None);
        if within == Within::CreateChildSa {
            nonce = ctx.nonce();
            let first = acquire
                .child
                .proposals
                .iter()
                .find_map(|one| one.groups.first().copied());
            let group = group.or(first);
            dh = group.and_then(|group| DhKeyPair::generate(group, ctx.random).ok());
        }
        ChildOffer {
            inbound_spi: ctx.reserve_esp(acquire.local),
            acquire,
            nonce,
            dh,
            followups: Followups::default(),
            within,
        }
    }

    /// The offer of a CREATE_CHILD_SA request that another member of the cluster made.
    pub(crate) fn again(
        acquire: Acquire,
        inbound_spi: u32,
        nonce: Vec<u8>,
        dh: Option<DhKeyPair>,
        followups: Followups,
    ) -> Self {
        ChildOffer {
            acquire,
            inbound_spi,
            nonce,
            dh,
            followups,
            within: Within::CreateChildSa,
        }
    }

    fn proposals(&self) -> SaPayload {
        let with_groups = self.within == Within::CreateChildSa;
        proposal::offer_esp(&self.acquire.child.proposals, self.inbound_spi, with_groups)
    }

    fn selectors(&self) -> Selectors {
        let pair = self
            .acquire
            .flow
            .map(|flow| SelectorPair::exact(&flow, Direction::Outbound));
        selectors::offer(pair, &self.acquire.selectors)
    }

    /// Whether the peer may ask for this group instead.
    pub(crate) fn allows(&self, group: Group) -> bool {
        let used = self.dh.as_ref().map(DhKeyPair::group) == Some(group);
        !used
            && self
                .acquire
                .child
                .proposals
                .iter()
                .any(|one| one.groups.contains(&group))
    }

    /// The payloads of the request.
    pub(crate) fn payloads(&self) -> Vec<Payload> {
        let offered = self.selectors();
        let mut payloads = vec![Payload::Sa(self.proposals())];
        if self.within == Within::CreateChildSa {
            payloads.push(Payload::Nonce(Nonce(self.nonce.clone())));
        }
        if let Some(dh) = &self.dh {
            payloads.push(key_exchange(dh));
        }
        payloads.push(Payload::TsInitiator(selectors::to_wire(&offered.local)));
        payloads.push(Payload::TsResponder(selectors::to_wire(&offered.remote)));
        payloads.extend(mode_payload(self.acquire.child.mode));
        payloads
    }

    /// The algorithms that an answer agrees to.
    pub(crate) fn agreed(&self, answer: &Contents<'_>) -> Option<EspSuite> {
        let accepted = proposal::accept::<EspSuite>(&self.proposals(), answer.sa().ok()?);
        accepted.ok().map(|(suite, _)| suite)
    }

    /// Checks the answer. The secrets of the child's own key exchanges come with what was agreed.
    /// In transport mode a peer behind a NAT, or one that sees us behind one, answers with the
    /// addresses that it sees; we go on with those that we asked for (section 2.23.1).
    pub(crate) fn accept(
        self,
        contents: &Contents<'_>,
        nat: Nat,
    ) -> Result<(Agreed, Vec<Secret>), Error> {
        let (suite, spi) =
            proposal::accept::<EspSuite>(&self.proposals(), contents.sa().map_err(misbehaved)?)
                .map_err(misbehaved)?;
        let mut answer = Selectors {
            local: selectors::from_wire(contents.ts_initiator().map_err(misbehaved)?),
            remote: selectors::from_wire(contents.ts_responder().map_err(misbehaved)?),
        };
        let (ours, theirs) = (self.acquire.child.mode, mode_of(contents));
        if ours != theirs {
            return Err(Error::Incompatible(Incompatible::Mode { ours, theirs }));
        }
        let offered = self.selectors();
        let written = selectors::written(&answer).filter(|_| ours == Mode::Transport);
        if let Some(own) = selectors::written(&offered).filter(|_| written.is_some()) {
            see(&mut answer, nat, own);
        }
        if !narrowing::is_within(&answer, &offered) {
            return Err(misbehaved(Misbehaved::ChoseWhatWasNotOffered));
        }
        let additional = self.followups.secrets;
        if !is_complete(&additional, suite.additional) {
            return Err(misbehaved(Misbehaved::KeyExchange));
        }
        let shared = match (suite.group, self.dh) {
            (None, _) => None,
            (Some(group), Some(dh)) if dh.group() == group => {
                let ke = contents.ke().map_err(misbehaved)?;
                let same = ke.group == group.id();
                let shared = dh.agree(&ke.data).ok().filter(|_| same);
                Some(shared.ok_or(misbehaved(Misbehaved::KeyExchange))?)
            }
            _ => return Err(misbehaved(Misbehaved::ChoseWhatWasNotOffered)),
        };
        let agreed = Agreed {
            rule: self.acquire.rule,
            template: self.acquire.child,
            suite,
            inbound_spi: self.inbound_spi,
            outbound_spi: spi_of(&spi)?,
            selectors: answer,
            written,
        };
        Ok((agreed, shared.into_iter().chain(additional).collect()))
    }
}

/// Why a responder makes no child.
pub(crate) enum Refusal {
    Error(Error),
    /// The group that the peer must use instead (section 1.3).
    InvalidKe(Group),
}

impl From<Misbehaved> for Refusal {
    fn from(why: Misbehaved) -> Self {
        Refusal::Error(Error::Misbehaved(why))
    }
}

/// A responder's answer.
pub(crate) struct Answered {
    pub(crate) agreed: Agreed,
    /// Of the key exchanges of its own that are done.
    pub(crate) secrets: Vec<Secret>,
    /// Our nonce; empty in IKE_AUTH.
    pub(crate) nonce: Vec<u8>,
    pub(crate) payloads: Vec<Payload>,
}

/// Answers a request for a child. `hosts` are those of transport mode, as seen from here. Nothing
/// is reserved unless it succeeds.
pub(crate) fn answer(
    contents: &Contents<'_>,
    within: Within,
    peer: &PeerName,
    path: &Path,
    hosts: Hosts,
    ctx: &mut Context<'_>,
) -> Result<Answered, Refusal> {
    let theirs = contents.sa()?;
    let mode = mode_of(contents);
    let asked = Asked::read(contents, mode, path.nat, hosts)?;
    let (rule, chosen) = asked.choose(&ctx.config.rules, peer, mode, hosts)?;
    let group = contents.optional_ke().map(|ke| ke.group);
    let with_groups = within == Within::CreateChildSa;
    let ours = proposal::offer_esp(&rule.child.proposals, 0, with_groups);
    let choice = proposal::choose::<EspSuite>(&ours, theirs, group)
        .map_err(|why| Refusal::Error(Error::Incompatible(Incompatible::Proposal(why))))?;
    let outbound_spi = spi_of(&choice.spi).map_err(Refusal::Error)?;

    let (mut extra, mut secrets, mut nonce) = (Vec::new(), Vec::new(), Vec::new());
    if let Some(group) = choice.suite.group {
        let ke = contents.optional_ke().filter(|ke| ke.group == group.id());
        let ke = ke.ok_or(Refusal::InvalidKe(group))?;
        let (payload, secret) = exchange(group, &ke.data, ctx)?;
        extra.push(payload);
        secrets.push(secret);
    }
    if within == Within::CreateChildSa {
        contents.nonce()?;
        nonce = ctx.nonce();
        extra.insert(0, Payload::Nonce(Nonce(nonce.clone())));
    }
    let inbound_spi = ctx.reserve_esp(path.local.ip());
    let mut payloads = vec![Payload::Sa(
        choice.answer(inbound_spi.to_be_bytes().to_vec()),
    )];
    payloads.append(&mut extra);
    payloads.push(Payload::TsInitiator(selectors::to_wire(&chosen.remote)));
    payloads.push(Payload::TsResponder(selectors::to_wire(&chosen.local)));
    payloads.extend(mode_payload(mode));
    payloads.extend(resource_payload(contents, &rule.child));
    let agreed = Agreed {
        rule: rule.rule.clone(),
        template: rule.child.clone(),
        suite: choice.suite,
        inbound_spi,
        outbound_spi,
        selectors: chosen,
        written: asked.written,
    };
    Ok(Answered {
        agreed,
        secrets,
        nonce,
        payloads,
    })
}

/// Puts the hosts that we see in the place of those that the peer wrote, where a NAT changed them.
fn see(selectors: &mut Selectors, nat: Nat, seen: Hosts) {
    if nat.local {
        selectors::see(&mut selectors.local, seen.local);
    }
    if nat.remote {
        selectors::see(&mut selectors.remote, seen.remote);
    }
}

/// The selectors of a request, seen from here.
struct Asked {
    selectors: Selectors,
    /// In transport mode the hosts as the peer wrote them: its checksums hold for these.
    written: Option<Hosts>,
}

impl Asked {
    fn read(
        contents: &Contents<'_>,
        mode: Mode,
        nat: Nat,
        hosts: Hosts,
    ) -> Result<Self, Misbehaved> {
        let mut selectors = Selectors {
            local: selectors::from_wire(contents.ts_responder()?),
            remote: selectors::from_wire(contents.ts_initiator()?),
        };
        let written = selectors::written(&selectors).filter(|_| mode == Mode::Transport);
        if mode == Mode::Transport {
            see(&mut selectors, nat, hosts);
        }
        Ok(Asked { selectors, written })
    }

    fn choose<'r>(
        &self,
        rules: &'r [ChildRule],
        peer: &PeerName,
        mode: Mode,
        hosts: Hosts,
    ) -> Result<(&'r ChildRule, Selectors), Refusal> {
        let of_peer = |rule: &&ChildRule| rule.peer.as_ref().is_none_or(|name| name == peer);
        let mine: Vec<&ChildRule> = rules.iter().filter(of_peer).collect();
        let fitting: Vec<&ChildRule> = mine
            .iter()
            .copied()
            .filter(|rule| rule.child.mode == mode)
            .collect();
        let Hosts { local, remote } = hosts;
        let allowed = |rule: &&ChildRule| match mode {
            Mode::Tunnel => rule.selectors.clone(),
            Mode::Transport => narrowing::between_hosts(&rule.selectors, local, remote),
        };
        let allowed: Vec<Selectors> = fitting.iter().map(allowed).collect();
        let chosen = narrowing::choose(&self.selectors, &allowed)
            .and_then(|(index, chosen)| Some((*fitting.get(index)?, chosen)));
        chosen.ok_or_else(|| {
            let covers =
                |rule: &&&ChildRule| narrowing::narrow(&self.selectors, &rule.selectors).is_some();
            let other = mine
                .iter()
                .filter(|rule| rule.child.mode != mode)
                .find(covers);
            Refusal::Error(Error::Incompatible(match other {
                Some(rule) => Incompatible::Mode {
                    ours: rule.child.mode,
                    theirs: mode,
                },
                None => Incompatible::Selectors(Box::new(SelectorRefusal {
                    ours: mine.iter().map(|rule| rule.selectors.clone()).collect(),
                    their_local: self.selectors.local.clone(),
                    their_remote: self.selectors.remote.clone(),
                })),
            }))
        })
    }
}

/// Our half of a key exchange that the peer began: the payload and the secret.
pub(crate) fn exchange(
    group: Group,
    theirs: &[u8],
    ctx: &mut Context<'_>,
) -> Result<(Payload, Secret), Misbehaved> {
    let answered = crypto::respond(group, theirs, ctx.random);
    let (data, secret) = answered.map_err(|_| Misbehaved::KeyExchange)?;
    let group = group.id();
    Ok((Payload::Ke(KePayload { group, data }), secret))
}

/// The KE payload of our public value.
pub(crate) fn key_exchange(dh: &DhKeyPair) -> Payload {
    Payload::Ke(KePayload {
        group: dh.group().id(),
        data: dh.public().to_vec(),
    })
}

/// The group that N(INVALID_KE_PAYLOAD) asks for, if we know it.
pub(crate) fn wanted_group(notify: &Notify) -> Option<Group> {
    Group::from_id(u16::from_be_bytes(notify.data.as_slice().try_into().ok()?))
}

/// N(INVALID_KE_PAYLOAD) for a group.
pub(crate) fn invalid_ke(group: Group) -> Payload {
    let data = group.id().to_be_bytes().to_vec();
    Payload::Notify(Notify::new(NotifyType::INVALID_KE_PAYLOAD, data))
}

fn mode_of(contents: &Contents<'_>) -> Mode {
    match contents.notify(NotifyType::USE_TRANSPORT_MODE) {
        Some(_) => Mode::Transport,
        None => Mode::Tunnel,
    }
}

fn mode_payload(mode: Mode) -> Option<Payload> {
    let notify = || Payload::Notify(Notify::new(NotifyType::USE_TRANSPORT_MODE, Vec::new()));
    (mode == Mode::Transport).then(notify)
}

/// Whether a pair is for one of the peer's resources, such as a processor (RFC 9611).
pub(crate) fn is_of_resource(contents: &Contents<'_>) -> bool {
    contents.notify(NotifyType::SA_RESOURCE_INFO).is_some()
}

/// Tells a peer that it may make more of the kind, if it asks for that; nothing of ours is bound
/// to a resource, so that there is none to name.
fn resource_payload(contents: &Contents<'_>, template: &ChildTemplate) -> Option<Payload> {
    let wanted = template.per_resource > 0 && is_of_resource(contents);
    wanted.then(|| Payload::Notify(Notify::new(NotifyType::SA_RESOURCE_INFO, Vec::new())))
}

fn spi_of(spi: &[u8]) -> Result<u32, Error> {
    let spi = spi.try_into().map(u32::from_be_bytes).unwrap_or(0);
    if spi == 0 {
        Err(misbehaved(Misbehaved::ChoseWhatWasNotOffered))
    } else {
        Ok(spi)
    }
}

fn misbehaved(why: Misbehaved) -> Error {
    Error::Misbehaved(why)
}
