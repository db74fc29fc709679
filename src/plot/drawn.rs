//! The points of series as marks, lines, bars and bands, and the names beside them.

use super::scale::Scale;
use super::{COLOURS, Drawn, LINE, PlotSeries, ROOM, SIZE, escaped, push};
use crate::text::significant;

/// Radius of a mark.
const MARK: f64 = 4.0;
/// Length of the line that stands for a series of lines.
const DASH: f64 = 14.0;
/// Most letters of a name beside a plot.
const MOST_LETTERS: usize = 18;
/// Part of the distance of bars that they are wide.
const BAR: f64 = 0.92;

/// The points of a series, their error bars and the line that joins them.
pub(super) fn series(out: &mut String, one: &PlotSeries, x: &Scale, y: &Scale) {
    match one.drawn {
        Drawn::Marks => marks(out, one, x, y),
        // A line of one point would not be seen.
        Drawn::Line if one.points.len() < 2 => marks(out, one, x, y),
        Drawn::Line => line(out, one, x, y),
        Drawn::Joined => {
            line(out, one, x, y);
            marks(out, one, x, y);
        }
        Drawn::Band => band(out, one, x, y),
        Drawn::Bars => bars(out, one, x, y),
    }
}

fn path(points: impl Iterator<Item = [f64; 2]>) -> String {
    let points: Vec<String> = points.map(|[x, y]| format!("{x:.1} {y:.1}")).collect();
    points.join("L")
}

fn line(out: &mut String, one: &PlotSeries, x: &Scale, y: &Scale) {
    if one.points.len() < 2 {
        return;
    }
    let points = path(one.points.iter().map(|p| [x.at(p[0]), y.at(p[1])]));
    let colour = one.colour % COLOURS;
    push(
        out,
        format_args!("<path class=\"line c{colour}\" d=\"M{points}\"/>"),
    );
}

/// What lies between y less its error and y with it; on a logarithmic axis nothing.
fn band(out: &mut String, one: &PlotSeries, x: &Scale, y: &Scale) {
    if y.logarithmic {
        return;
    }
    let above = (one.points.iter()).map(|p| [x.at(p[0]), y.at(p[1] + p[2])]);
    let below = (one.points.iter().rev()).map(|p| [x.at(p[0]), y.at(p[1] - p[2])]);
    let points = path(above.chain(below));
    let colour = one.colour % COLOURS;
    push(
        out,
        format_args!("<path class=\"band c{colour}\" d=\"M{points}Z\"/>"),
    );
}

/// Bars from the lower end of the axis, or from zero where it has one.
fn bars(out: &mut String, one: &PlotSeries, x: &Scale, y: &Scale) {
    let [below, above] = y.pixels;
    let zero = if y.logarithmic { below } else { y.at(0.0) };
    let zero = zero.clamp(above, below);
    let places: Vec<f64> = one.points.iter().map(|p| x.at(p[0])).collect();
    let apart = places.windows(2).map(|pair| (pair[1] - pair[0]).abs());
    let apart = apart.fold(f64::INFINITY, f64::min);
    let width = BAR * if apart.is_finite() { apart } else { DASH };
    let colour = one.colour % COLOURS;
    for (point, place) in one.points.iter().zip(places) {
        let top = y.at(point[1]);
        let title = told(one, point);
        push(
            out,
            format_args!(
                "<path class=\"bar c{colour}\" d=\"M{:.1} {zero:.1}V{top:.1}h{width:.1}V{zero:.1}Z\">\
                 <title>{title}</title></path>",
                place - 0.5 * width
            ),
        );
    }
}

/// A point in words, as it stands in HTML.
fn told(one: &PlotSeries, point: &[f64; 3]) -> String {
    escaped(&format!(
        "{}: {}, {}",
        one.name,
        significant(point[0], 4),
        significant(point[1], 3)
    ))
}

fn marks(out: &mut String, one: &PlotSeries, x: &Scale, y: &Scale) {
    let colour = one.colour % COLOURS;
    for point in &one.points {
        let ([px, py], error) = ([x.at(point[0]), y.at(point[1])], point[2]);
        if error > 0.0 && !y.logarithmic {
            let [low, high] = [y.at(point[1] - error), y.at(point[1] + error)];
            push(
                out,
                format_args!("<path class=\"line c{colour}\" d=\"M{px:.1} {low:.1}V{high:.1}\"/>"),
            );
        }
        let (mark, title) = (mark(colour, px, py), told(one, point));
        push(
            out,
            format_args!(
                "<path class=\"mark c{colour}\" d=\"{mark}\"><title>{title}</title></path>"
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

/// The names of series beside their last points, apart from each other; a series of bars, which ends anywhere, is named above.
/// One without a name belongs to another.
pub(super) fn names(out: &mut String, series: &[PlotSeries], y: &Scale) {
    let [below, above] = y.pixels;
    let place = |one: &PlotSeries| match one.drawn {
        Drawn::Bars => Some(above),
        _ => Some(y.at(one.points.last()?[1])),
    };
    let mut places: Vec<(f64, &PlotSeries)> = series
        .iter()
        .filter(|one| !one.name.is_empty())
        .filter_map(|one| Some((place(one)?, one)))
        .collect();
    places.sort_by(|a, b| a.0.total_cmp(&b.0));
    let mut next = f64::NEG_INFINITY;
    let lowest = below - LINE * (places.len() as f64 - 1.0);
    for (k, (at, one)) in places.iter().enumerate() {
        let most = (lowest + LINE * k as f64).max(above);
        let at = at.min(most).max(next);
        next = at + LINE;
        let (x, colour) = (SIZE[0] - ROOM[1] + 14.0, one.colour % COLOURS);
        match one.drawn {
            Drawn::Line => push(
                out,
                format_args!(
                    "<path class=\"line c{colour}\" d=\"M{:.1} {at:.1}h{DASH}\"/>",
                    x - 0.5 * DASH
                ),
            ),
            Drawn::Bars => push(
                out,
                format_args!(
                    "<path class=\"bar c{colour}\" d=\"M{:.1} {:.1}h{DASH}v8h-{DASH}Z\"/>",
                    x - 0.5 * DASH,
                    at - 4.0
                ),
            ),
            _ => push(
                out,
                format_args!(
                    "<path class=\"mark c{colour}\" d=\"{}\"/>",
                    mark(colour, x, at)
                ),
            ),
        }
        let (x, at) = (x + 11.0, at + 4.0);
        push(
            out,
            format_args!(
                "<text x=\"{x}\" y=\"{at:.1}\">{}</text>",
                escaped(&shortened(&one.name))
            ),
        );
    }
}

/// A name that fits beside a plot.
fn shortened(name: &str) -> String {
    if name.chars().count() <= MOST_LETTERS {
        return name.to_owned();
    }
    let kept: String = name.chars().take(MOST_LETTERS - 1).collect();
    format!("{}\u{2026}", kept.trim_end())
}
