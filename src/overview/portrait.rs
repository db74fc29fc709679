//! A picture of atoms as SVG: shaded circles in depth order in the colours of their elements, the bonds that distances tell, and
//! the edges of the cell. Molecules are whole, and in the cell.
//!
//! Few atoms are balls and sticks; of many, balls are as large as atoms, and only those that are seen are drawn, so that a
//! picture is small however many there are.

use super::colours::{of_element, shaded};
use super::view::Viewpoint;
use crate::Result;
use crate::core::elements::{covalent_radius, kinds, symbol};
use crate::core::{Cell, System, Vec3};
use crate::formats::Structure;
use crate::formats::write::wrap::{self, Rounding};
use crate::neighbors::bonds::{self, Bond};
use crate::plot::round_step;
use crate::text::{counted, significant};

/// Most atoms that are drawn as balls and sticks.
const MOST_STICKS: usize = 1200;
/// Most atoms whose bonds are looked for.
const MOST_BONDED: usize = 100_000;
/// Most balls in a picture.
const MOST_BALLS: usize = 6000;
/// Width, and greatest height, of a picture (pixels).
const WIDTH: f64 = 640.0;
const HEIGHT: f64 = 440.0;
/// Room around what is drawn, and for the legend below (pixels).
const EDGE: f64 = 12.0;
const LEGEND: f64 = 34.0;
/// Most pixels of an angstrom.
const LARGEST: f64 = 105.0;
/// Width of a stick (angstrom).
const STICK: f64 = 0.17;
/// Radius (angstrom) of an atom whose element has none.
const USUAL_RADIUS: f64 = 1.5;
/// Shades from the front to the back, how much darker the last is, and the depth (angstrom) from which on there are any.
const SHADES: usize = 4;
const DARKEST: f64 = 0.42;
const DEEP: f64 = 8.0;
/// Radii of what is drawn, for elements of a covalent radius r (angstrom): a + b r.
const BALL: [f64; 2] = [0.16, 0.28];
const ALONE: [f64; 2] = [0.25, 0.6];
const SOLID: [f64; 2] = [0.45, 0.85];

/// Atoms to be drawn.
#[derive(Debug, Clone)]
pub struct Portrait {
    /// Atomic numbers.
    species: Vec<u8>,
    /// The cell.
    cell: Cell,
    /// Positions (angstrom), molecules whole and in the cell.
    positions: Vec<Vec3>,
    /// Their bonds.
    bonds: Vec<Bond>,
    /// Atoms that are nowhere.
    lost: usize,
}

/// A picture.
#[derive(Debug, Clone, PartialEq)]
pub struct Picture {
    /// The SVG element.
    pub svg: String,
    /// What it shows, in words.
    pub words: String,
}

/// Something to be drawn, behind what is nearer.
struct Drawing {
    depth: f64,
    svg: String,
}

impl Portrait {
    /// Of a structure that was read.
    ///
    /// # Errors
    /// Its cell is none.
    pub fn of(structure: &Structure) -> Result<Self> {
        Ok(Self::new(
            &structure.species,
            &structure.cell()?,
            &structure.positions,
        ))
    }

    /// Of atoms of these elements at positions (angstrom).
    pub fn new(species: &[u8], cell: &Cell, positions: &[Vec3]) -> Self {
        let there = |k: &usize| positions[*k].iter().all(|x| x.abs() < 1e12);
        let kept: Vec<usize> = (0..species.len()).filter(there).collect();
        let lost = species.len() - kept.len();
        let species: Vec<u8> = kept.iter().map(|&k| species[k]).collect();
        let mut positions: Vec<Vec3> = kept.iter().map(|&k| positions[k]).collect();
        let few = species.len() <= MOST_BONDED;
        if few {
            let masses = vec![1.0; species.len()];
            let system = System { species, masses };
            wrap::frame(&system, cell, &mut positions, &Rounding::NONE);
            let bonds = bonds::find(&system.species, cell, &positions);
            return Self {
                species: system.species,
                cell: cell.clone(),
                positions,
                bonds,
                lost,
            };
        }
        for position in &mut positions {
            *position = cell.wrap(position);
        }
        Self {
            species,
            cell: cell.clone(),
            positions,
            bonds: Vec::new(),
            lost,
        }
    }

