//! S6: no key is on the network, except within a link between members.

use std::collections::HashSet;

/// Octets of a key by which it is known.
const MARKER: usize = 8;

/// Every octet on every wire is looked at: most are told by their first two to begin no key.
const BEGINNINGS: usize = 1 << 16;

pub(crate) struct Secrets {
    markers: HashSet<u64>,
    beginnings: Vec<bool>,
}

impl Default for Secrets {
    fn default() -> Self {
        Self {
            markers: HashSet::new(),
            beginnings: vec![false; BEGINNINGS],
        }
    }
}

fn beginning(marker: u64) -> usize {
    usize::try_from(marker >> 48).unwrap_or_default()
}

impl Secrets {
    /// A host holds a key that begins with these octets.
    pub(crate) fn key(&mut self, marker: u64) {
        self.markers.insert(marker);
        self.beginnings[beginning(marker)] = true;
    }

    /// Something is put on the wire.
    pub(crate) fn on_wire(&self, octets: &[u8]) -> Option<String> {
        if self.markers.is_empty() {
            return None;
        }
        let mut windows = octets.windows(MARKER);
        let known = |window: &[u8]| {
            let octets = window.first_chunk::<MARKER>();
            octets.is_some_and(|octets| {
                let marker = u64::from_be_bytes(*octets);
                self.beginnings[beginning(marker)] && self.markers.contains(&marker)
            })
        };
        windows
            .any(known)
            .then(|| "a key is on the wire".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_found_wherever_it_lies() {
        let mut secrets = Secrets::default();
        secrets.key(0x0102_0304_0506_0708);
        let mut octets = vec![0; 5];
        octets.extend(1..=8);
        octets.push(0);
        assert!(secrets.on_wire(&octets).is_some());
        octets[9] ^= 1;
        assert_eq!(secrets.on_wire(&octets), None);
    }
}
