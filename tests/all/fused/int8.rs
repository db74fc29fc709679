//! Weights in 8 bits: the engine against the network of these weights in f64, how they are found, and their file.

use mdrun::assemble::{self, Int8Scene, Model, ModelKind};
use mdrun::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use mdrun::core::{System, Vec3};
use mdrun::potential::painn::cpu::{FusedPainn, Isa, ProductInputs};
use mdrun::potential::painn::{
    InputMoments, Int8Product, Int8Weights, Linear, RadialBasis, Spec, Weights,
};
use mdrun::potential::{Evaluation, Potential as _, Precision};
use std::sync::Arc;

use super::{Case, bessel, bits, case, gaussian, scale};
use crate::support::atoms::{Atoms, Random, farthest};
use crate::support::models;

impl Case {
    /// The nearest weights in 8 bits.
    fn int8(&self) -> Int8Weights {
        Int8Weights::nearest(&self.weights)
    }

    fn engine_in_int8(&self, int8: &Int8Weights, threads: usize, isa: Isa) -> FusedPainn {
        let numbers = (&self.weights, int8);
        let species = &self.atoms.species;
        FusedPainn::in_int8_with_isa(&self.spec, numbers, species, threads, isa).unwrap()
    }

    /// The case of the network of these weights.
    fn widened(&self, int8: &Int8Weights) -> Self {
        Self {
            spec: self.spec.clone(),
            weights: int8.widened(&self.weights).unwrap(),
            atoms: self.atoms.clone(),
        }
    }
}

fn host() -> DevicePlan {
    DevicePlan {
        kind: DeviceKind::Cpu,
        threads: Some(2),
        engine: EngineChoice::Auto,
    }
}

/// The engine is the network of its weights, energy and gradient, to what f32 leaves; and that network is another one than the
/// model's, so that the comparison can fail.
#[test]
fn is_the_network_of_its_weights_at_any_width_depth_and_readout() {
    /// f32 rounding (6e-8) through some hundred operations in a row, as for f32.
    const ROUNDING: f64 = 2e-5;
    let shapes = [
        (8, 1),
        (24, 2),
        (33, 3),
        (64, 4),
        (128, 3),
        (256, 1),
        (1, 2),
    ];
    let mut cases: Vec<Case> = Vec::new();
    for (features, layers) in shapes {
        cases.push(case(features, layers, gaussian(20, 5.0), 5.0, 9));
        cases.push(case(features, layers, bessel(8, 4.0), 4.0, 40));
    }
    for hidden in [&[][..], &[5], &[40, 17], &[33, 8, 3]] {
        let mut case = case(24, 2, gaussian(12, 4.0), 4.0, 8);
        case.weights = Weights::random_with_readout(&case.spec, hidden, 5);
        cases.push(case);
    }
    for case in &cases {
        let int8 = case.int8();
        let widened = case.widened(&int8);
        let exact = widened.evaluate(&mut widened.engine(Precision::F64, 2));
        let other = case.evaluate(&mut case.engine(Precision::F64, 2));
        let size = scale(&exact);
        let name = format!("{} x {}", case.spec.layers, case.spec.features);
        assert!(
            farthest(&exact.forces, &other.forces) > 10.0 * ROUNDING * size,
            "{name}: rounding must be seen"
        );
        for isa in Isa::available() {
            let found = case.evaluate(&mut case.engine_in_int8(&int8, 2, isa));
            let off = farthest(&found.forces, &exact.forces) / size;
            assert!(off < ROUNDING, "{name}, {isa:?}: forces are off by {off:e}");
            let off = (found.energy - exact.energy).abs() / exact.energy.abs().max(1.0);
            assert!(
                off < ROUNDING,
                "{name}, {isa:?}: the energy is off by {off:e}"
            );
        }
    }
}

/// Expanding weights changes no bit: the engine has the bits of the f32 engine of the same network.
#[test]
fn has_the_bits_of_f32_with_the_same_weights() {
    for atoms in [3, 9, 60, 700] {
        let case = case(32, 3, gaussian(20, 5.0), 5.0, atoms);
        let int8 = case.int8();
        let widened = case.widened(&int8);
        for isa in Isa::available() {
            let species = &case.atoms.species;
            let single = FusedPainn::with_isa(
                &widened.spec,
                &widened.weights,
                species,
                Precision::F32,
                1,
                isa,
            );
            let wanted = bits(&case.evaluate(&mut single.unwrap()));
            for threads in [1, 2, 3, 8] {
                let found = bits(&case.evaluate(&mut case.engine_in_int8(&int8, threads, isa)));
                assert_eq!(found, wanted, "{isa:?}, {threads} threads");
            }
        }
    }
}

