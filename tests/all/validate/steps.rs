//! Steps with a fault: too long, of the wrong order, not reversible.

use mdrun::dynamics::{Local, Op, Program};
use mdrun::validate::Judgement;

use super::{Faulty, keys, line, setup, validated};
use crate::physics::subjects::{FS, KB};
use crate::recorder::potentials::liquid;

/// Kick, then drift, each of a whole step: symplectic, and of first order.
fn first_order(timestep: f64) -> Program {
    Program::of(vec![
        Op::Local(Local::Kick(timestep)),
        Op::Local(Local::Drift(timestep)),
        Op::Forces,
    ])
}

/// Velocity Verlet with a first half of the kick that is too long.
fn lopsided(timestep: f64) -> Program {
    Program::of(vec![
        Op::Local(Local::Kick(0.51 * timestep)),
        Op::Local(Local::Drift(timestep)),
        Op::Forces,
        Op::Local(Local::Kick(0.5 * timestep)),
    ])
}

#[test]
fn steps_that_are_too_long_fail() {
    let subject = liquid(300.0 * KB);
    let found = validated(&setup(&subject, &Faulty::sound(&subject), 40.0 * FS));
    let failed = keys(&found, Judgement::Fail);
    assert!(failed.contains(&"timestep"), "{failed:?}");
    assert!(failed.contains(&"fluctuation"), "{failed:?}");
}

#[test]
fn an_integrator_of_first_order_fails() {
    let subject = liquid(95.0 * KB);
    let workshop = Faulty {
        constant_energy: Box::new(first_order),
        ..Faulty::sound(&subject)
    };
    let found = validated(&setup(&subject, &workshop, 4.0 * FS));
    let failed = keys(&found, Judgement::Fail);
    for key in ["order", "time_reversal"] {
        assert!(failed.contains(&key), "{key}: {failed:?}");
    }
    // One off from two.
    let off = line(&found, "order").value.unwrap();
    assert!((off - 1.0).abs() < 0.2, "{off}");
}

/// Kicks that are longer than drifts are those of stronger forces: some energy is conserved, and not this one.
#[test]
fn lopsided_kicks_fail() {
    let subject = liquid(95.0 * KB);
    let workshop = Faulty {
        constant_energy: Box::new(lopsided),
        ..Faulty::sound(&subject)
    };
    let found = validated(&setup(&subject, &workshop, 4.0 * FS));
    let failed = keys(&found, Judgement::Fail);
    assert!(failed.contains(&"order"), "{failed:?}");
    assert!(failed.contains(&"time_reversal"), "{failed:?}");
}
