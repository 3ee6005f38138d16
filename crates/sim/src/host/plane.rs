//! The data plane of one host: the real ESP, with datagrams instead of sockets.

use std::collections::{BTreeMap, BTreeSet};
use std::net::IpAddr;
use std::sync::Arc;

use esp::{
    Arrival, Counts, Inbound, InboundBatch, InboundSa, Offload, Outbound, OutboundBatch,
    OutboundSa, Path, Refill, SaCounters, UnknownSpi, WindowImage,
};
use ike::Install;
use node::{Command, Stray};
use policy::{AddressRange, Bucket, ChildId, Encapsulation, KeyMaterial, RuleName, SaSpec, Spd};

use crate::frame::{Content, Frame, KeyLabel};
use crate::host::effect::{Effect, PairView};
use crate::host::orders::Order;
use crate::sabotage::Sabotage;

/// Windows that are told at a time.
const WINDOWS: usize = 1 << 12;

/// What is known of an installed pair.
struct Pair {
    view: PairView,
    bucket: Bucket,
    inbound: Arc<SaCounters>,
    outbound: Arc<SaCounters>,
    /// For the sabotage that forgets windows.
    spec: Arc<SaSpec>,
}

/// An outbound SA that waits until the peer is ready for it, with what it was granted meanwhile.
struct Later {
    sa: OutboundSa,
    grants: Vec<(u64, u64)>,
}

/// What came out of an order or a datagram, beside effects.
#[derive(Default)]
pub(crate) struct Back {
    /// For the node.
    pub(crate) commands: Vec<Command>,
    /// For the host.
    pub(crate) packets: Vec<Vec<u8>>,
}

/// ESP of one host.
pub(crate) struct Plane {
    outbound: Outbound,
    inbound: Inbound,
    batch: OutboundBatch,
    arrivals: InboundBatch,
    pairs: BTreeMap<ChildId, Pair>,
    /// Outbound SAs that wait until the peer is ready for them.
    later: BTreeMap<ChildId, Later>,
    /// Buckets whose gate is open, and those of which everything is passed on.
    open: BTreeSet<Bucket>,
    elsewhere: BTreeSet<Bucket>,
    strict: bool,
    sabotage: Option<Sabotage>,
    sealed: u64,
}

impl Plane {
    pub(crate) fn new(sabotage: Option<Sabotage>, strict: bool) -> Self {
        let counts = Arc::new(Counts::new());
        let mut outbound = Outbound::new(Arc::new(Spd::default()), Arc::clone(&counts));
        if sabotage == Some(Sabotage::NoReservation) {
            outbound.sabotage_reservation();
        }
        Plane {
            outbound,
            inbound: Inbound::new(counts),
            batch: OutboundBatch::new(1 << 12),
            arrivals: InboundBatch::new(),
            pairs: BTreeMap::new(),
            later: BTreeMap::new(),
            open: BTreeSet::from([Bucket::HOST]),
            elsewhere: BTreeSet::new(),
            strict,
            sabotage,
            sealed: 0,
        }
    }

    /// Carries out an order.
    pub(crate) fn obey(
        &mut self,
        order: Order,
        now: u64,
        effects: &mut Vec<Effect>,
        back: &mut Back,
    ) {
        let frames = match order {
            Order::Install(install) => {
                let id = install.spec.id;
                match self.install(*install, now) {
                    Ok((view, sent)) => {
                        effects.push(Effect::Installed(id, view));
                        sent
                    }
                    Err(why) => {
                        effects.push(Effect::Broken(why));
                        Vec::new()
                    }
                }
            }
            Order::Activate(child) => self.activate(child, now),
            Order::Skip(child, delta) => {
                self.skip(child, delta);
                Vec::new()
            }
            Order::Redirect(child, between, encapsulation) => {
                self.redirect(child, between, encapsulation);
                Vec::new()
            }
            Order::Remove(child) => {
                self.remove(child);
                effects.push(Effect::Removed(child));
                Vec::new()
            }
            Order::Policy(spd) => self.set_policy(spd, now),
            Order::Failed(rule, remote) => self.negotiation_failed(&rule, &remote, now),
            Order::Grant(child, ceiling, refill_at) => self.grant(child, ceiling, refill_at, now),
            // A grant for what is gone meanwhile is void.
            Order::GrantInbound(child, ceiling, refill_at) => {
                let _ = self.inbound.grant(child, ceiling, refill_at);
                Vec::new()
            }
            Order::Exact(child, next) => {
                let _ = self.outbound.set_exact(child, next);
                let _ = self.inbound.set_exact(child);
                Vec::new()
            }
            Order::RestoreWindow(child, image) => {
                if let Some((image, _)) = WindowImage::decode(&image) {
                    self.inbound.restore_window(child, &image);
                }
                Vec::new()
            }
            Order::OpenGate(bucket, epoch) => {
                self.outbound.open_gate(bucket, epoch);
                self.inbound.open_gate(bucket, epoch);
                self.open.insert(bucket);
                self.elsewhere.remove(&bucket);
                effects.push(Effect::Opened(bucket));
                Vec::new()
            }
            Order::CloseGate(bucket, hand_over) => {
                back.commands.extend(self.close_gate(bucket, hand_over));
                Vec::new()
            }
            Order::Inject(source, destination, bytes) => {
                let packets = self.receive(source, destination, bytes, now);
                back.packets.extend(packets);
                Vec::new()
            }
        };
        effects.extend(frames.into_iter().map(Effect::Send));
    }

