//! Directories of runs that are made by hand, and what is asked of every page.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::json;
use tempfile::TempDir;

use mdrun::core::rng::philox;
use mdrun::overview::MOST_BYTES;

/// What a plot of a page begins with.
pub const PLOT: &str = "<svg viewBox=\"0 0 640 380\"";

/// What a made run is like.
pub struct MadeRun {
    pub lines: u64,
    pub atoms: usize,
    pub thermostat: bool,
}

/// A number from 0 to 1.
pub fn uniform(k: u64, stream: u32) -> f64 {
    let [word, ..] = philox([k as u32, (k >> 32) as u32, stream, 0], [0x7061, 0x6765]);
    f64::from(word) / 4_294_967_296.0
}

/// A standard normal number: the sum of twelve.
pub fn normal(k: u64) -> f64 {
    (0..12).map(|stream| uniform(k, stream)).sum::<f64>() - 6.0
}

impl MadeRun {
    /// Writes it into a folder.
    pub fn write(&self) -> TempDir {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("run.json"), self.record().to_string()).unwrap();
        fs::write(folder.path().join("thermo.csv"), self.thermo()).unwrap();
        fs::write(folder.path().join("final.xyz"), self.frame()).unwrap();
        folder
    }

    fn side(&self) -> f64 {
        (10.0 * self.atoms as f64).cbrt()
    }

    fn record(&self) -> serde_json::Value {
        let mut dynamics = json!({
            "ensemble": if self.thermostat { "langevin" } else { "nve" },
            "timestep": "0.5 fs", "steps": self.lines,
        });
        if self.thermostat {
            dynamics["temperature"] = json!("300 K");
        }
        json!({
            "status": "complete", "started": "2026-03-01T12:00:00Z", "ended": "2026-03-01T13:00:00Z",
            "versions": {"mdrun": "0.1.0"},
            "config": {"dynamics": dynamics, "system": {"structure": "a <b> & \"c\".xyz"}},
            "model": {"path": "model.safetensors", "sha256": "ab".repeat(32), "bytes": 1},
            "formula": "Ar", "atoms": self.atoms, "degrees_of_freedom": 24,
            "summary": {
                "steps": self.lines, "verdict": "energy is conserved", "energy_conserved": true,
                "energy_drift_mev_per_atom_ps": 0.001, "energy_drift_stderr": 0.0005,
                "mean_temperature_k": 300.0, "mean_temperature_stderr_k": 1.0,
            },
            "remarks": ["warning: a <script> of \"mine\""],
            "pace": {"steps": [0, 1000, 2000], "elapsed_s": [0.0, 1.0, 3.0], "spacing_s": 0.05},
        })
    }

    fn thermo(&self) -> String {
        let mut text = "step,time_fs,potential_energy_ev,kinetic_energy_ev,total_energy_ev,conserved_energy_ev,\
                        temperature_k,pressure_bar,drift_mev_per_atom_ps,drift_stderr_mev_per_atom_ps\n"
            .to_owned();
        // 24 degrees of freedom at 300 K: k T = 25.852 meV.
        let (mean, deviation) = (300.0, 300.0 * (2.0_f64 / 24.0).sqrt());
        for k in 0..self.lines {
            let kelvin = mean + deviation * normal(k);
            let kinetic = 12.0 * kelvin * 8.617_333_262e-5;
            let pressure = 1000.0 * uniform(k, 20);
            text += &format!(
                "{k},{},{:.9},{kinetic:.9},{:.9},{:.9},{kelvin:.6},{pressure:.6},,\n",
                0.5 * k as f64,
                -4213.5 - kinetic,
                -4213.5,
                -4213.5 + 1e-6 * uniform(k, 21)
            );
        }
        text
    }

    fn frame(&self) -> String {
        let side = self.side();
        let mut text = format!(
            "{}\nLattice=\"{side} 0 0 0 {side} 0 0 0 {side}\" Properties=species:S:1:pos:R:3 pbc=\"T T T\"\n",
            self.atoms
        );
        for k in 0..self.atoms as u64 {
            let at = [30, 31, 32].map(|stream| side * uniform(k, stream));
            text += &format!("Ar {:.6} {:.6} {:.6}\n", at[0], at[1], at[2]);
        }
        text
    }
}

/// The elements of a page that begin so, up to their ends.
pub fn elements<'p>(page: &'p str, begin: &str, end: &str) -> Vec<&'p str> {
    let starts = page.match_indices(begin).map(|(at, _)| &page[at..]);
    starts
        .map(|rest| &rest[..rest.find(end).unwrap_or(rest.len())])
        .collect()
}

/// Fails unless a page is whole: plots with points, nothing that is no number, nothing fetched, and not large.
pub fn check(page: &str) {
    assert!(page.starts_with("<!doctype html>") && page.ends_with("</html>\n"));
    assert!(page.len() < MOST_BYTES, "{} bytes", page.len());
    for word in [
        "<script",
        "<link",
        "<img",
        "<iframe",
        "@import",
        "src=",
        "Nothing was measured",
    ] {
        assert!(!page.contains(word), "{word}");
    }
    for at in elements(page, "href=\"", ">") {
        assert!(at.starts_with("href=\"#"), "{at}");
    }
    for at in elements(page, "url(", ")") {
        assert!(at.starts_with("url(#"), "{at}");
    }
    let plots = elements(page, PLOT, "</svg>");
    for plot in &plots {
        let drawn = plot.matches("class=\"line ").count()
            + plot.matches("class=\"bar ").count()
            + plot.matches("class=\"mark ").count();
        assert!(drawn > 0 && plot.matches("<text").count() > 6, "{plot}");
    }
    for svg in elements(page, "<svg", "</svg>") {
        assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
    }
}

/// The titles of a page's plots.
pub fn titles(page: &str) -> Vec<String> {
    elements(page, "<figcaption>", "</figcaption>")
        .iter()
        .map(|title| title["<figcaption>".len()..].to_owned())
        .collect()
}

/// The page in a run's directory.
pub fn page_of(run: &Path) -> String {
    let path: PathBuf = run.join("report.html");
    fs::read_to_string(&path).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
}
