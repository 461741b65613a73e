//! Checkpoints as other programs leave them: opened as transformers opens them, or refused by what they are.

use super::{Broken, INDEX, NORM, ONE, SHARD, find, refused};
use half::f16;
use ossia::checkpoint::{self, TensorFile};
use ossia::config::ModelConfig;
use ossia::generate::trace::{first_difference, trace};
use ossia::model::Transformer;
use ossia::tasks::arithmetic;
use ossia::tensor::Array;
use serde_json::{Value, json};
use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};

fn traced(broken: &Broken) -> Vec<(String, Array)> {
    trace(&checkpoint::load(broken.directory.path()).unwrap(), &[5, 17, 3], false).unwrap()
}

/// The notes of the command line about a checkpoint.
fn notes(broken: &Broken) -> String {
    let run = Command::new(env!("CARGO_BIN_EXE_ossia")).arg("inspect").arg(broken.directory.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    String::from_utf8(run.stderr).unwrap()
}

#[test]
fn checkpoints_in_f16_are_widened() {
    let (half, wide) = (Broken::copy("plain"), Broken::copy("plain"));
    // Rounds every number to f16, and writes it in f16 or in f32.
    let rounded = |broken: &Broken, keep: bool| {
        broken.tensors(ONE, |tensors| {
            for (_, dtype, _, bytes) in tensors {
                assert_eq!(*dtype, json!("F32"));
                let numbers = bytes.chunks_exact(4).map(|b| f16::from_f32(f32::from_le_bytes(b.try_into().unwrap())));
                *bytes = match keep {
                    true => numbers.flat_map(|x| x.to_le_bytes()).collect(),
                    false => numbers.flat_map(|x| x.to_f32().to_le_bytes()).collect(),
                };
                if keep {
                    *dtype = json!("F16");
                }
            }
        });
    };
    rounded(&half, true);
    rounded(&wide, false);
    let wide_trace = traced(&wide);
    let wide_tensor = |name: &str| wide_trace.iter().find(|(found, _)| found == name).map(|(_, tensor)| tensor.clone());
    assert!(first_difference(&traced(&half), wide_tensor, 1e-5).is_none());
    notes(&half); // `inspect` describes it
    let model = checkpoint::load_trainable(half.directory.path()).unwrap();
    let other = checkpoint::load_trainable(wide.directory.path()).unwrap();
    assert_eq!(trace(&model, &[1, 2, 3], true).unwrap(), trace(&other, &[1, 2, 3], true).unwrap());
}

#[test]
fn checkpoints_with_left_overs_open_and_say_so() {
    let expected = traced(&Broken::copy("bf16"));
    let broken = Broken::copy("bf16");
    broken.json("config.json", |c| _ = c.insert("quantization_config".into(), Value::Null));
    assert_eq!(traced(&broken), expected);
    assert_eq!(notes(&broken), "");
    let name = "model.layers.0.self_attn.rotary_emb.inv_freq";
    broken.tensors(ONE, |t| t.push((name.into(), json!("F32"), json!([2]), vec![0; 8])));
    assert_eq!(traced(&broken), expected);
    assert!(notes(&broken).contains(name));
}

/// A tied output projection may be stored once more; if it differs, nobody can say which one is meant.
#[test]
fn checkpoints_may_store_a_tied_output_projection() {
    let expected = traced(&Broken::copy("bf16_sharded"));
    let broken = Broken::copy("bf16_sharded");
    let add_head = |change: fn(&mut Vec<u8>)| {
        broken.tensors(SHARD, |tensors| {
            tensors.retain(|(name, ..)| name != "lm_head.weight");
            let (_, dtype, shape, mut bytes) = find(tensors, "model.embed_tokens.weight").clone();
            change(&mut bytes);
            tensors.push(("lm_head.weight".into(), dtype, shape, bytes));
        });
    };
    add_head(|_| {});
    assert_eq!(traced(&broken), expected);
    assert!(notes(&broken).contains("lm_head.weight is left out: it equals the embedding"));
    add_head(|bytes| bytes[7] ^= 1);
    refused(broken.directory.path(), &[SHARD, "lm_head.weight", "differs from the embedding"]).unwrap();
}

/// The index may be wrong: transformers follows the files, and the last of them if a tensor is in several.
#[test]
fn checkpoints_follow_their_files_where_the_index_differs() {
    let expected = traced(&Broken::copy("bf16_sharded"));
    let moved = Broken::copy("bf16_sharded");
    moved.json(INDEX, |i| {
        let other = if i["weight_map"][NORM] == SHARD { "model-00002-of-00003.safetensors" } else { SHARD };
        i["weight_map"][NORM] = json!(other)
    });
    assert_eq!(traced(&moved), expected);
    assert!(notes(&moved).contains(&format!("tensor {NORM} is said to be in")));
    let unknown = Broken::copy("bf16_sharded");
    unknown.json(INDEX, |i| _ = i["weight_map"].as_object_mut().unwrap().remove(NORM));
    assert_eq!(traced(&unknown), expected);
    assert!(notes(&unknown).contains(&format!("is not in {INDEX}")));
    // A copy with other numbers in the first shard is not the one that counts; in the last one it is.
    for (shard, same) in [(SHARD, true), ("model-00003-of-00003.safetensors", false)] {
        let twice = Broken::copy("bf16_sharded");
        let held = checkpoint::TensorFile::open(twice.path(shard)).unwrap().entry(NORM).is_some();
        let home: Value = serde_json::from_slice(&fs::read(twice.path(INDEX)).unwrap()).unwrap();
        let home = home["weight_map"][NORM].as_str().unwrap().to_string();
        if held {
            continue; // its only home
        }
        twice.tensors(shard, |t| t.push((NORM.into(), json!("BF16"), json!([32]), vec![0x40; 64])));
        let later = *shard > *home;
        assert_eq!(traced(&twice) == expected, !later, "{shard} {home} {same}");
    }
    let single = Broken::copy("bf16_sharded");
    fs::copy(single.path(SHARD), single.path(ONE)).unwrap(); // which has only a part of the model
    refused(single.directory.path(), &[ONE, "missing"]).unwrap();
}

#[test]
fn checkpoints_use_the_number_that_transformers_uses() {
    let broken = Broken::copy("bf16");
    let expected = traced(&broken);
    broken.json("config.json", |c| {
        let experts = c["num_local_experts"].clone();
        c.insert("num_experts".into(), experts);
        c["num_local_experts"] = json!(7);
        c.insert("experts_per_token".into(), json!(3));
    });
    assert_eq!(traced(&broken), expected);
    let notes = notes(&broken);
    assert!(
        notes.contains("num_experts is 4 and num_local_experts is 7; transformers and ossia use num_experts"),
        "{notes}"
    );
    assert!(notes.contains("transformers and ossia use num_experts_per_tok"), "{notes}");
}

#[test]
fn checkpoints_of_other_programs_are_named() {
    for (name, expected) in [
        ("model.layers.0.mlp.experts.gate_up_projs.0.weight", "is of a single expert, as unsloth names them"),
        ("model.layers.0.mlp.experts.3.down_proj.weight", "is of a single expert"),
        ("base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight", "belongs to a LoRA adapter"),
        ("model.layers.0.self_attn.q_proj.lora_B.default.weight", "belongs to a LoRA adapter"),
    ] {
        // Instead of the stacked experts, and beside them.
        for remove in [true, false] {
            let broken = Broken::copy("bf16");
            broken.tensors(ONE, |tensors| {
                tensors.retain(|(name, ..)| !remove || !name.contains("mlp.experts."));
                tensors.push((name.into(), json!("BF16"), json!([1]), vec![0; 2]));
            });
            refused(broken.directory.path(), &[name, expected]).unwrap();
        }
    }
}

/// A directory without a model is refused with advice. A directory of the hub's cache is followed.
#[test]
fn checkpoints_are_found_or_the_way_to_them_is_said() {
    let place = tempfile::tempdir().unwrap();
    let at = place.path();
    let refused = |argument: &str, expected: &str| {
        let run =
            Command::new(env!("CARGO_BIN_EXE_ossia")).args(["inspect", argument]).current_dir(at).output().unwrap();
        let message = String::from_utf8(run.stderr).unwrap();
        assert_eq!((run.status.code(), message.lines().count()), (Some(2), 1), "{message}");
        assert!(message.contains(expected), "{argument}: {message}");
    };
    refused(
        "openai/gpt-oss-20b",
        r#"download the model with: hf download openai/gpt-oss-20b --exclude "*/*" --local-dir gpt-oss-20b"#,
    );
    for path in ["./openai/gpt-oss-20b", "a/b/c", "nowhere", "../up/there"] {
        refused(path, "no such directory; expected a MODEL");
    }
    let hub = at.join("models--openai--gpt-oss-20b");
    let snapshot = hub.join("snapshots/6cee5e81");
    fs::create_dir_all(&snapshot).unwrap();
    refused("models--openai--gpt-oss-20b", "has no config.json; expected a MODEL");
    let broken = Broken::copy("bf16");
    for name in ["config.json", ONE] {
        fs::copy(broken.path(name), snapshot.join(name)).unwrap();
    }
    let opened = |directory: &Path| checkpoint::load(directory).is_ok();
    assert!(opened(&hub), "the only snapshot");
    fs::create_dir_all(hub.join("snapshots/other")).unwrap();
    assert!(!opened(&hub), "two snapshots, and no word about which");
    fs::create_dir(hub.join("refs")).unwrap();
    fs::write(hub.join("refs/main"), "6cee5e81").unwrap();
    assert!(opened(&hub), "the one of refs/main");
    let file = snapshot.join(ONE).display().to_string();
    refused(&file, "is a file; the MODEL is its directory");
    refused(&hub.join("snapshots").display().to_string(), "has no config.json; did you mean");
    fs::write(at.join("model.gguf"), "GGUF").unwrap();
    refused("model.gguf", "is a GGUF file of llama.cpp");
    refused(".", "but a GGUF file");
    fs::write(at.join("adapter_model.safetensors"), "").unwrap();
    refused(".", "LoRA adapter");
}

#[test]
fn checkpoints_are_not_overwritten_by_a_trace() {
    let broken = Broken::copy("bf16");
    let before = fs::read(broken.path(ONE)).unwrap();
    let traced = |out: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ossia"));
        command
            .args(["trace", ".", "--tokens", "1,2", "--out", out])
            .current_dir(broken.directory.path())
            .output()
            .unwrap()
    };
    for out in [ONE, "config.json"] {
        let run = traced(out);
        assert_eq!(run.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&run.stderr).contains("exists and is not a trace"));
    }
    assert_eq!(fs::read(broken.path(ONE)).unwrap(), before);
    assert!(traced("new.safetensors").status.success());
    assert!(traced("new.safetensors").status.success(), "a trace may be replaced");
    assert!(TensorFile::open(broken.path("new.safetensors")).unwrap().entry("logits").is_some());
}

