"""The connection and the events over libvirt's own test driver; errors in our words."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

libvirt = pytest.importorskip("libvirt", reason="the Python module libvirt is not installed")

# These import libvirt themselves.
from nodeexec.libvirt.connection import Connection  # noqa: E402
from nodeexec.libvirt.errors import Fault, translate  # noqa: E402
from nodeexec.libvirt.events import EventStream  # noqa: E402
from nodeexec.libvirt.settings import LibvirtSettings  # noqa: E402
from reconciler.model.errors import EngineError  # noqa: E402
from reconciler.model.keys import ObjectKey  # noqa: E402
from reconciler.model.outcome import Result  # noqa: E402
from reconciler.model.power import StopReason  # noqa: E402
from reconciler.ports import EVERYTHING  # noqa: E402

XML = "<domain type='test'><name>{}</name><memory unit='MiB'>8</memory><os><type arch='x86_64'>hvm</type></os></domain>"
WEB = ObjectKey("VirtualMachine", "default", "web")


@pytest.fixture
def stream() -> Iterator[EventStream]:
    made = EventStream()
    yield made
    made.close()


@pytest.fixture
def connection(stream: EventStream) -> Iterator[Connection]:
    made = Connection(
        LibvirtSettings(uri="test:///default"), on_open=stream.opened, on_lost=stream.lost, on_let_go=stream.deregister
    )
    yield made
    # The test driver's host is one for the whole process.
    for domain in made.get().listAllDomains():
        if domain.name() != "test":
            domain.destroy()
    made.close()


def test_an_end_is_written_down_before_it_is_told(stream: EventStream, connection: Connection) -> None:
    recorded: list[tuple[str, StopReason]] = []
    stream.serve(record_end=lambda name, reason: recorded.append((name, reason)), agent_changed=lambda name: None)
    keys = stream.start(connection.get())
    domain = connection.get().createXML(XML.format("default_web"), 0)
    assert next(keys) == WEB
    domain.destroy()
    assert next(keys) == WEB
    assert recorded == [("default_web", StopReason.DESTROYED)]
    assert "default_web" in stream.take_touched()


def test_an_end_that_cannot_be_written_down_is_told_and_the_next_one_is_heard_as_well(
    stream: EventStream, connection: Connection
) -> None:
    recorded: list[str] = []

    def record(name: str, reason: StopReason) -> None:
        recorded.append(name)
        if len(recorded) == 1:
            raise EngineError("libvirt cannot be reached")

    stream.serve(record_end=record, agent_changed=lambda name: None)
    keys = stream.start(connection.get())
    for count in (1, 2):
        domain = connection.get().createXML(XML.format("default_web"), 0)
        assert next(keys) == WEB
        domain.destroy()
        assert next(keys) == WEB
        assert recorded == ["default_web"] * count


def test_names_that_are_not_ours_wake_nobody(stream: EventStream, connection: Connection) -> None:
    keys = stream.start(connection.get())
    connection.get().createXML(XML.format("Someone"), 0)
    connection.get().createXML(XML.format("default_web"), 0)
    assert next(keys) == WEB


def test_nobody_listens_before_it_is_asked_for(stream: EventStream, connection: Connection) -> None:
    connection.get()
    assert not stream.listening
    stream.emit(WEB)
    stream.start(connection.get())
    stream.emit(EVERYTHING)
    assert stream._keys.get(timeout=20) == EVERYTHING


def test_closing_ends_the_events(stream: EventStream, connection: Connection) -> None:
    keys = stream.start(connection.get())
    ended = threading.Event()
    threading.Thread(target=lambda: (list(keys), ended.set()), daemon=True).start()
    stream.close()
    assert ended.wait(60)


def test_after_a_loss_everything_is_to_be_looked_at(stream: EventStream, connection: Connection) -> None:
    keys = stream.start(connection.get())
    first = connection.get()
    before = stream.generation
    connection._drop(first)
    assert next(keys) == EVERYTHING
    assert connection.get() is not first
    assert stream.generation == before + 1


def test_our_own_refresh_is_no_news(stream: EventStream, connection: Connection) -> None:
    keys = stream.start(connection.get())
    pool = connection.get().storagePoolLookupByName("default-pool")
    stream.expect_refresh("default-pool")
    pool.refresh(0)
    connection.get().createXML(XML.format("default_web"), 0)
    assert next(keys) == WEB
    pool.refresh(0)
    assert next(keys) == EVERYTHING


def test_a_libvirt_that_is_not_there_is_one_clear_sentence(stream: EventStream) -> None:
    settings = LibvirtSettings(uri="qemu+unix:///system?socket=/nonexistent/socket")
    connection = Connection(settings, on_open=stream.opened, on_lost=stream.lost, on_let_go=stream.deregister)
    begun = time.monotonic()
    with pytest.raises(EngineError) as raised:
        connection.get()
    connection.close()
    assert time.monotonic() - begun < 20
    assert "cannot be reached" in str(raised.value)
    assert "systemctl start libvirtd" in str(raised.value)
    with pytest.raises(EngineError, match="closed"):
        connection.get()


@pytest.mark.parametrize(
    ("code", "domain", "fault", "result"),
    [
        (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_FROM_QEMU, Fault.NOT_FOUND, Result.CONFLICT),
        (libvirt.VIR_ERR_NETWORK_EXIST, libvirt.VIR_FROM_NETWORK, Fault.EXISTS, Result.CONFLICT),
        (libvirt.VIR_ERR_XML_ERROR, libvirt.VIR_FROM_DOMAIN, Fault.PERMANENT, Result.FAILED),
        (libvirt.VIR_ERR_OPERATION_TIMEOUT, libvirt.VIR_FROM_QEMU, Fault.TRANSIENT, Result.RETRY),
        (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_QEMU, Fault.TRANSIENT, Result.RETRY),
        (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_RPC, Fault.LOST, Result.UNKNOWN),
        (libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_RPC, Fault.LOST, Result.UNKNOWN),
        (libvirt.VIR_ERR_RPC, libvirt.VIR_FROM_RPC, Fault.LOST, Result.UNKNOWN),
    ],
)
def test_an_error_says_what_it_means(code: int, domain: int, fault: Fault, result: Result) -> None:
    error = libvirt.libvirtError("as libvirt says it")
    error.err = (code, domain, "as libvirt says it", 2, None, None, None, 0, 0)
    translated = translate(error, "starting default_web")
    assert (translated.fault, translated.outcome.result) == (fault, result)
    assert translated.message.startswith("starting default_web: as libvirt says it")


def test_a_disk_that_somebody_else_has_open_is_said_in_one_sentence() -> None:
    text = (
        'internal error: qemu unexpectedly closed the monitor: -blockdev {"node-name":"libvirt-1-format"}: Failed to get '
        '"write" lock\nIs another process using the image [/pool/default_data.qcow2]?'
    )
    error = libvirt.libvirtError(text)
    error.err = (libvirt.VIR_ERR_INTERNAL_ERROR, libvirt.VIR_FROM_QEMU, text, 2, None, None, None, 0, 0)
    translated = translate(error, "started guest")
    assert translated.outcome.result is Result.RETRY
    assert translated.message == (
        "started guest: the disk /pool/default_data.qcow2 is open in another guest or program, which has to let go of it first"
    )
