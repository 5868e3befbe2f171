#!/usr/bin/env python3
"""Has programs leak what one of their call sites allocates, and asks postmalloc who leaks; speaks TAP.

Each program runs three times or more with leaker.c preloaded:

1. All allocations and frees are counted by size and callers.
2. Functions in the chains of those that are freed most are watched for what they are called with: one that asks for
   its own argument, plain, plus or times a constant, rounded up, or times another, merely forwards. The innermost
   caller that does not is the true site.
3. For each site to leak: free() does nothing for its blocks, and the program ends in a core when it has done most of
   its work (STOP_AT).

Which sites leak is not chosen by hand: those that free most bytes, SITES_EACH of a program. Nothing of this is known to
postmalloc, which sees the core alone. Samples that leak by themselves tell the function that does (leaked_programs.py).

With POSTMALLOC_KEEP=FOLDER the cores stay there, each with what is known of its leak.
"""

import argparse
import json
import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from collections import Counter, namedtuple
from pathlib import Path

from leaked_programs import CASES, HONEST, INPUTS, Skip
from leaked_truth import SHARE_MIN, Record, Truth, get_chunk_bytes

# Of each program.
SITES_EACH = 2
# So many programs; of them the true site is the first, and is one of the first three, in so many. Most that is missed
# asks for a size that varies, beside others that always ask for the very size.
PROGRAMS_MIN = 20
FIRST_MIN = 0.6
THREE_MIN = 0.8
# Programs that grow are looked at while they work, not when they end: at this share of their allocations.
STOP_AT = 0.8
# Of the tree that programs walk.
TREE_FOLDERS = 1200
# A suspect of less confidence is hardly one.
LOW = 0.4
# How far out callers are watched, and in how many rows.
WATCHED_FRAMES = 8
WATCHED_ROWS = 300
WATCHED_FUNCTIONS = 600


class Machine:
    def __init__(self, arguments, cache):
        self.arguments = arguments
        pattern = Path("/proc/sys/kernel/core_pattern").read_text().strip()
        self.kernel_cores = not pattern.startswith("|") and "/" not in pattern
        self.environment = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("MALLOC_", "LD_")) and name not in ("GLIBC_TUNABLES", "DEBUGINFOD_URLS")
        }
        self.environment["XDG_CACHE_HOME"] = cache

    def run(self, case, folder, variables, end=None):
        """Runs the program of @case in @folder, to its end, or until @end: then Path of its core."""
        settings = {"LC_ALL": "C", "PYTHONHASHSEED": "0", "PYTHONMALLOC": "malloc", "HOME": str(folder)}
        settings.update(LD_PRELOAD=self.arguments.leaker, **variables)
        if end:
            settings["POSTMALLOC_END"] = "ABRT" if self.kernel_cores else "STOP"
        limit = resource.RLIM_INFINITY if end and self.kernel_cores else 0
        with open(folder / "output", "ab") as output:
            process = subprocess.Popen(
                case.make_command(self.arguments), cwd=folder, stdin=subprocess.DEVNULL, stdout=output, stderr=output,
                env={**self.environment, **settings},
                preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_CORE, (limit, limit)),
            )
            return self.take_core(process, folder) if end else process.wait(120)

    def take_core(self, process, folder):
        if not self.kernel_cores:
            os.waitpid(process.pid, os.WUNTRACED)
            subprocess.run(["gcore", "-o", str(folder / "core"), str(process.pid)], capture_output=True, check=False)
            process.kill()
        process.wait(120)
        cores = [path for path in folder.glob("core*") if path.is_file()]
        return cores[0] if cores else None

    def ask(self, command, core):
        result = subprocess.run(
            [self.arguments.postmalloc, *command, "--format", "json", str(core)],
            capture_output=True, env=self.environment, timeout=120, check=False,
        )
        if result.returncode:
            raise RuntimeError(f"{' '.join(command)}: status {result.returncode}: {result.stderr.decode()[:300]}")
        return json.loads(result.stdout)["data"]


def learn(machine, case, folder):
    """The two runs in which nothing leaks."""
    record_path = folder / "record"
    machine.run(case, folder, {"POSTMALLOC_LEAKER": str(record_path)})
    record = Record(record_path)
    functions = []
    for row in sorted(record.rows, key=lambda row: row.allocations * row.size, reverse=True)[:WATCHED_ROWS]:
        functions += [frame.entry for frame in row.frames[:WATCHED_FRAMES] if frame.entry]
    functions = list(dict.fromkeys(functions))[:WATCHED_FUNCTIONS]
    probes = folder / "probes"
    probes.write_text("".join(f"{path}+{offset:x}\n" for path, offset in functions))
    machine.run(case, folder, {"POSTMALLOC_LEAKER": str(record_path), "POSTMALLOC_LEAKER_PROBES": str(probes)})
    return Truth(record, Record(record_path, functions).observations)


