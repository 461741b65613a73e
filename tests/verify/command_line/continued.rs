//! `ossia train --init` and `--freeze`: what is frozen stays as it was, and a run that is stopped resumes.

use super::{refuse, succeed, text, train, workplace};
use ossia::checkpoint;
use ossia::layers::Layer;
use ossia::model::Transformer;
use ossia::parameter::Role;
use std::fs;
use std::path::Path;

/// The names and numbers of the parameters, and their roles.
fn parameters(model: &Transformer) -> Vec<(String, Role, Vec<f32>)> {
    model.parameters().iter().map(|p| (p.name().to_string(), p.role(), p.value().to_f32())).collect()
}

fn first_loss(run: &Path) -> String {
    super::losses(run)[0].split(' ').nth(1).unwrap().to_string()
}

/// Starts from `init` with more arguments.
fn continued<'a>(init: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    let arguments = train(&[&["--init", init, "--context", "16", "--learning-rate", "0.01"], more].concat());
    let config = arguments.iter().position(|argument| *argument == "--config").unwrap();
    [&arguments[..config], &arguments[config + 2..]].concat()
}

#[test]
fn command_line_frozen_roles_stay_and_all_others_change() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "3", "--out", "first"]), at);
    for name in ["chat_template.jinja", "system.json"] {
        fs::write(at.join("first").join(name), "{}").unwrap(); // as a chat model has
    }
    let before = parameters(&checkpoint::load(at.join("first")).unwrap());
    for frozen in ["embedding,norm,sink", "matrix,router", "expert", "bias"] {
        let run = format!("without-{frozen}");
        let output = succeed(&continued("first", &["--freeze", frozen, "--steps", "2", "--out", &run]), at);
        assert!(text(&output.stderr).contains(&format!("(frozen: {})", frozen.replace(',', ", "))));
        let after = parameters(&checkpoint::load(at.join(&run)).unwrap());
        for ((name, role, a), (_, _, b)) in before.iter().zip(&after) {
            assert_eq!(a == b, frozen.split(',').any(|name| name == role.name()), "{frozen}: {name}");
        }
        for file in ["tokenizer.json", "config.json", "chat_template.jinja", "system.json"] {
            let [a, b] = ["first", &run].map(|run| fs::read(at.join(run).join(file)).unwrap());
            assert!(a == b, "{file}");
        }
    }
}

#[test]
fn command_line_continued_runs_resume_and_divide_bit_for_bit() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "3", "--out", "first"]), at);
    let more = ["--freeze", "router,embedding", "--schedule", "constant", "--save-every", "2"];
    let run = |more_still: &[&str]| succeed(&continued("first", &[&more, more_still].concat()), at);
    run(&["--accumulate", "2", "--steps", "4", "--out", "whole"]);
    run(&["--accumulate", "2", "--steps", "2", "--out", "parts"]);
    succeed(&["train", "--resume", "--out", "parts", "--steps", "4"], at);
    run(&["--ranks", "2", "--steps", "4", "--out", "ranks"]);
    for other in ["parts", "ranks"] {
        for file in ["model.safetensors", "state.safetensors"] {
            let [a, b] = ["whole", other].map(|run| fs::read(at.join(run).join(file)).unwrap());
            assert!(a == b, "{other}/{file}");
        }
    }
    fs::rename(at.join("first"), at.join("moved")).unwrap();
    refuse(&["train", "--resume", "--out", "whole", "--steps", "5"], at, "first: no such directory");
}

/// The first loss is that of the quantized model, whether its experts become f32 or stay in their file.
#[test]
fn command_line_continued_from_mxfp4() {
    let place = workplace();
    let at = place.path();
    let config = fs::read_to_string(at.join("small.json")).unwrap();
    let wide = config
        .replace("\"hidden_size\": 16", "\"hidden_size\": 32")
        .replace("\"intermediate_size\": 16", "\"intermediate_size\": 32");
    fs::write(at.join("small.json"), wide).unwrap();
    succeed(&train(&["--steps", "3", "--out", "first"]), at);
    succeed(&["quantize", "first", "four"], at);
    let output = succeed(&continued("four", &["--steps", "2", "--out", "dense"]), at);
    assert!(text(&output.stderr).contains("they become f32 and are trained"));
    succeed(&continued("four", &["--steps", "2", "--freeze", "expert", "--out", "frozen"]), at);
    assert_eq!(first_loss(&at.join("dense")), first_loss(&at.join("frozen")));
    assert_ne!(first_loss(&at.join("dense")), {
        succeed(&continued("first", &["--steps", "2", "--out", "f32"]), at);
        first_loss(&at.join("f32"))
    });
    let [quantized, dense, frozen] = ["four", "dense", "frozen"].map(|run| {
        let model = checkpoint::load(at.join(run)).unwrap();
        let mxfp4 = model.parameters().iter().filter(|p| p.value().mxfp4().is_some()).count();
        (mxfp4, parameters(&model).into_iter().filter(|(_, role, _)| *role == Role::Expert).collect::<Vec<_>>())
    });
    assert_eq!((quantized.0, dense.0, frozen.0), (4, 0, 4), "the formats of the experts' matrices");
    assert!(quantized.1 == frozen.1 && quantized.1 != dense.1);
    for run in ["frozen", "dense"] {
        succeed(&["train", "--resume", "--out", run, "--steps", "3"], at);
    }
    // What is trained is in the state, so only what is frozen needs the first model.
    fs::rename(at.join("four"), at.join("moved")).unwrap();
    succeed(&["train", "--resume", "--out", "dense", "--steps", "4"], at);
    refuse(&["train", "--resume", "--out", "frozen", "--steps", "4"], at, "four: no such directory");
}

#[test]
fn command_line_continued_from_what_does_not_fit_is_refused() {
    let place = workplace();
    let at = place.path();
    succeed(&train(&["--steps", "1", "--out", "first"]), at);
    succeed(&train(&["--config", "dense.json", "--steps", "1", "--out", "dense"]), at);
    let all = "embedding,matrix,expert,router,norm,bias,sink";
    let cases: [(&str, &[&str], &str); 8] = [
        ("first", &["--freeze", "head"], "error: --freeze head: this model has none"),
        ("dense", &["--freeze", "router"], "error: --freeze router: this model has none"),
        ("first", &["--freeze", all], "error: --freeze: nothing is left to be trained"),
        (
            "first",
            &["--freeze", "attention"],
            "\"attention\" is no kind of parameter; expected one of embedding, matrix",
        ),
        ("first", &["--preset", "nano"], "'--init <MODEL>' cannot be used with '--preset"),
        ("first", &["--tokenizer", "o200k_harmony"], "cannot be used with '--tokenizer"),
        ("first", &["--resume"], "--init cannot change with --resume"),
        ("nowhere", &[], "nowhere: no such directory; expected a MODEL"),
    ];
    for (init, more, expected) in cases {
        let out = if more == ["--resume"] { "first" } else { "run" };
        refuse(&[&["train", "--init", init, "--out", out], more].concat(), at, expected);
    }
    let no_marks = ["train", "--init", "first", "--task", "arithmetic", "--out", "run"];
    refuse(&no_marks, at, "this tokenizer has no <|start|>");
    assert!(!at.join("run").exists());
}
