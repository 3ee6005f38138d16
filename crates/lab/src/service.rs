//! The services that run inside the lab's namespaces, each a process of this program.

use crate::error::Error;

/// The hidden verb under which the program must call [`run`] with the arguments that follow.
pub const VERB: &str = "lab-service";

/// Runs one service until it is killed: `mail`, `relay` or `echo`.
///
/// # Errors
/// When the arguments do not fit or a port cannot be had.
pub fn run(args: &[String]) -> Result<(), Error> {
    match args.split_first() {
        _ => Err(Error::Usage(
            "usage: lab-service mail|relay|echo ...".into(),
        )),
    }
}
