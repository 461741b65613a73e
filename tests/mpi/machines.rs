//! Machines and the network between them: network namespaces, and cables. It needs root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Some network namespaces. They vanish with the value, and so do the processes in them.
pub struct Machines {
    /// The names of the namespaces; with more than two machines, the last one is that of a switch.
    names: Vec<String>,
    count: usize,
}

/// Runs `ip`.
///
/// # Panics
/// If it fails.
#[track_caller]
pub fn ip(arguments: &str) {
    let output = Command::new("ip").args(arguments.split(' ')).output().expect("there is a program `ip`");
    assert!(output.status.success(), "ip {arguments}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The name of the namespace of a machine, or of the switch.
fn name(of: &str) -> String {
    format!("ossia-{}-{of}", std::process::id())
}

impl Machines {
    /// Creates the machines 10.77.0.1, 10.77.0.2 and so on, and connects them; `None` if this user may make no namespaces.
    pub fn new(count: usize) -> Option<Self> {
        let machines = Self::apart(count)?;
        machines.connect();
        machines.start();
        Some(machines)
    }

    /// Creates machines that no network connects yet; `None` if this user may make no namespaces.
    pub fn apart(count: usize) -> Option<Self> {
        let switch = (count > 2).then(|| "switch".to_string());
        let names: Vec<String> = (1..=count).map(|i| i.to_string()).chain(switch).map(|of| name(&of)).collect();
        let add = Command::new("ip").args(["netns", "add", &names[0]]).stderr(Stdio::null()).status();
        if !add.is_ok_and(|status| status.success()) {
            return None;
        }
        let machines = Self { names, count };
        machines.names[1..].iter().for_each(|name| ip(&format!("netns add {name}")));
        Some(machines)
    }

    /// Lays a cable between the ends `eth0` of two machines, or from each of more machines to a port of the switch: `port1`,
    /// `port2` and so on.
    fn connect(&self) {
        let Some(switch) = self.switch() else {
            ip(&format!("link add eth0 netns {} type veth peer name eth0 netns {}", self.names[0], self.names[1]));
            return;
        };
        ip(&format!("-n {switch} link add bridge type bridge"));
        ip(&format!("-n {switch} link set bridge up"));
        for (i, name) in self.machines().iter().enumerate() {
            let port = format!("port{}", i + 1);
            ip(&format!("link add eth0 netns {name} type veth peer name {port} netns {switch}"));
            ip(&format!("-n {switch} link set {port} master bridge up"));
        }
    }

    /// Gives `eth0` of each machine its address, and starts it.
    pub fn start(&self) {
        for (i, name) in self.machines().iter().enumerate() {
            ip(&format!("-n {name} addr add {}/24 dev eth0", self.address(i)));
            ip(&format!("-n {name} link set eth0 up"));
            ip(&format!("-n {name} link set lo up"));
        }
    }

    /// Returns the names of the machines, with which `ip netns exec` runs a command there.
    pub fn machines(&self) -> &[String] {
        &self.names[..self.count]
    }

    /// Returns the name of the namespace of the switch, if there is one.
    pub fn switch(&self) -> Option<&str> {
        self.names.get(self.count).map(String::as_str)
    }

    fn address(&self, i: usize) -> String {
        format!("10.77.0.{}", i + 1)
    }

    /// Returns the `mpirun` of the first machine, for a job with a rank on each. What it needs is written to a directory.
    pub fn mpirun(&self, directory: &Path) -> Command {
        // What runs a command on another machine, instead of `ssh`. That machine also has another name.
        let agent = directory.join("agent");
        let script = format!(
            "#!/bin/sh\nnumber=${{1##*.}}\nshift\nexec ip netns exec {} unshare --uts sh -c \"hostname machine$number; $*\"\n",
            name("$number")
        );
        fs::write(&agent, script).unwrap();
        fs::set_permissions(&agent, fs::Permissions::from_mode(0o755)).unwrap();
        let agent = agent.display().to_string();
        let options = [
            ("plm_rsh_agent", agent.as_str()),
            ("btl", "tcp,self"),
            ("btl_tcp_if_include", "eth0"),
            ("oob_tcp_if_include", "eth0"),
        ];
        let addresses: Vec<String> = (0..self.count).map(|i| self.address(i)).collect();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.names[0], "mpirun"]);
        options.iter().for_each(|(name, value)| _ = command.args(["--mca", name, value]));
        command.args(["--host", &addresses.join(","), "--bind-to", "none", "-n", &self.count.to_string()]);
        command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
        command
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        for name in &self.names {
            let processes = Command::new("ip").args(["netns", "pids", name]).output();
            let processes =
                processes.map_or(String::new(), |output| String::from_utf8_lossy(&output.stdout).into_owned());
            for process in processes.split_whitespace() {
                _ = Command::new("kill").args(["-9", process]).status();
            }
            _ = Command::new("ip").args(["netns", "del", name]).stderr(Stdio::null()).status();
        }
    }
}
