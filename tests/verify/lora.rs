//! LoRA adapters: as PEFT computes and saves them, and merged into their weights.
//!
//! Book: [lora](../../book/src/lora.md)

use crate::common::{Reference, TOLERANCE, assert_close, reference_path};
use ossia::checkpoint::{
    self, Arithmetic, Form, Layout, SaveOptions, TensorFile, load_adapter, load_to_train, save_adapter, save_as,
};
use ossia::collective::{Collective, run_threads};
use ossia::layers::{Adapter, Layer, Target, lora};
use ossia::model::Transformer;
use ossia::ops::cross_entropy::{IGNORE, cross_entropy, cross_entropy_corrected};
use ossia::ops::elementwise::add;
use ossia::ops::linear::linear;
use ossia::parameter::{Init, Parameter, Random, Request, Role, Source, Value};
use ossia::tensor::{Tensor, array, slice};
use serde_json::Value as Json;
use std::path::{Path, PathBuf};
use std::sync::Arc;

const KINDS: [&str; 5] = ["attention", "experts", "router", "head", "all"];

fn base(name: &str) -> PathBuf {
    reference_path(&format!("checkpoints/{name}"))
}

fn peft(kind: &str) -> PathBuf {
    reference_path(&format!("lora/{kind}"))
}

/// The logits of some tokens, and the loss of each that predicts the next one.
fn logits(model: &Transformer, ids: &[u32]) -> Vec<f32> {
    let inputs = ndarray::ArrayView2::from_shape((1, ids.len()), ids).unwrap();
    model.logits(&model.forward(inputs, None).hidden).data().to_vec()
}

fn with_adapter(base: &Path, adapter: &Path) -> Transformer {
    let mut model = checkpoint::load(base).unwrap();
    load_adapter(&mut model, adapter).unwrap();
    model
}

/// A source of random numbers for both factors, so that an adapter has an effect.
struct Noise(Random);

impl Source for Noise {
    fn value(&mut self, request: Request) -> ossia::error::Result<Value> {
        self.0.value(Request { init: Init::Uniform(0.5), ..request })
    }
}

fn noisy(model: &mut Transformer, targets: &[Target]) {
    let adapter = Adapter { rank: 2, alpha: 3.0, targets: targets.to_vec(), base: "base".into() };
    let chosen = |weight: &Parameter| targets.contains(&Target::of(weight));
    lora::attach(model, &adapter, &chosen, &mut Noise(Random::new(7))).unwrap();
    model.adapter = Some(adapter);
}

fn largest(a: &[f32], b: &[f32]) -> f32 {
    a.iter().zip(b).map(|(a, b)| (a - b).abs()).fold(0.0, f32::max)
}

#[test]
fn lora_adapters_of_peft_have_the_logits_and_the_loss_of_peft() {
    for kind in KINDS {
        let reference = Reference::open(&format!("lora/{kind}/reference"));
        let (model, ids) = (with_adapter(&base("plain"), &peft(kind)), reference.ids("ids"));
        let found = logits(&model, &ids);
        assert_close(kind, &found, slice(&reference.array("logits")), TOLERANCE);
        let without = logits(&checkpoint::load(base("plain")).unwrap(), &ids);
        assert!(largest(&found, &without) > 0.1, "{kind}: the adapter has an effect");
        let output = model.forward(ndarray::ArrayView2::from_shape((1, ids.len()), &ids).unwrap(), None);
        let targets = [&ids[1..], &[IGNORE]].concat();
        let loss = model.loss(&output, &targets).cross_entropy;
        assert_close(kind, &[loss], slice(&reference.array("loss")), TOLERANCE);
    }
}