def find_symbol(program, name):
    """Where the function @name of @program starts, by its symbols."""
    lines = subprocess.run(["nm", "-C", program], capture_output=True, check=True).stdout.decode().splitlines()
    for line in lines:
        address, kind, symbol = line.split(" ", 2) if line[:1] not in " U" else ("", "", "")
        if kind in ("t", "T") and re.fullmatch(rf"(.*::)?{name}(\(.*\))?", symbol):
            return (os.path.realpath(program), int(address, 16))
    raise RuntimeError(f"{program} has no function {name}")


def choose(case, truth, arguments):
    if case.function:
        return truth.find_own(find_symbol(case.make_command(arguments)[0], case.function))
    return truth.choose(SITES_EACH)


Result = namedtuple("Result", "name site chunk_bytes chunks share size_rank site_rank site_count first")


def keep(case, core, place, record, frames):
    """Where POSTMALLOC_KEEP names a folder: the core, and beside it what is known of the leak, to find out why a site
    was missed."""
    folder = os.environ.get("POSTMALLOC_KEEP")
    if not folder:
        return
    kept = Path(folder, f"{case.name}-{place[1]:x}.core")
    shutil.copy(core, kept)
    row = max(
        (row for row in record.rows if any(frame.place == place for frame in row.frames)),
        key=lambda row: (row.skipped or row.allocations) * row.size,
    )
    kept.with_suffix(".json").write_text(json.dumps(
        {"chunk": get_chunk_bytes(row.size), "size": row.size, "frames": list(frames), "chain": row.frames}
    ))


def leak(machine, case, truth, place, folder):
    """Lets the site at @place leak. Returns: a Result."""
    record_path = folder / "record"
    sites = folder / "sites"
    sites.write_text(
        "".join(" ".join(f"{path}+{offset:x}" for path, offset in chain) + "\n" for chain in truth.list_chains(place))
    )
    variables = {"POSTMALLOC_LEAKER": str(record_path)}
    if not case.function:
        variables["POSTMALLOC_LEAKER_SITES"] = str(sites)
        allocations = sum(row.allocations for row in truth.record.rows)
        variables["POSTMALLOC_LEAKER_STOP"] = str(int(allocations * STOP_AT))
    core = machine.run(case, folder, variables, end=True)
    if core is None:
        raise RuntimeError("no core: " + (folder / "output").read_text(errors="replace")[-300:])
    record = Record(record_path)
    sizes, chunks, frames, lost = Counter(), Counter(), set(), 0
    for row in record.rows:
        count = row.skipped
        if case.function and any(frame.place == place for frame in row.frames):
            count = row.allocations - row.frees
        if count:
            sizes[get_chunk_bytes(row.size)] += count * get_chunk_bytes(row.size)
            chunks[get_chunk_bytes(row.size)] += count
            lost += count * row.size
            frames |= set(truth.list_frames(row, place))
    if not sizes and case.function:
        raise RuntimeError("nothing leaked")
    if not sizes:
        return None  # all of it is freed at the end
    share = lost / (record.live_bytes + sum(row.skipped * row.size for row in record.rows))
    if share < SHARE_MIN:
        return None
    keep(case, core, place, record, frames)
    result = judge(machine, core, case, place, sizes, chunks, share, frames)
    core.unlink()
    return result


def is_at(site, frame):
    """Whether @site, as postmalloc tells it, is the call or the jump of @frame."""
    if site["return_address"] is not None:
        return int(site["return_address"], 16) == frame.address
    return frame.is_tail and frame.address <= int(site["address"], 16) < frame.address + frame.bytes


def get_site_text(site):
    name = f"{site['function']}+0x{site['offset']:x}" if site["function"] else f"+0x{site['offset']:x}"
    return f"{name} {Path(site['module']).name} {site['argument']}"


def judge(machine, core, case, place, sizes, chunks, share, frames):
    suspects = machine.ask(["report"], core)["suspects"]
    true_size = sizes.most_common(1)[0][0]
    ranks = [suspect["rank"] for suspect in suspects if suspect["kind"] == "size" and suspect["chunk_bytes"] == true_size]
    found = [suspect for suspect in suspects if suspect["kind"] == "size" and suspect["chunk_bytes"] == true_size]
    sites = (found[0]["sites"] if found else None) or []
    site_ranks = [rank for rank, site in enumerate(sites, 1) if any(is_at(site, frame) for frame in frames)]
    return Result(
        case.name, f"{Path(place[0]).name}+0x{place[1]:x}", true_size, chunks[true_size], share,
        ranks[0] if ranks else None, site_ranks[0] if site_ranks else None, len(sites),
        get_site_text(sites[0]) if sites else "-",
    )


