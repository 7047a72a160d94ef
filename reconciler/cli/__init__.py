"""The command line: one file a command group, no logic; what commands do is in wiring and daemon."""
