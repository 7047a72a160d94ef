"""What every engine does with claims: create, import, clone, grow, trash, restore; never shrink."""

from __future__ import annotations

from dataclasses import replace

from reconciler.model.live import LOST, LiveObject, LiveVolume
from reconciler.model.outcome import Result
from reconciler.model.plan import Change
from reconciler.model.power import PowerStep
from reconciler.model.quantity import MIB
from reconciler.model.resolved import ResolvedVolume
from tests.contract.builders import create, delete, expire, is_ready, update
from tests.contract.world import (
    World,
    carry_out,
    everything,
    look,
    look_vm,
    look_volume,
    start_step,
    take_away,
    wait_until,
)


def made(world: World, volume: ResolvedVolume) -> ResolvedVolume:
    """The volume, ready."""

    def change(live: LiveObject | None) -> Change:
        return update(volume, live) if live else create(volume)

    world.engine.apply(change(look(world, volume.key)))
    wait_until(world, lambda: is_ready(look(world, volume.key)))
    return volume


def test_a_claim_is_made_and_observed_without_differences(world: World) -> None:
    for claim in (world.site.claim("files"), world.site.claim("raw", block=True)):
        made(world, claim)
        live = look_volume(world, claim.key)
        assert (live.size_bytes, live.format, live.phase) == (16 * MIB, claim.format, "Succeeded")
        assert (live.source, live.storage_class, live.pool) == (claim.source, claim.storage_class, claim.pool)
        assert live.marks is not None
        assert live.marks.applied == claim.applied
        assert world.engine.compare(claim, live) == ()
        assert world.engine.apply(update(claim, live)).result is Result.UNCHANGED


def test_a_claim_grows_and_is_never_shrunk(world: World) -> None:
    small = made(world, world.site.claim("data", "16Mi"))
    bigger = world.site.claim("data", "32Mi")
    live = look_volume(world, small.key)
    (growth,) = [entry for entry in world.engine.compare(bigger, live) if entry.path.endswith("requests.storage")]
    assert (growth.before, growth.after) == ("16Mi", "32Mi")
    assert world.engine.apply(update(bigger, live)).result is Result.APPLIED
    grown = look_volume(world, small.key)
    assert grown.size_bytes == 32 * MIB
    smaller = world.site.claim("data", "8Mi")
    world.engine.apply(update(smaller, grown))
    after = look_volume(world, small.key)
    assert after.size_bytes == 32 * MIB
    assert not [entry for entry in world.engine.compare(smaller, after) if not entry.refused]


def test_a_claim_grows_under_a_running_guest(world: World) -> None:
    small = made(world, world.site.claim("data", "16Mi"))
    vm = world.site.vm("web", disks={"data": small})
    world.engine.apply(create(vm, power=start_step(world)))
    bigger = world.site.claim("data", "32Mi")
    assert world.engine.apply(update(bigger, look_volume(world, small.key))).result is Result.APPLIED
    assert look_volume(world, small.key).size_bytes == 32 * MIB
    assert world.runs(vm.key) == 1


def test_a_deleted_claim_comes_back_with_its_content(world: World) -> None:
    claim = made(world, world.site.claim("data"))
    world.write(claim.key, 0x5A)
    assert world.engine.apply(delete(look_volume(world, claim.key))).result is Result.APPLIED
    assert look(world, claim.key) is None
    (item,) = world.engine.observe([claim.key]).trash
    assert (item.key, item.source, item.size_bytes) == (claim.key, claim.source, 16 * MIB)
    assert item in everything(world).trash
    if not world.traits.moves_trash:
        refused = world.engine.apply(create(claim))
        assert refused.result is Result.FAILED
        assert "gitvirt trash empty" in refused.reason
    assert world.engine.apply(create(claim, restore=item.item)).result is Result.APPLIED
    back = look_volume(world, claim.key)
    assert world.engine.compare(claim, back) == ()
    assert world.reads(claim.key, 0x5A)
    assert world.engine.observe([claim.key]).trash == ()


