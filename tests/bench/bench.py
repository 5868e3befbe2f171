#!/usr/bin/env python3
"""Benchmarks over real cores that are made for it and removed afterwards. Never a test: it prints, and judges nothing.

    bench.py [--count N] [--runs N] [--temp FOLDER] --build FOLDER case1|churn|nodes|sparse|regions|dwarf|sites

case1: the core of samples/case1 with N chunks of 20 bytes (1.2 GB for the default). `cat CORE` and `postmalloc sizes CORE`
    and `schema --size 20`, `leaks` and `report` run alternately with the file in the page cache; then each under a limit on its data.
churn: the same core after blocks of many sizes came and went (1.6 GB), with millions of chunks in fastbins.
nodes: N nodes (10,000,000) in one shuffled list, and in a binary tree, all reachable: `leaks` beside a plain loop over the same
    pointers in memory.
sparse: a process like case 3, of N forgotten stacks (28,000) of 10,240 KB with 80 KB touched: a core of N times 10 MiB that takes a
    hundredth on disk.
regions: the same with N stacks (32,400) of 6,500 KB and a guard each, 8 KB touched: a core of 65,000 regions and 210 GB.
dwarf: a program with N megabytes (110) of .debug_info: `structs --size 48` with an empty cache folder and again.
sites: a program with 5 MB of code: the index of its call sites beside `objdump -d` of it; then `sites` over all its modules, with an
    empty cache folder and again.

Anonymous memory is what the kernel says: RssAnon of /proc/PID/status, sampled every millisecond. Run this on a build
of type release.
"""

import argparse
import json
import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import manytypes

# What each command may take of anonymous memory.
LIMITS_BYTES = {"sizes": 134217728, "leaks": 201326592, "report": 201326592}


def make_core(command, folder):
    """Runs @command until it aborts, and finds the kernel's core in @folder."""
    pattern = Path("/proc/sys/kernel/core_pattern").read_text("ascii").strip()
    if "/" in pattern or pattern.startswith("|"):
        sys.exit(f"core_pattern is {pattern}: this needs plain cores in the current folder (sysctl kernel.core_pattern=core)")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(("MALLOC_", "GLIBC_"))}
    unlimited = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    start = time.monotonic()
    subprocess.run(
        command,
        cwd=folder,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, unlimited),
        check=False,
    )
    cores = [path for path in folder.iterdir() if path.name.startswith("core")]
    if len(cores) != 1:
        sys.exit(f"{' '.join(command)} left no core")
    status = cores[0].stat()
    print(
        f"core: {status.st_size / 1e9:.2f} GB long, {status.st_blocks * 512 / 1e9:.2f} GB on disk,"
        f" made in {time.monotonic() - start:.0f} s"
    )
    return cores[0]


def run(command):
    """Seconds that @command took; its output goes nowhere."""
    start = time.monotonic()
    result = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    seconds = time.monotonic() - start
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}: status {result.returncode}: {result.stderr.decode()}")
    return seconds


def read_anonymous(pid):
    """RssAnon in bytes; 0 once the process is gone."""
    try:
        for line in Path(f"/proc/{pid}/status").read_text("ascii").splitlines():
            if line.startswith("RssAnon:"):
                return int(line.split()[1]) * 1024
    except OSError:
        pass
    return 0


