//! strongSwan is sent to another of our addresses, and goes there (RFC 5685).

use crate::holdfast::PSK;
use crate::strongswan::session::{Place, Session};
use crate::strongswan::{OUTER, connection, rules};

const IKE: &str = "aes128gcm16-prfsha256-x25519";
const ESP: &str = "aes128gcm16";
/// Where it is sent.
const ELSEWHERE: &str = "10.99.0.3";

/// It calls the one address, and the tunnel comes to be with the other.
pub(crate) fn run(place: &Place<'_>) -> Result<String, String> {
    let network = format!("{ELSEWHERE}/24");
    place.hosts.ours.address("eth0", &network)?;
    let line = format!("redirect = \"{ELSEWHERE}\"\nlocal_id");
    let rules = rules(IKE, ESP, PSK).replacen("local_id", &line, 1);
    let session = Session::bare(place, &rules)?;
    session.them.load(&connection(IKE, ESP))?;
    let initiate = ["--initiate", "--child", "net", "--timeout", "10"];
    session.them.swanctl(&initiate)?;
    let sa = session.settled()?;
    if !sa.local.starts_with(ELSEWHERE) {
        return Err(format!("the IKE SA is at {}", sa.local));
    }
    let traffic = session.traffic()?;
    Ok(format!(
        "called {}, came to {}; {traffic}",
        OUTER[0], sa.local
    ))
}
