//! Plots as SVG: points on linear or logarithmic axes, joined or not, in colours that a style gives to classes; and the style
//! of the pages that they stand in ([`page`]).

mod drawn;
pub mod page;
mod scale;

use scale::Scale;
pub use scale::round_step;

/// Colours that there are; others begin again.
pub const COLOURS: usize = 9;

/// Width and height of a plot, and the room around its axes (pixels): left, right, above, below.
const SIZE: [f64; 2] = [640.0, 380.0];
const ROOM: [f64; 4] = [92.0, 150.0, 16.0, 54.0];
/// Height of a line of text.
const LINE: f64 = 17.0;
/// Largest number that is drawn: what has no bounds has lost its meaning, and differences stay within f64.
const LARGEST: f64 = 1e60;

/// A quantity along an axis.
#[derive(Debug, Clone)]
pub struct PlotAxis {
    /// The quantity and its unit.
    pub label: String,
    /// Whether decades are as wide as each other.
    pub logarithmic: bool,
    /// Whether zero is on the axis, wherever the values are; only of a linear axis.
    pub from_zero: bool,
}

impl PlotAxis {
    /// A linear axis that has zero on it.
    pub fn linear(label: impl Into<String>) -> Self {
        Self {
            label: label.into(),
            logarithmic: false,
            from_zero: true,
        }
    }

    /// A linear axis over the values, wherever they are.
    pub fn close(label: impl Into<String>) -> Self {
        Self {
            from_zero: false,
            ..Self::linear(label)
        }
    }

    /// A logarithmic axis.
    pub fn logarithmic(label: impl Into<String>) -> Self {
        Self {
            logarithmic: true,
            ..Self::linear(label)
        }
    }

    /// Its label as it stands in SVG, with what its numbers are counted from.
    fn told(&self, from: Option<&str>) -> String {
        let from = from.map_or_else(String::new, |from| format!(", counted from {from}"));
        escaped(&(self.label.clone() + &from))
    }
}

/// How the points of a series are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Drawn {
    /// A mark each.
    Marks,
    /// A mark each, and a line that joins them.
    Joined,
    /// A line alone.
    Line,
    /// The area between y less its error and y with it, on a linear axis.
    Band,
    /// A bar each, from zero on.
    Bars,
}

/// Points of one kind.
#[derive(Debug, Clone)]
pub struct PlotSeries {
    /// What they are, beside the last of them; nothing of a series that belongs to another.
    pub name: String,
    /// Which of the page's colours.
    pub colour: usize,
    /// x, y, and the standard error of y.
    pub points: Vec<[f64; 3]>,
    /// How they are drawn.
    pub drawn: Drawn,
}

impl PlotSeries {
    /// Points under a name, in one of the page's colours.
    pub fn new(name: &str, colour: usize, points: Vec<[f64; 3]>, drawn: Drawn) -> Self {
        Self {
            name: name.to_owned(),
            colour,
            points,
            drawn,
        }
    }
}

/// A plot.
#[derive(Debug, Clone)]
pub struct Plot {
    /// What it shows.
    pub title: String,
    /// The axis across.
    pub x: PlotAxis,
    /// The axis upwards.
    pub y: PlotAxis,
    /// What is drawn.
    pub series: Vec<PlotSeries>,
}

impl Plot {
    /// The plot as an SVG element; a sentence where there is nothing to show.
    pub fn svg(&self) -> String {
        let series = self.shown();
        let Some((x, y)) = self.scales(&series) else {
            return "<p>Nothing was measured of it.</p>\n".to_owned();
        };
        let mut out = format!(
            "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"{}\">\n",
            SIZE[0],
            SIZE[1],
            escaped(&self.title)
        );
        self.axes(&mut out, &x, &y);
        for one in &series {
            drawn::series(&mut out, one, &x, &y);
        }
        drawn::names(&mut out, &series, &y);
        out + "</svg>\n"
    }

    /// The series with the points that the axes can show.
    fn shown(&self) -> Vec<PlotSeries> {
        let seen = |value: f64, axis: &PlotAxis| {
            value.abs() < LARGEST && (!axis.logarithmic || value > 0.0)
        };
        let mut series = self.series.clone();
        for one in &mut series {
            one.points
                .retain(|[x, y, _]| seen(*x, &self.x) && seen(*y, &self.y));
            for [_, _, error] in &mut one.points {
                *error = if error.abs() < LARGEST { *error } else { 0.0 };
            }
        }
        series.retain(|one| !one.points.is_empty());
        series
    }

    /// Scales across and upwards; `None` where there is nothing to show.
    fn scales(&self, series: &[PlotSeries]) -> Option<(Scale, Scale)> {
        let mut xs: Vec<f64> = Vec::new();
        let mut ys: Vec<f64> = Vec::new();
        for one in series {
            xs.extend(one.points.iter().map(|p| p[0]));
            if let (Drawn::Bars, [first, second, ..]) = (one.drawn, &one.points[..]) {
                let (half, last) = (
                    0.5 * (second[0] - first[0]),
                    one.points[one.points.len() - 1],
                );
                xs.extend([first[0] - half, last[0] + half]);
            }
            let ends = |[_, y, e]: &[f64; 3]| match self.y.logarithmic {
                true => [*y; 2],
                false => [y - e, y + e],
            };
            ys.extend(one.points.iter().flat_map(ends));
        }
        let upright = self.y.from_zero && !self.y.logarithmic && !ys.is_empty();
        if upright {
            ys.push(0.0);
        }
        let x = Scale::of(&xs, self.x.logarithmic, [ROOM[0], SIZE[0] - ROOM[1]])?;
        let mut y = Scale::of(&ys, self.y.logarithmic, [SIZE[1] - ROOM[3], ROOM[2]])?;
        if upright && ys.iter().all(|y| *y >= 0.0) {
            y.ends[0] = 0.0;
        }
        Some((x, y))
    }

