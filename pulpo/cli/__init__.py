"""The command line: it reads options, calls one function, prints, and sets the exit code."""
