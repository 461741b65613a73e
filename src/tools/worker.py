"""Runs programs one after another, as a notebook does: names stay, and the value of a last expression is shown.

Reads from standard input: a line with the number of bytes and a mark, then the program. Writes to standard output: the
output of the program, then the mark. A program may change any module that it can import and may close any file. The
next program runs all the same, so this file uses its own copy of the built-in functions (see python.rs) and restores
standard output before each program.
"""

import ast
import builtins
import io
import linecache
import os
import sys
import traceback
import types

programs = os.fdopen(os.dup(0), "rb")
answers = os.dup(1)
lines = linecache.cache
format_exception = traceback.format_exception
nothing = os.open("/dev/null", os.O_RDONLY)
os.dup2(nothing, 0)
os.close(nothing)
streams = {"stdout": sys.stdout, "stderr": sys.stderr}
main = types.ModuleType("__main__")  # a real module, so that pickle finds the classes of a program
main.__builtins__ = builtins
sys.modules["__main__"] = main


def is_open(stream):
    try:
        return not stream.closed
    except ValueError:  # its buffer has been detached
        return False


def restore_streams():
    os.set_blocking(answers, True)
    for number, (name, stream) in enumerate(streams.items(), 1):
        os.dup2(answers, number)
        if not is_open(stream):
            file = io.FileIO(number, "w", closefd=False)
            stream = streams[name] = io.TextIOWrapper(file, "utf-8", write_through=True)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)


def run(program):
    lines["<program>"] = (len(program), None, program.splitlines(True), "<program>")
    tree = compile(program, "<program>", "exec", ast.PyCF_ONLY_AST)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<program>", "exec"), vars(main))
    if last is not None:
        sys.displayhook(eval(compile(ast.Expression(last.value), "<program>", "eval"), vars(main)))
    for stream in (sys.stdout, sys.stderr):  # a program may have put its own there
        if stream is not None and is_open(stream):
            stream.flush()


def report(error):
    trace = error.__traceback__
    while trace and trace.tb_frame.f_code.co_filename != "<program>":
        trace = trace.tb_next
    restore_streams()
    sys.stderr.write("".join(format_exception(type(error), error, trace)))


def next_header():
    while True:
        try:
            return programs.readline()
        except BaseException:
            # A signal handler of an earlier program has raised this, unless the file is closed.
            try:
                os.fstat(programs.fileno())
            except (OSError, ValueError):
                return b""


restore_streams()
os.write(answers, b"ready\n")
while header := next_header():
    size, mark = header.split()
    try:
        try:
            restore_streams()
            run(programs.read(int(size)).decode())
        except BaseException as error:
            report(error)
    except BaseException:
        os.write(answers, b"[the program has failed, and its error cannot be shown]\n")
    os.set_blocking(answers, True)
    os.write(answers, mark)
