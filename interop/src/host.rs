//! A small host on manual keys: crate `esp` alone, from packet to datagram and back.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use esp::{
    Arrival, Counts, Discard, Inbound, InboundBatch, InboundSa, Offload, Outbound, OutboundBatch,
    OutboundSa, Path, Sent,
};
use policy::child::ChildTemplate;
use policy::names::RuleName;
use policy::range::AddressRange;
use policy::rule::{Action, AddressSpec, Filter, Negotiate, Origin, Rule};
use policy::sa::{Bucket, SaSpec};
use policy::spd::Spd;

use crate::suite::RULE;

/// One end of one SA pair.
pub(crate) struct Host {
    spec: Arc<SaSpec>,
    outbound: Outbound,
    inbound: Inbound,
    out: OutboundBatch,
    arrived: InboundBatch,
    begun: Instant,
}

impl Host {
    /// A host whose policy protects everything between the two addresses of the pair.
    pub(crate) fn new(spec: impl Into<Arc<SaSpec>>) -> Result<Self, String> {
        let spec = spec.into();
        let counts = Arc::new(Counts::new());
        let address = |address| AddressSpec::Range(AddressRange::host(address));
        let rule = Rule {
            name: RuleName::new(RULE),
            filters: vec![Filter::between(address(spec.local), address(spec.remote))],
            action: Action::Negotiate(Negotiate::require(ChildTemplate::transport().into())),
            peer: None,
            origin: Origin::File,
        };
        let spd = Arc::new(Spd::build(vec![rule], &[spec.local]));
        let mut host = Host {
            outbound: Outbound::new(spd, Arc::clone(&counts)),
            inbound: Inbound::new(counts),
            out: OutboundBatch::new(1 << 17),
            arrived: InboundBatch::new(),
            begun: Instant::now(),
            spec,
        };
        host.continue_at(1)?;
        let inbound =
            InboundSa::new(Arc::clone(&host.spec), Bucket::HOST).map_err(|why| why.to_string())?;
        host.inbound.install(inbound);
        Ok(host)
    }

    /// Goes on at this sequence number.
    pub(crate) fn continue_at(&mut self, sequence: u64) -> Result<(), String> {
        let mut sa =
            OutboundSa::new(Arc::clone(&self.spec), Bucket::HOST).map_err(|why| why.to_string())?;
        sa.advance_to(sequence);
        let now = self.now();
        self.outbound.remove(self.spec.id);
        self.outbound.install(sa, now, &mut self.out);
        Ok(())
    }

    /// What the peer should know.
    pub(crate) fn spec(&self) -> &SaSpec {
        &self.spec
    }

    /// An IP packet as an ESP datagram, without the outer IP header.
    pub(crate) fn seal(&mut self, packet: &[u8]) -> Result<Vec<u8>, String> {
        let now = self.now();
        self.out.clear();
        match self
            .outbound
            .send(packet, &Offload::NONE, now, &mut self.out)
        {
            Sent::Sealed(1) => {}
            other => return Err(format!("our policy made {other:?} of it")),
        }
        let mut datagrams = self.out.datagrams();
        match datagrams.next() {
            Some((Path::Esp { .. }, datagram)) => Ok(datagram.to_vec()),
            _ => Err("nothing was sealed".into()),
        }
    }

    /// The IP packet in an ESP datagram.
    pub(crate) fn open(
        &mut self,
        source: IpAddr,
        destination: IpAddr,
        datagram: &[u8],
    ) -> Result<Vec<u8>, Discard> {
        let now = self.now();
        let mut buffer = datagram.to_vec();
        let arrival = Arrival {
            source,
            destination,
            traffic_class: 0,
            place: 0..buffer.len(),
        };
        self.arrived.clear();
        self.inbound
            .receive(&arrival, &mut buffer, now, &mut self.arrived)?;
        self.arrived.finish();
        let packet = self
            .arrived
            .writes()
            .next()
            .map(|write| write.to_vec(&buffer));
        Ok(packet.unwrap_or_default())
    }

    fn now(&self) -> u64 {
        self.begun.elapsed().as_nanos() as u64
    }
}
