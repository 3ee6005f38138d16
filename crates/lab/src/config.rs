//! The daemons' configuration files: the front end's, and a node's.

use std::path::Path;
use std::time::Duration;

use crate::addresses::*;
use crate::etcd;
use crate::kinds::{FrontEnd, Ike, Plane, Takeover};
use crate::shape::Shape;
use crate::topology::short;

/// The key between front end and nodes: good for a lab on one machine, nowhere else.
pub(crate) const PSK: &str = "pB7wq2ZkT9sXf4LrVn6YhJc3GdMa8eUo5iRtK1xQ0Ew";
/// The key between the nodes.
const CLUSTER_KEY: &str = "Jq0m5v3yZl8cX2nBf6kWgS9dRt4hPa7eUoI1uYiTxQM";

/// The folder of a node's certificate, in its own.
pub(crate) const CERTIFICATES: &str = "certificates";

/// What differs between two runs of the lab.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Settings<'a> {
    /// ESP in UDP even though there is no NAT.
    pub(crate) udp_encap: bool,
    /// What the cluster is made of.
    pub(crate) shape: Shape,
    /// The ESP proposal, if not the daemon's own.
    pub(crate) esp: Option<&'a str>,
    /// Whose IKE and ESP the front end has.
    pub(crate) front_end: FrontEnd,
    /// The version of IKE.
    pub(crate) ike: Ike,
    /// Where the nodes' ESP runs.
    pub(crate) plane: Plane,
    /// How SAs survive their node.
    pub(crate) takeover: Takeover,
    /// Time between two heartbeats, if not the daemon's own.
    pub(crate) heartbeat: Option<Duration>,
    /// How many may be missed, if not as many as the daemon says.
    pub(crate) missed: Option<u32>,
    /// How many more SAs there are, each under a rule and on a port of its own.
    pub(crate) more_sas: u16,
    /// The daemon's folder for sockets and state.
    pub(crate) run_dir: &'a Path,
}

/// The front end's file: it is the client of the virtual address.
pub(crate) fn front_end(settings: Settings<'_>) -> String {
    let peers = peers(
        settings.ike,
        &[("mail", VIP.to_string()), ("mail6", VIP6.to_string())],
    );
    let rules = rules(
        |what, vip, _| format!("remote = \"{vip}\"\n{what}"),
        ("remote_ports", ""),
        settings,
    );
    head("fe", Plane::User, settings) + &peers + &rules
}

/// A node's file: it serves the virtual address while it has it.
pub(crate) fn node(name: &str, settings: Settings<'_>) -> String {
    let peers = peers(
        settings.ike,
        &[("fe", FE_BACK.to_string()), ("fe6", FE_BACK6.to_string())],
    );
    let rules = match settings.front_end {
        FrontEnd::Holdfast => served(settings),
        FrontEnd::Strongswan => tunnel(),
    };
    let nodes: String = settings
        .shape
        .nodes()
        .iter()
        .map(|node| {
            let (name, near, far) = (short(node.host), node.heartbeat, node.back.0);
            format!("[[cluster.node]]\nname = \"{name}\"\naddress = [\"{near}\", \"{far}\"]\n\n")
        })
        .collect();
    let preferred: Vec<&str> = settings.shape.hosts().map(short).collect();
    let witness = match settings.shape {
        Shape::Pair => String::new(),
        Shape::Witnessed => witness(),
    };
    let takeover = settings.takeover.name();
    let heartbeat = settings.heartbeat.map_or_else(String::new, |time| {
        format!("heartbeat = \"{}ms\"\n", time.as_millis())
    });
    let missed = settings.missed;
    let missed = missed.map_or_else(String::new, |missed| format!("missed = {missed}\n"));
    let certificates = settings.run_dir.join(CERTIFICATES).display().to_string();
    let cluster = format!(
        "[cluster]\nkey = \"{CLUSTER_KEY}\"\ntakeover = \"{takeover}\"\n\
         {heartbeat}{missed}certificates = {certificates:?}\n\n{witness}{nodes}\
         [[cluster.group]]\nname = \"{GROUP}\"\n\
         addresses = [\"{VIP}/{PREFIX_LEN}\", \"{VIP6}/{PREFIX_LEN6}\"]\n\
         interface = \"{BACK_IF}\"\npreferred = {preferred:?}\n"
    );
    head(name, settings.plane, settings) + &peers + &rules + &cluster
}

/// The witness, as a node reaches it.
fn witness() -> String {
    let urls = WITNESS_ADDRESSES.map(|at| format!("https://{at}:{}", ETCD.0));
    let [ca, certificate, key] = etcd::papers().map(|path| path.display().to_string());
    format!(
        "[cluster.witness]\netcd = {urls:?}\nprefix = {:?}\nca = {ca:?}\n\
         certificate = {certificate:?}\nkey = {key:?}\n\n",
        etcd::KEYS
    )
}

