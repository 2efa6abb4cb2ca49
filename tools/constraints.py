"""Write the versions installed in this environment to constraints.txt (`make constraints`)."""

import subprocess
import sys
from pathlib import Path

HEAD = "# The versions that the course is tested with. Written by `make constraints`; pip takes them with --constraint.\n"


def main():
    freeze = subprocess.run([sys.executable, "-m", "pip", "freeze", "--exclude-editable"],
                            check=True, capture_output=True, text=True).stdout
    # A local version such as 2.13.0+cpu exists on one index only; 2.13.0 admits every build of it.
    lines = [line.split("+")[0] for line in freeze.splitlines() if "==" in line]
    Path("constraints.txt").write_text(HEAD + "\n".join(lines) + "\n")
    print(f"constraints.txt: {len(lines)} packages")


if __name__ == "__main__":
    main()
