//! A pair of SAs as the control thread knows it, in the kernel or not (RFC 4303 §3.3.3).

use crate::plane::kernel::lines::wrapping;
use crypto::suite::{Encryption, Integrity};
use esp::WindowImage;
use linux::xfrm::{Algorithm, Cipher, Hash, Lifetimes, Replay, Sa, SaId};
use policy::{Bucket, ChildId, Encapsulation, KeyMaterial, SaSpec};
use std::net::IpAddr;
use std::sync::Arc;

/// The window of an SA that only sends: the kernel wants one.
const NO_WINDOW: u32 = 64;

/// One direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Way {
    In,
    Out,
}

/// A pair. A standby's pairs are here and not in the kernel.
pub(crate) struct Pair {
    pub(crate) spec: Arc<SaSpec>,
    pub(crate) bucket: Bucket,
    pub(crate) local: IpAddr,
    pub(crate) remote: IpAddr,
    pub(crate) encapsulation: Encapsulation,
    /// Whether the peer is ready for the outbound SA.
    pub(crate) active: bool,
    /// The first number that was not used.
    pub(crate) next: u64,
    /// The first number that may not be used.
    pub(crate) ceiling: u64,
    /// The number from which on more is asked for.
    pub(crate) refill_at: u64,
    /// The epoch in which it was used last; `None` if another owner may have used it since.
    pub(crate) epoch: Option<u16>,
    /// What was received before, here or elsewhere.
    pub(crate) window: Option<WindowImage>,
    /// The slot that its policies belong to.
    pub(crate) slot: usize,
    /// Whether the kernel has the inbound SA.
    pub(crate) inbound: bool,
    /// With which number the outbound SA in the kernel began.
    pub(crate) outbound: Option<u64>,
}

impl Pair {
    pub(crate) fn new(spec: Arc<SaSpec>, bucket: Bucket, slot: usize) -> Self {
        let host = bucket.is_host();
        Pair {
            bucket,
            local: spec.local,
            remote: spec.remote,
            encapsulation: spec.encapsulation,
            active: false,
            next: 1,
            ceiling: if host { u64::MAX } else { 1 },
            refill_at: u64::MAX,
            epoch: host.then_some(0),
            window: None,
            slot,
            inbound: false,
            outbound: None,
            spec,
        }
    }

    pub(crate) fn child(&self) -> ChildId {
        self.spec.id
    }

    /// The name of the SA of one direction.
    pub(crate) fn id(&self, way: Way) -> SaId {
        match way {
            Way::In => SaId {
                destination: self.local,
                spi: self.spec.inbound_spi,
            },
            Way::Out => SaId {
                destination: self.remote,
                spi: self.spec.outbound_spi,
            },
        }
    }

    /// Whence its packets come.
    pub(crate) fn source(&self, way: Way) -> IpAddr {
        match way {
            Way::In => self.remote,
            Way::Out => self.local,
        }
    }

    /// Called before it is used in an epoch. If another owner may have used it since it was used
    /// here, or it was used in another one, it goes on at the ceiling: what was sent lies below.
    pub(crate) fn enter(&mut self, epoch: u16) {
        if self.epoch != Some(epoch) {
            self.next = self.next.max(self.ceiling);
            self.epoch = Some(epoch);
        }
    }

    /// Takes over how far the owner of the pair may go; that is another host.
    pub(crate) fn follow(&mut self, ceiling: u64) {
        self.ceiling = self.ceiling.max(ceiling);
        self.epoch = None;
    }

    /// The owner has stopped, with this as its next number.
    pub(crate) fn set_exact(&mut self, next: u64) {
        self.ceiling = next.max(self.next);
        self.epoch = None;
    }

    /// Whether there are numbers to send with.
    pub(crate) fn has_numbers(&self) -> bool {
        self.next < self.ceiling
    }

