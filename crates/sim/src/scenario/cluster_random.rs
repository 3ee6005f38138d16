//! A front end and two nodes, traffic both ways, and whatever the seed does to them; then peace.

mod plot;

use std::time::{Duration, Instant};

use crypto::{Encryption, Group, Integrity};
use node::Replicate;
use policy::proposal::{EspProposal, default_esp};
use policy::timers::{ChildLifetime, IkeLifetime};
use policy::{IkePort, IkeVersion, Legacy};

use crate::dice::Dice;
use crate::network::Link;
use crate::settings::{Settings, Traffic};
use crate::world::World;

/// How long traffic may take to flow again after the last fault.
const BACK: Duration = Duration::from_secs(12);
/// How long both ends may take to agree after that: an IKE SA that the peer has lost is asked
/// about after 2 s, and given up after 8 s without an answer.
const AGREE: Duration = Duration::from_millis(10_500);
/// The same where SAs are replicated: an owner whose SAs were lost leaves those of its peer to the
/// peer's own liveness checks, one after another. And with IKEv1, whose pairs outlive the ISAKMP SA
/// that made them: of one that the peer has lost nothing tells but silence, and a pair whose Delete
/// got lost waits beside the one that took its place for the 5 s for which the peer keeps it, 8 s
/// of repetitions, and 2 s for clocks.
const AGREE_LATE: Duration = Duration::from_secs(30);
/// How long a cluster with a witness may take to settle: clients notice that it is back, a question
/// that was not answered is asked again, and who begins without SAs waits for signs of life.
const SETTLE_WITNESSED: Duration = Duration::from_millis(8_500);
/// How long traffic is watched when everything is well again.
const WATCH: Duration = Duration::from_secs(3);
/// How often it is looked whether that is so.
const STEP: Duration = Duration::from_millis(50);

/// What a change of a group's owner means for its SAs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Takeover {
    /// The peers negotiate new ones.
    Renegotiate,
    /// They live on.
    Replicate,
    /// They live on, on one of three nodes, and a witness says on which.
    Witness,
}

/// What a random world is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kind {
    /// What a takeover means.
    pub takeover: Takeover,
    /// Which IKE everybody speaks.
    pub version: IkeVersion,
}

impl Kind {
    /// With IKEv2.
    #[must_use]
    pub fn of(takeover: Takeover) -> Self {
        let version = IkeVersion::V2;
        Kind { takeover, version }
    }

    /// The same with IKEv1.
    #[must_use]
    pub fn with_ikev1(self) -> Self {
        let version = IkeVersion::V1;
        Kind { version, ..self }
    }
}

/// A seed that was played to its end.
pub struct Played {
    /// The world after it; its violations say whether every promise was kept.
    pub world: World,
    /// How long after the last fault every group answered again.
    pub back: Duration,
    /// How long after the last fault both ends held the same SAs.
    pub agreed: Duration,
}

/// Plays one seed.
#[must_use]
pub fn run(seed: u64, kind: Kind, begun: Instant, with_trace: bool) -> Played {
    let mut dice = Dice::new(seed ^ 0x706c_6f74);
    let mut world = World::new(settings(seed, kind), seed, begun);
    if with_trace {
        world = world.with_trace();
    }
    let mut world = world.running();
    let acts = dice.between(5, 10);
    for _ in 0..acts {
        plot::act(&mut world, &mut dice);
        world.run(dice.time(ms(200), ms(3000)));
    }
    peace(world)
}

/// Mends everything, lets time pass, and checks what must hold then.
fn peace(mut world: World) -> Played {
    plot::mend(&mut world);
    let mended = world.time();
    let all_answer = |world: &World| {
        let mut groups = 0..world.settings().groups;
        groups.all(|group| {
            world
                .delivery()
                .last_answer(group)
                .is_some_and(|at| at > mended)
        })
    };
    let back = wait(&mut world, BACK, all_answer);
    let agree = |world: &World| world.differences().is_empty();
    let patience = match (world.settings().replicate, world.settings().version) {
        (None, IkeVersion::V2) => AGREE,
        _ => AGREE_LATE,
    };
    let agreed = back + wait(&mut world, patience, agree);
    world.check_pairs();
    world.run((mended + BACK).saturating_sub(world.time()));
    let from = world.time();
    world.run(WATCH);
    world.check_progress(from);
    Played {
        world,
        back,
        agreed,
    }
}

/// Lets time pass until something holds, or for a limited time; how long that was.
fn wait(world: &mut World, limit: Duration, done: impl Fn(&World) -> bool) -> Duration {
    let begun = world.time();
    while world.time() - begun < limit && !done(world) {
        world.run(STEP);
    }
    world.time() - begun
}

