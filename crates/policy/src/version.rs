//! Which version of IKE a peer speaks, and how old its algorithms may be.

use std::fmt;
use std::time::Duration;

use crypto::suite::{Encryption, Group, Integrity, Prf};

use crate::additional::AdditionalOffer;
use crate::proposal::{self, EspProposal, IkeProposal};
use crate::timers::IkeLifetime;

/// The version of IKE that a peer speaks. One peer speaks one of them: whoever answers a first
/// message must know by which rules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum IkeVersion {
    /// RFC 2409.
    V1,
    /// RFC 7296.
    #[default]
    V2,
}

impl fmt::Display for IkeVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            IkeVersion::V1 => "IKEv1",
            IkeVersion::V2 => "IKEv2",
        })
    }
}

/// Peers that have nothing but algorithms which can be broken. They speak IKEv1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Legacy {
    /// Windows 2000, XP and Server 2003: DES, 3DES, MD5, SHA-1 and short groups.
    Windows2003,
}

impl Legacy {
    /// The word for it in a policy.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Legacy::Windows2003 => "windows2003",
        }
    }

    /// How long an IKE SA with it lives: the 480 minutes that Windows has by default.
    #[must_use]
    pub fn ike_lifetime(self) -> IkeLifetime {
        match self {
            Legacy::Windows2003 => IkeLifetime::of(Duration::from_secs(8 * 3600)),
        }
    }
}

/// After so many bytes a pair is rekeyed whose cipher has blocks of 64 bits, unless the policy says
/// otherwise: the 100,000 KB that Windows has by default. Above 2^32 blocks some would be alike and
/// tell of each other (RFC 8221 section 5); this is less than a hundredth of that.
pub const SHORT_BLOCKS_BYTES: u64 = 100_000 * 1024;

/// What such a peer is offered, and may ask for, where the policy does not say: IKE.
#[must_use]
pub fn default_ike(version: IkeVersion, legacy: Option<Legacy>) -> Vec<IkeProposal> {
    use Encryption::{DesCbc, TripleDesCbc};
    match (version, legacy) {
        (IkeVersion::V2, _) => proposal::default_ike(),
        (IkeVersion::V1, None) => vec![IkeProposal {
            encryption: vec![aes(256), aes(128)],
            integrity: vec![Integrity::HmacSha2_256_128],
            prf: vec![Prf::HmacSha2_256],
            groups: vec![Group::Modp2048, Group::Modp3072, Group::Ecp256],
            additional: AdditionalOffer::default(),
        }],
        // The list of Windows Server 2003, with the group that it has and those before it had not.
        (IkeVersion::V1, Some(Legacy::Windows2003)) => vec![
            phase_1(TripleDesCbc, Integrity::HmacSha1_96, Group::Modp2048),
            phase_1(TripleDesCbc, Integrity::HmacSha1_96, Group::Modp1024),
            phase_1(TripleDesCbc, Integrity::HmacMd5_96, Group::Modp1024),
            phase_1(DesCbc, Integrity::HmacSha1_96, Group::Modp768),
            phase_1(DesCbc, Integrity::HmacMd5_96, Group::Modp768),
        ],
    }
}

/// What such a peer is offered, and may ask for, where the policy does not say: ESP.
#[must_use]
pub fn default_esp(version: IkeVersion, legacy: Option<Legacy>) -> Vec<EspProposal> {
    use Encryption::{DesCbc, TripleDesCbc};
    let gcm = |key_bits| Encryption::AesGcm16 { key_bits };
    match (version, legacy) {
        (IkeVersion::V2, _) => proposal::default_esp(),
        (IkeVersion::V1, None) => vec![
            quick(vec![gcm(128), gcm(256)], None),
            quick(vec![aes(128), aes(256)], Some(Integrity::HmacSha2_256_128)),
        ],
        (IkeVersion::V1, Some(Legacy::Windows2003)) => vec![
            quick(vec![TripleDesCbc], Some(Integrity::HmacSha1_96)),
            quick(vec![TripleDesCbc], Some(Integrity::HmacMd5_96)),
            quick(vec![DesCbc], Some(Integrity::HmacSha1_96)),
            quick(vec![DesCbc], Some(Integrity::HmacMd5_96)),
        ],
    }
}

fn aes(key_bits: u16) -> Encryption {
    Encryption::AesCbc { key_bits }
}

fn phase_1(encryption: Encryption, integrity: Integrity, group: Group) -> IkeProposal {
    IkeProposal {
        encryption: vec![encryption],
        integrity: vec![integrity],
        prf: vec![proposal::prf_of(integrity)],
        groups: vec![group],
        additional: AdditionalOffer::default(),
    }
}

/// IKEv1 has 32 bits of sequence numbers unless both sides speak RFC 4304, which few do.
fn quick(encryption: Vec<Encryption>, integrity: Option<Integrity>) -> EspProposal {
    EspProposal {
        encryption,
        integrity: integrity.into_iter().collect(),
        groups: Vec::new(),
        additional: AdditionalOffer::default(),
        esn: vec![false],
    }
}
