//! Each side sends the other to another of its addresses, and the other goes there (RFC 5685).

use std::time::Duration;

use crate::holdfast::PSK;
use crate::program::wait_for;
use crate::strongswan::session::{Place, Session};
use crate::strongswan::{Connection, OUTER, connection, rules};
use crate::table::Table;

const IKE: &str = "aes128gcm16-prfsha256-x25519";
const ESP: &str = "aes128gcm16";
/// Where it is sent.
const ELSEWHERE: &str = "10.99.0.3";
/// Where it sends us, and both of its addresses.
const ITS_OTHER: &str = "10.99.0.4";
const BOTH: &str = "10.99.0.2, 10.99.0.4";
/// How long a move may take.
const PATIENCE: Duration = Duration::from_secs(15);

/// Every way in which one sends the other on. `place` begins the names of the sessions.
pub(crate) fn run(place: &Place<'_>, table: &mut Table, peer: &str) -> Result<(), String> {
    let Place { hosts, .. } = place;
    hosts.ours.address("eth0", &format!("{ELSEWHERE}/24"))?;
    hosts.theirs.address("eth0", &format!("{ITS_OTHER}/24"))?;
    let named = |name: &'static str| Place { name, ..*place };
    let first = at_first(&named("redirect-init"));
    table.add("it is redirected at its first message", peer, first);
    let later = later(&named("redirect-later"));
    table.add("it is redirected while it is in use", peer, later);
    let followed = followed(&named("redirect-us"));
    table.add("it redirects us while we are in use", peer, followed);
    Ok(())
}

/// It calls the one address, and the tunnel comes to be with the other.
fn at_first(place: &Place<'_>) -> Result<String, String> {
    let line = format!("redirect = \"{ELSEWHERE}\"\nlocal_id");
    let rules = rules(IKE, ESP, PSK).replacen("local_id", &line, 1);
    let session = Session::bare(place, &rules)?;
    session.them.load(&connection(IKE, ESP))?;
    let initiate = ["--initiate", "--child", "net", "--timeout", "10"];
    session.them.swanctl(&initiate)?;
    let sa = moved(&session, |sa| sa.local.starts_with(ELSEWHERE))?;
    let traffic = session.traffic()?;
    Ok(format!(
        "called {}, came to {}; {traffic}",
        OUTER[0], sa.local
    ))
}

/// We send it on.
fn later(place: &Place<'_>) -> Result<String, String> {
    let session = Session::bare(place, &rules(IKE, ESP, PSK))?;
    session.them.load(&connection(IKE, ESP))?;
    let initiate = ["--initiate", "--child", "net", "--timeout", "10"];
    session.them.swanctl(&initiate)?;
    session.settled()?;
    let told = ["sa", "redirect", "--peer", "swan", "--to", ELSEWHERE];
    session.us.command(&told)?;
    let sa = moved(&session, |sa| sa.local.starts_with(ELSEWHERE))?;
    let traffic = session.traffic()?;
    Ok(format!("came to {}; {traffic}", sa.local))
}

/// It sends us on.
fn followed(place: &Place<'_>) -> Result<String, String> {
    let address = format!("address = \"{}\"", OUTER[1]);
    let known = format!(
        "address = [\"{}\", \"{ITS_OTHER}\"]\nfollow_redirect = [\"{ITS_OTHER}\"]",
        OUTER[1]
    );
    let rules = rules(IKE, ESP, PSK).replacen(&address, &known, 1);
    let session = Session::bare(place, &rules)?;
    let theirs = Connection {
        local: BOTH,
        ..connection(IKE, ESP)
    };
    session.them.load(&theirs)?;
    session.us.command(&["sa", "initiate", "net"])?;
    session.settled()?;
    let told = ["--redirect", "--ike", "net", "--gateway", ITS_OTHER];
    session.them.swanctl(&told)?;
    let sa = moved(&session, |sa| sa.remote.starts_with(ITS_OTHER))?;
    let traffic = session.traffic()?;
    Ok(format!("went to {}; {traffic}", sa.remote))
}

/// Waits until both have one of each SA, and it is where it should be.
fn moved(session: &Session<'_>, there: impl Fn(&api::IkeSa) -> bool) -> Result<api::IkeSa, String> {
    let mut last = Err("nothing".to_owned());
    wait_for(PATIENCE, || {
        last = session.us.only_sa().and_then(|sa| match there(&sa) {
            true => Ok(sa),
            false => Err(format!("the IKE SA is {} to {}", sa.local, sa.remote)),
        });
        last.is_ok()
    });
    let at = last.map_err(|why| format!("{why}; {}", session.complaints()))?;
    session.settled()?;
    Ok(at)
}
