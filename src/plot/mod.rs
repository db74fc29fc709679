//! Plots as SVG: points on linear or logarithmic axes, joined or not, in colours that a style gives to classes; and the style
//! of the pages that they stand in ([`page`]).

pub mod page;

use crate::text::significant;

/// Colours that there are; others begin again.
pub const COLOURS: usize = 9;

/// Width and height of a plot, and the room around its axes (pixels): left, right, above, below.
const SIZE: [f64; 2] = [640.0, 380.0];
const ROOM: [f64; 4] = [92.0, 150.0, 16.0, 54.0];
/// Radius of a mark.
const MARK: f64 = 4.0;
/// Height of a line of text.
const LINE: f64 = 17.0;

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
}

/// Points of one kind.
#[derive(Debug, Clone)]
pub struct PlotSeries {
    /// What they are, beside the last of them.
    pub name: String,
    /// Which of the page's colours.
    pub colour: usize,
    /// x, y, and the standard error of y.
    pub points: Vec<[f64; 3]>,
    /// How they are drawn.
    pub drawn: Drawn,
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

/// From numbers to pixels along an axis.
struct Scale {
    logarithmic: bool,
    ends: [f64; 2],
    pixels: [f64; 2],
}

impl Scale {
    /// The scale of some values; `None` where there are none that the axis can show.
    fn of(values: &[f64], logarithmic: bool, pixels: [f64; 2]) -> Option<Self> {
        let turned = |v: f64| if logarithmic { v.log10() } else { v };
        let shown = values.iter().copied().map(turned).filter(|v| v.is_finite());
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
            (a.min(v), b.max(v))
        });
        if low > high {
            return None;
        }
        let room = match high - low {
            // Axes show three digits.
            width if width > 0.0 && logarithmic => (0.06 * width).max(0.03),
            width if width > 1e-3 * low.abs().max(1e-12) => 0.06 * width,
            _ if logarithmic => 0.3,
            _ => 0.1 * low.abs().max(1e-6),
        };
        Some(Self {
            logarithmic,
            ends: [low - room, high + room],
            pixels,
        })
    }

    fn at(&self, value: f64) -> f64 {
        let value = if self.logarithmic {
            value.log10()
        } else {
            value
        };
        let part = (value - self.ends[0]) / (self.ends[1] - self.ends[0]);
        self.pixels[0] + part * (self.pixels[1] - self.pixels[0])
    }

    /// Round numbers within the ends.
    fn ticks(&self) -> Vec<f64> {
        let [low, high] = self.ends;
        if !self.logarithmic {
            return round_numbers(low, high);
        }
        // Decades where there are many, round numbers where there is not even a part of one, else some of each decade.
        let decades = low.floor() as i32..=high.ceil() as i32;
        let of_each = |within: &[f64]| -> Vec<f64> {
            let all = (decades.clone())
                .flat_map(|decade| within.iter().map(move |m| m * 10f64.powi(decade)));
            all.filter(|tick| (low..=high).contains(&tick.log10()))
                .collect()
        };
        let every = ((high - low) / 7.0).ceil().max(1.0) as usize;
        let sets: [(&[f64], usize); 3] = [(&[1.0], 4), (&[1.0, 3.0], 4), (&[1.0, 2.0, 5.0], 3)];
        let ticks = sets.map(|(within, least)| (of_each(within), least));
        let enough = (ticks.into_iter()).find(|(ticks, least)| ticks.len() >= *least);
        match enough {
            Some((ticks, _)) => ticks.into_iter().step_by(every).collect(),
            None => round_numbers(10f64.powf(low), 10f64.powf(high)),
        }
    }
}

/// Three to seven round numbers from a number to a larger one.
fn round_numbers(low: f64, high: f64) -> Vec<f64> {
    let step = round_step((high - low) / 6.0);
    let first = (low / step).ceil() as i64;
    let last = (high / step).floor() as i64;
    (first..=last).map(|k| k as f64 * step).collect()
}

