//! Two machines, and the network between them: two network namespaces with a cable, made by this test. It needs root.

use crate::job::{self, TRAIN, workplace};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};
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

/// Writes a script that runs a command on the other machine, in the place of `ssh`.
fn agent(at: &Path, machines: &Machines) -> String {
    let path = at.join("agent");
    let script = format!("#!/bin/sh\nshift\nexec ip netns exec {} sh -c \"$*\"\n", machines.names[1]);
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path.display().to_string()
}

/// Both ranks end, each with a line about the other one.
pub fn cut() {
    let Some(machines) = Machines::new() else {
        println!("SKIPPED: no network was cut, since this user may make no network namespaces");
        return;
    };
    let place = workplace();
    let at = place.path();
    // What rank 1 prints does not come through a network that is cut.
    let train = [&TRAIN[..], &["--steps", "100000", "--out", "run"]].concat().join(" ");
    let script = format!("exec {} {train} 2> printed-$OMPI_COMM_WORLD_RANK", env!("CARGO_BIN_EXE_ossia"));
    let agent = agent(at, &machines);
    let options =
        ["plm_rsh_agent", &agent, "btl", "tcp,self", "btl_tcp_if_include", "eth0", "oob_tcp_if_include", "eth0"];
    let mut command = Command::new("ip");
    command
        .args(["netns", "exec", &machines.names[0]])
        .arg("mpirun")
        .args(options.chunks(2).flat_map(|pair| ["--mca", pair[0], pair[1]]));
    command
        .args(["--host", "10.77.0.1,10.77.0.2", "--bind-to", "none", "-n", "2", "sh", "-c", &script])
        .current_dir(at);
    command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
    let mut launcher = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let printed = |rank: usize| fs::read_to_string(at.join(format!("printed-{rank}"))).unwrap_or_default();
    let wait = |what: &dyn Fn() -> bool| {
        let start = Instant::now();
        while !what() {
            assert!(start.elapsed() < Duration::from_secs(30), "0: {}\n1: {}", printed(0), printed(1));
            std::thread::sleep(Duration::from_millis(10));
        }
        start.elapsed()
    };
    wait(&|| printed(0).contains("step 3/"));
    machines.cut();
    let time = wait(&|| [0, 1].iter().all(|&rank| printed(rank).contains("error: ")));
    // The launcher waits for its other half, which it can no longer reach.
    let others = Command::new("ip").args(["netns", "pids", &machines.names[1]]).output().unwrap();
    for process in job::text(&others.stdout).split_whitespace() {
        _ = Command::new("kill").args(["-9", process]).status();
    }
    _ = launcher.kill();
    launcher.wait().unwrap();
    assert!(time < Duration::from_secs(10), "{time:?}");
    for (rank, other) in [(0, 1), (1, 0)] {
        let expected = format!("error: rank {other}: has given no sign of life for 5 seconds");
        assert!(printed(rank).contains(&expected), "{}", printed(rank));
    }
}
