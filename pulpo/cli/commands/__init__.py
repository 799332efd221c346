"""One module a command. Each reads options, calls a method of `CLI`, prints, and sets the exit code."""
