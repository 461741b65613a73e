//! Python as a model uses it.

use crate::chat::Script;
use ossia::chat::Chat;
use ossia::generate::StopReason;
use ossia::harmony::{Effort, Harmony, Message, MessageRole, Purpose};
use ossia::tasks::arithmetic;
use ossia::tools::Toolbox;
use ossia::tools::python::{Python, PythonSettings};
use std::io::Write;
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// The default settings, with the interpreter itself: some machines have a slow script in its place.
pub fn settings() -> PythonSettings {
    PythonSettings { interpreter: interpreter().into(), ..PythonSettings::new(env!("CARGO_BIN_EXE_ossia").into()) }
}

/// The path of the interpreter, or its name if there is none.
pub fn interpreter() -> &'static str {
    static PATH: OnceLock<String> = OnceLock::new();
    PATH.get_or_init(|| {
        let output = Command::new("python3").args(["-c", "import sys; print(sys.executable)"]).output();
        let path = output.ok().and_then(|output| String::from_utf8(output.stdout).ok()).unwrap_or_default();
        if path.is_empty() { "python3".into() } else { path.trim().into() }
    })
}

/// A session, or a word on why this machine has none: the test then ends.
pub fn session_with(settings: PythonSettings) -> Option<Python> {
    let error = match Python::new(settings) {
        Ok(python) => return Some(python),
        Err(error) => error.to_string(),
    };
    let can_be_missing = ["no sandbox", "python3: ", "on Linux only"].iter().any(|reason| error.contains(reason));
    assert!(can_be_missing, "{error}");
    // Not by eprintln, which the test runner keeps to itself.
    _ = std::io::stderr().write_all(format!("SKIPPED: the Python tool was not tested: {error}\n").as_bytes());
    None
}

pub fn session() -> Option<Python> {
    session_with(settings())
}

#[test]
fn tools_python_is_a_session() {
    let Some(mut python) = session() else { return };
    assert_eq!(python.run("x = 6\nprint('hello')"), "hello\n");
    assert_eq!(python.run("x * 7"), "42\n", "names stay, and the last value is shown");
    assert_eq!(python.run("None"), "[no output; print shows something]");
    assert_eq!(python.run("'\u{e9}\u{1F600}'"), "'\u{e9}\u{1F600}'\n");
    assert_eq!(
        python.run("import sys, os\nsys.stderr.write('e'); os.write(1, b'o')"),
        "eo1\n",
        "everything that is written"
    );
    assert_eq!(python.run("print('no end', end='')"), "no end");
    let left = python.run("import sys; sys.exit(3)");
    assert!(left.ends_with("SystemExit: 3\n") && left.matches("File").count() == 1, "only its own lines: {left}");
    assert!(python.run("1 +").contains("SyntaxError"));
    assert!(python.run("def f():\n    return 1 / 0\nf()").ends_with("ZeroDivisionError: division by zero\n"));
    assert_eq!(python.run("x"), "6\n", "after all of that");
    assert_eq!(python.run("open('a.txt', 'w').write('kept')"), "4\n");
    assert_eq!(python.run("open('a.txt').read()"), "'kept'\n");
    let modules = "import json, math, random, decimal, datetime, re, itertools, threading, tempfile, statistics, sqlite3, hashlib";
    assert_eq!(
        python.run(&format!("{modules}\nt = threading.Thread(target=lambda: print(1)); t.start(); t.join()")),
        "1\n"
    );
}

#[test]
fn tools_python_is_stopped_when_it_takes_too_long() {
    let Some(mut python) = session_with(PythonSettings { timeout: Duration::from_millis(1_500), ..settings() }) else {
        return;
    };
    let start = Instant::now();
    let answer = python.run("x = 1\nprint('begun', flush=True)\nwhile True: pass");
    assert!(answer.starts_with("begun\n[stopped after 1.5s"), "{answer}");
    assert!(start.elapsed() < Duration::from_secs(60));
    assert!(python.run("x").contains("NameError"), "a new session");
}