    /// Draws them. `tag`, letters and digits, tells names in this picture from those in others of a page.
    pub fn draw(&self, tag: &str) -> Picture {
        if self.positions.is_empty() {
            return Picture {
                svg: String::new(),
                words: "there are no atoms to be seen".to_owned(),
            };
        }
        let sticks = self.positions.len() <= MOST_STICKS;
        let radii = self.radii(sticks);
        let view = Viewpoint::of(&self.cell, &self.positions, &radii);
        let size = [WIDTH - 2.0 * EDGE, HEIGHT - 2.0 * EDGE];
        let scale = (size[0] / view.width())
            .min(size[1] / view.height())
            .min(LARGEST);
        let page = PageOf {
            view,
            scale,
            radii,
            tag,
        };
        self.on(&page, sticks)
    }

    /// Radius that each atom is drawn with (angstrom).
    fn radii(&self, sticks: bool) -> Vec<f64> {
        let mut bonded = vec![false; self.species.len()];
        for bond in &self.bonds {
            bonded[bond.first] = true;
            bonded[bond.second] = true;
        }
        let radius = |(species, bonded): (&u8, bool)| {
            let [least, part] = match (sticks, bonded) {
                (true, true) => BALL,
                (true, false) => ALONE,
                (false, _) => SOLID,
            };
            least + part * covalent_radius(*species).unwrap_or(USUAL_RADIUS)
        };
        self.species.iter().zip(bonded).map(radius).collect()
    }

    /// The picture, once it is known from where and how large.
    fn on(&self, page: &PageOf<'_>, sticks: bool) -> Picture {
        let mut items = Vec::new();
        let (seen, swollen) = page.seen(&self.positions, sticks);
        if sticks {
            for bond in &self.bonds {
                self.stick(page, bond, &mut items);
            }
        }
        let looks = page.looks(&self.species, swollen);
        for &k in &seen {
            let [x, y, depth] = page.at(&self.positions[k]);
            let name = looks.name(self.species[k], page.radii[k], page.shade(depth));
            items.push(Drawing {
                depth,
                svg: format!("<use href=\"#{name}\" x=\"{x:.1}\" y=\"{y:.1}\"/>\n"),
            });
        }
        items.sort_by(|a, b| a.depth.total_cmp(&b.depth));
        let height = page.view.height() * page.scale + 2.0 * EDGE + LEGEND;
        let words = self.words(seen.len(), sticks);
        let [behind, before] = page.edges(&self.cell);
        let mut svg = format!(
            "<svg class=\"atoms\" viewBox=\"0 0 {WIDTH} {height:.0}\" role=\"img\" aria-label=\"{words}\" data-atoms=\"{}\" \
             data-bonds=\"{}\">\n<defs>\n{}</defs>\n{behind}<g fill=\"none\" stroke-width=\"{:.1}\">\n",
            self.positions.len(),
            self.bonds.len(),
            looks.definitions(page),
            (STICK * page.scale).max(1.0),
        );
        svg.extend(items.iter().map(|item| item.svg.as_str()));
        svg += &format!("</g>\n{before}{}</svg>\n", self.legend(page, height));
        Picture { svg, words }
    }

    /// A bond as two halves, each in the colour of its atom; one to an image of an atom as a stub on either side.
    fn stick(&self, page: &PageOf<'_>, bond: &Bond, items: &mut Vec<Drawing>) {
        let shift = self.cell.shift(bond.image);
        for (from, to, shift) in [
            (bond.first, bond.second, shift),
            (bond.second, bond.first, -shift),
        ] {
            let start = self.positions[from];
            let vector = self.positions[to] + shift - start;
            let length = vector.norm();
            if length <= page.radii[from] {
                continue;
            }
            let ends = [
                start + vector * (0.9 * page.radii[from] / length),
                start + 0.5 * vector,
            ];
            let [[x, y, near], [to_x, to_y, far]] = ends.map(|end| page.at(&end));
            let colour = shaded(of_element(self.species[from]), -0.28);
            items.push(Drawing {
                depth: 0.5 * (near + far),
                svg: format!(
                    "<path class=\"stick\" d=\"M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}\" stroke=\"{colour}\"/>\n"
                ),
            });
        }
    }

