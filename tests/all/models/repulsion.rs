//! A repulsion at short range: its law beside another program's, where it ends, what it leaves alone, and what a run says of it.

use std::fs;
use std::sync::Arc;

use mdrun::core::{Cell, Vec3};
use mdrun::forcefield::{ForceField as _, HostForceField};
use mdrun::neighbors::Pairs;
use mdrun::potential::painn::RadialBasis;
use mdrun::potential::painn::cpu::FusedPainn;
use mdrun::potential::pair::{
    Beside, COVALENT_PART, PairEnergy, PowerLaw, Repulsion, RepulsionEnd, Zbl, sum_of,
};
use mdrun::potential::{Evaluation, Potential, Precision};
use mdrun::units::{BOHR, HARTREE};
use serde_json::Value;

use crate::support::atoms::Atoms;
use crate::support::mdrun;
use crate::support::models::calm_model;

fn zbl() -> Repulsion {
    Repulsion::new(Zbl, RepulsionEnd::Covalent)
}

/// Energies (eV) and forces (eV / angstrom) of LAMMPS (29 Sep 2021, `pair_style zbl 30.0 31.0`, units metal): so far out, its
/// own switch does nothing here.
const LAMMPS: [([u8; 2], [[f64; 3]; 6]); 5] = [
    (
        [1, 1],
        [
            [0.05, 228.344414919146, 5545.13264764073],
            [0.2, 33.2823266254835, 270.168016150598],
            [0.5, 5.91316152782951, 26.1353851379898],
            [0.9, 1.37967932389587, 4.23055946558138],
            [1.5, 0.289938422411094, 0.655084376849006],
            [3.0, 0.0179617356292619, 0.0281280363591874],
        ],
    ),
    (
        [1, 8],
        [
            [0.05, 1713.09779645831, 43436.775230961],
            [0.2, 221.517035794625, 1945.68682660316],
            [0.5, 33.1753923293699, 162.367108268401],
            [0.9, 6.63164872650139, 22.5333147183433],
            [1.5, 1.15445883964496, 2.9589551497685],
            [3.0, 0.0497561682324603, 0.0868116015464531],
        ],
    ),
    (
        [6, 6],
        [
            [0.05, 7398.5417510143, 192508.851369417],
            [0.2, 888.153400031821, 8175.206444317],
            [0.5, 119.908059583848, 619.738330004433],
            [0.9, 21.8661352654195, 78.8632687634885],
            [1.5, 3.37399246769582, 9.28163584395855],
            [3.0, 0.118644838397953, 0.219715517226365],
        ],
    ),
    (
        [14, 32],
        [
            [0.05, 83332.3472855173, 2297757.03415933],
            [0.2, 8384.43622783481, 85623.3440899191],
            [0.5, 896.042284978493, 5172.21448486789],
            [0.9, 131.508802749274, 542.546649839365],
            [1.5, 15.3119643645366, 48.232711024693],
            [3.0, 0.340288847534129, 0.737223169055935],
        ],
    ),
    (
        [1, 92],
        [
            [0.05, 17478.4468657706, 476289.867603776],
            [0.2, 1825.07985827308, 18252.8009150517],
            [0.5, 204.548043462518, 1155.46843038967],
            [0.9, 31.4359684736266, 126.200583019045],
            [1.5, 3.87609762915611, 11.9119048573076],
            [3.0, 0.0950036707815276, 0.198655766829664],
        ],
    ),
];

/// LAMMPS has e^2 / (4 pi epsilon_0) as 14.399645 eV A, which is 3.3e-8 less; the rest is the same formula.
#[test]
fn its_law_is_that_of_lammps() {
    let coulomb = HARTREE * BOHR / 14.399645;
    let mut worst = 0.0f64;
    for (species, rows) in LAMMPS {
        for [distance, energy, force] in rows {
            let (own, slope) = Zbl.at(species, distance);
            worst = worst.max((own / (energy * coulomb) - 1.0).abs());
            worst = worst.max((-slope / (force * coulomb) - 1.0).abs());
            let swapped = Zbl.at([species[1], species[0]], distance);
            assert_eq!(swapped, (own, slope));
        }
    }
    println!("relative difference {worst:.1e}");
    // Fifteen digits are printed; the literal of e^2 / (4 pi epsilon_0) has twelve, and H-H at 30 A is 1e-12 of itself at 3 A.
    assert!(worst < 1e-10, "{worst}");
}

