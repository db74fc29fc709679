//! A course over time in characters: dots of Braille, two by four in each, or plain ones where the terminal has no others.

/// What a terminal has to draw with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Glyphs {
    /// All of Unicode.
    Unicode,
    /// ASCII alone.
    Plain,
}

impl Glyphs {
    /// Dots across and down in a character.
    fn dots(self) -> [usize; 2] {
        match self {
            Self::Unicode => [2, 4],
            Self::Plain => [1, 2],
        }
    }

    /// The character with these dots, from above to below, column after column.
    fn letter(self, dots: &[bool]) -> char {
        match self {
            Self::Unicode => {
                /// The bit of each dot.
                const BITS: [u32; 8] = [0, 1, 2, 6, 3, 4, 5, 7];
                let set = dots.iter().zip(BITS).filter(|(dot, _)| **dot);
                let bits: u32 = set.map(|(_, bit)| 1 << bit).sum();
                char::from_u32(0x2800 + bits).unwrap_or(' ')
            }
            Self::Plain => match dots {
                [true, true] => ':',
                [true, false] => '\'',
                [false, true] => '.',
                _ => ' ',
            },
        }
    }

    /// What a bar is made of: its full part, and its empty one.
    pub fn bar(self) -> [char; 2] {
        match self {
            Self::Unicode => ['\u{2588}', '\u{2591}'],
            Self::Plain => ['#', '-'],
        }
    }

    /// The line beside a chart.
    pub fn edge(self) -> char {
        match self {
            Self::Unicode => '\u{2502}',
            Self::Plain => '|',
        }
    }
}

/// The smallest and the largest value of points (x, y).
pub(super) fn range(points: &[[f64; 2]]) -> Option<[f64; 2]> {
    let values = || {
        points
            .iter()
            .map(|point| point[1])
            .filter(|y| y.is_finite())
    };
    let least = values().reduce(f64::min)?;
    let most = values().reduce(f64::max)?;
    Some([least, most])
}

/// Draws points (x ascending, y) into so many columns and rows, `range` from below to above: lines of that length, the upper
/// one first. Neighbouring points are joined.
pub(super) fn chart(
    points: &[[f64; 2]],
    [least, most]: [f64; 2],
    [columns, rows]: [usize; 2],
    glyphs: Glyphs,
) -> Vec<String> {
    let [across, down] = glyphs.dots();
    let (width, height) = (columns * across, rows * down);
    let mut dots = vec![vec![false; height]; width];
    let (Some(first), Some(last)) = (points.first(), points.last()) else {
        return vec![" ".repeat(columns); rows];
    };
    let place = |at: f64, from: f64, to: f64, count: usize| {
        let part = if to > from {
            (at - from) / (to - from)
        } else {
            0.5
        };
        (part * (count - 1) as f64).clamp(0.0, (count - 1) as f64)
    };
    let at = |point: &[f64; 2]| {
        [
            place(point[0], first[0], last[0], width),
            place(-point[1], -most, -least, height),
        ]
    };
    let sound: Vec<[f64; 2]> = (points.iter())
        .filter(|point| point[1].is_finite())
        .map(at)
        .collect();
    for point in &sound {
        dots[point[0].round() as usize][point[1].round() as usize] = true;
    }
    for pair in sound.windows(2) {
        join(&mut dots, pair[0], pair[1]);
    }
    (0..rows)
        .map(|row| {
            let letter = |column: usize| {
                let inside = (0..across).flat_map(|x| (0..down).map(move |y| (x, y)));
                let inside = inside.map(|(x, y)| dots[column * across + x][row * down + y]);
                glyphs.letter(&inside.collect::<Vec<_>>())
            };
            (0..columns).map(letter).collect()
        })
        .collect()
}

/// Sets the dots of a line.
fn join(dots: &mut [Vec<bool>], [x, y]: [f64; 2], [to_x, to_y]: [f64; 2]) {
    let steps = (to_x - x).abs().max((to_y - y).abs()).ceil() as usize;
    for k in 1..steps {
        let part = k as f64 / steps as f64;
        let at = [x + part * (to_x - x), y + part * (to_y - y)].map(|v| v.round() as usize);
        dots[at[0]][at[1]] = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ramp() -> Vec<[f64; 2]> {
        (0..8).map(|k| [f64::from(k), f64::from(k)]).collect()
    }

    #[test]
    fn a_rise_goes_from_below_on_the_left_to_above_on_the_right() {
        let points = ramp();
        let range = range(&points).unwrap();
        assert_eq!(range, [0.0, 7.0]);
        let drawn = chart(&points, range, [8, 4], Glyphs::Plain);
        assert_eq!(drawn, ["      .'", "    .'  ", "  .'    ", ".'      "]);
        let drawn = chart(&points, range, [4, 2], Glyphs::Unicode);
        assert_eq!(
            drawn,
            ["  \u{2860}\u{280a}", "\u{2860}\u{280a}  "].map(|line| line.replace(' ', "\u{2800}"))
        );
    }

    #[test]
    fn what_lies_apart_is_joined_and_what_is_level_is_in_the_middle() {
        let drawn = chart(&[[0.0, 0.0], [3.0, 7.0]], [0.0, 7.0], [4, 4], Glyphs::Plain);
        let dots: usize = drawn
            .iter()
            .flat_map(|line| line.chars())
            .filter(|c| *c != ' ')
            .count();
        assert!(
            dots >= 4 && drawn[1..3].iter().all(|line| line.trim() != ""),
            "{drawn:?}"
        );
        let level = chart(&[[0.0, 1.0], [1.0, 1.0]], [1.0, 1.0], [3, 3], Glyphs::Plain);
        assert_eq!(
            level[0].trim().len() + level[2].trim().len(),
            0,
            "{level:?}"
        );
        assert_eq!(level[1].trim().len(), 3, "{level:?}");
    }

    #[test]
    fn nothing_and_what_is_no_number_leave_it_empty() {
        assert_eq!(chart(&[], [0.0, 1.0], [3, 1], Glyphs::Plain), ["   "]);
        assert_eq!(range(&[[0.0, f64::NAN]]), None);
        let drawn = chart(
            &[[0.0, f64::NAN], [1.0, 1.0]],
            [1.0, 1.0],
            [2, 1],
            Glyphs::Plain,
        );
        assert_eq!(drawn[0].trim().len(), 1);
    }
}
