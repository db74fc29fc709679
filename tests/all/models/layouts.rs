//! SchNetPack's and Neural Force Field's modules of a given model, as they are pickled.

use mdrun::potential::painn::{Linear, RadialBasis, Spec, Weights};

use super::pickled::{Array, Py, dict, text};

/// A module of a class: parameters, buffers, submodules and other attributes.
pub struct Module {
    pub class: String,
    pub parameters: Vec<(String, Array)>,
    pub buffers: Vec<(String, Array)>,
    pub children: Vec<(String, Py)>,
    pub attributes: Vec<(String, Py)>,
}

impl Module {
    pub fn new(class: &str) -> Self {
        Self {
            class: class.to_owned(),
            parameters: Vec::new(),
            buffers: Vec::new(),
            children: Vec::new(),
            attributes: Vec::new(),
        }
    }

    pub fn parameter(mut self, name: &str, array: Array) -> Self {
        self.parameters.push((name.into(), array));
        self
    }

    pub fn buffer(mut self, name: &str, array: Array) -> Self {
        self.buffers.push((name.into(), array));
        self
    }

    pub fn child(mut self, name: &str, child: impl Into<Py>) -> Self {
        self.children.push((name.into(), child.into()));
        self
    }

    pub fn with(mut self, name: &str, value: Py) -> Self {
        self.attributes.push((name.into(), value));
        self
    }
}

impl From<Module> for Py {
    fn from(module: Module) -> Self {
        let named = |list: Vec<(String, Py)>| {
            list.into_iter()
                .map(|(name, value)| (Self::Text(name), value))
                .collect()
        };
        let parameters = module
            .parameters
            .into_iter()
            .map(|(name, array)| (name, Self::Parameter(array)));
        let buffers = module
            .buffers
            .into_iter()
            .map(|(name, array)| (name, Self::Tensor(array)));
        let mut state = vec![
            (text("training"), Self::Bool(false)),
            (text("_parameters"), Self::Dict(named(parameters.collect()))),
            (text("_buffers"), Self::Dict(named(buffers.collect()))),
            (text("_forward_hooks"), Self::Ordered(Vec::new())),
            (text("_modules"), Self::Dict(named(module.children))),
        ];
        let attributes: Vec<(Self, Self)> = named(module.attributes);
        state.extend(attributes);
        Self::Object(module.class, Box::new(Self::Dict(state)))
    }
}

/// A list of modules.
pub fn list(modules: Vec<Py>) -> Module {
    let mut list = Module::new("torch.nn.modules.container.ModuleList");
    list.children = numbered(modules);
    list
}

fn sequence(modules: Vec<Py>) -> Py {
    let mut list = Module::new("torch.nn.modules.container.Sequential");
    list.children = numbered(modules);
    list.into()
}

fn numbered(modules: Vec<Py>) -> Vec<(String, Py)> {
    modules
        .into_iter()
        .enumerate()
        .map(|(k, module)| (k.to_string(), module))
        .collect()
}

/// What a file of SchNetPack has, to be changed.
pub struct SchNetPack {
    pub network: String,
    pub activation: Py,
    pub outputs: Vec<Py>,
    pub postprocessors: Vec<Py>,
    pub epsilon: f64,
}

impl SchNetPack {
    /// The model with an energy and its forces, and a mean per atom.
    pub fn of(model: &(Spec, Weights)) -> Self {
        Self {
            network: "schnetpack.representation.painn".into(),
            activation: Py::Global("torch.nn.functional.silu".into()),
            outputs: vec![atomwise(&model.1.readout, "energy"), forces()],
            postprocessors: vec![cast(), offsets(Some(MEAN), None)],
            epsilon: model.0.epsilon[0],
        }
    }

    /// The whole module.
    pub fn module(&self, model: &(Spec, Weights)) -> Py {
        Module::new("schnetpack.model.base.NeuralNetworkPotential")
            .child("postprocessors", list(self.postprocessors.clone()))
            .child("representation", self.representation(model))
            .child(
                "input_modules",
                list(vec![
                    Module::new("schnetpack.atomistic.distances.PairwiseDistances").into(),
                ]),
            )
            .child("output_modules", list(self.outputs.clone()))
            .with("input_dtype_str", text("float32"))
            .with("do_postprocessing", Py::Bool(true))
            .with("spk_version", text("2.2.0"))
            .into()
    }

