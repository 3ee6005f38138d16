//! `holdfast lab`: the demo, the acceptance test and the bench.

use crate::arguments::{LabOptions, LabWork};
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
    let scenarios = options.scenarios.iter().filter_map(|work| match work {
        LabWork::Scenario(scenario) => Some(*scenario),
        LabWork::Chaos => None,
    });
    let wishes = lab::Options {
        scenarios: scenarios.collect(),
        runs: options.runs,
        setup: options.setup,
        keep: options.keep,
        keys: options.keys,
        udp_encap: options.udp_encap,
        esp: options.esp.clone(),
        plane: options.plane,
        takeover: options.takeover,
        heartbeat: options.heartbeat,
        missed: options.missed,
        witness: options.witness,
        front_end: options.front_end,
        ike: options.ike,
        sabotage: options.sabotage,
        probe_interval: options.probe_interval,
        more_sas: options.sas,
        freeze: options.freeze,
        beside: options.beside,
        plain: options.plain,
        builtin_mail: options.builtin_mail,
        out: options.out.clone(),
        max_planned_ms: options.max_planned,
        max_crash_ms: options.max_crash,
        program: None,
        progress: !options.quiet,
    };
    if options.scenarios.contains(&LabWork::Chaos) {
        return chaos(options, &wishes, json);
    }
    let report = lab::run(&wishes).map_err(failed)?;
    tell(
        json,
        report.to_json().unwrap_or_default(),
        report.to_string(),
    );
    held(report.ok(), options)
}

/// Many faults in a row.
fn chaos(options: &LabOptions, wishes: &lab::Options, json: bool) -> Result<(), Failure> {
    if !wishes.scenarios.is_empty() {
        let text = "chaos runs alone; name no scenario beside it";
        return Err(Failure::new(ErrorCode::Usage, text));
    }
    let chaos = lab::Chaos {
        faults: options.faults,
        seed: options.seed,
    };
    let report = lab::chaos(wishes, chaos).map_err(failed)?;
    tell(
        json,
        report.to_json().unwrap_or_default(),
        report.to_string(),
    );
    held(report.ok, options)
}

fn tell(json: bool, object: String, text: String) {
    output::line(if json { &object } else { &text });
}

fn held(ok: bool, options: &LabOptions) -> Result<(), Failure> {
    match ok {
        true => Ok(()),
        false => Err(Failure::new(
            ErrorCode::Failed,
            format!(
                "the lab found faults; captures and logs are in {}",
                options.out.display()
            ),
        )
        .after_answer()),
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
