//! `mdrun model`: models of other programs, and what there is to know of one.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use crate::assemble::{self, ModelKind};
use crate::bench;
use crate::convert::{self, ModelAnswers, Validation};
use crate::core::elements::symbol;
use crate::potential::network::{NetworkFacts, ReadNetwork};
use crate::potential::painn::{RadialBasis, Spec};
use crate::potential::pair::PairEnergy as _;
use crate::report::OriginFile;
use crate::report::file::replace;
use crate::shell::quoted;
use crate::terminal::{Terminal, shown};
use crate::text::significant;
use crate::{Error, Result, memory, streams};

/// `mdrun model`.
#[derive(Debug, Args)]
pub struct ModelArgs {
    #[command(subcommand)]
    command: ModelCommand,
}

#[derive(Debug, Subcommand)]
enum ModelCommand {
    /// Convert a model that PyTorch saved into a file that runs: what it does not say itself is asked for, once
    Convert(Box<ConvertArgs>),
    /// Say what a model is: network, elements, range, units, energies added, hash, origin
    Info(InfoArgs),
}

/// `mdrun model convert`.
#[derive(Debug, Args)]
#[command(after_help = "\
A file of PyTorch is read, never executed: a whole module (SchNetPack 2 or later, Neural Force Field), a state dict, a \
checkpoint of Lightning; or safetensors. Where something is missing nothing is written, and the command is printed with it.")]
pub struct ConvertArgs {
    /// The model as it was saved
    #[arg(value_name = "IN")]
    from: PathBuf,
    /// The file to write (safetensors)
    #[arg(value_name = "OUT")]
    to: PathBuf,
    #[command(flatten)]
    answers: ModelAnswers,
    /// Replace OUT if it is there
    #[arg(long)]
    force: bool,
    /// Measure how fast it runs, as mdrun bench does
    #[arg(long)]
    bench: bool,
}

