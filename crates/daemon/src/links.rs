//! The links to the other members, as the loop uses them.

use crate::config::ClusterSettings;
use crate::error::Error;
use cluster::NodeName;
use link::pki::Identity;
use link::{Inbox, Links, Peer, Settings};
use std::net::SocketAddr;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// A certificate that ends sooner than this is spoken of at the start.
const SOON: Duration = Duration::from_secs(30 * 86_400);

/// What there is of links once they are started.
pub(crate) struct Opened {
    pub(crate) links: Links,
    pub(crate) inbox: Inbox,
    /// The end of this node's certificate.
    pub(crate) until: SystemTime,
    /// A sentence, when that is soon.
    pub(crate) warning: Option<String>,
}

/// Loads this node's certificate and makes links to all others.
///
/// # Errors
/// When there is no valid certificate, or a port is in use.
pub(crate) fn open(cluster: &ClusterSettings, own: &str, mark: u32) -> Result<Opened, Error> {
    let now = SystemTime::now();
    let identity = Identity::load(&cluster.certificates, own, now).map_err(Error::Certificates)?;
    let until = UNIX_EPOCH + Duration::from_secs(identity.until());
    let left = until.duration_since(now).unwrap_or_default();
    let warning = (left < SOON).then(|| {
        format!(
            "this node's certificate ends in {} days: renew it with `holdfast cluster init \
             --renew` and `holdfast cluster join`, and restart the daemon",
            left.as_secs() / 86_400
        )
    });
    let addresses = |name: &NodeName| -> Vec<SocketAddr> {
        let node = cluster.node(name.as_str());
        let addresses = node.into_iter().flat_map(|node| &node.addresses);
        addresses
            .map(|one| SocketAddr::new(one.ip(), cluster.link_port))
            .collect()
    };
    let mut settings = Settings::new(identity);
    settings.mark = Some(mark);
    for node in &cluster.nodes {
        let addresses = addresses(&node.name);
        if node.name.as_str() == own {
            settings.listen = addresses;
            continue;
        }
        settings.peers.push(Peer {
            name: node.name.to_string(),
            addresses,
        });
    }
    let (links, inbox) = Links::start(settings).map_err(Error::Link)?;
    Ok(Opened {
        links,
        inbox,
        until,
        warning,
    })
}