def test_trash_is_emptied_by_name_only(world: World) -> None:
    claim = made(world, world.site.claim("data"))
    world.engine.apply(delete(look_volume(world, claim.key)))
    other = made(world, claim if world.traits.moves_trash else world.site.claim("other"))
    world.engine.apply(delete(look_volume(world, other.key)))
    first, second = world.engine.observe({claim.key, other.key}).trash
    assert world.engine.empty_trash("no such item").result is Result.REFUSED
    assert world.engine.empty_trash(first.item).result is Result.APPLIED
    world.settle()
    assert world.engine.observe({claim.key, other.key}).trash == (second,)


def test_a_trashed_claim_is_put_back_by_hand(world: World) -> None:
    claim = made(world, world.site.claim("data"))
    world.write(claim.key, 0x33)
    world.engine.apply(delete(look_volume(world, claim.key)))
    (item,) = world.engine.observe([claim.key]).trash
    assert world.engine.restore_trash(item.item).result is Result.APPLIED
    assert look(world, claim.key) is not None
    assert world.reads(claim.key, 0x33)


def test_a_claim_that_a_domain_names_is_not_trashed(world: World) -> None:
    claim = made(world, world.site.claim("data"))
    vm = world.site.vm("web", disks={"data": claim}, run_strategy="Halted")
    world.engine.apply(create(vm))
    live = look_volume(world, claim.key)
    assert live.used_by == (vm.key,)
    outcome = world.engine.apply(delete(live))
    assert outcome.result in (Result.RETRY, Result.REFUSED, Result.CONFLICT)
    assert look(world, claim.key) is not None
    assert world.engine.observe([claim.key]).trash == ()


def test_a_claim_goes_right_after_its_vm_with_the_plan_made_before(world: World) -> None:
    claim = made(world, world.site.claim("data"))
    vm = world.site.vm("web", disks={"data": claim}, run_strategy="Halted")
    world.engine.apply(create(vm))
    change = delete(look_volume(world, claim.key))
    take_away(world, vm.key)
    assert world.engine.apply(change).result is Result.APPLIED


def test_an_import_progresses_and_nobody_waits_for_it(world: World) -> None:
    volume = world.site.data_volume("root", {"http": {"url": world.publish_slowly("deaf")}})
    outcome = world.engine.apply(create(volume))
    assert outcome.result is (Result.PROGRESSING if world.traits.fills_volumes else Result.APPLIED)
    live = look_volume(world, volume.key)
    assert live.is_usable is not world.traits.fills_volumes
    assert live.phase in ("ImportScheduled", "ImportInProgress")
    assert live.marks is not None
    other = made(world, world.site.claim("other"))
    assert is_ready(look(world, other.key))
    wait_until(world, lambda: is_ready(look(world, volume.key)))
    assert world.engine.compare(volume, look_volume(world, volume.key)) == ()


def test_an_import_from_nowhere_fails_and_says_why(world: World) -> None:
    gone = world.publish("deaf").rsplit("/", 1)[0] + "/no-such-image"
    volume = world.site.data_volume("root", {"http": {"url": gone}})
    world.engine.apply(create(volume))
    wait_until(world, lambda: "404" in look_volume(world, volume.key).reason)
    live = look_volume(world, volume.key)
    assert not is_ready(live)
    if world.traits.fills_volumes:
        assert live.phase == "Failed"
        assert live.retry_at is not None
    discarded = world.engine.apply(delete(live))
    assert discarded.result is Result.APPLIED
    assert look(world, volume.key) is None


def test_a_clone_stands_alone(world: World) -> None:
    source = made(world, world.site.claim("golden"))
    world.write(source.key, 0x42)
    clone = world.site.data_volume("copy", {"pvc": {"name": "golden", "namespace": world.site.namespace}})
    made(world, clone)
    assert world.reads(clone.key, 0x42)
    world.write(source.key, 0x43)
    assert world.reads(clone.key, 0x42)
    assert world.engine.apply(delete(look_volume(world, source.key))).result is Result.APPLIED
    assert world.reads(clone.key, 0x42)


def test_a_blank_data_volume(world: World) -> None:
    blank = made(world, world.site.data_volume("empty", {"blank": {}}))
    live = look_volume(world, blank.key)
    assert live.key.kind == "DataVolume"
    assert world.engine.compare(blank, live) == ()


