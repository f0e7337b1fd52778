#!/usr/bin/python3
"""terminal.py STEPS PROGRAM ARGUMENT... - run a program on a terminal of its own.

STEPS is a file: `> TEXT` types it (Python's escapes; no newline is added), `< TEXT` waits
until the program has printed it behind what the step before saw, `$ COMMAND` runs one
of the shell. Prints all that was
printed and exits as the program does; a step that fails says what was seen, and exits 99.
"""
import codecs
import fcntl
import os
import pty
import select
import struct
import subprocess
import sys
import termios
import time

SECONDS = 30


def main():
    steps = [line.rstrip("\n") for line in open(sys.argv[1]) if line.strip()]
    pid, fd = pty.fork()
    if pid == 0:
        os.execvp(sys.argv[2], sys.argv[2:])
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
    seen, at = "", 0
    decode = codecs.getincrementaldecoder("utf-8")("replace").decode

    def more(deadline):
        nonlocal seen
        ready, _, _ = select.select([fd], [], [], max(0, deadline - time.monotonic()))
        if not ready:
            return False
        try:
            got = os.read(fd, 65536)
        except OSError:  # Linux says EIO when the last one has closed it
            return False
        seen += decode(got)
        return bool(got)

    for step in steps:
        if step[0] == "$":
            subprocess.run(step[2:], shell=True, check=True, stdin=subprocess.DEVNULL)
            continue
        what, text = step[0], codecs.decode(step[2:], "unicode_escape")
        if what == ">":
            os.write(fd, text.encode("utf-8"))
            continue
        deadline = time.monotonic() + SECONDS
        while text not in seen[at:]:
            if not more(deadline):
                print(f"not seen: {text!r} in {seen[at:]!r}", file=sys.stderr)
                os.kill(pid, 9)
                return 99
        at = seen.index(text, at) + len(text)
    while more(time.monotonic() + SECONDS):
        pass
    sys.stdout.write(seen)
    status = os.waitpid(pid, 0)[1]
    return os.waitstatus_to_exitcode(status) % 256


sys.exit(main())
