//! Displacements and spectra of motions that are known exactly.

use mdrun::analysis::FrameQuantity as _;
use mdrun::analysis::diffusion::{Diffusion, DiffusionOptions};
use mdrun::analysis::vibrations::Vibrations;
use mdrun::core::rng::{Noise, Stream};
use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::units::{FEMTOSECOND, KELVIN};

use super::{SPACING, frame, studied};

/// Sums over some thousand frames of numbers of order a thousand.
const ROUNDING: f64 = 1e-9;
/// Speed of light (cm / fs), as CODATA has it.
const LIGHT: f64 = 2.99792458e-5;
/// How far a line may be from its place, as a part of the resolution: the parabola through the logarithm of Hann's line is off by
/// less than 0.02 anywhere between two points.
const LINE: f64 = 0.05;

fn random(step: u64, atom: usize) -> Vec3 {
    Noise::new(3).normal3(step, atom as u32, Stream::Velocities)
}

fn cube() -> Cell {
    Cell::new(Mat3::identity() * 12.0, [true; 3]).unwrap()
}

/// Frames that are left out are looked at all the same where molecules are moved into the cell: atoms that cross more than half of it
/// between frames that are taken in are where they have gone.
#[test]
fn frames_that_are_left_out_tell_how_often_atoms_left_the_cell() {
    const EVERY: u64 = 10;
    let cell = cube();
    let start = vec![Vec3::zeros()];
    // 3 angstrom from frame to frame, 30 between those that count, of 12.
    let speed = Vec3::new(3.0 / SPACING, 0.0, 0.0);
    let mut studied = studied(&[18], &cell, &start, 100);
    studied.wrapped = true;
    studied.spacing = EVERY as f64 * SPACING;
    let mut msd = Diffusion::new(&studied, DiffusionOptions::default());
    for k in 0..1000 {
        let now = frame(k, &cell, vec![cell.wrap(&(speed * (k as f64 * SPACING)))]);
        match k.is_multiple_of(EVERY) {
            true => msd.take(&now).unwrap(),
            false => msd.pass(&now),
        }
    }
    let first = msd.means().into_iter().find(|mean| mean.lag == 1).unwrap();
    assert!((first.all / 900.0 - 1.0).abs() < ROUNDING, "{}", first.all);
}

/// In free flight <dr^2> = <v^2> t^2 at every lag, also at those that not every frame begins, and whether the run has moved atoms
/// into the cell or not.
#[test]
fn free_flight_goes_as_the_square_of_time() {
    const FRAMES: u64 = 1500;
    let cell = cube();
    let species = [8, 1, 1, 8, 1, 1, 18];
    let start: Vec<Vec3> = (0..7).map(|i| 3.0 * random(0, i)).collect();
    let speed: Vec<Vec3> = (0..7).map(|i| 2.0 * random(1, i)).collect();
    let square = |of: &[usize]| {
        let squares = of.iter().map(|&i| speed[i].norm_squared());
        squares.sum::<f64>() / of.len() as f64
    };
    for wrapped in [false, true] {
        let mut studied = studied(&species, &cell, &start, FRAMES);
        studied.wrapped = wrapped;
        let mut msd = Diffusion::new(&studied, DiffusionOptions::default());
        for k in 0..FRAMES {
            let t = k as f64 * SPACING;
            let place = |(r, v): (&Vec3, &Vec3)| {
                let place = r + t * v;
                if wrapped { cell.wrap(&place) } else { place }
            };
            let now = start.iter().zip(&speed).map(place).collect();
            msd.take(&frame(k, &cell, now)).unwrap();
        }
        let means = msd.means();
        assert!(
            means.last().unwrap().lag > FRAMES / 2,
            "long lags are measured, too"
        );
        assert!(means.windows(2).all(|pair| pair[0].lag < pair[1].lag));
        for mean in means {
            let t = mean.lag as f64 * SPACING;
            let all = [0, 1, 2, 3, 4, 5, 6];
            for (found, right) in [
                (mean.all, square(&all)),
                (mean.of_kind[0], square(&[1, 2, 4, 5])),
                (mean.of_kind[1], square(&[0, 3])),
                (mean.of_kind[2], square(&[6])),
            ] {
                let right = right * t * t;
                assert!(
                    (found - right).abs() < ROUNDING * right,
                    "lag {}: {found}, {right}",
                    mean.lag
                );
            }
            // Each lag is measured from every frame that has one so much later, or from every 2^k-th.
            let origins = FRAMES - mean.lag;
            let every = (0..20)
                .map(|k| 1_u64 << k)
                .find(|every| origins.div_ceil(*every) == mean.origins);
            assert!(
                every.is_some_and(|every| every == 1 || mean.lag > 64 * every),
                "{mean:?}"
            );
        }
        let found = msd.coefficient(None).unwrap();
        assert!(
            (found.power - 2.0).abs() < ROUNDING,
            "a flight is no diffusion: {}",
            found.power
        );
        assert!(msd.finding().unwrap().lines[0].contains("no diffusion"));
    }
}

