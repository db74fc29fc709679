//! What a model was trained on.

use crate::core::elements::formula;
use crate::core::{Cell, FormalElectrons, Vec3};
use crate::neighbors::Molecules;

/// What a model was trained on, as far as its file says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct TrainedOn {
    /// Whether it lists its elements.
    pub elements: bool,
    /// Total charge (e) of its structures.
    pub charge: Option<i64>,
    /// Their spin multiplicity, 2 S + 1: 1 where all electrons are paired.
    pub spin: Option<u32>,
}

/// Atoms of which it is asked whether a model knows such electrons.
#[derive(Debug, Clone, Copy)]
pub struct ElectronScene<'a> {
    /// Atomic numbers.
    pub species: &'a [u8],
    /// Their cell.
    pub cell: &'a Cell,
    /// Positions (angstrom).
    pub positions: &'a [Vec3],
    /// What a file says of their electrons.
    pub electrons: &'a FormalElectrons,
}

impl TrainedOn {
    /// Charge and spin in words; `None` where nothing is said.
    pub fn words(&self) -> Option<String> {
        let structures = match self.charge {
            Some(0) => "neutral structures".to_owned(),
            Some(charge) => format!("structures of charge {charge:+}"),
            None => "structures".to_owned(),
        };
        let shells = match self.spin {
            Some(1) => " with closed shells".to_owned(),
            Some(spin) => format!(" of spin multiplicity {spin}"),
            None => String::new(),
        };
        (self.charge.is_some() || self.spin.is_some()).then(|| structures + &shells)
    }

    /// What of the electrons of some atoms the model has not learned; nothing where its file does not say what it has. Molecules
    /// are told by their distances. For neutral ones with closed shells each is looked at, else all of them together.
    pub fn doubts(&self, scene: &ElectronScene<'_>) -> Vec<String> {
        let Some(words) = self.words() else {
            return Vec::new();
        };
        let each = self.charge.is_none_or(|q| q == 0) && self.spin.is_none_or(|s| s == 1);
        let found = match each {
            true => self.of_molecules(scene),
            false => self.of_all(scene),
        };
        let doubt = |what: String| {
            format!(
                "the model was trained on {words}; {what}: energies and forces mean little there"
            )
        };
        found.into_iter().map(doubt).collect()
    }

