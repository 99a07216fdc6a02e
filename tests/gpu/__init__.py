"""What must hold on a GPU, as functions of a device: `python -m tests.gpu` runs them there, pytest on the CPU."""
