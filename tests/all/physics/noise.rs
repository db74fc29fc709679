//! The noise: Philox against its published vectors, and the moments of the normal numbers.

use mdrun::core::rng::{Noise, Stream, philox};
use mdrun::core::{System, Vec3, velocities};
use rand_distr::{Distribution, StandardUniform};

use super::statistics::{mean, variance};

/// kat_vectors of Random123, the reference implementation (Salmon et al., SC 2011).
#[test]
fn philox_gives_the_published_vectors() {
    assert_eq!(
        philox([0; 4], [0; 2]),
        [0x6627_e8d5, 0xe169_c58d, 0xbc57_ac4c, 0x9b00_dbd8]
    );
    assert_eq!(
        philox([u32::MAX; 4], [u32::MAX; 2]),
        [0x408f_276d, 0x41c8_3b0e, 0xa20b_c7c6, 0x6d54_51fd]
    );
    assert_eq!(
        philox(
            [0x243f_6a88, 0x85a3_08d3, 0x1319_8a2e, 0x0370_7344],
            [0xa409_3822, 0x299f_31d0]
        ),
        [0xd16c_fe09, 0x94fd_cceb, 0x5001_e420, 0x2412_6ea1]
    );
}

/// The counter is (step, atom, stream), the key (seed, replica): every one of them matters.
#[test]
fn noise_depends_on_every_part_of_counter_and_key() {
    let base = Noise::new(1)
        .of_replica(2)
        .normal3(3, 4, Stream::Thermostat);
    assert_eq!(
        base,
        Noise::new(1)
            .of_replica(2)
            .normal3(3, 4, Stream::Thermostat)
    );
    let others = [
        Noise::new(2)
            .of_replica(2)
            .normal3(3, 4, Stream::Thermostat),
        Noise::new(1)
            .of_replica(1)
            .normal3(3, 4, Stream::Thermostat),
        Noise::new(1)
            .of_replica(2)
            .normal3(4, 4, Stream::Thermostat),
        Noise::new(1)
            .of_replica(2)
            .normal3(3 + (1 << 32), 4, Stream::Thermostat),
        Noise::new(1)
            .of_replica(2)
            .normal3(3, 5, Stream::Thermostat),
        Noise::new(1)
            .of_replica(2)
            .normal3(3, 4, Stream::Velocities),
    ];
    assert!(
        others
            .iter()
            .all(|other| (0..3).all(|k| other[k] != base[k]))
    );
}

/// A run that goes on after another one draws the numbers that come next, and only the thermostat's.
#[test]
fn noise_goes_on_after_another_run() {
    let whole = Noise::new(1).of_replica(2);
    let after = whole.after(1 << 40);
    for step in [0, 1, 1 << 33] {
        let next = whole.normal3(step + (1 << 40), 4, Stream::Thermostat);
        assert_eq!(after.normal3(step, 4, Stream::Thermostat), next);
    }
    assert_eq!((after.start(), after.key()), (1 << 40, whole.key()));
}

/// Deviations of so many standard errors are not chance: 1 of 16,000 for each of some 30 numbers.
const SIGMAS: f64 = 4.0;

/// Mean 0, variance 1, skewness 0, kurtosis 3 of n independent normal numbers, to within their
/// standard errors: 1, 2, 6 and 24 over n, under the root.
fn check_moments(name: &str, x: &[f64]) {
    let n = x.len() as f64;
    let moment = |k: i32| x.iter().map(|x| x.powi(k)).sum::<f64>() / n;
    let found = [
        moment(1) * n.sqrt(),
        (moment(2) - 1.0) * (n / 2.0).sqrt(),
        moment(3) * (n / 15.0).sqrt(),
        (moment(4) - 3.0) * (n / 96.0).sqrt(),
    ];
    println!("{name}: mean, variance, third and fourth moment off by {found:.2?} standard errors");
    assert!(found.iter().all(|z| z.abs() < SIGMAS), "{name}: {found:?}");
}

