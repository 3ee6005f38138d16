//! The few marks of SVG 1.1 that a picture of the lab is made of.

use std::fmt::{Display, Write};

/// A picture that grows.
#[derive(Debug)]
pub(crate) struct Svg {
    text: String,
}

/// Where a text stands, seen from its point.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Anchor {
    Start,
    Middle,
    End,
}

impl Svg {
    /// An empty picture of so many points, with the classes that `style` describes.
    pub(crate) fn new((width, height): (f64, f64), title: &str, style: &str) -> Self {
        let title = escape(title);
        let text = format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {width} {height}\" \
             width=\"{width}\" height=\"{height}\" role=\"img\" aria-label=\"{title}\">\n\
             <title>{title}</title>\n<style>\n{style}</style>\n\
             <rect class=\"paper\" width=\"{width}\" height=\"{height}\" rx=\"6\"/>\n"
        );
        Self { text }
    }

    /// A rectangle between two corners.
    pub(crate) fn rect(&mut self, class: &str, (x0, y0): (f64, f64), (x1, y1): (f64, f64)) {
        let (width, height) = (x1 - x0, y1 - y0);
        self.line(format_args!(
            "<rect class=\"{class}\" x=\"{x0:.1}\" y=\"{y0:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\"/>"
        ));
    }

    /// A path, in the words of its attribute `d`.
    pub(crate) fn path(&mut self, class: &str, d: &str) {
        self.line(format_args!("<path class=\"{class}\" d=\"{d}\"/>"));
    }

    /// A straight line.
    pub(crate) fn rule(&mut self, class: &str, (x0, y0): (f64, f64), (x1, y1): (f64, f64)) {
        self.path(class, &format!("M{x0:.1} {y0:.1}L{x1:.1} {y1:.1}"));
    }

    /// A line of text.
    pub(crate) fn text(&mut self, class: &str, anchor: Anchor, (x, y): (f64, f64), text: &str) {
        let anchor = match anchor {
            Anchor::Start => "start",
            Anchor::Middle => "middle",
            Anchor::End => "end",
        };
        self.line(format_args!(
            "<text class=\"{class}\" text-anchor=\"{anchor}\" x=\"{x:.1}\" y=\"{y:.1}\">{}</text>",
            escape(text)
        ));
    }

    /// A line of text that reads upwards, its middle at a point.
    pub(crate) fn upwards(&mut self, class: &str, (x, y): (f64, f64), text: &str) {
        self.line(format_args!(
            "<text class=\"{class}\" text-anchor=\"middle\" \
             transform=\"translate({x:.1} {y:.1}) rotate(-90)\">{}</text>",
            escape(text)
        ));
    }

    /// The whole file.
    pub(crate) fn finish(mut self) -> String {
        self.text.push_str("</svg>\n");
        self.text
    }

    fn line(&mut self, what: impl Display) {
        // Writing to a String does not fail.
        let _ = writeln!(self.text, "{what}");
    }
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_drawn_is_written() {
        let mut svg = Svg::new((10.0, 20.0), "a & b", "");
        svg.rule("axis", (0.0, 1.0), (10.0, 1.0));
        svg.text("name", Anchor::End, (3.0, 4.0), "1 < 2");
        let text = svg.finish();
        assert!(text.starts_with("<svg ") && text.ends_with("</svg>\n"));
        assert!(text.contains("<title>a &amp; b</title>"), "{text}");
        assert!(text.contains("d=\"M0.0 1.0L10.0 1.0\""), "{text}");
        assert!(
            text.contains("text-anchor=\"end\" x=\"3.0\" y=\"4.0\">1 &lt; 2</text>"),
            "{text}"
        );
    }
}
