//! How the values of a record are written: big-endian numbers, lengths before what varies.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use crypto::suite::{Encryption, Integrity, Prf};
use crypto::{Group, Secret};
use policy::Flow;
use policy::additional::Additional;
use policy::child::Mode;
use policy::identity::Identity;
use policy::proposal::{EspSuite, IkeSuite};
use policy::range::{AddressRange, PortRange};
use policy::sa::KeyMaterial;
use policy::selector::{Selectors, TrafficSelector};

/// Most selectors of one side that are read: what a TS payload can carry (RFC 7296 3.13).
const MAX_SELECTORS: usize = 255;

/// What is written so far. It holds keys, so it begins with room enough for nearly every record:
/// a vector that grows leaves its old octets behind, unwiped.
pub(crate) struct Writer(Vec<u8>);

impl Writer {
    pub(crate) fn new() -> Self {
        Writer(Vec::with_capacity(8 * 1024))
    }

    /// What was written, in an allocation of its size.
    pub(crate) fn finish(self) -> Secret {
        Secret::new(self.0)
    }

    pub(crate) fn u8(&mut self, value: u8) {
        self.0.push(value);
    }

    pub(crate) fn u16(&mut self, value: u16) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u32(&mut self, value: u32) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn u64(&mut self, value: u64) {
        self.0.extend_from_slice(&value.to_be_bytes());
    }

    pub(crate) fn flag(&mut self, value: bool) {
        self.u8(u8::from(value));
    }

    pub(crate) fn octets(&mut self, value: &[u8]) {
        self.u32(value.len() as u32);
        self.0.extend_from_slice(value);
    }

    /// The datagrams of a message: one, or its fragments.
    pub(crate) fn sealed(&mut self, value: &[Vec<u8>]) {
        self.list(value, |to, bytes| to.octets(bytes));
    }

    pub(crate) fn duration(&mut self, value: Duration) {
        self.u64(u64::try_from(value.as_nanos()).unwrap_or(u64::MAX));
    }

