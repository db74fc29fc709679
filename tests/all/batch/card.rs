//! The batch on a GPU: members are what they are alone with the batch's kernels, and one at fault rests.

use mdrun::assemble;
use mdrun::core::rng::Noise;
use mdrun::core::{Cell, Fields, System, Vec3};
use mdrun::dynamics::baoab;
use mdrun::engine::cuda::{CudaBatch, CudaEngine, DeviceForceFields};
use mdrun::engine::{BatchEngine, BatchMember, Engine, Flags, Limits, Outcome, Start, Watched};
use mdrun::forcefield::{Arrangement, FoundPoint, ManyForceField};
use mdrun::neighbors::Pairs;
use mdrun::potential::committee::CudaCommittee;
use mdrun::potential::device::DevicePotential;
use mdrun::potential::lennard_jones::LennardJones;
use mdrun::potential::painn::RadialBasis;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::cuda::CudaPainn;
use mdrun::potential::{Evaluation, Potential, Precision};

use super::host::{another_batch, any_company};
use super::mixes::{CARD_FAMILIES, Case, FAMILIES, cases_on, waters};
use crate::cuda::gpu;
use crate::physics::doubles::bits;
use crate::physics::subjects::FS;
use crate::support::atoms::{Atoms, Random};
use crate::support::models::{calm_model, shipped};

const DEVICE: &str = "cuda:0";
const SKIN: f64 = 0.5;

#[test]
fn a_member_on_a_gpu_is_what_it_is_alone() {
    if !gpu() {
        return;
    }
    for (family, seed) in FAMILIES.iter().chain(&CARD_FAMILIES).zip(90..) {
        let mut random = Random::new(seed);
        let cases = cases_on(DEVICE, family, &mut random);
        any_company(family, &cases, &mut random);
    }
}

#[test]
fn a_member_on_a_gpu_goes_on_in_another_batch() {
    if !gpu() {
        return;
    }
    let mut random = Random::new(96);
    for family in &FAMILIES[1..4] {
        another_batch(family, &cases_on(DEVICE, family, &mut random));
    }
}

/// Pairs are those of each member alone, and none is counted twice.
#[test]
fn a_batch_on_a_gpu_lists_the_pairs_of_its_members() {
    if !gpu() {
        return;
    }
    let mut random = Random::new(97);
    let (model, cases) = cases_on(DEVICE, &FAMILIES[0], &mut random);
    let members: Vec<&Case> = cases[4..].iter().collect();
    let mut batch = super::host::engine(&model, &members);
    batch.run(50).unwrap();
    let mut pairs = 0;
    for (k, case) in members.iter().enumerate() {
        let mut alone = assemble::engine(&case.plan, &model).unwrap();
        alone.run(&assemble::program(&case.plan), 0..50).unwrap();
        let receivers = [0, 2, 8];
        let listed = alone.listed(&receivers).unwrap();
        assert_eq!(batch.listed(k, &receivers).unwrap(), listed);
        alone.snapshot(Fields::NONE).unwrap();
        pairs += alone.statistics().pairs;
    }
    batch.snapshots(Fields::NONE).unwrap();
    assert_eq!(batch.statistics().pairs, pairs);
    assert!(pairs > 0);
}

/// There is room on the card for some water.
#[test]
fn members_in_flight_fit_onto_a_gpu() {
    if !gpu() {
        return;
    }
    let (model, cases) = cases_on(DEVICE, &FAMILIES[0], &mut Random::new(98));
    let plans = || cases.iter().map(|case| &case.plan);
    assert_eq!(assemble::in_flight(plans(), &model).unwrap(), cases.len());
}

/// Two atoms of argon's size that come `closer` by so much (angstrom) in a step.
fn dimer(replica: u32, closer: f64, limits: Limits) -> BatchMember {
    let system = System {
        species: vec![18, 18],
        masses: vec![1e6, 1e6],
    };
    let positions = vec![Vec3::zeros(), Vec3::new(6.0, 0.0, 0.0)];
    let velocities = vec![Vec3::new(closer / FS, 0.0, 0.0), Vec3::zeros()];
    let start = Start::new(system, Cell::open(), positions, velocities);
    BatchMember {
        start: start.of_replica(replica),
        noise: Noise::new(5),
        program: baoab(FS, 0.001, 1.0 / (500.0 * FS)),
        limits,
    }
}

fn argon() -> LennardJones {
    LennardJones::new(0.01, 3.4, 8.5).unwrap()
}

fn batch(members: &[BatchMember]) -> CudaBatch {
    CudaBatch::new(members.to_vec(), &argon(), SKIN, 0).unwrap()
}

/// What one alone says of steps, and its bits after them.
fn alone(member: &BatchMember, steps: u64) -> (Outcome, Vec<u64>) {
    let (start, noise) = (member.start.clone(), member.noise);
    let mut engine = CudaEngine::new(start, &argon(), noise, SKIN, 0).unwrap();
    engine.watch(member.limits);
    let outcome = engine.run(&member.program, 0..steps).unwrap();
    (outcome, bits(&engine.snapshot(Fields::ALL).unwrap()))
}