/// One, two or five times a power of ten, not far from a number.
fn round_step(about: f64) -> f64 {
    let decade = 10f64.powf(about.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|m| m * decade >= about);
    times.unwrap_or(10.0) * decade
}

/// A number at a tick.
fn tick_text(value: f64) -> String {
    if value == 0.0 {
        return "0".to_owned();
    }
    let text = significant(value, 3);
    match text.contains('.') && !text.contains('e') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text,
    }
}

impl Plot {
    /// The plot as an SVG element; a sentence where there is nothing to show.
    pub fn svg(&self) -> String {
        let seen =
            |value: f64, axis: &PlotAxis| value.is_finite() && (!axis.logarithmic || value > 0.0);
        let mut series = self.series.clone();
        for one in &mut series {
            one.points
                .retain(|[x, y, _]| seen(*x, &self.x) && seen(*y, &self.y));
        }
        series.retain(|one| !one.points.is_empty());
        let all = || series.iter().flat_map(|one| &one.points);
        let xs: Vec<f64> = all().map(|p| p[0]).collect();
        let bars = |[_, y, e]: &[f64; 3]| {
            if self.y.logarithmic {
                [*y; 2]
            } else {
                [y - e, y + e]
            }
        };
        let mut ys: Vec<f64> = all().flat_map(bars).collect();
        if self.y.from_zero && !self.y.logarithmic {
            ys.push(0.0);
        }
        let across = [ROOM[0], SIZE[0] - ROOM[1]];
        let upwards = [SIZE[1] - ROOM[3], ROOM[2]];
        let scales = Scale::of(&xs, self.x.logarithmic, across)
            .zip(Scale::of(&ys, self.y.logarithmic, upwards).filter(|_| !xs.is_empty()));
        let Some((x, y)) = scales else {
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
            draw(&mut out, one, &x, &y);
        }
        names(&mut out, &series, &y);
        out + "</svg>\n"
    }

    fn axes(&self, out: &mut String, x: &Scale, y: &Scale) {
        let [left, right] = x.pixels;
        let [below, above] = y.pixels;
        for tick in y.ticks() {
            let at = y.at(tick);
            push(
                out,
                format_args!(
                    "<line class=\"grid\" x1=\"{left}\" x2=\"{right}\" y1=\"{at:.1}\" y2=\"{at:.1}\"/>"
                ),
            );
            let (x, at) = (left - 8.0, at + 4.0);
            push(
                out,
                format_args!(
                    "<text text-anchor=\"end\" x=\"{x}\" y=\"{at:.1}\">{}</text>",
                    tick_text(tick)
                ),
            );
        }
        for tick in x.ticks() {
            let (at, end) = (x.at(tick), below + 5.0);
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
                    "<text text-anchor=\"middle\" x=\"{at:.1}\" y=\"{under}\">{}</text>",
                    tick_text(tick)
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
                escaped(&self.x.label)
            ),
        );
        let middle = 0.5 * (below + above);
        push(
            out,
            format_args!(
                "<text text-anchor=\"middle\" transform=\"translate(14 {middle}) rotate(-90)\">{}</text>",
                escaped(&self.y.label)
            ),
        );
    }
}

fn push(out: &mut String, line: std::fmt::Arguments<'_>) {
    *out += &std::fmt::format(line);
    out.push('\n');
}

