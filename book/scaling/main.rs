//! What the cost model says about training on 1 to 1,024 machines: `cargo run --release --example cost -- small 10`, with the
//! name of a model, and the rate of the network in Gbit/s.
//!
//! Book: [scaling](../src/scaling.md)

use ossia::train::cost::{plans, server};

fn main() -> Result<(), String> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [preset, rate] = &arguments[..] else { return Err("expected a model and a rate: small 10".into()) };
    let plan = plans().into_iter().find(|plan| plan.preset == preset).ok_or("expected nano, small or gpt-oss-20b")?;
    let gigabits: f64 = rate.parse().map_err(|e| format!("{rate}: {e}"))?;
    let machine = server(gigabits * 1e9);
    let alone = plan.alone(&machine);
    println!("{preset}: {} tokens per step, on machines with 64 cores and {gigabits} Gbit/s", plan.batch);
    println!("{:>41} {:>51}", "gradients added in order", "in any order");
    println!(
        "{:>8} {:>3} {:>11} {:>8} {:>11} {:>10} {:>10} {:>9} {:>6} {:>11} {:>8}",
        "machines", "X", "step", "speedup", "exchanging", "all-to-all", "sent", "memory", "X", "step", "speedup"
    );
    for ranks in (0..=5).map(|power| 1 << (2 * power)) {
        let (Some((group, cost, memory)), Some((any_group, any, _))) =
            (plan.fastest(ranks, &machine, true), plan.fastest(ranks, &machine, false))
        else {
            println!("{ranks:>8} too many: a rank would have less than a window of {} tokens", plan.context);
            continue;
        };
        println!(
            "{ranks:>8} {group:>3} {:>9.2} s {:>8.1} {:>9.0} % {:>8.0} % {:>7.2} GB {:>6.1} GB {any_group:>6} {:>9.2} s {:>8.1}",
            cost.seconds(),
            alone / cost.seconds(),
            100.0 * cost.exchanging(),
            100.0 * cost.visits * (machine.copying + machine.wire) / cost.seconds(),
            cost.sent() / 1e9,
            memory as f64 / 1e9,
            any.seconds(),
            alone / any.seconds()
        );
    }
    Ok(())
}
