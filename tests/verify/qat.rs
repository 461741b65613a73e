//! Quantization-aware training: the values of a file, gradients straight through, and the loss of the model that is written.
//!
//! Book: [qat](../../book/src/qat.md)

use crate::common::{Reference, TOLERANCE, assert_close, random, reference_path, weighted_sum};
use crate::training::{settings, windows};
use ndarray::ArrayView2;
use ossia::checkpoint::{self, Form, Layout, SaveOptions, TensorFile, load_trainable, save_as};
use ossia::collective::run_threads;
use ossia::config::ModelConfig;
use ossia::data::{Batches, IGNORE};
use ossia::layers::{Layer, QuantizedFormat, qat};
use ossia::model::Transformer;
use ossia::mxfp4::BLOCK;
use ossia::ops::fake_quantize::fake_quantize;
use ossia::ops::grouped_matmul::grouped_matmul;
use ossia::parameter::{Role, Value};
use ossia::stored::Rows;
use ossia::tensor::{Tensor, array, slice};
use ossia::train::{Evaluation, EvaluationSet, Metrics, Monitor, Settings, Trainer, evaluate};
use proptest::prelude::*;
use std::path::Path;
use std::sync::Arc;

const AS_QUANTIZE: SaveOptions = SaveOptions { form: Form::Mxfp4, layout: Layout::HuggingFace, shard_bytes: None };
const AS_IT_IS: SaveOptions = SaveOptions { form: Form::AsItIs, ..AS_QUANTIZE };

fn bits(numbers: &[f32]) -> Vec<u32> {
    numbers.iter().map(|x| x.to_bits()).collect()
}

/// Checks that experts (E, in, out) compute with the numbers that they have in a file.
fn assert_values_of_a_file(shape: [usize; 3], numbers: Vec<f32>) {
    let w = Tensor::constant(array(&shape, numbers));
    let rounded = fake_quantize(&w);
    let stored = Value::from(&w).to_mxfp4();
    assert_eq!(stored.shape(), [shape[0], shape[2], shape[1]]);
    for expert in 0..shape[0] {
        let expected = stored.expand_expert(expert, Rows::Inputs);
        assert_eq!(bits(&expected), bits(&rounded.data()[expert * expected.len()..][..expected.len()]), "{expert}");
    }
    assert_eq!(bits(fake_quantize(&rounded).data()), bits(rounded.data()), "rounded twice");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn qat_computes_with_the_values_of_a_file(
        (experts, blocks, outputs) in (1..4_usize, 1..4_usize, 1..40_usize),
        seed: u64,
        exponent in -140..120_i32,
    ) {
        let shape = [experts, blocks * BLOCK, outputs];
        let numbers = slice(&random(&shape, seed)).iter().map(|x| x * 2.0_f32.powi(exponent)).collect();
        assert_values_of_a_file(shape, numbers);
    }
}

#[test]
fn qat_computes_with_the_values_of_a_file_at_the_borders() {
    let borders =
        [0.0, -0.0, f32::MIN_POSITIVE, 1e-45, -1e-45, f32::MAX, f32::MIN, 0.25, 0.75, 1.25, 2.5, 3.5, 5.0, 6.9];
    for first in 0..borders.len() {
        for others in [0.0, -1e-3, 1.0] {
            let numbers = (0..BLOCK * 3).map(|i| if i < 40 { borders[(first + i) % borders.len()] } else { others });
            assert_values_of_a_file([1, BLOCK, 3], numbers.collect());
        }
    }
}

