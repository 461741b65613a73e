//! Checkpoints as they are published: bf16, MXFP4, sharded, OpenAI's own layout, texts past 4,096 and 8,192 tokens.
//!
//! Book: [weights](../../book/src/weights.md)

use crate::common::{Reference, TOLERANCE, assert_close, reference_path};
use ossia::checkpoint::{self, Form, Layout, SaveOptions, TensorFile};
use ossia::generate::Generator;
use ossia::generate::Sampling;
use ossia::generate::trace::{first_difference, trace};
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::tensor::slice;
use std::path::Path;

const NARROW: [&str; 5] = ["bf16", "bf16_sharded", "mxfp4", "mxfp4_yarn", "original"];

fn path(name: &str) -> std::path::PathBuf {
    reference_path(&format!("checkpoints/{name}"))
}

/// The formats of all frozen weights.
fn formats(model: &Transformer) -> Vec<&'static str> {
    let values = model.parameters().into_iter().map(|parameter| parameter.value());
    values.filter_map(|value| Some(value.stored()?.numbers().format())).collect()
}

#[test]
fn checkpoints_of_every_format_trace_like_the_reference() {
    for name in NARROW {
        let model = checkpoint::load(path(name)).unwrap_or_else(|e| panic!("{e}"));
        let quantized = !name.starts_with("bf16");
        assert_eq!(formats(&model).contains(&"mxfp4"), quantized, "{name}");
        assert!(formats(&model).contains(&"bf16"), "{name}: nothing was widened");
        let reference = Reference::open(&format!("checkpoints/{name}/reference"));
        let tensors = trace(&model, &reference.ids("tokens"), false).unwrap();
        assert_eq!(tensors.len(), 4 + 4 * model.config.layers);
        assert_eq!(first_difference(&tensors, |name| Some(reference.array(name)), TOLERANCE), None, "{name}");
    }
}

/// Not quantized, in OpenAI's layout: a row per output where Hugging Face has one per input. Their names are no help
/// where a matrix is square.
#[test]
fn checkpoints_of_openai_that_are_not_quantized_trace_like_the_reference() {
    let reference = Reference::open("checkpoints/original_f32/reference");
    let path = path("original_f32");
    for model in [checkpoint::load(&path), checkpoint::load_trainable(&path)] {
        let model = model.unwrap_or_else(|e| panic!("{e}"));
        let tensors = trace(&model, &reference.ids("tokens"), false).unwrap();
        assert_eq!(first_difference(&tensors, |name| Some(reference.array(name)), TOLERANCE), None);
    }
}

/// Name, type, shape and bytes of every tensor.
fn tensors(files: &[&Path]) -> Vec<(String, checkpoint::Dtype, Vec<usize>, Vec<u8>)> {
    let mut tensors = Vec::new();
    for file in files {
        let file = TensorFile::open(file).unwrap();
        let entries = file.names().map(|name| (name.to_string(), file.entry(name).unwrap().clone()));
        tensors.extend(entries.map(|(name, entry)| (name, entry.dtype, entry.shape, entry.bytes.to_vec())));
    }
    tensors.sort_by(|a, b| a.0.cmp(&b.0));
    tensors
}

/// A checkpoint that is read and written again in its layout has the same bytes, also if it was converted to the other layout in
/// between.
#[test]
fn checkpoints_are_written_in_the_layout_they_were_read_in() {
    let place = tempfile::tempdir().unwrap();
    let write = |from: &Path, name: &str, form: Form, layout: Layout| {
        let to = place.path().join(name);
        let written = SaveOptions { form, layout, shard_bytes: None };
        checkpoint::save_as(&checkpoint::load(from).unwrap(), &to, written).unwrap();
        to
    };
    let layouts = [
        ("original", Form::Mxfp4, Layout::OpenAi),
        ("original_f32", Form::AsItIs, Layout::OpenAi),
        ("bf16", Form::Bf16, Layout::HuggingFace),
        ("mxfp4", Form::Mxfp4, Layout::HuggingFace),
    ];
    for (name, form, layout) in layouts {
        let other = if layout == Layout::OpenAi { Layout::HuggingFace } else { Layout::OpenAi };
        let original = path(name);
        let same = write(&original, &format!("{name}-same"), form, layout);
        let there = write(&original, &format!("{name}-there"), form, other);
        let back = write(&there, &format!("{name}-back"), form, layout);
        let expected = tensors(&[&original.join("model.safetensors")]);
        for written in [&same, &back] {
            assert!(tensors(&[&written.join("model.safetensors")]) == expected, "{}", written.display());
        }
        let logits = |from: &Path| {
            let model = checkpoint::load(from).unwrap();
            Generator::new(&model, &[5, 17, 3, 60], Sampling::default()).unwrap().logits().unwrap().to_vec()
        };
        assert_eq!(logits(&original), logits(&back), "{name}");
        assert_close(name, &logits(&there), &logits(&original), TOLERANCE);
    }
}