def test_an_item_ages_while_it_is_watched_and_expires_when_it_is_old_enough(world: World) -> None:
    claim = made(world, world.site.claim("data"))
    world.engine.apply(delete(look_volume(world, claim.key)))
    (fresh,) = world.engine.observe([claim.key]).trash
    assert (fresh.aged_s, fresh.host) == (0.0, world.site.policy.host)
    world.pass_time(0.2)
    assert world.engine.observe([claim.key]).trash[0].aged_s == 0.0
    assert world.engine.note_trash_ages().result is Result.APPLIED
    assert world.engine.note_trash_ages().result is Result.UNCHANGED
    world.pass_time(1.5)
    (watched,) = world.engine.observe([claim.key]).trash
    assert 1.5 <= watched.aged_s < 60.0
    early = world.engine.apply(expire(watched, aged_s=3600))
    assert early.result is Result.CONFLICT
    assert world.engine.observe([claim.key]).trash
    assert world.engine.apply(expire(watched, aged_s=1)).result is Result.APPLIED
    assert world.engine.observe([claim.key]).trash == ()
    assert world.engine.apply(expire(watched, aged_s=1)).result is Result.UNCHANGED


def test_an_item_that_comes_back_begins_anew(world: World) -> None:
    claim = made(world, world.site.claim("data"))
    world.engine.apply(delete(look_volume(world, claim.key)))
    world.engine.note_trash_ages()
    world.pass_time(1.5)
    (item,) = world.engine.observe([claim.key]).trash
    world.engine.apply(create(claim, restore=item.item))
    world.engine.apply(delete(look_volume(world, claim.key)))
    (again,) = everything(world).trash
    assert again.aged_s == 0.0
    assert world.engine.apply(expire(again, aged_s=1)).result is Result.CONFLICT


def test_a_volume_that_somebody_removed_is_lost_and_nothing_takes_its_place(world: World) -> None:
    claim = made(world, world.site.claim("data"))
    world.write(claim.key, 0x42)
    put_back = world.lose(claim.key)
    lost = look_volume(world, claim.key)
    assert (lost.phase, lost.pool) == (LOST, claim.pool)
    assert lost.marks is not None
    assert lost.marks.applied == (claim.applied if world.traits.marks_outlive_volumes else None)
    seen = everything(world).objects[claim.key]
    assert isinstance(seen, LiveVolume)
    assert seen.phase == LOST
    outcome = world.engine.apply(replace(create(claim), expected=lost.fingerprint))
    assert outcome.result is Result.REFUSED
    assert "is gone" in outcome.reason
    put_back()
    assert is_ready(look(world, claim.key))
    assert world.reads(claim.key, 0x42)


def test_a_loss_is_accepted_by_its_name_and_only_once(world: World) -> None:
    claim = made(world, world.site.claim("data"))
    world.lose(claim.key)
    world.pass_time(1.5)
    lost = look_volume(world, claim.key)
    accepted = replace(claim, fresh_disk=lost.loss)
    assert world.engine.apply(replace(create(accepted), expected=lost.fingerprint)).result is Result.APPLIED
    assert is_ready(look(world, claim.key))
    assert world.engine.compare(accepted, look_volume(world, claim.key)) == ()
    world.lose(claim.key)
    again = look_volume(world, claim.key)
    assert again.loss != lost.loss
    outcome = world.engine.apply(replace(create(accepted), expected=again.fingerprint))
    assert outcome.result is Result.REFUSED


def test_a_lost_volume_that_is_not_wanted_any_more_is_forgotten(world: World) -> None:
    claim = made(world, world.site.claim("data"))
    world.lose(claim.key)
    assert world.engine.apply(delete(look_volume(world, claim.key))).result is Result.APPLIED
    assert look(world, claim.key) is None
    assert everything(world).trash == ()
    made(world, claim)


def test_a_vm_starts_on_a_disk_that_was_moved_away_and_back_by_hand(world: World) -> None:
    claim = made(world, world.site.claim("data"))
    vm = world.site.vm("web", disks={"data": claim}, run_strategy="Halted")
    world.engine.apply(create(vm))
    put_back = world.lose(claim.key)
    made(world, world.site.claim("other"))
    put_back()

    def start(live: LiveObject | None) -> Change:
        assert live is not None
        return update(vm, live, power=PowerStep.START)

    carry_out(world, vm.key, start)
    assert look_vm(world, vm.key).running is not None
