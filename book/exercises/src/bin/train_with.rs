//! Trains with a layer that you wrote: `cargo run --release -p exercises --bin train_with rms_norm`.
//!
//! The program copies the source of the engine, replaces the functions of the layer in the copy by yours, and builds the copy.
//! So the engine itself needs no branch for this.

use clap::Parser;
use plotters::prelude::*;
use serde_json::Value;
use std::error::Error;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

type Done<T> = Result<T, Box<dyn Error>>;

/// A change to the copy of the engine.
enum Edit {
    /// Removes the function of this name.
    Cut(&'static str),
    /// Replaces a line by another.
    Exchange(&'static str, &'static str),
}
use Edit::{Cut, Exchange};

/// The file and the functions of a layer in the engine.
struct Place {
    name: &'static str,
    file: &'static str,
    edits: &'static [Edit],
    /// Code that is appended to the file, and calls your layer in the module `yours`.
    adapter: &'static str,
}

const FUNCTIONS: &str = "pub use yours::{backward, forward};\n";

const PLACES: [Place; 8] = [
    Place {
        name: "embedding",
        file: "ops/embedding.rs",
        edits: &[Cut("forward"), Cut("backward")],
        adapter: include_str!("../../adapters/embedding.rs"),
    },
    Place { name: "rms_norm", file: "ops/rms_norm.rs", edits: &[Cut("forward"), Cut("backward")], adapter: FUNCTIONS },
    Place { name: "rope", file: "ops/rope.rs", edits: &[Cut("forward"), Cut("backward")], adapter: FUNCTIONS },
    Place { name: "swiglu", file: "ops/swiglu.rs", edits: &[Cut("forward"), Cut("backward")], adapter: FUNCTIONS },
    Place { name: "top_k", file: "ops/top_k.rs", edits: &[Cut("forward"), Cut("backward")], adapter: FUNCTIONS },
    Place {
        name: "attention",
        file: "ops/attention/mod.rs",
        edits: &[
            Exchange("tiled::forward_batch(", "yours_forward("),
            Exchange("backward::backward(", "yours_backward("),
        ],
        adapter: include_str!("../../adapters/attention.rs"),
    },
    Place {
        name: "cross_entropy",
        file: "ops/cross_entropy.rs",
        edits: &[Cut("row_losses")],
        adapter: include_str!("../../adapters/cross_entropy.rs"),
    },
    Place {
        name: "adamw",
        file: "train/optimizer.rs",
        edits: &[Exchange(
            "adamw::update(&step, gradient, weight, m, v);",
            "yours_step(&self.hyperparameters, &step, role, self.steps as i32, lr, gradient, weight, m, v);",
        )],
        adapter: include_str!("../../adapters/adamw.rs"),
    },
];

/// Builds the engine with a layer that you wrote, trains a small model with it, and compares the losses with the engine's own.
#[derive(Parser)]
#[command(name = "train_with")]
struct Arguments {
    /// The layer: the name of a file in book/exercises/src, without .rs
    #[arg(value_parser = PLACES.map(|place| place.name))]
    layer: String,
    /// Use the layer in book/exercises/solutions instead of yours
    #[arg(long)]
    solution: bool,
    /// The number of training steps
    #[arg(long, default_value = "200")]
    steps: u32,
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn run() -> Done<()> {
    let Arguments { layer: name, solution, steps } = Arguments::parse();
    let steps = &steps.to_string();
    let place = PLACES.iter().find(|place| place.name == name).expect("clap allows these names only");
    let exercises = Path::new(env!("CARGO_MANIFEST_DIR"));
    let engine = exercises.join("../..").canonicalize()?;
    let yours = match solution {
        true => exercises.join(format!("solutions/{name}.rs")),
        false => exercises.join(format!("src/{name}.rs")),
    };
    let written = fs::read_to_string(&yours)?;
    if written.contains("todo!(") {
        return Err(format!("{} is not written yet", yours.display()).into());
    }
    let work = engine.join("target/train_with").join(&name);
    copy_engine(&engine, &work, place, &written)?;
    let runs = work.join("runs");
    _ = fs::remove_dir_all(&runs);
    println!("Building the engine with your {name}, and training {steps} steps with it.");
    train_yours(&work, &engine, &training(steps, &runs.join("yours")))?;
    println!("Training the same model with the engine's own {name}.");
    // This program is linked with the engine, so it need not be built again.
    if ossia::cli::main(["ossia".into()].into_iter().chain(training(steps, &runs.join("own")))) != ExitCode::SUCCESS {
        return Err("the run did not end well".into());
    }
    let (yours, own) = (losses(&runs.join("yours"))?, losses(&runs.join("own"))?);
    println!("\n step   with yours   with the engine's");
    for ((step, a), (_, b)) in
        yours.iter().zip(&own).filter(|((step, _), _)| (*step as u64).is_multiple_of(40) || *step == 1.0)
    {
        println!("{step:5}   {a:10.4}   {b:10.4}");
    }
    let picture = work.join("loss.svg");
    draw(&yours, &own, &picture)?;
    println!("\nThe curves: {}", picture.display());
    Ok(())
}

/// Writes the engine with your layer as a separate package.
fn copy_engine(engine: &Path, work: &Path, place: &Place, yours: &str) -> Done<()> {
    _ = fs::remove_dir_all(work.join("src"));
    copy(&engine.join("src"), &work.join("src"))?;
    // The removed functions leave unused imports behind.
    let root = work.join("src/lib.rs");
    fs::write(&root, fs::read_to_string(&root)?.replace("#![warn(missing_docs)]", "#![allow(warnings)]"))?;
    fs::copy(engine.join("Cargo.lock"), work.join("Cargo.lock"))?;
    fs::write(work.join("Cargo.toml"), manifest(&fs::read_to_string(engine.join("Cargo.toml"))?, place.name))?;
    let file = work.join("src").join(place.file);
    let source = edited(&file, place)?;
    let module =
        format!("\n#[path = \"yours_{0}.rs\"]\n#[allow(missing_docs)]\nmod yours;\n{1}", place.name, place.adapter);
    fs::write(&file, source + &module)?;
    let beside = file.with_file_name(format!("yours_{}.rs", place.name));
    Ok(fs::write(beside, yours.replace("ossia::", "crate::"))?)
}

/// Returns the source of the engine's file without the functions that yours replace.
fn edited(file: &Path, place: &Place) -> Done<String> {
    let mut source = fs::read_to_string(file)?;
    for edit in place.edits {
        source = match edit {
            Cut(function) => cut(&source, function).ok_or_else(|| format!("{} has no {function}", place.file))?,
            Exchange(old, _) if !source.contains(old) => return Err(format!("{} has no {old}", place.file).into()),
            Exchange(old, new) => source.replace(old, new),
        };
    }
    Ok(source)
}

/// Returns the manifest without what is not copied: tests, benches, examples, members.
fn manifest(text: &str, layer: &str) -> String {
    let left_out = ["[[test]]", "[[bench]]", "[[example]]", "[workspace]", "[dev-dependencies]"];
    let mut keep = true;
    let kept = text.lines().filter(|line| {
        if line.starts_with('[') {
            keep = !left_out.contains(&line.trim());
        }
        keep
    });
    let text = kept.collect::<Vec<_>>().join("\n");
    // Another program name and another version: cargo considers two packages that differ only in their path to be the same, and
    // would use one instead of the other.
    let text = text.replacen("[[bin]]\nname = \"ossia\"", "[[bin]]\nname = \"ossia-with-yours\"", 1);
    let version = text.lines().find(|line| line.starts_with("version = ")).unwrap_or_default();
    let text = text.replacen(version, &format!("version = \"0.0.0-{}\"", layer.replace('_', "-")), 1);
    text + "\n\n[workspace]\n"
}

/// Returns a source without one of its functions and its doc comment.
fn cut(source: &str, function: &str) -> Option<String> {
    let start = source.find(&format!("\npub fn {function}(")).or_else(|| source.find(&format!("\nfn {function}(")))?;
    let end = start + source[start..].find("\n}\n")? + 3;
    let mut before = &source[..start];
    while let Some((rest, _)) = before.rsplit_once('\n').filter(|(_, line)| line.starts_with("///")) {
        before = rest;
    }
    Some(format!("{before}\n{}", &source[end..]))
}

fn copy(from: &Path, to: &Path) -> Done<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::copy(&path, &target)?;
        }
    }
    Ok(())
}

