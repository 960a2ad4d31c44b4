"""`python -m flowbench`: the command `flowbench` where it is not on the search path of the shell."""

from flowbench.console import main

if __name__ == "__main__":
    main()
