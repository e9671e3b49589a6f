"""The tables of BENCHMARKS.md: each figure from the results, a ratio first, then what it is absolutely."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from benchmarks import draining, intake, replicas, stages, stored
from benchmarks.peers import run as peers
from benchmarks.results import Results, Spread

NONE = "-"


def ratio(found: Spread | None) -> str:
    """The median, and the least and the most."""
    return NONE if found is None else f"{_three(found.median)} ({_three(found.least)} to {_three(found.most)})"


def number(found: Spread | None, digits: int = 0) -> str:
    """The median."""
    return NONE if found is None else f"{found.median:,.{digits}f}"


def spread(found: Spread | None, digits: int = 0) -> str:
    """The median, and the least and the most."""
    if found is None:
        return NONE
    return f"{found.median:,.{digits}f} ({found.least:,.{digits}f} to {found.most:,.{digits}f})"


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """The first column is text, the others are figures."""
    lines = [columns, ["---", *["---:"] * (len(columns) - 1)], *rows]
    return "".join(f"| {' | '.join(it)} |\n" for it in lines)


def intake_table(results: Results) -> str:
    """Every request of the intake beside the bare handler with the same request."""
    section, besides = intake.SECTION, intake.beside()
    rows = []
    for case in results.cases(section):
        beside = besides.get(case)
        rows.append(
            [
                case,
                ratio(results.ratio(section, case, beside, "rate")) if beside else "1",
                number(results.spread(section, case, "rate")),
                number(results.spread(section, case, "p50_ms"), 1),
                number(results.spread(section, case, "p99_ms"), 1),
                number(results.spread(section, case, "cpu_us")),
                ratio(results.ratio(section, case, beside, "cpu_us")) if beside else "1",
            ]
        )
    return table(["request", "× bare", "requests/s", "p50 ms", "p99 ms", "server CPU µs", "CPU × bare"], rows)


def stages_table(results: Results) -> str:
    """Where the CPU time of a request goes, the most first; what a bare handler takes stands above it."""
    kinds = stages.KINDS
    names = dict.fromkeys(it.partition(": ")[2] for it in results.cases(stages.SECTION))
    found = {name: [results.spread(stages.SECTION, f"{kind}: {name}", "cpu_us") for kind in kinds] for name in names}
    first = {name: spreads[0].median if spreads[0] else 0.0 for name, spreads in found.items()}
    order = sorted(names, key=lambda it: (it != stages.BARE, -first[it]))
    return table(
        ["stage", *(f"{it}: CPU µs" for it in kinds)], [[it, *(spread(one, 1) for one in found[it])] for it in order]
    )


def durability_table(results: Results) -> str:
    """Each setting beside memory."""
    section = intake.DURABILITY
    rows = []
    for case in results.cases(section):
        beside = f"{case.partition(':')[0]}: memory"
        rows.append(
            [
                case,
                ratio(results.ratio(section, case, beside, "rate")),
                *(number(results.spread(section, case, name)) for name in ("rate", "p50_ms", "p99_ms", "cpu_us")),
            ]
        )
    return table(["5 alerts", "× memory", "requests/s", "p50 ms", "p99 ms", "server CPU µs"], rows)


def drain_table(results: Results) -> str:
    """Each drain beside the bare client, and with Slack beside the one without."""
    section = draining.SECTION
    rows = []
    for case in results.cases(section):
        due, _, what = case.partition(": ")
        bare, alone = f"{due}: {draining.BARE}", f"{due}: ServiceNow"
        rows.append(
            [
                case,
                ratio(results.ratio(section, case, bare, "rate")) if what.startswith("ServiceNow") else NONE,
                ratio(results.ratio(section, case, alone, "rate")) if what == "ServiceNow and Slack" else NONE,
                number(results.spread(section, case, "rate")),
                number(results.spread(section, case, "cpu_us")),
                *(number(results.spread(section, case, f"late_{name}_ms")) for name in ("p50", "p99", "max")),
                number(results.spread(section, case, "overtaken_ms")),
            ]
        )
    columns = ["due at once", "× bare client", "× without Slack", "escalations/s", "CPU µs each"]
    return table([*columns, "late p50 ms", "p99", "max", "overtaken by ms"], rows)


def bytes_table(results: Results) -> str:
    """What waits, in Redis."""
    section = stored.BYTES
    rows = [
        [case, *(number(results.spread(section, case, f"{name}_bytes")) for name in ("keys", "kept", "used"))]
        for case in results.cases(section)
    ]
    return table(
        [
            "an incident that waits",
            "all keys but the kept payload, bytes",
            "kept payload",
            "allocated by Redis for both",
        ],
        rows,
    )


def stored_table(results: Results) -> str:
    """What more and more incidents change."""
    section = stored.STORED
    rows = []
    for case in _steps(results):
        new, bare, page, due = (f"{case}: {it}" for it in ("new groups", "bare", "first page", "one due"))
        redis, incidents = results.spread(section, case, "redis_bytes"), results.spread(section, case, "incidents")
        resident = results.spread(section, case, "resident_bytes")
        rows.append(
            [
                case,
                ratio(results.ratio(section, new, bare, "rate")),
                number(results.spread(section, new, "cpu_us")),
                number(results.spread(section, page, "p50_ms"), 1),
                number(results.spread(section, page, "p99_ms"), 1),
                *(spread(results.spread(section, due, f"late_{name}_ms"), 1) for name in ("p50", "p99", "max")),
                NONE if resident is None else f"{resident.median / 1e6:,.0f}",
                NONE if redis is None or incidents is None else f"{redis.median / incidents.median:,.0f}",
            ]
        )
    columns = [
        "waiting",
        "new groups × bare",
        "CPU µs",
        "first page p50 ms",
        "p99",
        "one due: late p50 ms",
        "p99",
        "max",
    ]
    return table([*columns, "service's memory MB", "Redis bytes each"], rows)


def ready_table(results: Results) -> str:
    """How long a start takes."""
    section = stored.READY
    rows = [
        [case, number(results.spread(section, case, "pending")), number(results.spread(section, case, "seconds"), 2)]
        for case in results.cases(section)
    ]
    return table(["start", "incidents that wait", "seconds until /readyz says yes"], rows)


def size_table(results: Results) -> str:
    """The cost of one alert, by how many come at once."""
    section = stored.SIZE
    rows = []
    for alerts in sizes(results):
        mine, bare = f"{alerts}: versus", f"{alerts}: bare"
        per_alert = [results.spread(section, it, "cpu_us") for it in (mine, bare)]
        rows.append(
            [
                str(alerts),
                ratio(results.ratio(section, mine, bare, "cpu_us")),
                *(NONE if it is None else f"{it.median / alerts:,.1f}" for it in per_alert),
            ]
        )
    return table(["alerts in a request", "CPU × bare", "CPU µs an alert", "bare: CPU µs an alert"], rows)


def replicas_table(results: Results) -> str:
    """Each number of replicas beside one."""
    section = replicas.SECTION
    rows = []
    for case in (it.removesuffix(": drain") for it in results.cases(section) if it.endswith(": drain")):
        new, drain = f"{case}: new groups", f"{case}: drain"
        one = f"{case.partition(':')[0]}: 1 replica"
        twice = results.spread(section, drain, "twice")
        rows.append(
            [
                case,
                ratio(results.ratio(section, new, f"{one}: new groups", "rate")),
                *(number(results.spread(section, new, name)) for name in ("rate", "p99_ms", "cpu_us", "redis_us")),
                _full(results, new),
                ratio(results.ratio(section, drain, f"{one}: drain", "rate")),
                *(number(results.spread(section, drain, name)) for name in ("rate", "cpu_us", "redis_us")),
                _full(results, drain),
                NONE if twice is None else f"{twice.most:.0f}",
            ]
        )
    new_columns = ["new groups × one", "requests/s", "p99 ms", "CPU µs", "Redis' CPU µs", "Redis full at, /s"]
    drain_columns = ["drain × one", "escalations/s", "CPU µs each", "Redis' CPU µs each", "Redis full at, /s"]
    return table(["replicas", *new_columns, *drain_columns, "ran twice, most"], rows)


def _full(results: Results, case: str) -> str:
    """Extrapolated: how many a second use up a core of each node."""
    redis, nodes = (results.spread(replicas.SECTION, case, name) for name in ("redis_us", "nodes"))
    return NONE if redis is None or nodes is None or not redis.median else f"{1e6 * nodes.median / redis.median:,.0f}"


def peers_table(results: Results) -> str:
    """Each queue: what it reaches as a part of what our timers reach, and then what it reaches."""
    section = peers.SECTION
    rows = []
    measured = {it for it in results.cases(section) if ":" not in it}
    for case in (it.name for it in peers.PEERS if it.name in measured):
        burst, trickle = f"{case}: burst", f"{case}: trickle"
        rows.append(
            [
                case,
                _beside_ours(results, burst, "enqueued_rate"),
                _beside_ours(results, burst, "rate"),
                *(_beside_ours(results, trickle, f"late_{it}_ms", 1) for it in ("p50", "p99", "max")),
                _beside_ours(results, burst, "bytes"),
                _ran(results, burst),
                _ran(results, trickle),
                *(number(results.spread(section, case, name)) for name in ("lost", "twice")),
            ]
        )
    columns = ["queue", "enqueued/s", "run/s", "late p50 ms", "p99", "max", "Redis bytes each", "ran of the burst"]
    return table([*columns, "of the others", "lost by kill -9", "run twice"], rows)


def _beside_ours(results: Results, case: str, name: str, digits: int = 0) -> str:
    ours = f"{peers.OURS}: {case.rpartition(': ')[2]}"
    found, beside = results.spread(peers.SECTION, case, name), results.ratio(peers.SECTION, case, ours, name)
    return NONE if found is None or beside is None else f"{beside.median:.2f} × ({number(found, digits)})"


def _ran(results: Results, case: str) -> str:
    ran, jobs = (results.spread(peers.SECTION, case, name) for name in ("ran", "jobs"))
    return NONE if ran is None or jobs is None else f"{ran.median / jobs.median:.1%}"


def sizes(results: Results) -> list[int]:
    return sorted({int(it.partition(":")[0]) for it in results.cases(stored.SIZE)})


def _steps(results: Results) -> list[str]:
    return [it for it in results.cases(stored.STORED) if ":" not in it]


def _three(value: float) -> str:
    return f"{value:.3f}" if value < 1 else f"{value:.2f}"


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, what its figures are, and its table."""

    name: str
    title: str
    text: str
    table: Callable[[Results], str]
    pictures: tuple[str, ...] = ()


