"""The part of the composition root that knows which engines there are. Each is imported when it is asked for."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from ipaddress import ip_network
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, cast

from reconciler.daemon.lock import OwnerLock, lock_directory
from reconciler.daemon.programs import Program
from reconciler.model.document import Document
from reconciler.model.errors import RequirementError, SettingsError
from reconciler.model.keys import ObjectKey
from reconciler.model.live import LiveObject
from reconciler.model.plan import Difference
from reconciler.model.problem import Problem
from reconciler.model.resolved import Resolved
from reconciler.ports import Clock, Engine, Leadership, Workers
from reconciler.secrets.passphrase import read_passphrase
from reconciler.settings import ImportSettings, Settings, parse_duration_s, user_places

if TYPE_CHECKING:
    from nodeexec.libvirt.settings import ImportLimits, LibvirtSettings

MISSING_LIBVIRT = (
    "the Python library of libvirt is not installed. Install the headers and the library: "
    "`apt-get install libvirt-dev pkg-config gcc python3-dev`, then `pip install 'gitvirt[libvirt]'`."
)

MISSING_KUBERNETES = "the Python library of Kubernetes is not installed: `pip install 'gitvirt[kubevirt]'`."


def _always() -> bool:
    return True


class EngineChoice(Protocol):
    """One engine, as the settings name it. ``uri`` says which host it works on; ``threads`` how many changes at once;
    ``programs`` what it runs.
    """

    uri: str
    threads: int
    programs: Sequence[Program]

    def leadership(self, clock: Clock) -> Leadership:
        """What keeps a second writer away."""
        ...

    def open(
        self, settings: Settings, clock: Clock, workers: Workers, *, may_act: Callable[[], bool] = _always
    ) -> Engine:
        """The engine itself. One whose leadership can be lost asks ``may_act`` before each step of an act."""
        ...

    def pure(self, settings: Settings) -> Engine:
        """Its pure half."""
        ...

    def why_slow(self, engine: Engine) -> str:
        """Why guests of an engine that was opened here do not run on KVM.

        Raises:
            EngineError: the engine cannot be reached.
        """
        ...

    def why_not_led(self) -> str:
        """What keeps everybody from leading, for people; empty for nothing that is known without trying.

        Raises:
            EngineError, RequirementError: the engine cannot be reached.
        """
        ...

    def before_cycle(self) -> None:
        """Called before each cycle, on its thread."""
        ...

    def console_log(self, vm: ObjectKey) -> Path | None:
        """Where the serial console of a VM is logged; None where it is not."""
        ...


def engine_choice(settings: Settings) -> EngineChoice:
    """The engine that the settings name.

    Raises:
        SettingsError: there is no such engine.
    """
    match settings.engine.name:
        case "libvirt":
            return _Libvirt(settings)
        case "kubevirt":
            return _Kubevirt(settings)
        case "simulated":
            return _Simulated(settings)
    raise SettingsError(
        f"{settings.origin}: there is no engine {settings.engine.name!r}; there are libvirt and kubevirt."
    )


class _Libvirt:
    threads = 4
    programs: Sequence[Program] = (
        Program(name="qemu-img", package="qemu-utils"),
        Program(name="qemu-system-x86_64", package="qemu-system-x86"),
        Program(name="dnsmasq", package="dnsmasq-base"),
        Program(name="virsh", package="libvirt-clients", optional=True),
    )

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.uri: str = libvirt_settings(settings).uri
        if settings.policy.user_network:
            self.programs = tuple(program for program in self.programs if program.name != "dnsmasq")

    def leadership(self, clock: Clock) -> Leadership:
        del clock
        from nodeexec.libvirt.same_uri import canonical_uri, is_for_one_user

        policy = self._settings.policy
        identity = canonical_uri(self.uri, (socket.gethostname(), policy.host))
        return OwnerLock(policy.owner, identity, lock_directory(shared=not is_for_one_user(identity)))

    def open(
        self, settings: Settings, clock: Clock, workers: Workers, *, may_act: Callable[[], bool] = _always
    ) -> Engine:
        del may_act  # the lock of a host is never lost
        try:
            from nodeexec.libvirt.engine import LibvirtEngine
        except ImportError as error:
            if error.name != "libvirt" and not str(error.name).startswith("libvirt"):
                raise
            raise RequirementError(MISSING_LIBVIRT) from error
        classes = settings.policy.storage_classes
        return LibvirtEngine(
            libvirt_settings(settings),
            settings.policy,
            clock,
            workers,
            passphrase=lambda storage_class: read_passphrase(storage_class, classes),
        )

    def pure(self, settings: Settings) -> Engine:
        from nodeexec.libvirt.compare import compare
        from nodeexec.libvirt.domain_xml import build
        from nodeexec.libvirt.flavour import Flavour
        from nodeexec.libvirt.support import check

        own = libvirt_settings(settings)
        flavour = Flavour(
            accelerator="kvm" if own.accelerator == "auto" else own.accelerator,
            seed_pool=settings.policy.default_pool,
            console_log_directory=own.console_log_directory,
        )
        pure = PureEngine("libvirt", check=check, compare=compare, describe=lambda vm: build(vm.domain, flavour))
        return cast("Engine", pure)

    def why_slow(self, engine: Engine) -> str:
        from nodeexec.libvirt.engine import LibvirtEngine

        return engine.kvm_proof().reason if isinstance(engine, LibvirtEngine) else ""

    def why_not_led(self) -> str:
        return ""

    def before_cycle(self) -> None:
        """Nothing: a real host needs no push."""

    def console_log(self, vm: ObjectKey) -> Path | None:
        from nodeexec.libvirt.naming import domain_name

        directory = libvirt_settings(self._settings).console_log_directory
        return Path(directory) / f"{domain_name(vm)}.log" if directory else None


def libvirt_settings(settings: Settings) -> LibvirtSettings:
    """The libvirt engine's own settings, from the plain options of the file."""
    from nodeexec.libvirt.settings import LibvirtSettings

    options = settings.engine.options if settings.engine.name == "libvirt" else {}
    given: dict[str, Any] = {"runtime_directory": str(settings.runtime_directory)}
    if settings.policy.user_network:
        places = user_places()
        given |= {"default_pool_target": str(places.images), "console_log_directory": str(places.consoles)}
    for name, own in (("uri", "uri"), ("accelerator", "accelerator"), ("consoleLogs", "console_log_directory"),
                      ("defaultPoolTarget", "default_pool_target")):  # fmt: skip
        if name in options:
            given[own] = options[name]
    return LibvirtSettings(imports=_import_limits(settings.imports), **given)


