//! The witness, as the loop uses it: groups by name, answers by tag.

use crate::config::WitnessSettings;
use crate::error::Error;
use cluster::{GroupName, WitnessAnswer};
use node::Command;
use tokio::sync::mpsc;
use witness::{News, NotDone, Settings, Tls, Witness};

/// Connects to etcd.
///
/// # Errors
/// When a certificate or an address cannot be used.
pub(crate) fn open(
    settings: &WitnessSettings,
    mark: u32,
) -> Result<(Witness, mpsc::Receiver<News>), Error> {
    let tls = settings.tls.as_ref();
    Witness::start(Settings {
        endpoints: settings.etcd.clone(),
        tls: tls.map(|(ca, certificate, key)| Tls {
            ca: ca.clone(),
            certificate: certificate.clone(),
            key: key.clone(),
        }),
        prefix: settings.prefix.clone(),
        request_timeout: settings.timeout,
        mark: Some(mark),
    })
    .map_err(Error::Witness)
}

/// What the witness says, as the node takes it, and as a sentence where people want to know it.
pub(crate) fn command(news: News) -> (Option<Command>, Option<String>) {
    let group = |key: &str| GroupName::new(key).ok();
    match news {
        News::State {
            key,
            value,
            revision,
        } => {
            let record = |group| Command::WitnessRecord {
                group,
                revision,
                value: Some(value),
            };
            (group(&key).map(record), None)
        }
        News::Gone { key, revision } => {
            let record = |group| Command::WitnessRecord {
                group,
                revision,
                value: None,
            };
            (group(&key).map(record), None)
        }
        News::Outcome { tag, key, result } => {
            let (answer, text) = answer(result);
            let command = group(&key).map(|group| Command::Witnessed { group, tag, answer });
            (command, text)
        }
        News::Reachable => (Some(Command::WitnessReachable(true)), None),
        News::Unreachable(why) => (Some(Command::WitnessReachable(false)), Some(why)),
    }
}

fn answer(result: Result<u64, NotDone>) -> (WitnessAnswer, Option<String>) {
    match result {
        Ok(revision) => (WitnessAnswer::Done(revision), None),
        Err(NotDone::Conflict { current }) => {
            let current = current.map(|(value, revision)| (revision, value));
            (WitnessAnswer::Conflict(current), None)
        }
        Err(NotDone::Unknown(why)) => (WitnessAnswer::Unknown, Some(why)),
        Err(NotDone::Unavailable(why)) => (WitnessAnswer::Unavailable, Some(why)),
    }
}
