//! A picture of a made-up run.

use super::*;
use crate::probe::{Answer, Gap};
use std::time::SystemTime;

#[test]
fn a_run_with_a_gap_is_drawn() {
    let start = Instant::now();
    let at = |ms| start + Duration::from_millis(ms);
    let answers = (0..1000)
        .filter(|ms| !(500..611).contains(ms))
        .map(|ms| Answer {
            number: ms,
            at: at(ms),
            round_trip: Duration::from_micros(250),
        });
    let seen = Seen::new(
        1000,
        answers.collect(),
        (start, at(1000)),
        Duration::from_millis(1),
    );
    let moments = [Moment {
        what: "power-cut",
        at: at(500),
    }];
    let gap = seen.gap(at(500), seen.end);
    assert_eq!(gap.length, Duration::from_millis(112));
    let gaps = [After {
        what: "power-cut",
        gap,
        lost: seen.lost_in(gap),
    }];
    let mut flow = Flow::new(SystemTime::UNIX_EPOCH);
    for ms in 0..1000 {
        let (node, time) = match ms {
            0..500 => ("be1", ms),
            _ => ("be2", ms),
        };
        let time = SystemTime::UNIX_EPOCH + Duration::from_millis(time);
        flow.add(node, time, false, 100);
        flow.add(node, time, true, 120);
    }
    let scene = Scene {
        title: "the active node loses its power",
        note: "takeover renegotiate",
        start,
        moments: &moments,
        gaps: &gaps,
        seen: &seen,
    };
    let svg = draw(&scene, &flow);
    for text in [
        "112 ms, 111 probes lost",
        ">power-cut<",
        "class=\"be1\"",
        "class=\"be2 to\"",
    ] {
        assert!(svg.contains(text), "{text}");
    }
    assert!(svg.contains("prefers-color-scheme: dark") && !svg.contains("NaN"));
    // Nothing at all is a picture too.
    let nothing = Seen::new(0, Vec::new(), (start, at(1)), Duration::from_millis(1));
    let endless = [After {
        what: "power-cut",
        gap: Gap {
            from: start,
            length: Duration::MAX,
        },
        lost: 0,
    }];
    let scene = Scene {
        gaps: &endless,
        seen: &nothing,
        ..scene
    };
    let svg = draw(&scene, &Flow::new(SystemTime::UNIX_EPOCH));
    assert!(svg.contains("no answer") && !svg.contains("NaN"), "{svg}");
}