/// A process whose model is truncated under it says so, and does not die of a signal.
#[cfg(target_os = "linux")]
#[test]
fn checkpoints_that_shrink_while_they_are_mapped_end_the_program_with_a_line() {
    let place = tempfile::tempdir().unwrap();
    let ossia = |arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_ossia"));
        command
            .args(arguments)
            .current_dir(place.path())
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .stdout(Stdio::piped());
        command
    };
    let tokenizer = arithmetic::tokenizer(600).unwrap();
    let config = ModelConfig { vocab_size: tokenizer.vocab_size(), ..ModelConfig::nano() };
    checkpoint::save(&Transformer::random(&config, 0), &tokenizer, &place.path().join("run")).unwrap();
    let mut child = ossia(&["chat", "run", "--max-new-tokens", "4"]).spawn().unwrap();
    // The chat has opened the model when it has answered once.
    let mut input = child.stdin.take().unwrap();
    writeln!(input, "1+1").unwrap();
    let mut first = [0];
    std::io::Read::read_exact(child.stderr.as_mut().unwrap(), &mut first).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(300));
    fs::File::options().write(true).open(place.path().join("run/model.safetensors")).unwrap().set_len(4096).unwrap();
    _ = writeln!(input, "2+2"); // fails if the program has noticed already
    drop(input);
    let output = child.wait_with_output().unwrap();
    let message = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{message}");
    assert!(message.contains("error: a file of the model became shorter while it was in use"), "{message}");
}