/// The points of a series, their error bars and the line that joins them.
fn draw(out: &mut String, one: &PlotSeries, x: &Scale, y: &Scale) {
    let colour = one.colour % COLOURS;
    let at = |p: &[f64; 3]| [x.at(p[0]), y.at(p[1])];
    let line = one.drawn != Drawn::Marks;
    if line && one.points.len() > 1 {
        let path: Vec<String> = (one.points.iter().map(at))
            .map(|[x, y]| format!("{x:.1} {y:.1}"))
            .collect();
        push(
            out,
            format_args!("<path class=\"line c{colour}\" d=\"M{}\"/>", path.join("L")),
        );
    }
    if one.drawn == Drawn::Line {
        return;
    }
    for point in &one.points {
        let ([px, py], error) = (at(point), point[2]);
        if error > 0.0 && !y.logarithmic {
            let [low, high] = [y.at(point[1] - error), y.at(point[1] + error)];
            push(
                out,
                format_args!("<path class=\"line c{colour}\" d=\"M{px:.1} {low:.1}V{high:.1}\"/>"),
            );
        }
        let title = format!(
            "{}: {}, {}",
            one.name,
            significant(point[0], 4),
            significant(point[1], 3)
        );
        let mark = mark(colour, px, py);
        push(
            out,
            format_args!(
                "<path class=\"mark c{colour}\" d=\"{mark}\"><title>{}</title></path>",
                escaped(&title)
            ),
        );
    }
}

/// A mark of a shape of its own for each colour, so that prints without colours can be read.
fn mark(colour: usize, x: f64, y: f64) -> String {
    let r = MARK;
    match colour % 4 {
        0 => format!(
            "M{:.1} {y:.1}a{r} {r} 0 1 0 {d} 0a{r} {r} 0 1 0 -{d} 0Z",
            x - r,
            d = 2.0 * r
        ),
        1 => format!("M{:.1} {:.1}h{d}v{d}h-{d}Z", x - r, y - r, d = 2.0 * r),
        2 => format!(
            "M{x:.1} {:.1}l{s} {t}h-{d}Z",
            y - r - 1.0,
            s = r + 1.0,
            t = 2.0 * r + 1.0,
            d = 2.0 * (r + 1.0)
        ),
        _ => format!(
            "M{x:.1} {:.1}l{s} {s}l-{s} {s}l-{s} -{s}Z",
            y - r - 1.0,
            s = r + 1.0
        ),
    }
}

/// The names of series beside their last points, apart from each other.
fn names(out: &mut String, series: &[PlotSeries], y: &Scale) {
    let mut places: Vec<(f64, &PlotSeries)> = series
        .iter()
        .filter_map(|one| Some((y.at(one.points.last()?[1]), one)))
        .collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut next = f64::NEG_INFINITY;
    let [below, above] = y.pixels;
    let lowest = below - LINE * (places.len() as f64 - 1.0);
    for (k, (at, one)) in places.iter().enumerate() {
        let most = (lowest + LINE * k as f64).max(above);
        let at = at.min(most).max(next);
        next = at + LINE;
        let (x, colour) = (SIZE[0] - ROOM[1] + 14.0, one.colour % COLOURS);
        let mark = mark(colour, x, at);
        push(
            out,
            format_args!("<path class=\"mark c{colour}\" d=\"{mark}\"/>"),
        );
        let (x, at) = (x + 10.0, at + 4.0);
        push(
            out,
            format_args!(
                "<text x=\"{x}\" y=\"{at:.1}\">{}</text>",
                escaped(&one.name)
            ),
        );
    }
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
    fn ticks_are_round_and_within() {
        let scale =
            |values: &[f64], logarithmic| Scale::of(values, logarithmic, [0.0, 100.0]).unwrap();
        assert_eq!(
            scale(&[0.0, 10.0], false).ticks(),
            [0.0, 2.0, 4.0, 6.0, 8.0, 10.0]
        );
        assert_eq!(scale(&[32.0, 256.0], true).ticks(), [50.0, 100.0, 200.0]);
        assert_eq!(
            scale(&[9.0, 198.0], true).ticks(),
            [10.0, 20.0, 50.0, 100.0, 200.0]
        );
        let wide = scale(&[1e-6, 1e3], true).ticks();
        assert!(wide.len() > 3 && wide.len() < 10, "{wide:?}");
        assert!(Scale::of(&[], true, [0.0, 1.0]).is_none());
        // A single value has room around it.
        assert!((scale(&[5.0], false).at(5.0) - 50.0).abs() < 1e-9);
        assert!((scale(&[5.0], true).at(5.0) - 50.0).abs() < 1e-9);
    }

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
}
