"""The programs that leak, and those that do not."""

import json
import shutil


class Skip(Exception):
    """Why a program cannot be looked at here."""


class Case:
    """@function: of a sample that leaks by itself, the one whose call asks for what is lost; else None."""

    def __init__(self, name, command, function=None):
        self.name, self.command, self.function = name, command, function

    def make_command(self, arguments):
        places = {"BUILD": arguments.samples, "SOURCE": arguments.source}
        return [word.format(**places) if "{" in word[:1] else word for word in self.command]

    def check_needs(self, arguments):
        program = self.make_command(arguments)[0]
        if not shutil.which(program):
            raise Skip(f"{program} is not there")


BASH = (
    "a=(); for ((i = 0; i < 3000; i++)); do a+=(\"word $i\"); done; unset 'a[7]';"
    "f() { local x=1; printf '%s' \"${a[@]:1:3}\"; }; f; declare -A m=([x]=1 [y]=2); trap f USR1"
)
PERL = (
    "my %kept; for my $i (1..20000)"
    " { $kept{$i % 500} = {name => 'x' x ($i % 90), list => [1..$i % 7]}; }"
)
PERL_TEXT = (
    "for my $i (1..5000) { my @a = map { \"$_-$i\" } 1..9; my %h = map { $_ => 1 } @a;"
    " $s .= join ',', sort keys %h; $s =~ s/1-/x/g; $s = ''; }"
)
SQL = (
    "create table t(a, b); with recursive n(i) as (select 1 union all select i + 1 from n where i < 400)"
    " insert into t select i, hex(randomblob(i % 50)) from n; create index x on t(b);"
    + "".join(f"select b, count(*) from t where a > {i} group by b order by 2 limit 3;" for i in range(300))
)
PYTHON = """
kept = [{str(i): [i]} for i in range(3000)]
class Node:
    pass
for i in range(20000):
    node = Node(); node.text = str(i) * 3; pair = {'a': i, 'b': [i]}
"""
AWK = 'BEGIN { for (i = 0; i < 20000; i++) a[i % 500] = "x" i; for (i in a) s = s a[i]; print length(s) }'

# Written into the folder that each program runs in.
INPUTS = {
    "rules.mk": "".join(
        f"t{i}: t{i + 1}\n\techo $@ $(subst a,b,$(patsubst %.c,%.o,a.c b.c x{i}.c))\n" for i in range(800)
    )
    + "t800:\n",
    "grammar.y": "%token A B C\n%%\n"
    + "".join(f"r{i}: A r{i + 1} B | B r{i + 1} C | C ;\n" for i in range(200))
    + "r200: A ;\n",
    "sum.bc": "scale=50\nfor(i=1;i<3000;i++){s=s+1/i;}\ns\nquit\n",
    "code.s": "".join(f"f{i}: movl $({i}+3*2), %eax\n jmp f{(i + 1) % 2000}\n" for i in range(2000)),
    "rows.json": json.dumps([{"name": f"n{i}", "v": [i, i + 1]} for i in range(4000)]),
    "rows.xml": "<rows>" + "".join(f"<row id='{i}'><a>{i}</a><b>x</b></row>" for i in range(3000)) + "</rows>",
}
DASH = "i=0; while [ $i -lt 3000 ]; do i=$((i+1)); eval \"v=x$i\"; done"