/// What a node requires of our front end.
fn served(settings: Settings<'_>) -> String {
    rules(
        |what, vip, fe| format!("local = \"{vip}\"\nremote = \"{fe}\"\n{what}"),
        ("local_ports", "side = \"server\"\n"),
        settings,
    )
}

/// The one tunnel of a foreign front end.
fn tunnel() -> String {
    format!(
        "[[rule]]\nname = \"tunnel\"\naction = \"require\"\nlocal = \"{VIP}\"\n\
         remote = \"{FE_BACK}\"\nmode = \"tunnel\"\npeer = \"fe\"\n\
         esp_proposals = \"aes128gcm16\"\n\n"
    )
}

fn head(name: &str, plane: Plane, settings: Settings<'_>) -> String {
    let encapsulation = if settings.udp_encap { "udp" } else { "auto" };
    format!(
        "[node]\nname = \"{name}\"\nrun_dir = {:?}\n\n\
         [plane]\nkind = \"{}\"\nencapsulation = \"{encapsulation}\"\n\n",
        settings.run_dir.display().to_string(),
        plane.name(),
    )
}

fn peers(ike: Ike, peers: &[(&str, String)]) -> String {
    peers
        .iter()
        .map(|(name, address)| {
            format!(
                "[[peer]]\nname = \"{name}\"\naddress = \"{address}\"\nversion = \"{}\"\n\
                 psk = \"{PSK}\"\n\n",
                ike.name()
            )
        })
        .collect()
}

/// Rules for mail and for the probe, IPv4 and IPv6, and more if wanted, IPv4. `sides` puts the
/// addresses before the rest.
fn rules(
    sides: impl Fn(&str, &str, &str) -> String,
    (ports, side): (&str, &str),
    settings: Settings<'_>,
) -> String {
    let esp = settings.esp;
    let esp = esp.map_or_else(String::new, |esp| format!("esp_proposals = [{esp:?}]\n"));
    let whats = [
        ("mail", format!("profile = \"passwords\"\n{side}")),
        (
            "probe-udp",
            format!("protocol = \"udp\"\n{ports} = {ECHO}\n"),
        ),
        (
            "probe-tcp",
            format!("protocol = \"tcp\"\n{ports} = {ECHO}\n"),
        ),
    ];
    let families = [
        ("", VIP.to_string(), FE_BACK.to_string()),
        ("6", VIP6.to_string(), FE_BACK6.to_string()),
    ];
    let rule = |name: String, text: &str, vip: &str, fe: &str| {
        let sides = sides(text, vip, fe);
        format!("[[rule]]\nname = \"{name}\"\naction = \"require\"\n{esp}{sides}\n")
    };
    let mut out = String::new();
    for (what, text) in &whats {
        for (family, vip, fe) in &families {
            out.push_str(&rule(format!("{what}{family}"), text, vip, fe));
        }
    }
    let [(_, vip, fe), _] = &families;
    for port in (MORE..).take(settings.more_sas.into()) {
        let text = format!("protocol = \"udp\"\n{ports} = {port}\n");
        out.push_str(&rule(format!("more-{port}"), &text, vip, fe));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_serves_what_the_front_end_asks_for() {
        let run_dir = Path::new("/run/hf-lab/be1");
        let settings = Settings {
            udp_encap: true,
            shape: Shape::Pair,
            esp: Some("aes256-sha256"),
            front_end: FrontEnd::Holdfast,
            ike: Ike::V1,
            plane: Plane::Kernel,
            takeover: Takeover::Replicate,
            heartbeat: Some(Duration::from_millis(10)),
            missed: Some(3),
            more_sas: 2,
            run_dir,
        };
        let (fe, be) = (front_end(settings), node("be1", settings));
        for text in [
            "name = \"probe-udp6\"",
            "name = \"more-20001\"",
            "encapsulation = \"udp\"",
            "profile = \"passwords\"",
            "version = \"ikev1\"",
            "esp_proposals = [\"aes256-sha256\"]",
        ] {
            assert!(fe.contains(text) && be.contains(text), "{text}\n{fe}\n{be}");
        }
        assert!(be.contains("local_ports = 20001") && !be.contains("20002"));
        assert!(fe.contains("remote_ports = 7") && be.contains("local_ports = 7"));
        assert!(be.contains("side = \"server\"") && !fe.contains("side"));
        assert!(be.contains("local = \"fd77::100\"") && be.contains("remote = \"fd77::10\""));
        assert!(be.contains("heartbeat = \"10ms\"\nmissed = 3\n"), "{be}");
        assert!(be.contains("takeover = \"replicate\"") && !fe.contains("[cluster]"));
        assert!(be.contains("preferred = [\"be1\", \"be2\"]\n") && !be.contains("be3"));
        let shape = Shape::Witnessed;
        let be = node("be3", Settings { shape, ..settings });
        assert!(
            be.contains("preferred = [\"be1\", \"be2\", \"be3\"]\n"),
            "{be}"
        );
        assert!(be.contains("[cluster.witness]\netcd = [\"https://10.79.0.11:2379\", "));
    }
}
