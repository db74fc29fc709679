//! The kinetic energy that a thermostat should make: its distribution, and what each element has of it.
//!
//! In equilibrium the kinetic energy of f degrees of freedom is distributed as a gamma distribution of shape f / 2 and scale
//! kT. A step of finite length dt changes that a little where velocities are looked at between two steps: with the thermostat
//! in the middle of a step, a vibration of angular frequency w has the kinetic energy kT/2 (1 - (w dt)^2 / 4) there, while
//! positions are right (Leimkuhler, Matthews, J. Chem. Phys. 138, 174102 (2013)). The sum over vibrations is the trace of the
//! mass-weighted Hessian, which is estimated from products with random vectors (Hutchinson).

use super::Setup;
use super::distribution::GammaFit;
use super::line::{Judgement, SURE, ValidationLine};
use super::samples::Samples;
use crate::Result;
use crate::core::rng::{Noise, Stream};
use crate::core::{Snapshot, Vec3, elements};
use crate::diagnose::vibration::{Vibrating, hessian_times};
use crate::engine::Engine;
use crate::report::series::Estimate;
use crate::text::significant;
use crate::units::KELVIN;

/// Random vectors for the trace.
const VECTORS: u64 = 8;
/// An element's share is told so many times less sharply than the whole.
const COARSER: f64 = 3.0;

/// What the kinetic energy should be.
#[derive(Debug, Clone, PartialEq)]
pub struct KineticTheory {
    /// Temperature kT (eV) of the thermostat.
    pub kt: f64,
    /// Degrees of freedom.
    pub degrees_of_freedom: usize,
    /// Part that the length of the step takes of the kinetic energy between two steps.
    pub lost: Estimate,
    /// The same of each element.
    pub lost_of_elements: Vec<f64>,
}

impl KineticTheory {
    /// The exact one, of steps of no length.
    pub fn exact(kt: f64, degrees_of_freedom: usize) -> Self {
        Self {
            kt,
            degrees_of_freedom,
            lost: Estimate {
                value: 0.0,
                error: 0.0,
                converged: true,
            },
            lost_of_elements: Vec::new(),
        }
    }

    /// That of steps of the setup's length, about a state.
    ///
    /// # Errors
    /// The device failed.
    pub(super) fn of_steps(
        setup: &Setup<'_>,
        engine: &mut dyn Engine,
        (state, kt): (&Snapshot, f64),
        kinds: &[u8],
    ) -> Result<Self> {
        let system = &setup.start.system;
        let constraints = &setup.start.constraints;
        let vibrating = Vibrating::new(system, constraints);
        let noise = Noise::new(11);
        let atoms = system.len();
        let mut traces = Vec::new();
        let mut of_elements = vec![0.0; kinds.len()];
        for vector in 0..VECTORS {
            let signs: Vec<Vec3> = (0..atoms)
                .map(|i| {
                    noise
                        .normal3(vector, i as u32, Stream::Velocities)
                        .map(f64::signum)
                })
                .collect();
            let product = hessian_times(engine, &vibrating, state, &signs)?;
            let mut trace = 0.0;
            for (i, (p, s)) in product.iter().zip(&signs).enumerate() {
                let own = p.dot(s);
                trace += own;
                let kind = kinds.binary_search(&system.species[i]).unwrap_or(0);
                of_elements[kind] += own / VECTORS as f64;
            }
            traces.push(trace);
        }
        engine.restore(state)?;
        let n = traces.len() as f64;
        let mean = traces.iter().sum::<f64>() / n;
        let squares: f64 = traces.iter().map(|t| (t - mean).powi(2)).sum();
        let degrees_of_freedom = setup.thermometer.degrees_of_freedom;
        let part = setup.timestep.powi(2) / 4.0;
        let taken = constraints.taken(&system.masses, &state.positions);
        let of_atoms = |z: u8| -> f64 {
            let own = system.species.iter().zip(&taken).filter(|(s, _)| **s == z);
            own.map(|(_, taken)| 3.0 - taken).sum()
        };
        Ok(Self {
            kt,
            degrees_of_freedom,
            lost: Estimate {
                value: mean,
                error: (squares / (n * (n - 1.0))).sqrt(),
                converged: true,
            }
            .scaled(part / degrees_of_freedom.max(1) as f64),
            lost_of_elements: (of_elements.iter().zip(kinds))
                .map(|(trace, &z)| part * trace / of_atoms(z))
                .collect(),
        })
    }

    /// Shape and scale of the distribution.
    pub fn gamma(&self) -> [f64; 2] {
        [
            0.5 * self.degrees_of_freedom as f64,
            self.kt * (1.0 - self.lost.value),
        ]
    }
}