/// Whole up to half of its end, nothing from its end on, and smooth between: the slope is that of the energy, and no step of
/// energy, slope or curvature is seen.
#[test]
fn it_ends_smoothly() {
    for end in [RepulsionEnd::Covalent, RepulsionEnd::Distance(1.3)] {
        let term = Repulsion::new(Zbl, end);
        for species in [[1, 1], [1, 6], [8, 8], [55, 8]] {
            let end = term.end(species);
            assert_eq!(term.at(species, 0.499 * end), Zbl.at(species, 0.499 * end));
            for beyond in [end, 1.000001 * end, 5.0] {
                assert_eq!(term.at(species, beyond), (0.0, 0.0));
            }
            for part in [0.3, 0.4999999, 0.5000001, 0.6, 0.8, 0.95, 0.9999999] {
                /// Of a distance: third derivatives are under 1e4 of an energy over the cube of its distance.
                const STEP: f64 = 1e-5;
                let r = part * end;
                let [low, high] = [r - STEP * r, r + STEP * r].map(|r| term.at(species, r));
                let slope = (high.0 - low.0) / (2.0 * STEP * r);
                let unit = Zbl.at(species, r).0 / r;
                let found = (slope - term.at(species, r).1).abs() / unit;
                assert!(found < 1e-6, "{species:?} at {part}: {found}");
                // A step of the slope would be seen as 1 / STEP.
                let bend = (high.1 - low.1) / (2.0 * STEP * unit);
                assert!(bend.abs() < 1e3, "{species:?} at {part}: {bend}");
            }
            // With the cube of the distance from its end.
            let near = term.at(species, 0.9999 * end);
            let scale = Zbl.at(species, end).0;
            assert!(near.0 > 0.0 && near.0 < 1e-9 * scale, "{near:?}");
        }
    }
}

/// The default leaves every bond of the structures that come with the project alone, to the bit.
#[test]
fn it_touches_no_bond() {
    let term: Arc<dyn PairEnergy> = Arc::new(zbl());
    let mut tightest = f64::INFINITY;
    for name in ["ethanol.xyz", "water64.xyz"] {
        let atoms = Atoms::shipped(name);
        let pairs = Pairs::within(&atoms.cell, &atoms.positions, 5.0).unwrap();
        for p in 0..pairs.len() {
            let of = [pairs.receivers[p], pairs.neighbors[p]].map(|i| atoms.species[i as usize]);
            tightest = tightest.min(pairs.distances[p] / zbl().end(of));
        }
        assert_eq!(zbl().inside(&atoms.species, &pairs).count, 0);
        let (spec, weights) = calm_model(16, 1, RadialBasis::bessel(8, 5.0));
        let network =
            || FusedPainn::new(&spec, &weights, &atoms.species, Precision::F64, 1).unwrap();
        let mut both = Beside::new(Box::new(network()), term.clone(), &atoms.species);
        let [mut with, mut without] = [0, 1].map(|_| Evaluation::zeros(0));
        both.evaluate(&pairs, &mut with).unwrap();
        network().evaluate(&pairs, &mut without).unwrap();
        assert_eq!(with, without);
    }
    println!("the tightest pair is at {tightest:.2} of its end");
    assert!(tightest > 1.2, "{tightest}");
    // The shortest bonds there are (angstrom): H2, N2, CO, acetylene, HF, and a cation of ammonia.
    for (species, bond) in [
        ([1, 1], 0.741),
        ([7, 7], 1.098),
        ([6, 8], 1.128),
        ([6, 6], 1.203),
        ([1, 9], 0.917),
        ([1, 7], 1.01),
    ] {
        assert!(zbl().end(species) < 0.93 * bond, "{species:?}");
    }
    assert_eq!(COVALENT_PART, 0.7);
}

/// However near two atoms come, they are driven apart, and the harder the nearer they are.
#[test]
fn atoms_cannot_fall_into_each_other() {
    let (spec, weights) = calm_model(16, 1, RadialBasis::bessel(8, 5.0));
    let species = [8, 1];
    let network = FusedPainn::new(&spec, &weights, &species, Precision::F64, 1).unwrap();
    let both = Beside::new(Box::new(network), Arc::new(zbl()), &species);
    let mut field = HostForceField::exhaustive(Box::new(both));
    let mut last = f64::INFINITY;
    for distance in [0.02, 0.05, 0.1, 0.2, 0.3, 0.35] {
        let positions = [Vec3::zeros(), Vec3::new(distance, 0.0, 0.0)];
        let found = field.at(&Cell::open(), &positions).unwrap();
        let (energy, push) = (found.energy, found.forces[1].x);
        assert!(push > 0.0 && energy < last, "{distance}: {energy} {push}");
        last = energy;
    }
}

