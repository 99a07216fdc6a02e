"""Stages that other launchers hold: until they are finished there, or are to be taken over."""

from collections.abc import Callable

from orchestrator.plan.stage import Stage
from orchestrator.store.lease import Holder, Leases, Watch


class HeldStages:
    """The held stages of a launch. False while there are none."""

    def __init__(self, leases: Leases, lease_timeout: float) -> None:
        self._leases, self._watch = leases, Watch(lease_timeout)
        self._held: dict[str, Stage] = {}
        self._stale: dict[str, Holder] = {}

    def __bool__(self) -> bool:
        return bool(self._held)

    def add(self, stage: Stage) -> None:
        """Another launcher holds the lease on the stage."""
        self._held[stage.key] = stage

    def take_settled(self, settled: Callable[[Stage], bool]) -> list[Stage]:
        """Those that are `settled` by now; they are held no longer."""
        return [self._held.pop(key) for key, stage in list(self._held.items()) if settled(stage)]

    def take_abandoned(self) -> list[Stage]:
        """Those whose holder has given them back, has died or is stale; they are held no longer."""
        return [self._held.pop(key) for key in list(self._held) if self._abandoned(key)]

    def take_stale(self, key: str) -> Holder | None:
        """The holder that an abandoned stage is to be taken over from, if there is one."""
        return self._stale.pop(key, None)

    def _abandoned(self, key: str) -> bool:
        holder = self._leases.read(key)
        if holder is not None and not holder.dead() and not self._watch.is_stale(key, holder):
            return False
        self._watch.forget(key)
        if holder is not None:
            self._stale[key] = holder
        return True
