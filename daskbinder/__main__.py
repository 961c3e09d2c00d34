"""``python -m daskbinder``."""

from daskbinder.cli import main

if __name__ == "__main__":
    main(prog_name="daskbinder")
