//! Every way in which a checkpoint can be broken: one line that names the file and the tensor, exit code 2.

use crate::common::reference_path;
use serde_json::{Map, Value, json};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A copy of a reference checkpoint, to be damaged.
struct Broken {
    directory: tempfile::TempDir,
}

impl Broken {
    fn copy(name: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        for entry in fs::read_dir(reference_path(&format!("checkpoints/{name}"))).unwrap() {
            let path = entry.unwrap().path();
            if !path.ends_with("reference.safetensors") {
                fs::copy(&path, directory.path().join(path.file_name().unwrap())).unwrap();
            }
        }
        Self { directory }
    }

    fn path(&self, file: &str) -> PathBuf {
        self.directory.path().join(file)
    }

    /// Changes the bytes of a file.
    fn bytes(&self, file: &str, change: impl FnOnce(&mut Vec<u8>)) {
        let mut bytes = fs::read(self.path(file)).unwrap();
        change(&mut bytes);
        fs::write(self.path(file), bytes).unwrap();
    }

    /// Changes a JSON file.
    fn json(&self, file: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        let mut json: Value = serde_json::from_slice(&fs::read(self.path(file)).unwrap()).unwrap();
        change(json.as_object_mut().unwrap());
        fs::write(self.path(file), json.to_string()).unwrap();
    }

    /// Replaces the text of the header of a safetensors file; the data behind it stays.
    fn header_text(&self, file: &str, change: impl FnOnce(String) -> String) {
        self.bytes(file, |bytes| {
            let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
            let header = change(String::from_utf8(bytes[8..8 + length].to_vec()).unwrap());
            let data = bytes.split_off(8 + length);
            *bytes = [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat();
        });
    }

    /// Changes the header of a safetensors file.
    fn header(&self, file: &str, change: impl FnOnce(&mut Map<String, Value>)) {
        self.header_text(file, |text| {
            let mut header: Value = serde_json::from_str(&text).unwrap();
            change(header.as_object_mut().unwrap());
            header.to_string()
        });
    }

    /// Writes a file anew with a changed set of tensors: offsets are right again.
    fn tensors(&self, file: &str, change: impl FnOnce(&mut Vec<Tensor>)) {
        let bytes = fs::read(self.path(file)).unwrap();
        let length = u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
        let header: Map<String, Value> = serde_json::from_slice(&bytes[8..8 + length]).unwrap();
        let mut tensors: Vec<Tensor> = header
            .iter()
            .filter(|(name, _)| *name != "__metadata__")
            .map(|(name, info)| {
                let at = |i: usize| 8 + length + info["data_offsets"][i].as_u64().unwrap() as usize;
                (name.clone(), info["dtype"].clone(), info["shape"].clone(), bytes[at(0)..at(1)].to_vec())
            })
            .collect();
        change(&mut tensors);
        let (mut header, mut data) = (Map::new(), Vec::new());
        for (name, dtype, shape, bytes) in tensors {
            let end = data.len() + bytes.len();
            header.insert(name, json!({ "dtype": dtype, "shape": shape, "data_offsets": [data.len(), end] }));
            data.extend(bytes);
        }
        let header = Value::Object(header).to_string();
        let file = self.path(file);
        fs::write(file, [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), &data].concat()).unwrap();
    }
}

/// Name, type, shape, bytes.
type Tensor = (String, Value, Value, Vec<u8>);

fn find<'t>(tensors: &'t mut [Tensor], name: &str) -> &'t mut Tensor {
    tensors.iter_mut().find(|(found, ..)| found == name).unwrap_or_else(|| panic!("no {name}"))
}

const ONE: &str = "model.safetensors";
const INDEX: &str = "model.safetensors.index.json";
const SHARD: &str = "model-00001-of-00003.safetensors";
const NORM: &str = "model.norm.weight";
const CODES: &str = "model.layers.0.mlp.experts.gate_up_proj_blocks";
const SCALES: &str = "model.layers.1.mlp.experts.down_proj_scales";

