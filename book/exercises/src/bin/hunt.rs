//! The bug zoo, for hunters: `cargo run -p exercises --bin hunt [-- NUMBER [--tell]]`.

use exercises::proofs::*;
use std::process::ExitCode;

/// A layer with a bug, and what can be seen of it.
struct Specimen {
    layer: &'static str,
    /// Of the numbers that it computes, the share that is right, in per cent.
    right: f64,
    /// Each proof, and what it says if it fails.
    proofs: Vec<(&'static str, Proof)>,
    says: &'static str,
}

fn specimens<L: Layer>(all: &mut Vec<Specimen>) {
    let right = L::solution().sample();
    for Mutant { says, layer, .. } in L::mutants() {
        let sample = layer.sample();
        let close = |(a, b): &(&f32, &f32)| (*a - *b).abs() <= 1e-4 * b.abs().max(1e-3);
        let agreeing = sample.iter().zip(&right).filter(close).count();
        all.push(Specimen {
            layer: L::NAME,
            right: 100.0 * agreeing as f64 / right.len() as f64,
            proofs: L::proofs().map(|(name, proof)| (name, proof(&layer))).into(),
            says,
        });
    }
}

fn main() -> ExitCode {
    let mut all = Vec::new();
    specimens::<RmsNorm>(&mut all);
    specimens::<Attention>(&mut all);
    specimens::<Swiglu>(&mut all);
    specimens::<Rope>(&mut all);
    specimens::<TopK>(&mut all);
    specimens::<CrossEntropy>(&mut all);
    specimens::<AdamW>(&mut all);
    specimens::<Mxfp4>(&mut all);
    specimens::<Embedding>(&mut all);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some(number) = arguments.iter().find(|a| !a.starts_with('-')) else {
        println!(
            "{} specimens. `hunt 3` shows the third: what it computes, and which proofs see that it is wrong.\n",
            all.len()
        );
        all.iter().enumerate().for_each(|(i, specimen)| println!("{:3}  {}", i + 1, specimen.layer));
        return ExitCode::SUCCESS;
    };
    let specimen = number.parse::<usize>().ok().and_then(|n| all.get(n.wrapping_sub(1)));
    let Some(Specimen { layer, right, proofs, says }) = specimen else {
        eprintln!("there is no specimen {number}; there are {}, from 1", all.len());
        return ExitCode::from(2);
    };
    println!("Specimen {number}: {layer}");
    println!("{right:.0} % of what it computes, forward and backward, is right.\n");
    for (name, proof) in proofs {
        match proof {
            Ok(()) => println!("  ✓ {}", name.replace('_', " ")),
            Err(why) => println!("  ✗ {}: {why}", name.replace('_', " ")),
        }
    }
    match arguments.iter().any(|a| a == "--tell") {
        true => println!("\nThe bug: {says}."),
        false => println!("\nWhat is wrong with it? --tell tells."),
    }
    ExitCode::SUCCESS
}
