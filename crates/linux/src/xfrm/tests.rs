//! XFRM messages octet by octet, and against the kernel of a namespace where it has no ESP.
#![allow(clippy::disallowed_methods)]

mod esp;
mod kernel;

use std::net::IpAddr;

use super::*;
use crate::prefix::Prefix;
use crate::xfrm::octets::{Reader, Writer};

pub(crate) fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

pub(crate) fn prefix(text: &str) -> Prefix {
    text.parse().unwrap()
}

fn sa<'a>(algorithm: Algorithm<'a>) -> Sa<'a> {
    Sa {
        id: SaId {
            destination: ip("192.0.2.2"),
            spi: 0x1234_5678,
        },
        source: ip("192.0.2.1"),
        reqid: 7,
        mode: Mode::Transport,
        algorithm,
        esn: true,
        replay: Replay::new(64),
        lifetimes: Lifetimes {
            hard_packets: 1000,
            soft_packets: 500,
            ..Lifetimes::NONE
        },
        encapsulation: None,
        mark: None,
        output_mark: None,
        offload: None,
    }
}

fn written(write: impl FnOnce(&mut Writer)) -> Vec<u8> {
    let mut out = Writer::new(0, 0);
    write(&mut out);
    out.body().to_vec()
}

/// The attributes behind a structure of this length.
fn attributes(body: &[u8], length: usize) -> Vec<(u16, Vec<u8>)> {
    let all = Reader::new(&body[length..]).attributes();
    all.map(|(kind, value)| (kind, value.to_vec())).collect()
}

#[test]
fn an_sa_has_every_field_in_its_place() {
    let key = [0x11; 20];
    let body = written(|out| sa(Algorithm::AesGcm(&key)).write(out));
    let info = &body[..state::INFO];
    assert_eq!(info[..56], [0; 56], "no selector");
    assert_eq!(info[56..60], [192, 0, 2, 2]);
    assert_eq!(
        info[72..76],
        [0x12, 0x34, 0x56, 0x78],
        "SPI in network order"
    );
    assert_eq!(info[76], 50);
    assert_eq!(info[80..84], [192, 0, 2, 1]);
    let limits = [u64::MAX, u64::MAX, 500, 1000, 0, 0, 0, 0].map(u64::to_ne_bytes);
    assert_eq!(info[96..160], *limits.as_flattened());
    assert_eq!(info[160..208], [0; 48], "nothing carried, no sequence");
    assert_eq!(info[208..212], 7_u32.to_ne_bytes());
    assert_eq!(info[212..214], 2_u16.to_ne_bytes(), "AF_INET");
    assert_eq!(
        info[214..217],
        [0, 0, 128],
        "transport, window in the attribute, ESN"
    );
    let all = attributes(&body, state::INFO);
    let kinds: Vec<u16> = all.iter().map(|(kind, _)| *kind).collect();
    assert_eq!(kinds, [18, 23, 11, 12]);
    let aead = &all[0].1;
    assert_eq!(&aead[..17], b"rfc4106(gcm(aes))");
    assert_eq!(aead[17..64], [0; 47]);
    assert_eq!(aead[64..68], 160_u32.to_ne_bytes(), "bits of key and salt");
    assert_eq!(aead[68..72], 128_u32.to_ne_bytes());
    assert_eq!(aead[72..], key);
    let replay = [2_u32, 0, 0, 0, 0, 64, 0, 0].map(u32::to_ne_bytes);
    assert_eq!(all[1].1, *replay.as_flattened());
}

#[test]
fn old_algorithms_have_their_old_names() {
    for (cipher, key, name) in [
        (Cipher::TripleDesCbc, &[2; 24][..], "cbc(des3_ede)"),
        (Cipher::DesCbc, &[2; 8], "cbc(des)"),
        (Cipher::Null, &[], "ecb(cipher_null)"),
    ] {
        for (hash, hash_key, hash_name) in [
            (Hash::Sha1, &[3; 20][..], "hmac(sha1)"),
            (Hash::Md5, &[3; 16], "hmac(md5)"),
        ] {
            let algorithm = Algorithm::WithHmac {
                cipher,
                key,
                hash,
                hash_key,
            };
            assert_eq!(algorithm.to_string(), format!("{name} with {hash_name}"));
            let all = attributes(&written(|out| algorithm.write(out)), 0);
            let (auth, crypt) = (&all[0].1, &all[1].1);
            assert!(auth.starts_with(hash_name.as_bytes()));
            assert_eq!(auth[68..72], 96_u32.to_ne_bytes(), "bits of the ICV");
            assert!(crypt.starts_with(name.as_bytes()) && crypt[name.len()] == 0);
            assert_eq!(crypt[64..68], (key.len() as u32 * 8).to_ne_bytes());
            assert_eq!(crypt[68..], *key);
        }
    }
}