    fn axes(&self, out: &mut String, x: &Scale, y: &Scale) {
        let [left, right] = x.pixels;
        let [below, above] = y.pixels;
        let (across, upwards) = (x.told_ticks(), y.told_ticks());
        for (tick, text) in &upwards.all {
            let at = y.at(*tick);
            push(
                out,
                format_args!(
                    "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"
                ),
            );
            let (x, at) = (left - 8.0, at + 4.0);
            push(
                out,
                format_args!("<text text-anchor=\"end\" x=\"{x}\" y=\"{at:.1}\">{text}</text>"),
            );
        }
        for (tick, text) in &across.all {
            let (at, end) = (x.at(*tick), below + 5.0);
            push(
                out,
                format_args!(
                    "<line class=\"axis\" x1=\"{at:.1}\" x2=\"{at:.1}\" y1=\"{below}\" y2=\"{end}\"/>"
                ),
            );
            let under = below + 20.0;
            push(
                out,
                format_args!(
                    "<text text-anchor=\"middle\" x=\"{at:.1}\" y=\"{under}\">{text}</text>"
                ),
            );
        }
        push(
            out,
            format_args!("<path class=\"axis\" d=\"M{left} {above}V{below}H{right}\"/>"),
        );
        let (middle, bottom) = (0.5 * (left + right), SIZE[1] - 10.0);
        push(
            out,
            format_args!(
                "<text text-anchor=\"middle\" x=\"{middle}\" y=\"{bottom}\">{}</text>",
                self.x.told(across.from.as_deref())
            ),
        );
        let middle = 0.5 * (below + above);
        push(
            out,
            format_args!(
                "<text text-anchor=\"middle\" transform=\"translate(14 {middle}) rotate(-90)\">{}</text>",
                self.y.told(upwards.from.as_deref())
            ),
        );
    }
}

fn push(out: &mut String, line: std::fmt::Arguments<'_>) {
    *out += &std::fmt::format(line);
    out.push('\n');
}

impl Plot {
    /// The plot as a figure of a page, under its title.
    pub fn figure(&self) -> String {
        format!(
            "<figure>\n<figcaption>{}</figcaption>\n{}</figure>\n",
            escaped(&self.title),
            self.svg()
        )
    }

    /// The plot as a file of its own: its colours with it, light or dark as the reader's.
    pub fn file(&self) -> String {
        let svg = self.svg();
        let Some(rest) = svg.strip_prefix("<svg ") else {
            return format!(
                "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {} {LINE}\"/>\n",
                SIZE[0]
            );
        };
        let Some((head, inside)) = rest.split_once(">\n") else {
            return svg;
        };
        let style = page::svg_style();
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" {head}>\n<title>{}</title>\n<style>\n{style}</style>\n\
             <rect class=\"back\" width=\"100%\" height=\"100%\"/>\n{inside}",
            escaped(&self.title)
        )
    }
}

/// Text as it stands in HTML.
pub fn escaped(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_no_logarithm_is_left_out() {
        let axis = || PlotAxis::logarithmic("a < b");
        let plot = |points: &[[f64; 3]]| Plot {
            title: "t".to_owned(),
            x: axis(),
            y: axis(),
            series: vec![PlotSeries {
                name: "n".to_owned(),
                // Behind the last colour the first comes again.
                colour: COLOURS,
                points: points.to_vec(),
                drawn: Drawn::Joined,
            }],
        };
        assert!(plot(&[[1.0, 0.0, 0.0]]).svg().starts_with("<p>"));
        let svg = plot(&[[1.0, 0.0, 0.0], [2.0, 3.0, 0.0]]).svg();
        assert_eq!(svg.matches("<title>").count(), 1);
        assert!(svg.contains("class=\"mark c0\""), "{svg}");
        assert!(svg.contains("a &lt; b") && !svg.contains("NaN") && !svg.contains("inf"));
    }

    /// What has no bounds, or is no number, is left out; bars begin at zero, and a band has no name.
    #[test]
    fn numbers_without_bounds_are_left_out() {
        let series = |name: &str, drawn, points: &[[f64; 3]]| PlotSeries {
            name: name.to_owned(),
            colour: 1,
            points: points.to_vec(),
            drawn,
        };
        let wild = [
            [0.0, 1.0, f64::NAN],
            [1.0, f64::NAN, 0.0],
            [2.0, 1e300, 0.0],
            [3.0, -f64::INFINITY, 0.0],
            [4.0, 2.0, f64::INFINITY],
        ];
        let plot = Plot {
            title: "t".to_owned(),
            x: PlotAxis::close("x"),
            y: PlotAxis::linear("y"),
            series: vec![
                series("", Drawn::Band, &wild),
                series("a line of a very long name", Drawn::Line, &wild),
                series("bars", Drawn::Bars, &wild),
            ],
        };
        let svg = plot.svg();
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        assert_eq!(
            svg.matches("class=\"bar c1\"").count(),
            3,
            "two and the name's"
        );
        assert!(svg.contains(">a line of a very\u{2026}<"), "{svg}");
        let below = SIZE[1] - ROOM[3];
        assert!(svg.contains(&format!("V{below:.1}Z")), "{svg}");
    }
}
