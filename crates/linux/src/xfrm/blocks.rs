//! A range of ports as the fewest aligned blocks that are exactly it: XFRM knows no ranges.

use crate::xfrm::selector::PortBlock;

/// The blocks of a range, both ends included; never wider than it. One that runs backwards has
/// none.
pub fn port_blocks(first: u16, last: u16) -> Vec<PortBlock> {
    let (mut at, end) = (u32::from(first), u32::from(last) + 1);
    let mut blocks = Vec::new();
    while at < end {
        let aligned = at.trailing_zeros().min(16);
        let fits = (end - at).ilog2();
        let size = 1_u32 << aligned.min(fits);
        let mask = u16::try_from(0x1_0000 - size).unwrap_or(0);
        let port = u16::try_from(at).unwrap_or(u16::MAX);
        blocks.push(PortBlock { port, mask });
        at += size;
    }
    blocks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(first: u16, last: u16) -> Vec<(u16, u16)> {
        let blocks = port_blocks(first, last);
        blocks
            .iter()
            .map(|block| (block.port, block.last()))
            .collect()
    }

    #[test]
    fn a_range_is_split_exactly() {
        assert_eq!(port_blocks(0, 65_535), [PortBlock::ANY]);
        assert_eq!(
            port_blocks(110, 110),
            [PortBlock {
                port: 110,
                mask: 0xffff
            }]
        );
        assert_eq!(
            shown(8000, 8010),
            [(8000, 8007), (8008, 8009), (8010, 8010)]
        );
        assert_eq!(shown(65_535, 65_535), [(65_535, 65_535)]);
        assert!(shown(2, 1).is_empty());
    }

    /// The union is the range, and no port is in two blocks.
    #[test]
    fn every_range_of_a_sample_is_covered_once() {
        let edges = [
            0, 1, 2, 79, 80, 1000, 1023, 1024, 1100, 32_767, 32_768, 65_534, 65_535,
        ];
        for first in edges {
            for last in edges.into_iter().filter(|last| *last >= first) {
                let mut covered: Vec<u16> = Vec::new();
                for block in port_blocks(first, last) {
                    covered.extend(block.port..=block.last());
                }
                let whole: Vec<u16> = (first..=last).collect();
                assert_eq!(covered, whole, "{first}-{last}");
                assert!(port_blocks(first, last).len() <= 30);
            }
        }
    }
}
