//! What we ask etcd, as octets.

use crate::protobuf::Writer;

/// `RangeRequest`: a read of the keys from `from` up to but not including `end`.
#[derive(Debug, Default)]
pub(crate) struct RangeRequest<'a> {
    /// The first key.
    pub(crate) from: &'a [u8],
    /// The first key beyond; empty for the one key `from`.
    pub(crate) end: &'a [u8],
    /// The most records in the answer; 0 for all.
    pub(crate) limit: u64,
    /// Reads what stood at this revision; 0 for now.
    pub(crate) revision: u64,
    /// The member answers from what it has, without asking a majority.
    pub(crate) serializable: bool,
    /// Only the number of records is wanted.
    pub(crate) count_only: bool,
}

impl RangeRequest<'_> {
    fn write(&self) -> Writer {
        let mut writer = Writer::default().octets(1, self.from);
        if !self.end.is_empty() {
            writer = writer.octets(2, self.end);
        }
        let numbers = [
            (3, self.limit),
            (4, self.revision),
            (7, self.serializable.into()),
            (9, self.count_only.into()),
        ];
        for (field, value) in numbers {
            if value != 0 {
                writer = writer.number(field, value);
            }
        }
        writer
    }

    /// The message.
    pub(crate) fn encode(&self) -> Vec<u8> {
        self.write().finish()
    }
}

/// `TxnRequest`: if the revision of `key` is `expected` (0: it does not exist), puts `value` there,
/// else reads it.
pub(crate) fn swap(key: &[u8], expected: u64, value: &[u8]) -> Vec<u8> {
    const EQUAL: u64 = 0;
    const MOD_REVISION: u64 = 2;
    let compare = Writer::default()
        .number(1, EQUAL)
        .number(2, MOD_REVISION)
        .octets(3, key)
        .number(6, expected);
    let put = Writer::default().octets(1, key).octets(2, value);
    let read = RangeRequest {
        from: key,
        ..RangeRequest::default()
    };
    Writer::default()
        .message(1, compare)
        .message(2, Writer::default().message(2, put))
        .message(3, Writer::default().message(1, read.write()))
        .finish()
}

/// `WatchRequest`: every change of the keys from `from` up to `end`, beginning with revision
/// `start`, long answers cut in pieces.
pub(crate) fn watch(from: &[u8], end: &[u8], start: u64) -> Vec<u8> {
    const FRAGMENT: u32 = 8;
    let create = Writer::default()
        .octets(1, from)
        .octets(2, end)
        .number(3, start)
        .number(FRAGMENT, 1);
    Writer::default().message(1, create).finish()
}

/// The first key beyond all that begin with `prefix`, which is text: its last octet is not 255.
pub(crate) fn end_of_prefix(prefix: &str) -> Vec<u8> {
    let mut end = prefix.as_bytes().to_vec();
    if let Some(last) = end.last_mut() {
        *last = last.saturating_add(1);
    }
    end
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_swap_has_the_octets_of_the_specification() {
        let expected: &[u8] = &[
            0x0a, 0x09, 0x08, 0, 0x10, 2, 0x1a, 1, b'k', 0x30, 7, // compare
            0x12, 0x08, 0x12, 6, 0x0a, 1, b'k', 0x12, 1, b'v', // success: put
            0x1a, 0x05, 0x0a, 3, 0x0a, 1, b'k', // failure: range
        ];
        assert_eq!(swap(b"k", 7, b"v"), expected);
    }

    #[test]
    fn a_watch_has_the_octets_of_the_specification() {
        let expected: &[u8] = &[
            0x0a, 0x0b, 0x0a, 1, b'a', 0x12, 1, b'b', 0x18, 0xac, 2, 0x40, 1,
        ];
        assert_eq!(watch(b"a", b"b", 300), expected);
    }

    proptest! {
        #[test]
        fn a_prefix_ends_after_all_its_keys(prefix in ".{1,20}", tail in ".{0,20}") {
            let end = end_of_prefix(&prefix);
            let key = format!("{prefix}{tail}");
            prop_assert!(key.as_bytes() < end.as_slice());
            prop_assert!(prefix.as_bytes() < end.as_slice());
        }
    }
}
