"""MLflow as a view of the store. This package is the only importer of mlflow, and imports it only when it delivers.

uri.py       which tracking store, and where its artifacts go
points.py    records of stages to metric points (pure)
describe.py  a job's and a sweep's parameters, tags and identity (pure)
delivered.py what this machine remembers of deliveries
database.py  making the sqlite file
runs.py      finding and making the runs of a sweep in MLflow
figures.py   who draws the figures: handed in, for tracking is below reports
pictures.py  sending a run's artifacts: figures, dreamed images
writer.py    delivering one job, one failure, the end of a sweep
up_to_date.py whether there is anything to deliver, without mlflow
tracker.py   the thread that delivers while a sweep trains; `sync`
reading.py   reading a tracking store, this machine's or somebody else's
links.py     addresses of runs in the MLflow UI
views.py     the pages of the MLflow UI that open on numbers
ui.py        the command that serves it, and the addresses of the pages
environment.py  how MLflow is to behave inside dfcil-sweep
"""

from orchestrator.tracking.tracker import Tracker, sync
from orchestrator.tracking.uri import tracking_uri

__all__ = ["Tracker", "sync", "tracking_uri"]