/// What a model says of some states, in f64 or with weights in 8 bits.
fn of_states(
    (spec, weights, int8): (&Spec, &Weights, Option<&Int8Weights>),
    atoms: &Atoms,
    states: &[Vec<Vec3>],
) -> Vec<Evaluation> {
    let species = &atoms.species;
    let mut engine = match int8 {
        None => FusedPainn::new(spec, weights, species, Precision::F64, 2),
        Some(int8) => FusedPainn::in_int8(spec, (weights, int8), species, 2),
    }
    .unwrap();
    let of = |positions: &Vec<Vec3>| {
        let at = Atoms {
            positions: positions.clone(),
            ..atoms.clone()
        };
        at.evaluate(&mut engine)
    };
    states.iter().map(of).collect()
}

/// Root mean square of components of forces, of differences from others.
fn rmse(found: &[Evaluation], exact: &[Evaluation]) -> f64 {
    let (mut sum, mut count) = (0.0, 0);
    for (one, other) in found.iter().zip(exact) {
        for (f, g) in one.forces.iter().zip(&other.forces) {
            sum += (f - g).norm_squared();
            count += 3;
        }
    }
    (sum / f64::from(count)).sqrt()
}

fn model(spec: &Spec, weights: &Weights) -> Model {
    Model {
        members: vec![ModelKind::of_weights(
            spec.clone(),
            weights.clone(),
            "a model",
        )],
        repulsion: None,
    }
}

/// The weights that are found for some atoms.
fn found(spec: &Spec, weights: &Weights, atoms: &Atoms, device: &DevicePlan) -> Arc<Int8Weights> {
    let model = model(spec, weights);
    let scene = Int8Scene {
        system: &System::of_standard_masses(&atoms.species),
        cell: &atoms.cell,
        positions: &atoms.positions,
        kt: None,
    };
    assemble::find_int8(&model, Precision::Int8, device, &[scene]).unwrap();
    model.members[0].int8().unwrap()
}

/// States that the weights were not found from: atoms shaken by about what 300 K does.
fn shaken(atoms: &Atoms) -> Vec<Vec<Vec3>> {
    const MOST: f64 = 0.06;
    (1..=8)
        .map(|seed| atoms.clone().shaken(MOST, seed).positions)
        .collect()
}

/// Weights that are found for a system have smaller errors there than the nearest ones.
#[test]
fn what_is_found_for_a_system_is_better_than_the_nearest() {
    /// It is seen to be under 0.6 of it.
    const PART: f64 = 0.8;
    let (spec, weights) = models::shipped();
    for name in ["ethanol.xyz", "caffeine.xyz", "water64.xyz"] {
        let atoms = Atoms::shipped(name);
        let states = shaken(&atoms);
        let exact = of_states((&spec, &weights, None), &atoms, &states);
        let of = |int8: &Int8Weights| {
            rmse(
                &of_states((&spec, &weights, Some(int8)), &atoms, &states),
                &exact,
            )
        };
        let begin = std::time::Instant::now();
        let sought = found(&spec, &weights, &atoms, &host());
        let seconds = begin.elapsed().as_secs_f64();
        let (nearest, sought) = (of(&Int8Weights::nearest(&weights)), of(&sought));
        println!(
            "{name}: forces off by {:.2} meV/A, {:.2} of the nearest weights; found in {seconds:.2} s",
            1e3 * sought,
            1e3 * nearest
        );
        assert!(sought < PART * nearest, "{name}: {sought} of {nearest}");
    }
}

/// The same system gives the same weights, on any number of threads.
#[test]
fn what_is_found_depends_on_no_threads() {
    let (spec, weights) = models::shipped();
    let atoms = Atoms::shipped("ethanol.xyz");
    let of = |threads| {
        let device = DevicePlan {
            threads: Some(threads),
            ..host()
        };
        let found = found(&spec, &weights, &atoms, &device);
        Int8Weights::encode([&*found]).unwrap()
    };
    let first = of(1);
    assert!(first == of(1) && first == of(2));
}

