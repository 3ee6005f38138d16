//! The links between the members of a cluster, as a TCP connection gives them: what is sent over
//! one arrives in order or the link goes down, and each side notices at its own time.

use std::collections::VecDeque;
use std::time::Duration;

use cluster::Parcel;

use crate::dice::Dice;
use crate::frame::HostId;
use crate::network::Network;

/// How long sent octets may stay unacknowledged.
const PATIENCE: (Duration, Duration) = (Duration::from_millis(1800), Duration::from_secs(3));
/// Pause before a new connection.
const PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(400));
/// How late one side may notice what the other has noticed.
const APART: Duration = Duration::from_millis(200);
/// How long a lost segment takes to come again.
const AGAIN: (Duration, Duration) = (Duration::from_millis(5), Duration::from_millis(220));

/// What a member is to be told of a link.
pub(crate) struct Seen {
    /// When, counted from now.
    pub(crate) after: Duration,
    /// Which link, and which end of it.
    pub(crate) link: usize,
    pub(crate) end: usize,
    /// The connection.
    pub(crate) stream: u64,
    pub(crate) up: bool,
}

/// A message on its way.
struct Flying {
    at: Duration,
    message: Parcel,
    /// When the sender's data plane had last told of its windows.
    reported: Duration,
}

enum State {
    /// A connection may be made from then on.
    Down(Duration),
    /// It is up; if nothing is acknowledged, until then.
    Up(Option<Duration>),
}

struct Link {
    ends: [HostId; 2],
    /// The lives of the processes that made the connection.
    lives: [(u64, u64); 2],
    state: State,
    stream: u64,
    path: usize,
    /// What each end believes to be up.
    seen: [Option<u64>; 2],
    /// What flies to each end, and when the last of it lands.
    flying: [VecDeque<Flying>; 2],
    last: [Duration; 2],
}

/// A process at the end of a link.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) life: (u64, u64),
    pub(crate) there: bool,
    pub(crate) frozen: bool,
    pub(crate) powered: bool,
}

/// All links of a world.
pub(crate) struct Links {
    links: Vec<Link>,
    /// How much longer everything takes at a host.
    pub(crate) slow: Vec<Duration>,
    /// Links that an operator, or a switch, has cut: nothing else suffers.
    pub(crate) cut: Vec<(HostId, HostId)>,
}