def _import_limits(imports: ImportSettings) -> ImportLimits:
    from nodeexec.libvirt.import_addresses import ImportAddresses
    from nodeexec.libvirt.settings import ImportLimits

    return ImportLimits(
        max_download_bytes=imports.max_download_bytes,
        max_content_bytes=imports.max_size_bytes,
        timeout_s=imports.timeout_s,
        stall_timeout_s=imports.stall_timeout_s,
        min_rate_bytes_s=imports.min_rate_bytes_s,
        at_once=imports.at_once,
        at_once_a_host=imports.at_once_a_host,
        addresses=ImportAddresses(
            allowed=tuple(map(ip_network, imports.allowed_addresses)),
            allowed_hosts=imports.allowed_hosts,
            denied=tuple(map(ip_network, imports.denied_addresses)),
        ),
    )


class _Kubevirt:
    programs: Sequence[Program] = ()

    def __init__(self, settings: Settings) -> None:
        from nodeexec.kubevirt.settings import KubevirtSettings

        options = settings.engine.options
        seconds = {own: parse_duration_s(options[name]) for name, own in (("requestTimeout", "request_timeout_s"),
                   ("staleAfter", "stale_after_s")) if name in options}  # fmt: skip
        self._own = KubevirtSettings(
            kubeconfig=options.get("kubeconfig", ""),
            context=options.get("context", ""),
            namespaces=tuple(options.get("namespaces") or ()),
            lease_namespace=options.get("leaseNamespace", ""),
            force_conflicts=options.get("forceConflicts", False),
            correct_power=options.get("correctPower", False),
            threads=options.get("threads", KubevirtSettings().threads),
            **seconds,
        )
        self._owner = settings.policy.owner
        self.threads = self._own.threads
        self.uri = ":".join(filter(None, ("kubernetes", self._own.kubeconfig, self._own.context)))

    def leadership(self, clock: Clock) -> Leadership:
        with _needs_kubernetes():
            from nodeexec.kubevirt.lease_api import cluster_leadership
        return cluster_leadership(self._own, self._owner, clock)

    def open(
        self, settings: Settings, clock: Clock, workers: Workers, *, may_act: Callable[[], bool] = _always
    ) -> Engine:
        del workers  # what takes long is the platform's
        with _needs_kubernetes():
            from nodeexec.kubevirt.engine import KubevirtEngine
        return KubevirtEngine(self._own, settings.policy, clock, may_write=may_act)

    def pure(self, settings: Settings) -> Engine:
        del settings
        from nodeexec.kubevirt.compare import Rules, compare
        from nodeexec.kubevirt.live_document import described

        rules = Rules(correct_power=self._own.correct_power)
        pure = PureEngine(
            "kubevirt",
            check=lambda _: (),
            compare=lambda wanted, live: compare(wanted, live, rules),
            describe=described,
            is_platform=True,
        )
        return cast("Engine", pure)

    def why_slow(self, engine: Engine) -> str:
        del engine
        return ""

    def why_not_led(self) -> str:
        with _needs_kubernetes():
            from nodeexec.kubevirt.lease_api import why_no_lease
        return why_no_lease(self._own, self._owner)

    def before_cycle(self) -> None:
        """Nothing: the cluster needs no push."""

    def console_log(self, vm: ObjectKey) -> Path | None:
        del vm
        return None


