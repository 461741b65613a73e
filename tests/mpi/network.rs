//! Runs on two machines, which are network namespaces made by this test. It needs root.

use crate::failures::{STEADY, continues};
use crate::job::{TRAIN, is_running};
use crate::machines::{Machines, ip};
use crate::small::workplace;
use std::fs;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// A job with a rank on each machine.
struct Job {
    place: tempfile::TempDir,
    launcher: Child,
}

impl Job {
    /// Starts a run, and waits until it trains.
    fn start(machines: &Machines) -> Self {
        let place = workplace();
        let at = place.path();
        // What rank 1 prints does not come through a network that is cut. Each rank writes the number of its process.
        let train =
            [&TRAIN[..], &STEADY, &["--steps", "100000", "--save-every", "2", "--out", "run"]].concat().join(" ");
        let ossia = env!("CARGO_BIN_EXE_ossia");
        let rank = "$OMPI_COMM_WORLD_RANK";
        let script = format!("echo $$ > process-{rank}; exec {ossia} {train} 2> printed-{rank}");
        let said = fs::File::create(at.join("launcher")).unwrap();
        let mut command = machines.mpirun(at);
        command.args(["sh", "-c", &script]);
        let launcher = command.current_dir(at).stdout(Stdio::null()).stderr(said).spawn().unwrap();
        let job = Self { place, launcher };
        job.wait(&|| job.printed(0).contains("step 3/"));
        job
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.place.path().join(name)).unwrap_or_default()
    }

    fn printed(&self, rank: usize) -> String {
        self.read(&format!("printed-{rank}"))
    }

    fn is_running(&self, rank: usize) -> bool {
        is_running(self.read(&format!("process-{rank}")).trim().parse().unwrap())
    }

    fn wait(&self, what: &dyn Fn() -> bool) -> Duration {
        let start = Instant::now();
        while !what() {
            assert!(start.elapsed() < Duration::from_secs(30), "0: {}\n1: {}", self.printed(0), self.printed(1));
            std::thread::sleep(Duration::from_millis(10));
        }
        start.elapsed()
    }
}

impl Drop for Job {
    fn drop(&mut self) {
        _ = self.launcher.kill();
        _ = self.launcher.wait();
    }
}

/// Both ranks end, each with a line about the other one.
pub fn cut() {
    let Some(machines) = Machines::new(2) else {
        println!("SKIPPED: no network was cut, since this user may make no network namespaces");
        return;
    };
    let job = Job::start(&machines);
    ip(&format!("-n {} link set eth0 down", machines.machines()[1]));
    let time = job.wait(&|| [0, 1].iter().all(|&rank| job.printed(rank).contains("error: ")));
    assert!(time < Duration::from_secs(10), "{time:?}");
    for (rank, other) in [(0, 1), (1, 0)] {
        let expected = format!("error: rank {other}: has given no sign of life for 5 seconds");
        assert!(job.printed(rank).contains(&expected), "{}", job.printed(rank));
    }
    job.wait(&|| [0, 1].iter().all(|&rank| !job.is_running(rank))); // the directory is locked until then
    continues(2, "run", job.place.path());
}

/// Rank 0 does not see the processes of another machine. The launcher does: it names rank 1, and ends rank 0.
pub fn killed() {
    let Some(machines) = Machines::new(2) else {
        println!("SKIPPED: no rank on another machine was killed, since this user may make no network namespaces");
        return;
    };
    let job = Job::start(&machines);
    assert!(Command::new("kill").args(["-9", job.read("process-1").trim()]).status().unwrap().success());
    let time = job.wait(&|| !job.is_running(0));
    assert!(time < Duration::from_secs(10), "{time:?}");
    job.wait(&|| job.read("launcher").contains("mpirun noticed that process rank 1 "));
    continues(2, "run", job.place.path());
}
