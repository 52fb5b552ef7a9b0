"""Command line of the package: one module a subcommand."""