    /// What it shows.
    fn words(&self, seen: usize, sticks: bool) -> String {
        let atoms = counted(self.positions.len() as u64, "atom");
        let bonds = counted(self.bonds.len() as u64, "bond");
        let mut words = format!("{atoms}, {bonds}");
        if self.positions.len() > MOST_BONDED {
            words = format!("{atoms}; bonds of so many are not looked for");
        } else if !sticks {
            words += &format!("; balls are as large as atoms, and {seen} of them are seen");
        }
        if self.lost > 0 {
            let lost = counted(self.lost as u64, "atom");
            words += &format!("; {lost} without a place left out");
        }
        words
    }

    /// The elements' colours, and how long some angstrom are.
    fn legend(&self, page: &PageOf<'_>, height: f64) -> String {
        let y = height - 14.0;
        let mut x = EDGE + 8.0;
        let mut out = String::new();
        for z in kinds(&self.species).into_iter().take(12) {
            let colour = of_element(z);
            out += &format!(
                "<circle cx=\"{x:.1}\" cy=\"{:.1}\" r=\"6\" fill=\"{}\" stroke=\"{}\"/>\
                 <text x=\"{:.1}\" y=\"{y:.1}\">{}</text>\n",
                y - 4.5,
                shaded(colour, 0.0),
                shaded(colour, -0.5),
                x + 11.0,
                symbol(z)
            );
            x += 42.0;
        }
        let length = round_step(0.6 * 110.0 / page.scale);
        let width = length * page.scale;
        let right = WIDTH - EDGE - 60.0;
        out + &format!(
            "<path class=\"axis\" d=\"M{:.1} {:.1}v5h{width:.1}v-5\"/><text x=\"{:.1}\" y=\"{y:.1}\">{} \u{c5}</text>\n",
            right - width,
            y - 8.0,
            right + 8.0,
            significant(length, 1)
        )
    }
}

/// From where, how large, and what atoms are drawn with.
struct PageOf<'t> {
    view: Viewpoint,
    /// Pixels of an angstrom.
    scale: f64,
    /// Radii (angstrom).
    radii: Vec<f64>,
    tag: &'t str,
}

impl PageOf<'_> {
    /// Where a point is, in pixels, and how near (angstrom).
    fn at(&self, position: &Vec3) -> [f64; 3] {
        let seen = self.view.seen(position);
        let left = 0.5 * (WIDTH - self.view.width() * self.scale);
        [
            left + (seen[0] - self.view.low[0]) * self.scale,
            EDGE + (self.view.high[1] - seen[1]) * self.scale,
            seen[2],
        ]
    }

    /// How dark something is at a depth.
    fn shade(&self, depth: f64) -> usize {
        let [low, high] = [self.view.low[2], self.view.high[2]];
        if high - low < DEEP {
            return 0;
        }
        let part = (high - depth) / (high - low);
        ((part * SHADES as f64) as usize).min(SHADES - 1)
    }

    /// The atoms that are seen, and how much larger they are drawn where some of these are left out.
    fn seen(&self, positions: &[Vec3], sticks: bool) -> (Vec<usize>, f64) {
        if sticks {
            return ((0..positions.len()).collect(), 1.0);
        }
        let mut order: Vec<(f64, usize)> = (positions.iter().enumerate())
            .map(|(k, position)| (self.at(position)[2], k))
            .collect();
        order.sort_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)));
        let mut cover = Cover::new();
        let mut seen: Vec<usize> = (order.into_iter())
            .map(|(_, k)| k)
            .filter(|&k| {
                let [x, y, _] = self.at(&positions[k]);
                cover.lay(x, y, self.radii[k] * self.scale)
            })
            .collect();
        let every = seen.len().div_ceil(MOST_BALLS).max(1);
        if every > 1 {
            seen = seen.into_iter().step_by(every).collect();
        }
        (seen, (every as f64).sqrt())
    }

    /// What balls look like.
    fn looks(&self, species: &[u8], swollen: f64) -> BallLooks<'_> {
        let mut kinds: Vec<(u8, u64)> = species
            .iter()
            .zip(&self.radii)
            .map(|(z, radius)| (*z, radius.to_bits()))
            .collect();
        kinds.sort_unstable();
        kinds.dedup();
        BallLooks {
            tag: self.tag,
            kinds: (kinds.into_iter())
                .map(|(z, bits)| (z, f64::from_bits(bits)))
                .collect(),
            swollen,
        }
    }

    /// The edges of the cell: those behind the atoms, and the others.
    fn edges(&self, cell: &Cell) -> [String; 2] {
        if !cell.is_given() {
            return Default::default();
        }
        let corner = |corner: [i32; 3]| self.at(&cell.shift(corner));
        let all = (0..8).map(|k| [k & 1, k >> 1 & 1, k >> 2 & 1]);
        let last = all.min_by(|a, b| corner(*a)[2].total_cmp(&corner(*b)[2]));
        let last = last.unwrap_or_default();
        let mut paths = [String::new(), String::new()];
        for axis in 0..3 {
            for side in 0..4 {
                let mut from = [0; 3];
                from[(axis + 1) % 3] = side & 1;
                from[(axis + 2) % 3] = side >> 1;
                let mut to = from;
                to[axis] = 1;
                let behind = from == last || to == last;
                let [[x, y, _], [to_x, to_y, _]] = [corner(from), corner(to)];
                paths[usize::from(!behind)] += &format!("M{x:.1} {y:.1}L{to_x:.1} {to_y:.1}");
            }
        }
        paths.map(|path| format!("<path class=\"cell\" d=\"{path}\"/>\n"))
    }
}