/// The gradients of A and B are those of PyTorch, and nothing else has one.
#[test]
fn lora_gradients_are_those_of_peft() {
    for kind in KINDS {
        let reference = Reference::open(&format!("lora/{kind}/reference"));
        let ids = reference.ids("ids");
        let mut model = load_to_train(base("plain"), Role::ALL.into_iter().collect()).unwrap();
        load_adapter(&mut model, &peft(kind)).unwrap();
        model.config.router_aux_loss_coef = 0.0;
        model.visit_mut(&mut |parameter| {
            if parameter.name().contains(".lora_") {
                let numbers = parameter.tensor().value().clone();
                *parameter.tensor_mut() = Tensor::parameter(numbers);
            }
        });
        let output = model.forward(ndarray::ArrayView2::from_shape((1, ids.len()), &ids).unwrap(), None);
        let targets = [&ids[1..], &[IGNORE]].concat();
        let gradients = model.loss(&output, &targets).total.backward();
        // The gradients as an adapter, so that they are laid out as those of PEFT.
        let mut laid_out = model.clone();
        for parameter in laid_out.parameters_mut() {
            match parameter.name().contains(".lora_") {
                true => {
                    let gradient = gradients.get(parameter.tensor()).unwrap().clone();
                    *parameter.tensor_mut() = Tensor::constant(gradient);
                }
                false => assert!(!parameter.is_trainable()),
            }
        }
        let place = tempfile::tempdir().unwrap();
        save_adapter(&laid_out, place.path()).unwrap();
        let file = TensorFile::open(place.path().join("adapter_model.safetensors")).unwrap();
        let mut compared = 0;
        for name in file.names() {
            let expected = reference.array(&format!("{name}.grad"));
            assert_close(name, slice(&file.tensor(name, None).unwrap()), slice(&expected), 2e-4);
            compared += 1;
        }
        assert!(compared >= 2, "{kind}");
    }
}

/// What is opened and saved again has the same tensors, bit for bit, and says the same: so PEFT opens it as its own.
#[test]
fn lora_adapters_are_saved_as_peft_saves_them() {
    for kind in KINDS {
        let model = with_adapter(&base("plain"), &peft(kind));
        let place = tempfile::tempdir().unwrap();
        checkpoint::save_weights(&model, place.path()).unwrap();
        assert!(!place.path().join("model.safetensors").exists());
        let [ours, theirs] =
            [place.path(), &peft(kind)].map(|at| TensorFile::open(at.join("adapter_model.safetensors")).unwrap());
        let names: Vec<&str> = theirs.names().filter(|name| !name.contains("lm_head.base_layer")).collect();
        assert_eq!(ours.names().count(), names.len());
        for name in names {
            let [a, b] = [&ours, &theirs].map(|file| file.entry(name).unwrap_or_else(|| panic!("{kind}: {name}")));
            assert!(a.shape == b.shape && a.dtype == b.dtype && *a.bytes == *b.bytes, "{kind}: {name}");
        }
        let [ours, theirs] = [place.path(), &peft(kind)].map(|at| -> Json {
            serde_json::from_str(&std::fs::read_to_string(at.join("adapter_config.json")).unwrap()).unwrap()
        });
        let sorted = |list: &Json| {
            let mut names: Vec<String> =
                list.as_array().into_iter().flatten().map(|name| name.as_str().unwrap().into()).collect();
            names.sort();
            names
        };
        for (key, value) in ours.as_object().unwrap() {
            match key.as_str() {
                "target_modules" | "target_parameters" => {
                    assert_eq!(sorted(value), sorted(&theirs[key]), "{kind}: {key}")
                }
                "lora_alpha" => assert_eq!(value.as_f64(), theirs[key].as_f64(), "{kind}: {key}"),
                _ => assert_eq!(*value, theirs[key], "{kind}: {key}"),
            }
        }
    }
}

