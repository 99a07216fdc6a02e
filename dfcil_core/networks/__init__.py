"""The networks: the classifiers by name (catalog.py), the generator, the VAE, the bias correction."""