/// A random walk of steps of variance s^2 along each axis has D = s^2 / 2 per step, within its error bar, which is of the size that
/// many such walks show.
#[test]
fn a_random_walk_has_its_diffusion_coefficient() {
    const FRAMES: u64 = 4000;
    const ATOMS: usize = 60;
    let cell = cube();
    let mut place = vec![Vec3::zeros(); ATOMS];
    let studied = studied(&[18; ATOMS], &cell, &place, FRAMES);
    let viscosity = 1e-3;
    let kt = 300.0 * KELVIN;
    let options = DiffusionOptions {
        viscosity: Some(viscosity),
        kt: Some(kt),
        ..DiffusionOptions::default()
    };
    let mut msd = Diffusion::new(&studied, options);
    for k in 0..FRAMES {
        msd.take(&frame(k, &cell, place.clone())).unwrap();
        let steps = place.iter_mut().enumerate();
        steps.for_each(|(i, r)| *r += 0.2 * random(k + 10, i));
    }
    let right = 0.2 * 0.2 / 2.0 / SPACING;
    let found = msd.coefficient(Some(0)).unwrap();
    let (value, error) = (found.value.value, found.value.error);
    assert!(
        (value - right).abs() < 4.0 * error,
        "{value} +- {error}, not {right}"
    );
    assert!(
        error < 0.15 * right && error > 0.005 * right,
        "{error} of {right}"
    );
    assert!((found.power - 1.0).abs() < 0.1, "{}", found.power);
    let finding = msd.finding().unwrap();
    let figures = &finding.figures["diffusion"][0];
    let number = |key: &str| figures[key].as_f64().unwrap();
    // Yeh and Hummer's correction in SI units: kB = 1.380649e-23 J/K, L = 12e-10 m.
    let more = 2.837297 * 1.380649e-23 * 300.0 / (6.0 * std::f64::consts::PI * viscosity * 12e-10);
    let nano = 1e9 * more;
    let corrected = number("corrected_1e9_m2_per_s") - number("diffusion_1e9_m2_per_s");
    assert!(
        (corrected - nano).abs() < 1e-6 * nano,
        "{corrected} is not {nano}"
    );
    // 1 A^2 per internal time in 1e-9 m^2/s, from the definition of the unit of time.
    let per_second = 1e-20 / (1e-15 / FEMTOSECOND);
    let si = 1e9 * value * per_second;
    assert!((number("diffusion_1e9_m2_per_s") - si).abs() < 1e-9 * si);
}