    pub fn representation(&self, (spec, weights): &(Spec, Weights)) -> Py {
        let RadialBasis::Gaussian { centers, widths } = &spec.basis else {
            panic!("Gaussians are wanted");
        };
        let cutoff = Array::single(&[1], &[spec.cutoff]);
        let functions = centers.len();
        let basis = Module::new("schnetpack.nn.radial.GaussianRBF")
            .buffer("widths", Array::single(&[functions], widths))
            .buffer("offsets", Array::single(&[functions], centers))
            .with("n_rbf", Py::Int(functions as i64));
        let rows = weights.embedding.len() / spec.features;
        let embedding = Module::new("torch.nn.modules.sparse.Embedding")
            .parameter(
                "weight",
                Array::single(&[rows, spec.features], &weights.embedding),
            )
            .with("num_embeddings", Py::Int(rows as i64))
            .with("max_norm", Py::None);
        let context = |nets: &[Linear; 2]| {
            sequence(vec![
                self.dense(&nets[0], true),
                self.dense(&nets[1], false),
            ])
        };
        let part = |name: &str| Module::new(&format!("{}.{name}", self.network));
        let interactions = weights.layers.iter().map(|l| {
            part("PaiNNInteraction")
                .child("interatomic_context_net", context(&l.context))
                .into()
        });
        let mixing = weights.layers.iter().map(|l| {
            part("PaiNNMixing")
                .child("intraatomic_context_net", context(&l.update))
                .child("mu_channel_mix", self.dense(&l.mix, false))
                .with("epsilon", Py::Float(self.epsilon))
                .into()
        });
        let filter = Linear {
            inputs: functions,
            outputs: weights.layers.iter().map(|l| l.filter.outputs).sum(),
            weight: weights
                .layers
                .iter()
                .flat_map(|l| l.filter.weight.clone())
                .collect(),
            bias: weights
                .layers
                .iter()
                .flat_map(|l| l.filter.bias.clone())
                .collect(),
        };
        part("PaiNN")
            .child(
                "cutoff_fn",
                Module::new("schnetpack.nn.cutoff.CosineCutoff").buffer("cutoff", cutoff.clone()),
            )
            .child("radial_basis", basis)
            .child("embedding", embedding)
            .child("electronic_embeddings", list(Vec::new()))
            .child("filter_net", self.dense(&filter, false))
            .child("interactions", list(interactions.collect()))
            .child("mixing", list(mixing.collect()))
            .with("n_atom_basis", Py::Int(spec.features as i64))
            .with("n_interactions", Py::Int(spec.layers as i64))
            .with("cutoff", Py::Tensor(cutoff))
            .with("share_filters", Py::Bool(false))
            .into()
    }

    fn dense(&self, linear: &Linear, active: bool) -> Py {
        dense(
            "schnetpack.nn.base.Dense",
            linear,
            active.then(|| self.activation.clone()),
        )
    }
}

/// What is added for each atom, in the model's unit.
pub const MEAN: f64 = -3.25;

/// A layer with what stands behind it.
pub fn dense(class: &str, linear: &Linear, activation: Option<Py>) -> Py {
    let mut module = Module::new(class).parameter(
        "weight",
        Array::single(&[linear.outputs, linear.inputs], &linear.weight),
    );
    if !linear.bias.is_empty() {
        module = module.parameter("bias", Array::single(&[linear.outputs], &linear.bias));
    }
    match activation {
        Some(activation @ Py::Object(..)) => module.child("activation", activation),
        Some(activation) => module.with("activation", activation),
        None => module.child(
            "activation",
            Module::new("torch.nn.modules.linear.Identity"),
        ),
    }
    .into()
}

/// An output module that sums over atoms.
pub fn atomwise(readout: &[Linear], key: &str) -> Py {
    let silu = Py::Global("torch.nn.functional.silu".into());
    let last = readout.len() - 1;
    let layers = readout.iter().enumerate().map(|(k, linear)| {
        dense(
            "schnetpack.nn.base.Dense",
            linear,
            (k < last).then(|| silu.clone()),
        )
    });
    Module::new("schnetpack.atomistic.atomwise.Atomwise")
        .child("outnet", sequence(layers.collect()))
        .with("output_key", text(key))
        .with("n_out", Py::Int(readout[last].outputs as i64))
        .with("aggregation_mode", text("sum"))
        .into()
}

pub fn forces() -> Py {
    Module::new("schnetpack.atomistic.response.Forces")
        .with("energy_key", text("energy"))
        .into()
}

pub fn cast() -> Py {
    Module::new("schnetpack.transform.casting.CastTo64")
        .with("type_map", dict(vec![("float32", text("float64"))]))
        .into()
}

/// Energies added: a mean, and energies of elements by atomic number.
pub fn offsets(mean: Option<f64>, references: Option<&[f64]>) -> Py {
    Module::new("schnetpack.transform.atomistic.AddOffsets")
        .buffer(
            "atomref",
            Array::single(&[10], references.unwrap_or(&[0.0; 10])),
        )
        .buffer("mean", Array::double(&[], &[mean.unwrap_or(0.0)]))
        .with("_property", text("energy"))
        .with("add_mean", Py::Bool(mean.is_some()))
        .with("add_atomrefs", Py::Bool(references.is_some()))
        .with("is_extensive", Py::Bool(true))
        .into()
}

/// The tensors of a module, as its state dict names them.
pub fn state_of(module: &Py, prefix: &str) -> Vec<(Py, Py)> {
    let Py::Object(_, state) = module else {
        return Vec::new();
    };
    let Py::Dict(state) = &**state else {
        return Vec::new();
    };
    let part = |name: &str| {
        let found = state
            .iter()
            .find(|(key, _)| matches!(key, Py::Text(key) if key == name));
        match found {
            Some((_, Py::Dict(items))) => items.clone(),
            _ => Vec::new(),
        }
    };
    let named = |key: &Py| match key {
        Py::Text(name) => format!("{prefix}{name}"),
        _ => panic!("a name is wanted"),
    };
    let mut all = Vec::new();
    for (key, value) in part("_parameters").into_iter().chain(part("_buffers")) {
        let plain = match value {
            Py::Parameter(array) => Py::Tensor(array),
            other => other,
        };
        all.push((text(&named(&key)), plain));
    }
    for (key, child) in part("_modules") {
        all.extend(state_of(&child, &format!("{}.", named(&key))));
    }
    all
}
