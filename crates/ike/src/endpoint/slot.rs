//! What an SPI of ours can stand for.

use std::net::{IpAddr, SocketAddr};
use std::time::{Duration, Instant};

use policy::names::PeerName;
use policy::version::IkeVersion;

use crate::id::{IkeSaId, Role};
use crate::path::Path;
use crate::silence::Silence;
use crate::status::{IkeState, IkeStatus};
use crate::timer::Timer;
use crate::v1::established;
use crate::v1::keys::suite_of;
use crate::v1::main_mode::MainMode;
use crate::v1::methods::word;
use crate::v1::sa as isakmp;
use crate::v2::auth_sent::{AuthSent, Begun};
use crate::v2::established::clock;
use crate::v2::half_open::HalfOpen;
use crate::v2::init_sent::InitSent;
use crate::v2::intermediate::IntermediateSent;
use crate::v2::message::Sealed;
use crate::v2::sa::{Kind, Sa, Stage};
use crate::v2::status::Waiting;

/// One SPI's state.
pub(crate) enum Slot {
    InitSent(Box<InitSent>),
    Intermediate(Box<IntermediateSent>),
    AuthSent(Box<AuthSent>),
    HalfOpen(Box<HalfOpen>),
    /// A responder that refused IKE_AUTH, and repeats that if it is asked again.
    Refused(Box<Refused>),
    Sa(Box<Sa>),
    /// A main mode of IKEv1 that is under way.
    MainMode(Box<MainMode>),
    /// An ISAKMP SA of IKEv1.
    Isakmp(Box<isakmp::Sa>),
}

/// What is left of a half-open responder after a refusal.
pub(crate) struct Refused {
    pub(crate) path: Path,
    pub(crate) digest: [u8; 32],
    pub(crate) answer: Sealed,
    pub(crate) until: Instant,
    pub(crate) birth: u64,
}

impl Slot {
    pub(crate) fn path(&self) -> &Path {
        match self {
            Slot::InitSent(state) => &state.purpose.path,
            Slot::Intermediate(state) => &state.begun().purpose.path,
            Slot::AuthSent(state) => &state.begun().purpose.path,
            Slot::HalfOpen(state) => &state.path,
            Slot::Refused(state) => &state.path,
            Slot::Sa(sa) => &sa.path,
            Slot::MainMode(state) => &state.path,
            Slot::Isakmp(sa) => &sa.path,
        }
    }

    pub(crate) fn local(&self) -> IpAddr {
        self.path().local.ip()
    }

    /// The gateway that the policy names, if the peer is at another.
    pub(crate) fn home(&self) -> Option<IpAddr> {
        match self {
            Slot::InitSent(state) => state.purpose.home(),
            Slot::Intermediate(state) => state.begun().purpose.home(),
            Slot::AuthSent(state) => state.begun().purpose.home(),
            Slot::HalfOpen(_) | Slot::Refused(_) => None,
            Slot::Sa(sa) => sa.redirection.home,
            Slot::MainMode(_) | Slot::Isakmp(_) => None,
        }
    }

    /// The local and the remote address.
    pub(crate) fn addresses(&self) -> (IpAddr, IpAddr) {
        let path = self.path();
        (path.local.ip(), path.remote.ip())
    }

    /// The peer, unless it is not yet known.
    pub(crate) fn peer(&self) -> Option<&PeerName> {
        match self {
            Slot::InitSent(state) => Some(&state.purpose.peer.name),
            Slot::Intermediate(state) => Some(&state.begun().purpose.peer.name),
            Slot::AuthSent(state) => Some(&state.begun().purpose.peer.name),
            Slot::HalfOpen(_) | Slot::Refused(_) => None,
            Slot::Sa(sa) => Some(&sa.peer.name),
            Slot::MainMode(state) => Some(&state.peer.name),
            Slot::Isakmp(sa) => Some(&sa.peer.name),
        }
    }

