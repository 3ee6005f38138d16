//! The side with the higher name waits for connections and finds out whose they are.

use crate::context::{Context, Member};
use crate::refusal::Refusal;
use crate::session::{Gone, serve, welcome};
use crate::tls::{PROTOCOL, Stream};
use rustls::client::verify_server_name;
use rustls::server::ParsedCertificate;
use std::sync::Arc;
use std::time::Duration;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{Receiver, Sender};
use tokio::task::JoinSet;
use tokio::time::{sleep, timeout};

/// A pause when the system has no file descriptor or memory left for a connection.
const EXHAUSTED: Duration = Duration::from_millis(50);

/// A peer that connects to this node, and where its connections go; none when this node must
/// connect to it.
pub(crate) struct Expected {
    pub(crate) member: Member,
    pub(crate) connections: Option<Sender<Stream>>,
}

/// Accepts connections, and gives those of members to their tasks.
pub(crate) async fn accept(
    context: Arc<Context>,
    listener: TcpListener,
    expected: Arc<Vec<Expected>>,
) {
    // They end when this ends.
    let mut handshakes = JoinSet::new();
    loop {
        tokio::select! {
            Some(_) = handshakes.join_next() => {}
            accepted = listener.accept() => {
                let Ok((stream, from)) = accepted else {
                    sleep(EXHAUSTED).await;
                    continue;
                };
                let places = context.places.of(from.ip()).clone();
                let Ok(place) = places.try_acquire_owned() else {
                    context.refused(from, Refusal::Busy);
                    continue;
                };
                let (context, expected) = (context.clone(), expected.clone());
                handshakes.spawn(async move {
                    let proving = prove(&context, stream, &expected);
                    let limit = context.timing.handshake;
                    let result = timeout(limit, proving).await.unwrap_or(Err(Refusal::Slow));
                    if let Err(why) = result {
                        context.refused(from, why);
                    }
                    drop(place);
                });
            }
        }
    }
}

/// Makes a connection prove itself, and gives it to its peer's task.
async fn prove(context: &Context, stream: TcpStream, expected: &[Expected]) -> Result<(), Refusal> {
    let refusal = |error| Refusal::of(&error, None);
    context.options.accepted(&stream).map_err(refusal)?;
    let proven = context.tls.acceptor.accept(stream).await.map_err(refusal)?;
    let stream = Stream::from(proven);
    let connections = recognise(context, &stream, expected)?;
    // One that still waits there is as new as this one, and the peer will try again.
    connections.try_send(stream).map_err(|_| Refusal::Busy)
}

/// Where the connections of this proven member go.
fn recognise<'a>(
    context: &Context,
    stream: &Stream,
    expected: &'a [Expected],
) -> Result<&'a Sender<Stream>, Refusal> {
    let session = stream.get_ref().1;
    if session.alpn_protocol() != Some(PROTOCOL) {
        return Err(Refusal::OtherProtocol);
    }
    let certificates = session.peer_certificates().unwrap_or_default();
    let certificate = certificates.first().ok_or(Refusal::NoCertificate)?;
    let certificate =
        ParsedCertificate::try_from(certificate).map_err(|why| Refusal::Broken(why.to_string()))?;
    let is = |member: &Member| verify_server_name(&certificate, &member.certified).is_ok();
    if is(&context.own) {
        return Err(Refusal::OurName);
    }
    let peer = expected.iter().find(|peer| is(&peer.member));
    let peer = peer.ok_or(Refusal::Stranger)?;
    peer.connections
        .as_ref()
        .ok_or_else(|| Refusal::WrongDirection {
            node: peer.member.name.to_string(),
        })
}

/// Serves the connections of one peer, one at a time: a new one replaces the old one, whose
/// end the peer may know before this node does.
pub(crate) async fn take(context: Arc<Context>, peer: Arc<str>, mut connections: Receiver<Stream>) {
    let mut next = None;
    loop {
        let waiting = match next.take() {
            Some(stream) => Some(stream),
            None => connections.recv().await,
        };
        let Some(mut stream) = waiting else {
            return;
        };
        let welcoming = timeout(context.timing.handshake, welcome(&mut stream));
        if !matches!(welcoming.await, Ok(Ok(()))) {
            continue;
        }
        match serve(&context, &peer, stream, connections.recv()).await {
            Ok(replacement) => next = replacement.flatten(),
            Err(Gone) => return,
        }
    }
}
