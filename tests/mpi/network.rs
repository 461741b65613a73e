//! Two machines, and the network between them: two network namespaces with a cable, made by this test. It needs root.

use crate::job::{self, TRAIN, is_running, workplace};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

/// Two namespaces. They vanish with the value.
struct Machines {
    names: [String; 2],
}

fn ip(arguments: &str) -> bool {
    let output = Command::new("ip").args(arguments.split(' ')).stderr(Stdio::null()).status();
    output.is_ok_and(|status| status.success())
}

impl Machines {
    /// Creates the machines 10.77.0.1 and 10.77.0.2; `None` if this is not allowed here.
    fn new() -> Option<Self> {
        let names = [1, 2].map(|i| format!("ossia-{}-{i}", std::process::id()));
        if !ip(&format!("netns add {}", names[0])) {
            return None;
        }
        let machines = Self { names };
        let [a, b] = &machines.names;
        let made = ip(&format!("netns add {b}"))
            && ip(&format!("link add eth0 netns {a} type veth peer name eth0 netns {b}"))
            && [(a, 1), (b, 2)].iter().all(|(name, i)| {
                ip(&format!("-n {name} addr add 10.77.0.{i}/24 dev eth0"))
                    && ip(&format!("-n {name} link set eth0 up"))
                    && ip(&format!("-n {name} link set lo up"))
            });
        made.then_some(machines)
    }

    /// Cuts the cable.
    fn cut(&self) {
        assert!(ip(&format!("-n {} link set eth0 down", self.names[1])));
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        self.names.iter().for_each(|name| _ = ip(&format!("netns del {name}")));
    }
}

/// A job with a rank on each machine.
struct Job<'m> {
    machines: &'m Machines,
    place: tempfile::TempDir,
    launcher: Child,
}

impl<'m> Job<'m> {
    /// Starts a run, and waits until it trains.
    fn start(machines: &'m Machines) -> Self {
        let place = workplace();
        let at = place.path();
        // What runs a command on the other machine, instead of `ssh`. That machine also has another name.
        let agent = at.join("agent");
        let script = format!(
            "#!/bin/sh\nshift\nexec ip netns exec {} unshare --uts sh -c \"hostname other; $*\"\n",
            machines.names[1]
        );
        fs::write(&agent, script).unwrap();
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
        // What rank 1 prints does not come through a network that is cut. Each rank writes the number of its process.
        let train = [&TRAIN[..], &["--steps", "100000", "--out", "run"]].concat().join(" ");
        let ossia = env!("CARGO_BIN_EXE_ossia");
        let rank = "$OMPI_COMM_WORLD_RANK";
        let script = format!("echo $$ > process-{rank}; exec {ossia} {train} 2> printed-{rank}");
        let agent = agent.display().to_string();
        let options = [
            ("plm_rsh_agent", agent.as_str()),
            ("btl", "tcp,self"),
            ("btl_tcp_if_include", "eth0"),
            ("oob_tcp_if_include", "eth0"),
        ];
        let said = fs::File::create(at.join("launcher")).unwrap();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &machines.names[0], "mpirun"]);
        options.iter().for_each(|(name, value)| _ = command.args(["--mca", name, value]));
        command.args(["--host", "10.77.0.1,10.77.0.2", "--bind-to", "none", "-n", "2", "sh", "-c", &script]);
        command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
        let launcher = command.current_dir(at).stdout(Stdio::null()).stderr(said).spawn().unwrap();
        let job = Self { machines, place, launcher };
        job.wait(&|| job.printed(0).contains("step 3/"));
        job
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.place.path().join(name)).unwrap_or_default()
    }

    fn printed(&self, rank: usize) -> String {
        self.read(&format!("printed-{rank}"))
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

impl Drop for Job<'_> {
    /// Ends the two halves of the launcher, which may not reach each other.
    fn drop(&mut self) {
        let others = Command::new("ip").args(["netns", "pids", &self.machines.names[1]]).output().unwrap();
        for process in job::text(&others.stdout).split_whitespace() {
            _ = Command::new("kill").args(["-9", process]).status();
        }
        _ = self.launcher.kill();
        _ = self.launcher.wait();
    }
}

/// Both ranks end, each with a line about the other one.
pub fn cut() {
    let Some(machines) = Machines::new() else {
        println!("SKIPPED: no network was cut, since this user may make no network namespaces");
        return;
    };
    let job = Job::start(&machines);
    machines.cut();
    let time = job.wait(&|| [0, 1].iter().all(|&rank| job.printed(rank).contains("error: ")));
    assert!(time < Duration::from_secs(10), "{time:?}");
    for (rank, other) in [(0, 1), (1, 0)] {
        let expected = format!("error: rank {other}: has given no sign of life for 5 seconds");
        assert!(job.printed(rank).contains(&expected), "{}", job.printed(rank));
    }
}

/// Rank 0 does not see the processes of another machine. The launcher does: it names rank 1, and ends rank 0.
pub fn killed() {
    let Some(machines) = Machines::new() else {
        println!("SKIPPED: no rank on another machine was killed, since this user may make no network namespaces");
        return;
    };
    let job = Job::start(&machines);
    assert!(Command::new("kill").args(["-9", job.read("process-1").trim()]).status().unwrap().success());
    let first = job.read("process-0");
    let time = job.wait(&|| !is_running(first.trim().parse().unwrap()));
    assert!(time < Duration::from_secs(10), "{time:?}");
    job.wait(&|| job.read("launcher").contains("mpirun noticed that process rank 1 "));
}
