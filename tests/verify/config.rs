//! `config.json`: both forms that transformers writes, what is refused, and the presets.
//!
//! Book: [model](../../book/src/model.md)

use crate::common::reference_path;
use ossia::config::{ModelConfig, Yarn};
use ossia::layers::Layer;
use ossia::model::Transformer;
use serde_json::{Value, json};

fn parse(value: &Value) -> Result<ModelConfig, String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("config.json");
    std::fs::write(&path, value.to_string()).unwrap();
    ModelConfig::load(&path).map_err(|e| e.to_string().replace(&format!("{}: ", path.display()), ""))
}

fn nano() -> Value {
    serde_json::from_str(&ModelConfig::nano().to_json()).unwrap()
}

fn nano_with(key: &str, value: Value) -> Value {
    let mut config = nano();
    config[key] = value;
    config
}

#[test]
fn config_presets_round_trip() {
    for name in ModelConfig::PRESETS {
        let preset = ModelConfig::preset(name).unwrap();
        let read = parse(&serde_json::from_str(&preset.to_json()).unwrap()).unwrap();
        assert_eq!(read, preset, "{name}");
    }
    assert!(ModelConfig::preset("mega").unwrap_err().to_string().contains("nano, tiny, small"));
}

#[test]
fn config_of_transformers_4_and_5_mean_the_same() {
    let five = ModelConfig::load(reference_path("checkpoints/plain/config.json")).unwrap();
    assert_eq!((five.rope_theta, five.yarn), (150_000.0, None));
    assert_eq!(five.windows, [Some(4), None]);
    let four = ModelConfig::load(reference_path("checkpoints/yarn/config.json")).unwrap();
    assert_eq!((four.rope_theta, &four.yarn), (150_000.0, &Some(Yarn::gpt_oss())));
    assert_eq!(four.other["an_unknown_key"], json!("is kept"));
    assert!(four.to_json().contains("\"an_unknown_key\": \"is kept\""));
}

#[test]
fn config_without_layer_types_alternates_and_without_rope_is_gpt_oss() {
    let mut config = nano();
    config.as_object_mut().unwrap().remove("layer_types");
    config.as_object_mut().unwrap().remove("rope_parameters");
    let read = parse(&config).unwrap();
    assert_eq!(read.windows, [Some(128), None, Some(128), None]);
    assert_eq!(read.yarn, Some(Yarn::gpt_oss()));
}

#[test]
fn config_eos_may_be_a_list() {
    assert_eq!(parse(&nano_with("eos_token_id", json!([5, 9]))).unwrap().eos_token_ids, [5, 9]);
    assert_eq!(parse(&nano_with("eos_token_id", json!(7))).unwrap().eos_token_ids, [7]);
}

#[test]
fn config_contradictions_are_one_line() {
    let yarn = |key: &str, value: f64| {
        let mut rope = json!({"rope_type": "yarn", "factor": 32.0});
        rope[key] = json!(value);
        rope
    };
    let table = [
        (
            "num_attention_heads",
            json!(5),
            "num_attention_heads is 5, which is not a multiple of num_key_value_heads, 2",
        ),
        ("head_dim", json!(33), "head_dim is 33; rotary positions need an even number"),
        ("num_experts_per_tok", json!(9), "num_experts_per_tok is 9, more than the 8 experts"),
        ("num_hidden_layers", json!(5), "layer_types has 4 entries; num_hidden_layers is 5"),
        ("num_hidden_layers", json!(4_000_000_000_u64), "layer_types has 4 entries"),
        ("vocab_size", json!(0), "vocab_size is 0; expected 1 ..="),
        ("vocab_size", json!(1_u64 << 60), "expected 1 ..="),
        ("hidden_size", json!("128"), "hidden_size is \"128\"; expected a whole number"),
        ("hidden_size", json!(-1), "hidden_size is -1; expected a whole number"),
        ("hidden_size", Value::Null, "hidden_size is missing"),
        ("model_type", json!("llama"), "model_type is \"llama\"; expected \"gpt_oss\""),
        ("hidden_act", json!("gelu"), "hidden_act is \"gelu\""),
        ("attention_bias", json!(false), "attention_bias is false"),
        ("sliding_window", json!(0), "sliding_window is 0"),
        ("sliding_window", Value::Null, "sliding_window is missing"),
        ("layer_types", json!(["full_attention", "x", "x", "x"]), "layer_types is \"x\"; expected sliding_attention"),
        ("layer_types", json!(3), "layer_types is 3; expected a list"),
        ("rms_norm_eps", json!(0.0), "rms_norm_eps is 0"),
        ("tie_word_embeddings", json!("yes"), "tie_word_embeddings is \"yes\"; expected true or false"),
        ("eos_token_id", json!(2048), "eos_token_id is 2048, not below vocab_size"),
        ("eos_token_id", json!("end"), "eos_token_id is \"end\"; expected a token id"),
        ("router_aux_loss_coef", json!(-1.0), "router_aux_loss_coef is -1"),
        ("mlp_only_layers", json!([4]), "mlp_only_layers names layer 4; there are 4 layers"),
        ("mlp_only_layers", json!([1]), "dense_intermediate_size is 0; mlp_only_layers needs a positive size"),
        ("rope_parameters", json!(7), "rope_parameters is 7; expected an object"),
        ("rope_parameters", json!({"rope_type": "linear"}), "rope_parameters.rope_type is \"linear\""),
        ("rope_parameters", json!({"rope_type": "yarn"}), "rope_parameters.factor is missing"),
        ("rope_parameters", json!({"rope_type": "yarn", "factor": 0.5}), "rope factor is 0.5"),
        ("rope_parameters", json!({"rope_type": "default", "mscale": 2}), "rope_parameters.mscale is not known"),
        ("rope_parameters", json!({"rope_theta": 1.0}), "rope_theta is 1; expected more than 1"),
        ("rope_parameters", json!({"rope_theta": 1e39}), "finite in f32"),
        ("rope_parameters", yarn("factor", 1e39), "rope factor is 1"),
        ("rope_parameters", yarn("beta_fast", 1e-308), "beta_fast is 0.0"),
        ("rope_parameters", yarn("beta_slow", 1e39), "beta_slow is 1"),
        ("rope_parameters", yarn("attention_factor", 1e39), "attention_factor is 1"),
        ("rope_parameters", yarn("attention_factor", 1e20), "expected 1e-6 to 1e6"),
        ("rope_parameters", yarn("attention_factor", 1e-30), "expected 1e-6 to 1e6"),
        ("rms_norm_eps", json!(1e39), "rms_norm_eps is inf"),
        ("swiglu_limit", json!(1e-60), "swiglu_limit is 0"),
    ];
    for (key, value, expected) in table {
        let message = parse(&nano_with(key, value.clone())).expect_err(&format!("{key} = {value} is refused"));
        assert!(message.contains(expected), "{key} = {value}: {message}");
        assert!(!message.contains('\n'), "one line: {message}");
    }
    let mut null = nano_with("rope_scaling", Value::Null);
    null.as_object_mut().unwrap().remove("rope_parameters");
    assert!(parse(&null).unwrap_err().contains("rope_scaling is null"));
    assert!(parse(&json!([1])).unwrap_err().contains("expected a JSON object"));
}

