//! Security contexts of Kerberos for IKE, in threads of their own: KDCs are asked over the network.

use std::collections::{BTreeMap, VecDeque};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use ike::{AskGss, GssAnswer, GssContext, GssStep};
use linux::gss::{Context, Credentials, Gss};
use policy::kerberos::KerberosKey;
use tokio::sync::mpsc;

/// Threads that may wait for a KDC at once: one that does not answer holds up only these.
const ASKING: usize = 8;
/// Threads that take tickets, wrap and open: they wait for nothing.
const WORKING: usize = 4;
/// Contexts that are kept; IKE has a bound of its own.
const CONTEXTS: usize = 512;
/// How long a context is kept that nobody ends: longer than any handshake.
const LIFE: Duration = Duration::from_secs(120);
/// How long credentials and their tickets are used again: a KDC may be away for a while, and a peer
/// whose key was changed is known by the new one after this.
const FRESH: Duration = Duration::from_secs(600);

/// What became of a question.
pub(crate) struct Told {
    pub(crate) context: GssContext,
    pub(crate) answer: Result<GssAnswer, String>,
    /// The context itself, which the thread had.
    made: Option<Context>,
    asked_kdc: bool,
}

/// Contexts, and what is asked of them; the questions wait for their turn.
pub(crate) struct Kerberos {
    /// Where the policy file is, beside which keytabs are sought.
    beside: PathBuf,
    contexts: BTreeMap<GssContext, Kept>,
    asking: Lane,
    working: Lane,
    store: Arc<Mutex<Store>>,
    told: mpsc::UnboundedSender<Told>,
    answers: mpsc::UnboundedReceiver<Told>,
}

/// A context between two steps; none while a thread has it.
struct Kept {
    context: Option<Context>,
    until: Instant,
}

/// Questions of one kind.
struct Lane {
    most: usize,
    running: usize,
    waiting: VecDeque<AskGss>,
}

impl Lane {
    fn new(most: usize) -> Self {
        let waiting = VecDeque::new();
        Lane {
            most,
            running: 0,
            waiting,
        }
    }

    fn next(&mut self) -> Option<AskGss> {
        let ask = (self.running < self.most).then(|| self.waiting.pop_front());
        let ask = ask.flatten();
        self.running += usize::from(ask.is_some());
        ask
    }
}

impl Kerberos {
    /// Keytabs are sought beside the policy file.
    pub(crate) fn new(policy: &Path) -> Self {
        let (told, answers) = mpsc::unbounded_channel();
        Kerberos {
            beside: policy.parent().unwrap_or(Path::new(".")).to_owned(),
            contexts: BTreeMap::new(),
            asking: Lane::new(ASKING),
            working: Lane::new(WORKING),
            store: Arc::default(),
            told,
            answers,
        }
    }

    /// Waits for an answer, which is then given to [`Kerberos::done`].
    pub(crate) async fn answered(&mut self) -> Option<Told> {
        self.answers.recv().await
    }

    /// Puts a question, now or when others have been answered.
    pub(crate) fn ask(&mut self, ask: AskGss) {
        let now = Instant::now();
        if matches!(ask.step, GssStep::Initiate { .. } | GssStep::Accept { .. }) {
            self.contexts.retain(|_, kept| kept.until > now);
            if self.contexts.len() < CONTEXTS {
                let until = now + LIFE;
                let context = None;
                self.contexts.insert(ask.context, Kept { context, until });
            }
        }
        match ask.step {
            GssStep::Initiate { .. } => self.asking.waiting.push_back(ask),
            _ => self.working.waiting.push_back(ask),
        }
        self.begin();
    }

    /// A question was answered: its thread has ended, and the context is here again, unless it was
    /// ended meanwhile.
    pub(crate) fn done(&mut self, told: &mut Told) {
        let lane = match told.asked_kdc {
            true => &mut self.asking,
            false => &mut self.working,
        };
        lane.running = lane.running.saturating_sub(1);
        if let Some(kept) = self.contexts.get_mut(&told.context) {
            kept.context = told.made.take();
        }
        self.begin();
    }

    /// A context is not needed any more, nor the answer to what was asked of it.
    pub(crate) fn end(&mut self, context: GssContext) {
        self.contexts.remove(&context);
        for lane in [&mut self.asking, &mut self.working] {
            lane.waiting.retain(|ask| ask.context != context);
        }
    }

