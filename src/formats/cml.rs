//! Chemical Markup Language.
//!
//! Schema: CML 2.4 and 3 (<https://www.xml-cml.org>). Of a molecule its atoms (`atomArray`, as elements or
//! as arrays in attributes) and its crystal are read. XML is taken apart by roxmltree, which is safe Rust.

use roxmltree::{Document, Node, ParsingOptions};

use super::fields::{number, shorten};
use super::isotopes::isotope_mass;
use super::labels::{WHOLE, charge_note, element_of_type, flat_note, partly_occupied};
use super::lattice::{real_cell, triclinic};
use super::structure::{Structure, Wanted};
use crate::core::{FormalElectrons, Mat3, Vec3};
use crate::{Error, Result};

/// Reads molecules of a CML file.
///
/// # Errors
/// The text is not XML, has no molecule, or an atom lacks its element or its position.
pub(super) fn read(text: &str, wanted: Wanted) -> Result<Vec<Structure>> {
    look_over(text)?;
    let options = ParsingOptions {
        allow_dtd: true,
        ..ParsingOptions::default()
    };
    let document = Document::parse_with_options(text, options).map_err(|e| {
        Error::input(format!(
            "not a CML file, or damaged: {}",
            visible(&e.to_string())
        ))
    })?;
    let mut molecules = Vec::new();
    outermost(document.root_element(), &mut molecules);
    if molecules.is_empty() {
        return Err(Error::input("there is no molecule in it"));
    }
    wanted.read(molecules.len(), |k| of_molecule(molecules[k]))
}

/// Reads one molecule.
fn of_molecule(molecule: Node<'_, '_>) -> Result<Structure> {
    let mut structure = Structure::default();
    let crystal = molecule.descendants().find(|n| is(n, "crystal"));
    let cell = crystal.map_or(Ok(None), cell)?;
    structure.set_cell(cell);
    if cell.is_some() {
        structure.notes.extend(crystal.and_then(symmetry_note));
    }
    Tally::read(molecule, cell, &mut structure)?;
    Ok(structure)
}

/// Refuses what would keep the parser for minutes: entities that name each other, namespaces by the thousand,
/// which it looks through for each element, and as many attributes of one element, which it compares with each
/// other.
fn look_over(text: &str) -> Result<()> {
    const MOST: usize = 4096;
    const MOST_NAMESPACES: usize = 256;
    let namespaces = text.matches("xmlns").count();
    if text.contains("<!ENTITY") || namespaces > MOST_NAMESPACES {
        return Err(Error::input(format!(
            "not a CML file, or damaged: it declares entities or {namespaces} namespaces; no entity and \
             {MOST_NAMESPACES} namespaces at most are read"
        )));
    }
    // There is no `<` inside of a tag.
    for (tag, inside) in text.split('<').skip(1).enumerate() {
        let (mut quote, mut values) = (None, 0);
        for byte in inside.bytes() {
            match (quote, byte) {
                (None, b'>') => break,
                (None, b'"' | b'\'') => quote = Some(byte),
                (Some(open), _) if open == byte => {
                    quote = None;
                    values += 1;
                }
                _ => {}
            }
        }
        if values > MOST {
            return Err(Error::input(format!(
                "not a CML file, or damaged: tag {} has {values} attributes",
                tag + 1
            )));
        }
    }
    Ok(())
}

/// Shows line ends and other control characters, which the parser quotes as they are.
fn visible(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c.is_control() {
            true => shown.extend(c.escape_default()),
            false => shown.push(c),
        }
    }
    shown
}

/// Whether a node is an element of this name, in whatever namespace.
fn is(node: &Node<'_, '_>, name: &str) -> bool {
    node.is_element() && node.tag_name().name() == name
}

/// The molecules that are in no other one: those inside of one are its parts.
fn outermost<'a, 'd>(root: Node<'a, 'd>, found: &mut Vec<Node<'a, 'd>>) {
    // Nodes come in the order of the document, so that the parts of a molecule follow it.
    let mut end = None;
    for node in root.descendants() {
        let inside = end.is_some_and(|end| node.range().start < end);
        if !inside && is(&node, "molecule") {
            end = Some(node.range().end);
            found.push(node);
        }
    }
}