const MEAN: (&str, &str) = ("kinetic_energy", "kinetic energy, mean");
const WIDTH: (&str, &str) = ("kinetic_distribution", "kinetic energy, spread");
const SHARES: (&str, &str) = ("equipartition", "equipartition");

/// Judges the kinetic energy of samples in equilibrium; a relative deviation of `temperature` has to be seen for certain, one
/// of `width` in the width.
pub fn judge_kinetic(
    theory: &KineticTheory,
    samples: &Samples,
    [temperature, width]: [f64; 2],
) -> [ValidationLine; 2] {
    let [shape, scale] = theory.gamma();
    let kinetic = samples.each(|s| s.kinetic);
    let Some(fit) = GammaFit::of(&kinetic, shape, scale) else {
        let few = || format!("{} samples are too few", kinetic.len());
        return [MEAN, WIDTH]
            .map(|name| ValidationLine::told(name, few(), "", Judgement::Undecided));
    };
    let mean = Estimate {
        error: fit.mean.error.hypot(theory.lost.error),
        ..fit.mean
    };
    let kelvin = theory.kt / KELVIN;
    let found = mean.scaled(kelvin);
    let told = Estimate {
        value: found.value + kelvin,
        ..found
    };
    let text = format!(
        "{} K for {} K, {} independent samples; {} % made up for the step",
        told.text(),
        significant(kelvin, 5),
        fit.independent as u64,
        significant(100.0 * theory.lost.value, 2),
    );
    let first = deviating(
        MEAN,
        mean,
        temperature,
        "equipartition: f kT / 2, less what a step of this length takes between two steps: dt^2 tr(H / m) / 4 f",
    )
    .saying(text);
    let mut second = deviating(
        WIDTH,
        fit.width,
        width,
        "of f degrees of freedom it is a gamma distribution: a bath that only steers the mean makes it too narrow",
    );
    if fit.is_another() {
        second = second.judged(Judgement::Fail);
    }
    let text = format!(
        "{:+.1} +- {:.1} % of the width, {} by chance (Kolmogorov-Smirnov)",
        100.0 * fit.width.value,
        100.0 * fit.width.error,
        significant(fit.likelihood, 2)
    );
    [first, second.saying(text)]
}

/// A relative deviation from what is exact, one of `seen` of which has to be seen.
pub(super) fn deviating(
    name: (&'static str, &'static str),
    deviation: Estimate,
    seen: f64,
    reason: &'static str,
) -> ValidationLine {
    let bar = SURE * deviation.error;
    ValidationLine::measured(name, (100.0 * deviation.value, "%", 100.0 * bar), reason)
        .give_or_take(100.0 * deviation.error)
        .judged(Judgement::of_exact(deviation, seen))
}

/// Judges what each element has of the kinetic energy.
pub(super) fn judge_shares(
    theory: &KineticTheory,
    samples: &Samples,
    kinds: &[u8],
    seen: f64,
) -> ValidationLine {
    const WHY: &str =
        "every degree of freedom has the same share: what one element has too much, another lacks";
    if kinds.len() < 2 {
        let found = "there is one element";
        return ValidationLine::told(SHARES, found, WHY, Judgement::NotApplicable);
    }
    let mut worst: Option<(f64, Estimate)> = None;
    let mut texts = Vec::new();
    for (k, &z) in kinds.iter().enumerate() {
        let lost = theory.lost_of_elements.get(k).copied().unwrap_or(0.0);
        let freedom = samples.each(|s| s.freedoms[k]);
        let freedom = freedom.iter().sum::<f64>() / freedom.len().max(1) as f64;
        let energies = samples.each(|s| s.of_elements[k]);
        let Some(fit) = GammaFit::of(&energies, 0.5 * freedom, theory.kt * (1.0 - lost)) else {
            let found = format!("{} samples are too few", energies.len());
            return ValidationLine::told(SHARES, found, WHY, Judgement::Undecided);
        };
        let mean = Estimate {
            // The part that the step takes is known to about a tenth.
            error: fit.mean.error.hypot(0.1 * lost),
            ..fit.mean
        };
        texts.push(format!(
            "{} {:+.1} +- {:.1} %",
            elements::symbol(z),
            100.0 * mean.value,
            100.0 * mean.error
        ));
        let far = mean.value.abs() / mean.error;
        if worst.is_none_or(|(most, _)| far > most) {
            worst = Some((far, mean));
        }
    }
    let (_, worst) = worst.unwrap_or((
        0.0,
        Estimate {
            value: f64::NAN,
            error: f64::NAN,
            converged: false,
        },
    ));
    deviating(SHARES, worst, COARSER * seen, WHY).saying(texts.join(", "))
}
