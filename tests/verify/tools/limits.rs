//! Limits of a session that the kernel does not have, what a session inherits, and when it ends.

use super::python::{session_with, settings};
use ossia::tools::python::{Python, PythonSettings};
use std::fs;
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// Runs a test with bubblewrap, if it can be used here, and without.
fn both(settings: &PythonSettings, test: impl Fn(Python)) {
    for bubblewrap in [true, false] {
        session_with(PythonSettings { bubblewrap, ..settings.clone() }).into_iter().for_each(&test);
    }
}

const FILES_LOST: &str = "; a new session was started in an empty directory, all names and files are lost]";

#[test]
fn tools_python_is_bounded_in_the_sum_of_its_files() {
    both(&PythonSettings { disk: 8 << 20, ..settings() }, |mut python| {
        let answer = python.run("n = 0\nwhile True:\n    open(f'{n}', 'wb').write(bytes(1 << 20)); n += 1");
        assert_eq!(answer, format!("[stopped: more than 8 MiB of new files{FILES_LOST}"));
        assert_eq!(python.run("import os; os.listdir()"), "[]\n");
        assert!(python.run("n").contains("NameError"));
        assert_eq!(python.run("open('one', 'wb').write(bytes(1 << 20))"), "1048576\n");
    });
}

/// A file without a name takes as much space as one with a name.
#[test]
fn tools_python_is_bounded_in_files_that_it_removes() {
    let open = "kept = []\nfor n in range(20):\n    f = open('x', 'w+b', 0); os.unlink('x'); f.write(bytes(1 << 20)); kept.append(f)\nwhile True: pass";
    let without =
        "for n in range(20): f = os.open('.', os.O_TMPFILE | os.O_RDWR); os.write(f, bytes(1 << 20))\nwhile True: pass";
    let mapped = "libc = ctypes.CDLL(None); libc.mmap.restype = ctypes.c_void_p\n\
        for n in range(3):\n    f = os.open('x', os.O_CREAT | os.O_RDWR); os.write(f, bytes(1 << 20)); os.unlink('x')\n    \
            assert libc.mmap(ctypes.c_void_p(0), ctypes.c_size_t(4096), 1, 2, f, ctypes.c_long(0)) != 2**64 - 1; os.close(f)\n\
        while True: pass";
    both(&PythonSettings { disk: 8 << 20, ..settings() }, |mut python| {
        for program in [open, without, mapped] {
            let answer = python.run(&format!("import ctypes, os\n{program}"));
            assert_eq!(answer, format!("[stopped: more than 8 MiB of new files{FILES_LOST}"), "{program}");
        }
    });
}

#[test]
fn tools_python_is_bounded_in_the_number_of_its_files() {
    let program =
        "import os\nn = 0\nwhile True: open(f'{n}', 'w').close(); os.symlink('x', f'l{n}'); os.mkdir(f'd{n}'); n += 1";
    both(&PythonSettings { files: 100, ..settings() }, |mut python| {
        assert_eq!(python.run(program), format!("[stopped: more than 100 new files{FILES_LOST}"));
    });
}

/// Directories that cannot be measured are refused, and removed all the same.
#[test]
fn tools_python_cannot_hide_files() {
    let deep = "while True: os.mkdir('d'); os.chdir('d')";
    let closed = "os.mkdir('closed', 0o300)\nwhile True: pass";
    both(&settings(), |mut python| {
        let directory = python.run("import os; print(os.getcwd())").trim().to_string();
        assert!(Path::new(&directory).exists());
        let answer = python.run(deep);
        let expected = "[stopped: new directories that cannot be read, or are nested more than 64 deep";
        assert_eq!(answer, format!("{expected}{FILES_LOST}"));
        assert!(!Path::new(&directory).exists(), "{directory}");
        let second = python.run("import os; print(os.getcwd())").trim().to_string();
        // Root reads every directory.
        if fs::read("/etc/shadow").is_err() {
            assert_eq!(python.run(closed), format!("{expected}{FILES_LOST}"));
        }
        drop(python);
        assert!(!Path::new(&second).exists(), "{second}");
    });
}

/// In a directory of the user nothing is removed. Python runs again when the user has removed something.
#[test]
fn tools_python_counts_what_it_adds_to_a_directory() {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("large"), vec![0; 16 << 20]).unwrap();
    let work = Some(place.path().to_path_buf());
    let Some(mut python) = session_with(PythonSettings { work, disk: 4 << 20, ..settings() }) else { return };
    assert_eq!(python.run("open('small', 'wb').write(bytes(1 << 20))"), "1048576\n");
    let fill = "while True: open('added', 'ab').write(bytes(1 << 20))";
    let answer = python.run(fill);
    assert!(
        answer.starts_with("[stopped: more than 4 MiB of new files; all names are lost, and Python runs"),
        "{answer}"
    );
    let answer = python.run("1");
    let expected = "there are more than 4 MiB of new files; Python runs again when some are removed]";
    assert!(answer.ends_with(expected) && answer.lines().count() == 1, "{answer}");
    assert!(place.path().join("added").exists() && place.path().join("large").exists());
    fs::remove_file(place.path().join("added")).unwrap();
    assert_eq!(python.run("1"), "1\n");
}

#[test]
fn tools_python_is_bounded_in_threads() {
    let threads = "import threading, time\nthreading.stack_size(64 << 10)\n\
        while True: threading.Thread(target=time.sleep, args=(600,), daemon=True).start()";
    both(&PythonSettings { threads: 50, ..settings() }, |mut python| {
        let answer = python.run(threads);
        assert_eq!(answer, "[stopped: more than 50 threads; a new session was started, all names are lost]");
        assert_eq!(python.run("1"), "1\n");
    });
}