/// What balls look like: one for each element, radius and shade.
struct BallLooks<'t> {
    tag: &'t str,
    kinds: Vec<(u8, f64)>,
    swollen: f64,
}

impl BallLooks<'_> {
    fn name(&self, z: u8, radius: f64, shade: usize) -> String {
        let place = self.kinds.iter().position(|kind| *kind == (z, radius));
        format!("{}b{}s{shade}", self.tag, place.unwrap_or_default())
    }

    fn definitions(&self, page: &PageOf<'_>) -> String {
        let deep = page.view.high[2] - page.view.low[2] >= DEEP;
        let shades = if deep { SHADES } else { 1 };
        let mut out = String::new();
        for &(z, radius) in &self.kinds {
            for shade in 0..shades {
                let name = self.name(z, radius, shade);
                let darker = DARKEST * shade as f64 / SHADES as f64;
                let colour = of_element(z).map(|c| (f64::from(c) * (1.0 - darker)) as u8);
                out += &format!(
                    "<radialGradient id=\"{name}g\" cx=\".36\" cy=\".32\" r=\".72\"><stop offset=\"0\" stop-color=\"{}\"/>\
                     <stop offset=\".5\" stop-color=\"{}\"/><stop offset=\"1\" stop-color=\"{}\"/></radialGradient>\
                     <circle id=\"{name}\" r=\"{:.2}\" fill=\"url(#{name}g)\" stroke=\"{}\" stroke-width=\".6\"/>\n",
                    shaded(colour, 0.55),
                    shaded(colour, -0.04),
                    shaded(colour, -0.42),
                    radius * self.swollen * page.scale,
                    shaded(colour, -0.6)
                );
            }
        }
        out
    }
}

/// Which pixels are covered by what is nearer.
struct Cover {
    covered: Vec<bool>,
}

impl Cover {
    const COLUMNS: usize = WIDTH as usize;
    const ROWS: usize = HEIGHT as usize;

    fn new() -> Self {
        Self {
            covered: vec![false; Self::COLUMNS * Self::ROWS],
        }
    }

    /// Lays a disc down, and says whether any of it is seen.
    fn lay(&mut self, x: f64, y: f64, radius: f64) -> bool {
        let range = |at: f64, most: usize| {
            let low = (at - radius).floor().max(0.0) as usize;
            low..((at + radius).ceil().max(0.0) as usize + 1).min(most)
        };
        let mut seen = false;
        for row in range(y, Self::ROWS) {
            for column in range(x, Self::COLUMNS) {
                let (dx, dy) = (column as f64 - x, row as f64 - y);
                // Of a small disc the nearest pixel counts.
                if dx * dx + dy * dy <= (radius * radius).max(0.5) {
                    let pixel = &mut self.covered[row * Self::COLUMNS + column];
                    seen |= !*pixel;
                    *pixel = true;
                }
            }
        }
        seen
    }
}
