//! PLUMED beside a plan's run.

use std::path::{Path, PathBuf};

use crate::config::plan::{CheckpointPlan, Plan};
use crate::plumed::{PlumedBias, PlumedKernel, PlumedScene, USUAL_KERNEL};
use crate::report::names::PLUMED_LOG;
use crate::{Error, Result};

/// What names the kernel where the run file does not.
const VARIABLE: &str = "PLUMED_KERNEL";

/// PLUMED's kernel, where a plan has PLUMED and atoms that move: a minimisation is of the potential alone.
///
/// # Errors
/// It cannot be loaded, or is none.
pub fn plumed_kernel(plan: &Plan) -> Result<Option<PlumedKernel>> {
    let Some(plumed) = plan.plumed.as_ref().filter(|_| plan.minimizer().is_none()) else {
        return Ok(None);
    };
    let named = std::env::var_os(VARIABLE).filter(|name| !name.is_empty());
    let (path, place) = match (&plumed.kernel, named) {
        (Some(path), _) => (path.clone(), plan.places.of("plumed.kernel")),
        (None, Some(named)) => {
            let place = format!("{}: {VARIABLE}", plan.places.of("plumed.input"));
            (PathBuf::from(named), place)
        }
        (None, None) => (PathBuf::from(USUAL_KERNEL), plan.places.of("plumed.input")),
    };
    PlumedKernel::load(&path).map(Some).map_err(|e| {
        let advice = format!(
            "name libplumedKernel.so of an installation of PLUMED by kernel in [plumed], or by the environment \
             variable {VARIABLE}"
        );
        e.within(place).advise(advice)
    })
}

/// PLUMED beside a run that begins, or goes on, in a directory.
///
/// # Errors
/// What PLUMED says of its input.
pub fn plumed_bias(
    plan: &Plan,
    kernel: PlumedKernel,
    (directory, restart): (&Path, bool),
) -> Result<PlumedBias> {
    let dynamics = &plan.dynamics;
    let stays = dynamics.ramps.temperature.is_none();
    let input = plan.plumed.as_ref().map(|plumed| plumed.input.clone());
    let scene = PlumedScene {
        input: input.unwrap_or_default(),
        directory: directory.to_owned(),
        log: PLUMED_LOG.to_owned(),
        masses: plan.start.system.masses.clone(),
        periodic: plan.start.cell.periodic(),
        timestep: dynamics.timestep,
        kt: super::bath(plan).filter(|_| stays),
        restart,
        checkpoint_every: match plan.output.checkpoint {
            CheckpointPlan::Steps(steps) => steps,
            CheckpointPlan::Clock(_) | CheckpointPlan::Off => 0,
        },
    };
    PlumedBias::begin(kernel, &scene)
        .map_err(|e| Error::input(e.to_string()).within(plan.places.of("plumed.input")))
}

/// Why PLUMED is not for a card, where a plan has it.
///
/// # Errors
/// It has.
pub(super) fn check_card(plan: &Plan) -> Result<()> {
    match &plan.plumed {
        None => Ok(()),
        Some(_) => Err(Error::input("PLUMED acts on the processor alone")
            .within(plan.places.of("plumed.input"))
            .advise("set [device] kind = \"cpu\"")),
    }
}