/// The gradient with respect to W is the one with respect to Q(W), bit for bit.
#[test]
fn qat_gradients_go_straight_through() {
    let (x, b) = (Tensor::constant(random(&[7, BLOCK], 1)), Tensor::constant(random(&[2, 5], 2)));
    let (w, dy) = (Tensor::parameter(random(&[2, BLOCK, 5], 3)), random(&[7, 5], 4));
    let rounded = Tensor::parameter(fake_quantize(&w.detach()).value().clone());
    let product = |w: &Tensor| grouped_matmul(&x, w, &b, &[0, 4, 7]);
    let (y, expected) = (product(&fake_quantize(&w)), product(&rounded));
    assert_eq!(bits(y.data()), bits(expected.data()));
    assert!(bits(y.data()) != bits(product(&w).data()), "rounding has an effect");
    let [dw, dq] =
        [(y, &w), (expected, &rounded)].map(|(y, of)| weighted_sum(&y, &dy).backward().get(of).unwrap().clone());
    assert_eq!(bits(slice(&dw)), bits(slice(&dq)));
    assert!(slice(&dw).iter().any(|&x| x != 0.0));
}

#[test]
fn qat_has_the_losses_and_the_gradients_of_pytorch() {
    let reference = Reference::open("qat");
    let mut model = load_trainable(reference_path("checkpoints/bf16")).unwrap();
    model.config.router_aux_loss_coef = 0.0;
    qat::attach(&mut model);
    let ids = reference.ids("ids");
    let targets = [&ids[1..], &[IGNORE]].concat();
    let mut losses = Vec::new();
    for step in 0..4 {
        let output = model.forward(ArrayView2::from_shape((1, ids.len()), &ids).unwrap(), None);
        let loss = model.loss(&output, &targets);
        losses.push(loss.cross_entropy);
        let gradients = loss.total.backward();
        for parameter in model.parameters_mut() {
            let gradient = gradients.get(parameter.tensor()).unwrap();
            if step == 0 {
                let name = checkpoint::file_name(parameter.name());
                assert_close(&name, slice(gradient), slice(&reference.array(&format!("grad.{name}"))), TOLERANCE);
            }
            let moved = parameter.tensor().value() - &(gradient * 0.2);
            *parameter.tensor_mut() = Tensor::parameter(moved.into_shared());
        }
    }
    assert_close("losses", &losses, slice(&reference.array("losses")), TOLERANCE);
}

/// A model whose experts have rows of whole blocks.
fn wide(tied: bool) -> ModelConfig {
    ModelConfig { hidden_size: BLOCK, intermediate_size: 2 * BLOCK, tied, ..crate::training::small() }
}

fn trainer(config: &ModelConfig, settings: Settings) -> Trainer {
    let batches = Batches::new(windows(), settings.batch_size, settings.seed).unwrap();
    let set = EvaluationSet { windows: windows(), entropy_floor: None, bytes: 1000 };
    Trainer::new(Transformer::random(config, 1), settings, batches, Some(set))
}

fn quantization_aware(accumulate: usize) -> Settings {
    Settings { qat: Some(QuantizedFormat::Mxfp4), ..settings(4, accumulate, 2) }
}

fn measured(trainer: &Trainer) -> Evaluation {
    trainer.evaluate(&mut |_, _| {}).unwrap()
}

/// Measures the model that `ossia quantize` writes.
fn quantized_loss(trainer: &Trainer, directory: &Path) -> Evaluation {
    save_as(&trainer.model, directory, AS_QUANTIZE).unwrap();
    let model = checkpoint::load(directory).unwrap();
    evaluate(&model, trainer.evaluation.as_ref().unwrap(), trainer.settings.batch_size)
}

#[test]
fn qat_reports_the_loss_of_the_quantized_model_to_the_bit() {
    for config in
        [wide(true), wide(false), ModelConfig { dense_layers: vec![0], dense_intermediate_size: 40, ..wide(true) }]
    {
        let mut trainer = trainer(&config, quantization_aware(1));
        for _ in 0..3 {
            let place = tempfile::tempdir().unwrap();
            let report = trainer.step().unwrap();
            let reported = measured(&trainer);
            assert_eq!(reported.loss.to_bits(), quantized_loss(&trainer, place.path()).loss.to_bits());
            assert!(report.loss.is_finite() && reported.loss > 0.0);
            let exact = evaluate(&trainer.model, trainer.evaluation.as_ref().unwrap(), 2);
            assert!(exact.loss.to_bits() != reported.loss.to_bits(), "the weights themselves are not rounded");
        }
    }
}

