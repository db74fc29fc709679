//! One moment of a run, for Python.

use mdrun::core::Snapshot;
use mdrun::core::observe::Thermometer;
use mdrun::units::{ANGSTROM_PER_FS, BAR, FEMTOSECOND, KELVIN};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};

/// A moment, in the units that users see: the fields of `mdrun.State` by their names, arrays as bytes.
///
/// # Errors
/// Python has no memory for it.
pub fn state<'py>(
    py: Python<'py>,
    moment: &Snapshot,
    thermometer: &Thermometer,
) -> PyResult<Bound<'py, PyDict>> {
    let o = &moment.observables;
    let volume = moment.cell.volume();
    let strain = o.strain_derivative.transpose();
    let stress = volume.map(|volume| bytes(py, 9, strain.iter().map(|x| x / volume)));
    let vectors = moment.cell.vectors().transpose();
    let cell = (moment.cell.is_given()).then(|| bytes(py, 9, vectors.iter().copied()));
    let atoms = 3 * moment.positions.len();
    let speeds = moment.velocities.iter().flatten();
    let fields = PyDict::new(py);
    fields.set_item("step", moment.step)?;
    fields.set_item("time", moment.time / FEMTOSECOND)?;
    fields.set_item("potential_energy", o.potential)?;
    fields.set_item("kinetic_energy", o.kinetic)?;
    fields.set_item("conserved_energy", o.conserved())?;
    fields.set_item("temperature", thermometer.kt(o) / KELVIN)?;
    let pressure = thermometer.pressure(moment);
    fields.set_item("pressure", pressure.map(|pressure| pressure / BAR))?;
    fields.set_item("pbc", moment.cell.periodic())?;
    fields.set_item("cell", cell.transpose()?)?;
    fields.set_item("stress", stress.transpose()?)?;
    let positions = moment.positions.iter().flatten().copied();
    fields.set_item("positions", bytes(py, atoms, positions)?)?;
    let speeds = speeds.map(|v| v / ANGSTROM_PER_FS);
    fields.set_item("velocities", bytes(py, atoms, speeds)?)?;
    let forces = moment.forces.iter().flatten().copied();
    fields.set_item("forces", bytes(py, atoms, forces)?)?;
    Ok(fields)
}

/// So many numbers as bytes.
///
/// # Errors
/// Python has no memory for them.
pub fn bytes(
    py: Python<'_>,
    count: usize,
    numbers: impl Iterator<Item = f64>,
) -> PyResult<Bound<'_, PyBytes>> {
    PyBytes::new_with(py, 8 * count, |room| {
        fill(room, numbers);
        Ok(())
    })
}

/// Writes numbers one after another.
pub fn fill(room: &mut [u8], numbers: impl Iterator<Item = f64>) {
    let words = room.as_chunks_mut::<8>().0.iter_mut();
    words
        .zip(numbers)
        .for_each(|(word, x)| *word = x.to_ne_bytes());
}
