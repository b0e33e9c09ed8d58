"""The commands, a module for each step of the road; loaded when they are called."""
