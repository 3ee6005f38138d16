//! `holdfast cluster init`: the authority, and a file for every node.

use crate::pki::authority::{self, Authority};
use crate::pki::error::{Error, moment};
use crate::pki::{names, papers};
use ::pki::files::{self, SECRET};
use std::fmt;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// What [`init`] made. Its `Display` says what to do next.
#[derive(Debug)]
pub struct Made {
    /// Whether the authority is new; otherwise the existing one was used.
    pub new_authority: bool,
    /// The end of the authority's validity, in seconds since 1970.
    pub until: u64,
    /// Each node and its file, in the order of the names given.
    pub nodes: Vec<(String, PathBuf)>,
}

/// Makes, in `folder`, a cluster's authority (`ca.pem`, `ca.key`) unless there is one, and for
/// every node a file `NAME.join` that proves it to the others. `now` is the time of day.
///
/// All names are checked before anything is written. Renewal gives a node a new key, and does not
/// take back the old certificate: only a new authority shuts out whoever has a copy of that.
///
/// # Errors
/// [`Error::Exists`] for a node that has its file already, unless `renew` is set; and whatever
/// the folder, its authority or a name has wrong.
pub fn init(folder: &Path, nodes: &[String], renew: bool, now: SystemTime) -> Result<Made, Error> {
    let file = |name: &str| format!("{name}.join");
    for name in nodes {
        names::check(name)?;
        let path = folder.join(file(name));
        if !renew && path.symlink_metadata().is_ok() {
            let name = name.clone();
            return Err(Error::Exists { path, name });
        }
    }
    files::folder(folder)?;
    let (authority, new_authority) = match Authority::load(folder)? {
        Some(authority) => (authority, false),
        None => (Authority::make(folder, now)?, true),
    };
    if authority.until() <= papers::seconds(now) {
        return Err(Error::AuthorityExpired {
            path: folder.join(authority::CERTIFICATE),
            until: authority.until(),
        });
    }
    let mut made = Vec::with_capacity(nodes.len());
    for name in nodes {
        let text = authority.issue(name, now)?;
        files::write(folder, &[(&file(name), text.as_bytes(), SECRET)])?;
        made.push((name.clone(), folder.join(file(name))));
    }
    Ok(Made {
        new_authority,
        until: authority.until(),
        nodes: made,
    })
}

impl fmt::Display for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let which = if self.new_authority {
            "A new"
        } else {
            "The existing"
        };
        writeln!(
            f,
            "{which} authority vouches for these nodes; it is valid until {}.",
            moment(self.until)
        )?;
        for (name, path) in &self.nodes {
            writeln!(
                f,
                "Carry {} to node `{name}` by a way that nobody can read, run `holdfast cluster \
                 join {name}.join` there and remove both copies: it holds the node's private key.",
                path.display()
            )?;
        }
        Ok(())
    }
}
