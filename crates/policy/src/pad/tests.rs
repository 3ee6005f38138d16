//! Which peer a claim belongs to, and what is said when it belongs to none.

use super::*;
use crypto::secret::Secret;

fn peer(name: &str, addresses: &[(&str, u8)], remote_id: &str) -> Peer {
    let range = |(address, length): &(&str, u8)| {
        AddressRange::subnet(address.parse().unwrap(), *length).unwrap()
    };
    Peer {
        name: name.into(),
        addresses: addresses.iter().map(range).collect(),
        local_id: Identity::Any,
        remote_id: Identity::parse(remote_id).unwrap(),
        auth: Auth::psk(Secret::from_slice(name.as_bytes())),
        alternatives: Vec::new(),
        ike: IkeTemplate::modern(),
    }
}

fn pad() -> Pad {
    Pad::new(vec![
        peer("anywhere", &[], "any"),
        peer("subnet", &[("10.0.0.0", 24)], "any"),
        peer("named", &[("10.0.0.0", 24)], "fe1.example.org"),
        peer("host", &[("10.0.0.7", 32), ("2001:db8::7", 128)], "any"),
    ])
}

fn find(
    pad: &Pad,
    remote: &str,
    remote_id: &str,
    local_id: Option<&str>,
) -> Result<String, NoPeer> {
    let remote_id = Identity::parse(remote_id).unwrap();
    let local_id = local_id.map(|text| Identity::parse(text).unwrap());
    let claim = Claim {
        local: "10.0.0.1".parse().unwrap(),
        remote: remote.parse().unwrap(),
        remote_id: &remote_id,
        local_id: local_id.as_ref(),
    };
    pad.find(&claim).map(|peer| peer.name.to_string())
}

#[test]
fn the_most_narrowly_described_peer_wins() {
    let pad = pad();
    let found = |remote: &str, id: &str| find(&pad, remote, id, None).unwrap();
    assert_eq!(found("10.0.0.7", "10.0.0.7"), "host");
    assert_eq!(found("2001:db8::7", "whoever"), "host");
    assert_eq!(found("10.0.0.8", "fe1.example.org"), "named");
    assert_eq!(found("10.0.0.8", "fe2.example.org"), "subnet");
    assert_eq!(found("192.0.2.1", "fe1.example.org"), "anywhere");
    let names = |address: &str| {
        let found = pad.find_by_address(address.parse().unwrap());
        found
            .iter()
            .map(|peer| peer.name.to_string())
            .collect::<Vec<_>>()
    };
    assert_eq!(names("10.0.0.7"), ["host", "named", "subnet", "anywhere"]);
    assert_eq!(names("192.0.2.1"), ["anywhere"]);
    for address in ["10.0.0.7", "2001:db8::7", "10.0.0.8", "192.0.2.1"] {
        let nearest = pad.nearest(address.parse().unwrap());
        assert_eq!(nearest.unwrap().name.to_string(), names(address)[0]);
    }
    let hosts = Pad::new(vec![pad.peers()[3].clone()]);
    assert!(hosts.nearest("10.0.0.8".parse().unwrap()).is_none());
    assert_eq!(
        pad.find_by_identity(&Identity::parse("x.org").unwrap())
            .len(),
        3
    );
    assert!(pad.find_by_name(&"host".into()).is_some());
}

#[test]
fn a_refusal_says_why_for_every_peer() {
    let mut peers = pad().peers().to_vec();
    peers.remove(0);
    let pad = Pad::new(peers);
    let refusal = find(&pad, "192.0.2.1", "fe1.example.org", None).unwrap_err();
    assert_eq!(
        refusal.to_string(),
        "no peer is configured for `fe1.example.org` at 192.0.2.1: not `subnet`, because it may \
         talk only from 10.0.0.0/24; not `named`, because it may talk only from 10.0.0.0/24; not \
         `host`, because it may talk only from 10.0.0.7/32 2001:db8::7/128"
    );
    let named = Pad::new(vec![peer("named", &[], "fe1.example.org")]);
    let refusal = find(&named, "192.0.2.1", "fe2.example.org", None).unwrap_err();
    assert!(
        refusal
            .to_string()
            .ends_with("its identity must be `fe1.example.org`")
    );
    let refusal = find(
        &named,
        "192.0.2.1",
        "fe1.example.org",
        Some("be.example.org"),
    );
    let text = refusal.unwrap_err().to_string();
    assert!(
        text.ends_with("it asks for `be.example.org`, but to it we are `10.0.0.1`"),
        "{text}"
    );
    assert!(find(&named, "192.0.2.1", "fe1.example.org", Some("10.0.0.1")).is_ok());
    let empty = find(&Pad::default(), "192.0.2.1", "any", None).unwrap_err();
    assert!(empty.to_string().ends_with("there are no peers at all"));
}

#[test]
fn sameness_sees_the_key() {
    let host = || peer("host", &[("10.0.0.7", 32)], "any");
    let mut other = host();
    assert!(host().same(&other));
    other.auth = Auth::psk(Secret::from_slice(b"another key"));
    assert!(!host().same(&other));
}
