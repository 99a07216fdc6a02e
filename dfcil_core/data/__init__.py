"""The data sets: what is known of each (catalog.py), and how its images are opened."""
