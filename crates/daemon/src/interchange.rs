//! `holdfast import` and `holdfast export`: policies of Windows, read and written as its scripts.

use std::fs;
use std::io::IsTerminal;
use std::path::Path;

use netsh::parse;
use netsh::policy_file::{self, Options};
use netsh::script::Location;

use crate::config::diagnostic::{Problems, Report};
use crate::config::{self, MAX_FILE};

mod store;

use store::store;

/// A policy file made of a script.
pub struct Imported {
    /// The policy file.
    pub text: String,
    /// What to know about it, rendered with its places in the script.
    pub remarks: Option<String>,
}

/// A script made of a policy file.
pub struct Exported {
    /// The script.
    pub text: String,
}

/// Makes a policy file of the script at `path`. `policy` names one of several.
///
/// # Errors
/// Everything that is wrong with the script or has no meaning here, each with its place, as a text.
pub fn import_netsh(
    path: &Path,
    policy: Option<&str>,
    persistent: bool,
    modern: bool,
) -> Result<Imported, String> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|why| format!("{name} cannot be read: {why}."))?;
    if bytes.len() > MAX_FILE {
        return Err(format!("{name} has more than {MAX_FILE} bytes."));
    }
    let text = decode(&bytes).ok_or_else(|| {
        format!("{name} is no text. Save it as UTF-8, or as what Windows calls Unicode.")
    })?;
    let options = Options {
        policy: policy.map(str::to_owned),
        location: match persistent {
            true => Location::Persistent,
            false => Location::Local,
        },
        modern,
    };
    import(&name, &text, &options).map_err(|report| report.render(colour()))
}

fn colour() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none()
}

/// UTF-8, or UTF-16 with its mark, as Notepad and a redirected command write it.
fn decode(bytes: &[u8]) -> Option<String> {
    let pairs = |bytes: &[u8], of: fn([u8; 2]) -> u16| {
        let (pairs, rest) = bytes.as_chunks::<2>();
        let units: Vec<u16> = pairs.iter().copied().map(of).collect();
        String::from_utf16(&units).ok().filter(|_| rest.is_empty())
    };
    match bytes {
        [0xff, 0xfe, rest @ ..] => pairs(rest, u16::from_le_bytes),
        [0xfe, 0xff, rest @ ..] => pairs(rest, u16::from_be_bytes),
        _ => String::from_utf8(bytes.to_vec()).ok(),
    }
}

/// As [`import_netsh`], of a script that has been read.
fn import(name: &str, text: &str, options: &Options) -> Result<Imported, Box<Report>> {
    let mut problems = Problems::new();
    let script = match parse::script(text) {
        Ok(script) => script,
        Err(refusal) => {
            refusal
                .secrets
                .into_iter()
                .for_each(|span| problems.secret(span));
            for fault in refusal.faults {
                problems.error(fault.span, fault.message, fault.label, fault.remedy);
            }
            return Err(Box::new(problems.into_report(name, text)));
        }
    };
    script
        .secrets
        .iter()
        .for_each(|span| problems.secret(span.clone()));
    for remark in &script.remarks {
        let remark = remark.clone();
        problems.warn(remark.span, remark.message, remark.label, remark.remedy);
    }
    let written = match policy_file::write(&script, options) {
        Ok(written) => written,
        Err(faults) => {
            for fault in faults {
                problems.error(fault.span, fault.message, fault.label, fault.remedy);
            }
            return Err(Box::new(problems.into_report(name, text)));
        }
    };
    for remark in written.remarks {
        problems.warn(remark.span, remark.message, remark.label, remark.remedy);
    }
    let report = problems.into_report(name, text);
    Ok(Imported {
        text: written.text,
        remarks: (!report.diagnostics.is_empty()).then(|| report.render(colour())),
    })
}

/// Makes a script of the policy file at `path`.
///
/// # Errors
/// What is wrong with the file, or the first of its settings that Windows does not know.
pub fn export_netsh(path: &Path, persistent: bool) -> Result<Exported, String> {
    let loaded = config::load(path).map_err(|report| report.render(colour()))?;
    let location = match persistent {
        true => Location::Persistent,
        false => Location::Local,
    };
    let (store, driver) = store(&loaded.config)?;
    let text = netsh::export::script(&store, location, &driver)?;
    Ok(Exported { text })
}

#[cfg(test)]
mod tests;
