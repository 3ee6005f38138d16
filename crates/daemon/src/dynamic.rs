//! Dynamic rules: pieces of policy that are given to the running daemon, are in force beside its
//! files through every reload, and are gone when it ends.

use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

use api::DynamicChange;
use policy::{PeerName, RuleName, Secret};

use crate::config::Config;
use crate::config::piece::{self, Piece};

/// Most pieces at once: every one is judged again when another goes.
const MAX_PIECES: usize = 64;

/// A policy file's configuration, and what has been given to the running daemon beside it.
#[derive(Clone)]
pub(crate) struct Dynamic {
    /// What the files say.
    files: Config,
    /// The files and all pieces.
    in_force: Config,
    pieces: Vec<Given>,
}

/// A piece, and what it has become.
#[derive(Clone)]
struct Given {
    piece: Piece,
    rules: Vec<String>,
    peers: Vec<String>,
}

/// What is to be in force.
pub(crate) struct Composed {
    /// Files and pieces, if everything that was asked for is done.
    pub(crate) dynamic: Dynamic,
    /// All of it.
    pub(crate) config: Config,
    /// What works and is unwise in the last piece, rendered with its places.
    pub(crate) warnings: Option<String>,
}

/// Why nothing was changed.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There is no such dynamic rule.
    NotFound(String),
    /// A fault, or a contradiction with what is in force.
    Wrong(String),
}

impl Dynamic {
    /// Nothing but what the files say.
    pub(crate) fn new(files: Config) -> Self {
        Dynamic {
            in_force: files.clone(),
            files,
            pieces: Vec::new(),
        }
    }

    /// The same pieces beside files that have been read again.
    ///
    /// # Errors
    /// How the files contradict what is dynamic.
    pub(crate) fn reload(&self, files: Config, beside: &Path) -> Result<Composed, String> {
        let mut dynamic = self.clone();
        dynamic.files = files;
        compose(dynamic, 0, beside).map_err(|why| {
            format!(
                "the policy file and the dynamic rules do not go together; delete the rules \
                 with `holdfast dynamic delete`, or correct the file: {why}"
            )
        })
    }

    /// What is in force when a change is done: first what goes, then what comes.
    ///
    /// # Errors
    /// Why it cannot be done; this value stays as it is.
    pub(crate) fn change(
        &self,
        change: &DynamicChange,
        beside: &Path,
    ) -> Result<Composed, Refusal> {
        let mut dynamic = self.clone();
        if change.delete_all {
            dynamic.pieces.clear();
        }
        for name in &change.delete {
            dynamic.delete(name)?;
        }
        // What only comes beside the others asks nothing of their files and names.
        let goes = change.delete_all || !change.delete.is_empty();
        let kept = if goes { 0 } else { dynamic.pieces.len() };
        if let Some(text) = &change.add {
            if dynamic.pieces.len() >= MAX_PIECES {
                return Err(Refusal::Wrong(format!(
                    "{MAX_PIECES} pieces of dynamic rules are in force, and no more may be; \
                     delete some, or write them into the policy file"
                )));
            }
            dynamic.pieces.push(Given {
                piece: Piece {
                    name: change.name.clone().unwrap_or_else(|| "dynamic".to_owned()),
                    text: Arc::new(Secret::new(text.0.clone().into_bytes())),
                    without: Vec::new(),
                },
                rules: Vec::new(),
                peers: Vec::new(),
            });
        }
        let mut composed = compose(dynamic, kept, beside).map_err(Refusal::Wrong)?;
        composed.warnings = composed.warnings.filter(|_| change.add.is_some());
        Ok(composed)
    }

    /// Takes away a rule; what else its piece has goes with the last rule of it. A piece without a
    /// rule goes by the name of a peer.
    fn delete(&mut self, name: &str) -> Result<(), Refusal> {
        let has_rule = |given: &Given| given.rules.iter().any(|rule| rule == name);
        let is_of_peer =
            |given: &Given| given.rules.is_empty() && given.peers.iter().any(|peer| peer == name);
        if let Some(given) = self.pieces.iter_mut().find(|given| has_rule(given)) {
            given.rules.retain(|rule| rule != name);
            given.piece.without.push(name.to_owned());
            self.pieces
                .retain(|given| !(given.rules.is_empty() && given.piece.is_without(name)));
            return Ok(());
        }
        let before = self.pieces.len();
        self.pieces.retain(|given| !is_of_peer(given));
        match self.pieces.len() < before {
            true => Ok(()),
            false => Err(Refusal::NotFound(format!(
                "there is no dynamic rule `{}`; `holdfast dynamic show` lists what there is, and \
                 rules of the policy file are deleted in the file",
                name.escape_debug()
            ))),
        }
    }

    /// The names of the dynamic rules, those that do not hold among them.
    pub(crate) fn rules(&self) -> impl Iterator<Item = RuleName> {
        let rules = self.pieces.iter().flat_map(|given| &given.rules);
        rules.map(|name| RuleName::new(name))
    }

    /// The names of the dynamic peers.
    pub(crate) fn peers(&self) -> impl Iterator<Item = PeerName> {
        let peers = self.pieces.iter().flat_map(|given| &given.peers);
        peers.map(|name| PeerName::new(name))
    }
}

/// Every piece in its turn, judged by the files and the pieces before it; the first `kept` are in
/// force already.
fn compose(mut dynamic: Dynamic, kept: usize, beside: &Path) -> Result<Composed, String> {
    let colour = std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none();
    let mut config = match kept {
        0 => dynamic.files.clone(),
        _ => dynamic.in_force.clone(),
    };
    let mut warnings = None;
    for given in dynamic.pieces.iter_mut().skip(kept) {
        let composed = piece::compose(&config, &given.piece, beside);
        let composed = composed.map_err(|report| report.render(colour))?;
        config = composed.config;
        (given.rules, given.peers) = (composed.rules, composed.peers);
        let some = !composed.report.diagnostics.is_empty();
        warnings = some.then(|| composed.report.render(colour));
    }
    dynamic.in_force = config.clone();
    Ok(Composed {
        dynamic,
        config,
        warnings,
    })
}

#[cfg(test)]
mod tests;