fn all(engine: &mut CudaBatch) -> Vec<Vec<u64>> {
    let snapshots = engine.snapshots(Fields::ALL).unwrap();
    snapshots.iter().map(bits).collect()
}

/// The contact is seen in its step; the others take all of theirs, in the bits that they have alone.
#[test]
fn a_broken_limit_on_a_gpu_ends_a_member_where_it_is_to() {
    if !gpu() {
        return;
    }
    for stop in [false, true] {
        let limits = Limits {
            contact: Some(4.0),
            stop,
            ..Limits::default()
        };
        let members = [
            dimer(0, 0.0, limits),
            dimer(1, 0.02, limits),
            dimer(2, 0.001, limits),
        ];
        let mut engine = batch(&members);
        engine.run(20).unwrap();
        engine.save().unwrap();
        let saved = all(&mut engine);
        engine.run(30).unwrap();
        let outcomes = engine.run(100).unwrap();
        let (lone, state) = alone(&members[1], 150);
        assert_eq!(outcomes[1].breach, lone.breach);
        assert_eq!(lone.breach.unwrap().what, Watched::Contact);
        let reached = all(&mut engine);
        match stop {
            true => assert_eq!(reached[1], saved[1]),
            false => assert_eq!(reached[1], state),
        }
        for k in [0, 2] {
            assert_eq!((outcomes[k].flags, outcomes[k].step), (Flags::OK, 150));
            assert_eq!(reached[k], alone(&members[k], 150).1);
        }
        // It rests, and says nothing.
        let outcomes = engine.run(5).unwrap();
        assert_eq!(outcomes[1].step, if stop { 20 } else { 155 });
        engine.rollback().unwrap();
        assert_eq!(all(&mut engine), saved);
    }
}

/// What is no number any more rests where it was saved, from the first step on or later.
#[test]
fn a_member_on_a_gpu_that_is_no_number_rests() {
    if !gpu() {
        return;
    }
    let none = Limits::default();
    let mut members = [
        dimer(0, 0.0, none),
        dimer(1, 0.0, none),
        dimer(2, 0.001, none),
    ];
    members[1].start.velocities[0] = Vec3::new(0.0, 1e308, 0.0);
    let mut engine = batch(&members);
    let start = all(&mut engine);
    let outcomes = engine.run(150).unwrap();
    let (lone, _) = alone(&members[1], 150);
    assert!(lone.flags.contains(Flags::NONFINITE), "{lone:?}");
    assert_eq!(outcomes[1].breach, lone.breach);
    let reached = all(&mut engine);
    assert_eq!(reached[1], start[1]);
    for k in [0, 2] {
        assert_eq!((outcomes[k].flags, outcomes[k].step), (Flags::OK, 150));
        assert_eq!(reached[k], alone(&members[k], 150).1);
    }
}

/// A member that is told to rest stays where it is, and no steps check the present.
#[test]
fn a_member_on_a_gpu_rests_when_it_is_told_to() {
    if !gpu() {
        return;
    }
    let limits = Limits {
        contact: Some(8.0),
        stop: true,
        ..Limits::default()
    };
    let none = Limits::default();
    let members = [
        dimer(0, 0.001, none),
        dimer(1, 0.001, none),
        dimer(2, 0.001, limits),
    ];
    let mut engine = batch(&members);
    let outcomes = engine.run(0).unwrap();
    assert_eq!(
        (outcomes[0].flags, outcomes[2].flags),
        (Flags::OK, Flags::LIMIT)
    );
    engine.run(7).unwrap();
    engine.rest(1);
    let reached = all(&mut engine);
    let outcomes = engine.run(9).unwrap();
    let steps: Vec<u64> = outcomes.iter().map(|outcome| outcome.step).collect();
    assert_eq!(steps, [16, 7, 0]);
    let after = all(&mut engine);
    assert_eq!(after[1..], reached[1..]);
    assert_eq!(after[0], alone(&members[0], 16).1);
}

