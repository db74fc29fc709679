//! Numbers of a network that are not there are refused by every command, with what to set instead.

use std::fs;
use std::path::PathBuf;
use std::process::{Command, Output};

use mdrun::potential::Precision;
use tempfile::TempDir;

use super::{mdrun, stderr, stdout, text};

const MODEL: &str = "painn_hcno_gfn2";
const ETHANOL: &str = "configs/structures/ethanol.xyz";
/// Those that the CPU does not have.
const OF_A_CARD: [Precision; 3] = [Precision::Tf32, Precision::Bf16, Precision::F16];

/// What a command says that is refused.
fn refused(output: &Output) -> &str {
    assert_eq!(output.status.code(), Some(2), "{}", stdout(output));
    stderr(output)
}

/// Checks that a refusal of the CPU says what to set.
#[track_caller]
fn check_host(message: &str, precision: Precision) {
    let told = format!(
        "networks are computed in f64, f32 and, of PaiNN, int8 on the CPU, not in {precision}, which takes a GPU's tensor \
         cores: set precision = \"f32\""
    );
    assert!(message.contains(&told), "{message}");
    assert!(message.contains("[device] kind = \"cuda:0\""), "{message}");
}

/// A run of `copies` molecules in these numbers on a device.
fn run_file(folder: &TempDir, precision: Precision, device: &str, copies: &str) -> PathBuf {
    let structure = fs::canonicalize(ETHANOL).unwrap();
    let path = folder.path().join("run.toml");
    let lines = format!(
        "[system]\nstructure = {structure:?}\nvelocities = {{ temperature = \"300 K\", seed = 1 }}\n{copies}\n\
         [potential]\nmodel = {MODEL:?}\nprecision = \"{precision}\"\n\
         [dynamics]\nensemble = \"nve\"\ntimestep = \"0.5 fs\"\nsteps = 2\n[device]\nkind = \"{device}\"\n"
    );
    fs::write(&path, lines).unwrap();
    path
}

#[test]
fn commands_on_the_cpu_say_what_to_set() {
    for precision in OF_A_CARD {
        let name = precision.name();
        let subject = [
            "--model",
            MODEL,
            "--structure",
            ETHANOL,
            "--precision",
            name,
            "--device",
            "cpu",
        ];
        for more in [
            &["energy"][..],
            &["energy", "--frame", "all"],
            &["serve", "--address", "unix:mdrun-none"],
        ] {
            let output = mdrun(&[more, &subject].concat());
            check_host(refused(&output), precision);
        }
        for more in [&[][..], &["--members", "2"]] {
            let bench = ["bench", "--sizes", "3", "--iters", "1", "--device", "cpu"];
            let output = mdrun(&[&bench[..], &["--precision", name], more].concat());
            check_host(refused(&output), precision);
        }
    }
}

