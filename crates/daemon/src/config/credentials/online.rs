//! `ocsp`, `ocsp_responder`, `ocsp_response`: what is asked about certificates of peers, and what
//! peers are told about ours (RFC 6960, RFC 4806).

use std::path::PathBuf;

use crypto::hash::sha256;
use policy::auth::Credential;
use x509::{Issuer, Online, Subject};

use crate::config::diagnostic::Problems;
use crate::config::key::{Keys, OwnStatus, Secrecy};
use crate::config::section::{Bad, Section, Value};

use crate::config::value;
use crate::url::Url;

/// What is asked; `None`: nothing.
pub(crate) fn read(section: &mut Section<'_>, problems: &mut Problems) -> Option<Online> {
    let words = [("off", None), ("ask", Some(false)), ("require", Some(true))];
    let wanted = section.read(problems, "ocsp", |value| value::word(value, &words));
    let responder = section.read(problems, "ocsp_responder", responder);
    let wanted = wanted.flatten();
    if wanted.is_none() && responder.is_some() {
        let message = format!("nobody asks the OCSP responder of {}", section.title);
        let remedy = "write `ocsp = \"ask\"` or `\"require\"`, or remove it".to_owned();
        let span = section.span_of("ocsp_responder");
        problems.error(span, message, "`ocsp` is off".to_owned(), remedy);
    }
    wanted.map(|required| Online {
        required,
        responder,
    })
}

fn responder(value: &Value<'_>) -> Result<String, Bad> {
    let text = value::text(value)?;
    let remedy = "write `http://host/path`: what a responder says is signed and not secret";
    match Url::parse(text) {
        Ok(_) => Ok(text.to_owned()),
        Err(why) => Err(Bad::new(why, remedy)),
    }
}

/// The file with what a responder says of our own certificate. It may come and go while the daemon
/// runs, so that it is looked at here for warnings only.
pub(crate) fn response(
    own: &Credential,
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
) {
    let text = |value| value::text(value).map(str::to_owned);
    let file = section.read(problems, "ocsp_response", text);
    let (Some(file), Some(first)) = (file, own.certificates.first()) else {
        return;
    };
    let judged = (keys.read_file)(&file, Secrecy::Public).and_then(|octets| {
        // A root has no issuer in the file, and then the peers judge alone.
        let issuer = own.certificates.get(1).and_then(Issuer::of);
        let subject = issuer.and_then(|issuer| Subject::new(first, &issuer));
        let judged = subject.map(|subject| subject.judge(&octets, None, keys.now));
        match judged {
            Some(Err(trouble)) => Err(trouble.to_string()),
            Some(Ok(status)) if status.revoked.is_some() => {
                Err("the certificate is revoked".to_owned())
            }
            _ => Ok(()),
        }
    });
    if let Err(why) = judged {
        let message = format!("`{}` is of no use to peers: {why}", file.escape_debug());
        let remedy = "fetch it with `openssl ocsp -respout`, and again before it ends".to_owned();
        let label = "peers must ask themselves".to_owned();
        problems.warn(section.span_of("ocsp_response"), message, label, remedy);
    }
    keys.own_statuses.push(OwnStatus {
        file: PathBuf::from(file),
        certificate: sha256(&[first.der()]),
    });
}