#[test]
fn cbc_comes_with_an_hmac_and_its_length() {
    for (hash, name, bits) in [
        (Hash::Sha256, "hmac(sha256)", 128_u32),
        (Hash::Sha384, "hmac(sha384)", 192),
        (Hash::Sha512, "hmac(sha512)", 256),
    ] {
        let hash_key = vec![3; bits as usize / 4];
        let algorithm = Algorithm::WithHmac {
            cipher: Cipher::AesCbc,
            key: &[2; 16],
            hash,
            hash_key: &hash_key,
        };
        let all = attributes(&written(|out| algorithm.write(out)), 0);
        let ((auth, auth_value), (crypt, crypt_value)) = (&all[0], &all[1]);
        assert_eq!((*auth, *crypt), (20, 2));
        assert!(auth_value.starts_with(name.as_bytes()) && auth_value[name.len()] == 0);
        assert_eq!(
            auth_value[64..68],
            (bits * 2).to_ne_bytes(),
            "bits of the key"
        );
        assert_eq!(auth_value[68..72], bits.to_ne_bytes(), "bits of the ICV");
        assert_eq!(auth_value[72..], hash_key);
        assert_eq!(&crypt_value[..9], b"cbc(aes)\0");
        assert_eq!(crypt_value[64..68], 128_u32.to_ne_bytes());
        assert_eq!(crypt_value[68..], [2; 16]);
    }
    let all = attributes(
        &written(|out| Algorithm::ChaCha20Poly1305(&[9; 36]).write(out)),
        0,
    );
    assert!(all[0].1.starts_with(b"rfc7539esp(chacha20,poly1305)\0"));
    assert_eq!(
        all[0].1[64..72],
        *[288_u32, 128].map(u32::to_ne_bytes).as_flattened()
    );
}

#[test]
fn ports_marks_and_devices_are_attributes() {
    let mut sa = sa(Algorithm::ChaCha20Poly1305(&[0; 36]));
    sa.id.destination = ip("2001:db8::2");
    sa.source = ip("2001:db8::1");
    sa.mode = Mode::Tunnel;
    sa.esn = false;
    sa.encapsulation = Some((4500, 0xabcd));
    sa.mark = Some(Mark { value: 1, mask: 3 });
    sa.output_mark = Some(0x4846);
    sa.offload = Some(Offload {
        interface: Some(5),
        inbound: true,
    });
    let body = written(|out| sa.write(out));
    assert_eq!(body[56..60], [0x20, 1, 0x0d, 0xb8]);
    assert_eq!(
        body[212..217],
        [10, 0, 1, 0, 32],
        "AF_INET6, tunnel, of any family"
    );
    let all = attributes(&body, state::INFO);
    let of = |wanted: u16| &all.iter().find(|(kind, _)| *kind == wanted).unwrap().1;
    assert_eq!(of(4)[..6], [2, 0, 0x11, 0x94, 0xab, 0xcd]);
    assert_eq!(of(4).len(), 24);
    assert_eq!(of(21)[..], *[1_u32, 3].map(u32::to_ne_bytes).as_flattened());
    assert_eq!(of(29)[..], 0x4846_u32.to_ne_bytes());
    assert_eq!(of(30)[..], u32::MAX.to_ne_bytes());
    assert_eq!(of(28)[..], [5, 0, 0, 0, 2, 0, 0, 0]);
    let mut reader = Reader::new(&body);
    let info = SaInfo::read(&mut reader).unwrap().with(reader);
    assert_eq!((info.id, info.source, info.reqid), (sa.id, sa.source, 7));
    assert_eq!((info.mode, info.esn), (Some(Mode::Tunnel), false));
    assert_eq!((info.lifetimes, info.mark), (sa.lifetimes, sa.mark));
    assert_eq!(info.replay, Some(Replay::new(64)));
}

pub(crate) fn policy(direction: Direction, action: PolicyAction) -> Policy {
    Policy {
        direction,
        selector: Selector {
            source: prefix("10.1.0.0/16"),
            destination: prefix("10.2.0.5/32"),
            protocol: 6,
            source_ports: PortBlock::ANY,
            destination_ports: PortBlock {
                port: 8000,
                mask: 0xfff8,
            },
        },
        priority: 4711,
        index: Policy::number(direction, 0x0900_0001),
        action,
        mark: None,
    }
}