    /// The next deadline.
    pub(crate) fn due(&self, childless: Duration) -> Option<(Instant, Timer)> {
        let resend = |at: Option<Instant>| at.map(|at| (at, Timer::Retransmit));
        match self {
            Slot::InitSent(state) => state.due(),
            Slot::Intermediate(state) => resend(state.retransmit.due()),
            Slot::AuthSent(state) => match &state.held {
                Some(held) => Some((held.until, Timer::Status)),
                None => resend(state.retransmit.due()),
            },
            Slot::HalfOpen(state) => {
                let held = state.held.as_ref().map(|held| (held.until, Timer::Status));
                held.into_iter().chain([(state.until, Timer::Expire)]).min()
            }
            Slot::Refused(state) => Some((state.until, Timer::Expire)),
            Slot::Sa(sa) => {
                let childless = clock::childless_due(sa, childless).map(|at| (at, Timer::Idle));
                [clock::due(sa), childless].into_iter().flatten().min()
            }
            Slot::MainMode(state) => state.due(),
            Slot::Isakmp(sa) => {
                let quiet = established::childless_due(sa, childless);
                let quiet = quiet.map(|at| (at, Timer::Idle));
                [established::due(sa), quiet].into_iter().flatten().min()
            }
        }
    }

    /// The message of a handshake waits here.
    pub(crate) fn hold(&mut self, held: Waiting) {
        if let Some(place) = self.held() {
            *place = Some(held);
        }
    }

    /// The message that waits, if one does.
    pub(crate) fn take_held(&mut self) -> Option<Waiting> {
        self.held()?.take()
    }

    /// The certificate for whose status a message has waited long enough.
    pub(crate) fn waited(&mut self, now: Instant) -> Option<[u8; 32]> {
        let held = self.held()?.as_ref();
        held.filter(|held| held.until <= now)
            .map(|held| held.digest)
    }

    fn held(&mut self) -> Option<&mut Option<Waiting>> {
        match self {
            Slot::AuthSent(state) => Some(&mut state.held),
            Slot::HalfOpen(state) => Some(&mut state.held),
            _ => None,
        }
    }

    /// A picture; `None` for what is only a remainder.
    pub(crate) fn status(&self, ike: IkeSaId, now: Instant) -> Option<IkeStatus> {
        let Path { local, remote, .. } = *self.path();
        let connecting = |role, local: SocketAddr, remote: SocketAddr| IkeStatus {
            ike,
            version: IkeVersion::V2,
            peer_spi: 0,
            peer: self.peer().cloned(),
            remote_id: None,
            authentication: None,
            role,
            local,
            remote,
            state: IkeState::Connecting,
            suite: None,
            age: Duration::ZERO,
            rekey_in: None,
            extensions: Vec::new(),
            queued: 0,
            children: Vec::new(),
        };
        match self {
            Slot::InitSent(state) => {
                let queued = state.purpose.pending.len();
                Some(IkeStatus {
                    queued,
                    ..connecting(Role::Initiator, local, remote)
                })
            }
            Slot::Intermediate(state) => Some(begun(state.begun(), connecting)),
            Slot::AuthSent(state) => Some(begun(state.begun(), connecting)),
            Slot::HalfOpen(state) => Some(IkeStatus {
                peer_spi: state.peer_spi,
                suite: Some(state.suite),
                ..connecting(Role::Responder, local, remote)
            }),
            Slot::Refused(_) => None,
            Slot::Sa(sa) => sa_status(sa, now),
            Slot::MainMode(state) => Some(IkeStatus {
                version: IkeVersion::V1,
                peer_spi: state.peer_cookie,
                authentication: state.suite().map(|one| word(&state.peer, one.method)),
                suite: state.suite().map(suite_of),
                queued: state.pending.len(),
                ..connecting(state.role, local, remote)
            }),
            Slot::Isakmp(sa) => Some(isakmp_status(sa, now)),
        }
    }

    /// Whether it speaks, where another member of a cluster may go on with it.
    pub(crate) fn silence_mut(&mut self) -> Option<&mut Silence> {
        match self {
            Slot::Sa(sa) => Some(&mut sa.silence),
            Slot::Isakmp(sa) => Some(&mut sa.silence),
            _ => None,
        }
    }

