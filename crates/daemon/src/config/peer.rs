//! `[[peer]]`.

use std::net::IpAddr;

use policy::pad::{Childless, IkePort, IkeTemplate, KnownGateway, Mobike, Peer};
use policy::{AddressRange, IkeLifetime, IkeVersion, PeerName, Tcp, Timers};

use crate::config::basis::ReadPeer;
use crate::config::credentials;
use crate::config::diagnostic::Problems;
use crate::config::failover;
use crate::config::key::Keys;
use crate::config::named::{PeerObject, PolicyObject};
use crate::config::node::encapsulation;
use crate::config::ppk;
use crate::config::section::{Bad, Section, Value};
use crate::config::timing::{self, DAY, MINUTE, SECOND};
use crate::config::{value, version};

/// Longest name of a rule or a peer, in bytes.
pub(crate) const MAX_NAME: usize = 64;
/// Most items of one list: what nobody writes by hand.
pub(crate) const MAX_ITEMS: usize = 256;

/// The port of IKE in TCP, unless another is configured (RFC 9329 section 3).
const TCP_PORT: u16 = 4500;

/// What a peer has that says nothing else.
pub(crate) struct Inherited<'a> {
    pub(crate) timers: &'a Timers,
    pub(crate) force_udp: bool,
    pub(crate) policy: &'a PolicyObject,
}

/// Reads one `[[peer]]`; `None` when something essential is missing, which has been reported.
pub(crate) fn read(
    mut section: Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
    inherited: &Inherited<'_>,
) -> Option<ReadPeer> {
    let name = section.require(problems, "name", "\"mail\"", |value| {
        value::short_text(value, MAX_NAME)
    });
    if let Some(name) = &name {
        section.title = format!("[[peer]] `{name}`");
    }
    let timers = timing::profile(&mut section, problems, inherited.timers);
    let addresses = section.require(problems, "address", "\"10.20.0.10\"", addresses);
    let mut ike = read_ike(&mut section, problems, &timers, inherited);
    let auth = credentials::read(&mut section, problems, keys, ike.version);
    failover::read(&mut section, problems, &timers, &mut ike);
    ike.ppk = ppk::read(&mut section, problems, keys);
    check_gateways(&section, problems, &ike.follow, addresses.as_deref());
    ike.clones = clones(&mut section, problems);
    ike.mobike = mobike(&mut section, problems, addresses.as_deref(), &timers);
    ike.tcp = read_tcp(&mut section, problems);
    version::finish(&section, problems, &mut ike);
    let span = section.span.clone();
    section.finish(problems);
    let auth = auth?;
    let name = PeerName::new(&name?);
    let object = PeerObject {
        name: name.clone(),
        authentication: auth.authentication,
    };
    let peer = Peer {
        name,
        addresses: addresses?,
        local_id: auth.local_id,
        remote_id: auth.remote_id,
        auth: auth.auth,
        alternatives: auth.alternatives,
        ike,
    };
    Some(ReadPeer {
        peer,
        span,
        timers,
        kdcs: auth.kdcs,
        object,
    })
}

fn read_ike(
    section: &mut Section<'_>,
    problems: &mut Problems,
    timers: &Timers,
    inherited: &Inherited<'_>,
) -> IkeTemplate {
    let mut ike = IkeTemplate {
        force_udp: inherited.force_udp,
        ..IkeTemplate::with_timers(timers)
    };
    version::read(section, problems, &mut ike, inherited.policy);
    if ike.version == IkeVersion::V1 {
        ike.quick_modes = inherited.policy.quick_modes();
    }
    let ports = [
        ("standard", IkePort::Standard500),
        ("4500", IkePort::Only4500),
    ];
    if let Some(port) = section.read(problems, "port", |value| value::word(value, &ports)) {
        ike.port = port;
    }
    if let Some(force) = section.read(problems, "encapsulation", encapsulation) {
        ike.force_udp = force;
    }
    // On the single port there is no other way for ESP.
    ike.force_udp |= ike.port == IkePort::Only4500;
    let rekey = section.read(problems, "rekey", |value| {
        value::duration(value, MINUTE..=30 * DAY)
    });
    if let Some(rekey) = rekey.or(inherited.policy.rekey) {
        ike.lifetime = IkeLifetime::of(rekey);
    }
    if let Some(ladder) = section.read(problems, "retransmission", timing::ladder) {
        ike.retransmission = ladder;
    }
    if let Some(liveness) = section.read(problems, "liveness", timing::liveness) {
        ike.liveness = liveness;
    }
    if let Some(hints) = section.read(problems, "hints", value::boolean) {
        ike.hints = hints;
    }
    for (key, setting) in [
        ("qcd", &mut ike.qcd),
        ("resumption", &mut ike.resumption),
        ("message_id_sync", &mut ike.sync),
    ] {
        if let Some(wanted) = section.read(problems, key, value::boolean) {
            *setting = wanted;
        }
    }
    ike.childless = childless(section, problems).unwrap_or(ike.childless);
    if let Some(size) = section.read(problems, "fragment_size", fragment_size) {
        ike.fragment_size = size;
    }
    ike.redirect = section.read(problems, "redirect", redirect);
    let follow = section.read(problems, "follow_redirect", follow);
    ike.follow = follow.unwrap_or_default();
    let keepalive = section.read(problems, "nat_keepalive", |value| {
        value::duration(value, SECOND..=10 * MINUTE)
    });
    if let Some(keepalive) = keepalive {
        ike.nat_keepalive = keepalive;
    }
    ike
}

