//! Attempts to get out of the sandbox. Each is a program; those that get what they want print ESCAPED.

use super::python::{session, session_with, settings};
use ossia::tools::python::{Python, PythonSettings};
use std::fs;
use std::io::Write;
use std::net::TcpListener;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::process::{Child, Command, Stdio};

const SECRET: &str = "the-secret-that-must-not-be-read";

/// The attempts to escape. `S` is a file that must not be read or changed, `D` the directory around it, `PORT` a server,
/// `VICTIM` a process and `U` a socket in the file system.
const ATTEMPTS: &[(&str, &str)] = &[
    // Reading.
    ("open a file", "print(open(S).read())"),
    ("open it by its descriptor", "print(os.read(os.open(S, os.O_RDONLY), 99))"),
    ("by a relative path", "print(open(os.path.relpath(S)).read())"),
    ("by a symbolic link", "os.symlink(S, 'link'); print(open('link').read())"),
    ("by a link to its directory", "os.symlink(D, 'dir'); print(open('dir/secret').read())"),
    ("by a hard link", "os.link(S, 'hard'); print(open('hard').read())"),
    ("by the root of the process", "print(open('/proc/self/root' + S).read())"),
    ("by a directory's descriptor", "d = os.open(D, os.O_PATH); print(os.read(os.open('secret', 0, dir_fd=d), 99))"),
    ("by changing there", "os.chdir(D); print(open('secret').read())"),
    ("mapped into memory", "import mmap; f = os.open(S, os.O_RDWR); print(mmap.mmap(f, 0)[:])"),
    (
        "copied by the kernel",
        "f = os.open(S, 0); g = os.open('copy', os.O_CREAT | os.O_WRONLY); os.sendfile(g, f, 0, 99)",
    ),
    ("as a module", "import importlib.machinery as m; m.SourceFileLoader('s', S).load_module()"),
    ("as a database", "import sqlite3; sqlite3.connect(S).execute('select 1 from sqlite_master').fetchall()"),
    ("by the C library", "assert libc.open(S.encode(), 0) >= 0"),
    ("a list of the directory", "print(os.listdir(D))"),
    ("a list of the root", "print(os.listdir('/'))"),
    ("a list of the processes", "print(os.listdir('/proc'))"),
    ("the environment of the parent", "print(open(f'/proc/{os.getppid()}/environ').read())"),
    ("the memory of the parent", "open(f'/proc/{os.getppid()}/mem', 'rb').read(1)"),
    ("its own memory, as a file", "open('/proc/self/mem', 'r+b').read(1)"),
    ("the users", "print(open('/etc/passwd').read())"),
    ("the disk", "import glob; open('/dev/' + 'vda', 'rb').read(1)"),
    ("the terminal", "open('/dev/tty')"),
    // Writing.
    ("write a file", "open(D + '/new', 'w').write('x')"),
    ("overwrite the file", "open(S, 'w').write('x')"),
    ("append to it", "open(S, 'a').write('x')"),
    ("truncate it", "os.truncate(S, 0)"),
    ("remove it", "os.remove(S)"),
    ("rename it", "os.rename(S, D + '/other')"),
    ("move it here", "os.rename(S, 'mine')"),
    ("move something there", "open('w', 'w').close(); os.rename('w', D + '/w')"),
    ("link something there", "open('v', 'w').close(); os.link('v', D + '/v')"),
    ("make a link there", "os.symlink('/', D + '/root')"),
    ("make a directory there", "os.mkdir(D + '/made')"),
    ("remove the directory", "import shutil; shutil.rmtree(D)"),
    ("change its mode", "os.chmod(S, 0)"),
    ("change its mode by its descriptor", "os.fchmod(os.open(S, os.O_RDONLY), 0)"),
    ("change its owner", "os.chown(S, 1, 1)"),
    ("change its times", "os.utime(S, (0, 0))"),
    ("give it an attribute", "os.setxattr(S, 'user.x', b'x')"),
    (
        "make a device",
        "import stat; os.mknod('dev', 0o600 | stat.S_IFBLK, os.makedev(254, 0)); open('dev', 'rb').read(1)",
    ),
    ("a file that runs as its owner", "os.open('suid', os.O_CREAT | os.O_WRONLY, 0o4755)"),
    ("a file that runs as its group", "os.open('sgid', os.O_CREAT | os.O_WRONLY, 0o2755)"),
    ("such a file without a name", "os.open('.', os.O_TMPFILE | os.O_WRONLY, 0o4700)"),
    ("such a file by its directory", "os.open('sgid', os.O_CREAT, 0o2700, dir_fd=os.open('.', 0))"),
    ("to reserve a large file", "os.posix_fallocate(os.open('r', os.O_CREAT | os.O_RDWR), 0, 99)"),
    ("write where libraries are", "open(os.__file__, 'a').write('x')"),
    ("write beside them", "open(os.path.dirname(os.__file__) + '/ossia_escape.py', 'w')"),
    // The network.
    ("a TCP connection", "socket.create_connection(('127.0.0.1', PORT)).send(b'x')"),
    ("a UDP packet", "socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b'x', ('127.0.0.1', PORT))"),
    ("a server", "socket.create_server(('127.0.0.1', 0))"),
    ("a socket in the file system", "socket.socket(socket.AF_UNIX).connect(U)"),
    ("a socket with an abstract name", "socket.socket(socket.AF_UNIX).bind('\\0ossia')"),
    ("a raw socket", "socket.socket(socket.AF_PACKET, socket.SOCK_RAW)"),
    ("a page", "import urllib.request; urllib.request.urlopen(f'http://127.0.0.1:{PORT}/', timeout=5)"),
    ("a name", "socket.getaddrinfo('localhost', 80)[0]"),
    // A pair of sockets is allowed, and reaches nothing but itself.
    ("a pair of another family", "socket.socketpair(socket.AF_TIPC)"),
    ("a packet from a pair to an address", "reach(pair(2)[0].sendto, b'x', U)"),
    ("a connection from a pair", "reach(pair(2)[0].connect, U)"),
    ("a name for a pair", "reach(pair()[0].bind, '\\0ossia')"),
    ("a pair that listens", "reach(pair()[0].listen)"),
    ("a descriptor through a pair", "reach(socket.send_fds, pair()[0], [b'x'], [0])"),
    ("out-of-band data", "reach(pair()[0].send, b'x', socket.MSG_OOB)"),
    ("the process behind a pair", "reach(pair()[0].getsockopt, socket.SOL_SOCKET, 77)"),
    ("an option of a pair", "reach(pair()[0].setsockopt, socket.SOL_SOCKET, socket.SO_PASSCRED, 1)"),
    // Processes.
    ("a shell", "assert os.system('true') == 0"),
    ("a program", "import subprocess; subprocess.run(['/bin/true'])"),
    ("a copy of itself", "assert os.fork() >= 0"),
    ("a spawned program", "os.posix_spawn('/bin/true', ['true'], {})"),
    ("a pool", "import multiprocessing as m; m.get_context('spawn').Process(target=print).start()"),
    ("to become a shell", "os.execv('/bin/sh', ['sh', '-c', 'echo ESCAPED'])"),
    (
        "to become a program of its own",
        "open('p', 'w').write('#!/bin/sh\\necho ESCAPED'); os.chmod('p', 0o700); os.execv('./p', ['p'])",
    ),
    ("a program in memory", "f = os.memfd_create('x'); os.write(f, b'#!/bin/sh'); os.execve(f, ['x'], {})"),
    ("to kill a process", "os.kill(VICTIM, 9)"),
    ("to kill the parent", "os.kill(os.getppid(), 9)"),
    ("to kill its group", "os.killpg(os.getpgid(VICTIM), 9)"),
    ("to hold a process", "os.pidfd_open(VICTIM)"),
    ("to leave its session", "os.setsid()"),
    // Signals that a descriptor sends.
    ("an owner of a pipe", "reach(fcntl.fcntl, os.pipe()[0], fcntl.F_SETOWN, os.getppid())"),
    ("an owner of a pair", "reach(fcntl.fcntl, pair()[0], fcntl.F_SETOWN, os.getppid())"),
    ("an owner by its structure", "reach(fcntl.fcntl, os.pipe()[0], 15, bytes(8))"),
    ("a signal of a pipe", "reach(fcntl.fcntl, os.pipe()[0], 10, 9)"),
    ("a pipe that signals", "reach(fcntl.fcntl, os.pipe()[0], fcntl.F_SETFL, os.O_ASYNC)"),
    ("a pipe that signals, by ioctl", "reach(fcntl.ioctl, os.pipe()[0], 0x5452, bytes([1, 0, 0, 0]))"),
    ("an owner by ioctl", "reach(fcntl.ioctl, pair()[0], 0x8901, bytes(4))"),
    ("a signal when a directory changes", "reach(fcntl.fcntl, os.open('.', 0), fcntl.F_NOTIFY, 1)"),
    ("a lease", "reach(fcntl.fcntl, os.open('l', os.O_CREAT), fcntl.F_SETLEASE, fcntl.F_RDLCK)"),
    ("memory of the kernel in a pipe", "reach(fcntl.fcntl, os.pipe()[0], 1031, 1 << 20)"),
    ("to type at a terminal", "reach(fcntl.ioctl, 0, 0x5412, b'x')"),
    ("to take a terminal", "reach(fcntl.ioctl, 0, 0x540e, 0)"),
    // Rights.
    ("more memory", "import resource as r; r.setrlimit(r.RLIMIT_AS, (-1, -1))"),
    ("larger files", "import resource as r; r.prlimit(0, r.RLIMIT_FSIZE, (-1, -1))"),
    ("the limits of another process", "import resource as r; r.prlimit(VICTIM, r.RLIMIT_NOFILE, (0, 0))"),
    ("another user", "os.setuid(1)"),
    ("another root", "os.chroot('.')"),
    ("a namespace", "assert libc.unshare(0x10000000) == 0"),
    ("a file system", "assert libc.mount(b'none', b'.', b'tmpfs', 0, None) == 0"),
    ("rights that were given up", "assert libc.prctl(38, 0, 0, 0, 0) == 0"),
    ("a lower priority for another", "os.setpriority(os.PRIO_PROCESS, VICTIM, 19)"),
    ("another name for the machine", "import socket as s; s.sethostname('x')"),
    ("another time", "import time; time.clock_settime(time.CLOCK_REALTIME, time.time())"),
];

