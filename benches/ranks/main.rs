//! Measures training on several ranks: `cargo bench --features mpi --bench ranks`, as root on Linux with `mpirun`, `ip` and `tc`.
//!
//! Each job is a set of processes that `mpirun` starts: on this machine, or on machines that are network namespaces, with a
//! network of a limited rate between them. All jobs take the same steps, and divide the same cores. They take turns, and the
//! table has the median of all steps. The table also has what the cost model `ossia::train::cost` predicts. Everything is
//! written to `book/figures/ranks.json`, from which the figures of the chapter on it are drawn.
//! `-- --rounds N` measures each job N times.

mod job;
#[path = "../limits.rs"]
mod limits;
#[path = "../machine.rs"]
mod machine;
#[path = "../../tests/mpi/machines.rs"]
mod machines;
mod rank;

use job::{Network, Outcome, measure};
use ossia::config::ModelConfig;
use ossia::train::cost::{self, Cost, Counts, Division, Machine};
use rank::{Measured, Run};
use serde_json::{Value, json};
use std::process::ExitCode;

/// Networks with their names in the tables. The network of a machine is its memory.
const NETWORKS: [(&str, Network); 4] = [
    ("one machine", Network::Memory),
    ("10 Gbit/s", Network::Cable { rate: 1e10, delay: 0.0 }),
    ("1 Gbit/s", Network::Cable { rate: 1e9, delay: 0.0 }),
    ("100 Mbit/s, 1 ms", Network::Cable { rate: 1e8, delay: 1e-3 }),
];
/// The number of ranks, and of ranks that hold the experts together.
const RANKS: [(usize, usize); 5] = [(2, 1), (4, 1), (2, 2), (4, 2), (4, 4)];
/// The number of steps of a job, of which the first is not measured.
const STEPS: usize = 6;
/// The context of a window.
const CONTEXT: usize = 256;

/// Several measurements of the same job.
struct Jobs {
    ranks: usize,
    group: usize,
    network: &'static str,
    measured: Vec<Vec<Measured>>,
}

fn median(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let mut numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.sort_by(f64::total_cmp);
    numbers[numbers.len() / 2]
}

fn mean(numbers: impl IntoIterator<Item = f64>) -> f64 {
    let numbers: Vec<f64> = numbers.into_iter().collect();
    numbers.iter().sum::<f64>() / numbers.len() as f64
}

impl Jobs {
    /// Returns the seconds of all steps.
    fn steps(&self) -> Vec<f64> {
        self.measured.iter().flat_map(|ranks| ranks[0].steps.clone()).collect()
    }

    /// Returns the share of the time in which the ranks waited for messages, on average.
    fn waiting(&self) -> f64 {
        let all = || self.measured.iter().flatten();
        let sum = |numbers: fn(&Measured) -> &Vec<f64>| all().flat_map(numbers).sum::<f64>();
        sum(|measured| &measured.waiting) / sum(|measured| &measured.steps)
    }

    /// Returns the bytes that a rank sends per step, on average.
    fn sent(&self) -> f64 {
        mean(self.measured.iter().flatten().map(|measured| measured.sent))
    }

    /// Returns how many visits the busiest rank of a group gets, as a multiple of the mean.
    fn busiest(&self) -> f64 {
        mean(self.measured.iter().flatten().map(|measured| measured.busiest))
    }

    /// Returns what exchanges cost: the seconds of an empty one, and the seconds per byte.
    fn exchange(&self) -> [f64; 2] {
        [0, 1].map(|i| median(self.measured.iter().map(|ranks| mean(ranks.iter().map(|rank| rank.exchange[i])))))
    }
}

/// What a single process does, and copying within the machine: with these, the cost model predicts all other jobs.
struct Known {
    counts: Counts,
    flops: f64,
    memory: f64,
    copying: Vec<(usize, f64)>,
}

impl Known {
    fn predicted(&self, jobs: &Jobs) -> Cost {
        let cores = 2.0 / jobs.ranks as f64; // the ranks divide the cores
        let [latency, byte] = jobs.exchange();
        let copying = self.copying.iter().find(|(ranks, _)| *ranks == jobs.ranks).map_or(0.0, |(_, byte)| *byte);
        let machine = Machine {
            flops: self.flops * cores / 2.0,
            memory: self.memory * cores / 2.0,
            latency,
            wire: (byte - copying).max(0.0),
            copying,
        };
        cost::step(&self.counts, &job_of(jobs.ranks, jobs.group, jobs.busiest()), &machine)
    }
}