/// Lattice vectors as rows (angstrom) of a crystal, from scalars named a, b, c, alpha, beta and gamma.
fn cell(crystal: Node<'_, '_>) -> Result<Option<Mat3>> {
    const NAMES: [&str; 6] = ["a", "b", "c", "alpha", "beta", "gamma"];
    let mut values = [f64::NAN; 6];
    for scalar in crystal.children().filter(|n| is(n, "scalar")) {
        let name = scalar.attribute("title").or(scalar.attribute("id"));
        let dictionary = scalar.attribute("dictRef").unwrap_or_default();
        let place = NAMES
            .iter()
            .position(|n| name == Some(n) || dictionary.rsplit(['_', ':']).next() == Some(n));
        if let Some(place) = place {
            let text = scalar.text().unwrap_or_default().trim();
            values[place] = at_line(&scalar, number(text, NAMES[place]))?;
        }
    }
    let [a, b, c, alpha, beta, gamma] = values;
    let fault = |what: &str| at_line(&crystal, Err(Error::input(what)));
    match [a, b, c] {
        [0.0, 0.0, 0.0] => return Ok(None),
        [a, b, c] if a > 0.0 && b > 0.0 && c > 0.0 => {}
        _ => return fault("the crystal lacks edges a, b and c greater than zero"),
    }
    // Right angles where nothing is said.
    let angles = [alpha, beta, gamma].map(|x| if x.is_nan() { 90.0 } else { x });
    at_line(&crystal, triclinic([a, b, c], angles)).map(real_cell)
}

/// What to say of a crystal whose other copies are not in the file.
fn symmetry_note(crystal: Node<'_, '_>) -> Option<String> {
    let symmetry = crystal.children().find(|n| is(n, "symmetry"))?;
    let group = symmetry.attribute("spaceGroup")?;
    let letters: String = group.split_whitespace().collect();
    (!matches!(letters.as_str(), "" | "P1" | "1")).then(|| {
        format!(
            "the crystal has the space group {:?}, whose copies of the atoms are not made: the cell holds \
             the atoms in the file alone",
            shorten(group)
        )
    })
}

/// Puts the line of a node before an error.
fn at_line<T>(node: &Node<'_, '_>, result: Result<T>) -> Result<T> {
    result.map_err(|e| {
        let place = node.document().text_pos_at(node.range().start);
        e.within(format!("line {}", place.row))
    })
}

/// What is counted while atoms are read.
#[derive(Default)]
struct Tally {
    charges: Vec<i64>,
    /// Atoms that have coordinates of a drawing alone.
    drawn: usize,
    /// Hydrogens that atoms say they bear.
    borne: i64,
}

impl Tally {
    /// Adds the atoms of a molecule to a structure.
    fn read(molecule: Node<'_, '_>, cell: Option<Mat3>, structure: &mut Structure) -> Result<()> {
        let mut all = Self::default();
        for node in molecule.descendants() {
            if is(&node, "atom") {
                let value = |name: &str| node.attribute(name);
                at_line(&node, all.atom(&value, cell, structure))?;
            } else if is(&node, "atomArray") && node.attribute("elementType").is_some() {
                all.array(&node, cell, structure)?;
            }
        }
        let atoms = structure.species.len();
        let hydrogens = structure.species.iter().filter(|z| **z == 1).count();
        structure.electrons = FormalElectrons::of_charges(all.charges);
        let notes = &mut structure.notes;
        notes.extend(charge_note(structure.electrons.charge()));
        if usize::try_from(all.borne).is_ok_and(|borne| borne > hydrogens) {
            notes.push(format!(
                "its atoms bear {} hydrogens (hydrogenCount), but {hydrogens} are there: those that are \
                 only implied are missing",
                all.borne
            ));
        }
        let dimension = if all.drawn == atoms { "2D" } else { "3D" };
        notes.extend(flat_note(dimension, &structure.positions));
        Ok(())
    }

