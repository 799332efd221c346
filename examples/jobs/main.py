"""The command line of Pulpo with this project's modules: `python main.py run pipeline`."""

from pulpo import CLI

cli = CLI()

if __name__ == "__main__":
    cli.run()
