//! S1: no (SPI, sequence number) and no (key, IV) is sent twice.

use std::collections::HashSet;

use wire::esp::{HEADER, Header};

use crate::frame::{HostId, KeyLabel};

/// Octets of the shortest IV of an ESP cipher (RFC 4106 section 3.1).
const IV: usize = 8;

#[derive(Default)]
pub(crate) struct Unique {
    numbers: HashSet<(KeyLabel, u32, u32)>,
    ivs: HashSet<(KeyLabel, [u8; IV])>,
}

impl Unique {
    /// An ESP datagram is put on the wire by who sealed it, not by the network that doubles it.
    pub(crate) fn on_wire(
        &mut self,
        host: HostId,
        key: KeyLabel,
        datagram: &[u8],
    ) -> Option<String> {
        let Some((Header { spi, sequence }, rest)) = Header::parse(datagram) else {
            return Some(format!(
                "host {host} sends ESP of {} octets",
                datagram.len()
            ));
        };
        if key == KeyLabel::default() {
            return Some(format!(
                "host {host} seals for SPI {spi:08x}, which it does not have"
            ));
        }
        if !self.numbers.insert((key, spi, sequence)) {
            return Some(format!(
                "host {host} sends number {sequence} of {spi:08x} again"
            ));
        }
        // A CBC cipher's IV has 16 octets, of which the first 8 are as unlikely to meet again.
        let iv = *rest.first_chunk::<IV>()?;
        let fresh = self.ivs.insert((key, iv));
        (!fresh).then(|| {
            format!("host {host} uses an IV again, offset {HEADER} of {spi:08x} no. {sequence}")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn datagram(spi: u32, sequence: u32, iv: u64) -> Vec<u8> {
        [
            &Header { spi, sequence }.emit()[..],
            &iv.to_be_bytes(),
            &[0; 20],
        ]
        .concat()
    }

    #[test]
    fn a_number_or_an_iv_under_one_key_is_seen_again() {
        let mut unique = Unique::default();
        let key = KeyLabel(1);
        assert_eq!(unique.on_wire(0, key, &datagram(300, 1, 1)), None);
        assert_eq!(unique.on_wire(0, key, &datagram(300, 2, 2)), None);
        assert_eq!(unique.on_wire(1, KeyLabel(2), &datagram(300, 1, 1)), None);
        let number = unique.on_wire(1, key, &datagram(300, 2, 3)).unwrap();
        assert!(number.contains("number 2"), "{number}");
        let iv = unique.on_wire(1, key, &datagram(300, 3, 2)).unwrap();
        assert!(iv.contains("an IV again"), "{iv}");
    }

    #[test]
    fn a_key_that_nobody_installed_is_noticed() {
        let mut unique = Unique::default();
        assert!(
            unique
                .on_wire(0, KeyLabel::default(), &datagram(300, 1, 1))
                .is_some()
        );
    }
}
