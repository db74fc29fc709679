//! The live table of a run: some lines of its thermo table, with as many columns and digits as the terminal is wide.

use super::console::Console;
use crate::terminal::Terminal;

/// One line of the table, in the units of its columns.
pub(super) struct LiveRow {
    pub step: u64,
    pub time_ps: f64,
    /// Potential, kinetic and conserved energy (eV).
    pub energies: [f64; 3],
    pub temperature: f64,
    pub pressure: Option<f64>,
    /// Where the volume changes (g/cm^3).
    pub density: Option<f64>,
    /// Of a committee (eV/A).
    pub spread: Option<f64>,
    pub drift: Option<f64>,
}

/// The table as it is shown so far.
pub(super) struct LiveTable {
    console: Console,
    /// The last step, which is the widest.
    end: u64,
    shows: Shows,
    /// What the lines so far look like.
    layout: Option<Layout>,
}

/// Which columns there are besides those of any run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shows {
    /// The pressure.
    pub pressure: bool,
    /// The density.
    pub density: bool,
    /// The spread of a committee.
    pub spread: bool,
    /// What audits of the network's numbers find; in the file alone.
    pub audit: bool,
    /// What acts beside the potential; in the file alone.
    pub external: bool,
    /// The stage; in the file alone.
    pub stage: bool,
}

/// What a line looks like.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Layout {
    /// With all columns and digits; what is no terminal has it always.
    Whole,
    /// With the columns at these places of [`COLUMNS`].
    Narrow(Vec<usize>),
}

/// A column of a narrow table.
struct Column {
    name: &'static str,
    unit: &'static str,
    width: usize,
    /// Digits after the point where there is room.
    decimals: usize,
}

const fn column(name: &'static str, unit: &'static str, width: usize, decimals: usize) -> Column {
    Column {
        name,
        unit,
        width,
        decimals,
    }
}

const STEP: usize = 0;
const PRESSURE: usize = 6;
const DENSITY: usize = 7;
const SPREAD: usize = 8;
const COLUMNS: [Column; 10] = [
    column("step", "", 8, 0),
    column("t", "ps", 10, 4),
    column("E_pot", "eV", 14, 6),
    column("E_kin", "eV", 11, 6),
    column("E_conserved", "eV", 14, 6),
    column("T", "K", 8, 2),
    column("P", "bar", 9, 1),
    column("density", "g/cm3", 8, 5),
    column("spread", "eV/A", 8, 5),
    column("drift", "meV/at/ps", 9, 5),
];
/// The columns that are left out first where there is no room: the kinetic energy is in the temperature, the potential
/// one in what is conserved.
const DISPENSABLE: [usize; 5] = [3, 2, 1, PRESSURE, DENSITY];

impl LiveTable {
    /// A table of a run to step `end`.
    pub fn new(console: &Console, end: u64, shows: Shows) -> Self {
        Self {
            console: console.clone(),
            end,
            shows,
            layout: None,
        }
    }

    /// Prints a line, below the names of its columns where they are new.
    pub fn show(&mut self, row: &LiveRow) {
        if !self.console.is_table() {
            return;
        }
        let layout = self.layout(Terminal::out().width);
        if self.layout.as_ref() != Some(&layout) {
            self.console.row(&self.heading(&layout));
        }
        self.console.row(&self.line(&layout, row));
        self.layout = Some(layout);
    }

    fn layout(&self, width: Option<usize>) -> Layout {
        let Shows {
            pressure,
            density,
            spread,
            audit: _,
            external: _,
            stage: _,
        } = self.shows;
        let further = [pressure, density, spread].map(usize::from);
        let whole = 99 + 11 * further.iter().sum::<usize>();
        let Some(width) = width.filter(|width| *width < whole) else {
            return Layout::Whole;
        };
        let mut shown: Vec<usize> = (0..COLUMNS.len())
            .filter(|column| *column != PRESSURE || pressure)
            .filter(|column| *column != DENSITY || density)
            .filter(|column| *column != SPREAD || spread)
            .collect();
        for column in DISPENSABLE {
            let taken: usize = shown.iter().map(|c| self.width(*c) + 1).sum();
            if taken - 1 <= width {
                break;
            }
            shown.retain(|c| *c != column);
        }
        Layout::Narrow(shown)
    }

    fn width(&self, column: usize) -> usize {
        let least = if column == STEP {
            self.end.to_string().len()
        } else {
            0
        };
        COLUMNS[column].width.max(least)
    }

