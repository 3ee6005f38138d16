//! The picture of a run: ESP per node over time, and below it the probe's round trips and gaps.

mod scale;
mod svg;

use std::fmt::Write;
use std::time::{Duration, Instant};

use crate::acts::Moment;
use crate::flow::{Flow, STEP};
use crate::probe::Seen;
use crate::verdict::After;
use scale::{Linear, Log, round_step};
use svg::{Anchor, Svg};

const WIDTH: f64 = 960.0;
const HEIGHT: f64 = 520.0;
/// Left and right end of both panels.
const ACROSS: (f64, f64) = (76.0, 936.0);
/// Bottom and top of the throughput.
const UPPER: (f64, f64) = (292.0, 92.0);
/// Bottom and top of the round trips.
const LOWER: (f64, f64) = (470.0, 330.0);
/// The nodes, each with the class of its colour.
const NODES: [&str; 3] = ["be1", "be2", "be3"];
/// A silence shorter than this, in which nothing was lost, is not shaded.
const SHADED: Duration = Duration::from_millis(20);

/// Colours for light paper, and for dark.
const STYLE: &str = "\
text { font: 12px system-ui, 'DejaVu Sans', sans-serif; fill: #3b4252; }
.paper { fill: #ffffff; }
.title { font-size: 17px; font-weight: 600; fill: #1f2430; }
.name, .mark { fill: #6b7280; }
.grid { stroke: #e7e9ee; fill: none; }
.axis { stroke: #9aa1ad; fill: none; }
.be1 { fill: #2f6fdb; } .be2 { fill: #e8871e; } .be3 { fill: #8a4fd0; }
.to { opacity: 0.55; }
.probe { stroke: #2a9d78; stroke-width: 1.2; fill: none; }
.gap { fill: #d6336c; opacity: 0.16; }
.cost { fill: #b02a58; font-weight: 600; }
.event { stroke: #1f2430; stroke-dasharray: 3 3; fill: none; }
.what { fill: #1f2430; font-weight: 600; }
@media (prefers-color-scheme: dark) {
text { fill: #c8cdd8; }
.paper { fill: #15181e; }
.title, .what { fill: #f2f4f8; }
.name, .mark { fill: #8f97a6; }
.grid { stroke: #272c36; }
.axis { stroke: #5c6472; }
.be1 { fill: #6aa2ff; } .be2 { fill: #ffb054; } .be3 { fill: #bd8cff; }
.probe { stroke: #58d3a8; }
.gap { fill: #ff6b9d; opacity: 0.22; }
.cost { fill: #ff8fb4; }
.event { stroke: #f2f4f8; }
}
";

/// What there is to draw besides the flow.
pub(crate) struct Scene<'a> {
    /// What happens, in one line.
    pub(crate) title: &'a str,
    /// Under which conditions, in one line.
    pub(crate) note: &'a str,
    /// When the flow began.
    pub(crate) start: Instant,
    /// The events.
    pub(crate) moments: &'a [Moment],
    /// What each of them cost.
    pub(crate) gaps: &'a [After],
    /// What the probe saw.
    pub(crate) seen: &'a Seen,
}

/// Draws it, as an SVG file.
pub(crate) fn draw(scene: &Scene<'_>, flow: &Flow) -> String {
    let mut svg = Svg::new((WIDTH, HEIGHT), scene.title, STYLE);
    let time = scene.time();
    svg.text("title", Anchor::Start, (ACROSS.0, 34.0), scene.title);
    svg.text("name", Anchor::Start, (ACROSS.0, 53.0), scene.note);
    legend(&mut svg, flow);
    shade(&mut svg, scene, &time);
    throughput(&mut svg, scene, flow, &time);
    round_trips(&mut svg, scene, &time);
    seconds(&mut svg, &time);
    events(&mut svg, scene, &time);
    costs(&mut svg, scene, &time);
    svg.finish()
}

impl Scene<'_> {
    /// The origin of the time axis: the first event, if there is one.
    fn origin(&self) -> Instant {
        self.moments
            .first()
            .map_or(self.seen.start, |moment| moment.at)
    }

    /// Seconds since the origin.
    fn since(&self, at: Instant) -> f64 {
        let origin = self.origin();
        let before = origin.saturating_duration_since(at).as_secs_f64();
        at.saturating_duration_since(origin).as_secs_f64() - before
    }

    fn time(&self) -> Linear {
        Linear {
            values: (self.since(self.seen.start), self.since(self.seen.end)),
            points: ACROSS,
        }
    }
}

/// A third node is told of where it said something.
fn legend(svg: &mut Svg, flow: &Flow) {
    let seen = |node: &&&str| NODES[..2].contains(node) || !flow.steps(node).is_empty();
    for (place, node) in (1..).zip(NODES.iter().rev().filter(seen)) {
        let x = ACROSS.1 - f64::from(place) * 52.0;
        svg.rect(node, (x, 24.0), (x + 11.0, 35.0));
        svg.text("", Anchor::Start, (x + 16.0, 34.0), node);
    }
}

/// The times without an answer, through both panels.
fn shade(svg: &mut Svg, scene: &Scene<'_>, time: &Linear) {
    for after in scene.shaded() {
        let from = time.at(scene.since(after.gap.from));
        let to = time.at(scene.since(after.gap.from) + after.gap.length.as_secs_f64());
        svg.rect("gap", (from, UPPER.1), (to.max(from + 1.5), LOWER.0));
    }
}

impl<'a> Scene<'a> {
    fn shaded(&self) -> impl Iterator<Item = &'a After> {
        let shaded = |after: &&After| after.lost > 0 || after.gap.length >= SHADED;
        self.gaps.iter().filter(shaded)
    }
}

/// What was sent from the virtual addresses above the line, what was sent to them below.
fn throughput(svg: &mut Svg, scene: &Scene<'_>, flow: &Flow, time: &Linear) {
    let shown = |step: usize| {
        let at = scene.start + STEP * step as u32;
        at >= scene.seen.start && at <= scene.seen.end
    };
    let steps = NODES
        .iter()
        .flat_map(|node| flow.steps(node).iter().enumerate());
    let seen = steps.filter(|(step, _)| shown(*step));
    let most = seen.map(|(_, bytes)| bytes[0].max(bytes[1])).max();
    let most = f64::from(most.unwrap_or(0).max(1000));
    let (unit, name) = if most < 1e6 { (1e3, "kB") } else { (1e6, "MB") };
    let step = round_step(most / 2.0);
    let top = (most / step).ceil() * step;
    let up = Linear {
        values: (-top, top),
        points: UPPER,
    };
    for mark in up.marks(4) {
        let y = up.at(mark);
        let class = if mark == 0.0 { "axis" } else { "grid" };
        svg.rule(class, (ACROSS.0, y), (ACROSS.1, y));
        let text = short_number(mark.abs() / unit);
        svg.text("mark", Anchor::End, (ACROSS.0 - 8.0, y + 4.0), &text);
    }
    let middle = f64::midpoint(UPPER.0, UPPER.1);
    svg.upwards("name", (22.0, middle), &format!("ESP, {name} per 10 ms"));
    svg.upwards("name", (38.0, (UPPER.1 + middle) / 2.0), "from the VIP");
    svg.upwards("name", (38.0, (UPPER.0 + middle) / 2.0), "to the VIP");
    for node in NODES {
        for (way, sign) in [(0, 1.0), (1, -1.0)] {
            let (mut d, width) = (String::new(), STEP.as_secs_f64());
            for (step, bytes) in flow.steps(node).iter().enumerate() {
                if bytes[way] == 0 || !shown(step) {
                    continue;
                }
                let at = scene.since(scene.start + STEP * step as u32);
                let (x0, x1) = (time.at(at), time.at(at + width));
                let y = up.at(sign * f64::from(bytes[way]));
                let zero = up.at(0.0);
                let _ = write!(d, "M{x0:.1} {zero:.1}V{y:.1}H{x1:.1}V{zero:.1}Z");
            }
            let class = if way == 0 {
                node.to_owned()
            } else {
                format!("{node} to")
            };
            svg.path(&class, &d);
        }
    }
}

/// From the quickest to the slowest answer of each point of the time axis.
fn round_trips(svg: &mut Svg, scene: &Scene<'_>, time: &Linear) {
    let milliseconds = |trip: Duration| trip.as_secs_f64() * 1e3;
    let trips = scene
        .seen
        .answers
        .iter()
        .map(|answer| milliseconds(answer.round_trip));
    let most = trips.fold(1.0, f64::max);
    let up = Log {
        values: (0.1, 10f64.powf(most.log10().ceil()).max(10.0)),
        points: LOWER,
    };
    for mark in up.marks() {
        let y = up.at(mark);
        svg.rule("grid", (ACROSS.0, y), (ACROSS.1, y));
        svg.text(
            "mark",
            Anchor::End,
            (ACROSS.0 - 8.0, y + 4.0),
            &short_number(mark),
        );
    }
    svg.upwards(
        "name",
        (22.0, f64::midpoint(LOWER.0, LOWER.1)),
        "probe, ms there and back",
    );
    let mut columns: Vec<Option<(f64, f64)>> = vec![None; WIDTH as usize];
    for answer in &scene.seen.answers {
        let x = time.at(scene.since(answer.at)) as usize;
        let y = up.at(milliseconds(answer.round_trip));
        if let Some(column) = columns.get_mut(x) {
            let (low, high) = column.unwrap_or((y, y));
            *column = Some((low.min(y), high.max(y)));
        }
    }
    let mut d = String::new();
    for (x, column) in columns.iter().enumerate() {
        if let Some((high, low)) = column {
            let _ = write!(d, "M{x}.5 {:.1}V{:.1}", low + 0.6, high - 0.6);
        }
    }
    svg.path("probe", &d);
}

fn seconds(svg: &mut Svg, time: &Linear) {
    svg.rule("axis", (ACROSS.0, LOWER.0), (ACROSS.1, LOWER.0));
    for mark in time.marks(8) {
        let x = time.at(mark);
        svg.rule("axis", (x, LOWER.0), (x, LOWER.0 + 5.0));
        svg.text(
            "mark",
            Anchor::Middle,
            (x, LOWER.0 + 19.0),
            &short_number(mark),
        );
    }
    let middle = f64::midpoint(ACROSS.0, ACROSS.1);
    svg.text("name", Anchor::Middle, (middle, LOWER.0 + 38.0), "seconds");
}

/// Events are named above the panels, in rows where they are close to each other.
fn events(svg: &mut Svg, scene: &Scene<'_>, time: &Linear) {
    let mut before = f64::MIN;
    let mut row = 0.0;
    for moment in scene.moments {
        let x = time.at(scene.since(moment.at));
        row = if x - before < 110.0 { 16.0 - row } else { 0.0 };
        before = x;
        svg.rule("event", (x, UPPER.1 - 8.0 - row), (x, LOWER.0));
        svg.text(
            "what",
            Anchor::Middle,
            (x, UPPER.1 - 12.0 - row),
            moment.what,
        );
    }
}

/// What each silence cost, beside it.
fn costs(svg: &mut Svg, scene: &Scene<'_>, time: &Linear) {
    for (number, after) in (0..).zip(scene.shaded()) {
        let from = time.at(scene.since(after.gap.from));
        let to = time.at(scene.since(after.gap.from) + after.gap.length.as_secs_f64());
        let (anchor, x) = match to + 190.0 < ACROSS.1 {
            true => (Anchor::Start, to + 6.0),
            false => (Anchor::End, from - 6.0),
        };
        let y = LOWER.1 + 14.0 + 16.0 * f64::from(number % 3);
        let length = after.gap.length.as_secs_f64() * 1e3;
        let text = match length < 1e6 {
            true => format!("{length:.0} ms, {} probes lost", after.lost),
            false => "no answer".to_owned(),
        };
        svg.text("cost", anchor, (x, y), &text);
    }
}

/// A number with no more digits than it needs.
fn short_number(number: f64) -> String {
    let text = format!("{number:.2}");
    let text = text.trim_end_matches('0').trim_end_matches('.');
    if text == "-0" {
        "0".into()
    } else {
        text.into()
    }
}

#[cfg(test)]
mod tests;
