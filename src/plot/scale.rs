//! Axes: from numbers to pixels, the round numbers beside them, and their texts.

use crate::text::trimmed;

/// Part of the values' width that is left free at each end of an axis.
const ROOM: f64 = 0.06;
/// Values that differ by less than this part of themselves are one value.
const ONE: f64 = 1e-9;
/// Most digits of a number at an axis; where more are needed, it is counted from one of its ticks.
const MOST_DIGITS: i32 = 5;

/// From numbers to pixels along an axis.
pub(super) struct Scale {
    pub logarithmic: bool,
    pub ends: [f64; 2],
    pub pixels: [f64; 2],
}

/// The ticks of an axis.
pub(super) struct Ticks {
    /// Values, and their texts.
    pub all: Vec<(f64, String)>,
    /// What texts are counted from, where they would be long otherwise.
    pub from: Option<String>,
}

impl Scale {
    /// The scale of some values; `None` where there are none that the axis can show.
    pub fn of(values: &[f64], logarithmic: bool, pixels: [f64; 2]) -> Option<Self> {
        let turned = |v: f64| if logarithmic { v.log10() } else { v };
        let shown = values.iter().copied().map(turned).filter(|v| v.is_finite());
        let (low, high) = shown.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| {
            (a.min(v), b.max(v))
        });
        if low > high {
            return None;
        }
        let room = match high - low {
            // Such an axis shows three digits.
            width if width > 0.0 && logarithmic => (ROOM * width).max(0.03),
            width if width > ONE * low.abs().max(1e-300) => ROOM * width,
            _ if logarithmic => 0.3,
            _ => 0.1 * low.abs().max(1e-6),
        };
        Some(Self {
            logarithmic,
            ends: [low - room, high + room],
            pixels,
        })
    }

    pub fn at(&self, value: f64) -> f64 {
        let value = if self.logarithmic {
            value.log10()
        } else {
            value
        };
        let part = (value - self.ends[0]) / (self.ends[1] - self.ends[0]);
        self.pixels[0] + part * (self.pixels[1] - self.pixels[0])
    }

    /// Round numbers within the ends.
    pub fn ticks(&self) -> Vec<f64> {
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

    /// Ticks with their texts, which tell neighbours apart.
    pub fn told_ticks(&self) -> Ticks {
        let ticks = self.ticks();
        let (Some(first), Some(last)) = (ticks.first(), ticks.last()) else {
            return Ticks {
                all: Vec::new(),
                from: None,
            };
        };
        if self.logarithmic || ticks.len() < 2 {
            let all = ticks.iter().map(|&tick| (tick, trimmed(tick, 3))).collect();
            return Ticks { all, from: None };
        }
        let step = (last - first) / (ticks.len() as f64 - 1.0);
        let largest = first.abs().max(last.abs());
        let digits = decade(largest) - decade(step) + 1;
        let origin = ticks[ticks.len() / 2];
        let from = (digits > MOST_DIGITS).then_some(origin);
        let less = from.unwrap_or(0.0);
        let largest = ticks
            .iter()
            .fold(0.0_f64, |most, tick| most.max((tick - less).abs()));
        let text = |value: f64| stepped(value, step, largest);
        Ticks {
            all: ticks
                .iter()
                .map(|&tick| (tick, text(((tick - less) / step).round() * step)))
                .collect(),
            from: from.map(|from| stepped(from, step, 1.0)),
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
pub fn round_step(about: f64) -> f64 {
    let decade = 10f64.powf(about.log10().floor());
    let times = [1.0, 2.0, 5.0, 10.0]
        .into_iter()
        .find(|m| m * decade >= about);
    times.unwrap_or(10.0) * decade
}

/// The power of ten of a number's first digit.
fn decade(value: f64) -> i32 {
    // Room for the rounding of steps such as 0.001.
    (value.abs().max(1e-300).log10() + 1e-9).floor() as i32
}

/// A multiple of a step, with the digits that tell it from the next one, beside others up to `largest`.
fn stepped(value: f64, step: f64, largest: f64) -> String {
    let last = decade(step);
    // Minus zero.
    let value = value + 0.0;
    if value != 0.0 && (decade(largest) > 5 || decade(largest) < -3) {
        let digits = (decade(value) - last).max(0) as usize;
        return format!("{value:.digits$e}");
    }
    if value == 0.0 {
        return "0".to_owned();
    }
    format!("{value:.*}", (-last).max(0) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn scale(values: &[f64], logarithmic: bool) -> Scale {
        Scale::of(values, logarithmic, [0.0, 100.0]).unwrap()
    }

    #[test]
    fn ticks_are_round_and_within() {
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

    /// Texts tell ticks apart, however narrow the axis is beside its values.
    #[test]
    fn texts_of_ticks_differ() {
        let told = |values: &[f64]| {
            let ticks = scale(values, false).told_ticks();
            let texts: Vec<String> = ticks.all.into_iter().map(|(_, text)| text).collect();
            (texts, ticks.from)
        };
        assert_eq!(
            told(&[0.0, 1.0]).0,
            ["0", "0.2", "0.4", "0.6", "0.8", "1.0"]
        );
        let (texts, from) = told(&[-4213.553, -4213.447]);
        assert_eq!(texts, ["-0.04", "-0.02", "0", "0.02", "0.04"]);
        assert_eq!(from.as_deref(), Some("-4213.50"));
        assert_eq!(told(&[0.0, 4e-7]).0, ["0", "1e-7", "2e-7", "3e-7", "4e-7"]);
        assert_eq!(told(&[9e8, 2e9]).0[0], "1.0e9");
        for values in [[-1e-12, 3e-12], [1e5, 1.001e5], [299.9, 300.1], [0.0, 3e7]] {
            let (mut texts, _) = told(&values);
            let count = texts.len();
            assert!(count > 2, "{texts:?}");
            texts.dedup();
            assert_eq!(texts.len(), count, "{texts:?}");
            assert!(texts.iter().all(|text| text.len() < 9), "{texts:?}");
        }
    }
}