    fn grant(&mut self, child: ChildId, ceiling: u64, refill_at: u64, now: u64) -> Vec<Frame> {
        if let Some(later) = self.later.get_mut(&child) {
            match self.open.contains(&later.sa.bucket()) {
                true => later.grants.push((ceiling, refill_at)),
                false => later.sa.follow(ceiling),
            }
            return Vec::new();
        }
        // A grant for what is gone meanwhile is void.
        let _ = self
            .outbound
            .grant(child, ceiling, refill_at, now, &mut self.batch);
        self.flush()
    }

    /// The answer to a handover.
    fn close_gate(&mut self, bucket: Bucket, hand_over: bool) -> Option<Command> {
        self.outbound.close_gate(bucket);
        self.open.remove(&bucket);
        if !hand_over {
            self.inbound.close_gate(bucket);
            self.elsewhere.remove(&bucket);
            return None;
        }
        self.inbound.hand_over_gate(bucket);
        self.elsewhere.insert(bucket);
        Some(Command::GateClosed {
            bucket,
            next: self.outbound.next_of(bucket),
            windows: self.windows(),
        })
    }

    /// The inbound windows that have moved.
    pub(crate) fn windows(&mut self) -> Vec<(ChildId, Vec<u8>)> {
        let mut images = Vec::new();
        self.inbound.poll_windows(WINDOWS, &mut images);
        let encode = |(child, image): (ChildId, WindowImage)| {
            let mut octets = Vec::new();
            image.encode(&mut octets);
            (child, octets)
        };
        images.into_iter().map(encode).collect()
    }

    /// What another member gets, known here or not.
    pub(crate) fn stray(&self, src: IpAddr, dst: IpAddr, bytes: &[u8]) -> Option<Stray> {
        let bucket = Bucket(*bytes.first()?);
        self.elsewhere.contains(&bucket).then(|| Stray::Esp {
            source: src,
            destination: dst,
            bytes: bytes.to_vec(),
        })
    }

    /// What an SA asks for.
    pub(crate) fn poll_refill(&mut self) -> Option<Command> {
        if let Some(Refill {
            child,
            next,
            waiting,
        }) = self.outbound.poll_refill()
        {
            return Some(Command::Refill {
                child,
                next,
                waiting,
            });
        }
        let Refill { child, next, .. } = self.inbound.poll_refill()?;
        Some(Command::RefillInbound {
            child,
            highest: next,
        })
    }

    /// Sends a packet of the host, or keeps it until there is an SA.
    pub(crate) fn send(&mut self, packet: &[u8], now: u64) -> Vec<Frame> {
        let sent = self
            .outbound
            .send(packet, &Offload::NONE, now, &mut self.batch);
        let mut frames = self.flush();
        if sent == esp::Sent::Queued && self.sabotage == Some(Sabotage::SendClear) {
            frames.extend(clear(packet));
        }
        frames
    }

    /// Takes in an ESP datagram; the packets for the host.
    fn receive(&mut self, src: IpAddr, dst: IpAddr, mut bytes: Vec<u8>, now: u64) -> Vec<Vec<u8>> {
        if self.sabotage == Some(Sabotage::SkipReplayCheck) {
            self.forget_windows();
        }
        let arrival = Arrival {
            source: src,
            destination: dst,
            traffic_class: 0,
            place: 0..bytes.len(),
        };
        self.arrivals.clear();
        // Why one was refused is counted where it was refused.
        let _ = self
            .inbound
            .receive(&arrival, &mut bytes, now, &mut self.arrivals);
        self.arrivals.finish();
        self.arrivals
            .writes()
            .map(|write| write.to_vec(&bytes))
            .collect()
    }

