"""Local services: processes that outlive the command that starts them, each kept by a shim of its own."""
