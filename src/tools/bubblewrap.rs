//! Bubblewrap as the outer layer of the sandbox: <https://github.com/containers/bubblewrap>.
//!
//! Landlock and seccomp forbid; in namespaces of their own, what is forbidden is not there: no other processes, no
//! network, and of the file system only what may be read. Not every machine lets a user make namespaces, so this layer
//! comes on top of the others and never in their place.

use super::sandbox::Confinement;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::OnceLock;

const NAMESPACES: [&str; 4] = ["--unshare-all", "--die-with-parent", "--new-session", "--cap-drop"];

/// Whether it is installed, and may make namespaces. Asked once.
pub fn works() -> bool {
    static WORKS: OnceLock<bool> = OnceLock::new();
    *WORKS.get_or_init(|| {
        let mut probe = Command::new("bwrap");
        probe.args(NAMESPACES).args(["ALL", "--ro-bind", "/", "/", "true"]);
        probe.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        probe.status().is_ok_and(|status| status.success())
    })
}

/// A command that shows `helper` what a confinement may see, and then becomes it.
pub fn around(confinement: &Confinement, helper: &Path) -> Command {
    let mut command = Command::new("bwrap");
    command.args(NAMESPACES).arg("ALL");
    // Where programs expect their loader; on most systems links into /usr.
    for name in ["/lib", "/lib32", "/lib64"] {
        if let Ok(target) = std::fs::read_link(name) {
            command.arg("--symlink").arg(target).arg(name);
        }
    }
    let loader = Path::new("/usr/lib64");
    let seen = confinement.read.iter().chain(&confinement.execute).map(|path| path.as_path());
    for path in seen.chain([helper, loader]).filter(|path| path.exists()) {
        command.arg("--ro-bind").arg(path).arg(path);
        // A link is shown as what it leads to; others may name that by its own path.
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
