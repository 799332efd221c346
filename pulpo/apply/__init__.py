"""Bringing the world in line with the manifest: observe, plan, execute. Plans are data; every target has a package of its own."""
