//! What is written of a member is to the byte what its lone run writes.

use std::fs;
use std::path::Path;

use mdrun::report::Status;
use mdrun::report::checkpoint::store;
use mdrun::run::Entry;

use super::plans::{self, Members, frame_of, read, row_of, rows_of};
use crate::restart::runs::{Bench, Dynamics, Subject, newest, record};

const FILES: [&str; 4] = ["traj.xyz", "traj.dcd", "traj.xtc", "topology.pdb"];

/// Compares what a batch has of its members with their lone runs.
fn same_as_alone(members: &Members, batch: &Path) {
    let table = read(&batch.join("thermo.csv"));
    let last = read(&batch.join("final.xyz"));
    let kept = store::newest_of_batch(batch).unwrap().unwrap().checkpoint;
    for member in 0..members.count() {
        let alone = members.at(&format!("alone{member}"));
        members.run_alone(member, &alone);
        for name in FILES {
            let own = batch.join(format!("members/{member:04}")).join(name);
            let [own, lone] = [own, alone.join(name)].map(|path| fs::read(path).unwrap());
            assert!(own == lone, "member {member}: {name}");
        }
        let lone = read(&alone.join("thermo.csv"));
        let lone: Vec<&str> = lone.lines().skip(1).collect();
        assert_eq!(rows_of(&table, member), lone, "member {member}");
        assert_eq!(
            frame_of(&last, member),
            read(&alone.join("final.xyz")),
            "member {member}"
        );
        let (state, lone) = (&kept.members[member], newest(&alone));
        assert_eq!(
            state.energies.as_ref(),
            Some(&lone.energies),
            "member {member}"
        );
        let summary = &record(&alone)["summary"];
        let row = row_of(batch, member);
        assert_eq!(row[3..5], ["complete", &lone.step.to_string()]);
        for (cell, key) in [
            (&row[5], "energy_drift_mev_per_atom_ps"),
            (&row[6], "energy_drift_stderr"),
            (&row[7], "mean_temperature_k"),
        ] {
            let wanted = summary[key].as_f64();
            assert_eq!(cell.parse().ok(), wanted, "member {member}: {key}");
        }
    }
}

fn molecules(dynamics: Dynamics, in_flight: Option<usize>) {
    let members = Members::molecules(5, dynamics, 60, "");
    let batch = members.at("batch");
    let ending = members.run(&batch, in_flight);
    assert_eq!((ending.status, ending.steps), (Status::Complete, 300));
    same_as_alone(&members, &batch);
}

#[test]
fn members_at_constant_energy_write_what_they_do_alone() {
    molecules(Dynamics::Nve, None);
}

#[test]
fn members_with_thermostats_write_what_they_do_alone() {
    molecules(Dynamics::Langevin, Some(2));
}

#[test]
fn members_whose_velocities_are_rescaled_write_what_they_do_alone() {
    molecules(Dynamics::Csvr, Some(3));
}

/// Atoms of each member are looked up in its own structure.
#[test]
fn members_with_frozen_atoms_write_what_they_do_alone() {
    let group = "[[group]]\nname = \"core\"\natoms = \"index 0 or (within 1.2 A of index 1 and not index 1)\"\nfrozen = true\n";
    for dynamics in [Dynamics::Nve, Dynamics::Langevin, Dynamics::Csvr] {
        let mut members = Members::molecules(4, dynamics, 30, group);
        (0..4).for_each(|member| members.set(member, "dynamics.remove_drift=0"));
        let batch = members.at("batch");
        let ending = members.run(&batch, Some(3));
        assert_eq!((ending.status, ending.steps), (Status::Complete, 120));
        same_as_alone(&members, &batch);
    }
}

/// Springs hang on where each member starts, and move with its own steps.
#[test]
fn members_on_springs_write_what_they_do_alone() {
    let groups = "[[group]]\nname = \"head\"\natoms = \"index 0\"\nspring = { constant = \"1 eV/A^2\" }\n\
                  [[group]]\nname = \"tail\"\natoms = \"index 1\"\nforce = [\"0 eV/A\", \"0.01 eV/A\", \"0 eV/A\"]\n\
                  spring = { to = \"head\", constant = \"2 eV/A^2\", speed = \"1 A/ps\" }\n";
    for dynamics in [Dynamics::Nve, Dynamics::Langevin] {
        let mut members = Members::molecules(4, dynamics, 30, groups);
        (0..4).for_each(|member| members.set(member, "dynamics.remove_drift=0"));
        let batch = members.at("batch");
        let ending = members.run(&batch, Some(3));
        assert_eq!((ending.status, ending.steps), (Status::Complete, 120));
        same_as_alone(&members, &batch);
    }
}

