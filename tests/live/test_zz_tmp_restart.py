import os, signal, time, pytest, queue
from pathlib import Path
from reconciler.model.errors import EngineError
from reconciler.model.outcome import Result
from reconciler.model.power import PowerState, PowerStep
from reconciler.ports import EVERYTHING
from tests.contract.builders import create, update
from tests.live.conftest import LiveHost, libvirt_engine
import libvirt
def test_restart(libvirt_engine: LiveHost):
    host=libvirt_engine
    net=host.dhcp_network("net",7)
    vm=host.site.vm("web",nics={"default":net},grace_s=0)
    host.applied(create(vm,power=PowerStep.START))
    live=host.vm(vm.key)
    qpid=Path(f"/run/libvirt/qemu/{vm.key.namespace}_web.pid").read_text()
    host.forget_events()
    pid=int(Path("/run/libvirtd.pid").read_text())
    os.kill(pid, signal.SIGKILL); t=time.monotonic()
    errors=[]
    time.sleep(0.05)
    try: host.engine.observe([vm.key]); print("observe ok?")
    except EngineError as e: print("observe:", e)
    print("apply:", host.engine.apply(update(vm,live,power=PowerStep.STOP)))
    print("everything after", host.next_event(EVERYTHING,20)-t)
    host.connection=libvirt.open("qemu:///system")
    after=host.until(lambda: host.vm(vm.key), 20)
    assert after.power is PowerState.RUNNING and after.history==live.history
    assert Path(f"/run/libvirt/qemu/{vm.key.namespace}_web.pid").read_text()==qpid
    assert host.engine.compare(vm,after)==()
    print(after.fingerprint==live.fingerprint)
    # events flow again
    host.forget_events(); host.domain(vm.key).destroy(); host.next_event(vm.key)
    assert host.vm(vm.key).power is PowerState.OFF
    # stopped (frozen) libvirtd
    pid=int(Path("/run/libvirtd.pid").read_text())
    os.kill(pid, signal.SIGSTOP); t=time.monotonic()
    try:
        try: host.engine.observe([vm.key]); print("?")
        except EngineError as e: print("frozen:", time.monotonic()-t, e)
    finally: os.kill(pid, signal.SIGCONT)
    host.until(lambda: any(k==EVERYTHING for _,k in [host.heard.get(timeout=20)]), 30)
    host.connection=libvirt.open("qemu:///system")