/// Merged into weights in f32, bf16 and MXFP4, and in both layouts, an adapter has the effect that it has beside them.
#[test]
fn lora_merged_models_have_the_logits_of_the_adapter_and_not_those_of_the_base() {
    let ids: Vec<u32> = (1..30).map(|i| i * 7 % 64).collect();
    for name in ["plain", "bf16", "mxfp4", "original", "original_f32", "tied"] {
        for target in Target::ALL.into_iter().filter(|target| !(name == "tied" && *target == Target::Head)) {
            let mut model = checkpoint::load(base(name)).unwrap();
            let without = logits(&model, &ids);
            noisy(&mut model, &[target]);
            let beside = logits(&model, &ids);
            let mut merged = model.clone();
            lora::merge(&mut merged);
            merged.adapter = None;
            let place = tempfile::tempdir().unwrap();
            let options = SaveOptions { form: Form::AsItIs, layout: Layout::HuggingFace, shard_bytes: None };
            assert!(save_as(&model, place.path(), options).is_err(), "an adapter is not forgotten");
            save_as(&merged, place.path(), options).unwrap();
            let opened = checkpoint::load(place.path()).unwrap();
            for (a, b) in merged.parameters().into_iter().zip(opened.parameters()) {
                let same = a.value().tensor().is_none() || a.value().to_f32() == b.value().to_f32();
                assert!(same, "{name}, {target:?}: the file has the merged {}", a.name());
            }
            let saved = logits(&opened, &ids);
            let size = beside.iter().fold(0.0, |most: f32, z| most.max(z.abs()));
            assert!(largest(&beside, &saved) < 1e-4 * size, "{name}, {target:?}: {}", largest(&beside, &saved));
            assert!(largest(&without, &saved) > 1e-2 * size, "{name}, {target:?}: the merge has an effect");
        }
    }
}

/// A new adapter changes no bit of the logits, because B is 0; the first gradient of A is 0, and that of B is not.
#[test]
fn lora_begins_with_no_effect() {
    let ids: Vec<u32> = (1..20).map(|i| i * 5 % 64).collect();
    let mut model = load_to_train(base("mxfp4"), Role::ALL.into_iter().collect()).unwrap();
    let without = logits(&model, &ids);
    let adapter = Adapter { rank: 4, alpha: 8.0, targets: Target::ALL.to_vec(), base: String::new() };
    lora::attach(&mut model, &adapter, &|_| true, &mut Random::new(1)).unwrap();
    assert!(largest(&without, &logits(&model.detached(), &ids)) == 0.0);
    let mxfp4 = model.parameters().iter().filter(|parameter| parameter.value().mxfp4().is_some()).count();
    assert_eq!(mxfp4, 2 * model.config.layers, "experts stay in their file");
    let inputs = ndarray::ArrayView2::from_shape((1, ids.len()), &ids).unwrap();
    let loss = model.loss(&model.forward(inputs, None), &[&ids[1..], &[IGNORE]].concat());
    let gradients = loss.total.backward();
    for parameter in model.parameters().into_iter().filter(|parameter| parameter.is_trainable()) {
        let gradient = gradients.get(parameter.tensor()).map(|gradient| slice(gradient).iter().any(|g| *g != 0.0));
        assert_eq!(gradient, Some(parameter.name().ends_with("lora_b")), "{}", parameter.name());
        if let (true, Some(bound)) = (parameter.name().ends_with("lora_a"), parameter.value().shape().get(1)) {
            let inputs = if parameter.value().shape().len() == 3 { parameter.value().shape()[1] } else { *bound };
            let most = parameter.tensor().data().iter().fold(0.0, |most: f32, a| most.max(a.abs()));
            let bound = 1.0 / (inputs as f32).sqrt();
            assert!(most <= bound && most > 0.8 * bound, "{}: {most} of {bound}", parameter.name());
        }
    }
}

