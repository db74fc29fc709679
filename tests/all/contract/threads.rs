//! A run may be made in one thread and go on in another.

use std::sync::atomic::AtomicBool;

use mdrun::core::{Fields, Snapshot};
use mdrun::engine::{Engine, HostEngine, Pending};
use mdrun::forcefield::{ForceField, HostForceField};
use mdrun::potential::Potential;
use mdrun::report::{Console, Energies, RunRecord};
use mdrun::run::Run;
use mdrun::simulation::{Checkpointing, Finish, Reporter, Simulation};

use crate::physics::doubles::bits;
use crate::physics::simulation::{argon_engine, simulation};

fn is_send<T: Send + ?Sized>() {}

/// Fails to compile where something is one thread's own.
#[test]
fn everything_of_a_run_can_go_to_another_thread() {
    is_send::<Simulation>();
    is_send::<HostEngine>();
    is_send::<HostForceField>();
    is_send::<dyn Potential>();
    is_send::<dyn ForceField>();
    is_send::<dyn Engine>();
    is_send::<dyn Pending>();
    is_send::<dyn Reporter>();
    is_send::<dyn Checkpointing>();
    is_send::<Energies>();
    is_send::<Console>();
    is_send::<RunRecord>();
    is_send::<Run>();
    #[cfg(feature = "cuda")]
    {
        is_send::<mdrun::engine::cuda::CudaEngine>();
        is_send::<mdrun::engine::cuda::DeviceForceField<'static>>();
        is_send::<dyn mdrun::potential::device::DevicePotential>();
        is_send::<dyn mdrun::potential::device::BoundPotential>();
    }
}

/// The state at step 40 of a run that goes to step 20 in this thread, and then on, in another one if `elsewhere`.
fn state_at_40(engine: Box<dyn Engine>, elsewhere: bool) -> Snapshot {
    static NEVER: AtomicBool = AtomicBool::new(false);
    let mut simulation = simulation(engine, 20);
    let finish = simulation.run(&NEVER, &mut |_| {}).unwrap();
    assert_eq!(finish, Finish::Complete);
    let mut go_on = move || {
        simulation.end = 40;
        let finish = simulation.run(&NEVER, &mut |_| {}).unwrap();
        assert_eq!(finish, Finish::Complete);
        simulation.engine.snapshot(Fields::ALL).unwrap()
    };
    match elsewhere {
        true => std::thread::spawn(go_on).join().unwrap(),
        false => go_on(),
    }
}

#[test]
fn a_run_that_goes_on_in_another_thread_gives_the_same_bits() {
    let [here, there] = [false, true].map(|elsewhere| state_at_40(argon_engine(), elsewhere));
    assert_eq!(bits(&here), bits(&there));
}

/// Also where the engine's memory, kernels and recorded graphs are on a card, and are freed by the other thread.
#[test]
#[cfg(feature = "cuda")]
fn a_run_on_a_card_goes_on_in_another_thread() {
    use mdrun::core::rng::Noise;
    use mdrun::engine::cuda::CudaEngine;
    use mdrun::potential::lennard_jones::LennardJones;

    use crate::physics::subjects::{CUTOFF, EPSILON, SIGMA, argon};

    if !crate::cuda::gpu() {
        return;
    }
    let engine = || -> Box<dyn Engine> {
        let potential = LennardJones::new(EPSILON, SIGMA, CUTOFF).unwrap();
        let start = argon().start(1);
        Box::new(CudaEngine::new(start, &potential, Noise::new(7), 0.5, 0).unwrap())
    };
    let [here, there] = [false, true].map(|elsewhere| state_at_40(engine(), elsewhere));
    assert_eq!(bits(&here), bits(&there));
}
