//! What a model file says twice, in other words, or beside what is understood: used, noted, or refused by name.

use mdrun::potential::painn::{Imported, Spec, export, import_noted};

use super::model_file::{File, refused, small};

/// eV per kcal/mol, from the definitions of the calorie, the mole and the electronvolt.
pub const KCAL_PER_MOL: f64 = 4184.0 / 6.022_140_76e23 / 1.602_176_634e-19;

/// A small model in the project's own style.
pub fn painn() -> File {
    let (spec, weights) = small();
    let spec = Spec {
        reference_energies: vec![-13.5, -2043.0, -2715.0],
        mean_per_atom: -0.25,
        ..spec
    };
    File::open(&export(&spec, &weights).unwrap())
}

impl File {
    /// With other `painn` metadata: `from`, which is there, replaced by `to`.
    pub fn painn(self, from: &str, to: &str) -> Self {
        let text = self.metadata["painn"].clone();
        assert!(text.contains(from), "{text}");
        self.set("painn", &text.replacen(from, to, 1))
    }

    /// With one more key at the end of the `painn` metadata.
    pub fn more(self, key: &str, value: &str) -> Self {
        let text = self.metadata["painn"].clone();
        let inner = text.strip_suffix('}').unwrap();
        self.set("painn", &format!("{inner}, \"{key}\": {value}}}"))
    }

    pub fn noted(&self) -> Imported {
        import_noted(&self.bytes(), "model.safetensors").unwrap()
    }

    /// With a second set of weights: all tensors of this one under a prefix, twice as large.
    pub fn with_copy(mut self, prefix: &str) -> Self {
        for (name, (dtype, shape, data)) in self.tensors.clone() {
            let twice = |b: &[u8]| (2.0 * f32::from_le_bytes(b.try_into().unwrap())).to_le_bytes();
            let data = data.chunks_exact(4).flat_map(twice).collect();
            self.tensors
                .insert(format!("{prefix}{name}"), (dtype, shape, data));
        }
        self
    }
}

#[test]
fn both_offsets_are_added() {
    let (spec, _) = painn().read();
    assert_eq!(spec.offset(&[8, 1, 1]), -2043.0 - 2.0 * 13.5 - 3.0 * 0.25);
    // SchNetPack adds mean and reference energies, where it is told to add both.
    let mut energies = [0.0; 10];
    (energies[1], energies[8]) = (-0.5, -75.0);
    let file = File::schnetpack()
        .tensor("postprocessors.1.atomref", &[10], &energies)
        .set("add_atomrefs", "true");
    let offset = file.read().0.offset(&[8, 1, 1]);
    assert!(
        (offset - KCAL_PER_MOL * (-76.0 - 3.0 * 2.5)).abs() < 1e-12,
        "{offset}"
    );
}

#[test]
fn energies_to_be_added_that_are_not_understood_are_refused() {
    for (key, value, advice) in [
        (
            "energy_offset_eV",
            "-3.5",
            "'reference_energies_eV' (by element)",
        ),
        ("energy_shift", "-3.5", "'mean_per_atom_eV'"),
        (
            "atomrefs",
            "{\"1\": -13.6}",
            "'reference_energies_eV' (by element)",
        ),
        (
            "E0s",
            "{\"1\": -13.6}",
            "'reference_energies_eV' (by element)",
        ),
        ("mean_per_atom", "-3.5", "did you mean 'mean_per_atom_eV'?"),
        (
            "reference_energies",
            "{\"1\": -13.6}",
            "did you mean 'reference_energies_eV'?",
        ),
        (
            "stddev",
            "0.7",
            "'energy_unit', which may be a number of eV",
        ),
        (
            "energy_scale",
            "0.7",
            "'energy_unit', which may be a number of eV",
        ),
        ("n_rbff", "20", "did you mean 'n_rbf'?"),
        ("charge_model", "\"qeq\"", "under 'notes'"),
    ] {
        refused(
            &painn().more(key, value).bytes(),
            &["unknown key", &format!("'{key}'"), advice],
        );
    }
    for (key, advice) in [
        ("stddev", "a factor of the energy"),
        ("mean_per_atm", "did you mean 'mean_per_atom'?"),
        ("reference_energies_eV", "'add_atomrefs'"),
        ("energy_offset", "'add_mean'"),
        ("zbl", "under 'notes'"),
    ] {
        refused(
            &File::schnetpack().set(key, "0.7").bytes(),
            &["unknown key", &format!("'{key}'"), advice],
        );
    }
    for (name, advice) in [
        ("postprocessors.2.scale", "a factor of the energy"),
        ("postprocessors.1.stddev", "a factor of the energy"),
        ("shift.value", "energies to be added go into"),
        ("atomic_energies", "has no place"),
        ("representation.energy_offset", "was trained for"),
        ("postprocessors.x.mean", "has no place"),
    ] {
        for file in [painn(), File::schnetpack()] {
            refused(
                &file.tensor(name, &[1], &[0.7]).bytes(),
                &[name, "has no place", advice],
            );
        }
    }
}

