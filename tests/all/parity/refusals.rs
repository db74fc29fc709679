//! Models, atoms and devices that do not go together are refused, not panicked at.

use mdrun::Error;
use mdrun::core::{Cell, Vec3};
use mdrun::potential::painn::reference::{self, BurnDevice};
use mdrun::potential::painn::{RadialBasis, Spec, Weights};
use mdrun::potential::{Evaluation, Precision};

use crate::support::brute;
use crate::support::models::random_model;

#[test]
fn what_does_not_fit_is_refused() {
    let (spec, weights) = random_model(8, 2, RadialBasis::gaussian(5, 3.0), 3.0, 31);
    let refused =
        |spec: &Spec, weights: &Weights, species: &[u8], part: &str| match reference::potential(
            spec,
            weights,
            species,
            Precision::F64,
            BurnDevice::Cpu,
        ) {
            Err(Error::Input(message)) => assert!(message.contains(part), "{message}"),
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("accepted, without {part}"),
        };
    refused(&spec, &weights, &[1, 17], "does not know Cl");
    refused(&spec, &weights, &[], "no atoms");
    let wide = Spec {
        features: 9,
        ..spec.clone()
    };
    refused(&wide, &weights, &[1], "do not fit");
    let deep = Spec {
        layers: 3,
        ..spec.clone()
    };
    refused(&deep, &weights, &[1], "number of layers");
    let mut short = weights.clone();
    short.layers[1].mix.weight.pop();
    refused(&spec, &short, &[1], "layer 1");
    let mut open = weights.clone();
    open.readout.pop();
    refused(&spec, &open, &[1], "readout");
    let mut potential =
        reference::potential(&spec, &weights, &[1], Precision::F64, BurnDevice::Cpu).unwrap();
    let mut out = Evaluation::zeros(2);
    let pairs = brute::pairs(&Cell::open(), &[Vec3::zeros(); 2], 3.0);
    assert!(matches!(
        potential.evaluate(&pairs, &mut out),
        Err(Error::Run(_))
    ));
}

#[test]
fn cuda_is_there_or_it_is_said_what_is_missing() {
    let (spec, weights) = random_model(8, 2, RadialBasis::gaussian(5, 3.0), 3.0, 31);
    let make = |precision, index| {
        let device = BurnDevice::Cuda(index);
        reference::potential(&spec, &weights, &[1], precision, device)
            .map(|p| p.about().to_string())
    };
    let refused = |made: Result<String, Error>| match made {
        Err(Error::Input(message)) => message,
        other => panic!("{other:?}"),
    };
    assert!(refused(make(Precision::F64, 0)).contains("f32 only"));
    match reference::cuda_device(0) {
        Ok(name) => {
            let described = make(Precision::F32, 0).unwrap();
            assert!(
                described.contains(&name) && described.contains("f32"),
                "{described}"
            );
            let message = refused(make(Precision::F32, 1_000_000));
            assert!(message.contains("no CUDA device 1000000"), "{message}");
        }
        Err(Error::Input(message)) => {
            println!("{message}");
            // What to set instead is for the room to say that knows the keys.
            assert!(
                message.contains("CUDA") && !message.contains("cpu"),
                "{message}"
            );
            assert_eq!(refused(make(Precision::F32, 0)), message);
        }
        Err(other) => panic!("{other:?}"),
    }
}