/// The spread of a committee is that of each member alone.
#[test]
fn a_committee_on_a_gpu_is_apart_in_each_member_as_alone() {
    if !gpu() {
        return;
    }
    let models = [
        calm_model(64, 2, RadialBasis::gaussian(8, 5.0)),
        calm_model(32, 3, RadialBasis::bessel(8, 5.0)),
    ];
    let committee = || {
        let members = models.iter().map(|(spec, weights)| {
            Box::new(CudaPainn::new(spec, weights)) as Box<dyn DevicePotential>
        });
        CudaCommittee::new(members.collect()).unwrap()
    };
    let member = |atoms: Atoms| {
        let masses = vec![12.0; atoms.species.len()];
        let velocities = vec![Vec3::zeros(); masses.len()];
        let system = System {
            species: atoms.species,
            masses,
        };
        BatchMember {
            start: Start::new(system, atoms.cell, atoms.positions, velocities),
            noise: Noise::new(1),
            program: baoab(0.5 * FS, 0.02, 1.0 / (500.0 * FS)),
            limits: Limits::default(),
        }
    };
    let members = [
        member(Atoms::shipped("ethanol.xyz")),
        member(waters(8)),
        member(Atoms::shipped("aspirin.xyz")),
    ];
    let mut engine = CudaBatch::new(members.to_vec(), &committee(), SKIN, 0).unwrap();
    engine.run(20).unwrap();
    let found = engine.snapshots(Fields::ALL).unwrap();
    for (member, found) in members.into_iter().zip(&found) {
        let mut lone = CudaBatch::new(vec![member], &committee(), SKIN, 0).unwrap();
        lone.run(20).unwrap();
        let alone = lone.snapshots(Fields::ALL).unwrap();
        assert_eq!(bits(found), bits(&alone[0]));
        let spread = found.observables.spread.unwrap();
        assert_eq!(spread, alone[0].observables.spread.unwrap());
        assert!(spread.force > 0.0 && spread.energy > 0.0);
    }
}

/// Shaken copies of some structures.
fn arrangements(count: usize, seed: u32) -> Vec<Atoms> {
    let mut random = Random::new(seed);
    let kinds = [
        Atoms::shipped("ethanol.xyz"),
        waters(8),
        Atoms::shipped("aspirin.xyz"),
    ];
    let shaken = |k: usize| {
        let mut atoms = kinds[k % kinds.len()].clone();
        for r in &mut atoms.positions {
            *r += 0.02 * random.vector();
        }
        atoms
    };
    (0..count).map(shaken).collect()
}

fn all_of(atoms: &[Atoms]) -> Vec<Arrangement<'_>> {
    let mut all = Vec::new();
    for one in atoms {
        all.push(Arrangement {
            species: &one.species,
            cell: &one.cell,
            positions: &one.positions,
        });
    }
    all
}

/// Every bit of what is found.
fn found(field: &mut DeviceForceFields<'_>, atoms: &[Atoms]) -> Vec<Vec<u64>> {
    let found = field.evaluate(&all_of(atoms)).unwrap();
    let one = |point: mdrun::Result<FoundPoint>| {
        let FoundPoint {
            evaluation, pairs, ..
        } = point.unwrap();
        let forces = evaluation.forces.iter().flatten();
        let numbers = forces.chain(&evaluation.strain_derivative);
        let numbers = numbers.chain([&evaluation.energy]).map(|x| x.to_bits());
        numbers.chain([pairs]).collect()
    };
    found.into_iter().map(one).collect()
}

/// What is found of an arrangement does not depend on the others, nor on what was evaluated before; it is that of the host.
#[test]
fn many_arrangements_on_a_gpu_are_each_as_alone() {
    /// Largest error of a force (eV / angstrom) of the shipped model in f32.
    const FORCE: f64 = 2e-4;
    if !gpu() {
        return;
    }
    let (spec, weights) = shipped();
    let field = || DeviceForceFields::new(Box::new(CudaPainn::new(&spec, &weights)), 0);
    let [atoms, others] = [arrangements(12, 101), arrangements(12, 102)];
    let mut one = field();
    let together = found(&mut one, &atoms);
    // The same shapes elsewhere, then fewer, then the first again.
    let moved = found(&mut one, &others);
    assert_ne!(moved, together);
    assert_eq!(found(&mut one, &atoms[3..7]), together[3..7]);
    assert_eq!(found(&mut one, &atoms), together);
    for (k, atoms) in atoms.iter().enumerate() {
        let mut alone = field();
        assert_eq!(
            found(&mut alone, std::slice::from_ref(atoms)),
            together[k..=k]
        );
        let pairs = Pairs::within(&atoms.cell, &atoms.positions, spec.cutoff).unwrap();
        assert_eq!(together[k].last(), Some(&(pairs.len() as u64)));
        let mut exact = Evaluation::zeros(atoms.species.len());
        let host = FusedPainn::new(&spec, &weights, &atoms.species, Precision::F64, 1);
        host.unwrap().evaluate(&pairs, &mut exact).unwrap();
        let forces = exact.forces.iter().flatten().zip(&together[k]);
        let error = forces.map(|(f, bits)| (f - f64::from_bits(*bits)).abs());
        assert!(error.fold(0.0, f64::max) < FORCE);
    }
    // One that is no arrangement is told in its place.
    let mut broken = arrangements(3, 103);
    broken[1].positions[0].x = f64::NAN;
    let said = one.evaluate(&all_of(&broken)).unwrap();
    let sound: Vec<bool> = said.iter().map(Result::is_ok).collect();
    assert_eq!(sound, [true, false, true]);
}
