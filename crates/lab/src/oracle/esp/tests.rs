//! Planted repeats are found, and nothing else is.

use super::*;

const PEER: IpAddr = IpAddr::V4(crate::addresses::FE_BACK);

fn packet(spi: u32, sequence: u32, iv: u64) -> Vec<u8> {
    let mut packet = spi.to_be_bytes().to_vec();
    packet.extend(sequence.to_be_bytes());
    packet.extend(iv.to_be_bytes());
    packet.extend([0xee; 64]);
    packet
}

fn look(esp: &mut Esp, node: &'static str, at: u64, bytes: &[u8]) -> Vec<Repeat> {
    let mut found = Vec::new();
    esp.packet(node, at, PEER, bytes, |repeat| found.push(repeat));
    found
}

#[test]
fn many_packets_and_one_planted_repeat() {
    let mut esp = Esp::new(IvLength::Eight);
    for n in 1..=200_000u32 {
        let node = if n <= 120_000 { "be1" } else { "be2" };
        let epoch = if n <= 120_000 { 1 << 48 } else { 2 << 48 };
        let bytes = packet(0xabcd, n, epoch | u64::from(n));
        assert_eq!(look(&mut esp, node, n.into(), &bytes), []);
    }
    assert_eq!((esp.sas(), esp.unwatched), (1, 0));
    assert_eq!(esp.packets["be1"] + esp.packets["be2"], 200_000);
    let runs: usize = esp
        .sas
        .values()
        .flat_map(|users| users.values())
        .map(|u| u.ivs.len())
        .sum();
    assert_eq!(runs, 2, "memory is bounded by runs, not by packets");

    // The same number from the other node, under an IV of its own.
    let found = look(&mut esp, "be2", 2_000_000, &packet(0xabcd, 17, 3 << 48));
    assert_eq!(found.len(), 1);
    let repeat = &found[0];
    assert_eq!((repeat.what, repeat.value), (What::Sequence, 17));
    assert_eq!((repeat.node, repeat.earlier), ("be2", "be1"));
    assert_eq!((repeat.at, repeat.times), (2_000_000, (1, 120_000)));
}

#[test]
fn an_iv_repeats_within_a_node() {
    let mut esp = Esp::new(IvLength::Eight);
    assert_eq!(look(&mut esp, "be1", 0, &packet(1, 1, 5)), []);
    let found = look(&mut esp, "be1", 1, &packet(1, 2, 5));
    assert_eq!(found.len(), 1);
    assert_eq!((found[0].what, found[0].value), (What::Iv, 5));
    // Another SPI and another peer are other keys.
    assert_eq!(look(&mut esp, "be1", 2, &packet(2, 1, 5)), []);
    let mut found = 0;
    let other = crate::addresses::BE2_BACK.into();
    esp.packet("be1", 3, other, &packet(1, 1, 5), |_| found += 1);
    assert_eq!((found, esp.sas()), (0, 3));
}

#[test]
fn the_iv_of_cbc_is_sixteen_octets() {
    let mut esp = Esp::new(IvLength::Sixteen);
    let mut one = packet(1, 1, 5);
    assert_eq!(look(&mut esp, "be1", 0, &one), []);
    one[7] = 2;
    one[23] ^= 1;
    assert_eq!(look(&mut esp, "be1", 1, &one), []);
    one[7] = 3;
    assert_eq!(look(&mut esp, "be1", 2, &one).len(), 1);
}

#[test]
fn a_train_is_cut_into_its_packets() {
    let mut esp = Esp::new(IvLength::Eight);
    let mut train: Vec<u8> = (7..40).flat_map(|n| packet(9, n, n.into())).collect();
    train.extend(&packet(9, 40, 40)[..36]);
    assert_eq!(look(&mut esp, "be1", 0, &train), []);
    assert_eq!(esp.packets["be1"], 34);
    for n in [7, 23, 40] {
        let found = look(&mut esp, "be2", 1, &packet(9, n, 99 + u64::from(n)));
        assert_eq!(found.len(), 1, "{n}");
    }
    // Two short ones, the second of which is shorter.
    let pair = [packet(9, 41, 41), packet(9, 42, 42)[..36].to_vec()].concat();
    assert_eq!(look(&mut esp, "be1", 1, &pair), []);
    assert_eq!(esp.packets["be1"], 36);
    // A long packet alone is one packet.
    let mut jumbo = packet(8, 1, 1);
    jumbo.extend(vec![0; 3000]);
    assert_eq!(look(&mut esp, "be1", 2, &jumbo), []);
    assert_eq!(esp.packets["be1"], 37);
}

#[test]
fn a_packet_cut_short_is_counted_as_not_watched() {
    let mut esp = Esp::new(IvLength::Eight);
    let whole = packet(1, 1, 1);
    for end in 0..16 {
        look(&mut esp, "be1", 0, &whole[..end]);
    }
    assert_eq!((esp.sas(), esp.unwatched), (0, 15));
}