/// n numbers of two series have a correlation of 0, with a standard error of 1 / sqrt(n).
fn check_independent(name: &str, x: &[f64], y: &[f64]) {
    let n = x.len() as f64;
    let z = x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / n.sqrt();
    assert!(z.abs() < SIGMAS, "{name}: {z} standard errors");
    // Radii of Box and Muller are shared by two numbers: squares must not be correlated either.
    let squares = x.iter().zip(y).map(|(x, y)| (x * x - 1.0) * (y * y - 1.0));
    let z = squares.sum::<f64>() / (4.0 * n).sqrt();
    assert!(z.abs() < SIGMAS, "{name}, squares: {z} standard errors");
}

#[test]
fn noise_is_normal_and_independent() {
    const ATOMS: u32 = 1000;
    const STEPS: u64 = 300;
    let draw = |noise: Noise, atom: u32, step: u64| -> Vec<Vec3> {
        (0..STEPS)
            .flat_map(|s| (0..ATOMS).map(move |i| (s, i)))
            .map(|(s, i)| noise.normal3(s + step, i + atom, Stream::Thermostat))
            .collect()
    };
    let part = |v: &[Vec3], k: usize| -> Vec<f64> { v.iter().map(|v| v[k]).collect() };
    let base = draw(Noise::new(1), 0, 0);
    let axes = [0, 1, 2].map(|k| part(&base, k));
    for (k, axis) in axes.iter().enumerate() {
        check_moments(["x", "y", "z"][k], axis);
        check_independent("two directions", axis, &axes[(k + 1) % 3]);
    }
    let neighbours = [
        ("the next atom", draw(Noise::new(1), 1, 0)),
        ("the next step", draw(Noise::new(1), 0, 1)),
        ("the next seed", draw(Noise::new(2), 0, 0)),
        ("the next replica", draw(Noise::new(1).of_replica(1), 0, 0)),
    ];
    for (name, other) in &neighbours {
        for (k, axis) in axes.iter().enumerate() {
            check_independent(name, axis, &part(other, k));
        }
    }
}

#[test]
fn drawn_velocities_are_normal_and_as_wide_as_their_masses_say() {
    const ATOMS: usize = 200_000;
    const KT: f64 = 0.03;
    let masses: Vec<f64> = (0..ATOMS).map(|i| [1.008, 15.999][i % 2]).collect();
    let system = System {
        species: vec![1; ATOMS],
        masses,
    };
    let drawn = velocities::maxwell_boltzmann(&system, KT, Noise::new(5));
    let reduced: Vec<Vec3> = (drawn.iter().zip(&system.masses))
        .map(|(v, m)| v * (m / KT).sqrt())
        .collect();
    for k in 0..3 {
        let axis: Vec<f64> = reduced.iter().map(|v| v[k]).collect();
        let next: Vec<f64> = reduced.iter().map(|v| v[(k + 1) % 3]).collect();
        check_moments("velocities", &axis);
        check_independent("two directions", &axis, &next);
        check_independent("two atoms", &axis[1..], &axis[..ATOMS - 1]);
    }
}

/// The words behind `rand`'s distributions: blocks of one counter, in order, without repetition.
#[test]
fn words_of_an_atom_are_the_blocks_of_philox() {
    let mut words = Noise::new(1).words(9, Stream::Velocities);
    let drawn: Vec<u32> = (0..8).map(|_| StandardUniform.sample(&mut words)).collect();
    let blocks = [philox([0, 0, 9, 0], [1, 0]), philox([1, 0, 9, 0], [1, 0])];
    assert_eq!(drawn, blocks.concat());
    let mut words = Noise::new(1).words(9, Stream::Velocities);
    let uniform: Vec<f64> = (0..100_000)
        .map(|_| StandardUniform.sample(&mut words))
        .collect();
    let n = uniform.len() as f64;
    assert!((mean(&uniform) - 0.5).abs() < SIGMAS * (1.0 / (12.0 * n)).sqrt());
    assert!((variance(&uniform) - 1.0 / 12.0).abs() < SIGMAS * (1.0 / (180.0 * n)).sqrt());
}