@contextmanager
def _needs_kubernetes() -> Iterator[None]:
    try:
        yield
    except ImportError as error:
        if str(error.name).partition(".")[0] not in ("kubernetes", "urllib3"):
            raise
        raise RequirementError(MISSING_KUBERNETES) from error


class _Simulated:
    """An in-memory host. Its time and its copies are pushed on before each cycle, on the cycle's thread, because the
    host knows no locks.
    """

    threads = 1
    programs: Sequence[Program] = ()

    def __init__(self, settings: Settings) -> None:
        self._owner = settings.policy.owner
        self.uri = f"simulated:{settings.state_directory}"
        self._push: Callable[[], None] = lambda: None

    def leadership(self, clock: Clock) -> Leadership:
        del clock
        return OwnerLock(self._owner, self.uri, lock_directory(shared=False))

    def open(
        self, settings: Settings, clock: Clock, workers: Workers, *, may_act: Callable[[], bool] = _always
    ) -> Engine:
        del may_act  # the lock of a host is never lost
        del workers  # its copies must move on the cycle's thread
        from nodeexec.simulated.clock import SimulatedClock, SteppedWorkers
        from nodeexec.simulated.engine import SimulatedEngine
        from nodeexec.simulated.host import Host

        own_clock, own_workers = SimulatedClock(clock.now()), SteppedWorkers()
        last_s = clock.monotonic()

        def push() -> None:
            nonlocal last_s
            now_s = clock.monotonic()
            own_workers.run_all()
            own_clock.advance(now_s - last_s)
            last_s = now_s

        self._push = push
        host = Host(own_clock, name=settings.policy.host)
        return SimulatedEngine(host, owner=settings.policy.owner, clock=own_clock, workers=own_workers)

    def pure(self, settings: Settings) -> Engine:
        del settings
        from nodeexec.simulated.live_document import described
        from nodeexec.spec_difference import compare

        return cast("Engine", PureEngine("simulated", check=lambda _: (), compare=compare, describe=described))

    def why_slow(self, engine: Engine) -> str:
        del engine
        return "the host is simulated"

    def why_not_led(self) -> str:
        return ""

    def before_cycle(self) -> None:
        """Let the host's time pass."""
        self._push()

    def console_log(self, vm: ObjectKey) -> Path | None:
        del vm
        return None


class PureEngine:
    """What an engine can say without a host. It stands in for an `Engine` where nothing else is asked of one."""

    def __init__(
        self,
        name: str,
        *,
        check: Callable[[Document], tuple[Problem, ...]],
        compare: Callable[[Resolved, LiveObject], tuple[Difference, ...]],
        describe: Callable[[Any], str],
        is_platform: bool = False,
    ) -> None:
        self.name = name
        self.is_platform = is_platform
        self._check, self._compare, self._describe = check, compare, describe

    def check(self, document: Document) -> tuple[Problem, ...]:
        """See `Engine.check`."""
        return self._check(document)

    def compare(self, wanted: Resolved, live: LiveObject) -> tuple[Difference, ...]:
        """See `Engine.compare`."""
        return self._compare(wanted, live)

    def describe(self, resolved: Resolved) -> str:
        """See `Engine.describe`."""
        return self._describe(resolved)
