//! `holdfast lab`: the demo, the acceptance test and the bench.

use crate::arguments::LabOptions;
use crate::failure::Failure;
use crate::verb::output;
use api::ErrorCode;

/// Runs the lab and prints its table, or its one JSON object.
///
/// # Errors
/// When it could not be built, or a scenario did not hold its assertions.
pub(crate) fn run(options: &LabOptions, json: bool) -> Result<(), Failure> {
    if options.down {
        return lab::down().map_err(failed);
    }
    let report = lab::run(&lab::Options {
        scenarios: options.scenarios.clone(),
        runs: options.runs,
        setup: options.setup,
        keep: options.keep,
        keys: options.keys,
        udp_encap: options.udp_encap,
        esp: options.esp.clone(),
        takeover: options.takeover,
        probe_interval: options.probe_interval,
        freeze: options.freeze,
        beside: options.beside,
        plain: options.plain,
        builtin_mail: options.builtin_mail,
        out: options.out.clone(),
        max_planned_ms: options.max_planned,
        max_crash_ms: options.max_crash,
        program: None,
        progress: !options.quiet,
    })
    .map_err(failed)?;
    if json {
        output::line(&report.to_json().unwrap_or_default());
    } else {
        output::line(&report.to_string());
    }
    match report.ok() {
        true => Ok(()),
        false => Err(Failure::new(
            ErrorCode::Failed,
            format!(
                "the lab found faults; captures and logs are in {}",
                options.out.display()
            ),
        )),
    }
}

/// Runs one service inside a namespace of the lab.
///
/// # Errors
/// When its arguments do not fit or its port is taken.
pub(crate) fn service(arguments: &[String]) -> Result<(), Failure> {
    lab::service::run(arguments).map_err(failed)
}

fn failed(error: lab::Error) -> Failure {
    let code = match error {
        lab::Error::NotRoot => ErrorCode::NoPermission,
        lab::Error::Usage(_) => ErrorCode::Usage,
        _ => ErrorCode::Failed,
    };
    Failure::new(code, error.to_string())
}