#[test]
fn a_policy_has_every_field_in_its_place_and_reads_back() {
    let template = Template {
        reqid: 9,
        mode: Mode::Tunnel,
        outer: Some((ip("192.0.2.1"), ip("192.0.2.2"))),
        optional: true,
    };
    let policy = policy(Direction::Out, PolicyAction::Protect(template));
    let body = written(|out| policy.write(out));
    assert_eq!(body[..4], [10, 2, 0, 5], "destination first");
    assert_eq!(body[16..20], [10, 1, 0, 0]);
    assert_eq!(body[32..40], [0x1f, 0x40, 0xff, 0xf8, 0, 0, 0, 0]);
    assert_eq!(body[40..48], [2, 0, 32, 16, 6, 0, 0, 0]);
    assert_eq!(body[152..156], 4711_u32.to_ne_bytes());
    assert_eq!(body[156..160], (0x4800_0008_u32 | 1).to_ne_bytes());
    assert_eq!(body[160..168], [1, 0, 0, 0, 0, 0, 0, 0], "out, allow");
    let all = attributes(&body, super::policy::INFO);
    assert_eq!((all[0].0, all[0].1.len()), (5, 64));
    assert_eq!(all[0].1[..4], [192, 0, 2, 2]);
    assert_eq!(all[0].1[20], 50);
    assert_eq!(all[0].1[28..32], [192, 0, 2, 1]);
    assert_eq!(
        all[0].1[44..51],
        [9, 0, 0, 0, 1, 0, 1],
        "reqid, tunnel, unique no, optional"
    );
    assert_eq!(all[0].1[52..64], [0xff; 12], "any algorithm");
    let read = |policy: &Policy| Policy::read(&mut Reader::new(&written(|out| policy.write(out))));
    assert_eq!(read(&policy).as_ref(), Some(&policy));
    for action in [PolicyAction::Allow, PolicyAction::Block] {
        let mut policy = super::tests::policy(Direction::Forward, action);
        policy.mark = Some(Mark { value: 7, mask: 7 });
        assert_eq!(read(&policy).as_ref(), Some(&policy));
    }
}

#[test]
fn a_migration_names_the_old_and_the_new_end() {
    let migration = Migration {
        policy: (Direction::Out, Selector::any(crate::Family::V4)),
        from: MigrationKey {
            outer: (ip("192.0.2.1"), ip("192.0.2.2")),
            mode: Mode::Tunnel,
            reqid: 3,
        },
        to: (ip("192.0.2.1"), ip("192.0.2.9")),
    };
    let body = written(|out| migration.write(out));
    assert_eq!(body[56..64], [0, 0, 0, 0, 1, 0, 0, 0]);
    let all = attributes(&body, 64);
    assert_eq!((all[0].0, all[0].1.len()), (17, 76));
    let ends: Vec<u8> = [0, 16, 32, 48].map(|at| all[0].1[at + 3]).to_vec();
    assert_eq!(ends, [2, 1, 9, 1], "each destination before its source");
    assert_eq!(all[0].1[64..76], [50, 1, 0, 0, 3, 0, 0, 0, 2, 0, 2, 0]);
}

#[test]
fn what_the_kernel_tells_is_read_and_every_cut_survives() {
    let moved = written(|out| {
        sa(Algorithm::AesGcm(&[])).id.write(out);
        out.address(ip("192.0.2.1"));
        out.u32(0);
        out.u32(7);
        let mut replay = Replay::new(64);
        replay.sent = 0x1_0000_0001;
        replay.write(out);
        let at = out.begin(9);
        [5000, 42, 0, 0]
            .into_iter()
            .for_each(|value| out.u64(value));
        out.end(at);
    });
    let Some(Event::Moved(told)) = event::event(0x1e, Reader::new(&moved)) else {
        panic!("not understood");
    };
    assert_eq!((told.packets, told.bytes, told.reqid), (42, 5000, 7));
    assert_eq!(told.replay.sent, 0x1_0000_0001);
    let expired = written(|out| {
        // Without a key there is no algorithm; the structure is followed by `hard`.
        let body = written(|out| sa(Algorithm::AesGcm(&[])).write(out));
        out.bytes(&body[..state::INFO]);
        out.bytes(&[1, 0, 0, 0, 0, 0, 0, 0]);
    });
    let told = event::event(0x18, Reader::new(&expired));
    assert!(matches!(told, Some(Event::Expire { hard: true, .. })));
    for (kind, whole) in [
        (0x1e, moved),
        (0x18, expired),
        (0x17, vec![0; 400]),
        (0x26, vec![0; 64]),
    ] {
        for cut in 0..whole.len() {
            let _ = event::event(kind, Reader::new(&whole[..cut]));
        }
        for at in 0..whole.len() {
            let mut damaged = whole.clone();
            damaged[at] ^= 0xff;
            let _ = event::event(kind, Reader::new(&damaged));
        }
    }
}
