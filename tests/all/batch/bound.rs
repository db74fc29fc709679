//! Potentials that share what does not depend on the atoms: each is, bit for bit, what it is when it is bound to them alone.

use std::sync::Arc;

use mdrun::potential::committee::Committee;
use mdrun::potential::lennard_jones::LennardJones;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::painn::reference::{self, BurnDevice};
use mdrun::potential::pair::{Beside, Zbl};
use mdrun::potential::schnet::FusedSchnet;
use mdrun::potential::student::{FusedStudent, Student};
use mdrun::potential::{Evaluation, Potential, Precision};

use crate::committee::models;
use crate::schnet;
use crate::support::atoms::{Atoms, ELEMENTS};
use crate::support::models::shipped;

/// Binds something to atoms of these species, on so many threads.
type Bind<'a> = Box<dyn Fn(&[u8], usize) -> Box<dyn Potential> + 'a>;

/// All that share, in both precisions.
fn all<'a>() -> Vec<(String, Bind<'a>)> {
    let mut all: Vec<(String, Bind)> = vec![(
        "Lennard-Jones".to_owned(),
        Box::new(|_, _| Box::new(LennardJones::new(0.01, 2.0, 5.0).unwrap())),
    )];
    for precision in [Precision::F32, Precision::F64] {
        let (spec, weights) = shipped();
        let painn = move |species: &[u8], threads| -> Box<dyn Potential> {
            let bound = FusedPainn::new(&spec, &weights, species, precision, threads);
            Box::new(bound.unwrap())
        };
        let student = Student::random(40, 3, &[24, 12], 5);
        let student = move |species: &[u8], threads| -> Box<dyn Potential> {
            Box::new(FusedStudent::new(&student, species, precision, threads).unwrap())
        };
        let schnet = move |species: &[u8], threads| -> Box<dyn Potential> {
            let model = schnet::model();
            Box::new(FusedSchnet::new(&model, species, precision, threads).unwrap())
        };
        let several = models();
        let committee = move |species: &[u8], threads| -> Box<dyn Potential> {
            let member = |(spec, weights): &(_, _)| -> Box<dyn Potential> {
                let bound = FusedPainn::new(spec, weights, species, precision, threads);
                Box::new(bound.unwrap())
            };
            let members: Vec<_> = several.iter().map(member).collect();
            let term = Arc::new(Zbl);
            Box::new(Beside::new(
                Box::new(Committee::new(members).unwrap()),
                term,
                species,
            ))
        };
        all.extend([
            (format!("PaiNN {precision:?}"), Box::new(painn) as Bind),
            (format!("student {precision:?}"), Box::new(student)),
            (format!("SchNet {precision:?}"), Box::new(schnet)),
            (format!("committee {precision:?}"), Box::new(committee)),
        ]);
    }
    all
}

/// Every bit of an evaluation.
fn bits(found: &Evaluation) -> Vec<u64> {
    let forces = found.forces.iter().flat_map(|f| f.iter().copied());
    let all = forces.chain(found.strain_derivative.iter().copied());
    let spread = found.spread.map_or([0.0; 2], |s| [s.energy, s.force]);
    (all.chain([found.energy]).chain(spread))
        .map(f64::to_bits)
        .collect()
}

/// Atoms of these elements alone.
fn of_elements(elements: &[u8], count: usize, periodic: bool) -> Atoms {
    let mut atoms = Atoms::crowded(count, [periodic; 3], 90 + count as u32);
    for (k, z) in atoms.species.iter_mut().enumerate() {
        *z = elements[k % elements.len()];
    }
    atoms
}

/// Forces do not depend on which other elements the network was bound to, on threads, or on what was evaluated before.
#[test]
fn sharing_changes_no_bit() {
    let arrangements = [
        of_elements(&[8], 1, false),
        of_elements(&[1, 8], 9, false),
        of_elements(&[6], 12, true),
        of_elements(&[7, 1, 6], 21, true),
        of_elements(&ELEMENTS, 21, false),
    ];
    for (name, bind) in all() {
        let first = bind(&ELEMENTS, 3);
        for atoms in &arrangements {
            let mut alone = bind(&atoms.species, 1);
            let expected = bits(&atoms.evaluate(&mut *alone));
            let mut shared = first.bound_to(&atoms.species).unwrap().unwrap();
            let mut again = shared.bound_to(&atoms.species).unwrap().unwrap();
            for potential in [&mut shared, &mut again] {
                let found = atoms.evaluate(&mut **potential);
                assert!(bits(&found) == expected, "{name}: {:?}", atoms.species);
                assert_eq!(potential.about(), alone.about(), "{name}");
                assert_eq!(potential.cutoff(), first.cutoff());
            }
        }
    }
}

/// A network knows nothing of elements that it was not bound to.
#[test]
fn what_was_not_bound_is_refused() {
    for (name, bind) in all() {
        let refusal = bind(&[1, 8], 1).bound_to(&[1, 6]).err();
        if name == "Lennard-Jones" {
            assert!(refusal.is_none());
            continue;
        }
        let refusal = refusal.unwrap();
        assert_eq!(refusal.exit_code(), 2);
        assert!(
            refusal.to_string().contains("no atom of C"),
            "{name}: {refusal}"
        );
    }
}

/// The reference in tensors shares nothing, and says so: whoever wants another binds it anew.
#[test]
fn what_shares_nothing_says_so() {
    let (spec, weights) = shipped();
    let reference =
        reference::potential(&spec, &weights, &[1, 8], Precision::F64, BurnDevice::Cpu).unwrap();
    assert!(reference.bound_to(&[1, 8]).unwrap().is_none());
    let fused = FusedPainn::new(&spec, &weights, &[1, 8], Precision::F64, 1).unwrap();
    let mixed = Committee::new(vec![Box::new(fused), reference]).unwrap();
    assert!(mixed.bound_to(&[1]).unwrap().is_none());
}