    fn heading(&self, layout: &Layout) -> String {
        let Layout::Narrow(shown) = layout else {
            let shown = |is: bool, name| if is { name } else { "" };
            let pressure = shown(self.shows.pressure, "      P/bar");
            let density = shown(self.shows.density, "  d/(g/cm3)");
            let spread = shown(self.shows.spread, "  dF/(eV/A)");
            return format!(
                "{:>12} {:>12} {:>16} {:>12} {:>16} {:>9}{pressure}{density}{spread} {:>16}",
                "step", "t/ps", "E_pot/eV", "E_kin/eV", "E_conserved/eV", "T/K", "drift meV/at/ps"
            );
        };
        let line = |text: fn(&Column) -> &'static str| {
            let cells = shown.iter().map(|&c| (text(&COLUMNS[c]).to_owned(), c));
            self.joined(cells)
        };
        format!(
            "{}\n{}",
            line(|column| column.name),
            line(|column| column.unit)
        )
    }

    fn line(&self, layout: &Layout, row: &LiveRow) -> String {
        let [potential, kinetic, conserved] = row.energies;
        let Layout::Narrow(shown) = layout else {
            let pressure = (row.pressure).map_or_else(String::new, |p| format!(" {p:>10.1}"));
            let density = (row.density).map_or_else(String::new, |d| format!(" {d:>10.5}"));
            let spread = (row.spread).map_or_else(String::new, |s| format!(" {s:>10.5}"));
            let drift = (row.drift).map_or_else(String::new, |d| format!("{d:+.5}"));
            return format!(
                "{:>12} {:>12.4} {potential:>16.6} {kinetic:>12.6} {conserved:>16.6} {:>9.2}\
                 {pressure}{density}{spread} {drift:>16}",
                row.step, row.time_ps, row.temperature,
            );
        };
        let values = [
            None,
            Some(row.time_ps),
            Some(potential),
            Some(kinetic),
            Some(conserved),
            Some(row.temperature),
            row.pressure,
            row.density,
            row.spread,
            row.drift,
        ];
        let cells = shown.iter().map(|&c| match c {
            STEP => (row.step.to_string(), c),
            _ => (
                values[c].map_or_else(String::new, |v| fitted(v, &COLUMNS[c])),
                c,
            ),
        });
        self.joined(cells)
    }

    /// Cells set to the right of their columns.
    fn joined(&self, cells: impl Iterator<Item = (String, usize)>) -> String {
        let cells =
            cells.map(|(cell, column)| format!("{cell:>width$}", width = self.width(column)));
        let line: Vec<String> = cells.collect();
        line.join(" ").trim_end().to_owned()
    }
}

/// A number with as many digits after the point as fit into its column.
fn fitted(value: f64, column: &Column) -> String {
    let text = |decimals: usize| format!("{value:.decimals$}");
    (0..=column.decimals)
        .rev()
        .map(text)
        .find(|text| text.len() <= column.width)
        .unwrap_or_else(|| format!("{value:.2e}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Runs of molecules, of boxes, under pressure, and of a committee under pressure.
    const KINDS: [Shows; 4] = [
        kind(false, false, false),
        kind(true, false, false),
        kind(true, true, false),
        kind(true, true, true),
    ];

    const fn kind(pressure: bool, density: bool, spread: bool) -> Shows {
        Shows {
            pressure,
            density,
            spread,
            audit: false,
            external: false,
            stage: false,
        }
    }

    fn row(scale: f64) -> LiveRow {
        LiveRow {
            step: 20_000,
            time_ps: 10.0,
            energies: [-4_211.123_456_7, 1.234_567_8, -4_209.888_888_9].map(|e| e * scale),
            temperature: 164.91,
            pressure: Some(-6_650.12 * scale),
            density: Some(0.997_01),
            spread: Some(0.061_3),
            drift: Some(-0.000_91),
        }
    }

    /// Every line fits, whatever the width and however large the numbers, and uses more room where there is more.
    #[test]
    fn lines_fit_the_terminal() {
        for shows in KINDS {
            for end in [100, 20_000, 1_000_000_000_000] {
                let table = LiveTable::new(&Console::silent(), end, shows);
                let mut before = 0;
                for width in 60..140 {
                    let layout = table.layout(Some(width));
                    for scale in [1e-3, 1.0, 1e3, 1e6] {
                        let text = format!(
                            "{}\n{}",
                            table.heading(&layout),
                            table.line(&layout, &row(scale))
                        );
                        let fits = text.lines().all(|line| line.len() <= width);
                        assert!(fits || width >= 99, "{width}:\n{text}");
                    }
                    let shown = match layout {
                        Layout::Narrow(shown) => shown.len(),
                        Layout::Whole => COLUMNS.len(),
                    };
                    assert!(shown >= before, "{width}");
                    before = shown;
                }
                assert_eq!(table.layout(None), Layout::Whole);
            }
        }
        let at_80 = |shows| LiveTable::new(&Console::silent(), 20_000, shows).layout(Some(80));
        let shown = [
            vec![0, 1, 2, 3, 4, 5, 9],
            vec![0, 1, 2, 4, 5, 6, 9],
            vec![0, 1, 4, 5, 6, 7, 9],
            vec![0, 4, 5, 6, 7, 8, 9],
        ];
        for (shows, columns) in KINDS.into_iter().zip(shown) {
            assert_eq!(at_80(shows), Layout::Narrow(columns));
        }
    }

    #[test]
    fn numbers_lose_digits_before_they_lose_their_column() {
        let column = column("", "", 8, 4);
        for (value, text) in [
            (1.0, "1.0000"),
            (-1_234.567_89, "-1234.57"),
            (12_345_678.9, "12345679"),
            (-123_456_789.0, "-1.23e8"),
        ] {
            assert_eq!(fitted(value, &column), text);
        }
    }
}