def measure_anonymous(command):
    """The largest RssAnon that was seen while @command ran."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        most = 0
        while process.poll() is None:
            most = max(most, read_anonymous(process.pid))
            time.sleep(0.001)
    return most


def describe(name, seconds):
    median = statistics.median(seconds)
    print(f"{name}: median {median:.3f} s (fastest {min(seconds):.3f}, slowest {max(seconds):.3f}, {len(seconds)} runs)")
    return median


def alternate(commands, runs):
    """Runs the commands in turn, @runs times; their medians."""
    seconds = {name: [] for name in commands}
    for _ in range(runs):
        for name, command in commands.items():
            seconds[name].append(run(command))
    return {name: describe(name, values) for name, values in seconds.items()}


def bench_case1(arguments, tool, folder, *options):
    core = make_core([arguments.build / "samples" / "case1", str(arguments.count or 37000000), *options], folder)
    chunks = arguments.count or 37000000
    run(["cat", core])  # into the page cache
    medians = alternate(
        {
            "cat CORE": ["cat", core],
            "postmalloc sizes CORE": [tool, "sizes", core],
            "postmalloc schema --size 20 CORE": [tool, "schema", "--size", "20", core],
            "postmalloc leaks CORE": [tool, "leaks", core],
            "postmalloc report CORE": [tool, "report", core],
        },
        arguments.runs,
    )
    sizes = medians["postmalloc sizes CORE"]
    print(f"sizes / cat: {sizes / medians['cat CORE']:.2f}; {chunks / sizes / 1e6:.0f} million chunks a second")
    print(f"schema / sizes: {medians['postmalloc schema --size 20 CORE'] / sizes:.2f}")
    for command in ("leaks", "report"):
        print(f"{command} / cat: {medians[f'postmalloc {command} CORE'] / medians['cat CORE']:.2f}")
    for command, limit in LIMITS_BYTES.items():
        print(f"{command}: {measure_anonymous([tool, command, core]) / 1e6:.1f} MB of anonymous memory at most")
        run(["prlimit", f"--data={limit}", tool, command, core])
        print(f"{command}: runs under prlimit --data={limit}")


def bench_churn(arguments, tool, folder):
    bench_case1(arguments, tool, folder, "--churn")


def bench_nodes(arguments, tool, folder):
    for shape in ("list", "tree"):
        below = folder / shape
        below.mkdir()
        output = below / "output"
        program = arguments.build / "tests" / "bench" / "nodes"
        core = make_core(["sh", "-c", f'exec "$0" "$@" >{output}', program, shape, str(arguments.count or 10000000)], below)
        print(f"{shape}: {output.read_text('ascii').strip()}")
        run(["cat", core])
        alternate({"cat CORE": ["cat", core], "postmalloc leaks CORE": [tool, "leaks", core]}, arguments.runs)
        core.unlink()


def make_stacks(arguments, folder, count, *options):
    """The core of samples/case3 with @count forgotten stacks, and what `maps` is to call them."""
    program = arguments.build / "samples" / "case3"
    return make_core([program, "--orphans", str(count), *options], folder)


def count_orphans(tool, core):
    result = subprocess.run([tool, "maps", "--format", "json", core], capture_output=True, check=True)
    kinds = json.loads(result.stdout)["data"]["kinds"]
    return {row["kind"]: row["regions"] for row in kinds}.get("stack-orphan", 0)


def bench_sparse(arguments, tool, folder):
    count = arguments.count or 28000
    core = make_stacks(arguments, folder, count)
    commands = {"readelf -lW CORE": ["readelf", "-lW", core]}
    for command in ("info", "sizes", "maps", "report"):
        commands[f"postmalloc {command} CORE"] = [tool, command, core]
    alternate(commands, arguments.runs)
    print(f"orphan stacks: {count_orphans(tool, core)} of {count}")
    print(f"report: {measure_anonymous([tool, 'report', core]) / 1e6:.1f} MB of anonymous memory at most")


def bench_regions(arguments, tool, folder):
    count = arguments.count or 32400
    core = make_stacks(arguments, folder, count, "--stack", "6500K", "--touch", "4K")
    medians = alternate(
        {"readelf -lW CORE": ["readelf", "-lW", core], "postmalloc maps CORE": [tool, "maps", core]}, arguments.runs
    )
    print(f"orphan stacks: {count_orphans(tool, core)} of {count}")
    print(f"maps takes {medians['postmalloc maps CORE'] / medians['readelf -lW CORE']:.1f} times what readelf takes")


def time_structs(command, cache):
    """Seconds that `structs` took with the cache folder @cache, and the name of its first row."""
    environment = {**os.environ, "XDG_CACHE_HOME": str(cache)}
    start = time.monotonic()
    result = subprocess.run(command, env=environment, capture_output=True, check=False)
    seconds = time.monotonic() - start
    if result.returncode:
        sys.exit(f"{' '.join(map(str, command))}: status {result.returncode}: {result.stderr.decode()}")
    return seconds, json.loads(result.stdout)["data"]["structs"][0]["name"]


def bench_dwarf(arguments, tool, folder):
    start = time.monotonic()
    program, debug_bytes = manytypes.build(folder, arguments.count or 110)
    print(f"{debug_bytes / 1e6:.0f} MB of .debug_info, built in {time.monotonic() - start:.0f} s")
    below = folder / "run"
    below.mkdir()
    core = make_core([program], below)
    command = [tool, "structs", "--size", "48", "--top", "3", "--format", "json", core]
    run(["cat", program])
    first, again = [], []
    for i in range(arguments.runs):
        cache = folder / f"cache{i}"
        cache.mkdir()
        for seconds in (first, again, again):
            took, name = time_structs(command, cache)
            seconds.append(took)
    cached = sum(path.stat().st_size for path in cache.rglob("*") if path.is_file())
    print(f"the first row is {name}; the cache takes {cached / 1e6:.1f} MB")
    medians = [describe("with an empty cache", first), describe("again", again)]
    print(f"empty / again: {medians[0] / medians[1]:.1f}")


# Programs with much code, and how to have them wait.
LARGE_PROGRAMS = [["gdb", "-nx", "-batch", "-ex", "shell sleep 20"], ["cmake", "-E", "sleep", "20"]]


def bench_sites(arguments, tool, folder):
    found = [command for command in LARGE_PROGRAMS if shutil.which(command[0])]
    if not found:
        sys.exit("neither gdb nor cmake is here")
    program = Path(shutil.which(found[0][0])).resolve()
    core = make_core(["timeout", "--foreground", "--signal=ABRT", "1", program, *found[0][1:]], folder)
    index = arguments.build / "tests" / "bench" / "siteindex"
    print(subprocess.run([index, core, program.name], stdout=subprocess.PIPE, check=True).stdout.decode().strip())
    medians = alternate(
        {
            f"objdump -d {program.name}": ["objdump", "-d", program],
            "index of its call sites": [index, core, program.name],
        },
        arguments.runs,
    )
    disassembly, indexing = medians.values()
    print(f"index / objdump: {indexing / disassembly:.2f}")
    os.environ["XDG_CACHE_HOME"] = str(folder / "cache")
    for state in ("empty", "filled"):
        print(f"sites --size 24 over all modules, cache {state}: {run([tool, 'sites', '--size', '24', core]):.3f} s")
    print(f"sites: {measure_anonymous([tool, 'sites', '--size', '24', core]) / 1e6:.1f} MB of anonymous memory at most")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, help="chunks, nodes, stacks or megabytes")
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--temp", help="where the core goes (default: the usual temporary folder)")
    parser.add_argument("--build", type=Path, required=True)
    parser.add_argument("which", choices=["case1", "churn", "nodes", "sparse", "regions", "dwarf", "sites"])
    arguments = parser.parse_args()
    arguments.build = arguments.build.resolve()
    tool = arguments.build / "analyzer" / "postmalloc"
    benches = {"case1": bench_case1, "churn": bench_churn, "nodes": bench_nodes, "sparse": bench_sparse, "regions": bench_regions, "dwarf": bench_dwarf, "sites": bench_sites}
    bench = benches[arguments.which]
    with tempfile.TemporaryDirectory(prefix="postmalloc-bench-", dir=arguments.temp) as folder:
        bench(arguments, tool, Path(folder))


if __name__ == "__main__":
    main()
