//! Ranks that are processes of MPI: the collective operations, whole runs, and what happens when something breaks.
//!
//! `cargo test --features mpi --test mpi` needs `mpirun` of Open MPI. `KILLS=50` kills a rank in so many runs, at random times.
//! This program starts itself with `mpirun` to be the ranks of the collective operations.
//!
//! Book: [many_machines](../../book/src/many_machines.md)

#[path = "../verify/collective/cases.rs"]
mod cases;
mod failures;
mod job;
mod machines;
mod network;
mod runs;
#[path = "../verify/command_line/small.rs"]
mod small;

use ossia::collective::{Collective, Mpi};
use std::io::Write;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;

type Test = (&'static str, fn());

const TESTS: [Test; 13] = [
    ("mpi_operations_are_those_of_threads", operations),
    ("mpi_runs_leave_the_files_of_one_process", runs::same_files),
    ("mpi_runs_resume_with_any_number_of_ranks", runs::resume_with_any),
    ("mpi_ranks_divide_the_cores", runs::cores),
    ("mpi_ranks_hold_the_experts_and_generate_the_same_text", runs::generate),
    ("mpi_refuses_what_does_not_fit", failures::refusals),
    ("mpi_ranks_that_differ_are_named", failures::differences),
    ("mpi_killed_ranks_are_named_and_the_run_continues", failures::kills),
    ("mpi_stopped_ranks_are_named", failures::stopped),
    ("mpi_ranks_end_with_the_one_that_cannot_write", failures::cannot_write),
    ("mpi_ranks_end_with_the_one_that_panics", failures::panics),
    ("mpi_networks_that_are_cut_are_noticed", network::cut),
    ("mpi_killed_ranks_of_other_machines_are_named", network::killed),
];

/// The ranks of a job that is not a run: this program, started by `mpirun`.
fn rank() {
    let ranks = Mpi::join().unwrap();
    match std::env::args().nth(1).as_deref() {
        Some("panic") if ranks.rank() == 1 => panic!("rank 1 panics"),
        Some("panic") => {
            let ranks: &dyn Collective = &ranks;
            let error = (0..).find_map(|_| ranks.barrier().err());
            // In one piece, because several ranks may print at the same time.
            std::io::stderr().write_all(format!("{}\n", error.unwrap()).as_bytes()).unwrap();
        }
        _ => {
            cases::sums(&ranks);
            cases::messages(&ranks);
            cases::order(&ranks);
        }
    }
}

fn operations() {
    for size in [1, 2, 3, 4, 8] {
        let output =
            job::mpirun().args(["-n", &size.to_string()]).arg(std::env::current_exe().unwrap()).output().unwrap();
        assert!(output.status.success(), "{size} ranks: {}", job::text(&output.stderr));
    }
}

fn main() -> ExitCode {
    if std::env::var("OMPI_COMM_WORLD_RANK").is_ok() {
        rank();
        return ExitCode::SUCCESS;
    }
    if job::mpirun().arg("--version").output().is_err() {
        println!("SKIPPED: ranks of MPI were not tested, since there is no mpirun");
        return ExitCode::SUCCESS;
    }
    let wanted: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let is_wanted = |name: &str| wanted.is_empty() || wanted.iter().any(|part| name.contains(part));
    let mut failed = 0;
    for (name, test) in TESTS.into_iter().filter(|(name, _)| is_wanted(name)) {
        let start = std::time::Instant::now();
        let passed = catch_unwind(AssertUnwindSafe(test)).is_ok();
        failed += usize::from(!passed);
        println!("test {name} ... {} ({:.1} s)", if passed { "ok" } else { "FAILED" }, start.elapsed().as_secs_f64());
    }
    if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