#[test]
fn runs_on_the_cpu_say_what_to_set() {
    let folder = TempDir::new().unwrap();
    for precision in OF_A_CARD {
        let config = run_file(&folder, precision, "cpu", "");
        for more in [&[][..], &["check"]] {
            let output = mdrun(&[more, &[text(&config)]].concat());
            let message = refused(&output);
            check_host(message, precision);
            assert!(message.contains("potential.precision"), "{message}");
        }
        let batch = run_file(&folder, precision, "cpu", "replicas = 2");
        for more in [&[][..], &["--member", "1"]] {
            let output = mdrun(&[&[text(&batch)], more].concat());
            check_host(refused(&output), precision);
        }
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(
        left.len(),
        1,
        "a refused run leaves nothing behind: {left:?}"
    );
}

/// Weights in 8 bits are one system's, and PaiNN's: what has none says what to set, and sends nobody to a GPU.
#[test]
fn what_has_no_weights_in_8_bits_says_what_to_set() {
    let folder = TempDir::new().unwrap();
    let batch = run_file(&folder, Precision::Int8, "cpu", "replicas = 2");
    for more in [&[][..], &["check"]] {
        let output = mdrun(&[more, &[text(&batch)]].concat());
        let message = refused(&output);
        let told = "weights in 8 bits are found for one system, not for many at once: set precision = \"f32\"";
        assert!(message.contains(told), "{message}");
        assert!(
            message.contains("--member") && message.contains("potential.precision"),
            "{message}"
        );
    }
    let alone = run_file(&folder, Precision::Int8, "cpu", "");
    let burn = ["--set", "device.engine=\"burn\""];
    for more in [&[][..], &["check"]] {
        let output = mdrun(&[more, &[text(&alone)], &burn[..]].concat());
        let message = refused(&output);
        assert!(
            message.contains("Burn computes in f64 and f32, not in int8"),
            "{message}"
        );
        assert!(
            !message.contains("GPU") && !message.contains("cuda"),
            "{message}"
        );
    }
    let left: Vec<_> = fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(
        left.len(),
        1,
        "a refused run leaves nothing behind: {left:?}"
    );
}

/// A batch is not audited; a member alone is.
#[test]
fn batches_are_not_audited() {
    let folder = TempDir::new().unwrap();
    let batch = run_file(&folder, Precision::F32, "cpu", "replicas = 2");
    let every = ["--set", "monitor.precision_every=2"];
    let limit = ["--set", "monitor.precision=\"1 eV/A\""];
    for (set, key) in [
        (every, "monitor.precision_every"),
        (limit, "monitor.precision"),
    ] {
        for more in [&[][..], &["check"]] {
            let output = mdrun(&[more, &[text(&batch)], &set[..]].concat());
            let message = refused(&output);
            assert!(message.contains("--member"), "{message}");
            assert!(message.contains(key), "{message}");
        }
    }
    let out = folder.path().join("out");
    let alone = ["--member", "1", "--out", text(&out)];
    let output = mdrun(&[&[text(&batch)], &every[..], &alone].concat());
    assert!(output.status.success(), "{}", stderr(&output));
    let table = fs::read_to_string(out.join("thermo.csv")).unwrap();
    assert!(table.lines().next().unwrap().contains(",force_error_ev_a,"));
    assert!(
        stdout(&output).contains("off f64 at most, in 2 audits"),
        "{}",
        stdout(&output)
    );
}

/// Where no GPU is there, `auto` is the CPU.
#[test]
fn auto_without_a_gpu_says_what_to_set() {
    let folder = TempDir::new().unwrap();
    let config = run_file(&folder, Precision::Bf16, "auto", "");
    let output = Command::new(env!("CARGO_BIN_EXE_mdrun"))
        .arg(&config)
        .env("CUDA_VISIBLE_DEVICES", "")
        .output()
        .unwrap();
    check_host(refused(&output), Precision::Bf16);
}

#[test]
fn f64_on_a_gpu_and_words_that_are_none_are_refused() {
    let of = |more: &[&str]| {
        let fixed = ["energy", "--model", MODEL, "--structure", ETHANOL];
        mdrun(&[&fixed[..], more].concat())
    };
    let output = of(&["--precision", "fp16"]);
    let message = refused(&output);
    for precision in Precision::ALL {
        assert!(message.contains(precision.name()), "{message}");
    }
    let output = of(&["--precision", "f64", "--device", "cuda:0"]);
    refused(&output);
}

/// Numbers that kernels on a card do not have are refused before a card is looked for.
#[cfg(feature = "cuda")]
#[test]
fn kernels_of_f32_alone_say_so() {
    use mdrun::assemble;
    use mdrun::config::plan::{DeviceKind, DevicePlan, EngineChoice};
    use mdrun::core::System;
    use mdrun::potential::network::NeuralNetwork;
    use mdrun::potential::painn::RadialBasis;
    use mdrun::potential::schnet::Schnet;
    use mdrun::potential::student::Student;

    let student = Student::random(16, 1, &[], 3);
    let schnet = Schnet::random(16, 1, RadialBasis::gaussian(5, 4.0), &[], 3);
    let networks: [&dyn NeuralNetwork; 2] = [&student, &schnet];
    let models = ["painn_hcno_gfn2", "painn_organic_gfn2"].map(PathBuf::from);
    let alone = assemble::load_networks(&models[..1]).unwrap();
    let committee = assemble::load_networks(&models).unwrap();
    let system = System::of_species(&[8, 1, 1]);
    for precision in OF_A_CARD.into_iter().chain([Precision::Int8]) {
        let mut messages: Vec<String> = Vec::new();
        for network in networks {
            let refused = network.on_a_card(precision).err();
            messages.push(refused.expect("it has f32 alone").to_string());
        }
        let refused = committee.on_a_card(&system, precision).err();
        messages.push(refused.expect("it has f32 alone").to_string());
        for message in messages {
            let told = format!("computed in f32, not in {precision}: set precision = \"f32\"");
            assert!(message.contains(&told), "{message}");
        }
    }
    for model in [&alone, &committee] {
        assert!(model.on_a_card(&system, Precision::F32).is_ok());
        // A card need not be there to tell.
        let device = DevicePlan {
            kind: DeviceKind::Cuda(0),
            threads: None,
            engine: EngineChoice::Auto,
        };
        assert!(assemble::check_numbers(model, &device, Precision::F32).is_ok());
        assert!(assemble::check_numbers(model, &device, Precision::F64).is_err());
    }
}