/// Two terms beside a potential are their sum.
#[test]
fn terms_add_up() {
    let law = PowerLaw::new(0.5, 1.6, 12).unwrap();
    let both = sum_of(vec![Arc::new(law), Arc::new(zbl())]).unwrap();
    for distance in [0.2, 0.5, 1.5] {
        let [a, b] = [law.at([1, 8], distance), zbl().at([1, 8], distance)];
        assert_eq!(both.at([1, 8], distance), (a.0 + b.0, a.1 + b.1));
    }
    assert!(
        both.words()
            .contains("^12 and ZBL repulsion, zero from 0.7 of")
    );
    assert!(sum_of(Vec::new()).is_none());
}

/// A run file for a structure given as XYZ, with lines under `[potential]`.
fn run_file(folder: &std::path::Path, xyz: &str, potential: &str) -> String {
    let structure = folder.join("start.xyz");
    fs::write(&structure, xyz).unwrap();
    let text = format!(
        "[system]\nstructure = {structure:?}\nvelocities = \"zero\"\n[potential]\n{potential}\n\
         [dynamics]\nensemble = \"nve\"\ntimestep = \"0.02 fs\"\nsteps = 200\n\
         [monitor]\nforce = \"off\"\ntemperature = \"off\"\n[device]\nkind = \"cpu\"\n[output]\ndirectory = {:?}\n",
        folder.join("out")
    );
    let path = folder.join("run.toml");
    fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

const NETWORK: &str = "model = \"painn_hcno_gfn2\"\nprecision = \"f64\"\n";
/// A water whose second O-H bond is shorter than any.
const SQUEEZED: &str = "3\n\nO 0 0 0\nH 0.96 0 0\nH -0.15 0.57 0\n";

fn finding(found: &Value, what: &str) -> Value {
    let all = found["findings"].as_array().unwrap();
    let row = all.iter().find(|row| row["what"] == what);
    row.unwrap_or_else(|| panic!("no {what} in {found}"))
        .clone()
}

/// `mdrun check` says whether a starting pair is inside; forces are slopes there too.
#[test]
fn a_check_says_if_a_pair_is_inside() {
    let folder = tempfile::tempdir().unwrap();
    let repulsion = "[potential.repulsion]\nkind = \"zbl\"";
    let config = run_file(folder.path(), SQUEEZED, &format!("{NETWORK}{repulsion}"));
    let output = mdrun(&["check", &config, "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let row = finding(&found, "repulsion");
    assert_eq!(
        (&row["value"], &row["verdict"]),
        (&Value::from(1.0), &Value::from("look"))
    );
    let told = row["found"].as_str().unwrap();
    assert!(
        told.contains("atoms 0 (O) and 2 (H) are 0.589 A apart, and it ends at 0.679 A"),
        "{told}"
    );
    assert_eq!(finding(&found, "forces are slopes")["verdict"], "ok");
    let words = finding(&found, "potential")["found"].to_string();
    assert!(
        words.contains("and ZBL repulsion, zero from 0.7 of the sum of covalent radii on"),
        "{words}"
    );

    let sound = SQUEEZED.replace("-0.15 0.57", "-0.24 0.93");
    let config = run_file(folder.path(), &sound, &format!("{NETWORK}{repulsion}"));
    let output = mdrun(&["check", &config, "--json"]);
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(finding(&found, "repulsion")["verdict"], "ok");
}

/// With either kind of potential a run conserves its energy from a start inside, and cannot go on with another repulsion.
#[test]
fn runs_of_every_potential_take_it() {
    let lennard_jones =
        "[potential.lennard_jones]\nepsilon = \"1e-6 eV\"\nsigma = \"0.5 A\"\ncutoff = \"4 A\"\n";
    let power = "[potential.repulsion]\nkind = \"power\"\nenergy = \"0.1 eV\"\nsigma = \"0.6 A\"\npower = 6\n";
    let zbl = "[potential.repulsion]\nkind = \"zbl\"\n";
    for (potential, law) in [(NETWORK, zbl), (NETWORK, power), (lennard_jones, zbl)] {
        let folder = tempfile::tempdir().unwrap();
        let config = run_file(folder.path(), SQUEEZED, &format!("{potential}{law}"));
        let output = mdrun(&[&config]);
        let told = String::from_utf8_lossy(&output.stderr).into_owned()
            + &String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{told}");
        let thermo = fs::read_to_string(folder.path().join("out/thermo.csv")).unwrap();
        let mut lines = thermo.lines().filter(|line| !line.starts_with('#'));
        let names: Vec<&str> = lines.next().unwrap().split(',').collect();
        let column = |name: &str| names.iter().position(|n| n.starts_with(name)).unwrap();
        let rows: Vec<Vec<f64>> = lines
            .map(|line| {
                line.split(',')
                    .map(|x| x.parse().unwrap_or(f64::NAN))
                    .collect()
            })
            .collect();
        let (first, last) = (&rows[0], rows.last().unwrap());
        let [total, kinetic] = [column("total"), column("kinetic")];
        let drift = (last[total] - first[total]).abs();
        println!(
            "{law}: {:.3} eV set free, {drift:.1e} eV lost",
            last[kinetic]
        );
        // It falls out of the wall: what is set free is far more than what the step loses.
        assert!(
            last[kinetic] > 0.3 && drift < 2e-3 * last[kinetic],
            "{rows:?}"
        );
        let longer = [
            "--set",
            "dynamics.steps=400",
            "--set",
            "potential.repulsion.end=0.65 A",
        ];
        let place = folder.path().join("out");
        let resumed = mdrun(&[&["resume", place.to_str().unwrap()], &longer[..]].concat());
        let error = String::from_utf8_lossy(&resumed.stderr);
        assert_eq!(resumed.status.code(), Some(2), "{error}");
        assert!(error.contains("potential.repulsion was"), "{error}");
    }
}

/// What cannot be meant is refused, with its key.
#[test]
fn ends_beyond_what_is_known_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let far = format!("{NETWORK}[potential.repulsion]\nkind = \"zbl\"\nend = \"5.5 A\"");
    let config = run_file(folder.path(), SQUEEZED, &far);
    let output = mdrun(&[&config]);
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2));
    assert!(
        error.contains("run.toml:") && error.contains("potential.repulsion.end"),
        "{error}"
    );
    assert!(
        error.contains("beyond the potential's cutoff of 5 A"),
        "{error}"
    );
    let heavy = "[potential.lennard_jones]\nepsilon = \"1 meV\"\nsigma = \"3 A\"\ncutoff = \"8 A\"\n\
                 [potential.repulsion]\nkind = \"zbl\"";
    let config = run_file(folder.path(), "2\n\nEs 0 0 0\nEs 4 0 0\n", heavy);
    let error = mdrun(&[&config]).stderr;
    let error = String::from_utf8_lossy(&error);
    assert!(
        error.contains("no covalent radius of Es") && error.contains("end = "),
        "{error}"
    );
}