    /// Installs a pair: the inbound SA at once, the outbound one when the peer is ready for it.
    fn install(&mut self, install: Install, now: u64) -> Result<(PairView, Vec<Frame>), String> {
        let (spec, when, bucket) = (install.spec, install.outbound, install.bucket);
        let refuse = |why| format!("the keys of pair {} do not fit: {why}", spec.id);
        let mut inbound = InboundSa::new(Arc::clone(&spec), bucket).map_err(refuse)?;
        if self.strict {
            inbound = inbound.strict();
        }
        let outbound = OutboundSa::new(Arc::clone(&spec), bucket).map_err(refuse)?;
        let id = spec.id;
        let pair = Pair {
            view: view(&spec),
            bucket,
            inbound: inbound.counters(),
            outbound: outbound.counters(),
            spec,
        };
        let view = pair.view;
        self.pairs.insert(id, pair);
        self.inbound.install(inbound);
        match when {
            ike::Outbound::Now => {
                self.outbound
                    .install_aged(outbound, install.age, now, &mut self.batch);
            }
            ike::Outbound::Later => {
                let grants = Vec::new();
                let sa = outbound;
                self.later.insert(id, Later { sa, grants });
            }
        }
        Ok((view, self.flush()))
    }

    /// Lets the outbound SA of a pair carry traffic.
    fn activate(&mut self, child: ChildId, now: u64) -> Vec<Frame> {
        if self.sabotage == Some(Sabotage::NeverActivate) {
            return Vec::new();
        }
        let Some(Later { sa, grants }) = self.later.remove(&child) else {
            return Vec::new();
        };
        self.outbound.install(sa, now, &mut self.batch);
        let mut frames = self.flush();
        for (ceiling, refill_at) in grants {
            frames.extend(self.grant(child, ceiling, refill_at, now));
        }
        frames
    }

    /// The addresses or ports of a pair have changed.
    fn redirect(
        &mut self,
        child: ChildId,
        between: (IpAddr, IpAddr),
        encapsulation: Encapsulation,
    ) {
        self.outbound.redirect(child, between, encapsulation);
        if let Some(pair) = self.pairs.get_mut(&child) {
            pair.view.remote = between.1;
        }
    }

    /// Leaves out sequence numbers of a pair's outbound SA.
    pub(crate) fn skip(&mut self, child: ChildId, delta: u64) {
        match self.later.get_mut(&child) {
            Some(Later { sa, .. }) => sa.advance_to(sa.next().saturating_add(delta)),
            None => {
                self.outbound.skip(child, delta);
            }
        }
    }

    /// Removes a pair.
    fn remove(&mut self, child: ChildId) {
        if self.sabotage == Some(Sabotage::KeepPairs) {
            return;
        }
        self.later.remove(&child);
        self.pairs.remove(&child);
        self.outbound.remove(child);
        self.inbound.remove(child);
    }

    fn set_policy(&mut self, spd: Arc<Spd>, now: u64) -> Vec<Frame> {
        self.outbound.set_policy(spd, now, &mut self.batch);
        self.flush()
    }

    /// What waited for this negotiation is dropped, or passes where the rule only requests IPsec.
    fn negotiation_failed(
        &mut self,
        rule: &RuleName,
        remote: &[AddressRange],
        now: u64,
    ) -> Vec<Frame> {
        let until = now.saturating_add(60_000_000_000);
        self.outbound
            .negotiation_failed(rule, remote, until, now, &mut self.batch);
        self.flush()
    }

    pub(crate) fn tick(&mut self, now: u64) {
        self.outbound.handle_timeout(now);
    }

    pub(crate) fn poll_acquire(&mut self) -> Option<esp::Acquire> {
        let acquire = self.outbound.poll_acquire()?;
        (self.sabotage != Some(Sabotage::NeverAcquire)).then_some(acquire)
    }

    pub(crate) fn poll_unknown_spi(&mut self) -> Option<UnknownSpi> {
        self.inbound.poll_unknown_spi()
    }

