"""The examples at the end of each command's `--help`. Each is a command as one types it, and what it does."""

import click

EXAMPLES: dict[str, tuple[tuple[str, str], ...]] = {
    "": (
        ("dfcil-sweep launch demo", "run the bundled demo: about three minutes on two cores"),
        ("dfcil-sweep report demo", "its table"),
        ("dfcil-sweep ui demo", "its accuracies, curves and dreams in MLflow"),
    ),
    "init": (
        ("dfcil-sweep init", "ask, and write first.yaml"),
        ("dfcil-sweep init flowers --data ~/flowers --tasks 4 --yes", "of your own images, without a question"),
        ("dfcil-sweep init small --data cifar100 --methods base,abd,r-dfcil --device cpu", "of chosen methods"),
    ),
    "doctor": (
        ("dfcil-sweep doctor", "is this machine ready, and what to do where it is not"),
        ("dfcil-sweep doctor --data-root ~/data --json", "another folder of data sets; for programs"),
    ),
    "launch": (
        ("dfcil-sweep launch demo", "a bundled spec"),
        ("dfcil-sweep launch sweep.yaml --jobs 2", "a spec of your own, two stages at a time"),
        ("dfcil-sweep launch demo --set 'seeds=[0]' --set training.epochs=5", "with other settings, this once"),
        ("dfcil-sweep launch cifar100-data-free --rehearse", "the whole sweep on made-up images, in minutes"),
        ("dfcil-sweep launch sweep.yaml --cluster slurm --profile slurm.yaml", "in jobs of a batch system"),
    ),
    "plan": (
        ("dfcil-sweep plan sweep.yaml", "what it says, what it costs, and every mistake in it"),
        ("dfcil-sweep plan demo --set tasks='[2, 5]'", "what a change would add"),
        ("dfcil-sweep plan demo --json", "for programs"),
    ),
    "tune": (
        ("dfcil-sweep tune tune-digits", "search, confirm on fresh seeds, write the winner"),
        ("dfcil-sweep tune tune-digits --trials 80 --timeout 60", "go on, to 80 trials, for an hour"),
        ("dfcil-sweep tune tune-digits --show", "the best trials so far"),
    ),
    "status": (
        ("dfcil-sweep status", "all sweeps and studies of the runs folder"),
        ("dfcil-sweep status demo --watch", "one sweep, shown anew until it is over"),
        ("dfcil-sweep status demo --json", "for programs"),
    ),
    "logs": (
        ("dfcil-sweep logs abd-5-s0", "the epochs, losses and accuracies of this job's stages"),
        ("dfcil-sweep logs abd-5-s0 --follow", "and what comes, until it is over"),
        ("dfcil-sweep logs abd-5-s0 --sweep demo --tail 20", "their last lines, of that sweep's"),
    ),
    "cancel": (
        ("dfcil-sweep cancel demo", "stop it, as Ctrl-C at its terminal would"),
        ("dfcil-sweep cancel demo --no-wait", "do not wait until it has stopped"),
        ("dfcil-sweep cancel tune-digits", "the tuners of its study"),
    ),
    "store": (
        ("dfcil-sweep store", "what lies in ./runs"),
        ("dfcil-sweep store verify --runs /data/runs", "read every stage of another folder through"),
        ("dfcil-sweep store export results.tar demo", "take a sweep elsewhere"),
    ),
    "store prune": (
        ("dfcil-sweep store prune --dry-run", "what would be removed"),
        ("dfcil-sweep store prune --unused", "also stages that no sweep launched here has"),
    ),
    "store verify": (
        ("dfcil-sweep store verify", "is anything damaged?"),
        ("dfcil-sweep store verify --set-aside", "and let the next launch do that again"),
    ),
    "store export": (
        ("dfcil-sweep store export all.tar", "every finished stage"),
        ("dfcil-sweep store export demo.tar demo", "those of one sweep"),
    ),
    "store import": (("dfcil-sweep store import demo.tar", "what `store export` wrote on another machine"),),
    "methods": (
        ("dfcil-sweep methods", "all of them"),
        ("dfcil-sweep methods abd", "the loss, settings, source and defaults of one"),
        ("dfcil-sweep methods --plugin mine.py", "with your own"),
    ),
    "datasets": (("dfcil-sweep datasets", "what `dataset:` can name, and what each needs"),),
    "schema": (
        ("dfcil-sweep schema -o spec.schema.json", "for the editor, beside your specs"),
        ("dfcil-sweep schema --plugin mine.py -o spec.schema.json", "with the methods of a plug-in"),
    ),
    "check-plugin": (("dfcil-sweep check-plugin mine.py", "before the sweep that uses it"),),
    "convert-model": (
        (
            "dfcil-sweep convert-model class.pth first-0.safetensors",
            "of a ResNet-32; then `first_model: first-0.safetensors`",
        ),
        ("dfcil-sweep convert-model class.pth first-0.safetensors --backbone resnet18-abd", "of its ResNet-18"),
    ),
    "report": (
        ("dfcil-sweep report demo", "the table"),
        ("dfcil-sweep report demo --format html -o demo.html", "a page with figures, matrices and dreams"),
        ("dfcil-sweep report demo --format latex --metric average", "for the paper, another measure"),
        ("dfcil-sweep report demo --format json --rows jobs", "a row a job, unrounded, for programs"),
        ("dfcil-sweep report tune-digits", "of a study: its best trials and what was confirmed"),
    ),
    "compare": (
        ("dfcil-sweep compare demo demo-2", "job by job, with intervals"),
        ("dfcil-sweep compare demo demo --runs-b /elsewhere/runs --exit-code", "are two copies the same?"),
    ),
    "ui": (
        ("dfcil-sweep ui demo", "one sweep, in the browser"),
        ("dfcil-sweep ui --no-open --port 5001", "all, on a machine without a browser"),
    ),
    "sync": (
        ("dfcil-sweep sync demo", "deliver to MLflow what is missing there"),
        ("dfcil-sweep sync demo --tracking-uri http://localhost:5000", "to a server"),
    ),
}
"""By the command's words: of the command line itself by none."""


def with_examples(command: click.Command, words: str) -> click.Command:
    """The command, and those below it, with its examples at the end of its help."""
    if command.epilog is None and words in EXAMPLES:
        # The \b keeps click from filling the lines.
        command.epilog = "\n".join(["\b", "Examples:", *(f"  {line}" for line in _lines(words))])
    for name, below in getattr(command, "commands", {}).items():
        with_examples(below, f"{words} {name}")
    return command


def _lines(words: str) -> list[str]:
    return [line for typed, does in EXAMPLES[words] for line in (typed, f"    {does}")]