/// Bonds of each member are those of its own structure.
#[test]
fn members_with_constraints_write_what_they_do_alone() {
    let held = "[constraints]\nbonds = \"hydrogen\"\n";
    for dynamics in [Dynamics::Nve, Dynamics::Langevin, Dynamics::Csvr] {
        // All but the pair of hydrogen, of which nothing would be left to move.
        let members = Members::molecules(3, dynamics, 30, held);
        let batch = members.at("batch");
        let ending = members.run(&batch, Some(2));
        assert_eq!((ending.status, ending.steps), (Status::Complete, 90));
        same_as_alone(&members, &batch);
    }
}

#[test]
fn members_with_chains_of_thermostats_write_what_they_do_alone() {
    molecules(Dynamics::NoseHoover, Some(2));
}

#[test]
fn members_under_pressure_write_what_they_do_alone() {
    for dynamics in [Dynamics::Npt, Dynamics::NptTriclinic, Dynamics::Mtk] {
        let bench = Bench::new(Subject::Argon, dynamics, 30, plans::CPU);
        let members = Members::replicas(bench, 3);
        let batch = members.at("batch");
        assert_eq!(members.run(&batch, Some(2)).status, Status::Complete);
        same_as_alone(&members, &batch);
    }
}

/// A committee's members write the frames that its models disagree on, each into a file of its own.
#[test]
fn members_of_a_committee_write_what_they_do_alone() {
    let watched = "[monitor]\nspread = \"0.005 eV/A\"\naction = \"warn\"\n";
    let more = format!("{}{watched}", plans::CPU);
    let bench = Bench::new(Subject::Committee, Dynamics::Langevin, 40, &more);
    let members = Members::replicas(bench, 2);
    let batch = members.at("batch");
    assert_eq!(members.run(&batch, None).status, Status::Complete);
    same_as_alone(&members, &batch);
    for member in 0..2 {
        let own = batch.join(format!("members/{member:04}/uncertain.xyz"));
        let lone = members.at(&format!("alone{member}")).join("uncertain.xyz");
        assert_eq!(read(&own), read(&lone));
        assert!(
            read(&own).contains("Properties="),
            "some frames are beyond the limit"
        );
        let told = format!("are written to members/{member:04}/uncertain.xyz");
        assert!(read(&batch.join("members.csv")).contains(&told));
    }
}

/// All trajectories in one file: the same frames, which say whose they are, in the order of members.
#[test]
fn frames_of_all_members_in_one_file_say_whose_they_are() {
    let mut members = Members::molecules(3, Dynamics::Nve, 30, "");
    for member in 0..3 {
        members.set(
            member,
            "output.trajectory=[{ format = \"xyz\", every = 10 }]",
        );
    }
    let (apart, together) = (members.at("apart"), members.at("together"));
    members.run(&apart, None);
    let mut plan = members.plan(&together, None, &[]);
    plan.together = true;
    plans::run(plan, Entry::Begin).unwrap();
    assert!(!together.join("members").exists());
    let text = read(&together.join("traj.xyz"));
    for member in 0..3 {
        let own = read(&apart.join(format!("members/{member:04}/traj.xyz")));
        assert_eq!(frame_of(&text, member), own);
    }
    let order = text.lines().filter_map(|line| line.split_once(" member="));
    let order: Vec<&str> = order.map(|(_, member)| member).collect();
    assert_eq!(order, ["0", "1", "2"].repeat(4));
    let [one, other] = [&apart, &together].map(|run| read(&run.join("thermo.csv")));
    assert_eq!(one, other);
    assert_eq!(record(&together)["members"], 3);
}

/// Rows of one step are in the order of members, and columns that some members have nothing for are empty there.
#[test]
fn a_table_of_all_has_the_columns_of_each() {
    let bench = Bench::new(Subject::Argon, Dynamics::Nve, 4, plans::CPU);
    let mut members = Members::replicas(bench, 2);
    let free = members.at("free.xyz");
    fs::write(&free, "2\n\nAr 0 0 0\nAr 0 0 4\n").unwrap();
    members.set(
        1,
        &format!("system.structure={:?}", free.display().to_string()),
    );
    let batch = members.at("batch");
    members.run(&batch, None);
    let table = read(&batch.join("thermo.csv"));
    let header = table.lines().next().unwrap();
    let pressure = header
        .split(',')
        .position(|name| name == "pressure_bar")
        .unwrap();
    assert!(header.starts_with("member,step,time_fs,"));
    let cells = |row: &str| row.split(',').nth(pressure).unwrap().is_empty();
    let rows: Vec<(String, bool)> = (table.lines().skip(1))
        .map(|row| {
            (
                row.split(',').take(2).collect::<Vec<_>>().join(","),
                cells(row),
            )
        })
        .collect();
    let wanted =
        (0..=4).flat_map(|step| [(format!("0,{step}"), false), (format!("1,{step}"), true)]);
    assert_eq!(rows, wanted.collect::<Vec<_>>());
}
