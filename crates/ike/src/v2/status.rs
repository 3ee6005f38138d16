//! Whether a peer's certificate still holds: what is known of it online, what the peer brings along
//! (RFC 4806), and what has been asked and not answered yet (RFC 6960).

use std::collections::BTreeMap;
use std::time::Instant;

use policy::pad::Peer;
use wire::ike::numbers::CERT_OCSP;
use wire::ike::{Cert, CertReq, Payload};
use x509::{Online, Status, Subject, Trouble, Why};

use crate::config::Config;
use crate::discard::Discard;
use crate::id::IkeSaId;
use crate::limits;
use crate::v2::contents::Contents;
use crate::v2::message::Opened;

/// What a responder says, or why it says nothing.
pub(crate) type Answer = Result<Status, Trouble>;

/// A proof that was looked at.
pub(crate) enum Checked<T> {
    /// It stands.
    Proven(T),
    /// It would, if the certificate still holds; somebody must be asked.
    Unsettled(Box<Inquiry>),
}

/// What is to be asked, and whom: an `http` URL.
pub(crate) struct Inquiry {
    pub(crate) subject: Subject,
    pub(crate) responder: String,
}

/// A message that waits for an answer. Only who has a certificate of our authorities, and its key,
/// can make anything wait.
pub(crate) struct Waiting {
    pub(crate) opened: Opened,
    /// Which certificate.
    pub(crate) digest: [u8; 32],
    /// Then it goes on without.
    pub(crate) until: Instant,
}

/// What was asked.
pub(crate) struct Asked {
    pub(crate) subject: Subject,
    pub(crate) nonce: Vec<u8>,
    pub(crate) waiting: Vec<IkeSaId>,
    until: Instant,
}

/// A question to be put.
pub(crate) struct Question {
    pub(crate) number: u64,
    pub(crate) request: Vec<u8>,
}

struct Known {
    answer: Answer,
    /// In seconds since 1970.
    until: u64,
}

/// Every status that is known or asked for.
#[derive(Default)]
pub(crate) struct Statuses {
    known: BTreeMap<[u8; 32], Known>,
    asked: BTreeMap<u64, Asked>,
    count: u64,
}

impl Statuses {
    fn get(&self, digest: &[u8; 32], seconds: u64) -> Option<&Answer> {
        let known = self.known.get(digest).filter(|one| seconds <= one.until);
        known.map(|one| &one.answer)
    }

    /// A handshake waits for the status of a certificate; the question is new, or it is `None` and
    /// has been put already.
    ///
    /// # Errors
    /// Too much has been asked and not answered.
    pub(crate) fn ask(
        &mut self,
        inquiry: &Inquiry,
        ike: IkeSaId,
        now: Instant,
        nonce: impl FnOnce() -> Vec<u8>,
    ) -> Result<Option<Question>, Discard> {
        let digest = inquiry.subject.digest();
        let same = |asked: &&mut Asked| asked.subject.digest() == digest && asked.until > now;
        if let Some(asked) = self.asked.values_mut().find(same) {
            asked.waiting.push(ike);
            return Ok(None);
        }
        self.asked.retain(|_, asked| asked.until > now);
        if self.asked.len() >= limits::STATUS_QUESTIONS {
            return Err(Discard::StatusQuestions);
        }
        let nonce = nonce();
        let request = inquiry.subject.request(&nonce);
        let request = request.ok_or(Discard::StatusQuestions)?;
        self.count += 1;
        let asked = Asked {
            subject: inquiry.subject.clone(),
            nonce,
            waiting: vec![ike],
            until: now + limits::STATUS_WAIT,
        };
        self.asked.insert(self.count, asked);
        let number = self.count;
        Ok(Some(Question { number, request }))
    }

    /// A question was answered.
    pub(crate) fn take(&mut self, number: u64) -> Option<Asked> {
        self.asked.remove(&number)
    }

    /// Nobody waits for an answer any longer.
    pub(crate) fn give_up(&mut self, digest: &[u8; 32]) -> Option<Asked> {
        let same = |(_, asked): &(&u64, &Asked)| asked.subject.digest() == *digest;
        let number = *self.asked.iter().find(same)?.0;
        self.asked.remove(&number)
    }

    /// Keeps an answer for as long as it holds, and that there was none for a moment, so that a
    /// flood of handshakes does not become one of questions.
    pub(crate) fn keep(&mut self, digest: [u8; 32], answer: Answer, seconds: u64) {
        let least = seconds.saturating_add(limits::STATUS_AGAIN);
        let until = answer
            .as_ref()
            .map_or(least, |status| status.until.max(least));
        if self.known.len() >= limits::STATUSES && !self.known.contains_key(&digest) {
            let oldest = self.known.iter().min_by_key(|(_, known)| known.until);
            if let Some(oldest) = oldest.map(|(digest, _)| *digest) {
                self.known.remove(&oldest);
            }
        }
        self.known.insert(digest, Known { answer, until });
    }

    /// Whether a certificate that is vouched for still holds, and until when that may be believed.
    /// What is known counts, and what the peer brought along; a revocation from either is the end.
    ///
    /// # Errors
    /// It was revoked; or nobody knows, and somebody must.
    pub(crate) fn judge(
        &self,
        subject: Subject,
        online: &Online,
        contents: &Contents<'_>,
        seconds: u64,
    ) -> Result<Checked<Option<u64>>, Why> {
        let known = self.get(&subject.digest(), seconds);
        let sure = known.and_then(|answer| answer.as_ref().ok()).copied();
        let said = [sure, stapled(&subject, contents, seconds)];
        let said = || said.iter().flatten();
        if let Some(at) = said().find_map(|status| status.revoked) {
            return Err(Why::RevokedAt(subject.issuer().to_string(), at));
        }
        if let Some(until) = said().map(|status| status.until).max() {
            return Ok(Checked::Proven(Some(until)));
        }
        let responder = online.responder.as_deref().or(subject.responder());
        let trouble = match (known, responder) {
            (Some(Err(trouble)), _) => trouble.clone(),
            (_, None) => Trouble::NoResponder,
            (_, Some(responder)) => {
                let responder = responder.to_owned();
                let inquiry = Inquiry { subject, responder };
                return Ok(Checked::Unsettled(Box::new(inquiry)));
            }
        };
        match online.required {
            true => Err(Why::NoStatus(trouble)),
            false => Ok(Checked::Proven(None)),
        }
    }
}

/// What the peer brought along and is good.
fn stapled(subject: &Subject, contents: &Contents<'_>, seconds: u64) -> Option<Status> {
    let responses = contents.certificates().iter();
    let responses = responses.filter(|cert| cert.encoding == CERT_OCSP);
    responses
        .take(limits::STAPLED)
        .find_map(|cert| subject.judge(&cert.data, None, seconds).ok())
}

/// Asks the peer to bring along what a responder says of its certificate. Whichever responder: it
/// is its issuer that says which may speak for it (RFC 4806 section 3.1).
pub(crate) fn request() -> Payload {
    Payload::CertReq(CertReq {
        encoding: CERT_OCSP,
        authorities: Vec::new(),
    })
}

/// What we bring along ourselves, if the peer asks for it.
pub(crate) fn staple(peer: &Peer, config: &Config, contents: &Contents<'_>) -> Option<Payload> {
    let asked = |one: &&CertReq| one.encoding == CERT_OCSP;
    let asked = contents.requests().iter().any(asked);
    let data = config.own_status(peer).filter(|_| asked)?;
    Some(Payload::Cert(Cert {
        encoding: CERT_OCSP,
        data: data.clone(),
    }))
}
