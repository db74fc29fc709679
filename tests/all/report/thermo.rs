//! The thermo table: units, columns, completeness.

use mdrun::core::{Cell, Mat3};
use mdrun::report::thermo::Scope;
use mdrun::report::{Console, DriftMonitor, Energies, EnergyRecord, Thermo};
use mdrun::simulation::Reporter;
use mdrun::units::{BAR, KELVIN};

use super::frames::{self, EVERY};

#[test]
fn columns_are_in_the_units_that_they_name() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thermo.csv");
    let cell = Cell::new(Mat3::identity() * 10.0, [true; 3]).unwrap();
    let energies = Energies::new(EnergyRecord::new(4, 9));
    let monitor = mdrun::config::plan::MonitorPlan {
        drift: None,
        temperature: None,
        force: None,
        contact: None,
        spread: None,
        spread_every: None,
        numbers: None,
        action: mdrun::config::plan::Action::Warn,
        audit: mdrun::config::plan::Audit::Off,
        record: false,
    };
    let mut drift = DriftMonitor::new(energies.clone(), 1, &monitor);
    let mut thermo = Thermo::create(
        &path,
        &Scope::unpressed(&cell, EVERY, 80),
        &energies,
        &Console::silent(),
    )
    .unwrap();
    for number in 0..5 {
        let frame = frames::frame(number, 0, &cell);
        drift.report(&frame).unwrap();
        assert_eq!(thermo.next(frame.step), frame.step);
        assert_eq!(thermo.next(frame.step + 1), frame.step + EVERY);
        thermo.report(&frame).unwrap();
        // Complete at any moment.
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(text.ends_with('\n') && text.lines().count() == number as usize + 2);
    }
    thermo.finish().unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<Vec<&str>> = text.lines().map(|l| l.split(',').collect()).collect();
    assert_eq!(
        lines[0],
        [
            "step",
            "time_fs",
            "potential_energy_ev",
            "kinetic_energy_ev",
            "total_energy_ev",
            "conserved_energy_ev",
            "temperature_k",
            "pressure_bar",
            "drift_mev_per_atom_ps",
            "drift_stderr_mev_per_atom_ps",
        ]
    );
    let number = |line: usize, column: usize| lines[line][column].parse::<f64>().unwrap();
    assert_eq!(lines[2][..3], ["20", "10.0", "-1235.5678901234"]);
    assert_eq!(number(2, 3), 1.0 / 3.0);
    assert_eq!(number(2, 4), -1_235.567_890_123_4 + 1.0 / 3.0);
    assert_eq!(number(2, 5), number(2, 4) - 0.125);
    // 2 E_kin / (9 k) with k = 8.617333e-5 eV/K.
    assert!((number(2, 6) - 2.0 / 3.0 / 9.0 / 8.617_333e-5).abs() < 1e-3);
    assert!((number(2, 6) * KELVIN * 9.0 - 2.0 / 3.0).abs() < 1e-12);
    // (2 E_kin - trace) / 3 V = (2/3 - 6) / 3000 eV/A^3; 1 eV/A^3 = 1,602,176.6 bar.
    assert!((number(2, 7) + 16.0 / 9000.0 * 1_602_176.6).abs() < 0.01);
    assert!((number(2, 7) * BAR + 16.0 / 9000.0).abs() < 1e-12);
    // The conserved energy falls by 1 eV in 10 fs: -0.25 eV/atom per 0.01 ps.
    assert_eq!((lines[1][8], lines[2][8], lines[2][9]), ("", "", ""));
    assert!((number(5, 8) + 25_000.0).abs() < 1e-6, "{}", lines[5][8]);
}

#[test]
fn there_is_no_pressure_without_a_volume() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("thermo.csv");
    let slab = Cell::new(Mat3::identity() * 10.0, [true, true, false]).unwrap();
    let energies = Energies::new(EnergyRecord::new(4, 9));
    let mut thermo = Thermo::create(
        &path,
        &Scope::unpressed(&slab, 1, 1),
        &energies,
        &Console::silent(),
    )
    .unwrap();
    thermo.report(&frames::frame(0, 0, &slab)).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains("pressure"));
    assert!(text.lines().all(|line| line.split(',').count() == 9));
}