/// `childless`: whether an IKE SA begins without a pair.
fn childless(section: &mut Section<'_>, problems: &mut Problems) -> Option<Childless> {
    let words = [
        ("never", Childless::Never),
        ("accept", Childless::Accept),
        ("prefer", Childless::Prefer),
    ];
    section.read(problems, "childless", |value| value::word(value, &words))
}

/// `clones`: how many an IKE SA may have.
fn clones(section: &mut Section<'_>, problems: &mut Problems) -> u8 {
    let most = section.read(problems, "clones", |value| value::number(value, 0..=16));
    most.and_then(|most| u8::try_from(most).ok())
        .unwrap_or_default()
}

/// `mobike`: without a word of it, who may talk from more than single hosts may also move, if it
/// begins. What this host begins stays as it was, at the ports that a firewall knows.
fn mobike(
    section: &mut Section<'_>,
    problems: &mut Problems,
    addresses: Option<&[AddressRange]>,
    timers: &Timers,
) -> Mobike {
    let wide =
        |all: &[AddressRange]| all.is_empty() || all.iter().any(|range| range.as_host().is_none());
    match section.read(problems, "mobike", value::boolean) {
        Some(true) => Mobike::Offer,
        Some(false) => Mobike::Never,
        // A peer of the old kind hears of nothing that it does not know.
        None if timers.hints && addresses.is_some_and(wide) => Mobike::Accept,
        None => Mobike::Never,
    }
}

/// `tcp` and `tcp_port`: whether and where the peer is called by TCP.
fn read_tcp(section: &mut Section<'_>, problems: &mut Problems) -> Tcp {
    let words = [
        ("never", None),
        ("fallback", Some(true)),
        ("always", Some(false)),
    ];
    let wanted = section.read(problems, "tcp", |value| value::word(value, &words));
    let span = section.span_of("tcp_port");
    let port = section.read(problems, "tcp_port", |value| {
        value::number(value, 1..=u64::from(u16::MAX))
    });
    let wanted = wanted.flatten();
    if port.is_some() && wanted.is_none() {
        let message = "`tcp_port` is of no use: the peer is not called by TCP".to_owned();
        let remedy = "write `tcp = \"fallback\"` or `tcp = \"always\"` beside it".to_owned();
        problems.error(span, message, "no `tcp`".to_owned(), remedy);
    }
    let port = port.and_then(|port| u16::try_from(port).ok());
    let port = port.unwrap_or(TCP_PORT);
    match wanted {
        None => Tcp::Never,
        Some(true) => Tcp::Fallback(port),
        Some(false) => Tcp::Always(port),
    }
}

/// `fragment_size`: at least what every IPv4 link passes.
fn fragment_size(value: &Value<'_>) -> Result<Option<u16>, Bad> {
    value::number_or_off(value, 576..=9000)
}

/// `redirect`: one host.
fn redirect(value: &Value<'_>) -> Result<IpAddr, Bad> {
    value::text(value)?.parse().map_err(|_| {
        let remedy = "write the IP address of another gateway, such as \"10.20.0.11\"";
        Bad::new("this is not an IP address", remedy)
    })
}

