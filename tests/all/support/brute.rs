//! Pairs by trying every image of every atom: slow, and simple enough to be believed.

use mdrun::core::{Cell, Vec3};
use mdrun::neighbors::Pairs;

/// One ordered pair: receiver, neighbour, image of the neighbour, vector.
type Found = (usize, usize, [i32; 3], Vec3);

/// All ordered pairs under `cutoff` (angstrom), in canonical order: by receiver, neighbour, and image
/// of the neighbour in lexicographic order.
pub fn pairs(cell: &Cell, positions: &[Vec3], cutoff: f64) -> Pairs {
    let mut found: Vec<Found> = Vec::new();
    for (i, r_i) in positions.iter().enumerate() {
        for (j, r_j) in positions.iter().enumerate() {
            let direct = r_j - r_i;
            for image in images(cell, &direct, cutoff) {
                let vector = direct + cell.shift(image);
                let itself = i == j && image == [0; 3];
                if !itself && vector.norm() < cutoff {
                    found.push((i, j, image, vector));
                }
            }
        }
    }
    collect(&found, positions.len())
}

/// Images that can bring a vector under the cutoff: along each periodic direction those between the
/// two planes at that height.
fn images(cell: &Cell, direct: &Vec3, cutoff: f64) -> Vec<[i32; 3]> {
    let fractional = cell.fractional(direct);
    let range = |k: usize| {
        if !cell.periodic()[k] {
            return 0..=0;
        }
        let reach = cutoff / cell.height(k);
        // One more on either side, so that rounding cannot lose one.
        let (low, high) = (-reach - fractional[k], reach - fractional[k]);
        low.ceil() as i32 - 1..=high.floor() as i32 + 1
    };
    let mut all = Vec::new();
    for a in range(0) {
        for b in range(1) {
            for c in range(2) {
                all.push([a, b, c]);
            }
        }
    }
    all
}

fn collect(found: &[Found], atoms: usize) -> Pairs {
    let key = |p: &Found| (p.0, p.1, p.2);
    let reverse = |p: &Found| {
        let opposite = (p.1, p.0, p.2.map(|n| -n));
        found.binary_search_by_key(&opposite, key).unwrap() as u32
    };
    let row = |i: usize| found.partition_point(|p| p.0 < i) as u32;
    Pairs {
        rows: (0..=atoms).map(row).collect(),
        receivers: found.iter().map(|p| p.0 as u32).collect(),
        neighbors: found.iter().map(|p| p.1 as u32).collect(),
        reverse: found.iter().map(reverse).collect(),
        vectors: found.iter().map(|p| p.3).collect(),
        distances: found.iter().map(|p| p.3.norm()).collect(),
    }
}
