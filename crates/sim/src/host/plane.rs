//! The data plane of one host: the real ESP, with datagrams instead of sockets.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::Arc;

use esp::{
    Arrival, Counts, Inbound, InboundBatch, InboundSa, Offload, Outbound, OutboundBatch,
    OutboundSa, Path, SaCounters, UnknownSpi,
};
use ike::Install;
use policy::{AddressRange, Bucket, ChildId, Encapsulation, KeyMaterial, RuleName, SaSpec, Spd};

use crate::frame::{Content, Frame, KeyLabel};
use crate::host::effect::PairView;
use crate::sabotage::Sabotage;

/// What is known of an installed pair.
struct Pair {
    view: PairView,
    inbound: Arc<SaCounters>,
    outbound: Arc<SaCounters>,
    /// For the sabotage that forgets windows.
    spec: Arc<SaSpec>,
}

/// ESP of one host.
pub(crate) struct Plane {
    outbound: Outbound,
    inbound: Inbound,
    batch: OutboundBatch,
    arrivals: InboundBatch,
    pairs: BTreeMap<ChildId, Pair>,
    /// Outbound SAs that wait until the peer is ready for them.
    later: BTreeMap<ChildId, OutboundSa>,
    sabotage: Option<Sabotage>,
    sealed: u64,
}

impl Plane {
    pub(crate) fn new(sabotage: Option<Sabotage>) -> Self {
        let counts = Arc::new(Counts::new());
        Plane {
            outbound: Outbound::new(Arc::new(Spd::default()), Arc::clone(&counts)),
            inbound: Inbound::new(counts),
            batch: OutboundBatch::new(1 << 12),
            arrivals: InboundBatch::new(),
            pairs: BTreeMap::new(),
            later: BTreeMap::new(),
            sabotage,
            sealed: 0,
        }
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
    pub(crate) fn receive(
        &mut self,
        src: IpAddr,
        dst: IpAddr,
        mut bytes: Vec<u8>,
        now: u64,
    ) -> Vec<Vec<u8>> {
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
    pub(crate) fn install(
        &mut self,
        install: Box<Install>,
        now: u64,
    ) -> Result<(PairView, Vec<Frame>), String> {
        let (spec, when, bucket) = (install.spec, install.outbound, install.bucket);
        let refuse = |why| format!("the keys of pair {} do not fit: {why}", spec.id);
        let inbound = InboundSa::new(Arc::clone(&spec), bucket).map_err(refuse)?;
        let outbound = OutboundSa::new(Arc::clone(&spec), bucket).map_err(refuse)?;
        let id = spec.id;
        let pair = Pair {
            view: view(&spec),
            inbound: inbound.counters(),
            outbound: outbound.counters(),
            spec,
        };
        let view = pair.view;
        self.pairs.insert(id, pair);
        self.inbound.install(inbound);
        match when {
            ike::Outbound::Now => self.outbound.install(outbound, now, &mut self.batch),
            ike::Outbound::Later => {
                self.later.insert(id, outbound);
            }
        }
        Ok((view, self.flush()))
    }

    /// Lets the outbound SA of a pair carry traffic.
    pub(crate) fn activate(&mut self, child: ChildId, now: u64) -> Vec<Frame> {
        if self.sabotage == Some(Sabotage::NeverActivate) {
            return Vec::new();
        }
        if let Some(outbound) = self.later.remove(&child) {
            self.outbound.install(outbound, now, &mut self.batch);
        }
        self.flush()
    }

    /// The peer's address or ports have changed.
    pub(crate) fn redirect(
        &mut self,
        child: ChildId,
        remote: IpAddr,
        encapsulation: Encapsulation,
    ) {
        self.outbound.redirect(child, remote, encapsulation);
        if let Some(pair) = self.pairs.get_mut(&child) {
            pair.view.remote = remote;
        }
    }

    /// Removes a pair.
    pub(crate) fn remove(&mut self, child: ChildId) {
        if self.sabotage == Some(Sabotage::KeepPairs) {
            return;
        }
        self.later.remove(&child);
        self.pairs.remove(&child);
        self.outbound.remove(child);
        self.inbound.remove(child);
    }

    pub(crate) fn set_policy(&mut self, spd: Arc<Spd>, now: u64) -> Vec<Frame> {
        self.outbound.set_policy(spd, now, &mut self.batch);
        self.flush()
    }

    /// What waited for this negotiation is dropped, or passes where the rule only requests IPsec.
    pub(crate) fn negotiation_failed(
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

    /// Every pair.
    pub(crate) fn pairs(&self) -> impl Iterator<Item = (ChildId, PairView)> + '_ {
        self.pairs.iter().map(|(id, pair)| (*id, pair.view))
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
            if let Ok(fresh) = InboundSa::new(Arc::clone(&pair.spec), Bucket::HOST) {
                self.inbound.install(fresh);
            }
        }
    }
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
        Encapsulation::None => None,
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
