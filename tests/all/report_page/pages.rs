//! Pages of runs that were made by hand: long ones, large ones, spoiled ones, several at once.

use std::fs;

use mdrun::analysis::kinetic_energy::{CanonicalKinetic, KineticHistogram};
use mdrun::overview::{RunOverview, beside};

use super::made::{self, MadeRun, PLOT, check, elements, titles};

fn page(made: &MadeRun) -> String {
    let folder = made.write();
    let run = RunOverview::read(folder.path()).unwrap();
    run.html(&run.states())
}

#[test]
fn the_page_of_a_long_run_is_small_and_whole() {
    let page = page(&MadeRun {
        lines: 100_000,
        atoms: 500,
        thermostat: true,
    });
    check(&page);
    assert_eq!(page.matches(PLOT).count(), 6, "{:?}", titles(&page));
    // What points stand for many samples has the range of these behind it.
    assert!(page.matches("class=\"band ").count() >= 5);
    assert!(
        page.contains("Curve: chi-square of 24 degrees of freedom at 300"),
        "{:?}",
        titles(&page)
    );
    // Text of the run's files stays text.
    assert!(page.contains("a &lt;script&gt; of &quot;mine&quot;"));
    assert!(page.contains("a &lt;b&gt; &amp; "));
    // A drawn energy is told from its neighbours, a ten-millionth of it apart.
    let conserved = elements(&page, PLOT, "</svg>")[1];
    assert!(conserved.contains("meV/atom"), "{conserved}");
}

#[test]
fn the_page_of_a_large_system_is_small_and_whole() {
    for atoms in [10_000, 60_000] {
        let page = page(&MadeRun {
            lines: 200,
            atoms,
            thermostat: false,
        });
        check(&page);
        let drawn = page.matches("<use ").count();
        assert!((1000..=6000).contains(&drawn), "{drawn}");
        assert!(page.contains(&format!("data-atoms=\"{atoms}\"")));
        assert!(page.contains("No theory is drawn"), "{:?}", titles(&page));
    }
}

/// The width of a made canonical distribution is found to be theory's, and that of another is not.
#[test]
fn the_histogram_tells_a_wrong_width() {
    const N: usize = 24;
    let kt = 0.025_852;
    let theory = CanonicalKinetic {
        degrees_of_freedom: N,
        kt,
    };
    // A sum of squares of so many normal numbers.
    let sample = |k: u64| {
        let squares = (0..N as u64).map(|i| made::normal(N as u64 * k + i).powi(2));
        0.5 * kt * squares.sum::<f64>()
    };
    let right: Vec<f64> = (0..4000).map(sample).collect();
    let found = KineticHistogram::of(&right, Some(&theory)).unwrap();
    let whole: f64 = found.densities.iter().sum::<f64>() * found.width;
    assert!((whole - 1.0).abs() < 1e-9);
    // Errors of 4,000 samples: 0.5 % of the mean, 1.3 % of the width.
    assert!((found.mean / theory.mean() - 1.0).abs() < 0.02);
    assert!((found.deviation / theory.deviation() - 1.0).abs() < 0.05);
    // Each bar is theory's within 5 standard deviations of its count.
    for (k, density) in found.densities.iter().enumerate() {
        let middle = found.first + (k as f64 + 0.5) * found.width;
        let expected = theory.density(middle) * found.width * 4000.0;
        let counted = density * found.width * 4000.0;
        let room = 5.0 * expected.sqrt() + 0.05 * expected + 3.0;
        assert!(
            (counted - expected).abs() < room,
            "{middle}: {counted}, {expected}"
        );
    }
    let narrow: Vec<f64> = (right.iter())
        .map(|k| theory.mean() + 0.7 * (k - theory.mean()))
        .collect();
    let found = KineticHistogram::of(&narrow, Some(&theory)).unwrap();
    assert!(found.deviation < 0.8 * theory.deviation());
}

/// Numbers without bounds, lines that are cut short, states that are not there: what is left is shown, and the rest is told.
#[test]
fn spoiled_runs_have_a_page_all_the_same() {
    let made = MadeRun {
        lines: 50,
        atoms: 20,
        thermostat: true,
    };
    let folder = made.write();
    let thermo = folder.path().join("thermo.csv");
    let text = fs::read_to_string(&thermo).unwrap();
    let shown = || {
        let run = RunOverview::read(folder.path()).unwrap();
        run.html(&run.states())
    };
    let wild = text.replace("\n40,20,", "\n40,20,1e300,inf,NaN,-1e308,1e305,");
    let wild: String = (wild.lines())
        .map(|line| line.split(',').take(10).collect::<Vec<_>>().join(",") + "\n")
        .collect();
    fs::write(&thermo, wild).unwrap();
    check(&shown());
    fs::write(&thermo, &text[..text.len() - 7]).unwrap();
    check(&shown());
    fs::write(&thermo, "").unwrap();
    assert!(shown().contains("the run has not begun"));
    fs::write(&thermo, text.replace("\n9,", "\nnine,")).unwrap();
    assert!(shown().contains("line 11: &quot;nine&quot; is not a number"));
    fs::remove_file(&thermo).unwrap();
    fs::write(folder.path().join("final.xyz"), "1\n\nAr 0 0\n").unwrap();
    let page = shown();
    assert!(page.contains("thermo.csv") && page.contains("There is no picture of it"));
}

#[test]
fn several_runs_stand_side_by_side() {
    let folders: Vec<_> = [false, true, true]
        .into_iter()
        .map(|thermostat| {
            let made = MadeRun {
                lines: 3000,
                atoms: 20,
                thermostat,
            };
            made.write()
        })
        .collect();
    let runs: Vec<RunOverview> = (folders.iter())
        .map(|folder| RunOverview::read(folder.path()).unwrap())
        .collect();
    let page = beside::html(&runs);
    check(&page);
    assert_eq!(page.matches(PLOT).count(), 6, "{:?}", titles(&page));
    for plot in elements(&page, PLOT, "</svg>") {
        for colour in 1..=3 {
            assert!(
                plot.contains(&format!("class=\"line c{colour}\"")),
                "{plot}"
            );
        }
    }
    // What differs is shown, what does not is left out.
    let (_, differing) = page.split_once("What differs").unwrap();
    assert!(differing.contains("dynamics.ensemble") && differing.contains("langevin"));
    assert!(!differing.contains("dynamics.timestep") && !differing.contains("model.safetensors"));
    let page = beside::html(&runs[1..]);
    assert!(page.contains("Nothing but their directories"));
}
