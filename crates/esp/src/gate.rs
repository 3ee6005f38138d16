//! Which buckets this host may send and receive for: one entry per bucket, compared lazily by SAs.

use policy::sa::Bucket;

/// Whether a bucket's SAs may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gate {
    /// Another host owns the bucket, or nobody.
    Closed,
    /// This host owns it, in this epoch.
    Open(u16),
    /// This host has handed it over and knows the new owner.
    Elsewhere,
}

/// The gates of one direction. Turning one costs the same for ten SAs as for a hundred thousand.
pub(crate) struct Gates {
    gates: [Gate; Bucket::COUNT],
    /// The epoch in which each was open last.
    epochs: [Option<u16>; Bucket::COUNT],
}

impl Gates {
    /// All closed but that of [`Bucket::HOST`].
    pub(crate) fn new() -> Self {
        let mut gates = [Gate::Closed; Bucket::COUNT];
        gates[usize::from(Bucket::HOST.0)] = Gate::Open(0);
        Gates {
            gates,
            epochs: [None; Bucket::COUNT],
        }
    }

    /// Turns the gate of a bucket. That of [`Bucket::HOST`] stays open.
    pub(crate) fn set(&mut self, bucket: Bucket, gate: Gate) {
        if bucket.is_host() {
            return;
        }
        self.gates[usize::from(bucket.0)] = gate;
        if let Gate::Open(epoch) = gate {
            self.epochs[usize::from(bucket.0)] = Some(epoch);
        }
    }

    /// How the gate of a bucket stands.
    #[inline]
    pub(crate) fn get(&self, bucket: Bucket) -> Gate {
        self.gates[usize::from(bucket.0)]
    }

    /// The epoch in which a bucket's gate was open last, if it ever was.
    pub(crate) fn last_epoch(&self, bucket: Bucket) -> Option<u16> {
        self.epochs[usize::from(bucket.0)]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_gate_but_the_hosts_begins_closed_and_turns_alone() {
        let mut gates = Gates::new();
        let (one, other) = (Bucket(1), Bucket(255));
        assert_eq!(gates.get(Bucket::HOST), Gate::Open(0));
        assert_eq!([gates.get(one), gates.get(other)], [Gate::Closed; 2]);
        gates.set(other, Gate::Open(7));
        assert_eq!(
            [gates.get(one), gates.get(other)],
            [Gate::Closed, Gate::Open(7)]
        );
        gates.set(other, Gate::Elsewhere);
        assert_eq!(gates.get(other), Gate::Elsewhere);
        assert_eq!(gates.last_epoch(other), Some(7));
        assert_eq!(gates.last_epoch(one), None);
    }

    #[test]
    fn the_hosts_gate_cannot_be_closed() {
        let mut gates = Gates::new();
        gates.set(Bucket::HOST, Gate::Closed);
        assert_eq!(gates.get(Bucket::HOST), Gate::Open(0));
        gates.set(Bucket::HOST, Gate::Open(9));
        assert_eq!(gates.get(Bucket::HOST), Gate::Open(0));
    }
}