/// `follow_redirect`: `false`, or gateways, each an address or `NAME=ADDRESS`.
fn follow(value: &Value<'_>) -> Result<Vec<KnownGateway>, Bad> {
    match value::boolean(value) {
        Ok(false) => return Ok(Vec::new()),
        Ok(true) => {
            return Err(Bad::new(
                "whoever sees our first message could send us anywhere",
                "list the gateways to follow to, such as [\"10.20.0.11\"]",
            ));
        }
        Err(_) => {}
    }
    value::list(value, MAX_ITEMS, |item| {
        let text = value::text(item)?;
        let (name, address) = match text.split_once('=') {
            Some((name, address)) => (Some(name.trim()), address.trim()),
            None => (None, text),
        };
        let remedy = "write \"10.20.0.11\", or \"gw2.example.net=10.20.0.11\" for a peer that \
                      names its gateways: no name is looked up";
        let address = address
            .parse()
            .map_err(|_| Bad::new("this gateway has no IP address", remedy))?;
        if name.is_some_and(|name| name.is_empty() || name.len() > 255) {
            return Err(Bad::new("a name has 1 to 255 bytes", remedy));
        }
        let name = name.map(str::to_owned);
        Ok(KnownGateway { address, name })
    })
}

/// A gateway is another place of the same peer, so the peer must be allowed to talk from there.
fn check_gateways(
    section: &Section<'_>,
    problems: &mut Problems,
    follow: &[KnownGateway],
    addresses: Option<&[AddressRange]>,
) {
    let Some(addresses) = addresses.filter(|addresses| !addresses.is_empty()) else {
        return;
    };
    let is_known = |one: &KnownGateway| addresses.iter().any(|range| range.contains(one.address));
    for gateway in follow.iter().filter(|one| !is_known(one)) {
        problems.error(
            section.span_of("follow_redirect"),
            format!("the peer may not talk from its gateway {}", gateway.address),
            "not in `address`".to_owned(),
            "add it to `address`, behind the one to call first".to_owned(),
        );
    }
}

fn addresses(value: &Value<'_>) -> Result<Vec<AddressRange>, Bad> {
    if matches!(value::text(value), Ok("any")) {
        return Ok(Vec::new());
    }
    value::list(value, MAX_ITEMS, |item| {
        let text = value::text(item)?;
        match text {
            "any" => Err(Bad::new(
                "`any` cannot stand beside others",
                "write `any` alone",
            )),
            "me" => Err(Bad::new(
                "a peer is another host",
                "write its address, or `any`",
            )),
            _ => value::parse_range(text),
        }
    })
}

#[cfg(test)]
mod tests {
    use crate::config::parse;
    use policy::pad::{Childless, IkeTemplate, Mobike, Tcp};

    /// What a line in the only `[[peer]]` makes of its IKE settings, or the report.
    fn read(line: &str) -> Result<IkeTemplate, String> {
        let text = format!(
            "[[peer]]\nname = \"mail\"\naddress = \"10.20.0.10\"\n\
             psk = \"xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE\"\n{line}\n"
        );
        let mut no_files = |_: &str, _| Err("there are no files in this test".to_owned());
        match parse("test.toml", &text, &mut no_files) {
            Ok(loaded) => Ok(loaded.config.pad.peers()[0].ike.clone()),
            Err(report) => Err(report.render(false)),
        }
    }

    #[test]
    fn whether_an_ike_sa_begins_without_a_child() {
        let childless = |line| read(line).unwrap().childless;
        assert_eq!(childless(""), Childless::Accept);
        assert_eq!(childless("childless = \"prefer\""), Childless::Prefer);
        assert_eq!(childless("profile = \"kb821839\""), Childless::Never);
        assert!(read("childless = \"always\"").is_err());
    }

    #[test]
    fn a_post_quantum_key_has_a_name_and_is_required_unless_said_otherwise() {
        let key = "Zk9wQ2x7Lr4TnV1sYb8mHc3eJd6fGa5uPo0iRq2tMwE";
        let ppk = |more: &str| {
            let text = format!("ppk_id = \"one\"\nppk = \"{key}\"\n{more}");
            read(&text).unwrap().ppk.unwrap()
        };
        assert_eq!((ppk("").id.as_str(), ppk("").required), ("one", true));
        assert!(!ppk("ppk_required = false").required);
        assert!(!format!("{:?}", ppk("")).contains("Zk9w"));
        for (wrong, says) in [
            ("ppk_id = \"one\"".to_owned(), "has no key"),
            (format!("ppk = \"{key}\""), "ppk_id"),
            ("ppk_required = true".to_owned(), "nothing to require"),
        ] {
            let report = read(&wrong).err().unwrap_or_default();
            assert!(report.contains(says), "{wrong}: {report}");
        }
    }

