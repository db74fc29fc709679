//! The one table of what a model's metadata may say: the reader's checks, its messages and the tables of
//! `models/README.md` come from it.

/// Bounds on sizes, far beyond any model, so that products of them cannot overflow.
const MOST_FEATURES: usize = 1 << 16;
const MOST_LAYERS: usize = 1 << 10;

/// Largest atomic number.
pub const HEAVIEST: u8 = 118;

/// How a file states its hyper-parameters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// One JSON object under the key `painn`.
    Painn,
    /// SchNetPack's hyper-parameters, each under its own key.
    SchNetPack,
}

/// What a value may be.
#[derive(Debug, Clone, Copy)]
pub enum Kind {
    /// One of these words, in any case.
    Word(&'static [&'static str]),
    /// A list of them.
    Words(&'static [&'static str]),
    Number,
    Positive,
    Count(usize),
    /// A whole number between these.
    Whole(i64, i64),
    Flag,
    EnergyUnit,
    LengthUnit,
    /// An object with units of energy, distance and force.
    Units,
    /// A positive number, or a list of them.
    Epsilon,
    Elements,
    /// Energies by element.
    References,
    /// An object with `energy_eV`, `sigma` and `power`.
    Repulsion,
    /// Anything: a remark that no energy depends on.
    Remark,
}

