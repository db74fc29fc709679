//! What a suite prints: a table for each system, and those of peers, of networks of other sizes and of drifts.

use super::row::{GuideColumn, GuideRow, StudentRow, SuiteReport};
use super::students::{self, WIDTHS};
use super::system::GuideSystem;
use crate::terminal::Terminal;
use crate::text::significant;

/// Why something is not measured that would take longer than there is time for.
pub(super) const NO_TIME: &str = "no time";

/// What stands where nothing was measured.
const NONE: &str = "-";

/// What is measured, on what.
pub(super) fn heading(report: &SuiteReport) -> String {
    let threads = match report.device == "cpu" {
        true => format!(", {} threads", report.threads),
        false => String::new(),
    };
    let about = format!(
        "{} on {} ({}){threads}; ms a step with energy and forces of new positions; errors against f64 at states of 300 K\n",
        report.models.join("; "),
        report.device,
        report.processor,
    );
    Terminal::out().fit(&about)
}

/// The processor's name, where the system tells.
pub(super) fn processor() -> String {
    let text = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let named = text
        .lines()
        .find_map(|line| line.strip_prefix("model name"));
    let name = named.and_then(|rest| rest.split_once(':'));
    name.map_or_else(|| "unnamed".to_owned(), |(_, name)| name.trim().to_owned())
}

/// A line of cells as wide as the columns of a system's table.
fn line(cells: [&str; 9]) -> String {
    let [
        label,
        median,
        min,
        max,
        speed,
        energy,
        force,
        largest,
        memory,
    ] = cells;
    format!(
        "{label:<11} {median:>7} {min:>7} {max:>7} {speed:>7} {energy:>8} {force:>8} {largest:>8} {memory:>6}\n"
    )
}

/// A number, or a dash.
fn cell(value: Option<f64>, digits: usize) -> String {
    value.map_or_else(|| NONE.to_owned(), |value| significant(value, digits))
}

/// The rows of a system.
pub(super) fn of_system(rows: &[GuideRow], system: &GuideSystem) -> String {
    let pairs = rows.first().map_or(0, |row| row.pairs);
    let mut text = format!(
        "\n{} atoms ({}), {}, {pairs} pairs\n",
        system.atoms(),
        system.formula,
        system.words
    );
    text += &line([
        "", "ms", "min", "max", "over", "energy", "force", "force", "",
    ]);
    text += &line(["", "", "", "", "Burn", "meV", "RMSE", "max", "MiB"]);
    for row in rows {
        text += &of_row(row);
    }
    Terminal::out().fit(&text)
}

fn of_row(row: &GuideRow) -> String {
    let label = row.label();
    if let (None, Some(why)) = (row.median_ms, row.why.first()) {
        return format!("{label:<11} {}\n", in_a_word(why));
    }
    let milli = |value: Option<f64>| cell(value.map(|value| 1e3 * value), 2);
    line([
        &label,
        &cell(row.median_ms, 4),
        &cell(row.min_ms, 4),
        &cell(row.max_ms, 4),
        &cell(row.speedup, 3),
        &milli(row.energy_error_ev),
        &milli(row.force_rmse_ev_per_angstrom),
        &milli(row.force_max_ev_per_angstrom),
        &row.memory_bytes.map_or_else(
            || NONE.to_owned(),
            |bytes| format!("{:.0}", bytes as f64 / 1048576.0),
        ),
    ])
}

/// Why a column is not there, as short as it can be said.
pub(super) fn in_a_word(why: &str) -> &str {
    known(why).unwrap_or_else(|| why.split([':', ';', ',']).next().unwrap_or(why))
}

/// What says all there is to say where it stands.
fn known(why: &str) -> Option<&'static str> {
    match why {
        NO_TIME => Some(NO_TIME),
        why if why.contains("on the CPU, not in") => Some("not on the CPU"),
        why if why.contains("on a GPU it is computed in") => Some("not on a GPU"),
        _ => None,
    }
}

/// The rows of a peer.
pub(super) fn of_peers(rows: &[GuideRow], model: &str) -> String {
    let mut text =
        "\nPeer, on the boxes as they are built: ms, times as fast as Burn, and as mdrun's f32\n"
            .to_owned();
    let f32 = GuideColumn::ALL[1];
    for row in rows.iter().filter(|row| row.engine.starts_with("peer ")) {
        let of_f32 = |own: &&GuideRow| own.model == model && own.size == row.size && own.is_of(f32);
        let fused = rows.iter().find(of_f32).and_then(|own| own.median_ms);
        let ratio = fused.zip(row.median_ms).map(|(own, peer)| own / peer);
        text += &format!(
            "{:>6} {:<24} {:>9} {:>7} {:>7}\n",
            row.atoms,
            row.label(),
            cell(row.median_ms, 4),
            cell(row.speedup, 3),
            cell(ratio, 2)
        );
    }
    text
}

