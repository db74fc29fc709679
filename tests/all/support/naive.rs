//! PaiNN in f64 as its equations stand (Schuett, Unke, Gastegger, ICML 2021), with its backward pass written pair by
//! pair: slow and simple, the reference for every engine; and the check of it against its own energy.
//!
//! It takes the numbers of a model from the project, and no function.

use std::f64::consts::PI;

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::neighbors::Pairs;
use mdrun::potential::Evaluation;
use mdrun::potential::painn::{Linear, RadialBasis, Spec, Weights};

use super::atoms::{Atoms, Random};
use super::brute;
use super::models::calm_model;

type Row = Vec<f64>;
/// Three components of F channels.
type Vectors = [Row; 3];

fn linear(l: &Linear, x: &[f64]) -> Row {
    (0..l.outputs)
        .map(|o| {
            let row = &l.weight[o * l.inputs..(o + 1) * l.inputs];
            row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + l.bias.get(o).unwrap_or(&0.0)
        })
        .collect()
}

/// The transpose of the weights times a gradient.
fn back(l: &Linear, g: &[f64]) -> Row {
    let mut out = vec![0.0; l.inputs];
    for (o, g) in g.iter().enumerate() {
        for (i, out) in out.iter_mut().enumerate() {
            *out += g * l.weight[o * l.inputs + i];
        }
    }
    out
}

fn silu(x: &f64) -> f64 {
    x / (1.0 + (-x).exp())
}

fn silu_slope(x: &f64) -> f64 {
    let s = 1.0 / (1.0 + (-x).exp());
    s * (1.0 + x * (1.0 - s))
}

/// Two layers with SiLU between: the hidden layer before it, and the result.
fn net(layers: &[Linear; 2], x: &[f64]) -> [Row; 2] {
    let hidden = linear(&layers[0], x);
    let active: Row = hidden.iter().map(silu).collect();
    let out = linear(&layers[1], &active);
    [hidden, out]
}

fn net_back(layers: &[Linear; 2], hidden: &[f64], g: &[f64]) -> Row {
    let inner: Row = (back(&layers[1], g).iter().zip(hidden))
        .map(|(g, h)| g * silu_slope(h))
        .collect();
    back(&layers[0], &inner)
}

/// Radial functions and their derivatives at a distance.
fn radial(basis: &RadialBasis, d: f64) -> [Row; 2] {
    match basis {
        RadialBasis::Gaussian { centers, widths } => {
            let x = || centers.iter().zip(widths).map(|(c, w)| ((d - c) / w, w));
            let value = |x: f64| (-0.5 * x * x).exp();
            [
                x().map(|(x, _)| value(x)).collect(),
                x().map(|(x, w)| -x / w * value(x)).collect(),
            ]
        }
        RadialBasis::Bessel { frequencies, scale } => {
            let slope = |f: &f64| scale * (f * (f * d).cos() - (f * d).sin() / d) / d;
            [
                (frequencies.iter())
                    .map(|f| scale * (f * d).sin() / d)
                    .collect(),
                frequencies.iter().map(slope).collect(),
            ]
        }
    }
}

/// Filters of a layer and their derivatives at a distance within the cutoff.
pub fn filter(spec: &Spec, l: &Linear, d: f64) -> [Row; 2] {
    let frequency = PI / spec.cutoff;
    let cut = 0.5 * (1.0 + (frequency * d).cos());
    let cut_slope = -0.5 * frequency * (frequency * d).sin();
    let [value, slope] = radial(&spec.basis, d);
    let unbiased = Linear {
        bias: Vec::new(),
        ..l.clone()
    };
    let (value, slope) = (linear(l, &value), linear(&unbiased, &slope));
    let w = value.iter().map(|v| v * cut).collect();
    let dw = (value.iter().zip(&slope))
        .map(|(v, s)| v * cut_slope + s * cut)
        .collect();
    [w, dw]
}

/// What one layer keeps for the way back.
struct Kept {
    hidden: Vec<Row>,
    x: Vec<Row>,
    mu: Vec<Vectors>,
    mixed: Vec<Vectors>,
    norm: Vec<Row>,
    update_hidden: Vec<Row>,
    abc: Vec<Row>,
}