/// The measured model is the written one, byte for byte, except that the file says its types.
#[test]
fn qat_measures_the_tensors_that_are_written() {
    let trainer = trainer(&wide(false), quantization_aware(1));
    let places = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    save_as(&trainer.model, places[0].path(), AS_QUANTIZE).unwrap();
    save_as(&trainer.measured(), places[1].path(), AS_IT_IS).unwrap();
    let [written, measured] = places.each_ref().map(|p| TensorFile::open(p.path().join("model.safetensors")).unwrap());
    assert_eq!(written.names().count(), measured.names().count());
    for name in written.names() {
        let [written, measured] = [&written, &measured].map(|file| file.tensor(name, None).map(|t| bits(slice(&t))));
        match written {
            Ok(numbers) => assert_eq!(numbers, measured.unwrap(), "{name}"),
            Err(_) => assert!(name.ends_with("_blocks") || name.ends_with("_scales"), "{name}"),
        }
    }
    for file in [&written, &measured] {
        for name in file.names().filter(|name| name.ends_with("_blocks") || name.ends_with("_scales")) {
            assert!(*written.entry(name).unwrap().bytes == *measured.entry(name).unwrap().bytes, "{name}");
        }
    }
}

#[test]
fn qat_steps_lower_the_loss_of_the_quantized_model() {
    let mut trainer = trainer(&wide(true), Settings { steps: 40, ..quantization_aware(1) });
    let before = measured(&trainer).loss;
    let moved: Vec<_> = trainer.model.parameters().iter().map(|p| bits(p.tensor().data())).collect();
    (0..40).for_each(|_| drop(trainer.step().unwrap()));
    assert!(measured(&trainer).loss < 0.8 * before, "{} {before}", measured(&trainer).loss);
    for (parameter, before) in trainer.model.parameters().iter().zip(moved) {
        assert!(bits(parameter.tensor().data()) != before, "{} is trained", parameter.name());
    }
    let experts = trainer.model.parameters().into_iter().filter(|p| p.role() == Role::Expert);
    experts.for_each(|p| assert!(p.value().mxfp4().is_none(), "{} stays f32", p.name()));
}

/// Receives the losses of the steps and of the evaluations.
#[derive(Default, PartialEq, Debug)]
struct Losses(Vec<u32>, Vec<u64>);

impl Monitor for Losses {
    fn stepped(&mut self, _: &Trainer, loss: f32, _: Option<&Metrics>) {
        self.0.push(loss.to_bits());
    }
    fn evaluated(&mut self, _: &Trainer, evaluation: &Evaluation, _: bool) {
        self.1.push(evaluation.loss.to_bits());
    }
}

/// Gradient checkpointing, ranks, and experts that are spread over ranks do not change a bit.
#[test]
fn qat_is_the_same_with_checkpointed_activations_and_on_ranks() {
    let run = |mut trainer: Trainer| {
        let mut losses = Losses::default();
        trainer.run(None, &mut losses).unwrap();
        losses
    };
    let expected = run(trainer(&wide(true), quantization_aware(2)));
    assert_eq!((expected.0.len(), expected.1.len()), (4, 1));
    let mut recomputed = trainer(&wide(true), quantization_aware(2));
    recomputed.model.checkpoint_activations = true;
    assert_eq!(run(recomputed), expected);
    for group in [1, 2] {
        let ranks = run_threads(2, |rank| {
            let mut trainer = trainer(&wide(true), quantization_aware(2));
            trainer.join(Arc::new(rank), group).unwrap();
            run(trainer)
        });
        ranks.into_iter().for_each(|losses| assert_eq!(losses, expected, "{group}"));
    }
}
