//! Reads a whole script, and carries it out.

use crate::command::{Meaning, Reader};
use crate::finding::{MAX_FINDINGS, Refusal};
use crate::lexer;
use crate::machine::Machine;
use crate::script::Script;

/// Carries out a script from an empty store on.
///
/// # Errors
/// Everything that is wrong with it.
pub fn script(text: &str) -> Result<Script, Refusal> {
    let (lines, mut faults) = lexer::lines(text);
    let mut reader = Reader::default();
    let mut machine = Machine::default();
    for line in &lines {
        let done = reader.read(line).and_then(|meaning| match meaning {
            Meaning::Do(command) => machine.carry_out(&command),
            Meaning::Nothing(remark) => {
                machine.script.remarks.extend(remark);
                Ok(())
            }
        });
        faults.extend(done.err());
    }
    let mut script = machine.script;
    if faults.is_empty() {
        script.remarks.truncate(MAX_FINDINGS);
        return Ok(script);
    }
    faults.sort_by_key(|fault| fault.span.start);
    faults.truncate(MAX_FINDINGS);
    // A command that was refused may hold a key all the same.
    let keys = lines.iter().flat_map(|line| &line.words);
    let keys = keys.filter(|word| word.text.to_ascii_lowercase().starts_with("psk"));
    let secrets = keys.map(|word| word.span.clone()).collect();
    Err(Refusal { faults, secrets })
}

#[cfg(test)]
mod tests;
