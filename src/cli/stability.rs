//! `mdrun validate --suite nve`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use super::interrupt::Interrupt;
use super::validate::{FIGURES, PAGE, ValidateArgs, make_folder};
use crate::assemble::{self, Model};
use crate::bench::stability::{
    DURATION, Stability, StabilityLength, StabilityRow, stability_plot, stability_systems, up_to,
};
use crate::bench::{Job, SKIN, parse_device, precisions, workshop};
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use crate::engine::Start;
use crate::models;
use crate::overview;
use crate::plot::{escaped, page};
use crate::potential::Precision;
use crate::report::replace;
use crate::run::Interruption as _;
use crate::terminal::Terminal;
use crate::text::significant;
use crate::units::{self, Dimension, PICOSECOND};
use crate::{Error, Result, streams};

/// Where the files go that are not told where.
const FOLDER: &str = "nve_validation";

/// What `--suite nve` is asked for.
#[derive(Debug, Args)]
pub struct StabilityArgs {
    /// Instead of a run file: drift at constant energy of systems from 9 to 2,646 atoms, 50 ps with steps of 1 fs from 300 K
    #[arg(long, value_parser = ["nve"], conflicts_with_all = ["config", "overrides", "member", "quick"])]
    pub suite: Option<String>,
    /// With --suite: the model, a file or the name of one that comes with mdrun [default: the first of those]
    #[arg(
        long,
        value_name = "MODEL",
        requires = "suite",
        conflicts_with = "config"
    )]
    pub model: Option<PathBuf>,
    /// With --suite: where to compute: cpu, cuda:0 and so on, or auto [default: auto]
    #[arg(long, value_parser = parse_device, requires = "suite", conflicts_with = "config")]
    pub device: Option<DeviceKind>,
    /// With --suite: numbers of the network [default: f32]
    #[arg(long, value_parser = precisions(), requires = "suite", conflicts_with = "config")]
    pub precision: Option<Precision>,
    /// With --suite: leave out systems of more atoms
    #[arg(
        long,
        value_name = "ATOMS",
        requires = "suite",
        conflicts_with = "config"
    )]
    pub largest: Option<usize>,
    /// With --suite: run each for so long [default: 50 ps]
    #[arg(long, value_name = "TIME", value_parser = parse_duration, requires = "suite", conflicts_with = "config")]
    pub duration: Option<f64>,
}

fn parse_duration(text: &str) -> std::result::Result<f64, String> {
    match units::parse(text, Dimension::Time).map_err(|e| e.to_string())? {
        time if time > 0.0 => Ok(time),
        _ => Err("it is not more than zero".to_owned()),
    }
}

/// Runs the suite.
///
/// # Errors
/// The model cannot be read, the device failed, or a file cannot be written.
pub(super) fn run(args: &ValidateArgs) -> Result<ExitCode> {
    let suite = &args.suite;
    let systems = up_to(stability_systems()?, suite.largest.unwrap_or(usize::MAX))?;
    let name = suite.model.clone();
    let name = name.unwrap_or_else(|| PathBuf::from(models::EMBEDDED[0].name));
    let model = assemble::load_networks(&[name])?;
    let precision = suite.precision.unwrap_or(Precision::F32);
    if precision == Precision::Int8 {
        return Err(Error::input(
            "--precision int8: its weights are found for one system, with a run file: mdrun validate CONFIG --set \
             'potential.precision=\"int8\"'",
        ));
    }
    let device = settled(suite.device, precision, &model);
    assemble::threads(&device)?;
    let folder = args.out.clone().unwrap_or_else(|| PathBuf::from(FOLDER));
    make_folder(&folder)?;
    let minutes = args.minutes.unwrap_or(f64::INFINITY);
    let patience = 60.0 * minutes / systems.len() as f64;
    let length = StabilityLength {
        duration: suite.duration.unwrap_or(DURATION),
        patience: Duration::try_from_secs_f64(patience).unwrap_or(Duration::MAX),
    };
    let interrupt = Interrupt::watch()?;
    let workshop = workshop(&device);
    let make = |start: &Start| {
        workshop.engine(&Job {
            model: &model,
            precision,
            device,
            skin: SKIN,
            start,
        })
    };
    let mut rows = Vec::new();
    say(args, &head(&model, precision))?;
    for system in &systems {
        if interrupt.signal().is_some() {
            break;
        }
        let row = system.measure(&make, length, interrupt.flag())?;
        say(args, &text(&row))?;
        rows.push(row);
    }
    write(&folder, (&model, precision), &rows)?;
    match args.json {
        true => streams::print_json(&figures(&rows))?,
        false => streams::print(&format!("{}\n", folder.join(PAGE).display()))?,
    }
    Ok(match interrupt.signal() {
        Some(signal) => signal.exit_code(),
        None => ExitCode::SUCCESS,
    })
}

