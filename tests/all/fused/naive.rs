//! PaiNN's energy from the paper's equations (Schuett, Unke, Gastegger, ICML 2021), loop by loop in
//! f64: slow, and simple enough to be believed.

use mdrun::core::Vec3;
use mdrun::neighbors::Pairs;
use mdrun::potential::painn::{Linear, RadialBasis, Spec, Weights};

fn apply(linear: &Linear, x: &[f64]) -> Vec<f64> {
    assert_eq!(x.len(), linear.inputs);
    (0..linear.outputs)
        .map(|o| {
            let row = &linear.weight[o * linear.inputs..(o + 1) * linear.inputs];
            let bias = linear.bias.get(o).copied().unwrap_or(0.0);
            bias + row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()
        })
        .collect()
}

fn silu(x: Vec<f64>) -> Vec<f64> {
    x.into_iter().map(|x| x / (1.0 + (-x).exp())).collect()
}

fn net(maps: &[Linear], x: &[f64]) -> Vec<f64> {
    let mut x = apply(&maps[0], x);
    for map in &maps[1..] {
        x = apply(map, &silu(x));
    }
    x
}

/// Radial basis functions at distance `d`.
fn basis(basis: &RadialBasis, d: f64) -> Vec<f64> {
    match basis {
        RadialBasis::Gaussian { centers, widths } => (centers.iter().zip(widths))
            .map(|(c, w)| (-0.5 * ((d - c) / w).powi(2)).exp())
            .collect(),
        RadialBasis::Bessel { frequencies, scale } => (frequencies.iter())
            .map(|f| scale * (f * d).sin() / d)
            .collect(),
    }
}

/// Filters of a layer at distance `d`.
pub fn filter(spec: &Spec, linear: &Linear, d: f64) -> Vec<f64> {
    let cut = 0.5 * (1.0 + (std::f64::consts::PI * d / spec.cutoff).cos());
    let mut w = apply(linear, &basis(&spec.basis, d));
    w.iter_mut().for_each(|w| *w *= cut);
    w
}

/// Potential energy (eV) of atoms of the given species with the given pairs.
pub fn energy(spec: &Spec, weights: &Weights, species: &[u8], pairs: &Pairs) -> f64 {
    let (n, f) = (species.len(), spec.features);
    let mut q: Vec<Vec<f64>> = (species.iter())
        .map(|&z| weights.embedding[z as usize * f..(z as usize + 1) * f].to_vec())
        .collect();
    let mut mu = vec![vec![Vec3::zeros(); f]; n];
    for (l, layer) in weights.layers.iter().enumerate() {
        let x: Vec<_> = q.iter().map(|q| net(&layer.context, q)).collect();
        let (q_before, mu_before) = (q.clone(), mu.clone());
        for i in 0..n {
            q[i] = q_before[i].clone();
            for p in pairs.row(i) {
                let j = pairs.neighbors[p] as usize;
                let w = filter(spec, &layer.filter, pairs.distances[p]);
                let unit = pairs.vectors[p] / pairs.distances[p];
                for c in 0..f {
                    q[i][c] += w[c] * x[j][c];
                    mu[i][c] += unit * (w[f + c] * x[j][f + c]);
                    mu[i][c] += mu_before[j][c] * (w[2 * f + c] * x[j][2 * f + c]);
                }
            }
        }
        for i in 0..n {
            let mut v = vec![Vec3::zeros(); 2 * f];
            for axis in 0..3 {
                let along: Vec<f64> = mu[i].iter().map(|m| m[axis]).collect();
                for (v, x) in v.iter_mut().zip(apply(&layer.mix, &along)) {
                    v[axis] = x;
                }
            }
            let (v, w) = v.split_at(f);
            let norm = v
                .iter()
                .map(|v| (v.norm_squared() + spec.epsilon[l]).sqrt());
            let input: Vec<f64> = q[i].iter().copied().chain(norm).collect();
            let abc = net(&layer.update, &input);
            for c in 0..f {
                q[i][c] += abc[c] + abc[2 * f + c] * v[c].dot(&w[c]);
                mu[i][c] += w[c] * abc[f + c];
            }
        }
    }
    let network: f64 = q.iter().map(|q| net(&weights.readout, q)[0]).sum();
    spec.offset(species) + spec.energy_scale * network
}