#[test]
fn config_presets_have_the_parameters_of_the_table() {
    let count = |name: &str| {
        let model = ossia::model::Transformer::random(&ModelConfig::preset(name).unwrap(), 0);
        model.parameters().iter().map(|parameter| parameter.value().count()).sum::<usize>()
    };
    assert_eq!((count("nano") as f64 / 1e4).round() / 100.0, 2.05);
    assert_eq!((count("tiny") as f64 / 1e5).round() / 10.0, 11.5);
}

/// The counts from a configuration equal those of a model with this configuration.
#[test]
fn config_is_counted_as_its_model_is() {
    use ossia::checkpoint::report::{published, report};
    let dense = ModelConfig { dense_layers: vec![1], dense_intermediate_size: 48, tied: false, ..ModelConfig::nano() };
    for config in [ModelConfig::nano(), dense] {
        let (counted, found) = (published(&config), report(&Transformer::random(&config, 0)));
        let parts = |report: &ossia::checkpoint::report::Report| {
            let mut parts: Vec<_> = report.components.iter().map(|part| (part.name, part.parameters)).collect();
            parts.sort_unstable();
            parts
        };
        assert_eq!((parts(&counted), counted.active), (parts(&found), found.active));
        assert_eq!(found.total().bytes, 4 * found.total().parameters);
    }
}

#[test]
fn config_with_two_names_for_a_number_is_read_as_transformers_reads_it() {
    let mut value: Value = serde_json::from_str(&ModelConfig::nano().to_json()).unwrap();
    value["num_experts"] = value["num_local_experts"].clone();
    value["rope_scaling"] = value["rope_parameters"].clone();
    assert!(parse(&value).is_ok());
    value["rope_scaling"]["rope_theta"] = json!(10_000.0);
    assert!(
        parse(&value).unwrap_err().contains("rope_scaling.rope_theta is 10000.0 and rope_parameters.rope_theta is")
    );
    value["rope_scaling"] = value["rope_parameters"].clone();
    // transformers lets num_experts win, and num_experts_per_tok.
    (value["num_experts"], value["experts_per_token"]) = (json!(9), json!(1));
    let config = parse(&value).unwrap();
    assert_eq!((config.experts, config.experts_per_token), (9, 2));
    assert_eq!(
        ModelConfig::contradictions(&value.to_string()),
        [
            "num_experts is 9 and num_local_experts is 8; transformers and ossia use num_experts",
            "num_experts_per_tok is 2 and experts_per_token is 1; transformers and ossia use num_experts_per_tok"
        ]
    );
}

/// YaRN with factor 1 stretches nothing.
#[test]
fn config_accepts_yarn_with_factor_1() {
    let rope = |rope: Value| parse(&nano_with("rope_parameters", rope)).unwrap();
    let yarn = rope(json!({"rope_type": "yarn", "factor": 1.0, "rope_theta": 10_000.0}));
    let plain = rope(json!({"rope_type": "default", "rope_theta": 10_000.0}));
    let rotary = |config: &ModelConfig| ossia::layers::Rotary::new(config);
    assert_eq!(rotary(&yarn).inverse_frequencies(), rotary(&plain).inverse_frequencies());
    assert_eq!(rotary(&yarn).concentration(), 1.0);
}
