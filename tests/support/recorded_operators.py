"""What stands for a CUDA graph on the CPU: every operator of a step is noted, and done again on the same memory.

As with a graph no Python of the step runs again, a number of Python is the one of the recording for ever, and recording
computes nothing. What a capture does not allow is refused: reading a number back, drawing one, and a tensor made of
numbers of Python, which would be copied to the device.
"""

from contextlib import contextmanager

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_flatten, tree_map_only

from dfcil_core.supplied import CannotCapture

READING = ("_local_scalar_dense", "equal", "nonzero", "masked_select", "unique", "is_nonzero", "lift_fresh")


class RecordedOperators:
    """A Recorder for the CPU."""

    def __init__(self):
        self.recordings = self.replays = 0

    @contextmanager
    def stepping(self):
        yield

    def record(self, run):
        self.recordings += 1
        tape = _Tape()
        try:
            with tape:
                run()
        finally:
            tape.put_back()

        def replay():
            self.replays += 1
            tape.replay()

        return replay


class _Tape(TorchDispatchMode):
    def __init__(self):
        super().__init__()
        self._done = []
        self._made = set()
        self._before = {}

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function.overloadpacket.__name__
        if name in READING:
            raise CannotCapture(f"{name} within the step")
        if torch.Tag.nondeterministic_seeded in function.tags:
            raise CannotCapture(f"{name} draws within the step")
        for tensor in _tensors((args, kwargs)):
            self._keep(tensor)
        result = function(*args, **kwargs)
        results = _tensors(result)
        self._made.update(_storage(one) for one in results if _storage(one) not in self._before)
        # Aliases without a history: autograd is no part of a replay.
        args, kwargs = tree_map_only(torch.Tensor, torch.Tensor.detach, (args, kwargs))
        self._done.append((function, args, kwargs, [one.detach() for one in results]))
        return result

    def _keep(self, tensor):
        """What a tensor from outside holds before it is changed."""
        place = _storage(tensor)
        if place not in self._made and place not in self._before:
            storage = tensor.untyped_storage()
            self._before[place] = storage, storage.clone()

    def put_back(self):
        for storage, kept in self._before.values():
            storage.copy_(kept)

    @torch.no_grad()
    def replay(self):
        for function, args, kwargs, results in self._done:
            again = function(*args, **kwargs)
            for one, new in zip(results, _tensors(again), strict=True):
                if _storage(one) != _storage(new):
                    one.copy_(new)


def _storage(tensor):
    return tensor.untyped_storage().data_ptr()


def _tensors(tree):
    return [one for one in tree_flatten(tree)[0] if isinstance(one, torch.Tensor)]