def print_table(results):
    line = "# {:<15} {:<28} {:>7} {:>7} {:>6} {:>5} {:>6}  {}"
    print(line.format("program", "true site", "chunk", "lost", "share", "size", "site", "first site"))
    for one in results:
        site = one.site if len(one.site) < 28 else one.site[:27] + "~"
        rank = f"{one.site_rank or '-'}/{one.site_count}"
        print(line.format(one.name, site, one.chunk_bytes, one.chunks, f"{one.share:.0%}",
                          one.size_rank or "-", rank, one.first))


class Tap:
    def __init__(self):
        self.count = 0
        self.failed = False

    def tell(self, good, what):
        self.count += 1
        self.failed = self.failed or not good
        print(f"{'ok' if good else 'not ok'} {self.count} - {what}", flush=True)

    def skip(self, what, why):
        self.count += 1
        print(f"ok {self.count} - {what} # SKIP {why}", flush=True)


def prepare(case, arguments, folder):
    case.check_needs(arguments)
    for i in range(TREE_FOLDERS):
        leaf = folder / "tree" / f"branch-{i % 40}" / f"leaf-{i}"
        leaf.mkdir(parents=True)
        for name in ("README", f"notes-{i}.txt", f"module_{i % 7}.py")[: 1 + i % 3]:
            (leaf / name).write_text(name)
    for file, text in INPUTS.items():
        (folder / file).write_text(text)


def run_leaking(machine, case, tap):
    """Returns: the Results of @case, that of the site that frees most first."""
    results = []
    with tempfile.TemporaryDirectory(prefix="postmalloc-leaks-") as name:
        folder = Path(name)
        try:
            prepare(case, machine.arguments, folder)
            truth = learn(machine, case, folder)
            for place in choose(case, truth, machine.arguments):
                result = leak(machine, case, truth, place, folder)
                if result:
                    results.append(result)
        except Skip as why:
            tap.skip(f"{case.name}: leaking size", why)
            return results
        except (OSError, RuntimeError, subprocess.TimeoutExpired) as error:
            tap.tell(False, f"{case.name}: {error}".replace("\n", " "))
            return results
    if not results:
        tap.skip(f"{case.name}: leaking size", "no site of it frees enough")
    for one in results:
        tap.tell(one.size_rank == 1, f"{case.name}: the first suspect is {one.chunk_bytes} from {one.site}")
    return results


def run_honest(machine, case, tap):
    with tempfile.TemporaryDirectory(prefix="postmalloc-leaks-") as name:
        folder = Path(name)
        try:
            prepare(case, machine.arguments, folder)
            core = machine.run(case, folder, {"POSTMALLOC_LEAKER": str(folder / "record")}, end=True)
            suspects = machine.ask(["report"], core)["suspects"] if core else None
        except Skip as why:
            tap.skip(f"{case.name}: nothing", why)
            return
    if suspects is None:
        tap.tell(False, f"{case.name}: no core")
        return
    worst = max(suspects, key=lambda one: one["confidence"], default=None)
    title = f" ({worst['title']}, {worst['confidence']:.2f})" if worst else ""
    tap.tell(worst is None or worst["confidence"] < LOW, f"{case.name} leaks nothing, and no suspect is sure{title}")


def count_found(results, most):
    return sum(1 for one in results if one.site_rank and one.site_rank <= most)


def run_all(machine, only):
    tap = Tap()
    first, others = [], []
    for case in CASES:
        if not only or case.name in only:
            results = run_leaking(machine, case, tap)
            first += results[:1]
            others += results[1:]
    for case in HONEST:
        if not only or case.name in only:
            run_honest(machine, case, tap)
    print("# Of each program the site that frees most:")
    print_table(first)
    print("# The next one:")
    print_table(others)
    for results, what in ((first, "programs"), (first + others, "sites")):
        print(f"# Of {len(results)} {what} the true site is first in {count_found(results, 1)}, among the first three "
              f"in {count_found(results, 3)}; it has to be in {FIRST_MIN:.0%} and {THREE_MIN:.0%}.")
    if not only:
        tap.tell(len(first) >= PROGRAMS_MIN, f"{len(first)} programs leaked")
        tap.tell(count_found(first, 1) >= FIRST_MIN * len(first), f"the true site is first in {FIRST_MIN:.0%}")
        tap.tell(count_found(first, 3) >= THREE_MIN * len(first), f"it is among three in {THREE_MIN:.0%}")
    print(f"1..{tap.count}")
    return 1 if tap.failed else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("postmalloc", "leaker", "samples", "source"):
        parser.add_argument("--" + name, required=True, type=os.path.abspath)
    parser.add_argument("only", nargs="*", help="names of programs")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="postmalloc-cache-") as cache:
        return run_all(Machine(arguments, cache), arguments.only)


if __name__ == "__main__":
    sys.exit(main())
