//! Every set of ESP algorithms that we offer, and SA pairs made of them on manual keys.

use std::net::IpAddr;

use crypto::random::SeededRandom;
use crypto::suite::{Encryption, Integrity};
use crypto::{Secret, random::Random};
use policy::child::Mode;
use policy::names::{PeerName, RuleName};
use policy::range::AddressRange;
use policy::sa::{ChildId, Encapsulation, KeyMaterial, SaSpec};
use policy::selector::{Selectors, TrafficSelector};

/// The rule that every SA of this crate serves.
pub(crate) const RULE: &str = "interop";

/// Algorithms of one SA pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Suite {
    pub(crate) encryption: Encryption,
    pub(crate) integrity: Option<Integrity>,
    pub(crate) esn: bool,
}

impl Suite {
    /// Every cipher, with every integrity algorithm where it needs one, with sequence numbers of
    /// 32 and of 64 bits; of the legacy ones what peers of that generation have.
    pub(crate) fn all() -> Vec<Suite> {
        let mut suites = Vec::new();
        let modern = Integrity::ALL.into_iter().filter(|one| !one.is_legacy());
        let modern: Vec<_> = modern.map(Some).collect();
        for encryption in Encryption::ALL.into_iter().filter(|one| !one.is_legacy()) {
            let integrities = match encryption.is_aead() {
                true => vec![None],
                false => modern.clone(),
            };
            for integrity in integrities {
                for esn in [false, true] {
                    suites.push(Suite {
                        encryption,
                        integrity,
                        esn,
                    });
                }
            }
        }
        let legacy = [
            (Encryption::TripleDesCbc, Integrity::HmacSha1_96),
            (Encryption::TripleDesCbc, Integrity::HmacMd5_96),
            (Encryption::DesCbc, Integrity::HmacSha1_96),
            (Encryption::DesCbc, Integrity::HmacMd5_96),
            (Encryption::Null, Integrity::HmacSha1_96),
        ];
        suites.extend(legacy.map(|(encryption, integrity)| Suite {
            encryption,
            integrity: Some(integrity),
            esn: false,
        }));
        suites
    }

    /// As people write it: `aes128gcm16`, `aes256-sha512-esn`.
    pub(crate) fn name(self) -> String {
        let mut name = match self.encryption {
            Encryption::AesGcm16 { key_bits } => format!("aes{key_bits}gcm16"),
            Encryption::ChaCha20Poly1305 => "chacha20poly1305".into(),
            Encryption::AesCbc { key_bits } => format!("aes{key_bits}"),
            Encryption::TripleDesCbc => "3des".into(),
            Encryption::DesCbc => "des".into(),
            Encryption::Null => "null".into(),
        };
        name += match self.integrity {
            None => "",
            Some(Integrity::HmacSha2_256_128) => "-sha256",
            Some(Integrity::HmacSha2_384_192) => "-sha384",
            Some(Integrity::HmacSha2_512_256) => "-sha512",
            Some(Integrity::HmacSha1_96) => "-sha1",
            Some(Integrity::HmacMd5_96) => "-md5",
        };
        if self.esn {
            name += "-esn";
        }
        name
    }

    /// An SA pair between two hosts, for all traffic between them. SPIs and keys follow from
    /// `number`, which must differ from pair to pair.
    pub(crate) fn pair(self, mode: Mode, local: IpAddr, remote: IpAddr, number: u32) -> SaSpec {
        let mut random = SeededRandom::new(u64::from(number));
        let integrity = self.integrity.map_or(0, Integrity::key_length);
        let mut keys = || KeyMaterial {
            encryption: secret(&mut random, self.encryption.key_length()),
            integrity: secret(&mut random, integrity),
        };
        let side = |address| vec![TrafficSelector::all(AddressRange::host(address))];
        SaSpec {
            id: ChildId(u64::from(number)),
            rule: RuleName::new(RULE),
            peer: PeerName::new("peer"),
            mode,
            encapsulation: Encapsulation::None,
            local,
            remote,
            nat: policy::Translation::default(),
            outer: policy::child::OuterHeader::default(),
            inbound_spi: 0x1000_0000 + number,
            outbound_spi: 0x2000_0000 + number,
            encryption: self.encryption,
            integrity: self.integrity,
            esn: self.esn,
            replay_window: 1024,
            selectors: Selectors {
                local: side(local),
                remote: side(remote),
            },
            inbound_keys: keys(),
            outbound_keys: keys(),
        }
    }
}

fn secret(random: &mut SeededRandom, length: usize) -> Secret {
    let mut bytes = vec![0; length];
    random.fill(&mut bytes);
    Secret::new(bytes)
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Hexadecimal digits as bytes.
pub(crate) fn unhex(text: &str) -> Option<Vec<u8>> {
    if !text.is_ascii() || !text.len().is_multiple_of(2) {
        return None;
    }
    let byte = |at: usize| u8::from_str_radix(text.get(at..at + 2)?, 16).ok();
    (0..text.len()).step_by(2).map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn twelve_sets_with_and_without_extended_numbers_and_five_old_ones() {
        let names: Vec<String> = Suite::all().into_iter().map(Suite::name).collect();
        assert_eq!(names.len(), 24 + 5);
        for name in [
            "aes128gcm16",
            "chacha20poly1305-esn",
            "aes192-sha384",
            "aes256-sha512-esn",
            "3des-sha1",
            "null-sha1",
        ] {
            assert!(names.iter().any(|known| known == name), "{name}");
        }
    }

    #[test]
    fn hexadecimal() {
        assert_eq!(hex(&[0, 0xaf]), "00af");
        assert_eq!(unhex("00af"), Some(vec![0, 0xaf]));
        assert_eq!(unhex("0"), None);
        assert_eq!(unhex("0g"), None);
    }
}
