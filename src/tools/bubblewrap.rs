//! Bubblewrap as the outer layer of the sandbox: <https://github.com/containers/bubblewrap>.
//!
//! Landlock and seccomp forbid accesses. In separate namespaces, the forbidden things do not even exist: there are no
//! other processes, no network, and only the readable part of the file system. Not every machine lets a user create
//! namespaces, so this layer is used in addition to the others and never instead of them.

use super::launch;
use super::sandbox::Confinement;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const NAMESPACES: [&str; 5] = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop", "ALL"];

/// Returns the path of bubblewrap if it is installed and may create namespaces.
pub fn find(helper: &Path) -> Option<PathBuf> {
    let bubblewrap = std::env::split_paths(&std::env::var_os("PATH")?)
        .map(|directory| directory.join("bwrap"))
        .find(|path| path.is_absolute() && path.is_file())?;
    let mut probe = launch::command(helper, &bubblewrap);
    probe.args(NAMESPACES).args(["--ro-bind", "/", "/", "true"]);
    probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    probe.status().is_ok_and(|status| status.success()).then_some(bubblewrap)
}

/// Makes a command that runs `helper` in namespaces where only the paths of the confinement are visible.
pub fn around(bubblewrap: &Path, confinement: &Confinement, helper: &Path) -> Command {
    let mut command = launch::command(helper, bubblewrap);
    command.args(NAMESPACES);
    // Programs expect their loader in these directories, which are links into /usr on most systems.
    for name in ["/lib", "/lib32", "/lib64"] {
        if let Ok(target) = std::fs::read_link(name) {
            command.arg("--symlink").arg(target).arg(name);
        }
    }
    let loader = Path::new("/usr/lib64");
    let seen = confinement.read.iter().chain(&confinement.execute).map(|path| path.as_path());
    for path in seen.chain([helper, loader]).filter(|path| path.exists()) {
        command.arg("--ro-bind").arg(path).arg(path);
        // A link is mounted as its target, whose own path other files may use too.
        if let Ok(real) = path.canonicalize()
            && real != path
        {
            command.arg("--ro-bind").arg(&real).arg(&real);
        }
    }
    command.args(["--dev-bind", "/dev/null", "/dev/null", "--dev-bind", "/dev/urandom", "/dev/urandom"]);
    command.arg("--bind").arg(&confinement.work).arg(&confinement.work).arg("--chdir").arg(&confinement.work);
    command.arg("--").arg(helper);
    command
}
