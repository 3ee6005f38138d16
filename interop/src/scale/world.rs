//! Two members and a front with the peers: namespaces, cables, configurations, certificates.

use std::path::Path;
use std::time::SystemTime;

use linux::netns::{self, End};

use crate::crowd::PEERS;
use crate::holdfast::{Daemon, PSK, Place};
use crate::space::Space;

/// The address that the members share.
pub(crate) const VIP: &str = "10.63.0.100";
/// The front's own address.
pub(crate) const FRONT: &str = "10.63.0.10";
/// Between the members.
pub(crate) const LINK: &str = "hb0";
/// The members, the first one preferred.
pub(crate) const NODES: [&str; 2] = ["be1", "be2"];
/// UDP port of the heartbeats.
pub(crate) const HEARTBEATS: u16 = 4511;
const BACK: [&str; 2] = ["10.63.0.1", "10.63.0.2"];
const NEAR: [&str; 2] = ["10.62.0.1", "10.62.0.2"];
/// The front's ends of the cables to the members.
const PORTS: [&str; 2] = ["n1", "n2"];
/// The key of the heartbeats: for one machine, nowhere else.
pub(crate) const CLUSTER_KEY: &str = "Jq0m5v3yZl8cX2nBf6kWgS9dRt4hPa7eUoI1uYiTxQM";

/// The namespaces.
pub(crate) struct World {
    pub(crate) front: Space,
    pub(crate) nodes: [Space; 2],
}

impl World {
    /// Makes them: the front is a switch with the peers behind it.
    pub(crate) fn new() -> Result<Self, String> {
        let front = Space::new("scale-fe")?;
        let nodes = [Space::new("scale-be1")?, Space::new("scale-be2")?];
        for (port, node) in PORTS.iter().zip(&nodes) {
            netns::cable(front.end(port), node.end("eth0")).map_err(|why| why.to_string())?;
        }
        netns::bridge(front.end("br0"), &PORTS).map_err(|why| why.to_string())?;
        let [a, b] = &nodes;
        netns::cable(a.end(LINK), b.end(LINK)).map_err(|why| why.to_string())?;
        front.address("br0", &format!("{FRONT}/24"))?;
        front.output("ip", &["route", "add", "local", PEERS, "dev", "lo"])?;
        for (index, node) in nodes.iter().enumerate() {
            node.address("eth0", &format!("{}/24", BACK[index]))?;
            node.address(LINK, &format!("{}/24", NEAR[index]))?;
            node.output("ip", &["route", "add", PEERS, "via", FRONT])?;
        }
        Ok(World { front, nodes })
    }

    /// Starts the daemon of a member.
    pub(crate) fn start<'a>(
        &'a self,
        index: usize,
        program: &'a Path,
        scratch: &'a Path,
        folder: &'a Path,
        rules: &str,
    ) -> Result<Daemon<'a>, String> {
        self.start_as(index, program, scratch, folder, rules, "replicate")
    }

    /// The same, with another word for `takeover`.
    pub(crate) fn start_as<'a>(
        &'a self,
        index: usize,
        program: &'a Path,
        scratch: &'a Path,
        folder: &'a Path,
        rules: &str,
        takeover: &str,
    ) -> Result<Daemon<'a>, String> {
        let name = NODES[index];
        let place = Place {
            program,
            space: &self.nodes[index],
            scratch,
            folder,
            name,
        };
        let certificates = scratch.join(format!("{name}-certificates"));
        certify(name, scratch, &certificates)?;
        let text = format!("{rules}{}", cluster(&certificates, takeover));
        Daemon::start(&place, &text, None)
    }

    /// Pulls the cable between a member and the front.
    pub(crate) fn cut(&self, index: usize) -> Result<(), String> {
        plug(self.front.end(PORTS[index]), false)
    }

    /// Pulls both cables of a member, or puts them back.
    pub(crate) fn unplug(&self, index: usize, pulled: bool) -> Result<(), String> {
        plug(self.front.end(PORTS[index]), !pulled)?;
        plug(self.nodes[index].end(LINK), !pulled)
    }
}

fn plug(end: End<'_>, up: bool) -> Result<(), String> {
    let change = || -> Result<(), linux::Error> {
        let mut netlink = netns::netlink(end.namespace)?;
        let link = netlink.link(end.interface)?;
        netlink.set_up(link.index, up)
    };
    change().map_err(|why| why.to_string())
}

/// The rules for the peers' pings.
pub(crate) fn rules() -> String {
    format!(
        "[plane]\nencapsulation = \"udp\"\n\n\
         [[peer]]\nname = \"crowd\"\naddress = \"{PEERS}\"\npsk = \"{PSK}\"\n\n\
         [[rule]]\nname = \"ping\"\naction = \"require\"\nlocal = \"{VIP}\"\n\
         remote = \"{PEERS}\"\nprotocol = \"icmp\"\n\n"
    )
}

fn cluster(certificates: &Path, takeover: &str) -> String {
    let nodes: String = NODES
        .iter()
        .zip(NEAR.iter().zip(&BACK))
        .map(|(name, (near, back))| {
            format!("[[cluster.node]]\nname = \"{name}\"\naddress = [\"{near}\", \"{back}\"]\n\n")
        })
        .collect();
    format!(
        "[cluster]\nkey = \"{CLUSTER_KEY}\"\ntakeover = \"{takeover}\"\n\
         certificates = {:?}\n\n{nodes}\
         [[cluster.group]]\nname = \"mail\"\naddresses = [\"{VIP}/24\"]\n\
         interface = \"eth0\"\npreferred = [\"be1\", \"be2\"]\n",
        certificates.display().to_string()
    )
}

/// Gives a member its certificate, as an operator would.
pub(crate) fn certify(name: &str, scratch: &Path, folder: &Path) -> Result<(), String> {
    if folder.exists() {
        return Ok(());
    }
    let (authority, now) = (scratch.join("authority"), SystemTime::now());
    link::pki::init(&authority, &[name.to_owned()], false, now).map_err(|why| why.to_string())?;
    let joins = authority.join(format!("{name}.join"));
    let joined = link::pki::join(&joins, folder, now);
    joined.map(drop).map_err(|why| why.to_string())
}
