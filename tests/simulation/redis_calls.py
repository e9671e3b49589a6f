"""Calls of the store's scripts, and commands, drawn so that each branch of each script is met."""

from collections.abc import Callable, Iterator, Sequence
from random import Random
from typing import Any

from tests.simulation.redis import Server
from tests.simulation.redis_values import Hash, SortedSet

Words = list[Any]
Drawn = tuple[Sequence[str], Words]
"""KEYS and ARGV."""

DAY_MS = 24 * 3600_000
MINUTE_MS = 60_000

IDS = ["a-0", "b-0", "c-0"]
TARGETS = ["slack", "servicenow"]
MEMBERS = [f"{id_}|{target}" for id_ in IDS for target in TARGETS]
OFTEN = ["create", "save", "repeat", "claim", "complete", "look"]
"""These meet in many ways."""
WORKERS = ["", "one", "two"]


class Caller:
    """Draws the next call of a script. It looks at *server* to name what is there: a version, a token, a place."""

    def __init__(self, server: Server, random: Random, start_ms: int) -> None:
        self.server = server
        self.random = random
        self.now_ms = start_ms
        self._draws: dict[str, Callable[[], Drawn]] = {
            name.removeprefix("_draw_"): getattr(self, name) for name in dir(self) if name.startswith("_draw_")
        }
        self.names = sorted(self._draws)
        self._often = [*self.names, *OFTEN * 5]

    def draw(self) -> tuple[str, Drawn]:
        self.now_ms += self.random.choice([0, 0, 1, 5]) * MINUTE_MS
        name = self.random.choice(self._often)
        return name, self._draws[name]()

    # -- what a call is made of

    def _maybe(self, value: Any, other: Any = "") -> Any:
        return self.random.choice([value, other])

    def _mostly(self, value: Any, other: Any) -> Any:
        return value if self.random.random() < 0.8 else other

    def _soon_ms(self) -> int:
        return self.now_ms + self.random.randrange(-3, 20) * MINUTE_MS

    def _expire_at_ms(self) -> int:
        return int(self._mostly(self.now_ms + self.random.randrange(7, 12) * DAY_MS, 1))

    def _texts(self) -> list[str]:
        return [f'{{"at":{self.now_ms}}}' for _ in range(self.random.randrange(3))]

    def _field(self, key: str, name: str, default: str) -> str:
        value = self.server.value(key)
        return value.get(name, default) if isinstance(value, Hash) else default

    def _score(self, key: str, member: str, default: Any) -> Any:
        value = self.server.value(key)
        return int(value.scores.get(member, default)) if isinstance(value, SortedSet) else default

    def _version(self, id_: str, *offsets: int) -> int:
        return int(self._field(f"incident:{id_}", "version", "1")) + self.random.choice([0, 0, 0, 0, *offsets])

    def _written_version(self, id_: str) -> int:
        return self._version(id_, 1, -1) - int(self._field(f"incident:{id_}", "repeats", "0"))

    def _timers(self, id_: str, *, disarms: bool) -> Words:
        count = self.random.randrange(3)
        members = self.random.sample(MEMBERS, count)
        due = [self._soon_ms() if not disarms else self._mostly(self._soon_ms(), "") for _ in members]
        return [count, *(it for pair in zip(members, due, strict=True) for it in pair)]

    # -- incidents and timers

    def _draw_create(self) -> Drawn:
        id_ = self.random.choice(IDS)
        keys = [
            f"incident:{id_}",
            f"dedup:{id_}",
            "timers",
            "incidents",
            "pending",
            f"payload:{id_}",
        ]
        args = [id_, "triggered", "{}", "[]", self.now_ms, self._expire_at_ms(), self._maybe(id_)]
        args += [self._maybe(self._soon_ms()), self._maybe("body"), *self._timers(id_, disarms=False)]
        shown = self.random.sample(["delivery:slack", "delivery:servicenow"], self.random.randrange(3))
        args += [len(shown), *(it for field in shown for it in (field, '{"ref":1}'))]
        if self.random.random() < 0.5:
            return keys, args
        others = self.random.sample(["alias", *(f"dedup:{it}" for it in IDS)], self.random.randrange(3))
        buckets = self.random.choices(["bucket-1", "bucket-2"], k=self.random.randrange(4))
        args += [5, self._soon_ms(), len(others), self.random.randrange(len(buckets) + 1), self.now_ms]
        return [*keys, "events", *others, *buckets], args + self.random.choices(["a", "b", "c", "d"], k=len(buckets))

    def _draw_save(self) -> Drawn:
        id_ = self.random.choice(IDS)
        keys = [f"incident:{id_}", f"dedup:{id_}", "timers", "running", "attempts", f"timeline:{id_}", "pending"]
        keys.append(f"payload:{id_}")
        status = self.random.choice(["triggered", "acknowledged", "resolved"])
        args = [id_, self._written_version(id_), status, '{"n":1}', self._expire_at_ms(), self._expire_at_ms(), 5]
        args += [self.random.choice([0, MINUTE_MS]), self._maybe(self._soon_ms()), self._maybe("[1]")]
        return keys, [*args, self._maybe("body"), *self._timers(id_, disarms=True), *self._texts()]

    def _draw_repeat(self) -> Drawn:
        id_ = self.random.choice(IDS)
        keys = [f"incident:{id_}", "timers", "running", "attempts", *self._maybe([f"dedup:{id_}"], [])]
        members = self.random.sample(MEMBERS, self.random.randrange(3))
        return keys, [id_, self._written_version(id_), self.random.randrange(1, 4), self.now_ms, 5, *members]

    def _draw_claim(self) -> Drawn:
        members = self.random.sample(MEMBERS, self.random.randrange(4))
        keys = ["timers", "running", "attempts", "unsent", *(f"incident:{it.partition('|')[0]}" for it in members)]
        return keys, [self.now_ms, self.now_ms + 2 * MINUTE_MS, self.random.choice(WORKERS), *members]

    def _claim(self) -> tuple[str, str]:
        """A member, and its token or another one."""
        value = self.server.value("running")
        claimed = list(value.scores) if isinstance(value, SortedSet) else []
        member = self.random.choice(claimed or MEMBERS)
        return member, str(self._mostly(self._score("running", member, 1), 1))

    def _draw_begin(self) -> Drawn:
        return ["running", "unsent"], [*self._claim()]

    def _draw_complete(self) -> Drawn:
        member, token = self._claim()
        id_, _, target = member.partition("|")
        keys = [f"incident:{id_}", "timers", "running", "attempts", "failed", f"timeline:{id_}", "pending", "unsent"]
        keys += self._maybe([f"dedup:{id_}", f"payload:{id_}", f"unread:{id_}"], [])
        how = self.random.choice(["done", "retry", "postponed", "failed"])
        later_ms = self.now_ms + self.random.randrange(1, 60) * MINUTE_MS
        at_ms = self._maybe(later_ms) if how in ("done", "failed") else later_ms
        others = self.random.sample(MEMBERS, self.random.randrange(3))
        args = [member, token, how, at_ms, self.now_ms, self._version(id_, 1, -1), f"delivery:{target}"]
        args += [self._maybe('{"ref":1}'), self._expire_at_ms(), id_, self.random.choice([self._soon_ms(), "", "-"])]
        return keys, [*args, 5, len(others), *others, *self._texts()]

    def _draw_look(self) -> Drawn:
        args = [self.now_ms, self._mostly("-inf", self._soon_ms()), 3]
        args += [self.random.choice(WORKERS), self.now_ms - 4 * MINUTE_MS, 7 * DAY_MS, self._mostly(self.now_ms, 1)]
        return ["timers", "running", "attempts", "workers", "unsent"], args

    def _draw_arm(self) -> Drawn:
        member = self.random.choice(MEMBERS)
        return [f"incident:{member.partition('|')[0]}", "timers", "running", "attempts"], [member, self.now_ms]

    def _draw_stand(self) -> Drawn:
        return [f"incident:{it}" for it in IDS], []

    def _draw_rearm(self) -> Drawn:
        member = self.random.choice(MEMBERS)
        id_ = member.partition("|")[0]
        return [f"incident:{id_}", "pending", "timers", "running"], [id_, member, self.now_ms]

    def _draw_hurry(self) -> Drawn:
        member = self.random.choice(MEMBERS)
        return ["timers"], [member, self._mostly(self._score("timers", member, 1), 1), self.now_ms]

    def _draw_renew(self) -> Drawn:
        id_ = self.random.choice(IDS)
        keys = [f"incident:{id_}", f"dedup:{self.random.choice(IDS)}", f"timeline:{id_}", f"payload:{id_}"]
        return keys, [id_, self._expire_at_ms()]

    def _draw_trim(self) -> Drawn:
        return [self.random.choice(["incidents", "pending"]), *(f"incident:{it}" for it in IDS)], [*IDS]

    def _draw_name(self) -> Drawn:
        return ["alias"], [self.random.choice(IDS), self._expire_at_ms(), self._maybe("1", "0")]

    def _draw_note_unread(self) -> Drawn:
        id_ = self.random.choice(IDS)
        return [f"unread:{id_}", f"incident:{id_}", "pending"], [id_, self.now_ms, DAY_MS]

    # -- what surrounds them

    def _draw_note(self) -> Drawn:
        return ["clock"], [DAY_MS, "seen_ms", self.now_ms, "machine_ahead_ms", self.random.randrange(-5, 5)]

    def _draw_note_due(self) -> Drawn:
        minute = self.now_ms // MINUTE_MS
        came = [(minute - self.random.randrange(5), "slack", self.random.randrange(1, 9)) for _ in range(2)]
        first = [minute - self.random.choice([2, 120]), minute // 1440 - self.random.choice([-1, 30]), DAY_MS]
        return ["due_minutes", "due_days"], [*first, *(it for one in came for it in one)]

    def _draw_set_lead(self) -> Drawn:
        known = self._mostly(self._field("clock", "lead_since_ms", "0"), "1")
        return ["clock"], [known, self.random.randrange(9), self.now_ms, DAY_MS]

    def _draw_park(self) -> Drawn:
        return ["waiting_for_probe"], [self.random.choice(MEMBERS), self._soon_ms(), DAY_MS]

    def _draw_take_probe(self) -> Drawn:
        return ["refused"], [self.now_ms, self.now_ms + 5 * MINUTE_MS, self._soon_ms()]

    def _draw_put(self) -> Drawn:
        key = self.random.choice(["lock", "barrier"])
        return [key], [self.random.choice(IDS), self._maybe(DAY_MS), self._maybe("1")]

    def _draw_unlock(self) -> Drawn:
        return ["lock"], [self.random.choice(IDS)]

    def _draw_enlist(self) -> Drawn:
        return ["storms"], [self.random.choice(IDS), self._maybe(self._expire_at_ms())]

    def _draw_index_alerts(self) -> Drawn:
        buckets = self.random.choices(["bucket-1", "bucket-2"], k=3)
        fields = self.random.choices(["a", "b"], k=3)
        return buckets, [self.random.choice(IDS), self._expire_at_ms(), self.now_ms, *fields]

    def _draw_announce(self) -> Drawn:
        pairs = [it for id_ in IDS for it in (id_, self._soon_ms())]
        return ["events"], [1000, *pairs]

    def _draw_mark(self) -> Drawn:
        known = self.random.choice([self._field("marker", "id", "new"), "", "?", "other"])
        seen_ms = int(self._field("marker", "seen_ms", "0")) + self.random.choice([0, 60 * MINUTE_MS])
        return ["marker"], [known, seen_ms, self.now_ms, f"id-{self.now_ms}", 30 * MINUTE_MS, 4]

    def _draw_fix_partitions(self) -> Drawn:
        return ["marker"], [self._maybe(4, 16), 4]

    def _draw_accept_loss(self) -> Drawn:
        return ["marker"], []

    def _draw_attend(self) -> Drawn:
        names = ["r1", "r2", "r3"]
        gone = self.random.sample(names, self.random.randrange(2))
        return ["replicas"], [60 * MINUTE_MS, self.random.choice(names), self._maybe('{"at":1}', ""), *gone]

    def _draw_change_storm(self) -> Drawn:
        storm, id_ = self.random.choice(["s1", "s2"]), self.random.choice(IDS)
        args = [storm, id_, f'{{"n":{self.random.randrange(2)}}}', self.now_ms, self._expire_at_ms()]
        return ["storm", f"storm:{storm}", f"counted:{id_}"], [*args, self._maybe("1", "0")]

    def _draw_end_storm(self) -> Drawn:
        storm = self.random.choice(["s1", "s2"])
        joined_ms = self.random.choice([self._field(f"storm:{storm}", "joined_ms", "1"), "", "1"])
        return ["storm", f"storm:{storm}"], [storm, joined_ms, self.now_ms, self._maybe("refused")]

    def _draw_leave_storm(self) -> Drawn:
        id_ = self.random.choice(IDS)
        return [f"storm:{self.random.choice(['s1', 's2'])}", f"counted:{id_}"], [id_]

    def _draw_hold_back(self) -> Drawn:
        return ["free_at"], [self._soon_ms(), DAY_MS]

    def _draw_take_turn(self) -> Drawn:
        args = [self.random.choice(IDS), self.random.randrange(9), self.now_ms, 7 * MINUTE_MS, 2, MINUTE_MS, DAY_MS]
        return ["turns", "promised", "free_at"], [*args, self._maybe("1")]

    def _draw_journal(self) -> Drawn:
        lines = [self._mostly(f'"at_ms":{self.now_ms},"id":"{it}"', '"what":"no time"') for it in IDS]
        args = ["0" * 40, self.now_ms - self.random.choice([1, 60]) * MINUTE_MS, 4, self.now_ms + 9 * DAY_MS]
        return ["journal", "journal_head"], [*args, *lines[: self.random.randrange(1, 4)]]

    def _draw_read_journal(self) -> Drawn:
        return ["journal", "journal_head"], [self.random.randrange(4), self.random.randrange(-2, 6)]


# -- commands

KEYS = ["x", "y", "z"]
NAMES = ["f", "g", "h", "5"]
NUMBERS = [-1, 0, 1, 2, 5, "no number", "-0.5", "2.25", 1 << 40]
PLACES = [0, 1, 2, -1, -2, -3, 7]
FAR_MS = 9_000_000_000_000
"""A time that does not come during a test; 1 is one that is over."""


def commands(random: Random) -> Iterator[Words]:
    """Commands on few keys, most of the kind that is there, each with the options that are in use."""
    while True:
        key = random.choice(KEYS) if random.random() < 0.1 else ""
        yield random.choice(_COMMANDS)(random, key)


def _bound(random: Random) -> Any:
    return random.choice(["-inf", "+inf", "(1", "(2", *NUMBERS])


def _options(random: Random, *options: Words) -> Words:
    return random.choice([[], *options])


SCRIPTS = [
    "return {1, 2.9, false, 'x'}",
    "return {1, nil, 3}",
    "return true",
    "return false",
    "return 3.7",
    "return -3.7",
    "return redis.status_reply('FINE')",
    "return redis.error_reply('BAD thing')",
    "return redis.pcall('HGET', KEYS[1], 'f')",
    "return redis.call('SET', KEYS[1], ARGV[1])",
    "return {redis.call('SET', KEYS[1], 0.5)}",
    "redis.call('SET', KEYS[1], 3) return redis.call('GET', KEYS[1])",
    "redis.call('SET', KEYS[1], 2 ^ 41) return redis.call('GET', KEYS[1])",
    "return tostring(1790000000000 + 0.5)",
    "return redis.call('ZSCORE', 'zset', 'f')",
    "return redis.call('ZRANGEBYSCORE', 'zset', '-inf', '+inf', 'WITHSCORES')",
    "return redis.call('HGETALL', 'hash')",
    "return redis.call('NOTHING')",
    "return redis.call('GET')",
    "return redis.call('GET', {})",
    "return redis.sha1hex('x')",
    "return type(redis.call('SET', KEYS[1], '1'))",
    "return type(redis.call('GET', 'gone'))",
    "return nothing",
    "surprise = 1",
    "this is no Lua",
    "#!lua flags=allow-oom\nreturn 1",
    "#!lua flags=surprise\nreturn 1",
    "#!lua\nreturn redis.call('SET', KEYS[1], '1')",
]

_COMMANDS: list[Callable[[Random, str], Words]] = [
    lambda r, key: [
        "SET",
        key or "text",
        r.choice(NAMES),
        *_options(r, ["NX"], ["KEEPTTL"], ["PX", FAR_MS], ["PXAT", 1]),
    ],
    lambda r, key: [
        "SET",
        key or "text",
        r.choice(NUMBERS),
        *_options(r, ["PXAT", FAR_MS], ["PX", 0], ["XYZ"], ["PX"]),
    ],
    lambda r, key: ["GET", key or "text"],
    lambda r, key: ["DEL", *r.sample([*KEYS, "text", "hash", "zset", "list", "set"], r.choice([1, 1, 2]))],
    lambda r, key: ["EXISTS", *r.choices([*KEYS, "text", "hash", "zset"], k=r.choice([1, 2]))],
    lambda r, key: ["PTTL", r.choice([*KEYS, "gone"])],
    lambda r, key: ["PEXPIRETIME", r.choice([*KEYS, "gone"])],
    lambda r, key: ["PEXPIRE", key or r.choice(["text", "hash", "zset"]), r.choice([FAR_MS, 0, -1, "no number"])],
    lambda r, key: ["PEXPIREAT", key or r.choice(["text", "hash", "zset"]), r.choice([FAR_MS, FAR_MS, FAR_MS, 1])],
    lambda r, key: ["HSET", key or "hash", *r.choices([*NAMES, *NUMBERS], k=r.choice([2, 2, 4, 3]))],
    lambda r, key: ["HSETNX", key or "hash", r.choice(NAMES), r.choice(NUMBERS)],
    lambda r, key: ["HGET", key or "hash", r.choice(NAMES)],
    lambda r, key: ["HMGET", key or "hash", *r.choices(NAMES, k=r.choice([0, 1, 3]))],
    lambda r, key: ["HGETALL", key or "hash"],
    lambda r, key: ["HEXISTS", key or "hash", r.choice(NAMES)],
    lambda r, key: ["HDEL", key or "hash", *r.choices(NAMES, k=r.choice([1, 2]))],
    lambda r, key: ["HINCRBY", key or "hash", r.choice(NAMES), r.choice([*NUMBERS, (1 << 63) - 1])],
    lambda r, key: ["ZADD", key or "zset", *_options(r, ["NX"]), r.choice(NUMBERS), r.choice(NAMES)],
    lambda r, key: ["ZADD", key or "zset", *(it for n in r.choices(NAMES, k=3) for it in (r.choice([1, 2, 2.25]), n))],
    lambda r, key: ["ZREM", key or "zset", *r.choices(NAMES, k=r.choice([1, 2]))],
    lambda r, key: ["ZSCORE", key or "zset", r.choice(NAMES)],
    lambda r, key: ["ZRANK", key or "zset", r.choice(NAMES)],
    lambda r, key: ["ZCARD", key or "zset"],
    lambda r, key: ["ZCOUNT", key or "zset", _bound(r), _bound(r)],
    lambda r, key: ["ZRANGE", key or "zset", r.choice(PLACES), r.choice(PLACES)],
    lambda r, key: ["ZRANGEBYSCORE", key or "zset", _bound(r), _bound(r), *_options(r, ["LIMIT", 1, r.choice(PLACES)])],
    lambda r, key: [
        "ZREVRANGEBYSCORE",
        key or "zset",
        _bound(r),
        _bound(r),
        *_options(r, ["LIMIT", 0, 1], ["LIMIT", 1]),
    ],
    lambda r, key: ["ZPOPMIN", key or "zset", *_options(r, [1], [2], [-1], ["no number"])],
    lambda r, key: ["ZSCAN", key or "zset", 0, *_options(r, ["MATCH", "[fg]*"], ["MATCH", "5", "COUNT", 100])],
    lambda r, key: ["RPUSH", key or "list", *r.choices(NAMES, k=r.choice([1, 3]))],
    lambda r, key: ["LRANGE", key or "list", r.choice(PLACES), r.choice(PLACES)],
    lambda r, key: ["LTRIM", key or "list", r.choice(PLACES), r.choice(PLACES)],
    lambda r, key: ["LINDEX", key or "list", r.choice(PLACES)],
    lambda r, key: ["LSET", key or "list", r.choice(PLACES), r.choice(NAMES)],
    lambda r, key: [r.choice(["LPOP", "RPOP"]), key or "list"],
    lambda r, key: ["SADD", key or "set", *r.choices(NAMES, k=r.choice([1, 2]))],
    lambda r, key: ["SREM", key or "set", *r.choices(NAMES, k=r.choice([1, 2]))],
    lambda r, key: ["SMEMBERS", key or "set"],
    lambda r, key: ["SISMEMBER", key or "set", r.choice(NAMES)],
    lambda r, key: ["XADD", key or "stream", f"{r.randrange(1, 9)}-{r.randrange(3)}", "f", r.choice(NAMES)],
    lambda r, key: ["XTRIM", key or "stream", "MAXLEN", r.choice(["=", "="]), r.choice([0, 1, 3, -1])],
    lambda r, key: [
        "XREAD",
        *_options(r, ["COUNT", 2]),
        "STREAMS",
        key or "stream",
        r.choice(["0", "3", "4-1", "$", "no"]),
    ],
    lambda r, key: ["PING"],
    lambda r, key: [r.choice(["OBJECTIFY", "get", "ZADD", "HSET", "GET"])],
    lambda r, key: ["EVALSHA", "0" * 40, 0],
    lambda r, key: ["EVAL", "return redis.call('GET', KEYS[1])", r.choice([1, 2, -1, 0]), key or "text"],
    lambda r, key: ["EVAL", r.choice(SCRIPTS), 1, key or "text", r.choice(NAMES)],
    lambda r, key: ["SCRIPT EXISTS", "0" * 40],
]
