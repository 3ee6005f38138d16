//! The report for people: one table, the KB's figures beside ours.

use std::fmt;

use crate::oracle::Findings;
use crate::report::{KB_FIGURES, Outcome, Report};

const HEAD: [&str; 11] = [
    "scenario",
    "outage",
    "p50",
    "p99",
    "of runs",
    "lost",
    "mail",
    "clear",
    "ESP",
    "IKE after",
    "KB821839",
];

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut rows = vec![HEAD.map(str::to_owned)];
        rows.extend(self.scenarios.iter().map(row));
        let mut widths = [0; HEAD.len()];
        for row in &rows {
            for (width, cell) in widths.iter_mut().zip(row) {
                *width = (*width).max(cell.chars().count());
            }
        }
        for row in &rows {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(&format!("{cell:width$}  "));
            }
            writeln!(f, "{}", line.trim_end())?;
        }
        writeln!(f)?;
        for s in &self.scenarios {
            // One event alone is what the row says.
            for event in s.events.iter().filter(|_| s.events.len() > 1) {
                let [p50, p99, max] = [event.p50_ms, event.p99_ms, event.max_ms].map(ms);
                let (scenario, name, lost) = (&s.name, &event.name, event.probes_lost);
                writeln!(
                    f,
                    "{scenario}, {name}: {p50} / {p99} / {max}, {lost} probes lost"
                )?;
            }
        }
        for s in &self.scenarios {
            for failure in &s.failures {
                writeln!(f, "{} FAILED: {failure}", s.name)?;
            }
        }
        if let Some(s) = self.scenarios.first() {
            writeln!(
                f,
                "front end {} with {}, takeover {}, ESP {}, {} more SAs, mail by {}, \
                 front-end proxy {}; holdfast {} on Linux {}, {} cores",
                s.front_end,
                s.ike,
                s.takeover,
                s.transport,
                s.more_sas,
                s.service,
                s.proxy,
                self.host.holdfast,
                self.host.kernel,
                self.host.cores,
            )?;
        }
        self.oracle(f)?;
        writeln!(
            f,
            "outage: longest time between two answers to a probe each {} ms, the worst of all \
             runs; clear, ESP,\nIKE: packets on the back network and the heartbeat link; mail: \
             from the event to a mail read over\nPOP3 and IMAP",
            self.scenarios.first().map_or(0.0, |s| s.probe_interval_ms),
        )?;
        for figure in KB_FIGURES {
            writeln!(
                f,
                "KB821839, {}: {} ({})",
                figure.scenario, figure.outage, figure.why
            )?;
        }
        Ok(())
    }
}

impl Report {
    /// What the wire oracle saw, in one line.
    fn oracle(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut all = Findings::default();
        for s in &self.scenarios {
            all.add(s.oracle.clone());
        }
        match all.sas {
            0 => Ok(()),
            _ => write!(f, "{all}"),
        }
    }
}

fn row(s: &Outcome) -> [String; HEAD.len()] {
    let kb: Vec<&str> = KB_FIGURES
        .iter()
        .filter(|k| k.scenario == s.name)
        .map(|k| k.outage)
        .collect();
    [
        s.name.clone(),
        ms(s.outage_ms),
        ms(s.p50_ms),
        ms(s.p99_ms),
        s.outages_ms.len().to_string(),
        format!("{}/{}", s.probes_lost, s.probes_sent),
        s.mail_ms.map_or("none".into(), ms),
        s.clear_packets.to_string(),
        s.esp_packets.to_string(),
        s.ike_messages_after.to_string(),
        if kb.is_empty() {
            "-".into()
        } else {
            kb.join(" / ")
        },
    ]
}

fn ms(value: f64) -> String {
    if value > 1e6 {
        "no answer".into()
    } else {
        format!("{value:.0} ms")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{Event, Host};

    fn event(name: &str, gap_ms: f64) -> Event {
        let mut event = Event {
            name: name.into(),
            ..Event::default()
        };
        event.add(gap_ms, 5);
        event
    }

    #[test]
    fn our_figures_stand_beside_the_articles() {
        let host = Host {
            kernel: "6.1".into(),
            cores: 2,
            holdfast: "0.1.0".into(),
        };
        let crash = Outcome {
            name: "crash".into(),
            outage_ms: 310.4,
            p50_ms: 200.0,
            p99_ms: 310.4,
            outages_ms: vec![310.4, 150.0, 200.0],
            events: vec![event("crash", 310.0), event("move back", 21.0)],
            oracle: Findings {
                packets: [("be1".to_owned(), 7)].into(),
                sas: 2,
                ..Findings::default()
            },
            failures: vec!["run 2: no ESP packet was seen".into()],
            ..Outcome::default()
        };
        let text = Report {
            schema: 1,
            host,
            scenarios: vec![crash],
        }
        .to_string();
        let line = text.lines().nth(1).unwrap_or_default();
        assert!(line.contains("310 ms  200 ms  310 ms  3"), "{text}");
        assert!(line.ends_with("6 min / 2 min"), "{text}");
        assert!(text.contains("crash FAILED: run 2"), "{text}");
        assert!(
            text.contains("crash, move back: 21 ms / 21 ms / 21 ms, 5 probes"),
            "{text}"
        );
        assert!(text.contains("ESP 7 from be1, 2 SAs"), "{text}");
    }
}
