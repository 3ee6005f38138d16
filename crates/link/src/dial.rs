//! The side with the lower name connects, at every address in turn, until there is a link.

use crate::context::{Context, Member};
use crate::refusal::Refusal;
use crate::session::{Gone, serve, welcomed};
use crate::settings::Timing;
use crate::tls::{PROTOCOL, Stream};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Notify;
use tokio::time::{sleep, timeout};

/// Keeps a link to the peer for as long as anybody takes news; `renew` has it begin anew.
pub(crate) async fn dial(context: Arc<Context>, peer: Member, renew: Arc<Notify>) {
    let mut backoff = Backoff::new(&context.timing);
    loop {
        match round(&context, &peer, &renew).await {
            Round::Gone => return,
            Round::Renew => {
                backoff = Backoff::new(&context.timing);
                continue;
            }
            Round::Nobody => {}
            Round::Ended(lasted) => backoff.lasted(lasted),
        }
        let random = getrandom::u32().unwrap_or(0);
        tokio::select! {
            biased;
            () = renew.notified() => backoff = Backoff::new(&context.timing),
            () = sleep(backoff.next(random)) => {}
        }
    }
}

/// How a round through the addresses ended.
enum Round {
    /// Nobody takes news any more.
    Gone,
    /// It is to begin anew at once.
    Renew,
    /// No address answered.
    Nobody,
    /// There was a link, for so long.
    Ended(Duration),
}

/// Tries every address until there is a link, and serves it.
async fn round(context: &Context, peer: &Member, renew: &Notify) -> Round {
    for address in &peer.addresses {
        let connected = tokio::select! {
            biased;
            () = renew.notified() => return Round::Renew,
            connected = connect(context, peer, *address) => connected,
        };
        let stream = match connected {
            Ok(stream) => stream,
            Err(why) => {
                if let Some(why) = why {
                    context.refused(*address, why);
                }
                continue;
            }
        };
        let began = Instant::now();
        return match serve(context, &peer.name, stream, renew.notified()).await {
            Err(Gone) => Round::Gone,
            Ok(Some(())) => Round::Renew,
            Ok(None) => Round::Ended(began.elapsed()),
        };
    }
    Round::Nobody
}

/// One attempt; `None` when there is not even a TCP connection.
async fn connect(
    context: &Context,
    peer: &Member,
    address: SocketAddr,
) -> Result<Stream, Option<Refusal>> {
    let connecting = context.options.connect(address);
    let Ok(Ok(stream)) = timeout(context.timing.connect, connecting).await else {
        return Err(None);
    };
    let refusal = |error| Refusal::of(&error, Some(&*peer.name));
    let proving = async {
        let connector = &context.tls.connector;
        let proven = connector.connect(peer.certified.clone(), stream).await;
        let mut stream = Stream::from(proven.map_err(refusal)?);
        let ours = stream.get_ref().1.alpn_protocol() == Some(PROTOCOL);
        if ours && welcomed(&mut stream).await.map_err(refusal)? {
            Ok(stream)
        } else {
            Err(Refusal::OtherProtocol)
        }
    };
    match timeout(context.timing.handshake, proving).await {
        Ok(result) => result.map_err(Some),
        Err(_) => Err(Some(Refusal::Slow)),
    }
}

/// Pauses between attempts: each twice as long as the one before, less up to half by chance, so
/// that many nodes do not come at once.
struct Backoff {
    min: Duration,
    max: Duration,
    next: Duration,
}

impl Backoff {
    fn new(timing: &Timing) -> Self {
        Self {
            min: timing.backoff_min,
            max: timing.backoff_max,
            next: timing.backoff_min,
        }
    }

    fn next(&mut self, random: u32) -> Duration {
        let pause = self.next;
        self.next = (pause * 2).min(self.max);
        pause - pause.mul_f64(f64::from(random) / f64::from(u32::MAX) / 2.0)
    }

    /// A link lasted so long. One that ends at once, again and again, is no success.
    fn lasted(&mut self, time: Duration) {
        if time >= self.max {
            self.next = self.min;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_shrink() {
        let mut backoff = Backoff::new(&Timing::default());
        let pauses: Vec<u128> = (0..7).map(|_| backoff.next(0).as_millis()).collect();
        assert_eq!(pauses, [50, 100, 200, 400, 800, 1000, 1000]);
        assert_eq!(backoff.next(u32::MAX).as_millis(), 500);
        backoff.lasted(Duration::from_millis(900));
        assert_eq!(backoff.next(0).as_millis(), 1000);
        backoff.lasted(Duration::from_secs(1));
        assert_eq!(backoff.next(0).as_millis(), 50);
    }
}
