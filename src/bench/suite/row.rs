//! What a suite finds: a row for each system, engine and precision, as it is written as JSON.

use serde::Serialize;

use super::super::measure::Times;
use super::cell::PrecisionErrors;
use super::system::GuideSystem;
use crate::config::plan::EngineChoice;
use crate::potential::Precision;
use crate::report::series::Estimate;
use crate::units::MEV_PER_PS;

/// How a network is computed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct GuideColumn {
    pub(super) engine: EngineChoice,
    pub(super) precision: Precision,
}

impl GuideColumn {
    const fn fused(precision: Precision) -> Self {
        Self {
            engine: EngineChoice::Fused,
            precision,
        }
    }

    /// What the others are compared with.
    pub(super) const BASELINE: Self = Self {
        engine: EngineChoice::Burn,
        precision: Precision::F32,
    };

    /// All that are measured, in their order.
    pub(super) const ALL: [Self; 6] = [
        Self::BASELINE,
        Self::fused(Precision::F32),
        Self::fused(Precision::Tf32),
        Self::fused(Precision::Bf16),
        Self::fused(Precision::F16),
        Self::fused(Precision::Int8),
    ];

    /// The engine, as `--engine` has it.
    pub(super) fn engine_name(self) -> &'static str {
        match self.engine {
            EngineChoice::Burn => "burn",
            EngineChoice::Auto | EngineChoice::Fused => "fused",
        }
    }
}

/// A row of a suite. What was not measured is `None`, and `why` says why.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct GuideRow {
    pub(super) model: String,
    /// Number of atoms that was asked for, and of those that are there.
    pub(super) size: usize,
    pub(super) atoms: usize,
    pub(super) system: String,
    /// Ordered pairs within the cutoff, as the system is built.
    pub(super) pairs: u64,
    pub(super) engine: String,
    pub(super) precision: String,
    /// A step, with energy and forces of new positions.
    pub(super) median_ms: Option<f64>,
    pub(super) min_ms: Option<f64>,
    pub(super) max_ms: Option<f64>,
    pub(super) samples: usize,
    /// How many times as fast as the baseline it is.
    pub(super) speedup: Option<f64>,
    /// Against f64 on the CPU, over some states at 300 K: root mean square of energies, of components of forces, and the
    /// largest distance of a force.
    pub(super) energy_error_ev: Option<f64>,
    pub(super) force_rmse_ev_per_angstrom: Option<f64>,
    pub(super) force_max_ev_per_angstrom: Option<f64>,
    /// On the card, or the process's largest on the host.
    pub(super) memory_bytes: Option<u64>,
    /// Over 5 ps at constant energy, with its standard error.
    pub(super) drift_mev_per_atom_ps: Option<f64>,
    pub(super) drift_error_mev_per_atom_ps: Option<f64>,
    pub(super) why: Vec<String>,
}

impl GuideRow {
    /// A row of which nothing is known yet.
    pub(super) fn blank(model: &str, system: &GuideSystem, pairs: u64) -> Self {
        Self {
            model: model.to_owned(),
            size: system.size,
            atoms: system.atoms(),
            system: system.formula.clone(),
            pairs,
            engine: String::new(),
            precision: String::new(),
            median_ms: None,
            min_ms: None,
            max_ms: None,
            samples: 0,
            speedup: None,
            energy_error_ev: None,
            force_rmse_ev_per_angstrom: None,
            force_max_ev_per_angstrom: None,
            memory_bytes: None,
            drift_mev_per_atom_ps: None,
            drift_error_mev_per_atom_ps: None,
            why: Vec::new(),
        }
    }

    /// The same of a column.
    pub(super) fn of(mut self, column: GuideColumn) -> Self {
        self.engine = column.engine_name().to_owned();
        self.precision = column.precision.to_string();
        self
    }

    /// What computes it, in few words: `fused f32`.
    pub(super) fn label(&self) -> String {
        format!("{} {}", self.engine, self.precision)
    }

    /// Whether it is of a column.
    pub(super) fn is_of(&self, column: GuideColumn) -> bool {
        self.engine == column.engine_name() && self.precision == column.precision.name()
    }

    pub(super) fn set_times(&mut self, times: Times) {
        self.median_ms = Some(times.median);
        self.min_ms = Some(times.min);
        self.max_ms = Some(times.max);
        self.samples = times.samples;
    }

    pub(super) fn set_errors(&mut self, errors: PrecisionErrors) {
        self.energy_error_ev = Some(errors.energy);
        self.force_rmse_ev_per_angstrom = Some(errors.force);
        self.force_max_ev_per_angstrom = Some(errors.largest);
    }

    pub(super) fn set_drift(&mut self, drift: Estimate) {
        self.drift_mev_per_atom_ps = Some(drift.value / MEV_PER_PS);
        self.drift_error_mev_per_atom_ps = Some(drift.error / MEV_PER_PS);
    }
}

/// Sets how many times as fast as the baseline of the same model and system each row is.
pub(super) fn compare(rows: &mut [GuideRow]) {
    let baselines: Vec<(String, usize, f64)> = (rows.iter())
        .filter(|row| row.is_of(GuideColumn::BASELINE))
        .filter_map(|row| Some((row.model.clone(), row.size, row.median_ms?)))
        .collect();
    for row in rows {
        let same = |b: &&(String, usize, f64)| b.0 == row.model && b.1 == row.size;
        let baseline = baselines.iter().find(same);
        row.speedup = baseline.and_then(|b| Some(b.2 / row.median_ms?));
    }
}

/// A network of the sweep over sizes, or a model that is named.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(super) struct StudentRow {
    /// Its name; `None` of random weights.
    pub(super) model: Option<String>,
    pub(super) features: usize,
    pub(super) layers: usize,
    pub(super) parameters: usize,
    pub(super) atoms: usize,
    pub(super) precision: String,
    pub(super) median_ms: Option<f64>,
    pub(super) min_ms: Option<f64>,
    pub(super) max_ms: Option<f64>,
    /// Root mean square of what components of its forces in f64 are apart from those of the first model; `None` of random
    /// weights.
    pub(super) apart_from_first_ev_per_angstrom: Option<f64>,
    pub(super) why: Vec<String>,
}

/// All that a suite finds.
#[derive(Debug, Serialize)]
pub(super) struct SuiteReport {
    pub(super) suite: &'static str,
    pub(super) version: &'static str,
    /// In universal time.
    pub(super) begun: String,
    pub(super) seconds: f64,
    pub(super) device: String,
    /// Processor or card.
    pub(super) processor: String,
    pub(super) threads: usize,
    /// What the models are.
    pub(super) models: Vec<String>,
    /// What the systems are, in the order of sizes.
    pub(super) systems: Vec<String>,
    pub(super) rows: Vec<GuideRow>,
    pub(super) students: Vec<StudentRow>,
    pub(super) notes: Vec<String>,
}
