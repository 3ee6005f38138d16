//! What the owner of a group tells the members that keep a copy: our own format, version 1.
//!
//! ```text
//! version 1 | kind 1 | items until the end
//! 0 records:  SPI of the IKE SA 8 | length 4 | record (length 0: it is gone)
//! 1 ceilings: pair 8 | outbound ceiling 8 | inbound ceiling 8
//! 2 windows:  pair 8 | length 4 | image
//! 3 exact:    pair 8 | next sequence number 8
//! ```
//! A stray datagram has the version, 4 (ESP) or 5 (IKE), both ends, and its octets.

use cluster::Parcel;
use ike::{IkeSaId, Record};
use policy::ChildId;
use std::net::{IpAddr, SocketAddr};

const VERSION: u8 = 1;

/// The ceilings of a pair: what its owner may use, and deliver, at most.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ceilings {
    pub(crate) outbound: u64,
    pub(crate) inbound: u64,
}

/// What a parcel holds.
pub(crate) enum News {
    /// IKE SAs as they are now; `None` for one that is gone.
    Records(Vec<(IkeSaId, Option<Record>)>),
    /// What the owner may use once this is stored.
    Ceilings(Vec<(ChildId, Ceilings)>),
    /// How far inbound windows have moved.
    Windows(Vec<(ChildId, Vec<u8>)>),
    /// Where the owner stopped, to the number.
    Exact(Vec<(ChildId, u64)>),
}

impl News {
    pub(crate) fn encode(&self) -> Parcel {
        let mut to = Vec::with_capacity(self.length());
        to.push(VERSION);
        match self {
            News::Records(records) => {
                to.push(0);
                for (ike, record) in records {
                    let octets = record.as_ref().map_or(&[][..], Record::octets);
                    to.extend_from_slice(&ike.0.to_be_bytes());
                    put(&mut to, octets);
                }
            }
            News::Ceilings(ceilings) => {
                to.push(1);
                for (child, ceilings) in ceilings {
                    for number in [child.0, ceilings.outbound, ceilings.inbound] {
                        to.extend_from_slice(&number.to_be_bytes());
                    }
                }
            }
            News::Windows(windows) => {
                to.push(2);
                for (child, image) in windows {
                    to.extend_from_slice(&child.0.to_be_bytes());
                    put(&mut to, image);
                }
            }
            News::Exact(exact) => {
                to.push(3);
                for (child, next) in exact {
                    to.extend_from_slice(&child.0.to_be_bytes());
                    to.extend_from_slice(&next.to_be_bytes());
                }
            }
        }
        Parcel::new(to)
    }

    /// The length of the encoding, so that no vector grows around a key.
    fn length(&self) -> usize {
        2 + match self {
            News::Records(records) => records
                .iter()
                .map(|(_, record)| 12 + record.as_ref().map_or(0, |one| one.octets().len()))
                .sum(),
            News::Ceilings(ceilings) => ceilings.len() * 24,
            News::Windows(windows) => windows.iter().map(|(_, image)| 12 + image.len()).sum(),
            News::Exact(exact) => exact.len() * 16,
        }
    }

    /// Reads a parcel; `None` when it is none of this version.
    pub(crate) fn decode(parcel: &Parcel) -> Option<Self> {
        let mut from = Reader(parcel.octets());
        if from.byte()? != VERSION {
            return None;
        }
        Some(match from.byte()? {
            0 => News::Records(from.all(|from| {
                let ike = IkeSaId(from.number()?);
                let octets = from.octets()?;
                let record = (!octets.is_empty()).then(|| Record::from_octets(octets));
                Some((ike, record))
            })?),
            1 => News::Ceilings(from.all(|from| {
                let child = ChildId(from.number()?);
                let (outbound, inbound) = (from.number()?, from.number()?);
                Some((child, Ceilings { outbound, inbound }))
            })?),
            2 => News::Windows(
                from.all(|from| Some((ChildId(from.number()?), from.octets()?.to_vec())))?,
            ),
            3 => News::Exact(from.all(|from| Some((ChildId(from.number()?), from.number()?)))?),
            _ => return None,
        })
    }
}

/// A datagram that came to a member that has just given the group away.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Stray {
    /// ESP, from SPI to ICV.
    Esp {
        /// Outer source address.
        source: IpAddr,
        /// Outer destination address.
        destination: IpAddr,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// An IKE message without a marker.
    Ike {
        /// Where it arrived.
        local: SocketAddr,
        /// Whence it came.
        remote: SocketAddr,
        /// The message.
        bytes: Vec<u8>,
    },
}

impl Stray {
    /// The address that it was sent to.
    pub(crate) fn local(&self) -> IpAddr {
        match self {
            Stray::Esp { destination, .. } => *destination,
            Stray::Ike { local, .. } => local.ip(),
        }
    }

