//! OCSP responders are asked in threads of their own (RFC 6960 appendix A), and our own responses
//! are read from their files (RFC 4806).

mod http;
mod own;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use ike::AskStatus;
use tokio::sync::mpsc;

use crate::url::Url;

pub(crate) use own::OwnStatuses;

/// Responders that are asked at once: one that does not answer holds up its own thread only.
const AT_ONCE: usize = 8;
/// How long a responder may take in all; IKE waits for a second more.
const PATIENCE: Duration = Duration::from_secs(3);

/// What became of a question.
pub(crate) struct Told {
    pub(crate) question: u64,
    pub(crate) answer: Result<Vec<u8>, String>,
}

/// Questions that are put, and those that wait for their turn; IKE bounds their number.
pub(crate) struct Responders {
    mark: u32,
    running: usize,
    waiting: VecDeque<(AskStatus, Instant)>,
    told: mpsc::UnboundedSender<Told>,
}

impl Responders {
    /// `mark` keeps our connections out of the policy: one must never wait for the SA that it is
    /// to allow.
    pub(crate) fn new(mark: u32) -> (Self, mpsc::UnboundedReceiver<Told>) {
        let (told, answers) = mpsc::unbounded_channel();
        let responders = Responders {
            mark,
            running: 0,
            waiting: VecDeque::new(),
            told,
        };
        (responders, answers)
    }

    /// Puts a question, now or when others have been answered.
    pub(crate) fn ask(&mut self, ask: AskStatus) {
        self.waiting.push_back((ask, Instant::now() + PATIENCE));
        self.begin();
    }

    /// A question was answered: its thread has ended.
    pub(crate) fn done(&mut self) {
        self.running = self.running.saturating_sub(1);
        self.begin();
    }

    fn begin(&mut self) {
        while self.running < AT_ONCE {
            let Some((ask, until)) = self.waiting.pop_front() else {
                return;
            };
            let (told, mark) = (self.told.clone(), self.mark);
            let question = ask.question;
            let work = move || {
                let answer = put(&ask, mark, until);
                // The daemon ends, and nobody wants to know any more.
                let _ = told.send(Told { question, answer });
            };
            self.running += 1;
            let thread = std::thread::Builder::new().name("hf-ocsp".to_owned());
            if let Err(error) = thread.spawn(work) {
                let answer = Err(format!("no thread can be started ({error})"));
                let _ = self.told.send(Told { question, answer });
            }
        }
    }
}

fn put(ask: &AskStatus, mark: u32, until: Instant) -> Result<Vec<u8>, String> {
    let url = Url::parse(&ask.responder)?;
    http::post(&url, &ask.request, Some(mark), until)
        .map_err(|why| format!("{} {why}", ask.responder.escape_debug()))
}
