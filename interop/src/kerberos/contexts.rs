//! Contexts between two keytabs, as `linux::gss` makes them, and what must be refused.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use linux::gss::{Context, Gss};

use crate::kerberos::KDC;
use crate::kerberos::realm::{REALM, Realm, Side};
use crate::table::Table;

/// The verb of the process that has the realm's `krb5.conf` in its environment.
pub(crate) const VERB: &str = "kerberos-context";
/// What is wrapped: as long as a hash of SHA-512.
const HASH: [u8; 64] = [0xa5; 64];
/// How long the library may look for a KDC that is gone.
const SOON: Duration = Duration::from_secs(15);

/// What one trial does.
struct Trial<'a> {
    what: &'a str,
    /// Its principal without the realm, and its keytab.
    initiator: (&'a str, &'a Path),
    acceptor: (&'a str, &'a Path),
    /// Whom the initiator calls.
    target: &'a str,
    /// What is said; nothing if it succeeds.
    says: Option<&'a str>,
}

/// Every trial.
pub(crate) fn run(realm: &mut Realm<'_>, table: &mut Table) -> Result<(), String> {
    let (front, back, other) = ("host/fe.example", "host/be1.example", "host/be2.example");
    let fe = realm.principal(front, "fe")?;
    let be1 = realm.principal(back, "be1")?;
    let be2 = realm.principal(other, "be2")?;
    let (old, expired) = (stale(realm)?, expired(realm)?);
    let good = Trial {
        what: "a context, a hash each way, wrapped",
        initiator: (front, &fe),
        acceptor: (back, &be1),
        target: back,
        says: None,
    };
    let trials = [
        Trial {
            what: "who accepts is not whom the ticket is for",
            acceptor: (other, &be2),
            says: Some("take a Kerberos ticket as host/be2.example"),
            ..good
        },
        Trial {
            what: "the other's principal is unknown",
            target: "host/nobody.example",
            says: Some("not found in Kerberos database"),
            ..good
        },
        Trial {
            what: "our own principal is unknown in the keytab",
            initiator: ("host/nobody.example", &fe),
            says: Some("klist -kt"),
            ..good
        },
        Trial {
            what: "our own key was changed since the keytab",
            initiator: ("host/old.example", &old),
            says: Some("Preauthentication failed"),
            ..good
        },
        Trial {
            what: "our own principal has expired",
            initiator: ("host/expired.example", &expired),
            says: Some("has expired"),
            ..good
        },
    ];
    table.add(good.what, KDC, good.judge(realm));
    for trial in trials {
        table.add(trial.what, KDC, trial.judge(realm));
    }
    realm.stop();
    let down = Trial {
        what: "the KDC does not run",
        says: Some("Cannot contact any KDC"),
        ..good
    };
    let begun = Instant::now();
    let done = down.judge(realm).and_then(|said| {
        let took = begun.elapsed();
        match took < SOON {
            true => Ok(format!("{said} ({} ms)", took.as_millis())),
            false => Err(format!("it took {} s", took.as_secs())),
        }
    });
    table.add(down.what, KDC, done);
    realm.start()
}

/// A keytab whose key is not the principal's any longer.
fn stale(realm: &Realm<'_>) -> Result<PathBuf, String> {
    let keytab = realm.principal("host/old.example", "old")?;
    realm.admin("modprinc +requires_preauth host/old.example")?;
    realm.admin("cpw -randkey host/old.example")?;
    Ok(keytab)
}

fn expired(realm: &Realm<'_>) -> Result<PathBuf, String> {
    let keytab = realm.principal("host/expired.example", "expired")?;
    realm.admin("modprinc -expire \"2020-01-01 00:00:00\" host/expired.example")?;
    Ok(keytab)
}

