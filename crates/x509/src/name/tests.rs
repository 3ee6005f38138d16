//! Names as text, as DER, and compared.

use super::*;
use proptest::prelude::*;

fn name(text: &str) -> DistinguishedName {
    DistinguishedName::parse(text).unwrap()
}

#[test]
fn what_is_equal_and_what_is_not() {
    let plain = name("C=DE, O=Example, CN=mail.example.org");
    for same in [
        "/C=DE/O=Example/CN=mail.example.org",
        "C = DE, O = \"Example\", CN = mail.example.org",
        "c=de,o=EXAMPLE,cn=Mail.Example.Org",
        "C=DE, O=  Example , CN=mail.example.org",
    ] {
        assert_eq!(name(same), plain, "{same}");
    }
    for other in [
        "C=DE, O=Example",
        "C=DE, O=Example, CN=mail.example.net",
        "C=DE, OU=Example, CN=mail.example.org",
        "C=DE, CN=mail.example.org, O=Example",
        "C=DE, O=Example+CN=mail.example.org",
    ] {
        assert_ne!(name(other), plain, "{other}");
    }
    let reverse = name("CN=mail.example.org,O=Example,C=DE");
    assert!(reverse.is_reverse_of(&plain) && reverse != plain);
    assert_eq!(name("CN=a+OU=b, O=c"), name("OU=b+CN=a, O=c"));
}

#[test]
fn the_kind_of_string_does_not_matter() {
    // C=DE, O=Ä: as UTF8String, as BMPString and as TeletexString.
    let with = |value: &[u8]| {
        let attribute = [&[0x06, 0x03, 0x55, 0x04, 0x0a], value].concat();
        let wrap = |tag, inner: &[u8]| [&[tag, inner.len() as u8], inner].concat();
        let name = wrap(0x30, &wrap(0x31, &wrap(0x30, &attribute)));
        DistinguishedName::from_der(&name).unwrap()
    };
    let utf8 = with(&[0x0c, 0x02, 0xc3, 0x84]);
    assert_eq!(utf8, with(&[0x1e, 0x02, 0x00, 0xc4]));
    assert_eq!(utf8, with(&[0x14, 0x01, 0xe4]));
    assert_ne!(utf8, with(&[0x14, 0x01, 0xe5]));
    assert_ne!(utf8, with(&[0x04, 0x02, 0xc3, 0x84]));
    assert_eq!(utf8.to_string(), "O=Ä");
    assert_eq!(with(&[0x04, 0x01, 0xff]).to_string(), "O=#04ff");
}

#[test]
fn what_is_no_name() {
    let bad = |text: &str| DistinguishedName::parse(text).unwrap_err();
    assert_eq!(bad("mail"), BadName::NoValue("mail".into()));
    assert_eq!(bad("X=1"), BadName::Attribute("X".into()));
    assert_eq!(bad("CN="), BadName::Empty("CN".into()));
    assert_eq!(bad("CN=a\\"), BadName::Escape);
    assert_eq!(bad("CN=\"a"), BadName::Escape);
    assert_eq!(bad("C=Ä"), BadName::Characters("C".into()));
    assert_eq!(bad(&format!("CN={}", "a".repeat(4000))), BadName::TooLong);
    assert_eq!(bad(&vec!["CN=a"; 40].join(",")), BadName::TooLong);
    assert!(DistinguishedName::from_der(&[]).is_none());
}

#[test]
fn nothing_that_a_peer_sends_is_printed_raw() {
    let evil = name("CN=a\\0a\\1b[0m\\, O=x");
    assert_eq!(evil.to_string(), "CN=a\\0a\\1b[0m\\, O=x");
    let turned = name("CN=a\u{202e}b");
    assert!(turned.to_string().is_ascii(), "{turned}");
}

proptest! {
    #[test]
    fn what_is_printed_reads_back(parts in proptest::collection::vec("\\PC{1,12}", 1..5)) {
        let escaped = |text: &String| {
            let octets = text.trim().bytes().map(|octet| format!("\\{octet:02x}"));
            format!("CN={}", octets.collect::<String>())
        };
        let parts: Vec<String> = parts.into_iter().filter(|p| !p.trim().is_empty()).collect();
        let written = parts.iter().map(escaped).collect::<Vec<_>>().join(",");
        if let Ok(first) = DistinguishedName::parse(&written) {
            let again = DistinguishedName::parse(&first.to_string()).unwrap();
            prop_assert_eq!(&again, &first);
            prop_assert_eq!(DistinguishedName::from_der(first.der()).unwrap(), first);
        }
    }

    #[test]
    fn no_octets_and_no_text_make_it_panic(der in any::<Vec<u8>>(), text in any::<String>()) {
        if let Some(name) = DistinguishedName::from_der(&der) {
            let _ = name.to_string();
        }
        let _ = DistinguishedName::parse(&text);
    }
}
