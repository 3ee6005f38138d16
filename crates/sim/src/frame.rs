//! What travels on the simulated wire, and between whom.

use std::fmt;
use std::net::IpAddr;

/// A host of the world: 0 is the front end, 1 and 2 are the nodes of the cluster, 3 is the second
/// node of the front end where that is a cluster too, 4 is the third node of the cluster where
/// there is a witness.
pub type HostId = usize;

/// The front end.
pub const FRONT: HostId = 0;
/// The second node of a front end that is a cluster itself.
pub const SECOND_FRONT: HostId = 3;

/// The third node of the cluster.
pub const THIRD: HostId = 4;

/// Whether a host belongs to the front end.
#[must_use]
pub fn is_front(host: HostId) -> bool {
    host == FRONT || host == SECOND_FRONT
}

/// Says which key a datagram was sealed under, without being the key. Only checkers see it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct KeyLabel(pub u64);

/// A datagram on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// Source address.
    pub src: IpAddr,
    /// Destination address.
    pub dst: IpAddr,
    /// What it carries.
    pub content: Content,
}

/// What a datagram carries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// An IKE message, without the non-ESP marker.
    Ike {
        /// Source port.
        src_port: u16,
        /// Destination port.
        dst_port: u16,
        /// The message.
        bytes: Vec<u8>,
    },
    /// An ESP datagram.
    Esp {
        /// Source and destination port, if it is in UDP.
        ports: Option<(u16, u16)>,
        /// Whose key sealed it.
        key: KeyLabel,
        /// From SPI to ICV.
        bytes: Vec<u8>,
    },
    /// A heartbeat of the cluster.
    Heartbeat {
        /// Source and destination port.
        port: u16,
        /// The datagram.
        bytes: Vec<u8>,
    },
    /// A whole IP packet that nobody protected.
    Clear(Vec<u8>),
}

impl Frame {
    /// The bytes that an attacker or a bad link may change.
    pub fn bytes_mut(&mut self) -> &mut Vec<u8> {
        match &mut self.content {
            Content::Ike { bytes, .. }
            | Content::Esp { bytes, .. }
            | Content::Heartbeat { bytes, .. }
            | Content::Clear(bytes) => bytes,
        }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        match &self.content {
            Content::Ike { bytes, .. }
            | Content::Esp { bytes, .. }
            | Content::Heartbeat { bytes, .. }
            | Content::Clear(bytes) => bytes,
        }
    }
}

impl fmt::Display for Frame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Frame { src, dst, content } = self;
        write!(f, "{src} -> {dst} ")?;
        match content {
            Content::Ike { bytes, .. } if wire::isakmp::major_version(bytes) == Some(1) => {
                match wire::isakmp::decode_header(bytes) {
                    Ok((header, _)) => {
                        let (exchange, id) = (header.exchange, header.message_id);
                        let (one, other) = (header.initiator_cookie, header.responder_cookie);
                        write!(f, "{exchange:?} {id:08x} of {one:016x}_{other:016x}")
                    }
                    Err(_) => write!(f, "ISAKMP? {} octets", bytes.len()),
                }
            }
            Content::Ike { bytes, .. } => match wire::ike::Header::parse(bytes) {
                Ok(header) => {
                    let direction = if header.flags.response {
                        "response"
                    } else {
                        "request"
                    };
                    let (exchange, id) = (header.exchange, header.message_id);
                    let (initiator, responder) = (header.initiator_spi, header.responder_spi);
                    write!(
                        f,
                        "{exchange:?} {direction} {id} of {initiator:016x}_{responder:016x}"
                    )
                }
                Err(_) => write!(f, "IKE? {} octets", bytes.len()),
            },
            Content::Esp { bytes, .. } => match wire::esp::Header::parse(bytes) {
                Some((header, _)) => write!(f, "ESP {:08x} no. {}", header.spi, header.sequence),
                None => write!(f, "ESP? {} octets", bytes.len()),
            },
            Content::Heartbeat { .. } => f.write_str("heartbeat"),
            Content::Clear(bytes) => write!(f, "clear text, {} octets", bytes.len()),
        }
    }
}
