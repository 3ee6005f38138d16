//! What helps peers whose SAs were lost: the secret of crash tokens (RFC 6290) and the keys of
//! session tickets (RFC 5723).
//!
//! The members of a cluster make both of the cluster's key, so that each can serve the peers of
//! another. A single host keeps the secret of its tokens in its `run_dir`, for they help nobody
//! unless the next daemon makes the same ones; who reads it can end IKE SAs, and nothing more. The
//! keys of tickets reveal traffic: a single host draws them anew, and they are in no file.

use crate::clock::seconds;
use crate::config::{ClusterSettings, Config};
use crate::random::OsRandom;
use crypto::{Secret, hmac};
use ike::{TicketKey, TicketKeys};
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Seconds after which tickets are sealed with another key, and for which a ticket is good: as
/// long as an IKE SA lives by default. The key before opens tickets as long again.
const PERIOD: u64 = 4 * 3_600;
/// Octets of every secret here.
const LENGTH: usize = 32;

/// Where the keys of tickets come from.
enum Source {
    /// Every member makes the same of this.
    Shared(Secret),
    /// The newest first.
    Drawn(Vec<Arc<TicketKey>>),
}

/// The secrets, and when they were renewed.
pub(crate) struct Recovery {
    qcd: Arc<Secret>,
    source: Source,
    generation: u64,
}

impl Recovery {
    /// The secrets of this host, and a warning when the one of its tokens cannot be kept.
    pub(crate) fn start(config: &Config) -> (Self, Option<String>) {
        if let Some(cluster) = &config.cluster
            && let Some(shared) = Self::shared(cluster)
        {
            return (shared, None);
        }
        let path = config.node.run_dir.join("crash-tokens.secret");
        let (qcd, warning) = match kept(&path) {
            Ok(secret) => (secret, None),
            Err(error) => {
                let text = format!(
                    "{} cannot be used ({error}): after a restart peers learn by their own timers \
                     that their SAs are lost",
                    path.display()
                );
                (Secret::random(LENGTH, &mut OsRandom), Some(text))
            }
        };
        let recovery = Self {
            qcd: Arc::new(qcd),
            source: Source::Drawn(Vec::new()),
            generation: 0,
        };
        (recovery, warning)
    }

    /// The secrets of a cluster.
    pub(crate) fn shared(cluster: &ClusterSettings) -> Option<Self> {
        let key = cluster::ClusterKey::from_slice(cluster.key.as_bytes()).ok()?;
        Some(Self {
            qcd: Arc::new(key.derive("crash tokens")),
            source: Source::Shared(key.derive("session tickets")),
            generation: 0,
        })
    }

    /// What the node is told at its start and by a reload.
    pub(crate) fn all(&mut self) -> node::Recovery {
        node::Recovery {
            qcd_secret: Some(Arc::clone(&self.qcd)),
            tickets: Some(self.tickets(seconds())),
        }
    }

    /// New keys for tickets when it is time.
    pub(crate) fn renew(&mut self) -> Option<TicketKeys> {
        let seconds = seconds();
        (seconds / PERIOD != self.generation).then(|| self.tickets(seconds))
    }

    fn tickets(&mut self, seconds: u64) -> TicketKeys {
        self.generation = seconds / PERIOD;
        let newest = self.generation as u32;
        let keys = match &mut self.source {
            // The clock of another member may be a little ahead.
            Source::Shared(secret) => [newest, newest.wrapping_sub(1), newest.wrapping_add(1)]
                .map(|id| Arc::new(shared_key(secret, id)))
                .to_vec(),
            Source::Drawn(keys) => {
                if keys.first().is_none_or(|key| key.id != newest) {
                    let secret = Secret::random(LENGTH, &mut OsRandom);
                    let key = TicketKey { id: newest, secret };
                    keys.insert(0, Arc::new(key));
                    keys.truncate(2);
                }
                keys.clone()
            }
        };
        TicketKeys {
            keys,
            clock: (Instant::now(), seconds),
            lifetime: Duration::from_secs(PERIOD),
        }
    }
}

fn shared_key(secret: &Secret, id: u32) -> TicketKey {
    let key = hmac::sha256(secret.as_bytes(), &[&id.to_be_bytes()]);
    let secret = Secret::from_slice(&key);
    TicketKey { id, secret }
}

/// The secret that an earlier daemon left, if nobody else could read it; else a new one.
fn kept(path: &Path) -> io::Result<Secret> {
    if let Ok(found) = std::fs::symlink_metadata(path)
        && found.is_file()
        && found.permissions().mode() & 0o077 == 0
        && found.len() == LENGTH as u64
    {
        return Ok(Secret::new(std::fs::read(path)?));
    }
    let secret = Secret::random(LENGTH, &mut OsRandom);
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder)?;
    }
    let _ = std::fs::remove_file(path);
    let mut options = OpenOptions::new();
    let mut file = options
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(path)?;
    file.write_all(secret.as_bytes())?;
    Ok(secret)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recovery(source: Source) -> Recovery {
        let qcd = Arc::new(Secret::from_slice(&[1; LENGTH]));
        Recovery {
            qcd,
            source,
            generation: 0,
        }
    }

    fn same(one: &TicketKey, other: &TicketKey) -> bool {
        one.id == other.id && one.secret.constant_time_eq(&other.secret)
    }

    #[test]
    fn members_open_each_others_tickets_around_a_change_of_keys() {
        let member = || recovery(Source::Shared(Secret::from_slice(&[7; LENGTH])));
        let (mut ahead, mut behind) = (member(), member());
        let change = 1000 * PERIOD;
        let new = ahead.tickets(change).keys;
        let old = behind.tickets(change - 1).keys;
        assert!(!same(&new[0], &old[0]), "another key seals");
        for (sealed, opens) in [(&new[0], &old), (&old[0], &new)] {
            assert!(opens.iter().any(|key| same(key, sealed)));
        }
        let later = ahead.tickets(change + 2 * PERIOD).keys;
        assert!(!later.iter().any(|key| same(key, &old[0])), "for good");
    }

    #[test]
    fn a_single_host_keeps_two_keys_that_it_has_drawn() {
        let mut host = recovery(Source::Drawn(Vec::new()));
        let first = host.tickets(PERIOD).keys;
        assert!(same(&first[0], &host.tickets(PERIOD + 1).keys[0]));
        let second = host.tickets(2 * PERIOD).keys;
        assert!(same(&second[1], &first[0]) && !same(&second[0], &first[0]));
        let third = host.tickets(3 * PERIOD).keys;
        assert_eq!(third.len(), 2);
        assert!(!third.iter().any(|key| same(key, &first[0])));
    }

    #[test]
    fn the_secret_of_tokens_is_kept_for_root_alone() {
        let folder = std::env::temp_dir().join(format!("holdfast-qcd-{}", std::process::id()));
        let path = folder.join("secret");
        let first = kept(&path).unwrap();
        let mode = std::fs::metadata(&path).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(first.constant_time_eq(&kept(&path).unwrap()));
        // One that others could have read is worth nothing.
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
        assert!(!first.constant_time_eq(&kept(&path).unwrap()));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