    pub(crate) fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) {
        self.flag(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
    }

    pub(crate) fn list<T>(&mut self, values: &[T], mut write: impl FnMut(&mut Self, &T)) {
        self.u32(values.len() as u32);
        values.iter().for_each(|value| write(self, value));
    }

    pub(crate) fn address(&mut self, value: IpAddr) {
        match value {
            IpAddr::V4(address) => {
                self.u8(4);
                self.0.extend_from_slice(&address.octets());
            }
            IpAddr::V6(address) => {
                self.u8(6);
                self.0.extend_from_slice(&address.octets());
            }
        }
    }

    pub(crate) fn socket(&mut self, value: SocketAddr) {
        self.address(value.ip());
        self.u16(value.port());
    }

    pub(crate) fn identity(&mut self, value: &Identity) {
        // What has no form on the wire never names who a peer proved to be.
        let (kind, data) = value.to_wire(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        self.u8(kind);
        self.octets(&data);
    }

    pub(crate) fn ike_suite(&mut self, suite: IkeSuite) {
        self.encryption(suite.encryption);
        self.option(suite.integrity, |to, integrity| to.u16(integrity.id()));
        self.u16(suite.prf.id());
        self.u16(suite.group.id());
        self.additional(suite.additional);
    }

    pub(crate) fn esp_suite(&mut self, suite: EspSuite) {
        self.encryption(suite.encryption);
        self.option(suite.integrity, |to, integrity| to.u16(integrity.id()));
        self.option(suite.group, |to, group| to.u16(group.id()));
        self.additional(suite.additional);
        self.flag(suite.esn);
    }

    fn additional(&mut self, additional: Additional) {
        additional.ids().into_iter().for_each(|id| self.u16(id));
    }

    fn encryption(&mut self, encryption: Encryption) {
        self.u16(encryption.id());
        self.option(encryption.key_bits_attribute(), Self::u16);
    }

    pub(crate) fn mode(&mut self, mode: Mode) {
        self.flag(mode == Mode::Tunnel);
    }

    pub(crate) fn selectors(&mut self, selectors: &Selectors) {
        self.list(&selectors.local, Self::selector);
        self.list(&selectors.remote, Self::selector);
    }

    fn selector(&mut self, selector: &TrafficSelector) {
        self.u8(selector.protocol);
        self.u16(selector.ports.start);
        self.u16(selector.ports.end);
        self.address(selector.addresses.start());
        self.address(selector.addresses.end());
    }

    pub(crate) fn flow(&mut self, flow: &Flow) {
        self.address(flow.src);
        self.address(flow.dst);
        self.u8(flow.protocol);
        self.u16(flow.src_port);
        self.u16(flow.dst_port);
    }

    pub(crate) fn keys(&mut self, keys: &KeyMaterial) {
        self.octets(keys.encryption.as_bytes());
        self.octets(keys.integrity.as_bytes());
    }
}

/// What has not been read yet. Every method answers `None` when there is not enough of it, or
/// when it is not what may stand there.
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Reader(octets)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        self.take(N)?.try_into().ok()
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(|[byte]: [u8; 1]| byte)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        self.array().map(u64::from_be_bytes)
    }

    pub(crate) fn flag(&mut self) -> Option<bool> {
        match self.u8()? {
            0 => Some(false),
            1 => Some(true),
            _ => None,
        }
    }

    pub(crate) fn octets(&mut self) -> Option<&'a [u8]> {
        let length = self.u32()?;
        self.take(usize::try_from(length).ok()?)
    }

    pub(crate) fn sealed(&mut self) -> Option<Vec<Vec<u8>>> {
        let most = usize::from(wire::ike::limits::FRAGMENTS);
        self.list(most, |from| from.octets().map(<[u8]>::to_vec))
    }

    pub(crate) fn text(&mut self) -> Option<&'a str> {
        std::str::from_utf8(self.octets()?).ok()
    }

    pub(crate) fn duration(&mut self) -> Option<Duration> {
        self.u64().map(Duration::from_nanos)
    }

    /// The inner `None` is an absent value, the outer one a malformed record.
    pub(crate) fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Option<T>,
    ) -> Option<Option<T>> {
        match self.flag()? {
            true => read(self).map(Some),
            false => Some(None),
        }
    }

    pub(crate) fn list<T>(
        &mut self,
        most: usize,
        mut read: impl FnMut(&mut Self) -> Option<T>,
    ) -> Option<Vec<T>> {
        let count = usize::try_from(self.u32()?).ok()?;
        if count > most {
            return None;
        }
        // Of its size: very many records are kept, and a vector that grows has room for four.
        let mut values = Vec::with_capacity(count);
        for _ in 0..count {
            values.push(read(self)?);
        }
        Some(values)
    }

    pub(crate) fn address(&mut self) -> Option<IpAddr> {
        match self.u8()? {
            4 => self
                .array::<4>()
                .map(|octets| Ipv4Addr::from(octets).into()),
            6 => self
                .array::<16>()
                .map(|octets| Ipv6Addr::from(octets).into()),
            _ => None,
        }
    }

    pub(crate) fn socket(&mut self) -> Option<SocketAddr> {
        Some(SocketAddr::new(self.address()?, self.u16()?))
    }

    pub(crate) fn identity(&mut self) -> Option<Identity> {
        let kind = self.u8()?;
        Some(Identity::from_wire(kind, self.octets()?))
    }

    pub(crate) fn ike_suite(&mut self) -> Option<IkeSuite> {
        Some(IkeSuite {
            encryption: self.encryption()?,
            integrity: self.option(|from| Integrity::from_id(from.u16()?))?,
            prf: Prf::from_id(self.u16()?)?,
            group: Group::from_id(self.u16()?)?,
            additional: self.additional()?,
        })
    }

    pub(crate) fn esp_suite(&mut self) -> Option<EspSuite> {
        Some(EspSuite {
            encryption: self.encryption()?,
            integrity: self.option(|from| Integrity::from_id(from.u16()?))?,
            group: self.option(|from| Group::from_id(from.u16()?))?,
            additional: self.additional()?,
            esn: self.flag()?,
        })
    }

    fn additional(&mut self) -> Option<Additional> {
        let mut ids = Additional::default().ids();
        for id in &mut ids {
            *id = self.u16()?;
        }
        Additional::from_ids(ids)
    }

    fn encryption(&mut self) -> Option<Encryption> {
        let id = self.u16()?;
        let key_bits = self.option(Self::u16)?;
        Encryption::from_id(id, key_bits)
    }

    pub(crate) fn mode(&mut self) -> Option<Mode> {
        Some(match self.flag()? {
            true => Mode::Tunnel,
            false => Mode::Transport,
        })
    }

    pub(crate) fn selectors(&mut self) -> Option<Selectors> {
        Some(Selectors {
            local: self.list(MAX_SELECTORS, Self::selector)?,
            remote: self.list(MAX_SELECTORS, Self::selector)?,
        })
    }

    fn selector(&mut self) -> Option<TrafficSelector> {
        Some(TrafficSelector {
            protocol: self.u8()?,
            ports: PortRange::new(self.u16()?, self.u16()?)?,
            addresses: AddressRange::new(self.address()?, self.address()?)?,
        })
    }

    pub(crate) fn flow(&mut self) -> Option<Flow> {
        Some(Flow {
            src: self.address()?,
            dst: self.address()?,
            protocol: self.u8()?,
            src_port: self.u16()?,
            dst_port: self.u16()?,
        })
    }

    pub(crate) fn keys(&mut self) -> Option<KeyMaterial> {
        Some(KeyMaterial {
            encryption: Secret::from_slice(self.octets()?),
            integrity: Secret::from_slice(self.octets()?),
        })
    }
}