/// The device, once it is known what is there for the model.
fn settled(kind: Option<DeviceKind>, precision: Precision, model: &Model) -> DevicePlan {
    let asked = DevicePlan {
        kind: kind.unwrap_or(DeviceKind::Auto),
        threads: None,
        engine: EngineChoice::Fused,
    };
    let (device, _, note) = assemble::settle(&asked, Some(precision), model);
    if let Some(note) = note {
        streams::tell(&Terminal::err().message(&note));
    }
    device
}

fn say(args: &ValidateArgs, text: &str) -> Result<()> {
    match args.json {
        true => Ok(()),
        false => streams::print(text),
    }
}

fn head(model: &Model, precision: Precision) -> String {
    let columns = [
        [
            "system",
            "atoms",
            "time",
            "drift",
            "drift over",
            "mean T",
            "a step",
        ],
        ["", "", "ps", "meV/atom/ps", "std(E_kin)", "K", "ms"],
    ];
    let lines = columns.map(|[system, atoms, time, drift, ratio, temperature, step]| {
        format!(
            "{system:13} {atoms:>6} {time:>6} {drift:>21} {ratio:>11} {temperature:>7} {step:>8}\n"
        )
    });
    format!(
        "{} in {precision}, steps of 1 fs\n\n{}",
        model.describe(),
        lines.concat()
    )
}

fn text(row: &StabilityRow) -> String {
    let name = format!("{:13} {:>6}", row.name, row.atoms);
    match &row.measured {
        Ok(found) => format!(
            "{name} {:>6} {:>21} {:>11} {:>7.1} {:>8}\n",
            significant(found.span / PICOSECOND, 3),
            found.slope.text(),
            significant(found.ratio.value, 2),
            found.temperature,
            significant(1e3 * found.step, 3),
        ),
        Err(why) => format!("{name}  {why}\n"),
    }
}

fn figures(rows: &[StabilityRow]) -> Value {
    let rows: Vec<Value> = rows.iter().map(StabilityRow::json).collect();
    json!({ "suite": "nve", "rows": rows })
}

fn write(
    folder: &Path,
    (model, precision): (&Model, Precision),
    rows: &[StabilityRow],
) -> Result<()> {
    let about = format!("{} in {precision}", model.describe());
    let mut body = format!("<p class=\"about\">{}</p>\n", escaped(&about));
    body += "<p class=\"about\">Velocity Verlet with steps of 1 fs, begun at 300 K; the error of a slope heeds correlation. \
             mdrun ";
    body += env!("CARGO_PKG_VERSION");
    let names = [
        "system",
        "formula",
        "atoms",
        "time (ps)",
        "drift (meV/atom/ps)",
        "drift / std(E_kin)",
        "mean T (K)",
        "a step (ms)",
    ];
    let head = names.map(|name| format!("<th>{name}</th>")).concat();
    body += "</p>\n<div class=\"scroll\"><table>\n<thead><tr>";
    body += &head;
    body += "</tr></thead>\n<tbody>\n";
    body += &rows.iter().map(html_row).collect::<String>();
    body += "</tbody></table></div>\n<div class=\"plots\">\n";
    body += &stability_plot(rows).figure();
    body += "</div>\n";
    replace(
        &folder.join(FIGURES),
        streams::json(&figures(rows)).as_bytes(),
    )?;
    let page = page::html("Stability at constant energy", &body);
    overview::put(&folder.join(PAGE), &page)
}

fn html_row(row: &StabilityRow) -> String {
    let cells = match &row.measured {
        Ok(found) => measured_cells(found),
        Err(why) => format!("<td class=\"none\" colspan=\"5\">{}</td>", escaped(why)),
    };
    format!(
        "<tr><td>{}</td><td>{}</td><td>{}</td>{cells}</tr>\n",
        escaped(&row.name),
        row.formula,
        row.atoms
    )
}

fn measured_cells(found: &Stability) -> String {
    let cells = [
        significant(found.span / PICOSECOND, 3),
        found.slope.text().replace("+-", "&plusmn;"),
        significant(found.ratio.value, 2),
        format!("{:.1}", found.temperature),
        significant(1e3 * found.step, 3),
    ];
    cells.map(|cell| format!("<td>{cell}</td>")).concat()
}
