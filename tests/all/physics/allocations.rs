//! That a step allocates nothing.

use mdrun::dynamics;

use super::bodies::run;
use super::subjects::{FS, KB, argon};
use crate::support::allocator::allocations;

#[test]
fn a_step_allocates_nothing() {
    assert_eq!(allocations(|| drop(vec![1_u8])), 1);
    let mut subject = argon();
    // Cold, so that the skin holds.
    subject.kt = 1.0 * KB;
    let program = dynamics::baoab(FS, subject.kt, 0.1 / FS).remove_drift(3);
    let mut engine = subject.engine(subject.start(1));
    run(&mut *engine, &program, 0..20);
    let rebuilds = engine.statistics().rebuilds;
    let made = allocations(|| {
        engine.save().unwrap();
        run(&mut *engine, &program, 20..120);
        engine.rollback().unwrap();
        run(&mut *engine, &program, 20..120);
    });
    assert_eq!(engine.statistics().rebuilds, rebuilds);
    assert_eq!(made, 0);
}
