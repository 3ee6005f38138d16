//! Capture files as tcpdump and Wireshark read them: pcap with nanoseconds, Ethernet frames.

use std::io::{self, Write};
use std::time::Duration;

/// pcap's magic number for timestamps in nanoseconds, in the writer's byte order.
const MAGIC_NANOSECONDS: u32 = 0xa1b2_3c4d;
/// LINKTYPE_ETHERNET.
const ETHERNET: u32 = 1;
/// Longest frame kept whole: a veth passes on TCP segments of up to 64 KiB before they are cut.
pub(crate) const SNAP_LENGTH: usize = 65_536 + 64;

/// Writes one capture file.
pub(crate) struct Writer<W: Write> {
    out: W,
}

impl<W: Write> Writer<W> {
    /// Begins a file: writes its header.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn new(mut out: W) -> io::Result<Self> {
        out.write_all(&MAGIC_NANOSECONDS.to_le_bytes())?;
        out.write_all(&2u16.to_le_bytes())?; // version 2.4
        out.write_all(&4u16.to_le_bytes())?;
        out.write_all(&[0; 8])?; // time zone, accuracy: always zero
        out.write_all(&(SNAP_LENGTH as u32).to_le_bytes())?;
        out.write_all(&ETHERNET.to_le_bytes())?;
        Ok(Self { out })
    }

    /// Adds one frame that was seen `since_1970`; `length` is its length on the wire.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn frame(
        &mut self,
        since_1970: Duration,
        frame: &[u8],
        length: usize,
    ) -> io::Result<()> {
        self.out
            .write_all(&(since_1970.as_secs() as u32).to_le_bytes())?;
        self.out
            .write_all(&since_1970.subsec_nanos().to_le_bytes())?;
        self.out.write_all(&(frame.len() as u32).to_le_bytes())?;
        self.out
            .write_all(&(length.max(frame.len()) as u32).to_le_bytes())?;
        self.out.write_all(frame)
    }

    /// Writes out what is buffered.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn flush(&mut self) -> io::Result<()> {
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_byte_by_byte() {
        let mut out = Vec::new();
        let mut writer = Writer::new(&mut out).unwrap();
        writer.frame(Duration::new(1, 2), &[0xaa, 0xbb], 9).unwrap();
        let snap = (SNAP_LENGTH as u32).to_le_bytes();
        let mut expected = vec![0x4d, 0x3c, 0xb2, 0xa1, 2, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        expected.extend(snap);
        expected.extend([1, 0, 0, 0]);
        expected.extend([1, 0, 0, 0, 2, 0, 0, 0, 2, 0, 0, 0, 9, 0, 0, 0, 0xaa, 0xbb]);
        assert_eq!(out, expected);
    }
}
