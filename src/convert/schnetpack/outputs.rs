//! What SchNetPack's models do with the network's features: output modules, and postprocessors of the energy.

use super::super::answers::ModelAnswers;
use super::super::draft::{Offsets, numbers};
use super::super::module::joined;
use super::super::question::OpenQuestion;
use super::{PACKAGE, SchNetPackReader, foreign, last};
use crate::{Error, Result};

/// Output modules that do nothing to the energy.
const BESIDE: [&str; 6] = [
    "Forces",
    "Response",
    "DipoleMoment",
    "Polarizability",
    "Strain",
    "Stress",
];

/// Modules before the network that do nothing to the energy.
const INPUTS: [&str; 2] = ["PairwiseDistances", "Strain"];

/// The output module that gives the energy.
pub(super) struct EnergyHead {
    key: String,
}

impl SchNetPackReader<'_, '_> {
    /// Finds the output module of the energy and checks it; its tensors come to stand first, the others are left out.
    pub(super) fn outputs(&mut self, answers: &ModelAnswers) -> Result<EnergyHead> {
        let list = "output_modules";
        let modules = self.children(list)?;
        let (mut heads, mut energy) = (Vec::new(), None);
        for child in &modules {
            let path = joined(list, child);
            let class = self.class(&path)?.to_owned();
            if !class.starts_with(PACKAGE) && !self.as_painn {
                return Err(foreign(&self.at(&path), &class, "Atomwise"));
            }
            match last(&class) {
                "Atomwise" => {
                    let key = self.net.text(&self.at(&path), "output_key")?.to_owned();
                    heads.push((key, child.clone()));
                }
                name if BESIDE.contains(&name) => {
                    let place = self.at(&path);
                    if let Some(key) = self.net.attribute(&place, "energy_key") {
                        energy = energy.or(self.net.tree().text(key).map(str::to_owned));
                    }
                    if !["Forces", "Strain"].contains(&name) {
                        self.draft
                            .notes
                            .push(format!("the output module {name} is left out"));
                    }
                }
                _ => return Err(self.unknown(&path)),
            }
        }
        let wanted = answers.head.as_deref();
        let wanted = wanted.map(|head| head.split_once(':').unwrap_or((head, "")));
        let names: Vec<&str> = heads.iter().map(|(key, _)| key.as_str()).collect();
        let names = names.join(", ").escape_debug().to_string();
        let chosen = match wanted {
            Some((head, _)) => heads.iter().find(|(key, _)| key == head),
            None if heads.len() == 1 => heads.first(),
            None => heads.iter().find(|(key, _)| Some(key) == energy.as_ref()),
        };
        let chosen = match (chosen, wanted, heads.first()) {
            (Some(chosen), ..) => chosen,
            (None, None, Some(first)) => {
                let what = format!("which output is the energy ({names})");
                let question = OpenQuestion::new("--head", first.0.clone(), what);
                self.draft.questions.push(question);
                first
            }
            (None, Some((head, _)), Some(_)) => {
                return Err(Error::input(format!(
                    "--head {}: there are {names}",
                    head.escape_default()
                )));
            }
            (.., None) => {
                return Err(Error::input(
                    "the model has no output of energies (Atomwise)",
                ));
            }
        };
        let (key, child) = chosen.clone();
        for (other, _) in heads.iter().filter(|(other, _)| *other != key) {
            self.draft.notes.push(format!(
                "the output '{}' is left out",
                other.escape_default()
            ));
        }
        self.readout(&joined(list, &child))?;
        let state = wanted.map_or("", |(_, state)| state);
        self.place_head(list, &child, (&key, state))?;
        Ok(EnergyHead { key })
    }

    /// Checks the layers of the readout, and that their sum over atoms is the energy.
    fn readout(&self, path: &str) -> Result<()> {
        let place = self.at(path);
        let mode = self.net.text(&place, "aggregation_mode")?;
        if mode != "sum" {
            return Err(Error::input(format!(
                "the energy is the {} over atoms ('aggregation_mode'); a sum is wanted",
                mode.escape_default()
            )));
        }
        let net = joined(path, "outnet");
        let layers = self.children(&net)?;
        for (k, layer) in layers.iter().enumerate() {
            self.dense(&joined(&net, layer), k + 1 < layers.len())?;
        }
        Ok(())
    }

    /// Brings the tensors of the readout to the first place, one state of several alone, and drops those of other outputs.
    fn place_head(&mut self, list: &str, child: &str, (key, state): (&str, &str)) -> Result<()> {
        let all = std::mem::take(&mut self.draft.tensors);
        let own = format!("{list}.{child}.outnet.");
        for (name, tensor) in all {
            match name.strip_prefix(&own) {
                Some(rest) => {
                    let name = format!("{list}.0.outnet.{rest}");
                    self.draft.tensors.insert(name, tensor);
                }
                None if name.starts_with(&format!("{list}.")) => {
                    self.draft.left_out(&name);
                }
                None => drop(self.draft.tensors.insert(name, tensor)),
            }
        }
        self.draft.choose_state(key, state)
    }