/// Atoms that swing along their axes: each has a line at its own wavenumber, and all lines together hold the degrees of freedom,
/// each element its share of the kinetic energy.
#[test]
fn vibrations_have_lines_where_they_are() {
    const FRAMES: u64 = 4096;
    let cell = cube();
    let species = [1, 1, 8, 8];
    let masses = [1.008, 1.008, 15.999, 15.999];
    // Angular frequencies (per internal time) far from multiples of the resolution; equal energies.
    let frequency = |i: usize, axis: usize| match i {
        0 | 1 => 5.4321 + 0.0 * axis as f64,
        _ => 2.3456,
    };
    let velocity = |t: f64, i: usize| {
        let along = [0, 1, 2].map(|axis| {
            let phase = 1.3 * (3 * i + axis) as f64;
            (frequency(i, axis) * t + phase).cos() / f64::sqrt(masses[i])
        });
        Vec3::from(along)
    };
    let place = vec![Vec3::zeros(); 4];
    let studied = studied(&species, &cell, &place, FRAMES);
    let mut vibrations = Vibrations::new(&studied, None);
    for k in 0..FRAMES {
        let t = k as f64 * SPACING;
        let mut now = frame(k, &cell, place.clone());
        now.velocities = (0..4).map(|i| velocity(t, i)).collect();
        vibrations.take(&now).unwrap();
    }
    let spectrum = vibrations.spectrum().unwrap();
    let width = spectrum.wavenumbers[1];
    let integral = |kind: usize| spectrum.density[kind].iter().sum::<f64>() * width;
    // Windows see a little more or less than whole periods.
    for kind in 0..2 {
        assert!((integral(kind) - 6.0).abs() < 1e-3, "{}", integral(kind));
    }
    assert!((integral(0) + integral(1) - 12.0).abs() < ROUNDING);
    let found = vibrations.spectrum_finding().unwrap();
    let peaks = found.figures["peaks_per_cm"].as_array().unwrap();
    let per_cm = |frequency: f64| {
        let per_fs = frequency / (2.0 * std::f64::consts::PI) * FEMTOSECOND;
        per_fs / LIGHT
    };
    let lines = [per_cm(2.3456), per_cm(5.4321)];
    assert_eq!(peaks.len(), 2, "{peaks:?}");
    for (peak, line) in peaks.iter().zip(lines) {
        let off = peak.as_f64().unwrap() - line;
        assert!(off.abs() < LINE * width, "{peak} is not {line}, of {width}");
    }
    // The lighter element's correlation is a cosine.
    for (lag, found) in spectrum.correlation_of[0].iter().enumerate().take(200) {
        let right = (5.4321 * lag as f64 * SPACING).cos();
        // Phases that are not all there: sums over a window of M frames leave 1 / (M w dt) of them.
        assert!(
            (found - right).abs() < 0.02,
            "lag {lag}: {found} is not {right}"
        );
    }
}

/// A constant velocity is all at zero, and white noise is flat: the scale does not depend on the window.
#[test]
fn noise_is_flat() {
    const FRAMES: u64 = 8192;
    let cell = cube();
    let place = vec![Vec3::zeros(); 10];
    let studied = studied(&[18; 10], &cell, &place, FRAMES);
    for resolution in [None, Some(400.0)] {
        let mut vibrations = Vibrations::new(&studied, resolution);
        for k in 0..FRAMES {
            let mut now = frame(k, &cell, place.clone());
            now.velocities = (0..10).map(|i| random(k, i)).collect();
            vibrations.take(&now).unwrap();
        }
        let spectrum = vibrations.spectrum().unwrap();
        let highest = *spectrum.wavenumbers.last().unwrap();
        let flat = 30.0 / highest;
        // The two ends have half of the others' share: they are not mirrored.
        let swinging = &spectrum.density[0][1..spectrum.wavenumbers.len() - 1];
        for part in swinging.chunks(swinging.len() / 4).take(4) {
            let mean = part.iter().sum::<f64>() / part.len() as f64;
            assert!((mean / flat - 1.0).abs() < 0.03, "{mean} is not {flat}");
        }
        assert!(spectrum.correlation.iter().skip(1).all(|c| c.abs() < 0.02));
    }
}
