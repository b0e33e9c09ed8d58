"""From findings to a plan of requests, decisions on it, and its approval."""
