"""The lock: derived from the code, merged with what people wrote into the file, written, and checked."""