/// No shard is larger than was asked for, if more than one tensor is in it, and together they are the whole.
#[test]
fn checkpoints_in_shards_are_the_same_tensors() {
    let place = tempfile::tempdir().unwrap();
    let model = checkpoint::load(path("bf16")).unwrap();
    let whole = tensors(&[&path("bf16").join("model.safetensors")]);
    let total: usize = whole.iter().map(|(.., bytes)| bytes.len()).sum();
    for most in [1, 5_000, 30_000, total as u64] {
        let to = place.path().join(most.to_string());
        let written = SaveOptions { form: Form::Bf16, layout: Layout::HuggingFace, shard_bytes: Some(most) };
        assert_eq!(checkpoint::save_as(&model, &to, written).unwrap(), total as u64);
        let mut files: Vec<_> = std::fs::read_dir(&to).unwrap().map(|file| file.unwrap().path()).collect();
        files.retain(|file| file.extension().is_some_and(|kind| kind == "safetensors"));
        let files: Vec<&Path> = files.iter().map(|file| file.as_path()).collect();
        for file in &files {
            let held = tensors(&[file]);
            let bytes: usize = held.iter().map(|(.., bytes)| bytes.len()).sum();
            assert!(bytes as u64 <= most || held.len() == 1, "{}: {bytes} bytes", file.display());
        }
        assert_eq!(files.len() > 1, (most as usize) < total);
        assert!(tensors(&files) == whole, "shards of {most}");
        checkpoint::load(&to).unwrap();
    }
}

/// Gradients flow through frozen experts to everything below them.
#[test]
fn checkpoints_of_every_format_have_the_gradients_of_the_reference() {
    for name in ["bf16", "bf16_sharded", "mxfp4", "mxfp4_yarn"] {
        let model = checkpoint::load_trainable(path(name)).unwrap_or_else(|e| panic!("{e}"));
        let frozen = if name.starts_with("mxfp4") { 2 * model.config.layers } else { 0 };
        assert_eq!(formats(&model), vec!["mxfp4"; frozen]);
        let reference = Reference::open(&format!("checkpoints/{name}/reference"));
        let tensors = trace(&model, &reference.ids("tokens"), true).unwrap();
        let trainable = model.parameters().into_iter().filter(|parameter| parameter.is_trainable()).count();
        assert_eq!(tensors.len(), 4 + 4 * model.config.layers + trainable);
        assert_eq!(first_difference(&tensors, |name| Some(reference.array(name)), TOLERANCE), None, "{name}");
    }
}

/// In one prefill and, from the cache, token by token behind 4,096 and behind 8,192.
#[test]
fn checkpoints_read_far_behind_the_original_context() {
    let model = checkpoint::load(path("long")).unwrap();
    let reference = Reference::open("checkpoints/long/reference");
    let expected = reference.array("logits");
    let tokens: Vec<u32> = (0..8_300_u64).map(|t| ((t * t * 31 + t * 7) % 64) as u32).collect();
    for (row, position) in reference.ids("positions").into_iter().enumerate() {
        let expected = &slice(&expected)[row * 64..(row + 1) * 64];
        let text = &tokens[..=position as usize];
        let mut prefilled = Generator::new(&model, text, Sampling::default()).unwrap();
        assert_close(&format!("position {position}"), prefilled.logits().unwrap(), expected, TOLERANCE);
    }
}

#[test]
fn checkpoints_decode_behind_the_original_context_as_in_one_piece() {
    let model = checkpoint::load(path("long")).unwrap();
    let tokens: Vec<u32> = (0..8_300_u64).map(|t| ((t * t * 31 + t * 7) % 64) as u32).collect();
    for start in [100, 4_080, 8_180] {
        let mut generator = Generator::new(&model, &tokens[..start], Sampling::default()).unwrap();
        tokens[start..start + 40].iter().for_each(|&token| generator.push(token).unwrap());
        let mut whole = Generator::new(&model, &tokens[..start + 40], Sampling::default()).unwrap();
        assert_close(&format!("after {start}"), generator.logits().unwrap(), whole.logits().unwrap(), TOLERANCE);
    }
}
