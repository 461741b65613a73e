//! Measures training on several ranks: `cargo bench --features mpi --bench ranks`, as root on Linux with `mpirun`, `ip`, `tc`,
//! `python3` and /dev/net/tun. `-- --rounds N` runs each job N times.
//!
//! Each job is a set of processes that `mpirun` starts: on this machine, or on machines that are network namespaces, with a
//! network of a limited rate between them. All jobs take the same steps on the same two cores; on a larger machine, start the
//! bench with `taskset --cpu-list 0,1`. Jobs take turns, and the table has the median of all steps, beside what the cost model
//! (`ossia::train::cost`) predicts. If all jobs could run, everything is written to `book/figures/ranks.json`, from which the
//! figures of the chapter on scaling are drawn.

mod job;
#[path = "../limits.rs"]
mod limits;
#[path = "../machine.rs"]
mod machine;
#[path = "../../tests/mpi/machines.rs"]
mod machines;
mod rank;
mod table;

use job::{Network, Outcome};
use rank::{Measured, Run};
use serde_json::{Value, json};
use std::process::ExitCode;
use table::{Job, Known};

/// The networks with their names in the tables.
const NETWORKS: [(&str, Network); 4] = [
    ("one machine", Network::Memory),
    ("10 Gbit/s", Network::Cable { rate: 1e10, delay: 0.0 }),
    ("1 Gbit/s", Network::Cable { rate: 1e9, delay: 0.0 }),
    ("100 Mbit/s, 1 ms", Network::Cable { rate: 1e8, delay: 1e-3 }),
];
/// The number of ranks, and of ranks that hold the experts together.
const RANKS: [(usize, usize); 5] = [(2, 1), (4, 1), (2, 2), (4, 2), (4, 4)];
/// The cores that the ranks of a job divide.
const CORES: usize = 2;
/// The number of micro-batches per step.
const MICRO_BATCHES: usize = 4;
/// The number of windows per micro-batch.
const WINDOWS: usize = 4;
/// The number of tokens per window.
const CONTEXT: usize = 256;
/// The number of steps of a job, of which the first is not measured.
const STEPS: usize = 6;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    // `cargo test --benches` requests no measurement.
    if arguments.iter().any(|argument| argument == "--test") {
        return ExitCode::SUCCESS;
    }
    let done = match &arguments[..] {
        [command, json] if command == "rank" => run_rank(json),
        [option, rounds] if option == "--rounds" => match rounds.parse() {
            Ok(rounds @ 1..) => run(rounds),
            _ => Err(format!("--rounds {rounds}: expected 1 or more").into()),
        },
        [] => run(5),
        _ => Err("expected --rounds N, or nothing".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(message) => {
            eprintln!("error: {message}");
            ExitCode::from(2)
        }
    }
}

/// Runs this process as a rank of a job. Rank 0 prints the measurements of all ranks.
fn run_rank(json: &str) -> Outcome<()> {
    let ranks = rank::take_steps(&serde_json::from_str(json)?)?;
    if std::env::var("OMPI_COMM_WORLD_RANK").as_deref() == Ok("0") {
        println!("{}", serde_json::to_string(&ranks)?);
    }
    Ok(())
}

fn run(rounds: usize) -> Outcome<()> {
    let cores = std::thread::available_parallelism()?.get();
    if cores != CORES {
        return Err(
            format!("{cores} cores: start this with taskset --cpu-list 0,1, so that all jobs have {CORES}").into()
        );
    }
    let machine = machine::Machine::here();
    println!("{}, {}, load {}, commit {}", machine.processor, machine.isa, machine.load, machine.commit);
    let mut jobs = vec![Job { ranks: 1, group: 1, network: NETWORKS[0].0, measured: vec![] }];
    for (ranks, group) in RANKS {
        jobs.extend(NETWORKS.map(|(network, _)| Job { ranks, group, network, measured: vec![] }));
    }
    for round in 1..=rounds {
        for job in &mut jobs {
            measure(job);
        }
        eprintln!("round {round} of {rounds}");
    }
    let is_complete = jobs.iter().all(|job| job.measured.len() == rounds);
    jobs.retain(|job| !job.measured.is_empty());
    let known = Known::of(&jobs)?;
    known.print(&jobs);
    if !is_complete {
        return Err("some jobs did not run, so nothing is written".into());
    }
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/book/figures/ranks.json");
    let steps: Vec<Value> = jobs.iter().filter(|job| (job.ranks, job.group) == (4, 1)).map(recorded).collect();
    let rows: Vec<Value> = jobs.iter().map(|job| known.row(job)).collect();
    let measured = json!({ "processor": machine.processor, "jobs": rows, "steps": steps });
    Ok(std::fs::write(path, serde_json::to_string_pretty(&measured)? + "\n")?)
}

/// Runs a job once more. If it fails, prints why, so that the others can go on.
fn measure(job: &mut Job) {
    let network = NETWORKS.iter().find(|(name, _)| *name == job.network).expect("it is one of them").1;
    let run = Run {
        preset: "nano".into(),
        group: job.group,
        micro_batches: MICRO_BATCHES,
        windows: WINDOWS,
        context: CONTEXT,
        steps: STEPS,
        threads: CORES.div_ceil(job.ranks),
    };
    match job::run(&run, job.ranks, network) {
        Ok(Some(measured)) => job.measured.push(measured),
        Ok(None) => eprintln!("SKIPPED: {}: this user may make no network", job.network),
        Err(error) => eprintln!("{} ranks, {}: {error}", job.ranks, job.network),
    }
}

/// Returns the recorded exchanges of all ranks in one step. Of the last steps of all rounds, it is the one with the median time.
fn recorded(job: &Job) -> Value {
    let last = |ranks: &Vec<Measured>| ranks[0].steps[ranks[0].steps.len() - 1];
    let mut order: Vec<&Vec<Measured>> = job.measured.iter().collect();
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
        "network": job.network,
        "milliseconds": chosen.iter().map(ends).collect::<Vec<_>>(),
        "events": chosen.iter().map(events).collect::<Vec<_>>(),
    })
}