/// Integers, scales and biases are as they are said to be.
#[test]
fn integers_are_symmetric_and_scales_are_short() {
    let (spec, weights) = models::shipped();
    let atoms = Atoms::shipped("ethanol.xyz");
    let found = found(&spec, &weights, &atoms, &host());
    for int8 in [&Int8Weights::nearest(&weights), &found] {
        let products: Vec<Int8Product> = int8.all().map(|(product, _)| product).collect();
        assert_eq!(products, Int8Product::all(&weights));
        for (product, map) in int8.all() {
            assert!(map.q.iter().all(|q| *q >= -127), "{product}");
            let linear = map.widened();
            assert!(
                linear.weight.iter().all(|w| f64::from(*w as f32) == *w),
                "{product}"
            );
            let exact = product.of(&weights).unwrap();
            assert_eq!(linear.bias.len(), exact.bias.len());
            for (row, near) in exact
                .weight
                .chunks(map.inputs)
                .zip(linear.weight.chunks(map.inputs))
            {
                let most = row.iter().fold(0.0, |most: f64, w| most.max(w.abs()));
                let off = row
                    .iter()
                    .zip(near)
                    .fold(0.0, |off: f64, (a, b)| off.max((a - b).abs()));
                // Errors are made up for by others, and the largest weights may be cut off.
                assert!(off < 0.3 * most, "{product}: {off} of {most}");
            }
        }
    }
    // Eight bits and a scale take a quarter of f32.
    let all: usize = Int8Product::all(&weights)
        .iter()
        .map(|p| p.of(&weights).unwrap().parameters())
        .sum();
    assert!(
        found.bytes() < 4 * all * 27 / 100,
        "{} of {}",
        found.bytes(),
        4 * all
    );
}

/// A file gives back what was written; any other is refused, and never panics.
#[test]
fn files_are_read_back_and_damage_is_refused() {
    let basis = RadialBasis::gaussian(8, 4.0);
    let (spec, weights) = models::random_model(12, 2, basis, 4.0, 3);
    let one = Int8Weights::nearest(&weights);
    let two = Int8Weights::nearest(&Weights::random(&spec, 9));
    let bytes = Int8Weights::encode([&one, &two]).unwrap();
    assert_eq!(Int8Weights::decode(&bytes).unwrap(), [one.clone(), two]);
    assert!(Int8Weights::decode(&[]).is_err());
    let (mut refused, mut others) = (0, 0);
    for cut in (0..bytes.len()).step_by(97) {
        assert!(Int8Weights::decode(&bytes[..cut]).is_err(), "cut at {cut}");
        let mut flipped = bytes.clone();
        flipped[cut] ^= 1 << (cut % 8);
        match Int8Weights::decode(&flipped) {
            Err(_) => refused += 1,
            // What is read is of the model or is not, and says so.
            Ok(read) => others += usize::from(read[0].widened(&weights).is_ok()),
        }
    }
    assert!(refused > 0 && others > 0, "{refused} {others}");
    let other = models::random_model(12, 3, RadialBasis::gaussian(8, 4.0), 4.0, 3);
    let message = one.widened(&other.1).unwrap_err().to_string();
    assert!(message.contains("not those of the model"), "{message}");
}

/// Without anything seen there is nothing to find.
#[test]
fn nothing_is_found_of_what_was_not_seen() {
    let (_, weights) = models::random_model(8, 2, RadialBasis::gaussian(8, 4.0), 4.0, 3);
    let message = Int8Weights::found(&weights, &InputMoments::new(&weights)).unwrap_err();
    assert!(
        message.to_string().contains("nothing was seen"),
        "{message}"
    );
}

