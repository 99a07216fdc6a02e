"""A profile counts what a step's operators compute and pass over."""

import torch

from benchmarks.speed.profiles import Row, as_markdown, by_operator


def test_products_are_counted_by_their_operations_and_sums_by_their_bytes():
    left, right, long = torch.ones(64, 32), torch.ones(32, 16), torch.ones(1000)
    rows = {row.name: row for row in by_operator(lambda: (left @ right, long + long, long + long))}
    assert rows["aten::mm"].flops == 2 * 64 * 32 * 16 and rows["aten::mm"].passed == 0
    # Each reads two numbers and writes one, of four bytes.
    assert rows["aten::add"].calls == 2 and rows["aten::add"].passed == 2 * 3 * 4 * 1000
    assert rows["aten::add"].flops == 0


def test_a_table_sets_them_beside_what_the_machine_does():
    rows = [
        Row("aten::mm", 0.006, 1, flops=3e8, passed=0),
        Row("aten::add", 0.003, 2, flops=0, passed=3e7),
        *(Row(f"aten::other{number}", 0.001 / 11, 1, 0, 0) for number in range(11)),
    ]
    table = as_markdown("base", rows, product=100.0, copied=20.0)
    assert table.startswith("base: 10 CPU ms a step")
    # 3e8 in 6 ms are 50 GFLOP/s, half of 100; 3e7 bytes in 3 ms are 10 GB/s, half of 20.
    assert "| aten::mm | 60.0% | 1 | 50 | 50% | |  |" in table
    assert "| aten::add | 30.0% | 2 | |  | 10 | 50% |" in table
    assert "| the other 1 | 0.9% |" in table


def test_a_step_without_a_product_has_a_profile_too():
    one, other = torch.ones(10), torch.ones(10)
    rows = {row.name: row for row in by_operator(lambda: one.add_(other))}
    assert rows["aten::add_"].passed == 3 * 4 * 10
