//! A connection to one member: calls with one answer, and the watch with many.

use crate::endpoint::Endpoint;
use crate::failure::Failure;
use crate::frames::{Frames, frame};
use crate::protobuf::Malformed;
use crate::status::Status;
use bytes::Bytes;
use h2::client::SendRequest;
use h2::{RecvStream, SendStream};
use http::Request;
use std::sync::Arc;

/// A handle; calls share the connection and run beside each other.
#[derive(Clone)]
pub(crate) struct Connection {
    endpoint: Arc<Endpoint>,
    sender: SendRequest<Bytes>,
}

impl Connection {
    pub(crate) fn new(endpoint: Arc<Endpoint>, sender: SendRequest<Bytes>) -> Self {
        Self { endpoint, sender }
    }

    /// Whom it leads to.
    pub(crate) fn endpoint(&self) -> &Endpoint {
        &self.endpoint
    }

    /// Asks, and reads the one answer. The caller bounds the time.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn call<T>(
        &self,
        path: &'static str,
        message: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, Malformed>,
    ) -> Result<T, Failure> {
        let mut answers = self.open(path, message, true).await?;
        let first = answers.next().await?;
        let nothing = Malformed("is no answer at all");
        let first = first.ok_or_else(|| Failure::malformed(&self.endpoint, nothing))?;
        if answers.next().await?.is_some() {
            let twice = Malformed("is a second answer to one question");
            return Err(Failure::malformed(&self.endpoint, twice));
        }
        decode(&first).map_err(|malformed| Failure::malformed(&self.endpoint, malformed))
    }

    /// Asks, and leaves the question open: answers come until it is dropped.
    ///
    /// # Errors
    /// Why there is no answer.
    pub(crate) async fn stream(
        &self,
        path: &'static str,
        message: &[u8],
    ) -> Result<Answers, Failure> {
        self.open(path, message, false).await
    }

    async fn open(
        &self,
        path: &'static str,
        message: &[u8],
        only: bool,
    ) -> Result<Answers, Failure> {
        let unsent = |error| Failure::unsent(&self.endpoint, &error);
        let lost = |error| Failure::lost(&self.endpoint, &error);
        let mut sender = self.sender.clone().ready().await.map_err(unsent)?;
        let request = Request::post(format!("{}{path}", self.endpoint))
            .version(http::Version::HTTP_2)
            .header("te", "trailers")
            .header("content-type", "application/grpc")
            // A member without a leader shall say so instead of letting us wait.
            .header("hasleader", "true")
            .body(())
            .map_err(|error| Failure::of(&self.endpoint, &format!("cannot be asked: {error}")))?;
        let (response, mut question) = sender.send_request(request, false).map_err(unsent)?;
        question.send_data(frame(message), only).map_err(lost)?;
        let (head, body) = response.await.map_err(lost)?.into_parts();
        let kind = head.headers.get("content-type").map(|kind| kind.as_bytes());
        if head.status != 200 || !kind.is_some_and(|kind| kind.starts_with(b"application/grpc")) {
            return Err(Failure::of(
                &self.endpoint,
                &format!(
                    "answers with HTTP status {} and not as etcd; is this its client port?",
                    head.status.as_u16()
                ),
            ));
        }
        if head.headers.contains_key("grpc-status")
            && let Some(status) = Status::read(&head.headers)
        {
            return Err(Failure::refused(&self.endpoint, &status));
        }
        Ok(Answers {
            endpoint: Arc::clone(&self.endpoint),
            body,
            frames: Frames::default(),
            _question: question,
        })
    }
}

/// The answers to one question.
pub(crate) struct Answers {
    endpoint: Arc<Endpoint>,
    body: RecvStream,
    frames: Frames,
    /// Held, since dropping it would end an open question.
    _question: SendStream<Bytes>,
}

impl Answers {
    /// The next answer, or nothing when etcd has ended the call well. May be dropped and called
    /// again without loss.
    ///
    /// # Errors
    /// When etcd refuses, the connection breaks or the answer cannot be read.
    pub(crate) async fn next(&mut self) -> Result<Option<Bytes>, Failure> {
        loop {
            let message = self.frames.next();
            let message =
                message.map_err(|why| Failure::malformed(&self.endpoint, Malformed(why)))?;
            if message.is_some() {
                return Ok(message);
            }
            let lost = |error| Failure::lost(&self.endpoint, &error);
            match self.body.data().await {
                Some(piece) => {
                    let piece = piece.map_err(lost)?;
                    self.frames.push(&piece);
                    self.body
                        .flow_control()
                        .release_capacity(piece.len())
                        .map_err(lost)?;
                }
                None => {
                    let trailers = self
                        .body
                        .trailers()
                        .await
                        .map_err(lost)?
                        .unwrap_or_default();
                    return match Status::read(&trailers) {
                        Some(status) => Err(Failure::refused(&self.endpoint, &status)),
                        None => Ok(None),
                    };
                }
            }
        }
    }
}