#[test]
fn tools_python_keeps_a_bounded_output() {
    let Some(mut python) = session_with(PythonSettings { output: 1_000, ..settings() }) else { return };
    let answer = python.run("print('a' * 999)\nfor i in range(200): print('b' * 100_000)");
    assert!(answer.starts_with(&"a".repeat(999)));
    assert!(answer.ends_with("[20000200 more bytes of output are left out]"), "{}", &answer[999..]);
    assert_eq!(python.run("1"), "1\n");
}

#[test]
fn tools_python_is_bounded_in_memory_and_files() {
    let Some(mut python) = session_with(PythonSettings { memory: 512 << 20, ..settings() }) else { return };
    assert!(python.run("x = bytearray(600 << 20)").contains("MemoryError"));
    assert!(python.run("open('large', 'wb').truncate(300 << 20)").contains("OSError"));
    assert_eq!(python.run("1"), "1\n");
}

#[test]
fn tools_python_that_ends_is_started_anew() {
    let Some(mut python) = session() else { return };
    let answer = python.run("import os\nprint('last words', flush=True)\nos._exit(0)");
    assert_eq!(answer, "last words\n[the interpreter exited; a new session was started, all names are lost]");
    assert_eq!(python.run("2 + 3"), "5\n");
    assert!(
        python.run("import os\nos.close(1); os.close(2)\nos.closerange(0, 128)").contains("the interpreter exited")
    );
    assert_eq!(python.run("2 + 3"), "5\n");
    // Only the first thread ends, and would leave a process that cannot be measured.
    let first = "import ctypes, platform, threading, time\nthreading.Thread(target=time.sleep, args=(600,)).start()\n\
        ctypes.CDLL(None).syscall(60 if platform.machine() == 'x86_64' else 93, 0)";
    assert!(python.run(first).contains("the interpreter exited"));
    assert_eq!(python.run("2 + 3"), "5\n");
}

/// After the session, a file contains everything that the program has written to it, even if the program has not closed the file.
#[test]
fn tools_python_writes_open_files_at_its_end() {
    let place = tempfile::tempdir().unwrap();
    let work = Some(place.path().to_path_buf());
    let Some(mut python) = session_with(PythonSettings { work, ..settings() }) else { return };
    assert_eq!(python.run("file = open('file', 'w')\nfile.write('text')"), "4\n");
    drop(python);
    assert_eq!(std::fs::read_to_string(place.path().join("file")).unwrap(), "text");
}

/// A program that takes the place of what reads programs, and does not read: the next is longer than a pipe holds.
#[test]
fn tools_python_is_stopped_before_it_reads() {
    let Some(mut python) = session_with(PythonSettings { timeout: Duration::from_secs(2), ..settings() }) else {
        return;
    };
    let program = "import os, sys\nreads = sys._getframe(2).f_globals['programs'].fileno()\nunread = os.dup(reads)\n\
        empty, kept = os.pipe()\nos.dup2(empty, reads)";
    assert_eq!(python.run(program), "3\n");
    let answer = python.run(&format!("'{}'", "x".repeat(1 << 20)));
    assert_eq!(answer, "[stopped after 2s; a new session was started, all names are lost]");
    assert_eq!(python.run("2 + 3"), "5\n");
}

/// A thread that prints all the time: the call ends where its program ends, and the rest belongs to the next call.
#[test]
fn tools_python_ends_with_its_program_while_a_thread_prints() {
    let Some(mut python) = session_with(PythonSettings { timeout: Duration::from_secs(20), ..settings() }) else {
        return;
    };
    let thread = "import threading, time\nstop = False\ndef f():\n    while not stop: print('x' * 1000)\n\
        t = threading.Thread(target=f, daemon=True); t.start()\ntime.sleep(0.05)\nprint('done')";
    assert!(!python.run(thread).contains("stopped"));
    for n in 0..40 {
        let answer = python.run(&format!("'answer {n}'"));
        assert!(!answer.contains("stopped"), "{n}: {}", &answer[answer.len().saturating_sub(200)..]);
    }
    let last = python.run("stop = True; t.join(); print('y' * 10)");
    assert!(!last.contains("stopped"));
    assert_eq!(python.run("1"), "1\n");
    let later =
        "def f():\n    time.sleep(0.2); print('later')\nt = threading.Thread(target=f); t.start()\nprint('now')";
    assert_eq!(python.run(later), "now\n");
    std::thread::sleep(Duration::from_millis(400));
    assert_eq!(python.run("print('then')"), "later\nthen\n", "output after the mark belongs to the next call");
}