    pub(super) fn inputs(&self) -> Result<()> {
        let list = "input_modules";
        if !self.net.modules.contains_key(&self.at(list)) {
            return Ok(());
        }
        for child in self.children(list)? {
            let path = joined(list, &child);
            let class = self.class(&path)?;
            if !INPUTS.contains(&last(class)) {
                return Err(self.unknown(&path));
            }
        }
        Ok(())
    }

    /// What is done with the energy at last, one after another.
    pub(super) fn postprocessors(
        &mut self,
        head: &EnergyHead,
        answers: &ModelAnswers,
    ) -> Result<()> {
        let list = "postprocessors";
        let mut offsets = Offsets::default();
        let place = self.at(list);
        let children = match self.net.modules.contains_key(&place) {
            true => self.children(list)?,
            false => Vec::new(),
        };
        for child in children {
            let path = joined(list, &child);
            let class = self.class(&path)?.to_owned();
            match last(&class) {
                "CastTo32" | "CastTo64" | "CastMap" => {}
                "AddOffsets" => self.offsets(&path, head, &mut offsets)?,
                "ScaleProperty" => self.scale(&path, head, &mut offsets)?,
                _ => return Err(self.unknown(&path)),
            }
        }
        let applied = self.net.attribute(&self.top, "do_postprocessing");
        let applied = applied
            .and_then(|id| self.net.tree().flag(id))
            .unwrap_or(true);
        if applied || offsets == Offsets::default() {
            self.draft.offsets = offsets;
            return Ok(());
        }
        match answers.offsets.as_deref() {
            Some("added") => self.draft.offsets = offsets,
            Some(_) => self.draft.notes.push("the energies of its postprocessors are not added".into()),
            None => self.draft.questions.push(OpenQuestion::new(
                "--offsets",
                "added",
                "whether its postprocessors' energies are added (added, or left-out), since 'do_postprocessing' is False",
            )),
        }
        Ok(())
    }

    fn offsets(&mut self, path: &str, head: &EnergyHead, offsets: &mut Offsets) -> Result<()> {
        let place = self.at(path);
        let property = self.net.text(&place, "_property")?;
        let (mean, references) = (self.buffer(path, "mean")?, self.buffer(path, "atomref")?);
        if property != head.key {
            let what = format!("offsets of '{}' are left out", property.escape_default());
            self.draft.notes.push(what);
            return Ok(());
        }
        if !self.net.flag(&place, "is_extensive")? {
            return Err(Error::input(
                "'is_extensive' of the offsets is False: they would be added once, not per atom, which is no energy of a \
                 system of any size",
            ));
        }
        for (flag, energies) in [("add_mean", &mean), ("add_atomrefs", &references)] {
            let added = self.net.flag(&place, flag)?;
            let something = energies.iter().flatten().any(|e| *e != 0.0);
            match (added, something) {
                (true, false) => {
                    return Err(Error::input(format!(
                        "the model says '{flag}', but has no energies to add: it was saved before its training began, or is \
                         damaged"
                    )));
                }
                (false, true) => {
                    return Err(Error::input(format!(
                        "the model has energies to add, but says '{flag}' False: whether they are added cannot be told"
                    )));
                }
                (true, true) if flag == "add_mean" => {
                    offsets.mean += energies.iter().flatten().sum::<f64>();
                }
                (true, true) => offsets.add_references(energies.as_deref().unwrap_or_default()),
                (false, false) => {}
            }
        }
        Ok(())
    }

    fn scale(&mut self, path: &str, head: &EnergyHead, offsets: &mut Offsets) -> Result<()> {
        let place = self.at(path);
        let input = self.net.text(&place, "input_key")?;
        let output = self.net.text(&place, "output_key")?;
        let scale = self.buffer(path, "scale")?.unwrap_or_default();
        if input != head.key && output != head.key {
            let what = format!("the scale of '{}' is left out", input.escape_default());
            self.draft.notes.push(what);
            return Ok(());
        }
        match (input == output, &scale[..]) {
            (true, [scale]) => {
                offsets.scale(*scale);
                Ok(())
            }
            _ => Err(self.unknown(path)),
        }
    }

    /// The numbers of a postprocessor, which are taken out.
    fn buffer(&mut self, path: &str, name: &str) -> Result<Option<Vec<f64>>> {
        let tensor = self.draft.tensors.remove(&joined(path, name));
        let values = tensor.map(|tensor| numbers(&tensor)).transpose()?;
        match values.iter().flatten().all(|x| x.is_finite()) {
            true => Ok(values),
            false => Err(Error::input(format!(
                "'{path}.{name}' has a number that is not finite"
            ))),
        }
    }
}
