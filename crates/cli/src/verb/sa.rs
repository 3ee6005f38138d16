//! `holdfast sa` and `holdfast reload`: what an operator does to SAs and rules by hand.

mod monitor;

use crate::arguments::{SaAction, SaTarget};
use crate::client::Client;
use crate::failure::Failure;
use crate::verb::output::{self, say};
use api::Request;
use serde_json::Value;

/// Negotiates, rekeys or deletes.
///
/// # Errors
/// When the daemon does not answer, knows no such rule or peer, or the peer refuses.
pub(crate) fn run(action: &SaAction, ask: &Client, json: bool) -> Result<(), Failure> {
    let request = match action {
        SaAction::Initiate { rule } => Request::SaInitiate { rule: rule.clone() },
        SaAction::Rekey(SaTarget { rule, peer }) => Request::SaRekey {
            rule: rule.clone(),
            peer: peer.clone(),
        },
        SaAction::Delete(SaTarget { rule, peer }) => Request::SaDelete {
            rule: rule.clone(),
            peer: peer.clone(),
        },
        SaAction::MainMode => return monitor::main_mode(ask, json),
        SaAction::QuickMode => return monitor::quick_mode(ask, json),
        SaAction::Redirect { peer, to } => Request::SaRedirect {
            peer: peer.clone(),
            to: *to,
        },
    };
    report(ask.ask(&request)?, json);
    Ok(())
}

/// Has the daemon read its configuration again.
///
/// # Errors
/// When the daemon does not answer, or the file is wrong: then nothing has changed.
pub(crate) fn reload(ask: &Client, json: bool) -> Result<(), Failure> {
    report(ask.ask(&Request::Reload)?, json);
    Ok(())
}

/// The answer of an action has one field for people, `message`.
fn report(result: Value, json: bool) {
    match (json, result.get("message").and_then(Value::as_str)) {
        (false, Some(message)) => say!("{message}"),
        (false, None) => say!("done"),
        (true, _) => output::json(result),
    }
}
