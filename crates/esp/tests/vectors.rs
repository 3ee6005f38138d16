//! Published ESP packets, opened as if they had arrived (RFC 4106, RFC 7634 App. A, RFC 3602 4).
#![allow(clippy::unwrap_used)] // Tests.

use std::net::IpAddr;
use std::sync::Arc;

use crypto::{Encryption, Integrity, Secret};
use esp::{Discard, InboundSa};
use policy::child::Mode;
use policy::sa::{Bucket, KeyMaterial, SaSpec};
use serde_json::Value;
use wire::esp::Trailer;

#[path = "../src/fixtures.rs"]
mod fixtures;

use fixtures::Pair;

fn tests(file: &str) -> Vec<Value> {
    let document: Value = serde_json::from_str(file).unwrap();
    document["tests"].as_array().unwrap().clone()
}

fn hex(test: &Value, field: &str) -> Vec<u8> {
    let text = test[field].as_str().unwrap();
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap())
        .collect()
}

fn number(test: &Value, field: &str) -> u64 {
    u64::from_str_radix(test[field].as_str().unwrap(), 16).unwrap()
}

/// An SA that has received everything before the packet of this test.
fn inbound(pair: Pair, test: &Value, keys: KeyMaterial) -> Option<InboundSa> {
    let sequence = number(test, "seq");
    let spec = SaSpec {
        inbound_spi: number(test, "spi") as u32,
        inbound_keys: keys,
        local: IpAddr::from([192, 0, 2, 1]),
        remote: IpAddr::from([192, 0, 2, 2]),
        ..pair.spec()
    };
    let mut sa = InboundSa::new(Arc::new(spec), Bucket::HOST).ok()?;
    sa.set_floor(sequence - 1);
    Some(sa)
}

fn aead_keys(test: &Value) -> KeyMaterial {
    let key = [hex(test, "key"), hex(test, "salt")].concat();
    KeyMaterial {
        encryption: Secret::new(key),
        integrity: Secret::empty(),
    }
}

#[test]
fn rfc_4106_packets_open() {
    let mut opened = 0;
    for test in tests(include_str!("vectors/rfc4106.json")) {
        let key_bits = hex(&test, "key").len() as u16 * 8;
        let pair = Pair {
            encryption: Encryption::AesGcm16 { key_bits },
            esn: test["esn"].as_bool().unwrap(),
            ..Pair::PLAIN
        };
        let sa = inbound(pair, &test, aead_keys(&test));
        // AES-GCM with 192 bits is not offered (RFC 8221 has no use for it).
        assert_eq!(sa.is_some(), key_bits != 192);
        let Some(mut sa) = sa else { continue };
        let mut datagram = hex(&test, "esp_packet");
        let result = sa.open(&mut datagram, 1);
        let plain = hex(&test, "plaintext_with_trailer");
        let expected = match Trailer::parse(&plain) {
            Ok(trailer) if trailer.next_header == 59 => Err(Discard::Dummy),
            Ok(trailer) => Ok((
                plain[..trailer.payload_length].to_vec(),
                trailer.next_header,
            )),
            Err(_) => Err(Discard::Padding),
        };
        let result = result.map(|payload| (datagram[payload.range].to_vec(), payload.next_header));
        assert_eq!(result, expected, "case {}", test["case"]);
        opened += usize::from(expected.is_ok());
        let mut again = hex(&test, "esp_packet");
        assert!(
            sa.open(&mut again, 1).is_err(),
            "replay of case {}",
            test["case"]
        );
    }
    assert!(opened >= 10, "{opened} packets opened");
}

#[test]
fn the_rfc_7634_packet_opens() {
    let test = &tests(include_str!("vectors/rfc7634.json"))[0];
    let pair = Pair {
        encryption: Encryption::ChaCha20Poly1305,
        ..Pair::PLAIN.tunnel()
    };
    let mut sa = inbound(pair, test, aead_keys(test)).unwrap();
    let mut datagram = hex(test, "esp_ip_packet")[20..].to_vec();
    let payload = sa.open(&mut datagram, 1).unwrap();
    assert_eq!(datagram[payload.range], hex(test, "source_packet"));
    assert_eq!(payload.next_header, 4);
}

/// The packets of RFC 3602 have no ICV, which is no longer allowed: they get one here.
#[test]
fn rfc_3602_packets_open() {
    let mut opened = 0;
    for test in tests(include_str!("vectors/rfc3602.json")) {
        let mode = match test["kind"].as_str().unwrap() {
            "esp-aes-cbc-transport" => Mode::Transport,
            "esp-aes-cbc-tunnel" => Mode::Tunnel,
            _ => continue,
        };
        let pair = Pair {
            mode,
            encryption: Encryption::AesCbc { key_bits: 128 },
            integrity: Some(Integrity::HmacSha2_256_128),
            ..Pair::PLAIN
        };
        let mac_key = vec![7; 32];
        let mut datagram = hex(&test, "esp_ip_packet")[20..].to_vec();
        let icv = crypto::hmac::sha256(&mac_key, &[&datagram]);
        datagram.extend(&icv[..16]);
        let keys = KeyMaterial {
            encryption: Secret::new(hex(&test, "key")),
            integrity: Secret::new(mac_key),
        };
        let mut sa = inbound(pair, &test, keys).unwrap();
        let payload = sa.open(&mut datagram, 1).unwrap();
        let original = hex(&test, "original_packet");
        let (skip, next_header) = if mode == Mode::Tunnel {
            (0, 4)
        } else {
            (20, 1)
        };
        assert_eq!(
            datagram[payload.range],
            original[skip..],
            "case {}",
            test["case"]
        );
        assert_eq!(payload.next_header, next_header);
        opened += 1;
    }
    assert_eq!(opened, 4);
}
