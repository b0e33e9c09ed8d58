"""The APIs of the simulated cloud, one module each."""