#[test]
fn what_is_stated_twice_has_to_agree() {
    let mean = "postprocessors.1.mean";
    let atomref = "postprocessors.1.atomref";
    let energies = |oxygen: f64| {
        let mut energies = [0.0; 10];
        (energies[1], energies[8], energies[9]) = (-13.5, oxygen, -2715.0);
        energies
    };
    // The same in both places, to the rounding of f32.
    let file = painn()
        .tensor(mean, &[1], &[f64::from(-0.25f32 * 1.000_000_1)])
        .tensor(atomref, &[10], &energies(-2043.0));
    assert_eq!(file.read().0, painn().read().0);
    refused(
        &painn().tensor(mean, &[1], &[-0.3]).bytes(),
        &[mean, "-0.3 eV", "'mean_per_atom_eV'", "-0.25"],
    );
    let silent = painn().painn(", \"mean_per_atom_eV\": -0.25", "");
    assert_eq!(
        silent
            .clone()
            .tensor(mean, &[1], &[0.0])
            .read()
            .0
            .mean_per_atom,
        0.0
    );
    refused(
        &silent.tensor(mean, &[1], &[-0.3]).bytes(),
        &[mean, "missing", "leave the tensor out"],
    );
    refused(
        &painn().tensor(atomref, &[10], &energies(-2042.0)).bytes(),
        &[atomref, "-2042 eV for O", "-2043"],
    );
    let two = painn()
        .tensor(mean, &[1], &[-0.25])
        .tensor("postprocessors.2.mean", &[1], &[-0.25]);
    refused(
        &two.bytes(),
        &["2 tensors of offsets", mean, "postprocessors.2.mean"],
    );

    let file = File::schnetpack;
    refused(
        &file().tensor(mean, &[1], &[-2.6]).bytes(),
        &[mean, "-2.6", "'mean_per_atom'", "-2.5"],
    );
    let two = file()
        .tensor(mean, &[1], &[-2.5])
        .tensor("postprocessors.2.mean", &[1], &[-1.0]);
    refused(&two.bytes(), &["2 tensors of offsets"]);
    let steps = "[\"AddOffsets\", \"CastTo64\", \"AddOffsets\"]";
    refused(
        &file().set("postprocessors", steps).bytes(),
        &["AddOffsets more than once"],
    );
    refused(
        &file().set("postprocessors", "[\"CastTo64\"]").bytes(),
        &["'add_mean'", "no AddOffsets"],
    );
    refused(&file().without("add_mean").bytes(), &["lack 'add_mean'"]);
    let silent = file()
        .without("add_atomrefs")
        .tensor(atomref, &[10], &energies(-2042.0));
    refused(&silent.bytes(), &["lack 'add_atomrefs'"]);
    refused(
        &file().set("rbf_stop", "5.0").bytes(),
        &["'rbf_stop'", "is 5", "have 4"],
    );
    refused(
        &file().set("rbf_width", "0.5").bytes(),
        &["'rbf_width'", "is 0.5"],
    );
    file()
        .set("rbf_start", "0.0")
        .set("rbf_stop", "4.0")
        .set("rbf_width", "0.8")
        .read();
    refused(
        &painn().more("cutoff", "4.0").bytes(),
        &["'cutoff_angstrom' and 'cutoff' are both there"],
    );
    let units = "{\"energy\": \"kcal/mol\", \"distance\": \"Ang\", \"forces\": \"eV/Ang\"}";
    refused(
        &file().set("units", units).bytes(),
        &["'units' of forces", "eV/Ang"],
    );
    file()
        .set("units", &units.replace("eV/Ang", "kcal/mol/Ang"))
        .read();
    let layer = "representation.mixing.1.mu_channel_mix.weight";
    let shared = file().set("shared_interactions", "true");
    refused(
        &shared.bytes(),
        &["'shared_interactions'", "interaction 1 has other weights"],
    );
    refused(&shared.without(layer).bytes(), &[layer, "is missing"]);
    for key in ["mean_per_atom", "add_mean", "cutoff"] {
        refused(
            &painn().set(key, "1").bytes(),
            &["'painn' and, beside it", key, "keep one style"],
        );
    }
    refused(
        &painn().set("energy_offset", "1").bytes(),
        &["unknown keys beside 'painn'", "energy_offset"],
    );
    painn().set("format", "pt").set("note", "for tests").read();
}

