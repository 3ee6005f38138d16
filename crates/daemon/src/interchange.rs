//! `holdfast import` and `holdfast export`: policies of Windows, read and written as its scripts.

use std::fs;
use std::io::IsTerminal;
use std::path::Path;

use netsh::finding::Finding;
use netsh::parse;
use netsh::policy_file::{self, Options};
use netsh::script::{Location, Script};

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

/// What a script of `netsh ipsec dynamic` does to a running daemon.
pub struct DynamicScript {
    /// All dynamic rules go.
    pub delete_all: bool,
    /// These go, by name.
    pub delete: Vec<String>,
    /// These come: tables of a policy file.
    pub add: Option<String>,
    /// What to know about it, rendered with its places in the script.
    pub remarks: Option<String>,
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
    let (name, text) = read(path)?;
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

/// What the script at `path` does to a running daemon.
///
/// # Errors
/// As [`import_netsh`].
pub fn import_dynamic(path: &Path, modern: bool) -> Result<DynamicScript, String> {
    let (name, text) = read(path)?;
    dynamic(&name, &text, modern).map_err(|report| report.render(colour()))
}

/// The name and the text of a script.
fn read(path: &Path) -> Result<(String, String), String> {
    let name = path.display().to_string();
    let bytes = fs::read(path).map_err(|why| format!("{name} cannot be read: {why}."))?;
    if bytes.len() > MAX_FILE {
        return Err(format!("{name} has more than {MAX_FILE} bytes."));
    }
    let text = decode(&bytes).ok_or_else(|| {
        format!("{name} is no text. Save it as UTF-8, or as what Windows calls Unicode.")
    })?;
    Ok((name, text))
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
    let (written, remarks) = carry_out(name, text, |script| {
        let written = policy_file::write(script, options)?;
        Ok((written.text, written.remarks))
    })?;
    Ok(Imported {
        text: written,
        remarks,
    })
}

/// As [`import_dynamic`], of a script that has been read.
fn dynamic(name: &str, text: &str, modern: bool) -> Result<DynamicScript, Box<Report>> {
    let (change, remarks) = carry_out(name, text, |script| {
        let mut change = policy_file::change(script, modern)?;
        let remarks = std::mem::take(&mut change.remarks);
        Ok((change, remarks))
    })?;
    Ok(DynamicScript {
        delete_all: change.delete_all,
        delete: change.delete,
        add: change.text,
        remarks,
    })
}

/// Something that is made of a script, with remarks on it.
type Made<T> = Result<(T, Vec<Finding>), Vec<Finding>>;

/// Carries a script out and makes something of it; the remarks come back rendered.
fn carry_out<T>(
    name: &str,
    text: &str,
    make: impl FnOnce(&Script) -> Made<T>,
) -> Result<(T, Option<String>), Box<Report>> {
    let mut problems = Problems::new();
    let refuse = |mut problems: Problems, faults: Vec<Finding>| {
        for fault in faults {
            problems.error(fault.span, fault.message, fault.label, fault.remedy);
        }
        Box::new(problems.into_report(name, text))
    };
    let script = match parse::script(text) {
        Ok(script) => script,
        Err(refusal) => {
            refusal
                .secrets
                .into_iter()
                .for_each(|span| problems.secret(span));
            return Err(refuse(problems, refusal.faults));
        }
    };
    script
        .secrets
        .iter()
        .for_each(|span| problems.secret(span.clone()));
    let warn = |problems: &mut Problems, remarks: Vec<Finding>| {
        for remark in remarks {
            problems.warn(remark.span, remark.message, remark.label, remark.remedy);
        }
    };
    warn(&mut problems, script.remarks.clone());
    let (made, remarks) = match make(&script) {
        Ok(made) => made,
        Err(faults) => return Err(refuse(problems, faults)),
    };
    warn(&mut problems, remarks);
    let report = problems.into_report(name, text);
    let remarks = (!report.diagnostics.is_empty()).then(|| report.render(colour()));
    Ok((made, remarks))
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
