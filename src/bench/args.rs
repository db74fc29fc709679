//! What `mdrun bench` is asked for.

use std::path::{Path, PathBuf};

use clap::builder::{PossibleValuesParser, TypedValueParser};

use super::measure;
use crate::assemble::{self, Model};
use crate::config::plan::{DeviceKind, DevicePlan, EngineChoice};
use crate::models;
use crate::potential::Precision;
use crate::terminal::Terminal;
use crate::{Error, Result, streams};

/// `mdrun bench`.
#[derive(Debug, Clone, PartialEq, clap::Args)]
pub struct Args {
    /// The model: a file, or the name of one that comes with mdrun; given several times, a committee, but with --suite models
    /// that are measured beside each other
    #[arg(long = "model", value_name = "MODEL", default_value = models::EMBEDDED[0].name)]
    pub models: Vec<PathBuf>,
    /// Numbers of atoms, each rounded down to whole water molecules; under 150 a cluster, else periodic
    #[arg(long, value_delimiter = ',', value_parser = clap::value_parser!(u32).range(3..),
          default_value = "9,21,51,102,192,1536,12288")]
    pub sizes: Vec<u32>,
    /// Numbers of the network
    #[arg(long, default_value = Precision::F32.name(), value_parser = precisions())]
    pub precision: Precision,
    /// Ensembles whose steps are timed; npt is for periodic boxes
    #[arg(long, value_delimiter = ',', value_parser = measure::ENSEMBLES, default_value = "nve")]
    pub ensemble: Vec<String>,
    /// Where to compute: cpu, cuda:0 and so on, or auto: on the first GPU if there is one
    #[arg(long, default_value = "auto", value_parser = parse_device)]
    pub device: DeviceKind,
    /// How to compute: fused kernels or Burn's tensor operations
    #[arg(long, default_value = "fused", value_parser = ["fused", "burn"])]
    pub engine: String,
    /// CPU threads; one for each core if not given
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..))]
    pub threads: Option<u16>,
    /// Calls, and steps, to time
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(1..))]
    pub iters: u32,
    /// Time so many copies of each at once, as a batch, beside one alone
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    pub members: Option<u32>,
    /// With --members or --suite: this structure instead of boxes of water; may be given several times
    #[arg(long = "structure", value_name = "STRUCTURE", conflicts_with = "sizes")]
    pub structures: Vec<PathBuf>,
    /// Time one more batch: so many members in all, of all sizes or structures in turn, beside what equal batches cost a member
    #[arg(long, requires = "members")]
    pub mixed: bool,
    /// Measure all precisions beside each other, on water of 10 to 200 atoms: times, errors against f64, memory, drift; and how
    /// fast smaller and larger networks are
    #[arg(long, value_parser = ["guide"], conflicts_with_all = ["members", "sizes", "precision", "ensemble", "engine"])]
    pub suite: Option<String>,
    /// With --suite: 1536 and 12288 atoms as well
    #[arg(long, requires = "suite", conflicts_with = "structures")]
    pub large: bool,
    /// With --suite: time this PyTorch script on the same boxes as well; it takes --device --sizes --modes --iters --weights and
    /// prints a line of JSON for each size, with atoms, pairs and MODE_ms
    #[arg(
        long,
        value_name = "SCRIPT",
        requires = "suite",
        conflicts_with = "structures"
    )]
    pub peer: Option<PathBuf>,
    /// With --suite: most minutes to take; what there is no time for is left out, and said [default: 8 on a GPU, 12 on the CPU]
    #[arg(long, requires = "suite", value_parser = parse_minutes)]
    pub minutes: Option<f64>,
    /// With --suite: write a page with the tables and plots of them to this file
    #[arg(long, value_name = "FILE", requires = "suite")]
    pub html: Option<PathBuf>,
    /// Write the measurements to this file as well
    #[arg(long)]
    pub json: Option<PathBuf>,
}

fn parse_minutes(text: &str) -> std::result::Result<f64, String> {
    match text.parse::<f64>() {
        Ok(minutes) if minutes > 0.0 && minutes <= 1e4 => Ok(minutes),
        _ => Err("a number of minutes, greater than zero".to_owned()),
    }
}

/// A device, as the command line names it.
///
/// # Errors
/// It is none.
pub fn parse_device(text: &str) -> std::result::Result<DeviceKind, String> {
    let cuda = |index: &str| index.parse().ok().map(DeviceKind::Cuda);
    match text {
        "auto" => Some(DeviceKind::Auto),
        "cpu" => Some(DeviceKind::Cpu),
        "cuda" => Some(DeviceKind::Cuda(0)),
        _ => text.strip_prefix("cuda:").and_then(cuda),
    }
    .ok_or_else(|| "auto, cpu, or cuda:0 and so on".to_owned())
}

/// Reads the name of a precision.
pub fn precisions() -> impl TypedValueParser<Value = Precision> {
    let names = Precision::ALL.map(Precision::name);
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Precision>())
}

/// The arguments alone, to be read from text.
#[derive(clap::Parser)]
struct Alone {
    #[command(flatten)]
    args: Args,
}

impl Args {
    /// The measurement of a model as it is made where nothing else is asked for.
    ///
    /// # Errors
    /// A default is none.
    pub fn of_model(model: &Path) -> Result<Self> {
        let typed = ["bench".as_ref(), "--model".as_ref(), model.as_os_str()];
        let alone = <Alone as clap::Parser>::try_parse_from(typed);
        alone
            .map(|alone| alone.args)
            .map_err(|e| Error::input(e.to_string()))
    }

    /// Checks what no option says by itself.
    ///
    /// # Errors
    /// Options that do not go together.
    pub(super) fn check(&self) -> Result<()> {
        let copied = self.members.is_some() || self.suite.is_some();
        match self.structures.is_empty() || copied {
            true => Ok(()),
            false => Err(Error::input(
                "--structure: boxes of water are measured; a structure is with --members N, or with --suite guide",
            )),
        }
    }

    /// The same on a device that is settled, for a model.
    pub(super) fn settled(&self, model: &Model) -> Self {
        let (device, _, note) = assemble::settle(&self.device(), Some(self.precision), model);
        if let Some(note) = note {
            streams::tell(&Terminal::err().message(&note));
        }
        Self {
            device: device.kind,
            ..self.clone()
        }
    }

    pub(super) fn device(&self) -> DevicePlan {
        DevicePlan {
            kind: self.device,
            threads: self.threads.map(usize::from),
            engine: match self.engine.as_str() {
                "burn" => EngineChoice::Burn,
                _ => EngineChoice::Fused,
            },
        }
    }

    pub(super) fn device_name(&self) -> String {
        match self.device {
            DeviceKind::Cuda(index) => format!("cuda:{index}"),
            DeviceKind::Auto | DeviceKind::Cpu => "cpu".to_owned(),
        }
    }
}