/// Energy, forces and strain derivative, offset included.
pub fn evaluate(spec: &Spec, weights: &Weights, species: &[u8], pairs: &Pairs) -> Evaluation {
    let (n, f) = (species.len(), spec.features);
    let mut q: Vec<Row> = (species.iter())
        .map(|&z| weights.embedding[usize::from(z) * f..(usize::from(z) + 1) * f].to_vec())
        .collect();
    let mut mu: Vec<Vectors> = vec![[0; 3].map(|_| vec![0.0; f]); n];
    let filters: Vec<Vec<[Row; 2]>> = (weights.layers.iter())
        .map(|l| {
            pairs
                .distances
                .iter()
                .map(|&d| filter(spec, &l.filter, d))
                .collect()
        })
        .collect();
    let unit: Vec<Vec3> = pairs
        .vectors
        .iter()
        .zip(&pairs.distances)
        .map(|(r, d)| r / *d)
        .collect();
    let mut kept = Vec::new();
    for (l, layer) in weights.layers.iter().enumerate() {
        let context: Vec<[Row; 2]> = q.iter().map(|q| net(&layer.context, q)).collect();
        let entering = mu.clone();
        for p in 0..pairs.len() {
            let (i, j) = (pairs.receivers[p] as usize, pairs.neighbors[p] as usize);
            let (w, x) = (&filters[l][p][0], &context[j][1]);
            for c in 0..f {
                q[i][c] += w[c] * x[c];
                for a in 0..3 {
                    mu[i][a][c] += w[f + c] * x[f + c] * unit[p][a]
                        + w[2 * f + c] * x[2 * f + c] * entering[j][a][c];
                }
            }
        }
        let mixed: Vec<Vectors> = mu
            .iter()
            .map(|m| [0, 1, 2].map(|a| linear(&layer.mix, &m[a])))
            .collect();
        let mut keep = Kept {
            hidden: context.iter().map(|c| c[0].clone()).collect(),
            x: context.into_iter().map(|[_, x]| x).collect(),
            mu: entering,
            mixed,
            norm: Vec::new(),
            update_hidden: Vec::new(),
            abc: Vec::new(),
        };
        for i in 0..n {
            let m = &keep.mixed[i];
            let norm: Row = (0..f)
                .map(|c| ((0..3).map(|a| m[a][c] * m[a][c]).sum::<f64>() + spec.epsilon[l]).sqrt())
                .collect();
            let [hidden, abc] = net(&layer.update, &[q[i].clone(), norm.clone()].concat());
            for c in 0..f {
                let dot: f64 = (0..3).map(|a| m[a][c] * m[a][f + c]).sum();
                q[i][c] += abc[c] + abc[2 * f + c] * dot;
                for a in 0..3 {
                    mu[i][a][c] += abc[f + c] * m[a][f + c];
                }
            }
            keep.norm.push(norm);
            keep.update_hidden.push(hidden);
            keep.abc.push(abc);
        }
        kept.push(keep);
    }
    let mut out = Evaluation::zeros(n);
    let mut gq: Vec<Row> = Vec::new();
    for q in &q {
        let (energy, g) = readout(&weights.readout, q);
        out.energy += energy * spec.energy_scale;
        gq.push(g.iter().map(|g| g * spec.energy_scale).collect());
    }
    out.energy += spec.offset(species);
    let slopes = backward(spec, weights, pairs, &filters, &unit, &kept, gq);
    for (p, g) in slopes.iter().enumerate() {
        out.forces[pairs.receivers[p] as usize] += g;
        out.forces[pairs.neighbors[p] as usize] -= g;
        out.strain_derivative += pairs.vectors[p] * g.transpose();
    }
    out
}

fn readout(layers: &[Linear], q: &[f64]) -> (f64, Row) {
    let mut x = q.to_vec();
    let mut hidden = Vec::new();
    for (k, layer) in layers.iter().enumerate() {
        x = linear(layer, &x);
        hidden.push(x.clone());
        if k + 1 < layers.len() {
            x = x.iter().map(silu).collect();
        }
    }
    let energy = x[0];
    let mut g = vec![1.0];
    for (k, layer) in layers.iter().enumerate().rev() {
        if k + 1 < layers.len() {
            g = g
                .iter()
                .zip(&hidden[k])
                .map(|(g, h)| g * silu_slope(h))
                .collect();
        }
        g = back(layer, &g);
    }
    (energy, g)
}