/// A program that exits before anybody has measured what it wrote.
#[test]
fn tools_python_is_bounded_when_it_exits_at_once() {
    let Some(mut python) = session_with(PythonSettings { disk: 1 << 20, ..settings() }) else { return };
    let answer = python.run("import os\nopen('large', 'wb').write(bytes(2 << 20)); os._exit(0)");
    assert_eq!(answer, format!("[stopped: more than 1 MiB of new files{FILES_LOST}"));
    assert_eq!(python.run("import os; os.listdir()"), "[]\n");
}

/// A limit also holds between two programs.
#[test]
fn tools_python_is_bounded_between_programs() {
    let Some(mut python) = session_with(PythonSettings { files: 100, ..settings() }) else { return };
    let program = "import threading\ndef f():\n    n = 0\n    while True: open(f'{n}', 'w').close(); n += 1\n\
        threading.Thread(target=f, daemon=True).start()\nimport os; print(os.getcwd())";
    let answer = python.run(program);
    std::thread::sleep(Duration::from_millis(300));
    // The answer if the first program was stopped before its end, or after it.
    let expected = format!("[stopped: more than 100 new files{FILES_LOST}");
    assert!(answer.ends_with(&expected) || python.run("1") == expected, "{answer}");
    assert_eq!(python.run("2"), "2\n");
}

/// A program that tries to use the descriptors 7, 8 and 9, and says which of 5 to 1023 are open. The worker has those up
/// to 4.
const STEAL: &str = "import os
def works(call, *arguments):
    try: call(*arguments)
    except OSError as error: return error.errno != 9
    return True
print(works(os.pread, 8, 40, 0), works(os.pwrite, 8, b'x', 0), works(os.write, 7, b'x'), works(os.listdir, 9))
print(works(os.fchdir, 9), works(os.dup, 8), [n for n in range(5, 1024) if works(os.fstat, n)])";

/// Runs `ossia tool python` with descriptors: a connection as 7, a file as 8 and a directory as 9.
fn inherits(arguments: &str, path: &str, program: &str) -> String {
    let place = tempfile::tempdir().unwrap();
    fs::write(place.path().join("secret"), "secret").unwrap();
    fs::write(place.path().join("program"), program).unwrap();
    let server = TcpListener::bind("127.0.0.1:0").unwrap();
    let connection = TcpStream::connect(server.local_addr().unwrap()).unwrap();
    let command = format!("exec 7<&0 8<>secret 9<.; exec \"$0\" tool python {arguments} < program");
    let output = Command::new("/bin/sh")
        .args(["-c", &command, env!("CARGO_BIN_EXE_ossia")])
        .current_dir(place.path())
        .env("PATH", path)
        .stdin(Stdio::from(OwnedFd::from(connection)))
        .output()
        .unwrap();
    String::from_utf8(output.stdout).unwrap() + &String::from_utf8(output.stderr).unwrap()
}

/// A directory in which Python is found and bubblewrap is not.
fn only_python() -> TempDir {
    let place = tempfile::tempdir().unwrap();
    let script = format!("#!/bin/sh\nexec {} \"$@\"\n", super::python::interpreter());
    let path = place.path().join("python3");
    fs::write(&path, script).unwrap();
    fs::set_permissions(&path, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    place
}

#[test]
fn tools_python_inherits_nothing() {
    if super::python::session().is_none() {
        return;
    }
    let path = std::env::var("PATH").unwrap();
    let bare = only_python();
    let bare = bare.path().to_str().unwrap();
    for (arguments, path) in [("", path.as_str()), ("", bare), ("--dangerously-unsandboxed", &path)] {
        let answer = inherits(arguments, path, STEAL);
        assert_eq!(answer, "False False False False\nFalse False []\n", "{arguments} {path}");
    }
}

/// When ossia is killed, what Python does ends, in the sandbox with and without bubblewrap and without a sandbox.
#[test]
fn tools_python_ends_with_ossia() {
    if super::python::session().is_none() {
        return;
    }
    let path = std::env::var("PATH").unwrap();
    let bare = only_python();
    let bare = bare.path().to_str().unwrap();
    for (arguments, path) in [(&[][..], path.as_str()), (&[], bare), (&["--dangerously-unsandboxed"], &path)] {
        let place = tempfile::tempdir().unwrap();
        let mut ossia = Command::new(env!("CARGO_BIN_EXE_ossia"))
            .args(["tool", "python", "--root", "."])
            .args(arguments)
            .current_dir(place.path())
            .env("PATH", path)
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()
            .unwrap();
        let count = "while True: open('count', 'a').write('x')";
        std::io::Write::write_all(&mut ossia.stdin.take().unwrap(), count.as_bytes()).unwrap();
        let counted = || fs::metadata(place.path().join("count")).map_or(0, |count| count.len());
        let start = Instant::now();
        while counted() == 0 {
            assert!(start.elapsed() < Duration::from_secs(60), "it has not started");
            std::thread::sleep(Duration::from_millis(10));
        }
        ossia.kill().unwrap();
        ossia.wait().unwrap();
        // The kernel ends processes soon and not at once.
        let start = Instant::now();
        loop {
            let (before, _) = (counted(), std::thread::sleep(Duration::from_millis(50)));
            if counted() == before {
                break;
            }
            assert!(start.elapsed() < Duration::from_secs(10), "{arguments:?} {path}: it runs on");
        }
    }
}

/// A session stays when the thread that has started it ends.
#[test]
fn tools_python_outlives_the_thread_that_starts_it() {
    let started = std::thread::spawn(|| session_with(settings())).join().unwrap();
    let Some(mut python) = started else { return };
    assert_eq!(python.run("6 * 7"), "42\n");
}
