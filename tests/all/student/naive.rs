//! The energy of a StudentForceField in f64 as its equations stand: slow and simple. It takes the numbers of a model from the
//! project, and no function.

use std::f64::consts::PI;

use mdrun::core::Vec3;
use mdrun::neighbors::Pairs;
use mdrun::potential::Linear;
use mdrun::potential::student::Student;

type Row = Vec<f64>;

fn linear(l: &Linear, x: &[f64]) -> Row {
    (0..l.outputs)
        .map(|o| {
            let row = &l.weight[o * l.inputs..(o + 1) * l.inputs];
            row.iter().zip(x).map(|(w, x)| w * x).sum::<f64>() + l.bias[o]
        })
        .collect()
}

/// Maps with SiLU between.
fn net(layers: &[Linear], x: &[f64]) -> Row {
    let (first, rest) = layers.split_first().unwrap();
    rest.iter().fold(linear(first, x), |h, l| {
        let active: Row = h.iter().map(|h| h / (1.0 + (-h).exp())).collect();
        linear(l, &active)
    })
}

/// The filters of a layer at a distance (angstrom): of s, of v, of the unit vector.
pub fn filter(student: &Student, layer: usize, d: f64) -> Row {
    let cut = 0.5 * ((PI * d / student.cutoff).cos() + 1.0);
    let basis: Row = (student.centers.iter().zip(&student.widths))
        .map(|(c, w)| (-((d - c) / w).powi(2)).exp() * cut)
        .collect();
    net(&student.layers[layer].filter, &basis)
}

/// The energy (eV) of atoms of these species.
pub fn energy(student: &Student, species: &[u8], pairs: &Pairs) -> f64 {
    let f = student.features;
    let mut s: Vec<Row> = (species.iter())
        .map(|&z| student.embedding[usize::from(z) * f..][..f].to_vec())
        .collect();
    let mut v = vec![vec![Vec3::zeros(); f]; species.len()];
    for (l, layer) in student.layers.iter().enumerate() {
        let (old_s, old_v) = (s.clone(), v.clone());
        for p in 0..pairs.len() {
            let (i, j) = (pairs.receivers[p] as usize, pairs.neighbors[p] as usize);
            let w = filter(student, l, pairs.distances[p]);
            let unit = pairs.vectors[p] / (pairs.distances[p] + 1e-8);
            for k in 0..f {
                s[i][k] += w[k] * old_s[j][k];
                v[i][k] += w[f + k] * old_v[j][k] + w[2 * f + k] * unit;
            }
        }
        let m = &layer.mixing;
        for (s, v) in s.iter_mut().zip(&mut v) {
            let norms = v.iter().map(Vec3::norm);
            let input: Row = s.iter().copied().chain(norms).collect();
            let update = net(&layer.update, &input);
            for k in 0..f {
                s[k] += update[k];
                let turned = Vec3::from_fn(|a, _| (0..3).map(|b| m[a][b] * v[k][b]).sum());
                v[k] = update[f + k] * v[k] + update[2 * f + k] * turned;
            }
        }
    }
    let atoms = s.iter().map(|s| net(&student.readout, s)[0]);
    student.energy_scale * atoms.sum::<f64>()
}