/// The arguments of `ossia` for a training run that leaves its results in `out`. All parameters are updated by AdamW, because
/// its step can be one of your layers.
fn training(steps: &str, out: &Path) -> Vec<OsString> {
    let arguments = ["train", "--optimizer", "adamw", "--steps", steps, "--eval-every", "0", "--out"];
    arguments.into_iter().map(OsString::from).chain([out.into()]).collect()
}

/// Builds the copy of the engine and runs it.
fn train_yours(package: &Path, engine: &Path, arguments: &[OsString]) -> Done<()> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let profile = if cfg!(debug_assertions) { "dev" } else { "release" }; // as this program was built
    let status = Command::new(cargo)
        .args(["run", "--quiet", "--profile", profile])
        .args(["--no-default-features", "--features", "cli,parallel", "--manifest-path"]) // what training needs
        .arg(package.join("Cargo.toml"))
        .arg("--target-dir")
        .arg(engine.join("target"))
        .arg("--")
        .args(arguments)
        .status()?;
    if status.success() { Ok(()) } else { Err("the run did not end well".into()) }
}

/// Steps and training losses of a run.
fn losses(run: &Path) -> Done<Vec<(f64, f64)>> {
    let text = fs::read_to_string(run.join("metrics.jsonl"))?;
    let point = |line: &str| {
        let json: Value = serde_json::from_str(line).ok()?;
        Some((json["step"].as_f64()?, json["loss"].as_f64()?))
    };
    Ok(text.lines().filter_map(point).collect())
}

fn draw(yours: &[(f64, f64)], own: &[(f64, f64)], path: &PathBuf) -> Done<()> {
    let root = SVGBackend::new(path, (800, 420)).into_drawing_area();
    root.fill(&WHITE)?;
    let highest = yours.iter().chain(own).map(|p| p.1).fold(1.0, f64::max);
    let last = yours.last().map_or(1.0, |p| p.0);
    let mut chart = ChartBuilder::on(&root)
        .margin(16)
        .x_label_area_size(36)
        .y_label_area_size(48)
        .build_cartesian_2d(0.0..last, 0.0..highest)?;
    chart.configure_mesh().x_desc("step").y_desc("nats per token").draw()?;
    for (name, points, colour) in
        [("the engine's", own, RGBColor(74, 144, 217)), ("yours", yours, RGBColor(230, 126, 34))]
    {
        let line = LineSeries::new(points.iter().copied(), colour.stroke_width(2));
        chart.draw_series(line)?.label(name).legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour));
    }
    chart.configure_series_labels().border_style(BLACK.mix(0.2)).background_style(WHITE).draw()?;
    root.present()?;
    Ok(())
}

/// Every edit finds its text in the engine. (To train with every layer would take minutes.)
#[test]
fn every_place_is_in_the_engine() {
    let engine = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../src");
    for place in &PLACES {
        let source = edited(&engine.join(place.file), place).unwrap_or_else(|e| panic!("{}: {e}", place.name));
        assert_ne!(source, fs::read_to_string(engine.join(place.file)).unwrap());
    }
}
