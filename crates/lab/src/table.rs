//! The report for people: one table, the KB's figures beside ours.

use std::fmt;

use crate::report::{KB_FIGURES, Outcome, Report};

const HEAD: [&str; 9] = [
    "scenario",
    "outage",
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
            for failure in &s.failures {
                writeln!(f, "{} FAILED: {failure}", s.name)?;
            }
        }
        if let Some(s) = self.scenarios.first() {
            writeln!(
                f,
                "takeover {}, ESP {}, mail by {}, front-end proxy {}; holdfast {} on Linux {}, \
                 {} cores",
                s.takeover,
                s.transport,
                s.service,
                s.proxy,
                self.host.holdfast,
                self.host.kernel,
                self.host.cores,
            )?;
        }
        writeln!(
            f,
            "outage: longest time between two answers to a probe each 10 ms; clear, ESP, IKE: \
             packets on\nthe back network and the heartbeat link; mail: from the event to a mail \
             read over POP3 and IMAP"
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

fn row(s: &Outcome) -> [String; HEAD.len()] {
    let kb: Vec<&str> = KB_FIGURES
        .iter()
        .filter(|k| k.scenario == s.name)
        .map(|k| k.outage)
        .collect();
    [
        s.name.clone(),
        ms(s.outage_ms),
        spread(&s.outages_ms),
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

/// Smallest, median and largest of the outages.
fn spread(outages: &[f64]) -> String {
    let mut sorted = outages.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (sorted.first(), sorted.get(sorted.len() / 2), sorted.last()) {
        (Some(min), Some(median), Some(max)) if sorted.len() > 1 => {
            format!("{}: {min:.0}/{median:.0}/{max:.0}", sorted.len())
        }
        _ => sorted.len().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Host;

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
            outages_ms: vec![310.4, 150.0, 200.0],
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
        assert!(
            line.contains("310 ms") && line.contains("3: 150/200/310"),
            "{text}"
        );
        assert!(line.ends_with("6 min / 2 min"), "{text}");
        assert!(text.contains("crash FAILED: run 2"), "{text}");
    }
}