impl Trial<'_> {
    fn judge(&self, realm: &Realm<'_>) -> Result<String, String> {
        let whole = |principal: &str| format!("{principal}@{REALM}");
        let own = std::env::current_exe().map_err(|why| format!("this program's path: {why}"))?;
        let mut command = Command::new(own);
        command
            .arg(VERB)
            .arg(self.initiator.1)
            .arg(whole(self.initiator.0))
            .arg(self.acceptor.1)
            .arg(whole(self.acceptor.0))
            .arg(whole(self.target))
            .env("KRB5_CONFIG", realm.config(Some(Side::Front)));
        let output = realm.front.run(|| command.output())?;
        let output = output.map_err(|why| format!("it cannot be started: {why}"))?;
        let said = String::from_utf8_lossy(&output.stdout).trim().to_owned();
        let errors = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        match (self.says, output.status.success()) {
            (None, true) => Ok(said),
            (Some(wanted), false) if errors.contains(wanted) => Ok(format!("refused: {errors}")),
            (None, false) => Err(errors),
            (Some(_), false) => Err(format!("it was refused for another reason: {errors}")),
            (Some(_), true) => Err(format!("it was not refused: {said}")),
        }
    }
}

/// Both ends in this process, whose environment names the `krb5.conf`: initiator's keytab and
/// principal, acceptor's keytab and principal, the initiator's target.
pub(crate) fn both_ends(words: &[&str]) -> Result<(), String> {
    let [keytab_i, initiator, keytab_r, acceptor, target] = words else {
        return Err(format!("{VERB} needs two keytabs and three principals"));
    };
    let text = |why: linux::Error| why.to_string();
    let begun = Instant::now();
    let gss = Gss::load().map_err(text)?;
    let credentials = gss
        .initiator(Path::new(keytab_i), initiator)
        .map_err(text)?;
    let logged_in = begun.elapsed();
    let mut front = Context::initiate(&credentials, target).map_err(text)?;
    let request = front.step(&[]).map_err(text)?;
    let asked = begun.elapsed();
    let credentials = gss.acceptor(Path::new(keytab_r), acceptor).map_err(text)?;
    let mut back = Context::accept(&credentials).map_err(text)?;
    let answer = back.step(&request.token).map_err(text)?;
    let last = front.step(&answer.token).map_err(text)?;
    if !answer.complete || !last.complete || !last.token.is_empty() {
        return Err("a context of Kerberos has one token each way".to_owned());
    }
    for (context, peer) in [(&mut front, target), (&mut back, initiator)] {
        let (name, seconds) = context.peer().map_err(text)?;
        if name != **peer || seconds == 0 {
            return Err(format!(
                "{name} is not {peer}, or not for long ({seconds} s)"
            ));
        }
    }
    let length = exchange(&mut front, &mut back)?;
    exchange(&mut back, &mut front)?;
    println!(
        "tokens of {} and {} octets, {length} for {} wrapped; log in {} ms, ticket {} ms",
        request.token.len(),
        answer.token.len(),
        HASH.len(),
        logged_in.as_millis(),
        (asked - logged_in).as_millis(),
    );
    Ok(())
}

/// A hash from one to the other, once altered, once in order and once again.
fn exchange(from: &mut Context, to: &mut Context) -> Result<usize, String> {
    let wrapped = from.wrap(&HASH).map_err(|why| why.to_string())?;
    if wrapped.windows(16).any(|part| part == &HASH[..16]) {
        return Err("what is wrapped can be read".to_owned());
    }
    for at in [0, wrapped.len() / 2, wrapped.len() - 1] {
        let mut altered = wrapped.clone();
        altered[at] ^= 1;
        if to.unwrap(&altered).is_ok() {
            return Err(format!("octet {at} was altered, and nobody noticed"));
        }
    }
    match to.unwrap(&wrapped) {
        Ok(opened) if opened == HASH => {}
        Ok(_) => return Err("something else was in it".to_owned()),
        Err(why) => return Err(why.to_string()),
    }
    match to.unwrap(&wrapped) {
        Ok(_) => Err("a repetition was taken".to_owned()),
        Err(_) => Ok(wrapped.len()),
    }
}
