//! The persistent policy: a file of its own that is read first, and holds when the policy file
//! cannot be used.

use crate::config::Config;
use crate::error::Error;
use crate::options::Options;
use crate::setup;
use policy::{Origin, Pad, Peer, Rule};
use std::path::Path;

/// What is to be in force, and what works and is unwise. At the start the persistent policy holds
/// alone where the policy file cannot be used; later what was in force before stays.
///
/// # Errors
/// Every fault of the files, each with its place and remedy.
pub(crate) fn read(options: &Options, starts: bool) -> Result<(Config, Vec<String>), Error> {
    let path = &options.persistent;
    if !path.exists() {
        return setup::read(&options.config);
    }
    let (mut persistent, mut warnings) = setup::read(path)?;
    for rule in &mut persistent.rules {
        rule.origin = Origin::Persistent;
    }
    let whole = setup::read(&options.config).and_then(|(config, more)| {
        warnings.extend(more);
        merge(&persistent, config, path)
    });
    match whole {
        Ok(config) => Ok((config, warnings)),
        Err(why) if starts => {
            warnings.push(format!(
                "only the persistent policy {} is in force, because the policy file cannot be \
                 used; correct it and reload: {why}",
                path.display()
            ));
            Ok((persistent, warnings))
        }
        Err(why) => Err(why),
    }
}

/// The rules and peers of both; everything else is the policy file's.
fn merge(persistent: &Config, config: Config, path: &Path) -> Result<Config, Error> {
    let twice = |kind: &str, name: &str| {
        let path = path.display();
        Error::Configuration(format!(
            "The {kind} `{name}` is in the persistent policy {path} too, and says something else \
             there. Give one of the two another name."
        ))
    };
    let mut rules: Vec<Rule> = persistent.rules.clone();
    for rule in config.rules {
        let Some(known) = rules.iter().find(|known| known.name == rule.name) else {
            rules.push(rule);
            continue;
        };
        let origin = known.origin;
        if *known != (Rule { origin, ..rule }) {
            return Err(twice("rule", known.name.as_str()));
        }
    }
    let mut peers: Vec<Peer> = persistent.pad.peers().to_vec();
    for peer in config.pad.peers() {
        match peers.iter().find(|known| known.name == peer.name) {
            None => peers.push(peer.clone()),
            Some(known) if known.same(peer) => {}
            Some(_) => return Err(twice("peer", peer.name.as_str())),
        }
    }
    let mut own_statuses = persistent.own_statuses.clone();
    own_statuses.extend(config.own_statuses);
    let mut basis = persistent.basis.clone();
    basis.add(config.basis);
    Ok(Config {
        rules,
        pad: Pad::new(peers),
        own_statuses,
        basis,
        ..config
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::path::PathBuf;

    fn text(name: &str, address: &str) -> String {
        format!(
            "[[peer]]\nname = \"{name}\"\naddress = \"{address}\"\n\
             psk = \"xT1vVb2cQ4mW0rKpYg7hZs9eLd3nJf5aUo8iRq6tMwE\"\n\
             [[rule]]\nname = \"{name}\"\nremote = \"{address}\"\naction = \"require\"\n"
        )
    }

    /// What is in force with these two files; the error as a text.
    fn read_both(
        persistent: Option<&str>,
        config: &str,
        starts: bool,
    ) -> Result<(Vec<String>, usize), String> {
        let number = format!("{:?}", std::thread::current().id());
        let number: String = number.chars().filter(char::is_ascii_digit).collect();
        let dir = std::env::temp_dir();
        let dir = dir.join(format!(
            "holdfast-persistent-{}-{number}",
            std::process::id()
        ));
        fs::create_dir_all(&dir).unwrap();
        let write = |name: &str, text: &str| -> PathBuf {
            let path = dir.join(name);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
            path
        };
        let options = Options {
            config: write("holdfast.toml", config),
            persistent: match persistent {
                Some(text) => write("persistent.toml", text),
                None => dir.join("none.toml"),
            },
            socket: None,
            wireshark_keys: None,
            sabotage_reservation: false,
            log_json: false,
        };
        let read = read(&options, starts);
        fs::remove_dir_all(&dir).unwrap();
        let names = |config: &Config| {
            assert_eq!(config.pad.peers().len(), config.rules.len());
            assert_eq!(config.pad.peers().len(), config.basis.peers.len());
            let first = config.rules.first().map(|rule| rule.origin);
            let expected = match persistent {
                Some(_) => Origin::Persistent,
                None => Origin::File,
            };
            assert_eq!(first, Some(expected));
            config
                .rules
                .iter()
                .map(|rule| rule.name.to_string())
                .collect()
        };
        read.map(|(config, warnings)| (names(&config), warnings.len()))
            .map_err(|error| error.to_string())
    }

    #[test]
    fn both_files_are_in_force_and_the_persistent_one_stays() {
        let (first, second) = (text("first", "10.0.0.1"), text("second", "10.0.0.2"));
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(read_both(None, &second, true), Ok((names(&["second"]), 0)));
        let both = Ok((names(&["first", "second"]), 0));
        assert_eq!(read_both(Some(&first), &second, true), both);
        assert_eq!(
            read_both(Some(&first), &first, true),
            Ok((names(&["first"]), 0))
        );
        // A policy file that cannot be used, at the start and later.
        let broken = "[[rule]]\nname = \"x\"\n";
        assert_eq!(
            read_both(Some(&first), broken, true),
            Ok((names(&["first"]), 1))
        );
        assert!(read_both(Some(&first), broken, false).is_err());
        assert!(read_both(None, broken, true).is_err());
        assert!(read_both(Some(broken), &second, true).is_err());
        // The same name for two things.
        let other = text("first", "10.0.0.3");
        let refused = read_both(Some(&first), &other, false).unwrap_err();
        assert!(refused.contains("rule `first`"), "{refused}");
    }
}
