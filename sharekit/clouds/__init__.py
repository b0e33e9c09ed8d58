"""Clients of the cloud APIs: sign-in, images and their members, batch calls, jobs, vaults.

Nothing outside this package sends HTTP requests; only :mod:`sharekit.clouds.state` makes
DataFrames.
"""