/// The card's sums beside those of the host.
#[cfg(feature = "cuda")]
#[test]
fn the_card_has_the_same_repulsion() {
    use mdrun::engine::cuda::DeviceForceField;
    use mdrun::potential::lennard_jones::LennardJones;
    use mdrun::potential::pair::CudaBeside;

    if !crate::cuda::gpu() {
        return;
    }
    let species = [1, 8, 6, 1, 8];
    let positions: Vec<Vec3> = [0.0, 0.4, 0.9, 1.3, 1.7]
        .map(|x| Vec3::new(x, 0.1 * x, 0.0))
        .to_vec();
    // So weak that the repulsion is nearly all.
    let weak = || LennardJones::new(1e-9, 0.4, 4.0).unwrap();
    for end in [RepulsionEnd::Covalent, RepulsionEnd::Distance(1.2)] {
        let law = PowerLaw::new(0.5, 0.6, 12).unwrap();
        let terms = || sum_of(vec![Arc::new(law), Arc::new(Repulsion::new(Zbl, end))]).unwrap();
        let mut card = DeviceForceField::new(
            Box::new(CudaBeside::new(Box::new(weak()), terms())),
            &species,
            0,
        )
        .unwrap();
        let mut host =
            HostForceField::exhaustive(Box::new(Beside::new(Box::new(weak()), terms(), &species)));
        let card = card.at(&Cell::open(), &positions).unwrap();
        let host = host.at(&Cell::open(), &positions).unwrap();
        let largest = host.forces.iter().map(|f| f.norm()).fold(0.0, f64::max);
        let worst = (card.forces.iter().zip(&host.forces))
            .map(|(a, b)| (a - b).norm())
            .fold(0.0, f64::max);
        println!(
            "{end:?}: {:.3e} eV, {worst:.1e} of {largest:.1e} eV/A",
            host.energy
        );
        assert!((card.energy - host.energy).abs() < 1e-12 * host.energy);
        // Gradients of pairs are f32.
        assert!(worst < 1e-6 * largest);
    }
}
