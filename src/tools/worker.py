"""Runs programs one after another, as a notebook does: names stay, and the value of a last expression is shown.

Read from standard input: a line with the number of bytes and a mark, then the program. Written to standard output: what
the program writes, then the mark.
"""

import ast
import linecache
import os
import sys
import traceback

programs = os.fdopen(os.dup(0), "rb")
answers = os.dup(1)
os.dup2(os.open("/dev/null", os.O_RDONLY), 0)
os.dup2(1, 2)
names = {"__name__": "__main__", "__builtins__": __builtins__}


def run(program):
    linecache.cache["<program>"] = (len(program), None, program.splitlines(True), "<program>")
    tree = ast.parse(program, "<program>")
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    exec(compile(tree, "<program>", "exec"), names)
    if last is not None:
        sys.displayhook(eval(compile(ast.Expression(last.value), "<program>", "eval"), names))


os.write(answers, b"ready\n")
while header := programs.readline():
    size, mark = header.split()
    try:
        run(programs.read(int(size)).decode())
    except BaseException as error:
        trace = error.__traceback__
        while trace and trace.tb_frame.f_code.co_filename != "<program>":
            trace = trace.tb_next
        traceback.print_exception(type(error), error, trace)
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError):
            pass
    os.write(answers, mark)
