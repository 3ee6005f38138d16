//! The post-quantum pre-shared key of a `[[peer]]`.

use std::sync::Arc;

use policy::ppk::Ppk;

use crate::config::diagnostic::Problems;
use crate::config::key::{self, Keys};
use crate::config::section::Section;
use crate::config::value;

/// Longest name of a key, in bytes.
const MAX_ID: usize = 255;

/// Reads `ppk_id`, `ppk` or `ppk_file`, and `ppk_required`; `None` without a key.
pub(crate) fn read(
    section: &mut Section<'_>,
    problems: &mut Problems,
    keys: &mut Keys<'_>,
) -> Option<Ppk> {
    let named = section.has("ppk_id");
    let given = section.has("ppk") || section.has("ppk_file");
    let required = section.read(problems, "ppk_required", value::boolean);
    if !named && !given {
        // They are known keys all the same.
        for absent in ["ppk_id", "ppk", "ppk_file"] {
            section.take(absent);
        }
        if required.is_some() {
            let span = section.span_of("ppk_required");
            let message = format!("{} has no post-quantum pre-shared key", section.title);
            let remedy = "add `ppk_id` and `ppk_file`, or leave `ppk_required` out".to_owned();
            problems.error(span, message, "there is nothing to require".into(), remedy);
        }
        return None;
    }
    let id = section.require(problems, "ppk_id", "\"mail-2026\"", |value| {
        value::short_text(value, MAX_ID)
    });
    let key = key::read(section, problems, keys, "ppk", "ppk_file")?;
    // Nobody can test guesses of it who has not broken the key exchange already.
    key::weigh(&key, &section.title, true, problems);
    Some(Ppk {
        id: id?,
        secret: Arc::new(key.secret),
        required: required.unwrap_or(true),
    })
}