    fn of_molecules(&self, scene: &ElectronScene<'_>) -> Vec<String> {
        let molecules = Molecules::of(scene.species, scene.cell, scene.positions);
        let mut found = [const { Vec::new() }; 3];
        for (m, atoms) in molecules.atoms.iter().enumerate() {
            let of = MoleculeElectrons::new(scene, atoms);
            let kind = match &of {
                _ if self.charge.is_some() && of.charge != 0 => 0,
                _ if self.spin.is_some() && of.is_radical => 1,
                _ if self.spin.is_some() && of.count % 2 != 0 => 2,
                _ => continue,
            };
            found[kind].push(m);
        }
        let [charged, radicals, odd] = &found;
        let told = |kind: &[usize], [one, many]: [&str; 2]| -> Option<String> {
            let first = &molecules.atoms[*kind.first()?];
            let species: Vec<u8> = first.iter().map(|&i| scene.species[i]).collect();
            let number = match kind.len() {
                1 => format!("a molecule of the structure {one}"),
                n => format!("{n} molecules of the structure {many}, the first"),
            };
            Some(format!(
                "{number} (atom {}, {})",
                first[0],
                formula(&species)
            ))
        };
        let odd = told(
            odd,
            [
                "has an odd number of electrons",
                "have odd numbers of electrons",
            ],
        );
        let why = "as radicals, ions whose charge the file does not say, and both sides of a broken bond have";
        [
            told(charged, ["has a charge", "have a charge"]),
            told(
                radicals,
                ["is marked as a radical", "are marked as radicals"],
            ),
            odd.map(|text| format!("{text}, {why}")),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    fn of_all(&self, scene: &ElectronScene<'_>) -> Vec<String> {
        let all: Vec<usize> = (0..scene.species.len()).collect();
        let of = MoleculeElectrons::new(scene, &all);
        let mut found = Vec::new();
        let said = !scene.electrons.charges.is_empty();
        if let Some(charge) = self.charge.filter(|charge| said && *charge != of.charge) {
            found.push(format!(
                "the structure has the charge {:+}, not {charge:+}",
                of.charge
            ));
        }
        let charge = self.charge.unwrap_or(of.charge);
        let count = of.count.saturating_add(of.charge).saturating_sub(charge);
        // n electrons have multiplicities n + 1, n - 1, ...
        if self
            .spin
            .is_some_and(|spin| (count - i64::from(spin) + 1) % 2 != 0)
        {
            found.push(format!(
                "with that charge it has {count} electrons, which no such multiplicity has"
            ));
        }
        found
    }
}

/// Electrons of some atoms.
struct MoleculeElectrons {
    charge: i64,
    count: i64,
    is_radical: bool,
}

impl MoleculeElectrons {
    fn new(scene: &ElectronScene<'_>, atoms: &[usize]) -> Self {
        let of = |i: &usize| scene.electrons.charges.get(*i).copied().unwrap_or(0);
        let charge = atoms.iter().map(of).fold(0i64, i64::saturating_add);
        let nuclei: i64 = atoms.iter().map(|&i| i64::from(scene.species[i])).sum();
        Self {
            charge,
            count: nuclei.saturating_sub(charge),
            is_radical: atoms.iter().any(|i| scene.electrons.radicals.contains(i)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NEUTRAL: TrainedOn = TrainedOn {
        elements: true,
        charge: Some(0),
        spin: Some(1),
    };

    /// Molecules 20 angstrom apart, each of atoms in a row, with formal charges and radicals.
    fn doubts(
        trained: TrainedOn,
        molecules: &[&[u8]],
        charges: &[i64],
        radicals: &[usize],
    ) -> Vec<String> {
        let place = |m: usize, k: usize| Vec3::new(k as f64, 20.0 * m as f64, 0.0);
        let of =
            |(m, atoms): (usize, &&[u8])| (0..atoms.len()).map(|k| place(m, k)).collect::<Vec<_>>();
        let positions: Vec<Vec3> = molecules.iter().enumerate().flat_map(of).collect();
        trained.doubts(&ElectronScene {
            species: &molecules.concat(),
            cell: &Cell::open(),
            positions: &positions,
            electrons: &FormalElectrons {
                charges: charges.to_vec(),
                radicals: radicals.to_vec(),
            },
        })
    }

    #[test]
    fn neutral_molecules_with_closed_shells_are_known() {
        for molecules in [&[&[1u8, 8, 1][..]][..], &[&[1, 1], &[7, 7], &[6, 8]]] {
            assert_eq!(doubts(NEUTRAL, molecules, &[], &[]), [""; 0]);
        }
        // Charges that are balanced within a molecule, as in a nitro group.
        assert_eq!(doubts(NEUTRAL, &[&[6, 8]], &[-1, 1], &[]), [""; 0]);
    }

    #[test]
    fn ions_and_radicals_are_doubted() {
        let ions = doubts(NEUTRAL, &[&[11], &[17]], &[1, -1], &[]);
        assert_eq!(ions.len(), 1, "{ions:?}");
        assert!(
            ions[0].contains("2 molecules of the structure have a charge, the first (atom 0, Na)"),
            "{ions:?}"
        );
        let odd = doubts(NEUTRAL, &[&[1, 8, 1], &[8, 1]], &[], &[]);
        assert!(
            odd[0].contains(
                "a molecule of the structure has an odd number of electrons (atom 3, HO)"
            ),
            "{odd:?}"
        );
        // With its charge, hydroxide has closed shells, and is no neutral molecule.
        let hydroxide = doubts(NEUTRAL, &[&[8, 1]], &[-1, 0], &[]);
        assert!(
            hydroxide.len() == 1 && hydroxide[0].contains("has a charge"),
            "{hydroxide:?}"
        );
        let triplet = doubts(NEUTRAL, &[&[1, 6, 1]], &[], &[1]);
        assert!(
            triplet[0].contains("is marked as a radical (atom 0, CH2)"),
            "{triplet:?}"
        );
    }

    #[test]
    fn other_models_know_other_electrons() {
        let anion = TrainedOn {
            charge: Some(-1),
            ..NEUTRAL
        };
        assert_eq!(doubts(anion, &[&[8, 1]], &[-1, 0], &[]), [""; 0]);
        // Nothing is said of its charge: that of the model is taken.
        assert_eq!(doubts(anion, &[&[8, 1]], &[], &[]), [""; 0]);
        assert_eq!(doubts(anion, &[&[1, 8, 1]], &[], &[]).len(), 1);
        assert!(doubts(anion, &[&[11]], &[1], &[])[0].contains("has the charge +1, not -1"));
        let doublet = TrainedOn {
            charge: Some(0),
            spin: Some(2),
            ..NEUTRAL
        };
        assert_eq!(doubts(doublet, &[&[8, 1]], &[], &[]), [""; 0]);
        assert!(doubts(doublet, &[&[1, 8, 1]], &[], &[])[0].contains("10 electrons"));
        assert_eq!(
            doubts(TrainedOn::default(), &[&[11], &[8, 1]], &[1, 0, 0], &[]),
            [""; 0]
        );
    }
}
