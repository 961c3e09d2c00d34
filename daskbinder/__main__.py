"""``python -m daskbinder``."""

from daskbinder.cli.commands import main

if __name__ == "__main__":
    main(prog_name="daskbinder")