/// The fused loss with a correction is the loss of the corrected logits, forward and backward.
#[test]
fn lora_cross_entropy_equals_that_of_the_composition() {
    let numbers = |shape: &[usize], seed: f32| {
        let count: usize = shape.iter().product();
        Tensor::parameter(array(shape, (0..count).map(|i| (i as f32 * seed).sin()).collect()))
    };
    let (h, w) = (numbers(&[70, 6], 0.7), numbers(&[11, 6], 1.3));
    let (u, b) = (numbers(&[70, 2], 0.3), numbers(&[11, 2], 2.1));
    let targets: Vec<u32> = (0..70).map(|i| if i % 9 == 4 { IGNORE } else { i * 3 % 11 }).collect();
    let fused = cross_entropy_corrected(&h, &w, (&u, &b), &targets);
    // Identity as the projection of logits that are computed before.
    let logits = add(&linear(&h, &w, None), &linear(&u, &b, None));
    let identity = Tensor::constant(array(&[11, 11], (0..121).map(|i| f32::from(i % 12 == 0)).collect()));
    let composed = cross_entropy(&logits, &identity, &targets);
    assert_close("the loss", fused.data(), composed.data(), 1e-6);
    let [fused, composed] = [fused, composed].map(|loss| loss.backward());
    for (name, tensor) in [("h", &h), ("w", &w), ("u", &u), ("b", &b)] {
        assert_close(name, slice(fused.get(tensor).unwrap()), slice(composed.get(tensor).unwrap()), 1e-5);
    }
}

/// Experts that are spread over ranks take their part of the adapter along.
#[test]
fn lora_experts_are_spread_with_their_corrections() {
    let ids: Vec<u32> = (1..20).map(|i| i * 5 % 64).collect();
    let mut model = checkpoint::load(base("mxfp4")).unwrap();
    noisy(&mut model, &[Target::Experts, Target::Attention]);
    let alone = logits(&model, &ids);
    let found: Vec<ossia::error::Result<Vec<f32>>> = run_threads(2, |rank| {
        let (rank, mut model) = (Arc::new(rank) as Arc<dyn Collective>, model.clone());
        model.spread(&rank)?;
        Ok(logits(&model, &ids))
    });
    for logits in found {
        assert!(logits.unwrap() == alone);
    }
}

#[test]
fn lora_adapters_that_do_not_fit_are_refused() {
    let refused = |base_name: &str, adapter: &Path| {
        let mut model = checkpoint::load_with(base(base_name), Arithmetic::default()).unwrap();
        load_adapter(&mut model, adapter).unwrap_err().to_string()
    };
    let is = |message: String, expected: &str| assert!(message.contains(expected), "{message}\nexpected: {expected}");
    is(
        refused("mxfp4", &peft("experts")),
        "shape [32, 12]; this model makes it [64, 12]: is it the adapter of another",
    );
    is(refused("tied", &peft("head")), "lm_head.lora_A.weight: corrects no weight of this model");
    is(refused("plain", &base("plain")), "adapter_config.json: cannot read");
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    std::fs::copy(peft("router").join("adapter_model.safetensors"), at.join("adapter_model.safetensors")).unwrap();
    let config = std::fs::read_to_string(peft("router").join("adapter_config.json")).unwrap();
    let with = |from: &str, to: &str| {
        assert!(config.contains(from), "{from}");
        std::fs::write(at.join("adapter_config.json"), config.replace(from, to)).unwrap();
        refused("plain", at)
    };
    is(with("\"r\": 3", "\"r\": 4"), "shape [3, 32]; this model makes it [4, 32]");
    is(with("\"r\": 3", "\"r\": 0"), "r is 0; expected 1 to 65535");
    is(with("\"r\": 3", "\"r\": 1000000000000"), "r is 1000000000000; expected 1 to 65535");
    is(with("\"LORA\"", "\"IA3\""), "peft_type is \"IA3\"; expected \"LORA\"");
    is(with("\"use_dora\": false", "\"use_dora\": true"), "use_dora is true; expected none: ossia does not know it");
    is(with("\"alpha_pattern\": {}", "\"alpha_pattern\": {\"q\": 1}"), "alpha_pattern is {\"q\":1}");
    is(with("\"bias\": \"none\"", "\"bias\": \"all\""), "bias is \"all\"; expected \"none\"");
    is(with("\"lora_alpha\": 5", "\"lora_alpha\": null"), "lora_alpha is missing; expected a number");
    is(with("{", "["), "not JSON");
}
