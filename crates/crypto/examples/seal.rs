//! Prints the time per packet of every pair of algorithms, and of every key exchange.
//!
//! `cargo run --release -p crypto --example seal`

use std::hint::black_box;
use std::time::{Duration, Instant};

use crypto::{
    DhKeyPair, Encryption, Group, Integrity, OpeningKey, SealingKey, SeededRandom, respond,
};

const SAMPLES: usize = 15;
const LENGTHS: [usize; 3] = [64, 576, 1400];

fn main() {
    println!(
        "{:34} {:>6} {:>8} {:>8} {:>12}",
        "ns per packet", "bytes", "seal", "open", "seal"
    );
    for encryption in Encryption::ALL {
        if encryption.is_aead() {
            packets(encryption, None);
        } else {
            Integrity::ALL
                .into_iter()
                .for_each(|integrity| packets(encryption, Some(integrity)));
        }
    }
    println!(
        "\n{:34} {:>10} {:>10} {:>10}",
        "microseconds", "generate", "respond", "agree"
    );
    Group::ALL.into_iter().for_each(exchange);
    println!(
        "\nself-test: {:.1} ms",
        best(1, || crypto::self_test().is_ok()) / 1e6
    );
}

fn packets(encryption: Encryption, integrity: Option<Integrity>) {
    let key: Vec<u8> = (1..).take(encryption.key_length()).collect();
    let integrity_key = vec![2; integrity.map_or(0, Integrity::key_length)];
    let sealing = SealingKey::new(encryption, integrity, &key, &integrity_key);
    let opening = OpeningKey::new(encryption, integrity, &key, &integrity_key);
    let (Ok(sealing), Ok(opening)) = (sealing, opening) else {
        return;
    };
    let name = match integrity {
        Some(integrity) => format!("{encryption} {}", integrity.name().replace("AUTH_", "")),
        None => encryption.to_string(),
    };
    for length in LENGTHS {
        let length = length / encryption.block_length() * encryption.block_length();
        let mut iv = vec![0; encryption.iv_length()];
        let mut icv = vec![0; sealing.icv_length()];
        let mut data = vec![3; length];
        let mut number = 0;
        let seal = best(1000, || {
            number += 1;
            sealing.write_iv(number, &mut iv).is_ok()
                && sealing.seal(&iv, &[0; 8], &[], &mut data, &mut icv).is_ok()
        });
        // Opening changes the packet, so it is copied back; the copy is timed alone and taken off.
        let sealed = data.clone();
        let copy = best(1000, || {
            data.copy_from_slice(black_box(&sealed));
            !black_box(&mut data).is_empty()
        });
        let open = best(1000, || {
            data.copy_from_slice(black_box(&sealed));
            opening
                .open(&iv, &[0; 8], &[], black_box(&mut data), &icv)
                .is_ok()
        });
        let rate = length as f64 * 8.0 / seal;
        println!(
            "{name:34} {length:6} {seal:8.0} {:8.0} {rate:7.1} Gb/s",
            open - copy
        );
    }
}

fn exchange(group: Group) {
    let mut random = SeededRandom::new(1);
    let peer = DhKeyPair::generate(group, &mut random);
    let Ok(begun) = DhKeyPair::generate(group, &mut random) else {
        return;
    };
    // Of a KEM the ciphertext is for another key, which costs as much.
    let answer = peer.and_then(|peer| respond(group, peer.public(), &mut random));
    let Ok((answer, _)) = answer else {
        return;
    };
    let respond = best(4, || respond(group, begun.public(), &mut random).is_ok());
    let generate = best(4, || DhKeyPair::generate(group, &mut random).is_ok());
    let both = best(4, || {
        DhKeyPair::generate(group, &mut random).is_ok_and(|own| own.agree(&answer).is_ok())
    });
    println!(
        "{:34} {:10.0} {:10.0} {:10.0}",
        group.name(),
        generate / 1e3,
        respond / 1e3,
        (both - generate) / 1e3
    );
}

/// Nanoseconds of one call: the best of several samples of at least `calls` calls.
#[allow(clippy::disallowed_methods, reason = "a measurement needs the clock")]
fn best(calls: u32, mut call: impl FnMut() -> bool) -> f64 {
    let mut best = Duration::MAX;
    for _ in 0..SAMPLES {
        let start = Instant::now();
        for _ in 0..calls {
            assert!(black_box(call()));
        }
        best = best.min(start.elapsed());
    }
    best.as_secs_f64() * 1e9 / f64::from(calls)
}