    /// What every pair has carried: inbound, outbound.
    pub(crate) fn usage(&self) -> Vec<(ChildId, esp::SaUsage, esp::SaUsage)> {
        let usage =
            |(id, pair): (&ChildId, &Pair)| (*id, pair.inbound.usage(), pair.outbound.usage());
        self.pairs.iter().map(usage).collect()
    }

    /// Every pair that may be used here, or every pair that another host uses.
    pub(crate) fn pairs(&self, used: bool) -> impl Iterator<Item = PairView> + '_ {
        let wanted = move |pair: &&Pair| self.open.contains(&pair.bucket) == used;
        self.pairs.values().filter(wanted).map(|pair| pair.view)
    }

    /// Packets that wait for an SA.
    pub(crate) fn pending(&self) -> usize {
        self.outbound.pending()
    }

    /// SAs in each direction.
    pub(crate) fn sas(&self) -> usize {
        self.inbound.len().max(self.outbound.len())
    }

    fn flush(&mut self) -> Vec<Frame> {
        let mut frames = Vec::new();
        for (path, bytes) in self.batch.datagrams() {
            match path {
                Path::Esp {
                    local,
                    remote,
                    encapsulation,
                    ..
                } => {
                    let frame = Frame {
                        src: *local,
                        dst: *remote,
                        content: Content::Esp {
                            ports: ports(encapsulation),
                            key: self.label(*remote, bytes),
                            bytes: bytes.to_vec(),
                        },
                    };
                    self.sealed += 1;
                    if self.sabotage == Some(Sabotage::RepeatSequence)
                        && self.sealed.is_multiple_of(50)
                    {
                        frames.push(frame.clone());
                    }
                    frames.push(frame);
                }
                Path::Clear { .. } => frames.extend(clear(bytes)),
            }
        }
        self.batch.clear();
        frames
    }

    /// The key that a datagram was sealed under.
    fn label(&self, remote: IpAddr, datagram: &[u8]) -> KeyLabel {
        let spi = wire::esp::Header::parse(datagram).map(|(header, _)| header.spi);
        let sealed =
            |pair: &&Pair| pair.view.remote == remote && Some(pair.view.outbound_spi) == spi;
        let youngest = self.pairs.values().rev().find(sealed);
        youngest
            .map(|pair| pair.view.outbound_key)
            .unwrap_or_default()
    }

    fn forget_windows(&mut self) {
        for pair in self.pairs.values() {
            if let Ok(fresh) = InboundSa::new(Arc::clone(&pair.spec), pair.bucket) {
                self.inbound.install(fresh);
            }
        }
    }
}

/// The first octets of every key.
pub(crate) fn markers(spec: &SaSpec) -> Vec<u64> {
    let keys = [&spec.inbound_keys, &spec.outbound_keys];
    keys.iter()
        .flat_map(|keys| [&keys.encryption, &keys.integrity])
        .filter_map(marker)
        .collect()
}

/// The first octets of a key, if it has so many.
pub(crate) fn marker(key: &crypto::Secret) -> Option<u64> {
    let first = key.as_bytes().first_chunk::<8>()?;
    Some(u64::from_be_bytes(*first))
}

fn view(spec: &SaSpec) -> PairView {
    PairView {
        local: spec.local,
        remote: spec.remote,
        inbound_spi: spec.inbound_spi,
        outbound_spi: spec.outbound_spi,
        inbound_key: label(&spec.inbound_keys),
        outbound_key: label(&spec.outbound_keys),
    }
}

/// The first octets of a hash: enough to tell keys apart, of no use to an attacker.
fn label(keys: &KeyMaterial) -> KeyLabel {
    let digest = crypto::hash::sha256(&[keys.encryption.as_bytes(), keys.integrity.as_bytes()]);
    let first = digest.iter().take(8);
    KeyLabel(first.fold(0, |sum, octet| sum << 8 | u64::from(*octet)))
}

fn ports(encapsulation: &Encapsulation) -> Option<(u16, u16)> {
    match encapsulation {
        // There is no TCP in the simulated network.
        Encapsulation::None | Encapsulation::Tcp { .. } => None,
        Encapsulation::Udp {
            local_port,
            remote_port,
        } => Some((*local_port, *remote_port)),
    }
}

fn clear(packet: &[u8]) -> Option<Frame> {
    let flow = wire::ip::Flow::of(packet).ok()?;
    let content = Content::Clear(packet.to_vec());
    Some(Frame {
        src: flow.src,
        dst: flow.dst,
        content,
    })
}
