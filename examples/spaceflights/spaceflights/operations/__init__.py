"""The operations, a module for each flow."""