    #[test]
    fn gateways_to_follow_to_are_places_of_the_peer() {
        let follow = |list: &str| read(&format!("follow_redirect = {list}"));
        let gateways = follow("[\"10.20.0.10\", \"gw.example = 10.20.0.10\"]")
            .unwrap()
            .follow;
        let names = gateways.iter().map(|one| one.name.as_deref());
        assert_eq!(names.collect::<Vec<_>>(), [None, Some("gw.example")]);
        assert_eq!(follow("false").unwrap().follow, []);
        assert_eq!(read("").unwrap().follow, []);
        for (wrong, says) in [
            ("true", "list the gateways"),
            ("\"gw.example\"", "no name is looked up"),
            ("\"=10.20.0.10\"", "1 to 255 bytes"),
            ("\"10.20.0.11\"", "add it to `address`"),
        ] {
            let report = follow(wrong).unwrap_err();
            assert!(report.contains(says), "{wrong}: {report}");
        }
    }

    #[test]
    fn who_may_come_from_anywhere_may_move_if_it_begins() {
        let mobike = |line: &str, address: &str| {
            let text = format!(
                "[[peer]]\nname = \"mail\"\naddress = {address}\n\
                 psk = \"xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE\"\n{line}\n"
            );
            let mut no_files = |_: &str, _| Err("there are no files in this test".to_owned());
            let loaded = parse("test.toml", &text, &mut no_files).ok().unwrap();
            loaded.config.pad.peers()[0].ike.mobike
        };
        let one = "[\"10.20.0.10\", \"10.20.0.11\"]";
        for (line, address, expected) in [
            ("", "\"10.20.0.10\"", Mobike::Never),
            ("", one, Mobike::Never),
            ("", "\"any\"", Mobike::Accept),
            ("", "\"10.20.0.0/24\"", Mobike::Accept),
            ("profile = \"kb821839\"", "\"any\"", Mobike::Never),
            ("mobike = false", "\"any\"", Mobike::Never),
            ("mobike = true", one, Mobike::Offer),
        ] {
            assert_eq!(mobike(line, address), expected, "{line} {address}");
        }
        assert!(read("mobike = \"yes\"").is_err());
    }

    #[test]
    fn whether_a_peer_is_called_by_tcp() {
        let tcp = |line| read(line).unwrap().tcp;
        assert_eq!(tcp(""), Tcp::Never);
        assert_eq!(tcp("tcp = \"never\""), Tcp::Never);
        assert_eq!(tcp("tcp = \"fallback\""), Tcp::Fallback(4500));
        assert_eq!(tcp("tcp = \"always\"\ntcp_port = 443"), Tcp::Always(443));
        for (wrong, says) in [
            ("tcp = \"yes\"", "fallback"),
            ("tcp_port = 443", "not called by TCP"),
            ("tcp = \"always\"\ntcp_port = 0", "65535"),
        ] {
            let report = read(wrong).err().unwrap_or_default();
            assert!(report.contains(says), "{wrong}: {report}");
        }
    }

    #[test]
    fn clones_are_few_and_none_unless_asked_for() {
        let clones = |line| read(line).unwrap().clones;
        assert_eq!(clones(""), 0);
        assert_eq!(clones("clones = 16"), 16);
        assert!(read("clones = 17").unwrap_err().contains("0 to 16"));
    }

    #[test]
    fn the_size_of_fragments() {
        let size = |line| read(line).unwrap().fragment_size;
        assert_eq!(size(""), Some(1280));
        assert_eq!(size("fragment_size = 576"), Some(576));
        assert_eq!(size("fragment_size = \"off\""), None);
        assert_eq!(size("profile = \"kb821839\""), None);
        for wrong in ["575", "9001", "\"on\"", "-1", "true"] {
            let report = read(&format!("fragment_size = {wrong}")).unwrap_err();
            assert!(
                report.contains("from 576 to 9000, or `\"off\"`"),
                "{report}"
            );
        }
    }
}
