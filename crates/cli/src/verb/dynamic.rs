//! `holdfast dynamic`: rules of the running daemon that no file has.

use crate::arguments::DynamicAction;
use crate::client::Client;
use crate::failure::Failure;
use crate::verb::output::{self, say};
use crate::verb::status;
use api::{
    DynamicChange, DynamicChanged, DynamicRules, ErrorCode, MAX_REQUEST, PolicyText, Request,
};
use std::io::Read;
use std::path::Path;

/// The name that stands for every dynamic rule.
const ALL: &str = "all";

/// Shows or changes the dynamic rules.
///
/// # Errors
/// When the daemon does not answer, or the rules are wrong: then nothing has changed.
pub(crate) fn run(action: &DynamicAction, ask: &Client, json: bool) -> Result<(), Failure> {
    match action {
        DynamicAction::Show => show(ask, json),
        DynamicAction::Add {
            file,
            netsh,
            modern,
            instead_of,
        } => {
            let mut change = without(instead_of);
            change.name = Some(file.display().to_string());
            match netsh {
                true => carry_out(file, *modern, &mut change)?,
                false => change.add = Some(PolicyText(read(file)?)),
            }
            send(change, ask, json)
        }
        DynamicAction::Delete { names } => send(without(names), ask, json),
    }
}

/// A change that only takes away.
fn without(names: &[String]) -> DynamicChange {
    let names = names.iter();
    let (all, names): (Vec<&String>, Vec<&String>) = names.partition(|name| *name == ALL);
    let delete_all = !all.is_empty();
    DynamicChange {
        delete_all,
        delete: match delete_all {
            true => Vec::new(),
            false => names.into_iter().cloned().collect(),
        },
        ..DynamicChange::default()
    }
}

/// What a script of netsh does, besides what the change does already.
fn carry_out(script: &Path, modern: bool, change: &mut DynamicChange) -> Result<(), Failure> {
    let done = daemon::import_dynamic(script, modern)
        .map_err(|why| Failure::new(ErrorCode::Failed, why))?;
    if let Some(remarks) = &done.remarks {
        eprintln!("{remarks}");
    }
    change.delete_all |= done.delete_all;
    change.delete.extend(done.delete);
    change.delete.retain(|_| !change.delete_all);
    change.add = done.add.map(PolicyText);
    Ok(())
}

fn read(file: &Path) -> Result<String, Failure> {
    let failure = |why: &dyn std::fmt::Display| {
        let message = format!("{} cannot be read: {why}", file.display());
        Failure::new(ErrorCode::Failed, message)
    };
    let mut bytes = Vec::new();
    // What is longer fits into no request.
    let most = MAX_REQUEST as u64 + 1;
    let done = match file == Path::new("-") {
        true => std::io::stdin().lock().take(most).read_to_end(&mut bytes),
        false => {
            std::fs::File::open(file).and_then(|opened| opened.take(most).read_to_end(&mut bytes))
        }
    };
    done.map_err(|why| failure(&why))?;
    String::from_utf8(bytes).map_err(|_| failure(&"it is no UTF-8 text"))
}

fn send(change: DynamicChange, ask: &Client, json: bool) -> Result<(), Failure> {
    let request = Request::DynamicChange(change);
    let line = serde_json::to_vec(&request).map_or(0, |line| line.len());
    if line >= MAX_REQUEST {
        let message = format!(
            "these rules are longer than the {MAX_REQUEST} bytes of a request; give them in \
             several files, or write them into the policy file"
        );
        return Err(Failure::new(ErrorCode::Usage, message));
    }
    let result = ask.ask(&request)?;
    if json {
        output::json(result);
        return Ok(());
    }
    let DynamicChanged {
        message, warnings, ..
    } = output::read(result)?;
    if let Some(warnings) = warnings {
        eprintln!("{warnings}");
    }
    say!("{message}");
    Ok(())
}

fn show(ask: &Client, json: bool) -> Result<(), Failure> {
    let result = ask.ask(&Request::DynamicShow)?;
    if json {
        output::json(result);
        return Ok(());
    }
    let DynamicRules {
        rules,
        inactive,
        peers,
    } = output::read(result)?;
    if rules.is_empty() && inactive.is_empty() && peers.is_empty() {
        say!("no dynamic rules");
        return Ok(());
    }
    rules.iter().for_each(status::print_rule);
    inactive.iter().for_each(|name| say!("  not active {name}"));
    if !peers.is_empty() {
        say!("peers: {}", peers.join(", "));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_is_every_rule() {
        let names = |names: &[&str]| -> DynamicChange {
            without(
                &names
                    .iter()
                    .map(|name| (*name).to_owned())
                    .collect::<Vec<_>>(),
            )
        };
        assert_eq!(names(&["a", "b"]).delete, ["a", "b"]);
        assert!(!names(&["a", "b"]).delete_all);
        let all = names(&["a", "all"]);
        assert!(all.delete_all && all.delete.is_empty());
    }
}