/// Products see the rows that the equations say: the first is the channel mix of vectors, whose squares are those of the norms.
#[test]
fn inputs_of_products_are_shown_in_their_order() {
    let case = case(24, 2, gaussian(12, 4.0), 4.0, 9);
    let engine = case.engine(Precision::F64, 1);
    let mut seen = Vec::new();
    let mut shown = |product: Int8Product, inputs: &ProductInputs| {
        let linear = product.of(&case.weights).unwrap();
        let rows = inputs.rows.len() / inputs.width;
        let vectors = matches!(product, Int8Product::Mix(_));
        assert_eq!(rows, if vectors { 27 } else { 9 }, "{product}");
        assert!(inputs.width >= linear.inputs, "{product}");
        seen.push(product);
    };
    engine.visit_inputs(&case.pairs(), &mut shown).unwrap();
    use Int8Product::{Context, Mix, Readout, Update};
    let first = [
        Mix(0),
        Update(0, 0),
        Update(0, 1),
        Context(1, 0),
        Context(1, 1),
    ];
    let then = [Mix(1), Update(1, 0), Update(1, 1), Readout(0), Readout(1)];
    assert_eq!(seen, [first, then].concat());
    assert!(engine.about().to_string().contains("f64"));
}

#[test]
fn products_are_read_by_their_names() {
    use Int8Product::{Context, Mix, Readout, Update};
    for product in [Context(1, 0), Mix(2), Update(0, 1), Readout(3)] {
        assert_eq!(product.to_string().parse(), Ok(product));
    }
    for other in [
        "",
        "mix",
        "mix.01",
        "mix.+1",
        "mix.1.1",
        "context.1",
        "readout.-1",
    ] {
        assert!(other.parse::<Int8Product>().is_err(), "{other}");
    }
}

/// What rounding changes of the outputs, on average over the rows of a product (root mean square), bias included.
fn change(
    product: Int8Product,
    weights: &Weights,
    int8: &Int8Weights,
    inputs: &ProductInputs,
) -> f64 {
    let (exact, rounded) = (
        product.of(weights).unwrap(),
        int8.get(product).unwrap().widened(),
    );
    let mut sum = 0.0;
    for x in inputs.rows.chunks(inputs.width) {
        for o in 0..exact.outputs {
            let row = o * exact.inputs..(o + 1) * exact.inputs;
            let of = |map: &Linear| -> f64 {
                let dot: f64 = map.weight[row.clone()]
                    .iter()
                    .zip(x)
                    .map(|(w, x)| w * x)
                    .sum();
                dot + map.bias.get(o).copied().unwrap_or(0.0)
            };
            sum += (of(exact) - of(&rounded)).powi(2);
        }
    }
    (sum / (exact.outputs * inputs.rows.len() / inputs.width) as f64).sqrt()
}

/// Inputs that vary along few directions, about a mean that is not zero: what is found changes outputs far less than the nearest
/// weights. A bias that is changed the wrong way, or errors that are passed on so, would change them more.
#[test]
fn rounding_is_for_what_a_product_is_applied_to() {
    const PART: f64 = 0.5;
    let basis = RadialBasis::gaussian(8, 4.0);
    let (_, weights) = models::random_model(32, 2, basis, 4.0, 3);
    let mut random = Random::new(7);
    let mut seen = InputMoments::new(&weights);
    let mut all = Vec::new();
    for product in Int8Product::all(&weights) {
        let width = product.of(&weights).unwrap().inputs;
        // Five directions, and a little of all.
        let directions: Vec<f64> = (0..5 * width).map(|_| 2.0 * random.unit() - 1.0).collect();
        let mut rows = Vec::new();
        for _ in 0..400 {
            let along: Vec<f64> = (0..5).map(|_| 2.0 * random.unit() - 1.0).collect();
            // Of vectors the mean is zero, and the mix has no bias.
            let mean = f64::from(u8::from(!matches!(product, Int8Product::Mix(_))));
            rows.extend((0..width).map(|i| {
                let sum: f64 = (0..5).map(|d| along[d] * directions[d * width + i]).sum();
                mean + sum + 0.02 * random.unit()
            }));
        }
        let inputs = ProductInputs { width, rows };
        seen.add(product, &inputs);
        all.push((product, inputs));
    }
    let found = Int8Weights::found(&weights, &seen).unwrap();
    let nearest = Int8Weights::nearest(&weights);
    for (product, inputs) in &all {
        let [found, nearest] =
            [&found, &nearest].map(|int8| change(*product, &weights, int8, inputs));
        println!("{product}: {found:.2e}, {nearest:.2e} of the nearest");
        assert!(found < PART * nearest, "{product}: {found} of {nearest}");
    }
}