    fn begin(&mut self) {
        while let Some(ask) = self.asking.next().or_else(|| self.working.next()) {
            let asked_kdc = matches!(ask.step, GssStep::Initiate { .. });
            let kept = self.contexts.get_mut(&ask.context);
            let here = kept.and_then(|kept| kept.context.take());
            let (told, context) = (self.told.clone(), ask.context);
            let (store, beside) = (Arc::clone(&self.store), self.beside.clone());
            let work = move || {
                let (answer, made) = match step(&store, &beside, here, ask.step) {
                    Ok((answer, made)) => (Ok(answer), Some(made)),
                    Err(why) => (Err(why), None),
                };
                // The daemon ends, and nobody wants to know any more.
                let _ = told.send(Told {
                    context,
                    answer,
                    made,
                    asked_kdc,
                });
            };
            let thread = std::thread::Builder::new().name("hf-kerberos".to_owned());
            if let Err(error) = thread.spawn(work) {
                let answer = Err(format!("no thread can be started ({error})"));
                let _ = self.told.send(Told {
                    context,
                    answer,
                    made: None,
                    asked_kdc,
                });
            }
        }
    }
}

/// Takes one step; gives the context back, which is of no use after a failure.
fn step(
    store: &Mutex<Store>,
    beside: &Path,
    here: Option<Context>,
    step: GssStep,
) -> Result<(GssAnswer, Context), String> {
    let text = |why: linux::Error| why.to_string();
    let (mut context, token) = match step {
        GssStep::Initiate { own, target } => {
            let credentials = credentials(store, &own, beside, Role::Initiator)?;
            let context = Context::initiate(&credentials, target.as_str());
            (context.map_err(text)?, Vec::new())
        }
        GssStep::Accept { own, token } => {
            let credentials = credentials(store, &own, beside, Role::Acceptor)?;
            (Context::accept(&credentials).map_err(text)?, token)
        }
        GssStep::Continue(token) => (present(here)?, token),
        GssStep::Wrap(octets) => {
            let mut context = present(here)?;
            let wrapped = context.wrap(&octets).map_err(text)?;
            return Ok((GssAnswer::Octets(wrapped), context));
        }
        GssStep::Unwrap(octets) => {
            let mut context = present(here)?;
            let opened = context.unwrap(&octets).map_err(text)?;
            return Ok((GssAnswer::Octets(opened), context));
        }
    };
    let taken = context.step(&token).map_err(text)?;
    let peer = match taken.complete {
        true => Some(context.peer().map_err(text)?.0),
        false => None,
    };
    let token = taken.token;
    Ok((GssAnswer::Token { token, peer }, context))
}

fn present(context: Option<Context>) -> Result<Context, String> {
    context.ok_or_else(|| "the security context is gone".to_owned())
}

#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Role {
    Initiator,
    Acceptor,
}

/// The library, and credentials that were used a moment ago: their tickets are in memory.
#[derive(Default)]
struct Store {
    gss: Option<Gss>,
    known: BTreeMap<(Role, String, PathBuf), (Credentials, Instant)>,
}

/// The credentials of a principal. Whoever has to ask a KDC for them keeps nobody else waiting.
fn credentials(
    store: &Mutex<Store>,
    own: &KerberosKey,
    beside: &Path,
    role: Role,
) -> Result<Credentials, String> {
    let text = |why: linux::Error| why.to_string();
    let open = || store.lock().unwrap_or_else(PoisonError::into_inner);
    let (principal, keytab) = (own.principal.as_str(), beside.join(&own.keytab));
    let key = (role, principal.to_owned(), keytab.clone());
    let gss = {
        let mut store = open();
        let now = Instant::now();
        store.known.retain(|_, (_, until)| *until > now);
        if let Some((credentials, _)) = store.known.get(&key) {
            return Ok(credentials.clone());
        }
        match &store.gss {
            Some(gss) => gss.clone(),
            None => store.gss.insert(Gss::load().map_err(text)?).clone(),
        }
    };
    let credentials = match role {
        Role::Initiator => gss.initiator(&keytab, principal),
        Role::Acceptor => gss.acceptor(&keytab, principal),
    };
    let credentials = credentials.map_err(text)?;
    let until = Instant::now() + FRESH;
    open().known.insert(key, (credentials.clone(), until));
    Ok(credentials)
}
