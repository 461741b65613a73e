//! Jobs of `ossia train` under `mpirun`.

use std::fs;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

/// A run of small batches.
pub const TRAIN: [&str; 11] =
    ["train", "--config", "small.json", "--stories", "60", "--context", "16", "--batch-size", "2", "--log-every", "1"];

/// `mpirun`, which may have more ranks than there are cores, and may run as root.
pub fn mpirun() -> Command {
    let mut command = Command::new("mpirun");
    command.args(["--oversubscribe", "--bind-to", "none"]);
    command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    command
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A job of `size` ranks of the same command.
pub fn job(size: usize, arguments: &[&str], at: &Path) -> Command {
    let mut command = mpirun();
    command.args(["-n", &size.to_string(), env!("CARGO_BIN_EXE_ossia")]).args(arguments).current_dir(at);
    command
}

/// Trains as so many ranks. Returns what is printed.
#[track_caller]
pub fn train(size: usize, more: &[&str], at: &Path) -> String {
    let output = job(size, &[&TRAIN, more].concat(), at).output().unwrap();
    let message = text(&output.stderr);
    assert!(output.status.success(), "{size} ranks: {message}");
    message
}

/// Resumes a run.
#[track_caller]
pub fn resume(size: usize, run: &str, more: &[&str], at: &Path) -> String {
    let output = job(size, &[&["train", "--resume", "--out", run], more].concat(), at).output().unwrap();
    let message = text(&output.stderr);
    assert!(output.status.success(), "{size} ranks: {message}");
    message
}

/// The files of a run that are the same for every number of ranks.
pub fn files(run: &Path) -> Vec<Vec<u8>> {
    let read = |name: &str| fs::read(run.join(name)).unwrap();
    ["model.safetensors", "state.safetensors", "train.json", "samples.txt", "README.md"].map(read).to_vec()
}

/// A job that is running, and will be disturbed.
pub struct Running {
    launcher: Child,
    run: String,
}

impl Running {
    /// Starts a job that trains in the directory `run`, whose name no other process has among its arguments.
    pub fn start(size: usize, arguments: &[&str], run: &str, at: &Path) -> Self {
        let arguments = [arguments, &["--out", run]].concat();
        let launcher = job(size, &arguments, at).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        Self { launcher, run: run.into() }
    }

    /// The processes of the ranks, by their numbers as ranks.
    pub fn processes(&self) -> Vec<(usize, u32)> {
        let rank = |process: u32| {
            let read = |name: &str| fs::read(format!("/proc/{process}/{name}")).unwrap_or_default();
            let command = read("cmdline");
            let arguments: Vec<&[u8]> = command.split(|&byte| byte == 0).collect();
            let is_rank = arguments[0].ends_with(b"ossia") && arguments.contains(&self.run.as_bytes());
            let environment = text(&read("environ"));
            let rank = environment.split('\0').find_map(|pair| pair.strip_prefix("OMPI_COMM_WORLD_RANK="));
            rank.filter(|_| is_rank)?.parse().ok().map(|rank| (rank, process))
        };
        let entries = fs::read_dir("/proc").unwrap().flatten();
        let processes = entries.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let mut ranks: Vec<(usize, u32)> = processes.filter_map(rank).collect();
        ranks.sort_unstable();
        ranks
    }

    /// Waits until the run has a file.
    pub fn wait_for(&mut self, file: &Path) {
        let start = Instant::now();
        while !file.exists() {
            let ended = self.launcher.try_wait().unwrap();
            assert!(ended.is_none() && start.elapsed() < Duration::from_secs(60), "{} never came", file.display());
            std::thread::sleep(Duration::from_millis(2));
        }
    }

    /// Waits until all processes have ended. Returns what they have printed, and the time.
    pub fn end(self) -> (Output, Duration) {
        let start = Instant::now();
        let ranks = self.processes();
        let output = self.launcher.wait_with_output().unwrap();
        while ranks.iter().any(|(_, process)| is_running(*process)) {
            assert!(start.elapsed() < Duration::from_secs(20), "a rank has not ended: {}", text(&output.stderr));
            std::thread::sleep(Duration::from_millis(5));
        }
        (output, start.elapsed())
    }
}

/// Returns whether a process runs, and is not a zombie that nobody has waited for.
pub fn is_running(process: u32) -> bool {
    let stat = fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| !rest.starts_with('Z'))
}
