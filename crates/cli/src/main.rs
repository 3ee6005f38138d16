//! The binary `holdfast`: verbs for people.
#![forbid(unsafe_code)]

mod arguments;
mod client;
mod failure;
mod verb;

use arguments::{Arguments, Verb};
use clap::Parser;
use failure::Failure;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match dispatch(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            failure.print(arguments.json);
            ExitCode::from(failure.exit_code())
        }
    }
}

fn dispatch(arguments: &Arguments) -> Result<(), Failure> {
    let ask = client::Client::new(arguments.socket.as_deref());
    match &arguments.verb {
        Verb::Daemon(options) => verb::daemon::run(options, arguments.socket.as_deref()),
        Verb::Boot(options) => verb::boot::run(options, arguments.json),
        Verb::Check(options) => verb::check::run(options, arguments.json),
        Verb::Status(options) => verb::status::run(options, &ask, arguments.json),
        Verb::Explain(options) => verb::explain::run(options, &ask, arguments.json),
        Verb::Import(from) => verb::import::run(from, arguments.json),
        Verb::Export(to) => verb::export::run(to, arguments.json),
        Verb::Reload => verb::sa::reload(&ask, arguments.json),
        Verb::Dynamic(action) => verb::dynamic::run(action, &ask, arguments.json),
        Verb::Sa(action) => verb::sa::run(action, &ask, arguments.json),
        Verb::Cluster(action) => verb::cluster::run(action, &ask, arguments.json),
        Verb::Pki(action) => verb::pki::run(action, arguments.json),
        Verb::Psk => verb::psk::run(arguments.json),
        Verb::Lab(options) => verb::lab::run(options, arguments.json),
        Verb::Guard => {
            daemon::guard();
            Ok(())
        }
        Verb::LabService(options) => verb::lab::service(&options.arguments),
    }
}