/// What it is, the checkpoint it starts from, what is done to it, what the message has to name.
type Case = (&'static str, &'static str, fn(&Broken), &'static [&'static str]);

/// A change of a whole JSON or header value.
macro_rules! case {
    ($name:literal, $from:literal, |$broken:ident| $change:expr, $($expected:expr),+) => {
        ($name, $from, |$broken: &Broken| { $change; }, &[$($expected),+])
    };
}

fn cases() -> Vec<Case> {
    [files(), headers(), tensors(), quantized(), sharded(), configured(), original()].concat()
}

fn files() -> Vec<Case> {
    vec![
        case!("weights missing", "bf16", |b| fs::remove_file(b.path(ONE)).unwrap(), ONE, "read"),
        case!("weights empty", "bf16", |b| b.bytes(ONE, Vec::clear), ONE, "safetensors"),
        case!(
            "weights a directory",
            "bf16",
            |b| {
                fs::remove_file(b.path(ONE)).unwrap();
                fs::create_dir(b.path(ONE)).unwrap()
            },
            ONE,
            "not a file"
        ),
        case!("configuration missing", "bf16", |b| fs::remove_file(b.path("config.json")).unwrap(), "config.json"),
        case!("configuration empty", "bf16", |b| b.bytes("config.json", Vec::clear), "config.json", "not JSON"),
        case!(
            "configuration a directory",
            "bf16",
            |b| {
                fs::remove_file(b.path("config.json")).unwrap();
                fs::create_dir(b.path("config.json")).unwrap()
            },
            "config.json"
        ),
        case!("configuration not UTF-8", "bf16", |b| b.bytes("config.json", |c| c[5] = 0xff), "config.json"),
        case!("seven bytes", "bf16", |b| b.bytes(ONE, |c| c.truncate(7)), ONE),
        case!(
            "header without data",
            "bf16",
            |b| b.bytes(ONE, |c| {
                let header = u64::from_le_bytes(c[..8].try_into().unwrap()) as usize;
                c.truncate(8 + header)
            }),
            ONE,
            "cut short"
        ),
        case!("one byte too few", "bf16", |b| b.bytes(ONE, |c| c.truncate(c.len() - 1)), ONE, "cut short"),
        case!("one byte too many", "bf16", |b| b.bytes(ONE, |c| c.push(0)), ONE),
        case!("half a file", "bf16", |b| b.bytes(ONE, |c| c.truncate(c.len() / 2)), ONE, "cut short"),
        case!(
            "a text file",
            "bf16",
            |b| fs::write(b.path(ONE), "version https://git-lfs.github.com/spec/v1\n").unwrap(),
            ONE
        ),
        case!("noise", "bf16", |b| fs::write(b.path(ONE), [0x9c; 5000]).unwrap(), ONE),
        #[cfg(unix)]
        case!(
            "a loop of links",
            "bf16",
            |b| {
                fs::remove_file(b.path(ONE)).unwrap();
                std::os::unix::fs::symlink("a.safetensors", b.path(ONE)).unwrap();
                std::os::unix::fs::symlink(ONE, b.path("a.safetensors")).unwrap()
            },
            ONE
        ),
    ]
}

