//! A verb that failed: a sentence for people, a code for programs.

use api::{ErrorCode, Reply};

/// Why a verb did not do its work.
pub(crate) struct Failure {
    code: ErrorCode,
    message: String,
    answered: bool,
}

impl Failure {
    /// A failure of `code`; `message` is a sentence.
    pub(crate) fn new(code: ErrorCode, message: impl Into<String>) -> Self {
        Self {
            code,
            message: message.into(),
            answered: false,
        }
    }

    /// The object on standard output is there already: `--json` promises one.
    pub(crate) fn after_answer(self) -> Self {
        Self {
            answered: true,
            ..self
        }
    }

    /// 1 to 8, as the help lists them.
    pub(crate) fn exit_code(&self) -> u8 {
        self.code.exit_code()
    }

    /// To standard error as text, or to standard output as JSON.
    pub(crate) fn print(&self, json: bool) {
        if json && !self.answered {
            let reply = Reply::failure(self.code, self.message.clone());
            println!("{}", serde_json::to_string(&reply).unwrap_or_default());
        } else {
            eprintln!("holdfast: {}", self.message);
        }
    }
}