/// What the world of a seed is made of.
#[must_use]
pub fn settings(seed: u64, kind: Kind) -> Settings {
    let takeover = kind.takeover;
    let settings = match kind.version {
        IkeVersion::V1 => version_1(renegotiated(seed), seed),
        IkeVersion::V2 => renegotiated(seed),
    };
    if takeover == Takeover::Renegotiate {
        return settings;
    }
    let mut dice = Dice::new(seed ^ 0x7265_706c);
    Settings {
        witness: takeover == Takeover::Witness,
        settle: match takeover {
            Takeover::Witness => SETTLE_WITNESSED,
            _ => settings.settle,
        },
        replicate: Some(Replicate {
            strict: dice.chance(300),
        }),
        front_cluster: dice.chance(350),
        lag: dice.time(Duration::ZERO, ms(2)),
        windows: dice.time(ms(10), ms(20)),
        ..settings
    }
}

/// What it would be made of if nothing were replicated.
fn renegotiated(seed: u64) -> Settings {
    let mut dice = Dice::new(seed ^ 0x7365_7474);
    let modern = Settings::modern();
    let traffic = Traffic {
        probe: dice.time(ms(40), ms(150)),
        push: dice.chance(600).then(|| dice.time(ms(60), ms(400))),
        open: dice.chance(300).then(|| dice.time(ms(100), ms(400))),
        filling: *dice.pick(&[0, 100, 1200]),
    };
    let mut services = modern.services.clone();
    services.address_up = dice.time(ms(0), ms(20));
    services.services_start = dice.time(ms(0), ms(40));
    services.services_stop = dice.time(ms(0), ms(40));
    services.release = dice.time(ms(0), ms(10));
    services.notice = dice.time(ms(0), ms(5));
    Settings {
        ipv6: dice.chance(250),
        groups: dice.between(1, 2) as usize,
        me: dice.chance(500),
        child: ChildLifetime::of(dice.time(ms(4_000), ms(30_000))),
        ike: IkeLifetime::of(dice.time(ms(8_000), ms(60_000))),
        esp: esp(&mut dice),
        port: if dice.chance(250) {
            IkePort::Only4500
        } else {
            IkePort::Standard500
        },
        heartbeat: dice.time(ms(20), ms(60)),
        services,
        traffic,
        usage: dice.time(ms(50), ms(300)),
        neighbour: dice.time(ms(300), ms(3000)),
        link: link(&mut dice),
        ..modern
    }
}

/// With IKEv1: what it can name of the algorithms, or old ones; sometimes with perfect forward
/// secrecy of the pairs, or of the master key too.
fn version_1(settings: Settings, seed: u64) -> Settings {
    let mut dice = Dice::new(seed ^ 0x696b_6531);
    let legacy = dice.chance(250).then_some(Legacy::Windows2003);
    let drawn = settings.esp.clone().into_iter();
    let drawn: Vec<EspProposal> = drawn
        .filter_map(|one| one.admitted(IkeVersion::V1, legacy).ok())
        .collect();
    let mut settings = settings.with_ikev1(legacy);
    if !drawn.is_empty() && dice.chance(500) {
        settings.esp = drawn;
    }
    if dice.chance(250) {
        let group = match legacy {
            Some(_) => Group::Modp1024,
            None => Group::Ecp256,
        };
        for proposal in &mut settings.esp {
            proposal.groups = vec![group];
        }
    }
    settings.quick_modes = *dice.pick(&[0, 0, 0, 1, 3]);
    // Where a main mode has one quick mode, every new pair leaves one that waits for its Delete,
    // and that of Windows is repeated for a minute. Replaced pairs wait longer than those of IKEv2,
    // and where both ends rekey at once there are two new ones.
    settings.limits.ike_sas = 64;
    settings.limits.pairs = 48;
    settings
}

/// A network as it is on an ordinary day.
fn link(dice: &mut Dice) -> Link {
    Link {
        loss: dice.below(20) as u32,
        double: dice.below(20) as u32,
        corrupt: dice.below(3) as u32,
        late: dice.below(30) as u32,
        lateness: ms(10),
        delay: dice.time(Duration::from_micros(50), ms(3)),
        jitter: dice.time(Duration::ZERO, ms(1)),
        ..Link::good()
    }
}

fn esp(dice: &mut Dice) -> Vec<EspProposal> {
    let only = |encryption, integrity: Option<Integrity>| EspProposal {
        encryption: vec![encryption],
        integrity: integrity.into_iter().collect(),
        groups: Vec::new(),
        additional: policy::AdditionalOffer::default(),
        esn: vec![true, false],
    };
    match dice.below(5) {
        0 => vec![only(Encryption::ChaCha20Poly1305, None)],
        1 => vec![only(
            Encryption::AesCbc { key_bits: 128 },
            Some(Integrity::HmacSha2_256_128),
        )],
        2 => vec![EspProposal {
            groups: vec![crypto::Group::Curve25519],
            ..only(Encryption::AesGcm16 { key_bits: 128 }, None)
        }],
        _ => default_esp(),
    }
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}