/// Whether a key has to be there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// It has to.
    Needed,
    /// It, or another one, but not both.
    Or(&'static str),
    /// What holds without it.
    Default(&'static str),
}
use Kind::*;
use Need::{Default, Needed, Or};

/// One key.
pub struct Key {
    pub name: &'static str,
    pub kind: Kind,
    pub unit: &'static str,
    pub need: Need,
    pub meaning: &'static str,
    /// Its value in the example.
    pub example: Option<&'static str>,
}

/// Rows `name: kind, unit, need, meaning;`, or with ` => ` and the value in the example before the semicolon.
macro_rules! keys {
    ($($name:literal: $kind:expr, $unit:expr, $need:expr, $meaning:literal $(=> $example:literal)?;)*) => {
        &[$(Key {
            name: $name,
            kind: $kind,
            unit: $unit,
            need: $need,
            meaning: $meaning,
            example: { let _example: Option<&str> = None; $(let _example = Some($example);)? _example },
        }),*]
    };
}

const BASES: &[&str] = &[
    "gaussian",
    "GaussianRBF",
    "GaussianRBFCentered",
    "bessel",
    "BesselRBF",
];
const COSINE: &[&str] = &["cosine", "CosineCutoff"];
const SILU: &[&str] = &["silu", "swish"];
const OF_BASIS: Need = Default("0 (centred: 1)");
/// Bounds far beyond any structure.
const CHARGE: Kind = Whole(-1000, 1000);
const SPIN: Kind = Whole(1, 1000);
const UNSAID: Need = Default("not said");
const OWN: &str = "`length_unit`";

/// Keys of the object `painn`.
pub const PAINN: &[Key] = keys! {
    "architecture": Word(&["painn"]), "", Default("`\"painn\"`"), "the network" => "\"painn\"";
    "n_atom_basis": Count(MOST_FEATURES), "", Needed, "features of an atom" => "128";
    "n_interactions": Count(MOST_LAYERS), "", Needed, "interactions (layers)" => "3";
    "n_rbf": Count(MOST_FEATURES), "", Needed, "radial basis functions" => "20";
    "radial_basis": Word(BASES), "", Needed, "kind of radial basis" => "\"gaussian\"";
    "rbf_start": Number, OWN, OF_BASIS,
        "first centre (centred: first width) of Gaussians; has to agree with the tensor where that is stored";
    "rbf_stop": Number, OWN, Default("the cutoff"), "last centre (centred: last width), likewise";
    "cutoff_fn": Word(COSINE), "", Needed, "cutoff function, (1 + cos(pi d / cutoff)) / 2" => "\"cosine\"";
    "cutoff_angstrom": Positive, "A", Or("cutoff"), "range of the network" => "5.0";
    "cutoff": Positive, OWN, Or("cutoff_angstrom"), "the same in the model's unit";
    "epsilon": Epsilon, "", Needed,
        "added under the root to the squared norm of vector features: a number, or one per interaction (SchNetPack: 1e-8)"
        => "1e-8";
    "activation": Word(SILU), "", Default("`\"silu\"`"), "activation of all nets";
    "activation_interaction": Word(SILU), "", Default("`\"silu\"`"), "of the interactions";
    "activation_mixing": Word(SILU), "", Default("`\"silu\"`"), "of the mixing";
    "activation_outnet": Word(SILU), "", Default("`\"silu\"`"), "of the readout";
    "shared_filters": Flag, "", Default("`false`"), "one filter for all interactions";
    "shared_interactions": Flag, "", Default("`false`"), "one interaction, used again and again";
    "aggregation": Word(&["sum"]), "", Default("`\"sum\"`"), "how atoms make up the energy";
    "energy_unit": EnergyUnit, "", Needed,
        "unit of what the readout gives; a factor of the energy, such as a standard deviation, goes in here"
        => "\"eV\"";
    "length_unit": LengthUnit, "", Needed,
        "unit of the distances that the network was trained with" => "\"angstrom\"";
    "elements": Elements, "", Default("those of `reference_energies_eV`, else all"),
        "elements that the model knows, by atomic number or symbol" => "[1, 6, 7, 8]";
    "reference_energies_eV": References, "eV", Default("0"),
        "energy added for each atom of an element, by atomic number or symbol, for all of `elements`"
        => "{\"1\": -13.6, \"6\": -1029.5, \"7\": -1485.3, \"8\": -2042.6}";
    "mean_per_atom_eV": Number, "eV", Default("0"),
        "energy added for each atom, beside its reference energy" => "0.0";
    "charge": CHARGE, "e", UNSAID, "total charge of the structures that it was trained on: 0 for neutral molecules";
    "spin": SPIN, "", UNSAID, "their spin multiplicity, 2 S + 1: 1 for closed shells";
    "repulsion": Repulsion, "", Default("none"),
        "object with `energy_eV`, `sigma` (in `length_unit`) and `power`: energy_eV (sigma / d)^power is added for each ordered \
         pair within the cutoff";
};

/// Keys of SchNetPack's style.
pub const SCHNETPACK: &[Key] = keys! {
    "representation": Word(&["painn"]), "", Default("`PaiNN`"), "the network" => "PaiNN";
    "n_atom_basis": Count(MOST_FEATURES), "", Needed, "features of an atom" => "128";
    "n_interactions": Count(MOST_LAYERS), "", Needed, "interactions (layers)" => "3";
    "n_rbf": Count(MOST_FEATURES), "", Needed, "radial basis functions" => "20";
    "radial_basis": Word(BASES), "", Needed, "kind of radial basis" => "GaussianRBF";
    "rbf_start": Number, "distance", OF_BASIS,
        "first centre (centred: first width) of Gaussians; has to agree with the tensor where that is stored";
    "rbf_stop": Number, "distance", Default("the cutoff"), "last centre (centred: last width), likewise";
    "rbf_width": Positive, "distance", Default("that of the grid"),
        "width of Gaussians on a grid; has to agree with them";
    "cutoff": Positive, "distance", Needed, "range of the network" => "5.0";
    "cutoff_fn": Word(COSINE), "", Needed, "cutoff function" => "CosineCutoff";
    "epsilon": Epsilon, "", Needed,
        "added under the root to the squared norm of vector features: a number, or one per interaction"
        => "1e-8";
    "activation": Word(SILU), "", Default("`silu`"), "activation of all nets";
    "activation_interaction": Word(SILU), "", Default("`silu`"), "of the interactions";
    "activation_mixing": Word(SILU), "", Default("`silu`"), "of the mixing";
    "activation_outnet": Word(SILU), "", Default("`silu`"), "of the readout";
    "shared_filters": Flag, "", Default("`false`"), "one filter for all interactions";
    "shared_interactions": Flag, "", Default("`false`"), "one interaction, used again and again";
    "aggregation": Word(&["sum"]), "", Default("`sum`"), "how atoms make up the energy";
    "units": Units, "", Needed,
        "an object with `energy` and `distance`, and `forces` where it is said"
        => "{\"energy\": \"kcal/mol\", \"distance\": \"Ang\"}";
    "output_modules": Words(&["Atomwise", "Forces"]), "", Default("`[\"Atomwise\"]`"),
        "where the readout stands among the output modules";
    "postprocessors": Words(&["CastTo64", "CastTo32", "AddOffsets"]), "", Default("none"),
        "what is done with the energy at last";
    "add_mean": Flag, "", Default("`false`, but has to be said where there is a mean"),
        "whether the mean is added for each atom" => "true";
    "mean_per_atom": Number, "energy", Default("the tensor `postprocessors.*.mean`"),
        "the mean; has to agree with the tensor where both are there" => "-10786.2";
    "add_atomrefs": Flag, "", Default("`false`, but has to be said where there are some"),
        "whether the reference energies of the tensor `postprocessors.*.atomref` are added"
        => "false";
    "is_extensive": Flag, "", Default("`true`"), "whether offsets are added for each atom";
    "elements": Elements, "", Default("those with a reference energy, else all"),
        "elements that the model knows, by atomic number or symbol";
    "charge": CHARGE, "e", UNSAID, "total charge of the structures that it was trained on: 0 for neutral molecules";
    "spin": SPIN, "", UNSAID, "their spin multiplicity, 2 S + 1: 1 for closed shells";
    "n_parameters": Remark, "", Default("none"), "not used: the tensors say";
    "embedding_shape": Remark, "", Default("none"), "not used: the tensors say";
    "embedding_padding_idx": Remark, "", Default("none"), "not used: no atom has number 0";
    "outnet_layers": Remark, "", Default("none"), "not used: the tensors say";
    "atomref_nonzero": Remark, "", Default("none"), "not used: the tensors say";
    "rbf_formula": Remark, "", Default("none"), "not used: `radial_basis` says";
    "pair_convention": Remark, "", Default("none"), "not used: it is that of the architecture";
    "input_modules": Remark, "", Default("none"), "not used: pairs are made here";
};

/// Keys of remarks, which no energy depends on.
pub const REMARKS: &[&str] = &[
    "note",
    "notes",
    "comment",
    "comments",
    "description",
    "name",
    "title",
    "author",
    "authors",
    "contact",
    "citation",
    "doi",
    "url",
    "source",
    "licence",
    "license",
    "date",
    "created",
    "created_by",
    "made_with",
    "version",
    "format",
    "framework",
    "software",
    "sha256",
    "hash",
    "teacher",
    "method",
    "functional",
    "level_of_theory",
    "dataset",
    "data",
    "training",
    "seed",
    "split",
];
/// Beginnings of such keys: figures of the training.
pub const REMARKS_BEGIN: &[&str] = &[
    "train_",
    "training_",
    "test_",
    "valid_",
    "validation_",
    "val_",
];