/// A program that never stops printing is late like any other.
#[test]
fn tools_python_that_floods_is_stopped() {
    let Some(mut python) = session_with(PythonSettings { timeout: Duration::from_secs(1), ..settings() }) else {
        return;
    };
    let start = Instant::now();
    let answer = python.run("import os\nwhile True: os.write(1, b'x' * 65536)");
    assert!(answer.ends_with("[stopped after 1s; a new session was started, all names are lost]"));
    assert!(start.elapsed() < Duration::from_secs(20));
}

/// Whatever a program does to its own streams and functions, the next one runs and its output is seen.
#[test]
fn tools_python_goes_on_after_any_change() {
    let Some(mut python) = session_with(PythonSettings { timeout: Duration::from_secs(20), ..settings() }) else {
        return;
    };
    assert_eq!(python.run("kept = 1"), "[no output; print shows something]");
    for (program, answer) in [
        ("import sys; sys.stdout = None", None),
        ("import sys; sys.stdout = sys.stderr = None; 1 / 0", Some("ZeroDivisionError: division by zero\n")),
        ("import sys; del sys.stdout, sys.stderr", Some("AttributeError")),
        ("import sys; sys.stdout.close()", None),
        ("import sys; sys.stdout.detach()", Some("ValueError")),
        ("import os; os.close(1); os.close(2); os.close(0)", None),
        ("import os; os.set_blocking(1, False)", None),
        ("import os; os.dup2(os.open('f', os.O_CREAT | os.O_WRONLY), 1); print('into the file')", None),
        ("import io, sys; sys.stdout = io.StringIO(); print('into the text')", None),
        (
            "class S:\n    closed = False\n    def flush(self): raise SystemExit\nimport sys; sys.stdout = S()",
            Some("SystemExit"),
        ),
        ("class E(Exception):\n    def __str__(self): raise KeyboardInterrupt\nraise E", Some("str() failed")),
        ("import signal; signal.signal(14, lambda *_: 1 / 0); signal.setitimer(signal.ITIMER_REAL, 0.05)", Some("0.0")),
        ("raise BaseException('any')", Some("BaseException: any\n")),
        ("def f(): f()\nf()", Some("RecursionError")),
        (
            "import threading; t = threading.Thread(target=lambda: print('from a thread')); t.start(); t.join()",
            Some("from a"),
        ),
        ("import traceback; traceback.format_exception = None; 1 / 0", Some("ZeroDivisionError: division by zero\n")),
        ("traceback.TracebackException = None; 1 / 0", Some("cannot be shown]\n")),
        (
            "import builtins\nfor n in 'int len exec eval compile isinstance open'.split(): setattr(builtins, n, None)",
            None,
        ),
    ] {
        let said = python.run(program);
        assert!(said.contains(answer.unwrap_or("[no output; print shows something]")), "{program}: {said}");
        std::thread::sleep(Duration::from_millis(if program.contains("setitimer") { 100 } else { 0 }));
        assert_eq!(python.run("print(kept)"), "1\n", "{program}");
    }
}