#[test]
fn of_two_sets_of_weights_none_is_taken() {
    for prefix in ["ema.", "ema_model.module.", "model.", "zz."] {
        let file = painn().with_copy(prefix);
        refused(
            &file.bytes(),
            &[
                "2 sets of weights",
                "without a prefix",
                &format!("'{prefix}'"),
            ],
        );
    }
    let mut both = painn().with_copy("model.").with_copy("model_ema.");
    both.tensors.retain(|name, _| name.starts_with("model"));
    refused(&both.bytes(), &["3 sets of weights", "'model_ema.model.'"]);
    let mut both = painn().with_copy("student.");
    let embedding = "representation.embedding.weight";
    both.tensors.remove(&format!("student.{embedding}"));
    refused(
        &both.bytes(),
        &["has no place for", "student.", "another set of weights"],
    );
    // Averaged weights as a list, as some trainers keep them.
    let list = painn().tensor("ema.shadow_params.0", &[2], &[1.0, 2.0]);
    refused(
        &list.bytes(),
        &["ema.shadow_params.0", "another set of weights"],
    );
    // A part of a second set, which would have replaced the first one's.
    let mut part = painn().with_copy("model.");
    part.tensors
        .retain(|name, _| name.starts_with("model.") || name.ends_with("outnet.1.bias"));
    refused(
        &part.bytes(),
        &[
            "output_modules.0.outnet.1.bias",
            "'model.' before it and without",
        ],
    );
}

#[test]
fn counters_of_a_training_are_left_out_and_noted() {
    let mut file = painn();
    file.tensors = (file.tensors.into_iter())
        .map(|(name, tensor)| (format!("module.{name}"), tensor))
        .collect();
    let file = file.tensor("n_averaged", &[], &[1000.0]);
    let found = file.noted();
    assert_eq!((found.spec, found.weights), painn().read());
    assert_eq!(found.notes.len(), 1, "{:?}", found.notes);
    assert!(found.notes[0].contains("'n_averaged' is left out"));
    let wide = painn().tensor("n_averaged", &[2], &[1.0, 2.0]);
    refused(&wide.bytes(), &["n_averaged", "has no place"]);
}

#[test]
fn what_is_not_added_and_not_said_is_noted() {
    let notes = |file: File| file.noted().notes.join("; ");
    assert_eq!(notes(painn()), "");
    let all = notes(
        File::schnetpack()
            .without("mean_per_atom")
            .set("add_mean", "false"),
    );
    assert_eq!(
        all,
        "the model's file does not say which elements it was trained on: those up to F are accepted"
    );
    let file = File::schnetpack()
        .set("elements", "[\"H\", \"C\", 8]")
        .set("add_mean", "false");
    assert_eq!(file.read().0.elements, [1, 6, 8]);
    assert!(
        notes(file.clone()).contains("mean of -0.108 eV per atom is not added"),
        "{}",
        notes(file)
    );
    let energies = [0.0, -0.5, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -75.0, 0.0];
    let file = File::schnetpack().tensor("postprocessors.1.atomref", &[10], &energies);
    assert!(notes(file.clone()).contains("reference energies of elements are not added"));
    assert_eq!(file.read().0.reference_energies, [0.0; 9]);
    // Reference energies that are to be added have to be there for all elements that are listed.
    let file = file.set("add_atomrefs", "true");
    refused(
        &file.clone().set("elements", "[1, 6, 8]").bytes(),
        &["'elements' lists C"],
    );
    let short =
        file.set("elements", "[1, 9]")
            .tensor("postprocessors.1.atomref", &[9], &energies[..9]);
    refused(&short.bytes(), &["'elements' lists F"]);
}