/// `mdrun model info`.
#[derive(Debug, Args)]
pub struct InfoArgs {
    /// The model: a file, or the name of one that comes with mdrun
    #[arg(value_name = "MODEL")]
    model: PathBuf,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// Runs the command.
///
/// # Errors
/// As of either.
pub fn run(args: &ModelArgs) -> Result<ExitCode> {
    match &args.command {
        ModelCommand::Convert(args) => convert(args),
        ModelCommand::Info(args) => info(args),
    }
}

/// Converts a model, tries it where that is asked for, and writes it.
fn convert(args: &ConvertArgs) -> Result<ExitCode> {
    let ConvertArgs {
        from, to, answers, ..
    } = args;
    check_target(args)?;
    let fault = |e| Error::input(format!("{}: the model cannot be read: {e}", from.display()));
    let bytes = memory::read(from, 1).map_err(fault)?;
    let converted =
        convert::convert(&bytes, from, to, answers).map_err(|e| e.within(from.display()))?;
    for note in &converted.notes {
        streams::tell(&Terminal::err().message(&format!("note: {}", shown(note))));
    }
    let validation = match &answers.validate {
        None => None,
        Some(path) => Some(convert::validate(&converted, path)?),
    };
    replace(to, &converted.bytes)?;
    let mut text = format!("{}: {}\n", to.display(), converted.what);
    if let Some(Validation {
        frames,
        energy,
        force,
    }) = validation
    {
        text += &format!(
            "{frames} frames agree: energies to {energy:.1e}, forces to {force:.1e}, relative to the largest\n"
        );
    }
    let model = assemble::load_networks(std::slice::from_ref(to))?;
    text += &table(&facts(&model.members[0]));
    text += &format!(
        "\nIn a run file: potential.model = {:?}\n",
        to.display().to_string()
    );
    streams::print(&Terminal::out().fit(&text))?;
    match args.bench {
        false => Ok(ExitCode::SUCCESS),
        true => bench::run(&bench::Args::of_model(to)?),
    }
}

/// Checks that nothing is lost by writing the file.
fn check_target(args: &ConvertArgs) -> Result<()> {
    let ConvertArgs { from, to, .. } = args;
    let place = to.display();
    if to.extension().is_none_or(|ending| ending != "safetensors") {
        let named = to.with_added_extension("safetensors");
        return Err(Error::input(format!(
            "{place}: the file to write has to end with .safetensors: {}",
            quoted(&named)
        )));
    }
    let same = std::fs::canonicalize(from)
        .ok()
        .zip(std::fs::canonicalize(to).ok());
    if same.is_some_and(|(from, to)| from == to) {
        return Err(Error::input(format!(
            "{place}: this is the file that is read; name another one"
        )));
    }
    match to.try_exists() {
        Ok(true) if !args.force => Err(Error::input(format!(
            "{place} is there already; --force replaces it"
        ))),
        _ => Ok(()),
    }
}

/// Says what a model is.
fn info(args: &InfoArgs) -> Result<ExitCode> {
    let model = assemble::load_networks(std::slice::from_ref(&args.model))?;
    let facts = facts(&model.members[0]);
    streams::print(&match args.json {
        true => format!("{facts}\n"),
        false => Terminal::out().fit(&table(&facts)),
    })?;
    Ok(ExitCode::SUCCESS)
}

/// What there is to know of a model, as JSON.
fn facts(model: &ModelKind) -> Value {
    if let ModelKind::Network { read, source, .. } = model {
        return facts_of_network(read, source);
    }
    let ModelKind::Painn {
        spec,
        weights,
        repulsion,
        notes,
        source,
        remarks,
        trained_on,
        ..
    } = model
    else {
        return Value::Null;
    };
    let references: serde_json::Map<String, Value> = (spec.elements.iter())
        .zip(&spec.reference_energies)
        .filter(|(_, energy)| **energy != 0.0)
        .map(|(z, energy)| (symbol(*z).to_owned(), json!(energy)))
        .collect();
    let elements: Vec<&str> = spec.elements.iter().map(|z| symbol(*z)).collect();
    let (basis, functions) = basis(spec);
    let mut facts = json!({
        "architecture": "PaiNN",
        "features": spec.features,
        "interactions": spec.layers,
        "radial_basis": basis,
        "radial_functions": functions,
        "cutoff_angstrom": spec.cutoff,
        "epsilon": spec.epsilon,
        "readout": weights.readout.iter().map(|l| l.outputs).collect::<Vec<_>>(),
        "parameters": weights.parameters(),
        "elements": elements,
        "elements_are_told": trained_on.elements,
        "charge": trained_on.charge,
        "spin": trained_on.spin,
        "trained_on": trained_on.words(),
        "energy_unit_eV": spec.energy_scale,
        "mean_per_atom_eV": spec.mean_per_atom,
        "reference_energies_eV": references,
        "repulsion": repulsion.map(|law| law.words()),
        "file": source.path.display().to_string(),
        "bytes": source.bytes,
        "sha256": source.sha256,
        "notes": notes,
    });
    for (key, value) in remarks {
        facts["origin"][key] = value.clone();
    }
    facts
}

fn facts_of_network(read: &ReadNetwork, source: &OriginFile) -> Value {
    let NetworkFacts {
        architecture,
        features,
        layers,
        basis,
        functions,
        readout,
        parameters,
        elements,
        energy_scale,
        mean_per_atom,
    } = read.network.facts();
    let mut facts = json!({
        "architecture": architecture,
        "features": features,
        "interactions": layers,
        "radial_basis": basis,
        "radial_functions": functions,
        "cutoff_angstrom": read.network.cutoff(),
        "readout": readout,
        "parameters": parameters,
        "elements": elements,
        "energy_unit_eV": energy_scale,
        "mean_per_atom_eV": mean_per_atom,
        "file": source.path.display().to_string(),
        "bytes": source.bytes,
        "sha256": source.sha256,
        "notes": read.notes,
    });
    for (key, value) in &read.remarks {
        facts["origin"][key] = json!(value);
    }
    facts
}

fn basis(spec: &Spec) -> (&'static str, usize) {
    let kind = match &spec.basis {
        RadialBasis::Gaussian { centers, .. } if centers.iter().all(|c| *c == 0.0) => {
            "centred Gaussians"
        }
        RadialBasis::Gaussian { .. } => "Gaussians",
        RadialBasis::Bessel { .. } => "Bessel",
    };
    (kind, spec.basis.len())
}

/// The same for people.
fn table(facts: &Value) -> String {
    let mut text = String::new();
    let mut row = |name: &str, value: String| text += &format!("{name:<22}{value}\n");
    let of = |key: &str| match &facts[key] {
        Value::String(word) => word.clone(),
        Value::Array(list) => {
            let words = list
                .iter()
                .map(|v| v.as_str().map_or(v.to_string(), str::to_owned));
            words.collect::<Vec<_>>().join(", ")
        }
        other => other.to_string(),
    };
    let number = |key: &str| significant(facts[key].as_f64().unwrap_or(0.0), 10);
    row(
        "network",
        format!(
            "{}, {} interactions of {} features, {} parameters",
            of("architecture"),
            of("interactions"),
            of("features"),
            of("parameters")
        ),
    );
    row(
        "radial basis",
        format!("{} {}", of("radial_functions"), of("radial_basis")),
    );
    row("cutoff", format!("{} A", of("cutoff_angstrom")));
    row("readout", of("readout"));
    row(
        "elements",
        match facts["elements_are_told"] == json!(false) {
            true => "not said: all that the embedding has a row for are accepted".into(),
            false => of("elements"),
        },
    );
    if facts["trained_on"].is_string() {
        row("trained on", of("trained_on"));
    }
    row(
        "unit of its energies",
        format!("{} eV", number("energy_unit_eV")),
    );
    row(
        "mean per atom",
        format!("{} eV", number("mean_per_atom_eV")),
    );
    if let Some(map) = facts["reference_energies_eV"]
        .as_object()
        .filter(|map| !map.is_empty())
    {
        let list: Vec<String> = map.iter().map(|(z, e)| format!("{z} {e}")).collect();
        row("reference energies", format!("{} eV", list.join(", ")));
    }
    if facts["repulsion"].is_string() {
        row("for each pair", of("repulsion"));
    }
    row("file", format!("{}, {} bytes", of("file"), of("bytes")));
    row("SHA-256", of("sha256"));
    for (key, value) in facts["origin"].as_object().into_iter().flatten() {
        let list = value
            .as_array()
            .cloned()
            .unwrap_or_else(|| vec![value.clone()]);
        for value in list {
            let value = value.as_str().map_or(value.to_string(), str::to_owned);
            let label = if key == "sha256" {
                "SHA-256 of source"
            } else {
                key
            };
            row(label, shown(&value).into_owned());
        }
    }
    for note in facts["notes"].as_array().into_iter().flatten() {
        row(
            "note",
            shown(note.as_str().unwrap_or_default()).into_owned(),
        );
    }
    text
}