/// dE/dr of each pair.
fn backward(
    spec: &Spec,
    weights: &Weights,
    pairs: &Pairs,
    filters: &[Vec<[Row; 2]>],
    unit: &[Vec3],
    kept: &[Kept],
    mut gq: Vec<Row>,
) -> Vec<Vec3> {
    let (n, f) = (gq.len(), spec.features);
    let mut gmu: Vec<Vectors> = vec![[0; 3].map(|_| vec![0.0; f]); n];
    let mut slopes = vec![Vec3::zeros(); pairs.len()];
    for (l, layer) in weights.layers.iter().enumerate().rev() {
        let k = &kept[l];
        for i in 0..n {
            let (m, abc) = (&k.mixed[i], &k.abc[i]);
            let mut gabc = vec![0.0; 3 * f];
            for c in 0..f {
                gabc[c] = gq[i][c];
                for a in 0..3 {
                    gabc[f + c] += gmu[i][a][c] * m[a][f + c];
                    gabc[2 * f + c] += gq[i][c] * m[a][c] * m[a][f + c];
                }
            }
            let inner = net_back(&layer.update, &k.update_hidden[i], &gabc);
            for a in 0..3 {
                let mut g = vec![0.0; 2 * f];
                for c in 0..f {
                    let gc = gq[i][c] * abc[2 * f + c];
                    g[c] = gc * m[a][f + c] + inner[f + c] / k.norm[i][c] * m[a][c];
                    g[f + c] = gc * m[a][c] + gmu[i][a][c] * abc[f + c];
                }
                let g = back(&layer.mix, &g);
                (0..f).for_each(|c| gmu[i][a][c] += g[c]);
            }
            (0..f).for_each(|c| gq[i][c] += inner[c]);
        }
        let mut gx = vec![vec![0.0; 3 * f]; n];
        let outer = gmu.clone();
        for p in 0..pairs.len() {
            let (i, j) = (pairs.receivers[p] as usize, pairs.neighbors[p] as usize);
            let ([w, dw], x, u) = (&filters[l][p], &k.x[j], &unit[p]);
            let (mut radial, mut t) = (0.0, Vec3::zeros());
            for c in 0..f {
                let g = Vec3::from_fn(|a, _| outer[i][a][c]);
                let along = g.dot(u);
                let inner: f64 = (0..3).map(|a| g[a] * k.mu[j][a][c]).sum();
                gx[j][c] += w[c] * gq[i][c];
                gx[j][f + c] += w[f + c] * along;
                gx[j][2 * f + c] += w[2 * f + c] * inner;
                radial += dw[c] * x[c] * gq[i][c]
                    + dw[f + c] * x[f + c] * along
                    + dw[2 * f + c] * x[2 * f + c] * inner;
                t += g * (w[f + c] * x[f + c]);
                for a in 0..3 {
                    gmu[j][a][c] += w[2 * f + c] * x[2 * f + c] * g[a];
                }
            }
            slopes[p] += u * radial + (t - u * t.dot(u)) / pairs.distances[p];
        }
        for j in 0..n {
            let g = net_back(&layer.context, &k.hidden[j], &gx[j]);
            (0..f).for_each(|c| gq[j][c] += g[c]);
        }
    }
    slopes
}

/// Forces and strain derivative are those of the energy: central differences of step h are off by h^2 / 6 times the
/// third derivative and by rounding, 1e-16 E / h; both are under 1e-6 here.
#[test]
fn gradient_is_that_of_the_energy() {
    const STEP: f64 = 1e-4;
    const TOLERANCE: f64 = 1e-5;
    let vectors = Mat3::from_row_slice(&[6.0, 0.0, 0.0, 1.5, 5.5, 0.0, -1.0, 0.7, 6.5]);
    let cell = Cell::new(vectors, [true; 3]).unwrap();
    let atoms = Atoms::random(7, cell, &mut Random::new(3));
    for basis in [RadialBasis::bessel(6, 5.0), RadialBasis::gaussian(12, 5.0)] {
        let (spec, weights) = calm_model(16, 3, basis);
        let at = |atoms: &Atoms| {
            let pairs = brute::pairs(&atoms.cell, &atoms.positions, spec.cutoff);
            evaluate(&spec, &weights, &atoms.species, &pairs)
        };
        let exact = at(&atoms);
        for a in 0..3 {
            let moved = |h: f64| {
                let mut moved = atoms.clone();
                moved.positions[2][a] += h;
                at(&moved).energy
            };
            let slope = (moved(STEP) - moved(-STEP)) / (2.0 * STEP);
            assert!(
                (slope + exact.forces[2][a]).abs() < TOLERANCE * (1.0 + slope.abs()),
                "force {a}"
            );
            let strained = |h: f64| {
                // R_1 grows with R_a.
                let mut strain = Mat3::zeros();
                strain[(1, a)] = h;
                at(&atoms.strained(&strain)).energy
            };
            let slope = (strained(STEP) - strained(-STEP)) / (2.0 * STEP);
            let found = exact.strain_derivative[(a, 1)];
            assert!(
                (slope - found).abs() < TOLERANCE * (1.0 + slope.abs()),
                "strain {a}: {slope} {found}"
            );
        }
    }
}