impl Links {
    pub(crate) fn new(pairs: Vec<[HostId; 2]>, hosts: usize) -> Self {
        let link = |ends| Link {
            ends,
            lives: [(0, 0); 2],
            state: State::Down(Duration::ZERO),
            stream: 0,
            path: 1,
            seen: [None; 2],
            flying: [VecDeque::new(), VecDeque::new()],
            last: [Duration::ZERO; 2],
        };
        Links {
            links: pairs.into_iter().map(link).collect(),
            slow: vec![Duration::ZERO; hosts],
            cut: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.links.len()
    }

    /// The end of a link.
    pub(crate) fn end(&self, link: usize, end: usize) -> HostId {
        self.links[link].ends[end]
    }

    /// Sends a message; when it will arrive, and where.
    pub(crate) fn send(
        &mut self,
        (from, to): (HostId, HostId),
        message: Parcel,
        reported: Duration,
        network: &Network,
        now: Duration,
        dice: &mut Dice,
    ) -> Option<(Duration, usize, usize)> {
        let (number, link) = self
            .links
            .iter_mut()
            .enumerate()
            .find(|(_, link)| link.ends.contains(&from) && link.ends.contains(&to))?;
        let end = usize::from(link.ends[1] == to);
        let up = matches!(link.state, State::Up(_)) && link.seen[1 - end] == Some(link.stream);
        if !up {
            return None;
        }
        let (delay, lost) = network.segment(from, to, link.path, dice);
        let again = match lost {
            true => dice.time(AGAIN.0, AGAIN.1),
            false => Duration::ZERO,
        };
        let at = now + delay + again + self.slow[from] + self.slow[to];
        let at = at.max(link.last[end]);
        link.last[end] = at;
        link.flying[end].push_back(Flying {
            at,
            message,
            reported,
        });
        Some((at - now, number, end))
    }

    /// What has arrived at an end of a link, in order.
    pub(crate) fn arrivals(
        &mut self,
        number: usize,
        end: usize,
        network: &Network,
        now: Duration,
    ) -> Vec<(Parcel, Duration)> {
        let cut = self.is_cut(number, 1 - end, network);
        let link = &mut self.links[number];
        if cut || link.seen[end] != Some(link.stream) {
            return Vec::new();
        }
        let mut arrived = Vec::new();
        while link.flying[end].front().is_some_and(|one| one.at <= now) {
            let one = link.flying[end].pop_front();
            arrived.extend(one.map(|one| (one.message, one.reported)));
        }
        arrived
    }

    /// Whether nothing passes from an end to the other.
    fn is_cut(&self, number: usize, from: usize, network: &Network) -> bool {
        let link = &self.links[number];
        let (from, to) = (link.ends[from], link.ends[1 - from]);
        network.is_cut(from, to, link.path)
            || self.cut.contains(&(from, to))
            || self.cut.contains(&(to, from))
    }

    /// An end notices; whether that is news.
    pub(crate) fn notice(&mut self, seen: &Seen) -> bool {
        let link = &mut self.links[seen.link];
        match seen.up {
            true if link.stream == seen.stream && matches!(link.state, State::Up(_)) => {
                link.seen[seen.end] = Some(seen.stream);
                true
            }
            false if link.seen[seen.end] == Some(seen.stream) => {
                link.seen[seen.end] = None;
                true
            }
            _ => false,
        }
    }

    /// Time passes on a link between these processes.
    pub(crate) fn tick(
        &mut self,
        number: usize,
        processes: [Process; 2],
        network: &Network,
        now: Duration,
        dice: &mut Dice,
    ) -> Vec<Seen> {
        for (end, process) in processes.iter().enumerate() {
            if !process.there || process.life != self.links[number].lives[end] {
                self.links[number].seen[end] = None;
            }
        }
        let stuck = (0..2).any(|from| self.is_cut(number, from, network));
        let ends = self.links[number].ends;
        match self.links[number].state {
            State::Up(until) => {
                let link = &mut self.links[number];
                let dead = |end: &usize| {
                    let process = processes[*end];
                    !process.there || process.life != link.lives[*end]
                };
                let died = (0..2).find(dead);
                // A kernel that is up says that nobody listens any more.
                let refused = died.is_some_and(|end| processes[end].powered) && !stuck;
                let silent = stuck || died.is_some();
                let until = match silent {
                    true => Some(until.unwrap_or_else(|| now + dice.time(PATIENCE.0, PATIENCE.1))),
                    false => None,
                };
                link.state = State::Up(until);
                match refused || until.is_some_and(|until| until <= now) {
                    true => self.fall(number, now, dice),
                    false => Vec::new(),
                }
            }
            State::Down(at) => {
                let able = processes.iter().all(|one| one.there && !one.frozen);
                let noticed = self.links[number].seen == [None; 2];
                let path = (0..2).rev().find(|path| {
                    !network.is_cut(ends[0], ends[1], *path)
                        && !network.is_cut(ends[1], ends[0], *path)
                });
                match path {
                    Some(path) if able && noticed && at <= now && !self.forbidden(ends) => {
                        self.rise(number, path, processes, now, dice)
                    }
                    _ => Vec::new(),
                }
            }
        }
    }

    fn forbidden(&self, [one, other]: [HostId; 2]) -> bool {
        self.cut.contains(&(one, other)) || self.cut.contains(&(other, one))
    }

    fn fall(&mut self, number: usize, now: Duration, dice: &mut Dice) -> Vec<Seen> {
        let link = &mut self.links[number];
        link.state = State::Down(now + dice.time(PAUSE.0, PAUSE.1));
        link.flying = [VecDeque::new(), VecDeque::new()];
        let stream = link.stream;
        let seen = |end: usize| Seen {
            after: dice.time(Duration::ZERO, APART),
            link: number,
            end,
            stream,
            up: false,
        };
        [0, 1].map(seen).into()
    }

    fn rise(
        &mut self,
        number: usize,
        path: usize,
        processes: [Process; 2],
        now: Duration,
        dice: &mut Dice,
    ) -> Vec<Seen> {
        let link = &mut self.links[number];
        link.stream += 1;
        link.state = State::Up(None);
        link.path = path;
        link.lives = processes.map(|process| process.life);
        link.last = [now; 2];
        let stream = link.stream;
        let seen = |end: usize| Seen {
            after: dice.time(Duration::from_millis(1), Duration::from_millis(8)),
            link: number,
            end,
            stream,
            up: true,
        };
        [0, 1].map(seen).into()
    }
}