/// Four micro-batches of 1,024 tokens, whatever the number of ranks.
fn job_of(ranks: usize, group: usize, busiest: f64) -> Division {
    Division { ranks, group, micro_batches: 4 / ranks, tokens: 4 * CONTEXT, in_order: true, busiest }
}

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` requests no measurement.
    if arguments.iter().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    match run(&arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &[String]) -> Outcome<()> {
    let rounds = match arguments {
        [command, json] if command == "rank" => {
            let ranks = rank::measure(&serde_json::from_str(json)?)?;
            if std::env::var("OMPI_COMM_WORLD_RANK").as_deref() == Ok("0") {
                println!("{}", serde_json::to_string(&ranks)?);
            }
            return Ok(());
        }
        [option, rounds] if option == "--rounds" => rounds.parse()?,
        [] => 5,
        _ => return Err("expected --rounds N, or nothing".into()),
    };
    let machine = machine::Machine::here();
    println!("{}, {}, load {}, commit {}", machine.processor, machine.isa, machine.load, machine.commit);
    let mut all = vec![Jobs { ranks: 1, group: 1, network: NETWORKS[0].0, measured: vec![] }];
    for (ranks, group) in RANKS {
        all.extend(NETWORKS.map(|(network, _)| Jobs { ranks, group, network, measured: vec![] }));
    }
    for round in 1..=rounds {
        for jobs in &mut all {
            let network = NETWORKS.iter().find(|(name, _)| *name == jobs.network).expect("it is one of them").1;
            let run = Run {
                preset: "nano".into(),
                group: jobs.group,
                micro_batches: 4,
                windows: 4,
                context: CONTEXT,
                steps: STEPS,
                threads: if jobs.ranks == 1 { 2 } else { 1 },
            };
            match measure(&run, jobs.ranks, network)? {
                Some(measured) => jobs.measured.push(measured),
                None if round == 1 => println!("SKIPPED: {}: this user may make no network", jobs.network),
                None => {}
            }
        }
        eprintln!("round {round} of {rounds}");
    }
    all.retain(|jobs| !jobs.measured.is_empty());
    let table = table(&all)?;
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/book/figures/ranks.json");
    let timeline = all.iter().filter(|jobs| (jobs.ranks, jobs.group) == (4, 1)).map(timeline).collect::<Vec<_>>();
    let measured = json!({ "processor": machine.processor, "jobs": table, "steps": timeline });
    Ok(std::fs::write(path, serde_json::to_string_pretty(&measured)? + "\n")?)
}

/// Prints what was measured beside what is predicted, and returns it.
fn table(all: &[Jobs]) -> Outcome<Vec<Value>> {
    let counts = Counts::new(&ModelConfig::nano(), CONTEXT);
    let memory = 1e9 * limits::read_bandwidth();
    let alone = median(all[0].steps());
    // A machine of one operation per second has a step of so many seconds.
    let unit = Machine { flops: 1.0, memory, latency: 0.0, wire: 0.0, copying: 0.0 };
    let cost = cost::step(&counts, &job_of(1, 1, 1.0), &unit);
    let flops = cost.passes / (alone - cost.update);
    println!(
        "one process: {:.2} GFLOP per step, of which the cost model predicts {:.2}",
        all[0].measured[0][0].operations / 1e9,
        cost.passes / 1e9
    );
    let inside = all.iter().filter(|jobs| jobs.network == NETWORKS[0].0 && jobs.group == 1);
    let copying = inside.map(|jobs| (jobs.ranks, jobs.exchange()[1])).collect();
    let peak = limits::peak_flops();
    println!(
        "one process: {:.0} of at most {peak:.0} GFLOP/s in the passes, {:.1} GB/s from memory",
        flops / 1e9,
        memory / 1e9
    );
    println!("step: median (first to last decile) of {} steps; predicted: by the cost model", all[0].steps().len());
    println!(
        "{:>5} {:>3} {:<18} {:>24} {:>10} {:>12} {:>10} {:>10} {:>10} {:>9} {:>8}",
        "ranks",
        "X",
        "network",
        "step",
        "predicted",
        "exchanging",
        "predicted",
        "sent",
        "predicted",
        "latency",
        "ns/byte"
    );
    let known = Known { counts, flops, memory, copying };
    let row = |jobs: &Jobs| {
        let mut steps = jobs.steps();
        steps.sort_by(f64::total_cmp);
        let decile = |tenths: usize| steps[(steps.len() - 1) * tenths / 10];
        let (cost, [latency, byte]) = (known.predicted(jobs), jobs.exchange());
        println!(
            "{:>5} {:>3} {:<18} {:>7.3} s ({:.3}, {:.3}) {:>8.3} s {:>10.0} % {:>8.0} % {:>7.2} MB {:>7.2} MB {:>6.2} ms {:>8.2}",
            jobs.ranks,
            jobs.group,
            jobs.network,
            median(steps.clone()),
            decile(1),
            decile(9),
            cost.seconds(),
            100.0 * jobs.waiting(),
            100.0 * cost.exchanging(),
            jobs.sent() / 1e6,
            cost.sent() / 1e6,
            latency * 1e3,
            byte * 1e9
        );
        let rounded = |number: f64| (number * 1e4).round() / 1e4;
        json!({
            "ranks": jobs.ranks, "group": jobs.group, "network": jobs.network,
            "seconds": rounded(median(steps.clone())), "deciles": [rounded(decile(1)), rounded(decile(9))],
            "predicted": rounded(cost.seconds()), "exchanging": rounded(jobs.waiting()),
            "exchanging_predicted": rounded(cost.exchanging()),
            "megabytes": rounded(jobs.sent() / 1e6), "megabytes_predicted": rounded(cost.sent() / 1e6),
        })
    };
    Ok(all.iter().map(row).collect())
}

/// Returns what happened on each rank in a step whose time is the median.
fn timeline(jobs: &Jobs) -> Value {
    let last = |ranks: &Vec<Measured>| ranks[0].steps[ranks[0].steps.len() - 1];
    let mut order: Vec<&Vec<Measured>> = jobs.measured.iter().collect();
    order.sort_by(|a, b| last(a).total_cmp(&last(b)));
    let chosen = order[order.len() / 2];
    let milliseconds = |seconds: f64| (seconds * 1e5).round() / 1e2;
    let events = |rank: &Measured| -> Vec<Value> {
        let event = |event: &rank::Event| {
            json!([milliseconds(event.begun), milliseconds(event.waited), milliseconds(event.finished), event.sent])
        };
        rank.events.iter().map(event).collect()
    };
    let ends = |rank: &Measured| milliseconds(rank.steps[rank.steps.len() - 1]);
    json!({
        "network": jobs.network,
        "milliseconds": chosen.iter().map(ends).collect::<Vec<_>>(),
        "events": chosen.iter().map(events).collect::<Vec<_>>(),
    })
}