fn headers() -> Vec<Case> {
    vec![
        case!(
            "header longer than the file",
            "bf16",
            |b| b.bytes(ONE, |c| c[..8].copy_from_slice(&(1_u64 << 20).to_le_bytes())),
            ONE
        ),
        case!(
            "header of 2⁶³ bytes",
            "bf16",
            |b| b.bytes(ONE, |c| c[..8].copy_from_slice(&(1_u64 << 63).to_le_bytes())),
            ONE
        ),
        case!(
            "header of 2⁶⁴ − 1 bytes",
            "bf16",
            |b| b.bytes(ONE, |c| c[..8].copy_from_slice(&u64::MAX.to_le_bytes())),
            ONE
        ),
        case!("header of no bytes", "bf16", |b| b.bytes(ONE, |c| c[..8].fill(0)), ONE),
        case!("header not JSON", "bf16", |b| b.header_text(ONE, |text| text.replace('{', "[")), ONE),
        case!("header a list", "bf16", |b| b.header_text(ONE, |_| "[]".into()), ONE),
        case!("header not UTF-8", "bf16", |b| b.bytes(ONE, |c| c[20] = 0xff), ONE),
        case!("header of a million brackets", "bf16", |b| b.header_text(ONE, |_| "[".repeat(1_000_000)), ONE),
        case!(
            "a name twice",
            "bf16",
            |b| b.header_text(ONE, |text| {
                let at = text.find("\"model.norm.weight\"").unwrap();
                let end = at + text[at..].find('}').unwrap() + 1;
                format!("{{{},{}", &text[at..end], &text[1..])
            }),
            ONE,
            NORM,
            "twice"
        ),
        case!(
            "overlapping offsets",
            "bf16",
            |b| b.header(ONE, |h| {
                let start = h[NORM]["data_offsets"][0].as_u64().unwrap();
                h[NORM]["data_offsets"] = json!([start - 2, start + 62]);
            }),
            ONE
        ),
        case!(
            "a hole between offsets",
            "bf16",
            |b| {
                b.header(ONE, |h| _ = h.remove(NORM));
            },
            ONE
        ),
        case!(
            "offsets backwards",
            "bf16",
            |b| b.header(ONE, |h| {
                let offsets = h[NORM]["data_offsets"].clone();
                h[NORM]["data_offsets"] = json!([offsets[1], offsets[0]]);
            }),
            ONE
        ),
        case!(
            "offsets behind the end",
            "bf16",
            |b| b.header(ONE, |h| h[NORM]["data_offsets"] = json!([1_u64 << 40, (1_u64 << 40) + 64])),
            ONE
        ),
        case!("negative offsets", "bf16", |b| b.header(ONE, |h| h[NORM]["data_offsets"] = json!([-64, 0])), ONE),
        case!("one offset", "bf16", |b| b.header(ONE, |h| h[NORM]["data_offsets"] = json!([0])), ONE),
        case!(
            "no offsets",
            "bf16",
            |b| b.header(ONE, |h| _ = h[NORM].as_object_mut().unwrap().remove("data_offsets")),
            ONE
        ),
        case!("no shape", "bf16", |b| b.header(ONE, |h| _ = h[NORM].as_object_mut().unwrap().remove("shape")), ONE),
        case!("no type", "bf16", |b| b.header(ONE, |h| _ = h[NORM].as_object_mut().unwrap().remove("dtype")), ONE),
        case!("an unknown type", "bf16", |b| b.header(ONE, |h| h[NORM]["dtype"] = json!("F7")), ONE),
        case!(
            "a shape whose product overflows",
            "bf16",
            |b| b.header(ONE, |h| h[NORM]["shape"] = json!([1_u64 << 40, 1_u64 << 40])),
            ONE
        ),
        case!(
            "a shape that does not fit the offsets",
            "bf16",
            |b| b.header(ONE, |h| h[NORM]["shape"] = json!([33])),
            ONE
        ),
        case!("a negative shape", "bf16", |b| b.header(ONE, |h| h[NORM]["shape"] = json!([-32])), ONE),
        case!("a shape of text", "bf16", |b| b.header(ONE, |h| h[NORM]["shape"] = json!("32")), ONE),
        case!("a tensor that is a number", "bf16", |b| b.header(ONE, |h| h[NORM] = json!(7)), ONE),
    ]
}