    pub(crate) fn encode(&self) -> Parcel {
        let (kind, ends, bytes) = match self {
            Stray::Esp {
                source,
                destination,
                bytes,
            } => (4, [(*source, 0), (*destination, 0)], bytes),
            Stray::Ike {
                local,
                remote,
                bytes,
            } => {
                let end = |socket: &SocketAddr| (socket.ip(), socket.port());
                (5, [end(local), end(remote)], bytes)
            }
        };
        let mut to = vec![VERSION, kind];
        for (address, port) in ends {
            let octets = match address {
                IpAddr::V4(address) => address.to_ipv6_mapped().octets(),
                IpAddr::V6(address) => address.octets(),
            };
            to.extend_from_slice(&octets);
            to.extend_from_slice(&u16::to_be_bytes(port));
        }
        to.extend_from_slice(bytes);
        Parcel::new(to)
    }

    pub(crate) fn decode(parcel: &Parcel) -> Option<Self> {
        let mut from = Reader(parcel.octets());
        if from.byte()? != VERSION {
            return None;
        }
        let kind = from.byte()?;
        let (one, other) = (from.end()?, from.end()?);
        let bytes = from.0.to_vec();
        match kind {
            4 => Some(Stray::Esp {
                source: one.ip(),
                destination: other.ip(),
                bytes,
            }),
            5 => Some(Stray::Ike {
                local: one,
                remote: other,
                bytes,
            }),
            _ => None,
        }
    }
}

fn put(to: &mut Vec<u8>, octets: &[u8]) {
    to.extend_from_slice(&(octets.len() as u32).to_be_bytes());
    to.extend_from_slice(octets);
}

struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn byte(&mut self) -> Option<u8> {
        self.take(1)?.first().copied()
    }

    fn number(&mut self) -> Option<u64> {
        Some(u64::from_be_bytes(self.take(8)?.try_into().ok()?))
    }

    fn octets(&mut self) -> Option<&'a [u8]> {
        let length = u32::from_be_bytes(self.take(4)?.try_into().ok()?);
        self.take(usize::try_from(length).ok()?)
    }

    fn end(&mut self) -> Option<SocketAddr> {
        let octets: [u8; 16] = self.take(16)?.try_into().ok()?;
        let address = std::net::Ipv6Addr::from(octets).to_canonical();
        let port = u16::from_be_bytes(self.take(2)?.try_into().ok()?);
        Some(SocketAddr::new(address, port))
    }

    /// Items until the end.
    fn all<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let mut items = Vec::new();
        while !self.0.is_empty() {
            items.push(read(self)?);
        }
        Some(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let ceilings = Ceilings {
            outbound: 7,
            inbound: u64::MAX,
        };
        let wanted = vec![(ChildId(1), ceilings), (ChildId(2), ceilings)];
        let parcel = News::Ceilings(wanted.clone()).encode();
        assert!(matches!(News::decode(&parcel), Some(News::Ceilings(read)) if read == wanted));
        let exact = vec![(ChildId(9), 1_000)];
        let parcel = News::Exact(exact.clone()).encode();
        assert!(matches!(News::decode(&parcel), Some(News::Exact(read)) if read == exact));
        let windows = vec![(ChildId(9), vec![1, 2, 3])];
        let parcel = News::Windows(windows.clone()).encode();
        assert!(matches!(News::decode(&parcel), Some(News::Windows(read)) if read == windows));
        let records = vec![
            (IkeSaId(3), Some(Record::from_octets(b"record"))),
            (IkeSaId(4), None),
        ];
        let Some(News::Records(read)) = News::decode(&News::Records(records).encode()) else {
            panic!("records are read as records");
        };
        assert_eq!((read[0].0, read[1].0), (IkeSaId(3), IkeSaId(4)));
        assert_eq!(read[0].1.as_ref().map(Record::octets), Some(&b"record"[..]));
        assert!(read[1].1.is_none());
    }

    #[test]
    fn a_stray_is_read_as_it_came() {
        for address in ["10.0.0.1", "2001:db8::1"] {
            let address: IpAddr = address.parse().unwrap();
            let esp = Stray::Esp {
                source: address,
                destination: address,
                bytes: vec![1; 40],
            };
            assert_eq!(Stray::decode(&esp.encode()), Some(esp));
            let ike = Stray::Ike {
                local: SocketAddr::new(address, 500),
                remote: SocketAddr::new(address, 4500),
                bytes: vec![2; 30],
            };
            assert_eq!(Stray::decode(&ike.encode()), Some(ike));
        }
    }

    #[test]
    fn what_is_cut_short_is_no_parcel() {
        let whole = News::Exact(vec![(ChildId(9), 1_000)]).encode();
        for cut in [0, 1, 3, 10, 17] {
            let parcel = Parcel::new(whole.octets()[..cut].to_vec());
            assert!(News::decode(&parcel).is_none(), "cut at {cut}");
        }
    }
}
