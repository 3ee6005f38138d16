//! Capture files with nanoseconds (libpcap's format, magic 0xa1b23c4d), in the little-endian form.

/// Packets begin with an Ethernet header.
pub const ETHERNET: u32 = 1;

/// Packets begin with an IPv4 or IPv6 header.
pub const RAW_IP: u32 = 101;

/// The most octets that a record may hold of a packet.
pub const SNAPLEN: u32 = 262_144;

/// What a file begins with; `link` is [`ETHERNET`] or [`RAW_IP`].
pub fn header(link: u32) -> [u8; 24] {
    let mut octets = [0; 24];
    octets[..4].copy_from_slice(&0xa1b2_3c4d_u32.to_le_bytes());
    octets[4..6].copy_from_slice(&2_u16.to_le_bytes());
    octets[6..8].copy_from_slice(&4_u16.to_le_bytes());
    octets[16..20].copy_from_slice(&SNAPLEN.to_le_bytes());
    octets[20..24].copy_from_slice(&link.to_le_bytes());
    octets
}

/// What stands before a packet's octets: `captured` of them follow out of `original`. `since_epoch`
/// is the time since 1970, its seconds cut to the 32 bits that the format has.
pub fn record_header(since_epoch: std::time::Duration, captured: u32, original: u32) -> [u8; 16] {
    let mut octets = [0; 16];
    octets[..4].copy_from_slice(&(since_epoch.as_secs() as u32).to_le_bytes());
    octets[4..8].copy_from_slice(&since_epoch.subsec_nanos().to_le_bytes());
    octets[8..12].copy_from_slice(&captured.to_le_bytes());
    octets[12..].copy_from_slice(&original.to_le_bytes());
    octets
}

/// Appends a packet with its header, cut at [`SNAPLEN`].
pub fn append(out: &mut Vec<u8>, since_epoch: std::time::Duration, packet: &[u8]) {
    let original = u32::try_from(packet.len()).unwrap_or(u32::MAX);
    let captured = original.min(SNAPLEN);
    out.extend_from_slice(&record_header(since_epoch, captured, original));
    out.extend(packet.iter().take(captured as usize));
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn a_file_of_one_packet() {
        let mut file = header(RAW_IP).to_vec();
        append(&mut file, Duration::new(0x0102_0304, 5), &[0x45, 0]);
        let expected = [
            [0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0].as_slice(),
            &[0; 8],
            &[0, 0, 4, 0, 101, 0, 0, 0],
            &[4, 3, 2, 1, 5, 0, 0, 0],
            &[2, 0, 0, 0, 2, 0, 0, 0, 0x45, 0],
        ];
        assert_eq!(file, expected.concat());
    }

    #[test]
    fn a_packet_over_the_limit_is_cut() {
        let mut file = Vec::new();
        append(&mut file, Duration::ZERO, &vec![1; SNAPLEN as usize + 7]);
        assert_eq!(file.len(), 16 + SNAPLEN as usize);
        assert_eq!(file[8..16], [0, 0, 4, 0, 7, 0, 4, 0]);
    }
}