fn tensors() -> Vec<Case> {
    vec![
        case!(
            "a tensor missing",
            "bf16",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| name != NORM)),
            ONE,
            NORM,
            "missing"
        ),
        case!("all tensors missing", "bf16", |b| b.tensors(ONE, Vec::clear), ONE, "embed_tokens", "missing"),
        case!(
            "a tensor nobody needs",
            "bf16",
            |b| b.tensors(ONE, |t| t.push(("extra".into(), json!("U8"), json!([3]), vec![0; 3]))),
            ONE,
            "extra"
        ),
        case!(
            "a tensor of a layer too many",
            "bf16",
            |b| b.tensors(ONE, |t| {
                let mut extra = find(t, "model.layers.0.input_layernorm.weight").clone();
                extra.0 = "model.layers.2.input_layernorm.weight".into();
                t.push(extra)
            }),
            ONE,
            "model.layers.2.input_layernorm.weight"
        ),
        case!("another shape", "bf16", |b| b.tensors(ONE, |t| find(t, NORM).2 = json!([16, 2])), ONE, NORM, "[16, 2]"),
        case!(
            "turned around",
            "bf16",
            |b| b.tensors(ONE, |t| find(t, "model.layers.0.self_attn.k_proj.weight").2 = json!([32, 32, 1])),
            ONE,
            "k_proj"
        ),
        case!("half precision", "bf16", |b| b.tensors(ONE, |t| find(t, NORM).1 = json!("F16")), ONE, NORM, "F16"),
        case!(
            "whole numbers",
            "bf16",
            |b| b.tensors(ONE, |t| find(t, "lm_head.weight").1 = json!("I16")),
            ONE,
            "lm_head.weight",
            "I16"
        ),
        case!(
            "double precision",
            "plain",
            |b| b.tensors(ONE, |t| {
                let norm = find(t, NORM);
                (norm.1, norm.3) = (json!("F64"), norm.3.repeat(2));
            }),
            ONE,
            NORM,
            "F64"
        ),
    ]
}

fn quantized() -> Vec<Case> {
    vec![
        case!(
            "blocks without scales",
            "mxfp4",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| name != SCALES)),
            ONE,
            SCALES,
            "missing"
        ),
        case!(
            "scales without blocks",
            "mxfp4",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| name != CODES)),
            ONE,
            CODES,
            "missing"
        ),
        case!(
            "neither",
            "mxfp4",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| !name.contains("layers.0.mlp.experts.gate_up_proj_"))),
            ONE,
            "gate_up_proj",
            "missing"
        ),
        case!(
            "a scale that is not a number",
            "mxfp4",
            |b| b.tensors(ONE, |t| find(t, SCALES).3[17] = 255),
            ONE,
            SCALES,
            "scale 17"
        ),
        case!(
            "the last scale not a number",
            "mxfp4",
            |b| b.tensors(ONE, |t| *find(t, SCALES).3.last_mut().unwrap() = 255),
            ONE,
            SCALES
        ),
        case!(
            "blocks of another size",
            "mxfp4",
            |b| b.tensors(ONE, |t| find(t, CODES).2 = json!([4, 64, 2, 8])),
            ONE,
            CODES,
            "[4, 64, 2, 8]"
        ),
        case!(
            "scales of another shape",
            "mxfp4",
            |b| b.tensors(ONE, |t| find(t, SCALES).2 = json!([4, 32])),
            ONE,
            SCALES,
            "[4, 32]"
        ),
        case!("blocks with a sign", "mxfp4", |b| b.tensors(ONE, |t| find(t, CODES).1 = json!("I8")), ONE, CODES, "I8"),
        case!(
            "scales as floats of 8 bits",
            "mxfp4",
            |b| b.tensors(ONE, |t| find(t, SCALES).1 = json!("F8_E4M3")),
            ONE,
            SCALES,
            "F8_E4M3"
        ),
        case!(
            "both blocks and weights",
            "mxfp4",
            |b| b.tensors(ONE, |t| t.push((
                "model.layers.0.mlp.experts.gate_up_proj".into(),
                json!("U8"),
                json!([1]),
                vec![0]
            ))),
            ONE,
            "gate_up_proj"
        ),
        case!(
            "another quantization",
            "mxfp4",
            |b| b.json("config.json", |c| c["quantization_config"]["quant_method"] = json!("fp8")),
            "config.json",
            "fp8"
        ),
        case!(
            "a quantization without a name",
            "mxfp4",
            |b| b.json("config.json", |c| c["quantization_config"] = json!({})),
            "config.json",
            "quant_method"
        ),
        case!(
            "rows that are not whole blocks",
            "mxfp4",
            |b| b.json("config.json", |c| c["intermediate_size"] = json!(20)),
            ONE,
            "gate_up_proj"
        ),
    ]
}

