"""Tuning with Optuna: trials are plans on the store that launches use. This package is the only importer of optuna.

space.py    a spec's space to Optuna's distributions and samplers
pruner.py   which trial is stopped at a task's boundary
journal.py  the file that keeps studies where no database does
study.py    the storage: asking, telling, and taking up what another tuner left
tuners.py   several tuners at one study: whose a trial is, and who leads
trials.py   one trial: its plan, how far it is, its objective (no optuna)
tuner.py    several trials at a time on one engine
session.py  one launch of a tuner, from the first trial to the verdict
studies.py  the studies of a runs folder by name (no optuna)
show.py     what is known of a study, for people and for programs
confirm.py  the best settings against the published one, on fresh seeds and images (no optuna)
export.py   the winner as a spec (no optuna)
summary.py  what a study knows: the state, the best trials, importances, costs
plots.py    Optuna's plots as PNG, and as HTML where there is plotly
"""
