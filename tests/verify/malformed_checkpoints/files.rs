//! Faults of a file, or of its header.

use super::{Broken, Case, NORM, ONE, case};
use serde_json::json;
use std::fs;

pub fn files() -> Vec<Case> {
    vec![
        case!("weights missing", "bf16", |b| fs::remove_file(b.path(ONE)).unwrap(), ONE, "complete"),
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
            "weights that are a pointer",
            "bf16",
            |b| fs::write(b.path(ONE), "version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\n").unwrap(),
            ONE,
            "git lfs pull"
        ),
        case!(
            "a configuration that is a pointer",
            "bf16",
            |b| fs::write(b.path("config.json"), "version https://git-lfs.github.com/spec/v1\n").unwrap(),
            "config.json",
            "git lfs pull"
        ),
        case!(
            "weights that are a web page",
            "bf16",
            |b| fs::write(b.path(ONE), "\n<!DOCTYPE html>\n<html><title>Sign in</title></html>").unwrap(),
            ONE,
            "is a web page"
        ),
        case!(
            "a configuration that is a web page",
            "bf16",
            |b| fs::write(b.path("config.json"), "<HTML lang=en>").unwrap(),
            "config.json",
            "is a web page"
        ),
        case!(
            "weights that are GGUF",
            "bf16",
            |b| fs::write(b.path(ONE), b"GGUF\x03\0\0\0\x01").unwrap(),
            ONE,
            "is a GGUF file"
        ),
        case!(
            "weights of PyTorch",
            "bf16",
            |b| fs::rename(b.path(ONE), b.path("pytorch_model.bin")).unwrap(),
            "pytorch_model.bin",
            "save_pretrained"
        ),
        case!(
            "an adapter beside the configuration of its base model",
            "bf16",
            |b| fs::rename(b.path(ONE), b.path("adapter_model.safetensors")).unwrap(),
            "adapter_model.safetensors",
            "--adapter"
        ),
        case!("a text file", "bf16", |b| fs::write(b.path(ONE), "once upon a time\n").unwrap(), ONE),
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

pub fn headers() -> Vec<Case> {
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
            "a name with a line break that no part of the model has",
            "bf16",
            |b| b.header_text(ONE, |text| text.replace("model.norm.weight", "model.norm\\nweight")),
            ONE,
            "tensor",
            "norm"
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
