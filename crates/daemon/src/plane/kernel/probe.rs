//! Whether this kernel can be the plane: an SA of every algorithm is made and removed.

use crate::plane::kernel::number;
use linux::xfrm::{Algorithm, Cipher, Hash, Lifetimes, Mode, Replay, Sa, SaId, Xfrm, is_missing};
use linux::{Error, Family};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::path::Path;

/// Nobody's: the networks of documentation (RFC 5737, RFC 3849).
const NOWHERE: [(IpAddr, IpAddr); 2] = [
    (
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        IpAddr::V4(Ipv4Addr::new(192, 0, 2, 2)),
    ),
    (
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 1)),
        IpAddr::V6(Ipv6Addr::new(0x2001, 0xdb8, 0, 0, 0, 0, 0, 2)),
    ),
];
const SPI: u32 = 0x4846_5042;

/// What keeps the kernel from being the plane, as a clause; `None`: nothing.
pub(crate) fn obstacle(replicate: bool) -> Option<String> {
    let mut door = match Xfrm::open() {
        Ok(door) => door,
        Err(error) => return Some(error.to_string()),
    };
    for (source, destination) in NOWHERE {
        for algorithm in algorithms() {
            if let Err(error) = try_out(&mut door, source, destination, algorithm) {
                let family = Family::of(source);
                return Some(match is_missing(&error) {
                    true => format!("the kernel has no ESP with {algorithm} for {family}"),
                    false => error.to_string(),
                });
            }
        }
    }
    replicate.then(segmentation).flatten()
}

/// With this a super-packet counts as one packet and takes a number for each of its segments, so
/// that a limit of packets is no ceiling of numbers.
fn segmentation() -> Option<String> {
    let modules = ["esp4_offload", "esp6_offload"].into_iter();
    let loaded = modules
        .filter(|module| Path::new("/sys/module").join(module).exists())
        .collect::<Vec<_>>();
    (!loaded.is_empty()).then(|| {
        format!(
            "SAs are replicated, and with the kernel's module {} the limit of an SA is no ceiling \
             of its sequence numbers: unload it",
            loaded.join(" and ")
        )
    })
}

fn algorithms() -> [Algorithm<'static>; 6] {
    let cbc = |hash, hash_key| Algorithm::WithHmac {
        cipher: Cipher::AesCbc,
        key: &[0; 16],
        hash,
        hash_key,
    };
    [
        Algorithm::AesGcm(&[0; 20]),
        Algorithm::AesGcm(&[0; 36]),
        Algorithm::ChaCha20Poly1305(&[0; 36]),
        cbc(Hash::Sha256, &[0; 32]),
        cbc(Hash::Sha384, &[0; 48]),
        cbc(Hash::Sha512, &[0; 64]),
    ]
}

fn try_out(
    door: &mut Xfrm,
    source: IpAddr,
    destination: IpAddr,
    algorithm: Algorithm<'_>,
) -> Result<(), Error> {
    let id = SaId {
        destination,
        spi: SPI,
    };
    // What a daemon that was killed here may have left.
    door.delete_sa(id, source, None)?;
    door.add_sa(&Sa {
        id,
        source,
        reqid: number::PROBE,
        mode: Mode::Transport,
        algorithm,
        esn: true,
        replay: Replay::new(64),
        lifetimes: Lifetimes::NONE,
        encapsulation: None,
        mark: None,
        output_mark: None,
        offload: None,
    })?;
    door.delete_sa(id, source, None).map(drop)
}
