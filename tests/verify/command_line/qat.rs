//! `ossia train --qat`.

use super::widen;
use super::{losses, refuse, succeed, text, train, workplace};
use std::fs;

const QAT: [&str; 8] = ["--qat", "mxfp4", "--context", "16", "--eval-data", "told.jsonl", "--save-every", "2"];

/// The loss that training reports is the one that `ossia eval` measures on the model that `ossia quantize` writes. The run resumes
/// and is divided among ranks, bit for bit.
#[test]
fn command_line_qat_reports_the_loss_of_the_quantized_model() {
    let place = workplace();
    let at = place.path();
    widen(at);
    let story = "Once upon a time, there was a happy cat named Tom. Tom liked cake.";
    fs::write(at.join("told.jsonl"), format!("{{\"text\": \"{story}\"}}\n").repeat(5)).unwrap();
    let constant = ["--schedule", "constant"];
    let run = |more: &[&str]| text(&succeed(&train(&[&QAT, &constant[..], more].concat()), at).stderr);
    let said = run(&["--accumulate", "2", "--steps", "4", "--out", "whole"]);
    assert!(said.contains("(experts compute with their values in MXFP4)"), "{said}");
    assert!(said.contains("which this writes: ossia quantize whole whole-mxfp4"), "{said}");

    succeed(&["quantize", "whole", "whole-mxfp4"], at);
    let eval = ["--data", "told.jsonl", "--context", "16", "--batch-size", "2"];
    let [quantized, exact] = ["whole-mxfp4", "whole"].map(|model| {
        let output = text(&succeed(&[&["eval", model], &eval[..]].concat(), at).stdout);
        output.lines().nth(1).unwrap().split(' ').next().unwrap().to_string()
    });
    let reported = losses(&at.join("whole")).last().unwrap().rsplit(' ').next().unwrap().parse::<f64>().unwrap();
    assert_eq!(quantized, format!("{reported:.4}"));
    assert_ne!(quantized, exact, "rounding has an effect");

    run(&["--accumulate", "2", "--steps", "2", "--out", "parts"]);
    succeed(&["train", "--resume", "--out", "parts", "--steps", "4"], at);
    run(&["--ranks", "2", "--steps", "4", "--out", "ranks"]);
    run(&["--ranks", "2", "--expert-parallel", "2", "--steps", "4", "--out", "spread"]);
    for other in ["parts", "ranks", "spread"] {
        for name in ["model.safetensors", "state.safetensors"] {
            let [a, b] = ["whole", other].map(|run| fs::read(at.join(run).join(name)).unwrap());
            assert!(a == b, "{other}/{name}");
        }
    }

    // A model in MXFP4 is trained further.
    let further = ["--qat", "mxfp4", "--stories", "40", "--context", "16", "--steps", "2", "--out", "further"];
    succeed(&[&["train", "--init", "whole-mxfp4"], &further[..]].concat(), at);
}

#[test]
fn command_line_qat_that_has_no_effect_is_refused() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "1", "--out", "first"]), at);
    let qat = |more: &[&'static str]| [&["train", "--out", "x", "--qat"], more].concat();
    let cases = [
        (qat(&["mxfp4", "--config", "dense.json"]), "error: --qat mxfp4: this model has no experts"),
        (qat(&["mxfp4", "--config", "small.json"]), "--qat mxfp4: rows of 16 numbers are not whole blocks of 32"),
        (qat(&["mxfp4", "--freeze", "expert"]), "error: --qat mxfp4: the experts are frozen"),
        (qat(&["int4"]), "invalid value 'int4' for '--qat <FORMAT>'"),
        (qat(&["mxfp4", "--init", "first", "--lora", "2"]), "cannot be used with"),
        (vec!["train", "--resume", "--out", "first", "--qat", "mxfp4"], "--qat cannot change with --resume"),
    ];
    cases.iter().for_each(|(arguments, expected)| refuse(arguments, at, expected));
    assert!(!at.join("x").exists());

    // A run whose settings were changed by hand is refused, too.
    let settings = fs::read_to_string(at.join("first/train.json")).unwrap();
    let changed = settings.replace("\"seed\": 0", "\"qat\": \"mxfp4\", \"seed\": 0");
    assert_ne!(settings, changed);
    fs::write(at.join("first/train.json"), changed).unwrap();
    let resumed = ["train", "--resume", "--out", "first", "--steps", "2"];
    refuse(&resumed, at, "--qat mxfp4: rows of 16 numbers are not whole blocks of 32");
}
