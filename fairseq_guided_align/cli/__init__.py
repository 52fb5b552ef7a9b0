"""The command line. A new command is one file here and one row in ``main.COMMANDS``.

The file has ``add_arguments(parser)``, which sets the parser's description and adds the options, and ``run(args)``,
which carries the command out and returns its exit code. They need no docstrings of their own. Options that two commands
share are in ``options.py``. Commands do not import each other.
"""