CASES = [
    Case("case1", ["{BUILD}/case1", "100000"], "parse_event"),
    Case("case1-churn", ["{BUILD}/case1", "100000", "--churn"], "parse_event"),
    Case("case2", ["{BUILD}/case2", "500"], "fibonacci"),
    Case("orders", ["{BUILD}/losses", "orders"], "make_order"),
    Case("names", ["{BUILD}/losses", "names"], "remember_name"),
    Case("lines", ["{BUILD}/losses", "lines"], "read_line"),
    Case("tables", ["{BUILD}/losses", "tables"], "make_table"),
    Case("small", ["{BUILD}/losses", "small"], "note_visit"),
    Case("trees", ["{BUILD}/losses", "trees"], "make_node"),
    Case("packets", ["{BUILD}/losses", "packets"], "answer_ping"),
    Case("cxx-shapes", ["{BUILD}/losses-cxx", "shapes"], "make_shape"),
    Case("cxx-sessions", ["{BUILD}/losses-cxx", "sessions"], "open_session"),
    Case("cxx-cycles", ["{BUILD}/losses-cxx", "cycles"], "join"),
    Case("glib-events", ["{BUILD}/losses-glib", "events"], "make_event"),
    Case("glib-arrays", ["{BUILD}/losses-glib", "arrays"], "make_array"),
    Case("git-diff", ["git", "--no-pager", "diff", "--no-index", "{SOURCE}/samples", "{SOURCE}/heapwalk"]),
    Case("openssl-speed", ["openssl", "speed", "-seconds", "1", "-bytes", "64", "sha256"]),
    Case("openssl-genrsa", ["openssl", "genrsa", "2048"]),
    Case("perl-hash", ["perl", "-e", PERL]),
    Case("perl-text", ["perl", "-e", PERL_TEXT]),
    Case("sqlite3", ["sqlite3", ":memory:", SQL]),
    Case("python3", ["/usr/bin/python3", "-c", PYTHON]),
    Case("bash", ["bash", "-c", BASH]),
    Case("dash", ["dash", "-c", DASH]),
    Case("find", ["find", "tree", "-name", "*.py"]),
    Case("ls", ["ls", "-lR", "tree"]),
    Case("du", ["du", "-a", "tree"]),
    Case("tar", ["tar", "cf", "all.tar", "tree"]),
    Case("sed", ["sed", "-e", "s/\\(a.\\)/\\1x/g;/x/{H;x;s/\\n/,/g}", "/etc/services"]),
    Case("make", ["make", "-n", "-f", "rules.mk"]),
    Case("bison", ["bison", "-o", "parser.c", "grammar.y"]),
    Case("readelf", ["readelf", "-wi", "{BUILD}/case1"]),
    Case("objdump", ["objdump", "-d", "/bin/bash"]),
    Case("cc1", ["/usr/lib/gcc/x86_64-linux-gnu/12/cc1", "-quiet", "{SOURCE}/samples/ending.c", "-o", "ending.s"]),
    Case("bc", ["bc", "-q", "sum.bc"]),
    Case("jq", ["jq", "-n", "[range(20000)|{a:.,b:tostring}]|map(.b)|length"]),
    Case("jq-file", ["jq", "-r", ".[] | .name", "rows.json"]),
    Case("pkg-config", ["pkg-config", "--list-all"]),
    Case("dpkg-query", ["dpkg-query", "-W"]),
]


# Perl is none of them: it ends with blocks that nothing leads to.
# Programs that lose nothing, or so little that nobody would look: what they hold is large and of one kind.
HONEST = [
    Case("list", ["{BUILD}/losses", "nothing"]),
    Case("map", ["{BUILD}/losses-cxx", "nothing"]),
    Case("hash", ["{BUILD}/losses-glib", "nothing"]),
    Case("git-diff", ["git", "--no-pager", "diff", "--no-index", "{SOURCE}/samples", "{SOURCE}/heapwalk"]),
    Case("python3", ["/usr/bin/python3", "-c", PYTHON]),
    Case("objdump", ["objdump", "-d", "/bin/bash"]),
    Case("bison", ["bison", "-o", "parser.c", "grammar.y"]),
    Case("sqlite3", ["sqlite3", ":memory:", SQL]),
    Case("bash", ["bash", "-c", BASH]),
    Case("dash", ["dash", "-c", DASH]),
    Case("awk", ["awk", AWK]),
    Case("make", ["make", "-n", "-f", "rules.mk"]),
    Case("jq", ["jq", "-n", "[range(20000)|{a:.,b:tostring}]"]),
    Case("sed", ["sed", "-e", "s/a/b/", "/etc/services"]),
    Case("xz", ["xz", "-2", "-c", "/bin/bash"]),
]
