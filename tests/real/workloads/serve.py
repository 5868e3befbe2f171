#!/usr/bin/env python3
"""Becomes a program that a test looks at, after leaving a client behind that gives it work and then ends it.

Usage: serve.py PROGRAM FOLDER        (FOLDER: where fetch-programs put it)

Sockets and all other files go into the current folder. When the work is done the program gets the signal that
POSTMALLOC_END names (ABRT, STOP), with its clients still connected; the client is gone when the program is, and after
CLIENT_SECONDS in any case.
"""

import os
import pty
import random
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

CLIENT_SECONDS = 100
HERE = Path(__file__).resolve().parent


class Connection:
    """A stream to the Unix socket of the program @pid, which may not be there yet."""

    def __init__(self, pid):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        while True:
            try:
                self.socket.connect("socket")
                break
            except OSError:
                os.kill(pid, 0)  # fails when the program is gone
                time.sleep(0.01)
        self.stream = self.socket.makefile("rb")

    def send(self, data):
        self.socket.sendall(data)

    def wait_for_end(self):
        while self.stream.read(4096):
            pass


# memcached

def memcached_command(folder):
    user = ["-u", "root"] if os.getuid() == 0 else []
    return [f"{folder}/memcached", "-s", "socket", "-m", "64", "-t", "3", "-c", "64", *user]


def memcached_client(_folder, pid):
    draw = random.Random(4)
    idle = [Connection(pid) for _ in range(5)]
    for connection in idle:  # each is given to one of the threads, which then makes its buffers
        connection.send(b"version\r\n")
        connection.stream.readline()
    one = Connection(pid)
    for i in range(6000):
        value = bytes(draw.choices(b"abcdefghijklmnopqrstuvwxyz 0123456789", k=draw.choice([8, 60, 200, 700])))
        one.send(b"set key:%d %d 0 %d\r\n%s\r\n" % (i, i & 7, len(value), value))
        assert one.stream.readline() == b"STORED\r\n"
    for i in range(0, 6000, 3):
        one.send(b"delete key:%d\r\n" % i)
        one.stream.readline()
    one.send(b"set big 0 0 300000\r\n" + bytes(300000) + b"\r\n")
    one.stream.readline()
    # Half a command keeps a connection in the middle of reading a value.
    idle[0].send(b"set half 0 0 5000\r\n" + b"x" * 1000)
    time.sleep(0.2)
    one.others = idle
    return one


# redis

def redis_command(folder):
    return [f"{folder}/redis", "--port", "0", "--unixsocket", f"{os.getcwd()}/socket", "--save", "", "--appendonly",
            "no", "--crash-log-enabled", "no"]