/// `reach(f, …)` is for calls that could fail for other reasons: it succeeds if no filter has stopped the call.
const HELPERS: &str = "\
import ctypes, fcntl, os, socket
libc = ctypes.CDLL(None, use_errno=True)
def reach(call, *arguments):
    try: call(*arguments)
    except PermissionError: raise
    except OSError: pass
def number(*arguments):
    assert libc.syscall(*arguments) >= 0 or ctypes.get_errno() not in (1, 38)
def pair(kind=1): return socket.socketpair(socket.AF_UNIX, kind)";

/// System calls that are asked for by number.
#[cfg(target_arch = "x86_64")]
const CALLS: &[(&str, &str)] = &[
    ("fork", "57"),
    ("vfork", "58"),
    ("clone without a thread", "56, 17, 0, 0, 0, 0"),
    ("clone3", "435, 0, 0"),
    ("a thread in a user namespace", "56, 0x3d0f00 | 0x10000000, 0, 0, 0, 0"),
    ("a thread in a network namespace", "56, 0x3d0f00 | 0x40000000, 0, 0, 0, 0"),
    ("a thread with its own directory in a mount namespace", "56, 0x3d0d00 | 0x20000, 0, 0, 0, 0"),
    ("a thread in a process namespace", "56, 0x3d0f00 | 0x20000000, 0, 0, 0, 0"),
    ("a thread that is traced", "56, 0x3d0f00 | 0x2000, 0, 0, 0, 0"),
    ("a thread with its own files", "56, 0x3d0b00, 0, 0, 0, 0"),
    ("close_range with a table of its own", "436, 100, 101, 2"),
    ("kill", "62, VICTIM, 9"),
    ("tkill", "200, VICTIM, 9"),
    ("tgkill", "234, VICTIM, VICTIM, 9"),
    ("rt_sigqueueinfo", "129, VICTIM, 9, bytes(128)"),
    ("pidfd_send_signal", "424, 0, 9, 0, 0"),
    ("timer_create", "222, 0, 0, bytes(8)"),
    ("mq_open", "240, b'x', 0o100, 0o600, 0"),
    ("shmget", "29, 1, 4096, 0o1600"),
    ("msgget", "68, 1, 0o1600"),
    ("inotify_init1", "294, 0"),
    ("fanotify_init", "300, 0, 0"),
    ("sendmsg", "46, 0, bytes(56), 0"),
    ("recvmsg", "47, 0, bytes(56), 0"),
    ("socket", "41, 1, 1, 0"),
    ("vmsplice", "278, 1, 0, 0, 0"),
    ("splice", "275, 0, 0, 1, 0, 1, 0"),
    ("personality", "135, 0x0040000"),
    ("seccomp", "317, 0, 0, 0"),
    ("sched_setscheduler", "144, 0, 0, bytes(4)"),
    ("fchmodat2", "452, -100, b'.', 0o4777, 0"),
    ("setxattr", "188, b'.', b'user.x', b'', 0, 0"),
    ("name_to_handle_at", "303, -100, b'.', bytes(128), bytes(8), 0"),
    ("get_robust_list", "274, VICTIM, bytes(8), bytes(8)"),
    ("ptrace", "101, 16, VICTIM, 0, 0"),
    ("process_vm_readv", "310, VICTIM, 0, 0, 0, 0, 0"),
    ("pidfd_getfd", "438, 3, 0, 0"),
    ("open_by_handle_at", "304, -100, 0, 0"),
    ("openat2", "437, -100, S.encode(), b'\\0' * 24, 24"),
    ("io_uring_setup", "425, 8, ctypes.create_string_buffer(120)"),
    ("bpf", "321, 0, 0, 0"),
    ("perf_event_open", "298, 0, 0, -1, -1, 0"),
    ("userfaultfd", "323, 0"),
    ("keyctl", "250, 0, 0"),
    ("setns", "308, 3, 0"),
    ("pivot_root", "155, b'.', b'.'"),
    ("move_mount", "429, -100, b'.', -100, b'.', 0"),
    ("finit_module", "313, 3, b'', 0"),
    ("kexec_load", "246, 0, 0, 0, 0"),
    ("swapon", "167, b'.', 0"),
    ("execveat", "322, 3, b'', 0, 0, 4096"),
    ("memfd_create", "319, b'x', 0"),
    ("getpid of the x32 interface", "0x40000000 + 39"),
];
#[cfg(not(target_arch = "x86_64"))]
const CALLS: &[(&str, &str)] = &[];

