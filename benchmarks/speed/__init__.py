"""What a training step costs, beside a plain one: `benchmarks/steps.py` is its command."""
