//! Machines and the network between them: network namespaces, and a switch to which each has a cable. It needs root.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

/// Some network namespaces. They vanish with the value.
pub struct Machines {
    /// The names of the namespaces, and at last that of the switch.
    names: Vec<String>,
}

/// Runs `ip`, and returns whether it did what it should.
pub fn ip(arguments: &str) -> bool {
    let output = Command::new("ip").args(arguments.split(' ')).stderr(Stdio::null()).status();
    output.is_ok_and(|status| status.success())
}

impl Machines {
    /// Creates the machines 10.77.0.1, 10.77.0.2 and so on; `None` if this is not allowed here.
    pub fn new(count: usize) -> Option<Self> {
        let machines = Self::apart(count)?;
        (machines.connect() && machines.start()).then_some(machines)
    }

    /// Creates machines that no network connects yet.
    pub fn apart(count: usize) -> Option<Self> {
        let names = (1..=count).map(|i| i.to_string()).chain(["switch".into()]);
        let machines = Self { names: names.map(|name| format!("ossia-{}-{name}", std::process::id())).collect() };
        machines.names.iter().all(|name| ip(&format!("netns add {name}"))).then_some(machines)
    }

    /// Lays a cable from `eth0` of each machine to a port of the switch: `port1`, `port2` and so on.
    fn connect(&self) -> bool {
        let switch = self.switch();
        let cable = |(i, name): (usize, &String)| {
            let port = format!("port{}", i + 1);
            ip(&format!("link add eth0 netns {name} type veth peer name {port} netns {switch}"))
                && ip(&format!("-n {switch} link set {port} master bridge up"))
        };
        ip(&format!("-n {switch} link add bridge type bridge"))
            && ip(&format!("-n {switch} link set bridge up"))
            && self.machines().iter().enumerate().all(cable)
    }

    /// Gives `eth0` of each machine its address, and starts it.
    pub fn start(&self) -> bool {
        let start = |(i, name): (usize, &String)| {
            ip(&format!("-n {name} addr add {}/24 dev eth0", self.address(i)))
                && ip(&format!("-n {name} link set eth0 up"))
                && ip(&format!("-n {name} link set lo up"))
        };
        self.machines().iter().enumerate().all(start)
    }

    /// Returns the names of the machines, with which `ip netns exec` runs a command there.
    pub fn machines(&self) -> &[String] {
        &self.names[..self.names.len() - 1]
    }

    /// Returns the name of the namespace of the switch.
    pub fn switch(&self) -> &str {
        &self.names[self.names.len() - 1]
    }

    fn address(&self, i: usize) -> String {
        format!("10.77.0.{}", i + 1)
    }

    /// Returns the `mpirun` of the first machine, for a job with a rank on each. What it needs is written to a directory.
    pub fn mpirun(&self, directory: &Path) -> Command {
        // What runs a command on another machine, instead of `ssh`. That machine also has another name.
        let agent = directory.join("agent");
        let script = format!(
            "#!/bin/sh\nnumber=${{1##*.}}\nshift\nexec ip netns exec ossia-{}-$number unshare --uts sh -c \"hostname \
             machine$number; $*\"\n",
            std::process::id()
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
        let addresses: Vec<String> = (0..self.machines().len()).map(|i| self.address(i)).collect();
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.machines()[0], "mpirun"]);
        options.iter().for_each(|(name, value)| _ = command.args(["--mca", name, value]));
        command.args(["--host", &addresses.join(","), "--bind-to", "none", "-n", &addresses.len().to_string()]);
        command.envs([("OMPI_ALLOW_RUN_AS_ROOT", "1"), ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1")]);
        command
    }
}

impl Drop for Machines {
    fn drop(&mut self) {
        self.names.iter().for_each(|name| _ = ip(&format!("netns del {name}")));
    }
}
