//! Starts jobs: processes that `mpirun` starts on this machine, or in network namespaces.

use super::machines::Machines;
use super::rank::{Measured, Run};
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// The connection between the ranks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Network {
    /// The memory of this machine.
    Memory,
    /// Cables with a rate, in bits per second, and a delay, in seconds.
    Cable { rate: f64, delay: f64 },
}

/// The time that a job may take.
const LIMIT: Duration = Duration::from_secs(300);

/// Runs a job. Returns the measurements of each rank; `None` if this user may make no network.
pub fn run(run: &Run, ranks: usize, network: Network) -> Outcome<Option<Vec<Measured>>> {
    let directory = tempfile::tempdir()?;
    let (mut command, cables) = match network {
        Network::Memory => {
            let mut command = Command::new("mpirun");
            command.args(["--oversubscribe", "--bind-to", "none", "-n", &ranks.to_string()]);
            command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
            (command, None)
        }
        Network::Cable { rate, delay } => match Cables::lay(ranks, rate, delay)? {
            Some(cables) => (cables.machines.mpirun(directory.path()), Some(cables)),
            None => return Ok(None),
        },
    };
    command.arg(std::env::current_exe()?).args(["rank", &serde_json::to_string(run)?]);
    let (printed, errors) = (directory.path().join("printed"), directory.path().join("errors"));
    let mut job =
        command.stdout(File::create(&printed)?).stderr(File::create(&errors)?).spawn().map_err(absent("mpirun"))?;
    let start = Instant::now();
    let status = loop {
        if let Some(status) = job.try_wait()? {
            break status;
        }
        if start.elapsed() > LIMIT {
            job.kill()?;
            break job.wait()?;
        }
        std::thread::sleep(Duration::from_millis(20));
    };
    drop(cables);
    if !status.success() {
        return Err(format!("{status}: {}", fs::read_to_string(errors)?).into());
    }
    Ok(Some(serde_json::from_slice(&fs::read(printed)?)?))
}

/// Names the program that cannot be started.
fn absent(program: &str) -> impl Fn(std::io::Error) -> Box<dyn std::error::Error> {
    move |e| format!("{program}: {e}").into()
}

/// Machines with cables between them.
struct Cables {
    _switch: Option<Switch>, // ends before the machines vanish
    machines: Machines,
}

/// The process of `switch.py`, which ends with its input.
struct Switch(Child);

impl Drop for Switch {
    fn drop(&mut self) {
        self.0.stdin = None;
        _ = self.0.wait();
    }
}

impl Cables {
    fn lay(count: usize, rate: f64, delay: f64) -> Outcome<Option<Self>> {
        if delay > 0.0 {
            let Some(machines) = Machines::apart(count) else { return Ok(None) };
            let switch = Switch::start(&machines, rate, delay)?;
            machines.start();
            return Ok(Some(Self { machines, _switch: Some(switch) }));
        }
        let Some(machines) = Machines::new(count) else { return Ok(None) };
        let own = machines.machines().iter().map(|name| (name.as_str(), "eth0".to_string()));
        let ports =
            machines.switch().into_iter().flat_map(|switch| (1..=count).map(move |i| (switch, format!("port{i}"))));
        for (name, end) in own.chain(ports) {
            // A token bucket filter: what comes faster than the rate waits, 50 ms at most. So many bytes may pass at once.
            let burst = (rate / 8e3).max(2e5);
            let arguments = format!("-n {name} qdisc add dev {end} root tbf rate {rate} burst {burst} latency 50ms");
            if !Command::new("tc").args(arguments.split(' ')).status().map_err(absent("tc"))?.success() {
                return Err("tc cannot limit the rate of a network".into());
            }
        }
        Ok(Some(Self { machines, _switch: None }))
    }
}

impl Switch {
    fn start(machines: &Machines, rate: f64, delay: f64) -> Outcome<Self> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/ranks/switch.py");
        let mut command = Command::new("python3");
        command.arg(script).args([rate.to_string(), delay.to_string()]).args(machines.machines());
        let mut switch = Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().map_err(absent("python3"))?);
        let mut line = String::new();
        BufReader::new(switch.0.stdout.take().expect("it is piped")).read_line(&mut line)?;
        if line.trim() == "ready" { Ok(switch) } else { Err("switch.py lays no cables here".into()) }
    }
}
