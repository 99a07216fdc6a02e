"""What tests share: made-up stores and sweeps, stages that compute nothing, processes that are killed."""
