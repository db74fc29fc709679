//! What `mdrun bench` measures on.

mod mixed;
mod suite;

use mdrun::bench::measure::Times;
use mdrun::bench::water;
use mdrun::neighbors::Pairs;

/// Range of the models that are compared (angstrom).
const CUTOFF: f64 = 5.0;

/// Sizes, and their ordered pairs as counted by the program that boxes are shared with.
const PAIRS: [(usize, usize); 7] = [
    (9, 72),
    (21, 350),
    (51, 1518),
    (102, 4038),
    (192, 10366),
    (1536, 83368),
    (12288, 666_348),
];

#[test]
fn boxes_have_the_pairs_of_the_peer() {
    for (atoms, pairs) in PAIRS {
        let start = water::start(atoms).unwrap();
        assert_eq!(start.system.len(), atoms);
        let found = Pairs::within(
            &start.members.only().unwrap().cell,
            &start.positions,
            CUTOFF,
        )
        .unwrap();
        assert_eq!(found.len(), pairs, "{atoms} atoms");
    }
}

#[test]
fn sizes_are_whole_molecules() {
    for (asked, given) in [(3, 3), (5, 3), (50, 48), (150, 150), (152, 150)] {
        let start = water::start(asked).unwrap();
        assert_eq!(start.system.len(), given);
        assert_eq!(
            start.members.only().unwrap().cell.is_periodic(),
            given >= 150
        );
        start.check().unwrap();
    }
}

#[test]
fn times_are_summed_up() {
    assert_eq!(Times::of(Vec::new()), None);
    let times = |samples: &[f64]| {
        let t = Times::of(samples.to_vec()).unwrap();
        (t.median, t.min, t.max, t.samples)
    };
    assert_eq!(times(&[3.0, 1.0, 2.0]), (2.0, 1.0, 3.0, 3));
    assert_eq!(times(&[4.0, 1.0, 2.0, 3.0]), (2.5, 1.0, 4.0, 4));
}