def encode(*words):
    """A command in the protocol of redis."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in words]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(word), word) for word in words)


def redis_commands():
    draw = random.Random(7)
    for i in range(4000):
        yield "SET", f"string:{i}", "x" * draw.choice([3, 30, 100, 600])
        yield "SET", f"number:{i}", i * 1000003
    for i in range(0, 4000, 5):
        yield "EXPIRE", f"string:{i}", 100000
    for i in range(300):
        yield "RPUSH", f"list:{i}", *[f"element {j} of {i}" for j in range(draw.choice([3, 40, 700]))]
        yield "SADD", f"set:{i}", *[f"member {j}" for j in range(draw.choice([4, 200]))]
        yield "SADD", f"intset:{i}", *range(i, i + 20)
        yield "HSET", f"hash:{i}", *[word for j in range(draw.choice([5, 150])) for word in (f"field {j}", j * i)]
        yield "ZADD", f"zset:{i}", *[word for j in range(draw.choice([6, 180])) for word in (j * 0.5, f"scored {j}")]
    for i in range(100):
        for j in range(30):
            yield "XADD", f"stream:{i}", "*", "sensor", j, "value", draw.random()
        yield "XGROUP", "CREATE", f"stream:{i}", "readers", 0
        yield "XREADGROUP", "GROUP", "readers", "one", "COUNT", 7, "STREAMS", f"stream:{i}", ">"
    for i in range(50):
        yield "PFADD", f"hyperloglog:{i}", *range(i * 10)
        yield "EVAL", f"return redis.call('GET', KEYS[1]) .. '{i}'", 1, "string:1"
    yield "CONFIG", "SET", "slowlog-log-slower-than", 0
    yield "SELECT", 3
    yield from (("SET", f"other:{i}", i) for i in range(100))


def redis_client(_folder, pid):
    one = Connection(pid)
    count = 0
    for command in redis_commands():
        one.send(encode(*command))
        count += 1
        if count % 100 == 0:  # the answers must not fill the socket; PING marks their end
            one.send(encode("ECHO", f"mark {count}"))
            while one.stream.readline() != b"mark %d\r\n" % count:
                pass
    others = [Connection(pid) for _ in range(8)]
    for i, connection in enumerate(others[:4]):
        connection.send(encode("SUBSCRIBE", "news", f"channel:{i}"))
        connection.send(encode("PSUBSCRIBE", f"pattern:{i}:*"))
    others[4].send(encode("BLPOP", "nothing:1", "nothing:2", 0))
    others[5].send(encode("MULTI") + encode("SET", "a", 1) + encode("INCR", "a"))
    others[6].send(encode("WATCH", "string:1", "string:2"))
    others[7].send(encode("SET", "half")[:-4])
    time.sleep(0.3)
    one.others = others
    return one


# tmux

def tmux_environment():
    os.environ.update(TMUX_TMPDIR=os.getcwd(), LC_ALL="C.UTF-8", TERM="screen", SHELL="/bin/sh", HOME=os.getcwd())
    os.environ.pop("TMUX", None)


def tmux_command(folder):
    tmux_environment()
    return [f"{folder}/tmux", "-D", "-L", "test", "-f", "/dev/null"]


# Colours, wide characters and long lines in the history of a pane; then it waits for the end of its terminal.
TMUX_PANE = (
    "i=0; while [ $i -lt {lines} ]; do i=$((i + 1));"
    " printf '\\033[3%dm%d\\033[0m \\033[38;5;%dmline\\033[0m äöü 世界 of pane {name} %070d\\n'"
    " $((i % 8)) $i $((i % 256)) $i;"
    " done; exec sleep 200"
)


def tmux_client(folder, pid):
    tmux_environment()

    def ask(*words):
        # -N: where there is no server yet, none is to be started.
        return subprocess.run([f"{folder}/tmux", "-N", "-L", "test", *words], capture_output=True, text=True)

    while ask("list-sessions").returncode:
        os.kill(pid, 0)
        time.sleep(0.02)
    lines = iter([700, 300, 50] * 20)
    for session in range(4):
        ask("new-session", "-d", "-s", f"session{session}", "-x", "140", "-y", "45",
            TMUX_PANE.format(lines=next(lines), name=f"{session}"))
        for window in range(3):
            ask("new-window", "-t", f"session{session}:", "-n", f"window{window}",
                TMUX_PANE.format(lines=next(lines), name=f"{session}.{window}"))
            ask("split-window", "-t", f"session{session}:window{window}", *(["-h"] if window % 2 else []),
                TMUX_PANE.format(lines=next(lines), name=f"{session}.{window}.1"))
    for i in range(30):
        ask("set-buffer", "-b", f"buffer{i}", f"kept text {i} " * i)
        ask("bind-key", "-T", "own", chr(ord("a") + i % 26), "display-message", f"key {i}", ";", "next-window")
        ask("set-option", "-g", f"@option{i}", "#{session_name}" * i)
        ask("set-hook", "-g", f"pane-mode-changed[{i}]", "display-message moved")
    child, terminal = pty.fork()
    if child == 0:
        os.execv(f"{folder}/tmux", ["tmux", "-N", "-L", "test", "attach-session", "-t", "session1"])
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        drawn = ask("list-panes", "-a", "-F", "#{history_size}").stdout.split()
        if sum(map(int, drawn)) > 6000 and ask("list-clients").stdout:
            break
        time.sleep(0.1)
    ask("copy-mode", "-t", "session1:window1")
    ask("choose-tree", "-t", "session1:window0")
    time.sleep(0.5)
    return Terminal(child, terminal)


class Terminal:
    """An attached client of tmux, which ends with its server."""

    def __init__(self, child, terminal):
        self.child, self.terminal = child, terminal

    def wait_for_end(self):
        try:
            while os.read(self.terminal, 4096):
                pass
        except OSError:
            pass
        os.waitpid(self.child, 0)


# Programs that end themselves

def lua_command(folder):
    return [f"{folder}/lua5.4", str(HERE / "objects.lua")]


def python_command(folder):
    os.environ.update(PYTHONHOME=f"{folder}/usr", PYTHONDONTWRITEBYTECODE="1")
    return [f"{folder}/usr/bin/python3.11", str(HERE / "objects.py")]


PROGRAMS = {
    "memcached": (memcached_command, memcached_client),
    "redis": (redis_command, redis_client),
    "tmux": (tmux_command, tmux_client),
    "lua5.4": (lua_command, None),
    "python3.11": (python_command, None),
}


def leave_client(client, folder):
    """The client is a grandchild, so that the program never has a child that it does not know."""
    pid = os.getpid()
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    if os.fork():
        os._exit(0)
    signal.alarm(CLIENT_SECONDS)
    try:
        last = client(folder, pid)
    except BaseException as error:  # whatever it is, the program must end, without the signal that the test waits for
        print("client:", repr(error), file=sys.stderr, flush=True)
        try:
            os.kill(pid, signal.SIGKILL)
        finally:
            os._exit(1)
    os.kill(pid, signal.Signals["SIG" + os.environ["POSTMALLOC_END"]])
    try:
        last.wait_for_end()
    except OSError:
        pass
    os._exit(0)


def main():
    program, folder = sys.argv[1:]
    command, client = PROGRAMS[program]
    words = command(folder)
    if client:
        leave_client(client, folder)
    os.execv(words[0], words)


if __name__ == "__main__":
    main()
