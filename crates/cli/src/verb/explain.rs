//! `holdfast explain`: what happens to a packet, and why.

use crate::arguments::ExplainOptions;
use crate::client::Client;
use crate::failure::Failure;
use crate::verb::output::{self, say};
use api::{ErrorCode, Explanation, Request};

/// Asks the daemon, or reads a configuration file.
///
/// # Errors
/// When the packet is no packet, the file is wrong or the daemon does not answer.
pub(crate) fn run(options: &ExplainOptions, ask: &Client, json: bool) -> Result<(), Failure> {
    let (source, destination) = (options.source.clone(), options.destination.clone());
    let protocol = options.protocol.clone();
    let result = match &options.config {
        Some(file) => daemon::explain(file, &options.me, &source, &destination, &protocol)
            .map_err(|why| Failure::new(ErrorCode::Usage, why))?,
        None => ask.ask(&Request::Explain {
            source,
            destination,
            protocol,
        })?,
    };
    if json {
        output::json(result);
        return Ok(());
    }
    let explanation: Explanation = output::read(result)?;
    say!("{}", explanation.text);
    Ok(())
}