    /// How it may be shared: nothing of a handshake is.
    pub(crate) fn silence(&self) -> Option<Silence> {
        match self {
            Slot::Sa(sa) => Some(sa.silence),
            Slot::Isakmp(sa) => Some(sa.silence),
            _ => None,
        }
    }

    /// Whether it says nothing, and something is to be done about it.
    pub(crate) fn is_unreplaced(&self) -> bool {
        match self {
            Slot::Sa(sa) => sa.is_unreplaced(),
            Slot::Isakmp(sa) => sa.is_unreplaced(),
            _ => false,
        }
    }

    /// Whether it was to go, and has pairs that somebody must have.
    pub(crate) fn is_half_replaced(&self) -> bool {
        match self {
            Slot::Sa(sa) => matches!(sa.stage, Stage::Replaced { .. }) && !sa.children.is_empty(),
            Slot::Isakmp(sa) => {
                let replaced = matches!(sa.stage, isakmp::Stage::Replaced { .. });
                replaced && !sa.children.is_empty()
            }
            _ => false,
        }
    }
}

/// The picture of an own handshake after its first exchange.
fn begun(
    begun: &Begun,
    connecting: impl Fn(Role, SocketAddr, SocketAddr) -> IkeStatus,
) -> IkeStatus {
    let Path { local, remote, .. } = begun.purpose.path;
    IkeStatus {
        peer_spi: begun.peer_spi,
        suite: Some(begun.keys.suite()),
        queued: begun.purpose.pending.len(),
        ..connecting(Role::Initiator, local, remote)
    }
}

fn sa_status(sa: &Sa, now: Instant) -> Option<IkeStatus> {
    let rekeys = |kind: &Kind| matches!(kind, Kind::RekeyIke { .. });
    let state = match sa.stage {
        Stage::Live if sa.exchanges.iter().any(|one| rekeys(&one.kind)) => IkeState::Rekeying,
        Stage::Live => IkeState::Established,
        Stage::Undecided { .. } | Stage::Replaced { .. } => IkeState::Replaced,
        Stage::Closing => IkeState::Closing,
        Stage::Closed { .. } => return None,
    };
    Some(IkeStatus {
        ike: sa.id,
        version: IkeVersion::V2,
        peer_spi: sa.peer_spi,
        peer: Some(sa.peer.name.clone()),
        remote_id: Some(sa.remote_id.clone()),
        authentication: Some(sa.peer.auth.remote.word()),
        role: sa.role,
        local: sa.path.local,
        remote: sa.path.remote,
        state,
        suite: Some(sa.keys.suite()),
        age: now.saturating_duration_since(sa.born),
        rekey_in: sa.rekey_at.map(|at| at.saturating_duration_since(now)),
        extensions: sa.extensions(),
        queued: sa.tasks.len() + sa.delayed.len(),
        children: sa.children.iter().map(|child| child.status(now)).collect(),
    })
}

fn isakmp_status(sa: &isakmp::Sa, now: Instant) -> IkeStatus {
    IkeStatus {
        ike: sa.id,
        version: IkeVersion::V1,
        peer_spi: sa.peer_cookie,
        peer: Some(sa.peer.name.clone()),
        remote_id: Some(sa.remote_id.clone()),
        authentication: Some(word(&sa.peer, sa.keys.suite().method)),
        role: sa.role,
        local: sa.path.local,
        remote: sa.path.remote,
        state: match sa.stage {
            isakmp::Stage::Live if sa.renewed => IkeState::Rekeying,
            isakmp::Stage::Live => IkeState::Established,
            isakmp::Stage::Replaced { .. } | isakmp::Stage::Gone => IkeState::Replaced,
            isakmp::Stage::Closing => IkeState::Closing,
        },
        suite: Some(sa.suite()),
        age: now.saturating_duration_since(sa.born),
        rekey_in: sa.rekey_at.map(|at| at.saturating_duration_since(now)),
        extensions: sa.extensions(),
        queued: sa.tasks.len(),
        children: sa.children.iter().map(|child| child.status(now)).collect(),
    }
}