SECTIONS = (
    Section(
        intake.SECTION,
        "Accepting alerts",
        """\
POST /api/incidents of `versus serve` as shipped, with its worker in the same process and its log (JSON, level
info) in a file. Each incident waits for ServiceNow for a week; no channel is told. 64 keep-alive connections.
*bare* is a handler that reads the same request with orjson and answers (`benchmarks/baseline.py`); *one
EVALSHA* is that plus one write by redis-py (`benchmarks/one_write.py`). *Repeats* are of groups that came before.""",
        intake_table,
        ("intake",),
    ),
    Section(
        stages.SECTION,
        "Where the time goes",
        """\
CPU time of a request of five alerts. A clock of the process's CPU time notes every four milliseconds in which file
it is, so that a small figure is a rough one; work of C counts for what calls it. What stands between the bare
handler and the goal is all that follows it.""",
        stages_table,
    ),
    Section(
        intake.DURABILITY,
        "redis.durability",
        """\
Five alerts. Each setting has a Redis of its own, on the same disk. With 64 senders, many share one sync.""",
        durability_table,
    ),
    Section(
        draining.SECTION,
        "Escalations due in the same second",
        """\
From the moment when all are due until the last is completed in Redis. ServiceNow and Slack are a stub that
answers at once. The bare client is aiohttp that sends the same two requests for each ticket, 32 at once, and
keeps no record. With Slack, only the first number is due, and each incident has a channel of its own, so that no
rate limit delays a post. A record of ServiceNow is as late as the stub has it; an escalation of the no-op target
is as late as it is called. *Overtaken* is how much later the one was due that came before another.""",
        drain_table,
        ("drain",),
    ),
    Section(
        stored.BYTES,
        "Bytes in Redis",
        """\
`MEMORY USAGE` of every key, over the incidents. The payload that an incident came with is kept too, and counted
apart. What Redis allocates for both has its tables as well.""",
        bytes_table,
    ),
    Section(
        stored.STORED,
        "With many incidents waiting",
        """\
Each was accepted by the service, one alert each, fifty in a request. *One due* are incidents that come due one
after the other, 25 ms apart, at a target that does nothing.""",
        stored_table,
        ("stored", "late"),
    ),
    Section(stored.READY, "Starting", "A new process, with its imports; the median of several starts.", ready_table),
    Section(
        stored.SIZE,
        "Alerts in one request",
        """\
New groups. A flat or falling line is linear or better.""",
        size_table,
        ("alerts",),
    ),
    Section(
        replicas.SECTION,
        "Several replicas",
        """\
Replicas on one Redis and on a cluster of three nodes, and one replica of two processes; each case has a Redis of
its own. The line about the machine says on which cores they ran. Where there are two cores, they share them with
Redis and the load: then the ratios show what sharing costs, not what more cores would bring. CPU is that of all
replicas together, and of all nodes. *Redis full at* is an extrapolation: a core of each node, over the CPU that one
takes; it is above what can be reached. A drain is due in the same second, at a target that notes each call.""",
        replicas_table,
        ("replicas",),
    ),
    Section(
        peers.SECTION,
        "Beside other queues",
        """\
Jobs that do nothing, delayed. Each queue as its documentation recommends, with one worker on one core, and once.
A figure is a part of what our timers reach; what it is absolutely is in parentheses. These are our timers alone
(`versus_py.store`): no incident is read, decided about and written, as the sections above measure it. *Enqueued*
is durable in Redis before the call returns; clients with asyncio have 64 calls under way, the others one. *Run* is
a burst that is due in the same second, for 10 s at most; *late* is of others that come due at 333 a second. For
*lost* and *twice*, the worker is killed in the middle of 300 jobs and started again. What has not run when no job
runs for 15 s is lost; some queues run what a dead worker had after a longer time.""",
        peers_table,
        ("peers",),
    ),
)
