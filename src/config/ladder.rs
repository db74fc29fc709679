//! Temperatures of many systems: one for all of them, one for each, or a ladder between two.

use toml::{Spanned, Value};

use super::keys::row::{ConfigKey, Temperatures};
use super::raw::Leaf;
use super::section::{OneOfMany, Section, quantity};
use crate::units::KELVIN;
use crate::{Error, Result, text};

/// The temperature kT (eV) that a key gives the system which the section is for.
pub(super) fn temperature(
    section: &mut Section<'_>,
    key: &ConfigKey<Temperatures>,
    leaf: &Leaf,
) -> Result<f64> {
    let one = match leaf.as_ref().map(|leaf| (leaf.span(), leaf.get_ref())) {
        Some((span, Value::Array(list))) => {
            let one = one_of(list, section.member.as_ref());
            let one = one.map_err(|e| section.fault(key, leaf, e.to_string()))?;
            &Some(Spanned::new(span, one))
        }
        _ => leaf,
    };
    section.given(key.name, one, &Temperatures::ONE)
}

/// What a list has for a member.
fn one_of(list: &[Value], member: Option<&OneOfMany>) -> Result<Value> {
    let Some(&OneOfMany { index, of, .. }) = member else {
        return Err(Error::input(
            "a list is for many systems, and this run has one: give one temperature, or make more of it with \
             [system] replicas",
        ));
    };
    match list {
        _ if list.len() == of => Ok(list[index].clone()),
        [first, last] if of > 2 => rung(first, last, (index, of)),
        _ => Err(Error::input(format!(
            "{} in a list, for {}: give one for each, the two ends of a ladder, or one for all of them (without brackets)",
            text::counted(list.len() as u64, "temperature"),
            text::counted(of as u64, "member"),
        ))),
    }
}

/// Temperature number `k` of a geometric ladder of `n`, T_k = T_0 (T_(n-1) / T_0)^(k / (n - 1)), with which neighbours exchange
/// equally often where the heat capacity is constant (Kofke, J. Chem. Phys. 117, 6911 (2002)).
///
/// Rungs between the ends have nine digits: the same ones on any machine, whatever the last bit of its powers is.
fn rung(first: &Value, last: &Value, (k, n): (usize, usize)) -> Result<Value> {
    let ends =
        [first, last].map(|end| quantity(end, Temperatures::ONE.dimension, Temperatures::ONE.sign));
    let [low, high] = ends;
    let (low, high) = (low? / KELVIN, high? / KELVIN);
    if low == 0.0 || high == 0.0 {
        return Err(Error::input(
            "a ladder has the same factor from each temperature to the next, and comes to no end of 0 K: begin it above",
        ));
    }
    let last_rung = n - 1;
    if k == 0 || k == last_rung {
        return Ok(if k == 0 { first } else { last }.clone());
    }
    let kelvin = low * (high / low).powf(k as f64 / last_rung as f64);
    let kelvin: f64 = format!("{kelvin:.8e}").parse().unwrap_or(kelvin);
    Ok(Value::from(format!("{kelvin} K")))
}