/// A process that must not be touched.
struct Victim(Child);

impl Victim {
    fn new() -> Self {
        let mut command = Command::new("sleep");
        Self(command.arg("600").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap())
    }
}

impl Drop for Victim {
    fn drop(&mut self) {
        _ = self.0.kill();
        _ = self.0.wait();
    }
}

#[test]
fn tools_python_cannot_escape() {
    session().into_iter().for_each(cannot_escape);
}

/// The inner layers hold by themselves, where there is no bubblewrap.
#[test]
fn tools_python_cannot_escape_without_bubblewrap() {
    session_with(PythonSettings { bubblewrap: false, ..settings() }).into_iter().for_each(cannot_escape);
}

fn cannot_escape(mut python: Python) {
    let outside = tempfile::tempdir().unwrap();
    let secret = outside.path().join("secret");
    fs::write(&secret, SECRET).unwrap();
    let before = fs::metadata(&secret).unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    server.set_nonblocking(true).unwrap();
    let unix = UnixListener::bind(outside.path().join("socket")).unwrap();
    unix.set_nonblocking(true).unwrap();
    let mut victim = Victim::new();
    let known = |python: &mut Python| {
        let names = format!(
            "{HELPERS}\nS = {secret:?}\nD = {:?}\nU = D + '/socket'\nPORT = {}\nVICTIM = {}",
            outside.path(),
            server.local_addr().unwrap().port(),
            victim.0.id()
        );
        assert_eq!(python.run(&names), "[no output; print shows something]");
    };
    let calls = CALLS.iter().map(|(name, call)| (*name, format!("number({call})")));
    let attempts: Vec<(&str, String)> =
        ATTEMPTS.iter().map(|(name, code)| (*name, code.to_string())).chain(calls).collect();
    assert!(attempts.len() >= 40);
    known(&mut python);
    for (name, code) in &attempts {
        let program = format!(
            "try:\n    {code}\n    print('ESCAPED')\nexcept BaseException as e: print('stopped', type(e).__name__)"
        );
        let answer = python.run(&program);
        assert!(!answer.contains("ESCAPED") && !answer.contains(SECRET), "{name}: {answer}");
        assert!(answer.contains("stopped"), "{name}: {answer}");
        // What was stopped is the attempt, and not a mistake in it.
        let mistaken = ["NameError", "SyntaxError", "TypeError", "AttributeError", "ModuleNotFoundError"];
        assert!(!mistaken.iter().any(|kind| answer.contains(kind)), "{name}: {answer}");
    }
    // Nothing outside is other than it was.
    assert_eq!(fs::read_to_string(&secret).unwrap(), SECRET);
    let after = fs::metadata(&secret).unwrap();
    assert_eq!(after.permissions(), before.permissions());
    assert_eq!(after.modified().unwrap(), before.modified().unwrap());
    let names: Vec<_> = fs::read_dir(outside.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(names.len(), 2, "{names:?}");
    assert!(server.accept().is_err() && unix.accept().is_err(), "nobody called");
    assert_eq!(victim.0.try_wait().unwrap(), None, "it lives");
}

/// The attempts are real: without the sandbox most of them get what they want.
#[test]
fn tools_python_without_the_sandbox_reads_what_it_likes() {
    let outside = tempfile::tempdir().unwrap();
    fs::write(outside.path().join("secret"), SECRET).unwrap();
    let Some(mut python) = session_with(PythonSettings { unsandboxed: true, ..settings() }) else { return };
    let read = format!("print(open({:?}).read())", outside.path().join("secret"));
    assert_eq!(python.run(&read), format!("{SECRET}\n"));
    assert_eq!(python.run("import os; os.system('true')"), "0\n");
    assert_eq!(python.run("import socket; socket.socket().close(); print('ESCAPED')"), "ESCAPED\n");
}

/// To become the interpreter once more is to stay where one is.
#[test]
fn tools_python_stays_in_the_sandbox_when_it_starts_itself() {
    let Some(mut python) = session() else { return };
    let program = "import os, sys\nos.execv(sys.executable, [sys.executable, '-I', '-c', \
        \"import os\\ntry: print(os.listdir('/'), 'ESCAPED')\\nexcept OSError: print('stopped')\"])";
    let answer = python.run(program);
    assert!(answer.starts_with("stopped\n[the interpreter exited"), "{answer}");
}

/// The loader runs a file of the work directory, which cannot be executed. It gains nothing by that.
#[test]
#[cfg(target_arch = "x86_64")]
fn tools_python_stays_in_the_sandbox_when_it_starts_a_file_of_its_own() {
    let program = r#"
import os, shutil, sys
loader = '/lib64/ld-linux-x86-64.so.2'
shutil.copyfile(sys.executable, 'own')
code = '''
import os
print('begun')
for attempt in lambda: os.listdir('/'), os.fork, lambda: os.open('x', os.O_CREAT, 0o4700):
    try: print(attempt(), 'ESCAPED')
    except OSError: print('stopped')
'''
try: os.execv('./own', ['./own'])
except PermissionError: os.execv(loader, [loader, './own', '-I', '-c', code])
"#;
    for bubblewrap in [true, false] {
        let Some(mut python) = session_with(PythonSettings { bubblewrap, ..settings() }) else { return };
        let answer = python.run(program);
        assert!(answer.starts_with("begun\nstopped\nstopped\nstopped\n[the interpreter exited"), "{answer}");
    }
}

/// System calls of 32-bit programs have other numbers. The kernel ends a process that makes one: here the one to fork.
#[test]
#[cfg(target_arch = "x86_64")]
fn tools_python_makes_no_system_calls_of_another_architecture() {
    let program = "import ctypes, mmap\ncode = mmap.mmap(-1, 4096, prot=7)\n\
        code.write(bytes([0xb8, 2, 0, 0, 0, 0xcd, 0x80, 0xc3]))\n\
        print(ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))(), 'ESCAPED')";
    let Some(mut python) = session() else { return };
    assert!(python.run(program).starts_with("[the interpreter exited"));
}

/// When a session is dropped its process is gone, and so is its directory.
#[test]
fn tools_python_leaves_nothing_behind() {
    // Without bubblewrap, in which a process has another number.
    let Some(mut python) = session_with(PythonSettings { bubblewrap: false, ..settings() }) else { return };
    let told = python.run("import os\nopen('file', 'w').close()\nprint(os.getpid(), os.getcwd())");
    let (pid, directory) = told.trim().split_once(' ').unwrap();
    assert!(Path::new(&format!("/proc/{pid}")).exists() && Path::new(directory).join("file").exists());
    let spin = python.run("import threading\ndef spin():\n    while True: pass\nthreading.Thread(target=spin).start()");
    assert!(spin.contains("no output"), "{spin}");
    drop(python);
    assert!(!Path::new(&format!("/proc/{pid}")).exists() && !Path::new(directory).exists());
}

/// With bubblewrap, what is outside is not even seen.
#[test]
fn tools_python_in_bubblewrap_sees_nothing_else() {
    if !Command::new("bwrap").args(["--unshare-all", "--ro-bind", "/", "/", "true"]).status().is_ok_and(|s| s.success())
    {
        // Not by eprintln, which the test runner keeps to itself.
        let said = b"SKIPPED: bubblewrap is not installed here, or may not make namespaces: its layer was not tested\n";
        _ = std::io::stderr().write_all(said);
        return;
    }
    let seen =
        "import os\n[os.path.exists(path) for path in ('/etc/passwd', '/proc', '/home', '/root/.ssh', '/dev/tty')]";
    let Some(mut python) = session() else { return };
    assert_eq!(python.run(seen), "[False, False, False, False, False]\n");
}
