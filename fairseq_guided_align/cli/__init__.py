"""The command line. A new command is one file here and one row in ``main.COMMANDS``.

The file has ``add_arguments(parser)``, which sets the parser's description and adds the options, and ``run(args)``,
which carries the command out and returns its exit code. They need no docstrings of their own. Options that two commands
share are in ``options.py``, ``sampling_options.py`` and ``tag_options.py``, types of arguments in
``argument_types.py``. ``streams.py`` is about standard input and output, ``told_counts.py`` about what is said of text
that was read. Commands do not import each other: what two of them need goes down into a room. Torch and fairseq are
imported inside functions, so that ``--help`` and commands on text do not wait for them.

A new command also needs

- a place in the README's table of commands (``tests/cli/test_main.py``);
- a run with all its files of text in ``tests/cli/test_compressed_files.py``, or, if it has none, its name in
  ``test_help_of_every_command_in_ascii`` of ``tests/cli/test_standard_streams.py``;
- its messages in page 6 of the guide (``tests/cli/test_messages.py``);
- tests of its own, in ``tests/cli/test_COMMAND.py``, or in the room that does its work;
- a line in ``tests/installed_commands.py`` if it needs another package.

All but the last two fail until they are there.
"""