/// The table of networks of other sizes.
pub(super) fn of_students(rows: &[StudentRow]) -> String {
    let atoms = rows.first().map_or(0, |row| row.atoms);
    let mut text = format!(
        "\nNetworks of random weights, {atoms} atoms, f32: ms a step\n{:>8}",
        ""
    );
    for width in WIDTHS {
        text += &format!(" {width:>8}");
    }
    text += " features\n";
    for (layers, times) in students::grid(rows) {
        text += &format!("{layers:>8}");
        for time in times {
            text += &format!(" {:>8}", cell(time, 3));
        }
        text += " layers\n";
    }
    for row in rows {
        let Some(model) = &row.model else {
            continue;
        };
        let size = match row.features {
            0 => String::new(),
            features => format!(" ({} layers of {features})", row.layers),
        };
        let apart = row
            .apart_from_first_ev_per_angstrom
            .map_or_else(String::new, |apart| {
                format!(
                    ", its forces {} meV/A from the first model's",
                    significant(1e3 * apart, 3)
                )
            });
        text += &format!("{model}{size}: {} ms{apart}\n", cell(row.median_ms, 3));
    }
    Terminal::out().fit(&text)
}

/// Rows, each with a drift in every precision.
pub(super) fn of_drifts(rows: &[GuideRow]) -> String {
    let mut text = format!(
        "\nNVE, {} ps from 300 K: drift and its standard error (meV/atom/ps)\n{:>7}",
        super::cell::DRIFT_PS,
        "atoms"
    );
    let columns = &GuideColumn::ALL[1..];
    let known = |column: &&GuideColumn| {
        rows.iter()
            .any(|row| row.is_of(**column) && row.median_ms.is_some())
    };
    let columns: Vec<&GuideColumn> = columns.iter().filter(known).collect();
    for column in &columns {
        text += &format!(" {:>13}", column.precision.name());
    }
    text.push('\n');
    let baselines = || rows.iter().filter(|row| row.is_of(GuideColumn::BASELINE));
    let several = baselines().any(|row| row.model != rows[0].model);
    let mut model = None;
    for row in baselines() {
        if several && model != Some(&row.model) {
            text += &format!("{}\n", row.model);
            model = Some(&row.model);
        }
        text += &format!("{:>7}", row.atoms);
        for column in &columns {
            let same = |other: &&GuideRow| {
                other.is_of(**column) && other.size == row.size && other.model == row.model
            };
            let found = rows.iter().find(same);
            text += &format!(" {:>13}", found.map_or_else(|| NONE.to_owned(), drift));
        }
        text.push('\n');
    }
    text
}

/// A drift with its standard error, in so many characters: `-0.0009(2)` is -0.0009 +- 0.0002.
pub(super) fn drift(row: &GuideRow) -> String {
    let (Some(value), Some(error)) = (row.drift_mev_per_atom_ps, row.drift_error_mev_per_atom_ps)
    else {
        return NONE.to_owned();
    };
    if !(error > 0.0 && error.is_finite()) {
        return significant(value, 2);
    }
    let decimals = (-error.log10().floor()).clamp(0.0, 7.0) as usize;
    let last = (error * 10f64.powi(decimals as i32)).round();
    format!("{value:.decimals$}({last:.0})")
}

/// What there is to say at the end.
pub(super) fn closing(report: &SuiteReport, taken: &str) -> String {
    let mut text = format!("\n{taken} in all\n");
    for why in reasons(report) {
        text += &format!("note: {why}\n");
    }
    Terminal::out().fit(&text)
}

/// Why something is missing, each reason once.
pub(super) fn reasons(report: &SuiteReport) -> Vec<String> {
    let mut all: Vec<String> = report.notes.clone();
    for row in &report.rows {
        for why in row.why.iter().filter(|why| known(why).is_none()) {
            let what = match why.contains(&row.precision) {
                true => why.clone(),
                false => format!("{} atoms, {}: {why}", row.atoms, row.label()),
            };
            if !all.contains(&what) {
                all.push(what);
            }
        }
    }
    for row in &report.students {
        for why in &row.why {
            let what = format!("networks of random weights: {why}");
            if !all.contains(&what) {
                all.push(what);
            }
        }
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bench::suite::system::systems;

    /// What other rooms say of numbers that are not there.
    #[test]
    fn a_precision_that_is_missing_has_a_word() {
        for (why, word) in [
            (
                "networks are computed in f64, f32 or int8 on the CPU, not in bf16, which takes a GPU's tensor cores: set",
                "not on the CPU",
            ),
            (
                "PaiNN: on a GPU it is computed in f32, not in int8: set",
                "not on a GPU",
            ),
            (NO_TIME, NO_TIME),
            ("the device failed: so and so", "the device failed"),
        ] {
            assert_eq!(in_a_word(why), word);
        }
    }

    #[test]
    fn drifts_are_short() {
        let args = crate::bench::Args::of_model(std::path::Path::new("none")).unwrap();
        let systems = systems(&args).unwrap();
        let mut row = GuideRow::blank("", &systems[0], 0);
        assert_eq!(drift(&row), NONE);
        for (value, error, text) in [
            (-0.0009, 0.000_21, "-0.0009(2)"),
            (0.123_4, 0.045, "0.12(5)"),
            (12.3, 2.4, "12(2)"),
            (0.5, 0.0, "0.50"),
        ] {
            row.drift_mev_per_atom_ps = Some(value);
            row.drift_error_mev_per_atom_ps = Some(error);
            assert_eq!(drift(&row), text);
        }
    }
}
