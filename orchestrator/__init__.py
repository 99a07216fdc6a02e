"""Plans, runs, records and tracks sweeps of class-incremental learning."""
