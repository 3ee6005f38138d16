//! Throughput over time: ESP to and from the virtual addresses, per node, in steps of 10 ms.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

/// Length of a step.
pub(crate) const STEP: Duration = Duration::from_millis(10);
/// Steps that are kept, which is an hour; what comes later is not counted.
const MOST: usize = 360_000;

/// Bytes of one step: what the node sent, and what was sent to it.
pub(crate) type Bytes = [u32; 2];

/// Bytes per node and step.
#[derive(Clone, Debug)]
pub(crate) struct Flow {
    start: SystemTime,
    nodes: BTreeMap<&'static str, Vec<Bytes>>,
}

impl Flow {
    /// Counts from `start` on.
    pub(crate) fn new(start: SystemTime) -> Self {
        Self {
            start,
            nodes: BTreeMap::new(),
        }
    }

    /// Adds a packet of so many bytes that passed at `time`, to the node or from it.
    pub(crate) fn add(&mut self, node: &'static str, time: SystemTime, to: bool, bytes: usize) {
        let since = time.duration_since(self.start).unwrap_or_default();
        let step = (since.as_micros() / STEP.as_micros()) as usize;
        if step >= MOST {
            return;
        }
        let steps = self.nodes.entry(node).or_default();
        if steps.len() <= step {
            steps.resize(step + 1, [0; 2]);
        }
        if let Some(counted) = steps.get_mut(step) {
            let counted = &mut counted[usize::from(to)];
            *counted = counted.saturating_add(bytes as u32);
        }
    }

    /// The steps of a node from the start on; steps at the end in which nothing passed are missing.
    pub(crate) fn steps(&self, node: &str) -> &[Bytes] {
        self.nodes.get(node).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_fall_into_their_steps() {
        let start = SystemTime::UNIX_EPOCH;
        let mut flow = Flow::new(start);
        let at = |ms| start + Duration::from_millis(ms);
        for (ms, to, bytes) in [
            (0, false, 100),
            (9, false, 1),
            (10, true, 7),
            (35, false, 5),
        ] {
            flow.add("be1", at(ms), to, bytes);
        }
        assert_eq!(flow.steps("be1"), [[101, 0], [0, 7], [0, 0], [5, 0]]);
        assert_eq!(flow.steps("be2"), [] as [Bytes; 0]);
        flow.add("be1", at(4_000_000), false, 1);
        assert_eq!(flow.steps("be1").len(), 4);
    }
}