fn sharded() -> Vec<Case> {
    vec![
        case!("a shard missing", "bf16_sharded", |b| fs::remove_file(b.path(SHARD)).unwrap(), SHARD, "read"),
        case!("a shard cut short", "bf16_sharded", |b| b.bytes(SHARD, |c| c.truncate(c.len() - 9)), SHARD, "cut short"),
        case!("a shard empty", "bf16_sharded", |b| b.bytes(SHARD, Vec::clear), SHARD),
        case!("index empty", "bf16_sharded", |b| b.bytes(INDEX, Vec::clear), INDEX, "not JSON"),
        case!(
            "index without a map",
            "bf16_sharded",
            |b| b.json(INDEX, |i| _ = i.remove("weight_map")),
            INDEX,
            "weight_map"
        ),
        case!(
            "index with a list for a map",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"] = json!([])),
            INDEX,
            "weight_map"
        ),
        case!(
            "an index of nothing",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"] = json!({})),
            "embed_tokens",
            "missing"
        ),
        case!(
            "a path upwards",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"][NORM] = json!("../model.safetensors")),
            INDEX,
            NORM,
            ".."
        ),
        case!(
            "an absolute path",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"][NORM] = json!("/etc/passwd")),
            INDEX,
            NORM,
            "/etc/passwd"
        ),
        case!(
            "a path into a directory",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"][NORM] = json!("a/b.safetensors")),
            INDEX,
            NORM
        ),
        case!(
            "a file that is a number",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"][NORM] = json!(1)),
            INDEX,
            NORM
        ),
        case!(
            "a file without a name",
            "bf16_sharded",
            |b| b.json(INDEX, |i| i["weight_map"][NORM] = json!("")),
            INDEX,
            NORM
        ),
        case!(
            "a tensor in another shard than the index says",
            "bf16_sharded",
            |b| b.json(INDEX, |i| {
                let other = if i["weight_map"][NORM] == SHARD { "model-00002-of-00003.safetensors" } else { SHARD };
                i["weight_map"][NORM] = json!(other)
            }),
            INDEX,
            NORM
        ),
        case!(
            "a tensor of which the index knows nothing",
            "bf16_sharded",
            |b| b.json(INDEX, |i| _ = i["weight_map"].as_object_mut().unwrap().remove(NORM)),
            NORM,
            INDEX
        ),
        case!(
            "a tensor in two shards",
            "bf16_sharded",
            |b| b.tensors(SHARD, |t| {
                let name = if t.iter().any(|(name, ..)| name == NORM) { "model.embed_tokens.weight" } else { NORM };
                t.push((name.into(), json!("BF16"), json!([32]), vec![0; 64]))
            }),
            SHARD,
            "not said to be here"
        ),
    ]
}

fn configured() -> Vec<Case> {
    fn set(broken: &Broken, key: &str, value: Value) {
        broken.json("config.json", |c| _ = c.insert(key.into(), value));
    }
    vec![
        case!(
            "a layer more than there is",
            "bf16",
            |b| b.json("config.json", |c| {
                (c["num_hidden_layers"], c["layer_types"]) =
                    (json!(3), json!(["full_attention", "full_attention", "full_attention"]))
            }),
            ONE,
            "model.layers.2.",
            "missing"
        ),
        case!("another width", "bf16", |b| set(b, "hidden_size", json!(64)), ONE, "embed_tokens", "[64, 32]"),
        case!("another vocabulary", "bf16", |b| set(b, "vocab_size", json!(65)), ONE, "embed_tokens"),
        case!("more experts", "bf16", |b| set(b, "num_local_experts", json!(5)), ONE, "router"),
        case!("tied, with a head", "bf16", |b| set(b, "tie_word_embeddings", json!(true)), ONE, "lm_head.weight"),
        case!(
            "not tied, without a head",
            "bf16_sharded",
            |b| set(b, "tie_word_embeddings", json!(false)),
            "lm_head.weight",
            "missing"
        ),
        case!("a vocabulary of 2⁶²", "bf16", |b| set(b, "vocab_size", json!(1_u64 << 62)), "config.json", "vocab_size"),
        case!("four million experts", "bf16", |b| set(b, "num_local_experts", json!(1 << 22)), ONE, "router"),
    ]
}

