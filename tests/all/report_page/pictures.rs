//! Pictures of atoms: bonds are those of chemistry, molecules are whole, cells have their edges.

use mdrun::core::{Cell, Mat3, Vec3};
use mdrun::formats;
use mdrun::overview::colours::{of_element, shaded};
use mdrun::overview::portrait::Portrait;

use super::made::elements;
use crate::support::root;

/// Ends of the halves of bonds that a picture has: x and y of each (pixels).
fn sticks(svg: &str) -> Vec<[f64; 4]> {
    let stick = |path: &&str| {
        let (_, d) = path.split_once(" d=\"M").unwrap();
        let d = d.split('"').next().unwrap();
        let numbers: Vec<f64> = (d.split([' ', 'L'])).map(|n| n.parse().unwrap()).collect();
        numbers.try_into().unwrap()
    };
    let all = elements(svg, "<path class=\"stick\"", "/>");
    all.iter().map(stick).collect()
}

fn longest(sticks: &[[f64; 4]]) -> f64 {
    let length = |[x, y, to_x, to_y]: &[f64; 4]| (to_x - x).hypot(to_y - y);
    sticks.iter().map(length).fold(0.0, f64::max)
}

#[test]
fn ethanol_has_its_eight_bonds() {
    let structure = formats::read(&root().join("configs/structures/ethanol.xyz")).unwrap();
    let picture = Portrait::of(&structure).unwrap().draw("a");
    assert_eq!(picture.words, "9 atoms, 8 bonds");
    let svg = &picture.svg;
    assert!(svg.contains("data-atoms=\"9\"") && svg.contains("data-bonds=\"8\""));
    assert_eq!(svg.matches("<use ").count(), 9);
    // Halves in the colours of their atoms: C-C, C-O, O-H and five C-H.
    let halves = sticks(svg);
    assert_eq!(halves.len(), 16);
    for (z, count) in [(6, 8), (1, 6), (8, 2)] {
        let colour = format!("stroke=\"{}\"/>\n", shaded(of_element(z), -0.28));
        let painted = svg.matches(&format!("\" {colour}")).count();
        assert_eq!(painted, count, "element {z}");
    }
    // Without a cell there are no edges of one.
    assert!(!svg.contains("class=\"cell\""));
    assert!(
        svg.contains(">H</text>") && svg.contains(">C</text>") && svg.contains("\u{c5}</text>")
    );
    // Everything is on the page.
    let (_, size) = svg.split_once("viewBox=\"0 0 640 ").unwrap();
    let height: f64 = size.split('"').next().unwrap().parse().unwrap();
    for [x, y, to_x, to_y] in halves {
        for (x, y) in [(x, y), (to_x, to_y)] {
            assert!(
                (0.0..=640.0).contains(&x) && (0.0..=height).contains(&y),
                "{x} {y}"
            );
        }
    }
}

/// Molecules that the faces of a cell cut are drawn whole: the picture is that of the molecules before they were cut.
#[test]
fn water_across_the_boundary_is_whole() {
    let structure = formats::read(&root().join("configs/structures/water64.xyz")).unwrap();
    let cell = structure.cell().unwrap();
    let draw = |positions: &[Vec3]| {
        let portrait = Portrait::new(&structure.species, &cell, positions);
        portrait.draw("a").svg
    };
    let whole = draw(&structure.positions);
    // Every atom by itself in another cell, and then in this one.
    let apart: Vec<Vec3> = (structure.positions.iter().enumerate())
        .map(|(k, position)| {
            position + cell.shift([k as i32 % 3 - 1, k as i32 % 5, -(k as i32 % 2)])
        })
        .collect();
    let cut: Vec<Vec3> = apart.iter().map(|position| cell.wrap(position)).collect();
    let (whole_sticks, count) = (sticks(&whole), 4 * 64);
    assert_eq!(whole_sticks.len(), count);
    for positions in [apart, cut] {
        let svg = draw(&positions);
        assert!(svg.contains("data-bonds=\"128\""));
        let halves = sticks(&svg);
        assert_eq!(halves.len(), count);
        assert!((longest(&halves) - longest(&whole_sticks)).abs() < 2.0);
    }
    assert_eq!(
        whole.matches("class=\"cell\"").count(),
        2,
        "behind and before"
    );
    assert_eq!(
        elements(&whole, "<path class=\"cell\"", "/>")
            .iter()
            .map(|p| p.matches('M').count())
            .sum::<usize>(),
        12
    );
}

/// A chain without an end is bonded to its own image: its bonds leave the cell as stubs on both sides, none crosses it.
#[test]
fn bonds_of_a_crystal_do_not_cross_the_cell() {
    let spacing = 1.5;
    let cell = Cell::new(
        Mat3::from_diagonal(&Vec3::new(6.0 * spacing, 12.0, 12.0)),
        [true; 3],
    )
    .unwrap();
    let atoms: Vec<Vec3> = (0..6)
        .map(|k| Vec3::new(spacing * f64::from(k), 6.0, 6.0))
        .collect();
    let svg = Portrait::new(&[6; 6], &cell, &atoms).draw("a").svg;
    assert!(svg.contains("data-bonds=\"6\""));
    let halves = sticks(&svg);
    assert_eq!(halves.len(), 12);
    let lengths: Vec<f64> = halves.iter().map(|one| longest(&[*one])).collect();
    let least = lengths.iter().copied().fold(f64::INFINITY, f64::min);
    assert!(longest(&halves) < 1.2 * least, "{lengths:?}");
}

#[test]
fn odd_systems_are_drawn() {
    let cell = Cell::open();
    for (species, positions) in [
        (vec![18], vec![Vec3::zeros()]),
        (vec![1, 1], vec![Vec3::zeros(), Vec3::zeros()]),
        (vec![110, 200], vec![Vec3::zeros(), Vec3::x() * 1e6]),
        (vec![8, 1], vec![Vec3::zeros(), Vec3::repeat(f64::NAN)]),
    ] {
        let picture = Portrait::new(&species, &cell, &positions).draw("a");
        assert!(
            picture.svg.contains("<use ") && !picture.svg.contains("NaN"),
            "{species:?}"
        );
    }
    let nowhere = Portrait::new(&[1], &cell, &[Vec3::repeat(f64::INFINITY)]).draw("a");
    assert!(nowhere.svg.is_empty() && nowhere.words.contains("no atoms"));
    let lost = Portrait::new(&[8, 1], &cell, &[Vec3::zeros(), Vec3::repeat(f64::NAN)]);
    let words = lost.draw("a").words;
    assert!(words.contains("1 atom without a place"), "{words}");
}
