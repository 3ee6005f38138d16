//! The largest packet that still fits a path once it is sealed (RFC 4301 8.2).

use crypto::{Encryption, Integrity};
use policy::child::Mode;
use policy::sa::Encapsulation;
use wire::esp::{HEADER, STREAM_LENGTH, TRAILER};
use wire::ip::{udp, v4, v6};

/// The header of TCP with time stamps (RFC 7323 section 3.2).
const TCP_HEADER: usize = 32;

/// What makes an ESP datagram longer than the packet inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Overhead {
    /// Transport or tunnel mode.
    pub mode: Mode,
    /// Raw, in UDP or in TCP.
    pub encapsulation: Encapsulation,
    /// Whether the outer header is IPv6.
    pub ipv6: bool,
    /// The cipher.
    pub encryption: Encryption,
    /// The integrity algorithm, unless the cipher is an AEAD.
    pub integrity: Option<Integrity>,
}

impl Overhead {
    /// The longest IP packet, in bytes, that fits a path of `path_mtu` bytes; 0 if none does. In
    /// transport mode the packet's own header is the outer one.
    #[must_use]
    pub fn inner_mtu(&self, path_mtu: usize) -> usize {
        let ip = if self.ipv6 { v6::HEADER } else { v4::HEADER };
        let around = match self.encapsulation {
            Encapsulation::None => 0,
            Encapsulation::Udp { .. } => udp::HEADER,
            // A segment of one datagram, with the options that TCP usually has.
            Encapsulation::Tcp { .. } => STREAM_LENGTH + TCP_HEADER,
        };
        let icv = self
            .integrity
            .map_or(self.encryption.icv_length(), Integrity::icv_length);
        let fixed = ip + around + HEADER + self.encryption.iv_length() + icv;
        let block = self.encryption.block_length().max(4);
        let text = path_mtu.saturating_sub(fixed) / block * block;
        let Some(payload) = text.checked_sub(TRAILER) else {
            return 0;
        };
        match self.mode {
            Mode::Transport => payload + ip,
            Mode::Tunnel => payload,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use policy::sa::Bucket;

    use super::*;
    use crate::fixtures::Pair;
    use crate::outbound::OutboundSa;

    #[test]
    fn the_largest_packet_fits_and_no_larger_one() {
        let udp = Encapsulation::Udp {
            local_port: 4500,
            remote_port: 4500,
        };
        for pair in Pair::all() {
            for (encapsulation, udp) in [(Encapsulation::None, 0), (udp, 8)] {
                let Pair {
                    mode,
                    encryption,
                    integrity,
                    ipv6,
                    ..
                } = pair;
                let overhead = Overhead {
                    mode,
                    encapsulation,
                    ipv6,
                    encryption,
                    integrity,
                };
                let sa = OutboundSa::new(Arc::new(pair.spec()), Bucket::HOST).unwrap();
                let ip = if ipv6 { 40 } else { 20 };
                let outer = |packet: usize| match mode {
                    Mode::Transport => ip + udp + sa.sealed_length(packet - ip),
                    Mode::Tunnel => ip + udp + sa.sealed_length(packet),
                };
                for path in 1200..1600 {
                    let inner = overhead.inner_mtu(path);
                    assert!(outer(inner) <= path, "{pair:?} {path}");
                    assert!(outer(inner + 1) > path, "{pair:?} {path}");
                }
                assert_eq!(overhead.inner_mtu(30), 0);
            }
        }
    }
}