/// asyncio makes a pair of sockets, which reaches nothing outside. Pickle looks for classes in the module of a program.
#[test]
fn tools_python_runs_asyncio_and_pickles_its_own_classes() {
    let program = "import asyncio, pickle, socket\nasync def f(n):\n    await asyncio.sleep(0.01); return n\n\
        async def all():\n    a, b = socket.socketpair()\n    reader, writer = await asyncio.open_connection(sock=a)\n    \
            b.send(b'line\\n'); line = await reader.readline()\n    writer.write(b'x'); await writer.drain()\n    b.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)\n    \
            in_thread = await asyncio.to_thread(lambda: 5)\n    \
            return await asyncio.gather(f(1), f(2)), line, b.recv(9), in_thread\n\
        print(asyncio.run(all()))\n\
        class C: pass\nprint(type(pickle.loads(pickle.dumps(C()))).__name__)";
    for bubblewrap in [true, false] {
        let Some(mut python) = session_with(PythonSettings { bubblewrap, ..settings() }) else { return };
        assert_eq!(python.run(program), "([1, 2], b'line\\n', b'x', 5)\nC\n");
    }
}

#[test]
fn tools_python_without_an_interpreter_is_refused() {
    let message = |settings: PythonSettings| Python::new(settings).err().unwrap().to_string();
    let missing = message(PythonSettings { interpreter: "no-such-python".into(), ..settings() });
    assert!(missing.contains("no-such-python") && missing.lines().count() == 1, "{missing}");
    assert!(message(PythonSettings { interpreter: "true".into(), ..settings() }).contains("is not a working Python 3"));
    assert!(message(PythonSettings { work: Some("/no/such/place".into()), ..settings() }).contains("/no/such/place"));
    if session().is_none() {
        return;
    }
    // A helper that does not make a sandbox gives no session either.
    assert!(message(PythonSettings { helper: "true".into(), ..settings() }).contains("is not a working Python 3"));
    assert!(message(PythonSettings { helper: "/no/helper".into(), ..settings() }).contains("/no/helper: cannot run"));
}

#[test]
fn tools_answer_calls_on_their_channel() {
    let Some(python) = session() else { return };
    let mut tools = Toolbox { python: Some(python), ..Toolbox::default() };
    let call = Message::new(MessageRole::Assistant, "print(347*285)").on("analysis").to("python").of_type("code");
    assert_eq!(tools.answer(&call), Some(Message::from_tool("python", "98895\n").on("analysis")));
    assert_eq!(tools.answer(&Message::new(MessageRole::Assistant, "{}").to("functions.weather")), None);
    assert_eq!(tools.namespaces().len(), 1);
    assert_eq!(Toolbox::default().answer(&call), None);
}

/// From a recorded call to a recorded answer: what the tool says stands between them, and the model reads it.
#[test]
fn tools_python_in_a_conversation() {
    let tokenizer = arithmetic::tokenizer(600).unwrap();
    let harmony = Harmony::new(&tokenizer).unwrap();
    let recorded = "<|channel|>analysis to=python code<|message|>print(347*285)<|call|>\
        <|channel|>final<|message|>98895<|return|>";
    let question = arithmetic::conversation("What is 347 * 285?".into(), Effort::Low, true);
    let mut chat = Chat::with(Box::new(Script::new(&tokenizer, recorded)), harmony, question);
    let Some(python) = session() else { return };
    let mut tools = Toolbox { python: Some(python), ..Toolbox::default() };
    assert_eq!(chat.reply(&mut |_| true).unwrap().reason, StopReason::ToolCall("python".into()));
    let answer = tools.answer(chat.messages.last().unwrap()).unwrap();
    chat.messages.push(answer);
    assert_eq!(chat.reply(&mut |_| true).unwrap().reason, StopReason::End);
    let said: Vec<String> = chat.messages[2..].iter().map(|message| message.text()).collect();
    assert_eq!(said, ["print(347*285)", "98895\n", "98895"]);
    let rendered = harmony.render(&chat.messages, Purpose::Raw, false).unwrap();
    let call = "<|start|>assistant to=python<|channel|>analysis code<|message|>print(347*285)<|call|>\
        <|start|>python to=assistant<|channel|>analysis<|message|>98895\n<|end|>";
    assert!(tokenizer.decode(&rendered).unwrap().contains(call));
}
