//! `holdfast pki`: an authority, certificates for nodes and peers, revocation lists.

mod lines;

use crate::arguments::{CertificateOptions, PkiAction};
use crate::failure::Failure;
use crate::verb::output::{self, say};
use api::ErrorCode;
use lines::Lines;
use pki::{Authority, Bundle, Error, Identity, Reason, Request, Serial, Shown, Value, moment};
use serde_json::{Value as Json, json};
use std::path::{Path, PathBuf, absolute};
use std::time::{Duration, SystemTime};

/// Does it and says what was done.
///
/// # Errors
/// What a file, a name or the authority has wrong.
pub(crate) fn run(action: &PkiAction, as_json: bool) -> Result<(), Failure> {
    let done = match action {
        PkiAction::Ca {
            dir,
            name,
            key,
            days,
        } => ca(dir, name, key.key, *days, as_json),
        PkiAction::Node(options) => certificate(options, Lines::of_node, as_json),
        PkiAction::Peer(options) => certificate(options, Lines::of_peer, as_json),
        PkiAction::Crl {
            ca,
            revoke,
            serial,
            reason,
            days,
        } => crl(ca, revoke, serial.clone(), (*reason, *days), as_json),
        PkiAction::Show { file } => show(file, as_json),
    };
    done.map_err(|error| {
        let code = match error {
            Error::BadName { .. } | Error::BadIdentity { .. } | Error::Identities(_) => {
                ErrorCode::Usage
            }
            _ => ErrorCode::Failed,
        };
        Failure::new(code, error.to_string())
    })
}

/// The day on which something is made or read.
#[expect(
    clippy::disallowed_methods,
    reason = "a person asks; the clock is theirs"
)]
fn today() -> SystemTime {
    SystemTime::now()
}

/// A path that can be pasted: it means the same from every folder.
fn shown(path: &Path) -> String {
    let whole = absolute(path).unwrap_or_else(|_| path.to_owned());
    whole.display().to_string()
}

fn load(folder: &Path) -> Result<Authority, Error> {
    Authority::load(folder)?.ok_or_else(|| Error::NoAuthority {
        folder: folder.to_owned(),
    })
}

fn ca(
    dir: &Path,
    name: &str,
    key: pki::KeyKind,
    lifetime: Duration,
    as_json: bool,
) -> Result<(), Error> {
    let new = pki::NewAuthority {
        name,
        key,
        lifetime,
    };
    let made = Authority::make(dir, &new, today())?;
    let (certificate, key) = (shown(made.path()), shown(&dir.join(pki::KEY)));
    let until = moment(made.until());
    if as_json {
        output::json(json!({
            "authority": certificate, "private_key": key, "name": name, "until": until,
        }));
        return Ok(());
    }
    say!("The authority \"{name}\" is valid until {until}.");
    say!("  {certificate}  its certificate: give it to all who shall trust it");
    say!("  {key}  its private key: whoever has it can vouch for anybody; keep a copy offline");
    say!();
    say!(
        "Next: holdfast pki node --ca {} --id mail.example.org mail",
        dir.display()
    );
    Ok(())
}

fn certificate(
    options: &CertificateOptions,
    lines: fn(&pki::Made, &Path, &Identity) -> Lines,
    as_json: bool,
) -> Result<(), Error> {
    let authority = load(&options.ca)?;
    let ids = options.id.iter().map(|id| Identity::parse(id));
    let identities = ids.collect::<Result<Vec<_>, _>>()?;
    let first = identities.first().ok_or(Error::Identities(0))?;
    let request = Request {
        name: &options.name,
        identities: &identities,
        key: options.key.key,
        lifetime: options.days,
        usages: &options.usage,
        responder: options.ocsp.as_ref(),
    };
    let bundle = options
        .password_file
        .as_deref()
        .map(|password_file| Bundle {
            password_file,
            legacy: options.p12_legacy,
        });
    let folder = options.out.as_deref().unwrap_or(&options.ca);
    let made = authority.make_certificate(folder, &request, bundle.as_ref(), today())?;
    let lines = lines(&made, authority.path(), first);
    let until = moment(made.until);
    if as_json {
        let ids: Vec<String> = identities.iter().map(ToString::to_string).collect();
        output::json(json!({
            "certificate": shown(&made.certificate), "private_key": shown(&made.key),
            "pkcs12": made.bundle.as_deref().map(shown), "authority": shown(authority.path()),
            "identities": ids, "until": until, "shortened": made.shortened,
            "holdfast": lines.holdfast, "swanctl": lines.swanctl,
        }));
        return Ok(());
    }
    say!(
        "\"{}\" vouches for {first} until {until}.",
        authority.name()
    );
    if made.shortened {
        say!("That is the authority's own end, and sooner than you asked for.");
    }
    say!("  {}  the certificate", shown(&made.certificate));
    say!(
        "  {}  its private key: only {} needs it",
        shown(&made.key),
        options.name
    );
    if let Some(path) = &made.bundle {
        say!("  {}  both and the authority, encrypted", shown(path));
    }
    say!("{}", lines.text());
    Ok(())
}

fn crl(
    folder: &Path,
    revoke: &[PathBuf],
    mut serials: Vec<Serial>,
    (reason, lifetime): (Reason, Duration),
    as_json: bool,
) -> Result<(), Error> {
    let authority = load(folder)?;
    for file in revoke {
        serials.push(authority.serial_of(file)?);
    }
    let made = authority.revoke(folder, &serials, reason, lifetime, today())?;
    let (path, until) = (shown(&made.path), moment(made.until));
    let added: Vec<String> = made.added.iter().map(ToString::to_string).collect();
    if as_json {
        output::json(json!({
            "crl": path, "until": until, "revoked": made.revoked, "added": added,
        }));
        return Ok(());
    }
    say!(
        "{path} is valid until {until}; {} revoked in it.",
        output::count(made.revoked, "certificate")
    );
    added
        .iter()
        .for_each(|serial| say!("  {serial}  from now on"));
    say!("{}", lines::of_list(&path));
    Ok(())
}

fn show(file: &Path, as_json: bool) -> Result<(), Error> {
    let found = pki::show(file, today())?;
    if as_json {
        let found: Vec<Json> = found.iter().map(object).collect();
        output::json(json!({ "found": found }));
        return Ok(());
    }
    for (index, shown) in found.iter().enumerate() {
        if index > 0 {
            say!();
        }
        say!("{}", shown.kind);
        for (name, value) in &shown.fields {
            match value {
                Value::One(value) => say!("  {name:12} {value}"),
                Value::Many(values) if values.is_empty() => say!("  {name:12} none"),
                Value::Many(values) => say!("  {name:12} {}", values.join(", ")),
            }
        }
        shown.notes.iter().for_each(|note| say!("  note: {note}"));
    }
    Ok(())
}

fn object(shown: &Shown) -> Json {
    let value = |value: &Value| match value {
        Value::One(text) => json!(text),
        Value::Many(texts) => json!(texts),
    };
    let fields = shown.fields.iter();
    let mut object: serde_json::Map<String, Json> = fields
        .map(|(name, has)| ((*name).to_owned(), value(has)))
        .collect();
    object.insert("kind".to_owned(), json!(shown.kind));
    object.insert("notes".to_owned(), json!(shown.notes));
    Json::Object(object)
}