fn original() -> Vec<Case> {
    vec![
        case!(
            "original: q, k and v too short",
            "original",
            |b| b.tensors(ONE, |t| {
                let qkv = find(t, "block.0.attn.qkv.weight");
                (qkv.2, qkv.3) = (json!([127, 32]), qkv.3[..127 * 64].to_vec());
            }),
            ONE,
            "block.0.attn.qkv.weight",
            "[127, 32]"
        ),
        case!(
            "original: a tensor missing",
            "original",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| name != "block.1.mlp.gate.bias")),
            ONE,
            "block.1.mlp.gate.bias",
            "missing"
        ),
        case!(
            "original: blocks without scales",
            "original",
            |b| b.tensors(ONE, |t| t.retain(|(name, ..)| name != "block.0.mlp.mlp1_weight.scales")),
            ONE,
            "mlp1_weight.scales",
            "missing"
        ),
        case!(
            "original: no experts in the configuration",
            "original",
            |b| b.json("config.json", |c| _ = c.remove("num_experts")),
            "config.json",
            "num_experts"
        ),
        case!(
            "original: an absurd window",
            "original",
            |b| b.json("config.json", |c| c["sliding_window"] = json!("wide")),
            "config.json",
            "sliding_window"
        ),
        case!(
            "original: more layers than memory",
            "original",
            |b| b.json("config.json", |c| c["num_hidden_layers"] = json!(1_u64 << 40)),
            "config.json",
            "num_hidden_layers"
        ),
    ]
}

#[test]
fn malformed_checkpoints_are_refused_in_one_line() {
    let all = cases();
    assert!(all.len() >= 60, "{} cases", all.len());
    let names: std::collections::BTreeSet<_> = all.iter().map(|(name, ..)| name).collect();
    assert_eq!(names.len(), all.len(), "a name stands there twice");
    let mut wrong = Vec::new();
    for (name, from, damage, expected) in all {
        let broken = Broken::copy(from);
        damage(&broken);
        if let Err(message) = refused(broken.directory.path(), expected) {
            wrong.push(format!("{name}: {message}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn refused(directory: &Path, expected: &[&str]) -> Result<(), String> {
    let run = Command::new(env!("CARGO_BIN_EXE_ossia")).arg("inspect").arg(directory).output().unwrap();
    let message = String::from_utf8(run.stderr).unwrap();
    let all = expected.iter().all(|part| message.contains(part));
    match run.status.code() == Some(2) && message.trim_end().lines().count() == 1 && run.stdout.is_empty() && all {
        true => Ok(()),
        false => Err(format!("exit {:?}, expected {expected:?}, found {message}", run.status.code())),
    }
}

/// The undamaged ones open: what is refused above is the damage.
#[test]
fn malformed_checkpoints_start_from_good_ones() {
    for name in ["bf16", "bf16_sharded", "mxfp4", "original", "plain"] {
        let copy = Broken::copy(name);
        copy.tensors(if name == "bf16_sharded" { SHARD } else { ONE }, |_| {});
        let run = Command::new(env!("CARGO_BIN_EXE_ossia")).arg("inspect").arg(copy.directory.path()).output().unwrap();
        assert!(run.status.success(), "{name}: {}", String::from_utf8_lossy(&run.stderr));
    }
}
