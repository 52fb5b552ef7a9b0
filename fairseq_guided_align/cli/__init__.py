"""The command line. A new command is one file here and one row in ``main.COMMANDS``.

The file has ``add_arguments(parser)``, which sets the parser's description and adds the options, and ``run(args)``,
which returns the exit code. Options that two commands share are in ``options.py``. Commands do not import each other.
"""
