//! Jobs that are measured: which ranks, and which network.

use super::machines::Machines;
use super::rank::{Measured, Run};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};

pub type Outcome<T> = Result<T, Box<dyn std::error::Error>>;

/// What carries the messages.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Network {
    /// The memory of this machine.
    Memory,
    /// Cables with a rate, in bits per second, and a delay, in seconds.
    Cable { rate: f64, delay: f64 },
}

/// Starts the ranks of a run, and returns what each has measured; `None` if this user may make no network.
pub fn measure(run: &Run, ranks: usize, network: Network) -> Outcome<Option<Vec<Measured>>> {
    let directory = tempfile::tempdir()?;
    let (mut command, network) = match network {
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
    let output = command.arg(std::env::current_exe()?).args(["rank", &serde_json::to_string(run)?]).output()?;
    drop(network);
    if !output.status.success() {
        return Err(String::from_utf8_lossy(&output.stderr).into_owned().into());
    }
    Ok(Some(serde_json::from_slice(&output.stdout)?))
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
            return Ok(machines.start().then_some(Self { machines, _switch: Some(switch) }));
        }
        let Some(machines) = Machines::new(count) else { return Ok(None) };
        let ports = (1..=count).map(|i| (machines.switch(), format!("port{i}")));
        for (name, end) in machines.machines().iter().map(|name| (name.as_str(), "eth0".into())).chain(ports) {
            // A token bucket filter: what comes faster than the rate waits, 50 ms at most. A millisecond's bytes may pass at once.
            let burst = (rate / 8e3).max(2e5);
            let arguments = format!("-n {name} qdisc add dev {end} root tbf rate {rate} burst {burst} latency 50ms");
            if !Command::new("tc").args(arguments.split(' ')).status()?.success() {
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
        let mut switch = Self(command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?);
        let mut line = String::new();
        BufReader::new(switch.0.stdout.take().expect("it is piped")).read_line(&mut line)?;
        if line.trim() == "ready" { Ok(switch) } else { Err("switch.py lays no cables here".into()) }
    }
}
