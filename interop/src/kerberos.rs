//! `kerberos`: hosts that know each other by Kerberos, with Debian's KDC (RFC 4120, RFC 4121).

pub(crate) mod contexts;
mod realm;
mod sessions;

use std::path::Path;

use crate::folder::{self, Scratch};
use crate::holdfast;
use crate::table::Table;
use realm::Realm;

/// Who vouches.
const KDC: &str = "MIT krb5-kdc";

/// Everything with one realm.
pub(crate) fn run(out: &Path) -> Result<(), String> {
    let folder = folder::results(out, "kerberos")?;
    let program = holdfast::build()?;
    let scratch = Scratch::new()?;
    let mut table = Table::new("kerberos");
    let mut realm = Realm::new("krb", scratch.path(), &folder)?;
    contexts::run(&mut realm, &mut table)?;
    sessions::run(&mut realm, &program, scratch.path(), &folder, &mut table)?;
    table.finish(&folder)
}
