//! Answers as etcd would write them, and octets that it never would.

use super::*;
use crate::protobuf::Writer;
use proptest::prelude::*;

fn record() -> impl Strategy<Value = Record> {
    let value = prop::collection::vec(any::<u8>(), 0..100);
    ("[a-z/]{1,30}", value, any::<u64>()).prop_map(|(key, value, revision)| Record {
        key,
        value,
        revision,
    })
}

fn header() -> impl Strategy<Value = Header> {
    (any::<u64>(), 1..u64::MAX).prop_map(|(cluster, revision)| Header { cluster, revision })
}

fn write_header(header: Header) -> Writer {
    Writer::default()
        .number(1, header.cluster)
        .number(2, 77)
        .number(3, header.revision)
        .number(4, 5)
}

fn write_record(record: &Record) -> Writer {
    Writer::default()
        .octets(1, record.key.as_bytes())
        .number(2, 1)
        .number(3, record.revision)
        .number(4, 9)
        .octets(5, &record.value)
}

fn write_range(header: Header, records: &[Record], more: bool) -> Writer {
    let mut writer = Writer::default().message(1, write_header(header));
    for record in records {
        writer = writer.message(2, write_record(record));
    }
    writer.number(3, more.into()).number(4, 1000)
}

proptest! {
    #[test]
    fn a_range_is_read(
        header in header(),
        records in prop::collection::vec(record(), 0..8),
        more: bool,
    ) {
        let bytes = write_range(header, &records, more).finish();
        prop_assert_eq!(Range::decode(&bytes), Ok(Range { header, records, more }));
    }

    #[test]
    fn a_swap_is_read(header in header(), record in record(), exists: bool) {
        let done = Writer::default()
            .message(1, write_header(header))
            .number(2, 1)
            .message(3, Writer::default().message(2, Writer::default()))
            .finish();
        prop_assert_eq!(Swap::decode(&done), Ok(Swap::Done(header.revision)));
        let current = exists.then_some(record);
        let range = write_range(header, current.as_slice(), false);
        let not = Writer::default()
            .message(1, write_header(header))
            .message(3, Writer::default().message(1, range))
            .finish();
        prop_assert_eq!(Swap::decode(&not), Ok(Swap::Not(current)));
    }

    #[test]
    fn a_note_is_read(records in prop::collection::vec((record(), any::<bool>()), 0..8)) {
        let mut writer = Writer::default().number(3, 1).number(5, 12).octets(6, b"why");
        let mut changes = Vec::new();
        for (record, removed) in records {
            let event = Writer::default().number(1, removed.into());
            writer = writer.message(11, event.message(2, write_record(&record)));
            changes.push(if removed { Change::Removed(record) } else { Change::Put(record) });
        }
        let note = WatchNote::decode(&writer.number(4, 1).finish()).unwrap();
        let reason = "why".to_owned();
        let expected = WatchNote { created: true, canceled: true, compacted: 12, reason, changes };
        prop_assert_eq!(note, expected);
    }

    #[test]
    fn no_octets_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let _ = Range::decode(&bytes);
        let _ = Swap::decode(&bytes);
        let _ = WatchNote::decode(&bytes);
    }

    #[test]
    fn no_damage_makes_it_panic(records in prop::collection::vec(record(), 1..4),
                                at: prop::sample::Index, to: u8) {
        let header = Header { cluster: 1, revision: 2 };
        let mut bytes = write_range(header, &records, false).finish();
        let at = at.index(bytes.len());
        bytes[at] = to;
        let _ = Range::decode(&bytes);
        let _ = Range::decode(&bytes[..at]);
    }
}

#[test]
fn others_records_are_refused_in_words() {
    let large = Record {
        key: "k".to_owned(),
        value: vec![0; VALUE_MAX + 1],
        revision: 1,
    };
    let bytes = write_range(Header::default(), &[large], false).finish();
    assert!(Range::decode(&bytes).unwrap_err().0.contains("4096"));
    let binary = Writer::default().message(2, Writer::default().octets(1, &[0xff]));
    let refusal = Range::decode(&binary.finish()).unwrap_err();
    assert!(refusal.0.contains("not text"));
}

#[test]
fn a_swap_that_contradicts_itself_is_refused() {
    let claimed = Writer::default().number(2, 1).finish();
    assert!(Swap::decode(&claimed).is_err());
    assert!(Swap::decode(&[]).is_err());
}
