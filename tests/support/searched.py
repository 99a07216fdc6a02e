"""A search that is really run and disturbed: its spec."""

_SPEC = """\
name: {name}
dataset: {{name: digits, image_size: 8}}
methods: [abd]
tasks: [2]
seeds: [0, 1]
training: {{backbone: resnet8, epochs: {epochs}, batch_size: 64}}
dreaming: {{steps: {steps}}}
tune:
  method: abd
  space:
    dreaming.lr: {{low: 1e-4, high: 1e-2, log: true}}
    mu: {{low: 0.01, high: 1, log: true}}
  trials: {trials}
  validation: 0.2
  confirm: {{top: 1, seeds: [7, 8]}}
"""


def search_spec(name: str, trials: int, epochs: int, steps: int) -> str:
    """So many trials of abd on digits, two tasks and two seeds, of so many epochs and dreaming steps."""
    return _SPEC.format(name=name, trials=trials, epochs=epochs, steps=steps)
