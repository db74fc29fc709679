//! Ramps of a bath's temperature and pressure: what is written, as values at steps.

use toml::{Spanned, Value};

use super::keys::row::{Quantity, Sign};
use super::raw::Leaf;
use super::section::{Section, quantity};
use crate::Result;
use crate::dynamics::{MOST_POINTS, Ramp};
use crate::text::significant;
use crate::units::Dimension;

/// What a list of a key may be.
const FORMS: &str = "a ramp is a list of values over the run, such as [\"0 K\", \"300 K\"], or of times and values, such as \
     [[\"0 ps\", \"0 K\"], [\"2 ps\", \"300 K\"]]";

/// How long a run is.
#[derive(Debug, Clone, Copy)]
pub(super) struct RunLength {
    /// Time step (internal time).
    pub timestep: f64,
    /// Steps.
    pub steps: u64,
}

/// The list of a key that is a ramp. Of many systems a plain list has a value for each of them, and is none.
pub(super) fn list<'l>(section: &Section<'_>, leaf: &'l Leaf) -> Option<&'l [Value]> {
    let list = leaf.as_ref().map(Spanned::get_ref)?.as_array()?;
    let of_one = section.member.is_none() || list.iter().any(Value::is_array);
    of_one.then_some(list)
}

/// The ramp of a key with values as `wanted`; `None` where it has one value alone.
pub(super) fn resolve(
    section: &mut Section<'_>,
    (key, leaf): (&str, &Leaf),
    wanted: &Quantity,
    length: RunLength,
) -> Result<Option<Ramp>> {
    let Some(list) = list(section, leaf) else {
        return Ok(None);
    };
    let fault = |why: String| section.fault(key, leaf, why);
    let mut points = Vec::with_capacity(list.len());
    for (k, item) in list.iter().enumerate() {
        let (step, value) = match item {
            Value::Array(pair) => {
                let [time, value] = pair.as_slice() else {
                    return Err(fault(format!("{item}: {FORMS}")));
                };
                let time = quantity(time, Dimension::Time, Sign::NotNegative)
                    .map_err(|e| fault(e.to_string()))?;
                (time / length.timestep, value)
            }
            value => {
                let part = k as f64 / (list.len() - 1).max(1) as f64;
                (part * length.steps as f64, value)
            }
        };
        let value =
            quantity(value, wanted.dimension, wanted.sign).map_err(|e| fault(e.to_string()))?;
        points.push([step, value]);
    }
    let mixed = list.iter().any(Value::is_array) && !list.iter().all(Value::is_array);
    if mixed || list.len() < 2 {
        return Err(fault(FORMS.to_owned()));
    }
    if list.len() > MOST_POINTS {
        let why = format!("{} points, and {MOST_POINTS} are the most", list.len());
        return Err(fault(why));
    }
    let end = points[points.len() - 1][0];
    let Some(ramp) = Ramp::through(points) else {
        return Err(fault(format!(
            "the times of a ramp ascend from each point to the next: {FORMS}"
        )));
    };
    section.keep(key, leaf, list.to_vec());
    // A point at the very end is not beyond it by rounding.
    if end > length.steps as f64 * (1.0 + 1e-9) {
        let note = format!(
            "the ramp goes on to step {}, and the run ends at step {}",
            significant(end, 6),
            length.steps
        );
        section.note(key, &note);
    }
    Ok(Some(ramp))
}
