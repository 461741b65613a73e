//! What the cost model says about training on 1 to 1,024 machines: `cargo run --release --example cost -- small 10`, with the
//! name of a model, and the rate of the network in Gbit/s.
//!
//! Book: [scaling](../src/scaling.md)

use ossia::train::cost::{scenarios, server};
use std::process::ExitCode;

fn print(preset: &str, rate: &str) -> Result<(), String> {
    let scenario = scenarios()
        .into_iter()
        .find(|scenario| scenario.preset == preset)
        .ok_or("expected nano, small or gpt-oss-20b")?;
    let gigabits: f64 = rate.parse().map_err(|e| format!("{rate}: {e}"))?;
    if !(gigabits > 0.0 && gigabits.is_finite()) {
        return Err(format!("{rate}: expected a rate above 0 Gbit/s"));
    }
    let capacity = server(gigabits * 1e9);
    let alone = scenario.alone(&capacity);
    println!("{preset}: {} tokens per step, on machines with 64 cores and {gigabits} Gbit/s", scenario.batch);
    println!("{:>41} {:>51}", "gradients added in order", "in any order");
    println!(
        "{:>8} {:>3} {:>11} {:>8} {:>11} {:>10} {:>10} {:>9} {:>6} {:>11} {:>8}",
        "machines", "X", "step", "speedup", "exchanging", "all-to-all", "sent", "memory", "X", "step", "speedup"
    );
    for ranks in (0..=5).map(|power| 1 << (2 * power)) {
        let (Some((group, cost, memory)), Some((any_group, any, _))) =
            (scenario.fastest(ranks, &capacity, true), scenario.fastest(ranks, &capacity, false))
        else {
            println!("{ranks:>8} too many: a rank would have less than a window of {} tokens", scenario.context);
            continue;
        };
        println!(
            "{ranks:>8} {group:>3} {:>9.2} s {:>8.1} {:>9.0} % {:>8.0} % {:>7.2} GB {:>6.1} GB {any_group:>6} {:>9.2} s {:>8.1}",
            cost.seconds(),
            alone / cost.seconds(),
            100.0 * cost.exchanging(),
            100.0 * cost.visits * (capacity.copying + capacity.wire) / cost.seconds(),
            cost.sent() / 1e9,
            memory as f64 / 1e9,
            any.seconds(),
            alone / any.seconds()
        );
    }
    Ok(())
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let printed = match &arguments[..] {
        [preset, rate] => print(preset, rate),
        _ => Err("expected a model and a rate, such as: small 10".into()),
    };
    match printed {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}
