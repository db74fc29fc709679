//! Potentials with a fault: the line that is about it fails, and a sound one fails none.

use mdrun::forcefield::ForceField;
use mdrun::potential::Precision;
use mdrun::validate::{Judgement, Validated};

use super::spoiled::{
    Added, Blind, Forgetful, PairFunction, bound, leashed, shifted, slanted, squared, stressed,
};
use super::{Faulty, keys, setup, validated};
use crate::physics::subjects::{CUTOFF, FS, Subject, argon_potential, cluster};
use crate::recorder::potentials::{Rounded, Swirling, Truncated, liquid};

const TIMESTEP: f64 = 4.0 * FS;

fn subject() -> Subject {
    liquid(95.0 * crate::physics::subjects::KB)
}

/// Validates, and checks that the tests of these names fail, and no others.
fn fails(subject: &Subject, workshop: &Faulty, expected: &[&str]) -> Validated {
    let found = validated(&setup(subject, workshop, TIMESTEP));
    assert_eq!(keys(&found, Judgement::Fail), expected);
    found
}

/// With something added to the force field.
fn adding(
    subject: &Subject,
    add: fn(&mdrun::core::Cell, &[mdrun::core::Vec3], &mut mdrun::potential::Evaluation),
) -> Faulty {
    Faulty {
        field: Box::new(move |inner| Box::new(Added { inner, add }) as Box<dyn ForceField>),
        ..Faulty::sound(subject)
    }
}

#[test]
fn a_sound_liquid_passes() {
    let subject = subject();
    let found = fails(&subject, &Faulty::sound(&subject), &[]);
    let undecided = keys(&found, Judgement::Undecided);
    assert!(undecided.is_empty(), "{undecided:?}");
    // No test is left out but those that a liquid of one kind at constant energy cannot have.
    let without = keys(&found, Judgement::NotApplicable);
    assert_eq!(without, ["angular_momentum", "kinetic_energy"]);
}

#[test]
fn a_sound_cluster_passes() {
    let subject = cluster();
    let found = fails(&subject, &Faulty::sound(&subject), &[]);
    let without = keys(&found, Judgement::NotApplicable);
    assert_eq!(without, ["stress_is_a_slope", "kinetic_energy"]);
    assert!(keys(&found, Judgement::Undecided).is_empty());
}

#[test]
fn forces_that_are_no_slopes_fail() {
    let subject = cluster();
    let workshop = Faulty::of(&subject, || {
        Box::new(Swirling {
            inner: argon_potential(),
            strength: 1e-4,
        })
    });
    let found = validated(&setup(&subject, &workshop, TIMESTEP));
    let failed = keys(&found, Judgement::Fail);
    // Pushes that turn each pair about an axis have a preferred direction, too, and turn the whole.
    for key in ["forces_are_slopes", "rotation", "angular_momentum"] {
        assert!(failed.contains(&key), "{key}: {failed:?}");
    }
}

#[test]
fn a_jump_of_the_energy_fails() {
    let subject = subject();
    let workshop = Faulty::of(&subject, || Box::new(Truncated { cutoff: 6.0 }));
    let found = validated(&setup(&subject, &workshop, TIMESTEP));
    let failed = keys(&found, Judgement::Fail);
    for key in ["cutoff_jump", "cutoff_kink"] {
        assert!(failed.contains(&key), "{key}: {failed:?}");
    }
}

#[test]
fn a_kink_of_the_force_fails() {
    let subject = subject();
    let workshop = Faulty::of(&subject, || {
        Box::new(PairFunction {
            cutoff: CUTOFF,
            function: shifted,
        })
    });
    // A force that jumps where a pair crosses the cutoff jumps within the step in which one does.
    fails(&subject, &workshop, &["cutoff_kink", "bends"]);
}

#[test]
fn a_preferred_direction_fails() {
    let subject = cluster();
    let workshop = Faulty::of(&subject, || {
        Box::new(PairFunction {
            cutoff: CUTOFF,
            function: slanted,
        })
    });
    fails(&subject, &workshop, &["rotation"]);
}

#[test]
fn an_origin_fails() {
    let subject = cluster();
    let found = validated(&setup(&subject, &adding(&subject, bound), TIMESTEP));
    let failed = keys(&found, Judgement::Fail);
    for key in ["translation", "momentum"] {
        assert!(failed.contains(&key), "{key}: {failed:?}");
    }
    assert!(!failed.contains(&"forces_are_slopes"));
}

#[test]
fn atoms_that_are_not_alike_fail() {
    let subject = cluster();
    let found = validated(&setup(&subject, &adding(&subject, leashed), TIMESTEP));
    let failed = keys(&found, Judgement::Fail);
    assert!(failed.contains(&"permutation"), "{failed:?}");
    assert!(!failed.contains(&"forces_are_slopes") && !failed.contains(&"rotation"));
}

#[test]
fn an_energy_that_does_not_double_fails() {
    let subject = subject();
    fails(&subject, &adding(&subject, squared), &["extensivity"]);
}

#[test]
fn a_wrong_stress_fails() {
    let subject = subject();
    fails(
        &subject,
        &adding(&subject, stressed),
        &["stress_is_a_slope"],
    );
}

#[test]
fn pairs_that_are_not_found_fail() {
    let subject = subject();
    let mut workshop = Faulty::sound(&subject);
    workshop.exact = Box::new(|_, search| match search {
        mdrun::validate::PairSearch::Listed => Box::new(Blind(argon_potential())),
        mdrun::validate::PairSearch::Exhaustive => argon_potential(),
    });
    let found = validated(&setup(&subject, &workshop, TIMESTEP));
    assert!(keys(&found, Judgement::Fail).contains(&"pairs"));
}

#[test]
fn pairs_that_are_lost_on_the_way_fail() {
    let subject = subject();
    let workshop = Faulty {
        engine: Box::new(|engine| Box::new(Forgetful(engine))),
        ..Faulty::sound(&subject)
    };
    fails(&subject, &workshop, &["listed_pairs"]);
}

#[test]
fn coarse_numbers_fail() {
    let subject = subject();
    let workshop = Faulty {
        rounded: Box::new(|_, _| {
            Box::new(Rounded {
                inner: argon_potential(),
                quantum: 0.05,
            })
        }),
        ..Faulty::sound(&subject)
    };
    let mut setup = setup(&subject, &workshop, TIMESTEP);
    setup.precision = Precision::F32;
    setup.force_error = Some(5e-3);
    let failed = keys(&validated(&setup), Judgement::Fail);
    for key in ["precision", "drift", "momentum"] {
        assert!(failed.contains(&key), "{key}: {failed:?}");
    }
}