    /// Adds the atoms of an array, whose attributes are lists.
    fn array(
        &mut self,
        node: &Node<'_, '_>,
        cell: Option<Mat3>,
        structure: &mut Structure,
    ) -> Result<()> {
        let lists: Vec<(&str, Vec<&str>)> = (node.attributes())
            .map(|a| (a.name(), a.value().split_whitespace().collect()))
            .collect();
        let length = |name: &str| lists.iter().find(|l| l.0 == name).map(|l| l.1.len());
        let atoms = length("elementType").unwrap_or(0);
        const LISTS: [&str; 8] = ["x3", "y3", "z3", "xFract", "yFract", "zFract", "x2", "y2"];
        if let Some(name) = LISTS.iter().find(|n| length(n).is_some_and(|l| l != atoms)) {
            let message = format!("{name} has other than {atoms} values, as many as elementType");
            return at_line(node, Err(Error::input(message)));
        }
        for k in 0..atoms {
            let value = |name: &str| {
                let list = lists.iter().find(|l| l.0 == name)?;
                list.1.get(k).copied()
            };
            at_line(node, self.atom(&value, cell, structure))?;
        }
        Ok(())
    }

    /// Adds an atom by the values of its attributes.
    fn atom<'t>(
        &mut self,
        value: &dyn Fn(&str) -> Option<&'t str>,
        cell: Option<Mat3>,
        structure: &mut Structure,
    ) -> Result<()> {
        let symbol = value("elementType")
            .ok_or_else(|| Error::input("an atom without its element (elementType)"))?;
        let (z, standard) = element(symbol)?;
        let whole = |name: &str| -> Result<i64> {
            value(name).map_or(Ok(0), |text| {
                (text.trim().parse()).map_err(|_| {
                    Error::input(format!("{name}={:?} is no whole number", shorten(text)))
                })
            })
        };
        if let Some(part) = value("occupancy") {
            let part = number(part.trim(), "occupancy")?;
            if part < WHOLE && part != 0.0 {
                return Err(Error::input(partly_occupied(part)));
            }
        }
        self.charges.push(whole("formalCharge")?);
        self.borne += whole("hydrogenCount")?.max(0);
        let mass = match value("isotope").or(value("isotopeNumber")) {
            None | Some("") => standard,
            Some(text) => isotope(z, text.trim())?,
        };
        let position = self.position(value, cell)?;
        structure.push((z, mass), position);
        Ok(())
    }

    /// The position (angstrom): in space, as a fraction of the cell, or of a drawing.
    fn position<'t>(
        &mut self,
        value: &dyn Fn(&str) -> Option<&'t str>,
        cell: Option<Mat3>,
    ) -> Result<Vec3> {
        let vector = |names: [&str; 3]| -> Result<Option<Vec3>> {
            let mut found = Vec3::zeros();
            for (slot, name) in found.iter_mut().zip(names) {
                let Some(text) = value(name) else {
                    return Ok(None);
                };
                *slot = number(text.trim(), name)?;
            }
            Ok(Some(found))
        };
        if let Some(position) = vector(["x3", "y3", "z3"])? {
            return Ok(position);
        }
        if let (Some(cell), Some(fraction)) = (cell, vector(["xFract", "yFract", "zFract"])?) {
            return Ok(cell.transpose() * fraction);
        }
        let flat = vector(["x2", "y2", "x2"])?;
        let flat = flat.ok_or_else(|| {
            Error::input(
                "an atom without its position (x3, y3 and z3, or fractions of a crystal's cell)",
            )
        })?;
        self.drawn += 1;
        Ok(Vec3::new(flat.x, flat.y, 0.0))
    }
}

/// Atomic number and standard mass (u) of a symbol from its first to its last letter.
fn element(symbol: &str) -> Result<(u8, f64)> {
    let letters = !symbol.is_empty() && symbol.bytes().all(|b| b.is_ascii_alphabetic());
    let found = letters.then(|| element_of_type(symbol)).flatten();
    found.ok_or_else(|| {
        Error::input(format!(
            "elementType={:?} is not an element's symbol",
            shorten(symbol)
        ))
    })
}

/// The mass (u) of an isotope given by its mass number, or by its mass.
fn isotope(z: u8, text: &str) -> Result<f64> {
    let mass = number(text, "isotope")?;
    let nearest = mass.round() as i64;
    let (known, _) = isotope_mass(z, nearest)?;
    Ok(if mass == mass.round() { known } else { mass })
}
