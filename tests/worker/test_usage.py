"""What a stage uses of the machine, measured while it runs."""

import time

import numpy as np

from orchestrator.store.record import same_result
from orchestrator.worker.usage import Usage

MIB = 2**20


def test_processor_time_is_that_of_this_process():
    with Usage("cpu") as usage:
        until = time.process_time() + 0.2
        while time.process_time() < until:
            pass
    told = usage.told(seconds=2.0)
    assert told.keys() == {"cpu_seconds", "cpu_percent", "memory_mib"}
    assert 0.15 < told["cpu_seconds"] < 60  # the kernel counts it in hundredths
    assert abs(told["cpu_percent"] - 50 * told["cpu_seconds"]) < 0.1  # of two seconds


def test_memory_is_the_most_that_there_was_at_a_time():
    with Usage("cpu") as before:
        pass
    with Usage("cpu") as usage:
        held = np.ones(256 * MIB // 8)
        usage._look_once()
        del held
    assert usage.told(1.0)["memory_mib"] > before.told(1.0)["memory_mib"] + 200


def test_it_is_no_part_of_the_result():
    record = {"evaluation": {"correct": {"0": 1}}, "usage": {"cpu_percent": 1.0}}
    assert same_result(record, {**record, "usage": {"cpu_percent": 99.0}})
    assert same_result(record, {"evaluation": record["evaluation"]})