    /// The limits of the outbound SA that began with number `first`. The kernel counts packets:
    /// each takes one number.
    pub(crate) fn lifetimes(&self, first: u64) -> Lifetimes {
        if self.bucket.is_host() {
            return Lifetimes::NONE;
        }
        let hard_packets = self.ceiling.saturating_sub(first);
        Lifetimes {
            soft_packets: self.refill_at.saturating_sub(first).min(hard_packets),
            hard_packets,
            ..Lifetimes::NONE
        }
    }

    /// The inbound SA for the kernel.
    pub(crate) fn inbound_sa(&self, reqid: u32) -> Sa<'_> {
        let mut replay = Replay::new(self.spec.replay_window);
        if let Some(image) = &self.window {
            replay.set_received(image.highest(), |number| image.has_seen(number));
        }
        let ports = match self.encapsulation {
            // Pairs in TCP are refused before they come here.
            Encapsulation::None | Encapsulation::Tcp { .. } => None,
            Encapsulation::Udp {
                local_port,
                remote_port,
            } => Some((remote_port, local_port)),
        };
        let keys = &self.spec.inbound_keys;
        self.sa(Way::In, reqid, keys, replay, Lifetimes::NONE, ports)
    }

    /// The outbound SA for the kernel, whose first number is `first`; its packets get `mark`.
    pub(crate) fn outbound_sa(&self, reqid: u32, first: u64, mark: u32) -> Sa<'_> {
        let mut replay = Replay::new(NO_WINDOW);
        replay.sent = first.saturating_sub(1);
        let ports = match self.encapsulation {
            // Pairs in TCP are refused before they come here.
            Encapsulation::None | Encapsulation::Tcp { .. } => None,
            Encapsulation::Udp {
                local_port,
                remote_port,
            } => Some((local_port, remote_port)),
        };
        let (keys, limits) = (&self.spec.outbound_keys, self.lifetimes(first));
        Sa {
            output_mark: Some(mark),
            ..self.sa(Way::Out, reqid, keys, replay, limits, ports)
        }
    }

    fn sa<'a>(
        &self,
        way: Way,
        reqid: u32,
        keys: &'a KeyMaterial,
        replay: Replay,
        lifetimes: Lifetimes,
        encapsulation: Option<(u16, u16)>,
    ) -> Sa<'a> {
        Sa {
            id: self.id(way),
            source: self.source(way),
            reqid,
            mode: wrapping(self.spec.mode),
            algorithm: algorithm(&self.spec, keys),
            esn: self.spec.esn,
            replay,
            lifetimes,
            encapsulation,
            mark: None,
            output_mark: None,
            offload: None,
        }
    }
}

fn algorithm<'a>(spec: &SaSpec, keys: &'a KeyMaterial) -> Algorithm<'a> {
    let key = keys.encryption.as_bytes();
    match spec.encryption {
        Encryption::AesGcm16 { .. } => Algorithm::AesGcm(key),
        Encryption::ChaCha20Poly1305 => Algorithm::ChaCha20Poly1305(key),
        Encryption::AesCbc { .. } => with_hmac(Cipher::AesCbc, spec.integrity, keys),
        Encryption::TripleDesCbc => with_hmac(Cipher::TripleDesCbc, spec.integrity, keys),
        Encryption::DesCbc => with_hmac(Cipher::DesCbc, spec.integrity, keys),
        Encryption::Null => with_hmac(Cipher::Null, spec.integrity, keys),
    }
}

fn with_hmac(cipher: Cipher, integrity: Option<Integrity>, keys: &KeyMaterial) -> Algorithm<'_> {
    Algorithm::WithHmac {
        cipher,
        key: keys.encryption.as_bytes(),
        hash: match integrity {
            Some(Integrity::HmacSha2_384_192) => Hash::Sha384,
            Some(Integrity::HmacSha2_512_256) => Hash::Sha512,
            Some(Integrity::HmacSha1_96) => Hash::Sha1,
            Some(Integrity::HmacMd5_96) => Hash::Md5,
            Some(Integrity::HmacSha2_256_128) | None => Hash::Sha256,
        },
        hash_key: keys.integrity.as_bytes(),
    }
}
